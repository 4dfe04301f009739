#!/usr/bin/python3
"""A site that restarts under all of its agents: nobody loses a lease, and they
do not come back in one moment."""

import json
import os
import select
import subprocess
import sys
import time

from harness import (PRODUCT, SLOW, Agent, App, Failure, Site, World, binary,
                     expect, main, terms, wait_for)
from hostile import many_files

HERD = 1000
REAL = 24


class Herd:
    """Agents in one process (herd_tool.c)."""

    def __init__(self, world, site, n):
        folder = world.path("herd")
        os.mkdir(folder)
        self.log = open(world.path("herd.log"), "w+")
        self.process = subprocess.Popen(
            [binary("tests/system/herd_tool"), "--port", str(site.port),
             "--ca", site.ca, "--folder", folder, "--join", site.token(
                 uses=n), "--product", PRODUCT, "--agents", str(n)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            text=True)
        world.started.append(self.process)

    def hear(self, event, timeout):
        poll = select.poll()
        poll.register(self.process.stdout, select.POLLIN)
        expect(poll.poll(timeout * SLOW * 1000), "no %s in time" % event)
        line = self.process.stdout.readline()
        if not line:
            self.log.flush()
            self.log.seek(0)
            raise Failure("herd_tool: " + self.log.read()[-500:])
        said = json.loads(line)
        expect(said["event"] == event, said)
        return said


def herd_site(world):
    # A herd comes from many addresses; this one has only the one.
    site = Site(world, config="[limits]\naddress_strangers=2000\n"
                "address_rate=0\n")
    site.start()
    site.install(terms(commit=HERD + 10, overage=0, ttl_s=120))
    return site


def check_return(back, agents):
    expect(back["agents"] == agents and back["kept"] == agents, back)
    expect(back["planned"] <= agents // 4,
           "a quarter comes in one second: %s" % back)
    # The machine is shared, and may stand still while timers run out.
    expect(back["peak"] <= agents // 2, "half came in one second: %s" % back)


def a_thousand_agents_come_back_one_after_the_other():
    if many_files() < 3000:
        return "needs 3,000 open files: ulimit -n"
    with World() as world:
        site = herd_site(world)
        herd = Herd(world, site, HERD)
        herd.hear("ready", 60)
        held = {lease["lease"] for lease in site.leases()}
        expect(len(held) == HERD, "%d leases" % len(held))
        # An orderly restart: the site says over how long to come back.
        expect(site.stop() == 0, "its exit status")
        site.start()
        check_return(herd.hear("back", 100), HERD)
        # And one that nobody had announced.
        site.kill()
        site.start()
        check_return(herd.hear("back", 100), HERD)
        expect({lease["lease"] for lease in site.leases()} == held,
               "leases were lost or new")
        site.verify()


def real_agents_keep_their_leases_through_restarts():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(commit=REAL + 5, overage=0))
        token = site.token(uses=REAL)
        agents = [Agent(world, "agent-%02d" % i) for i in range(REAL)]
        for agent in agents:
            agent.process = world.start(
                agent.name, [binary("leasehold-agent"), "--config",
                             agent.config])
        for agent in agents:
            wait_for(agent.status, "no agent", 20)
            agent.enroll(site, token)
        apps = [App(world, agent.socket, name="app-" + agent.name,
                    extra=["--watch"]) for agent in agents]
        leases = sorted(app.wait(30)["lease"] for app in apps)
        for restart in (site.stop, site.kill):
            restart()
            time.sleep(0.5)
            site.start()
            for agent in agents:
                agent.wait_connected(20)
            expect(sorted(l["lease"] for l in site.leases()) == leases,
                   "the leases changed")
        for app in apps:
            expect(app.process.poll() is None, "an application ended")
            expect(app.stop() == 0, "it did not keep its seat: " +
                   app.errors())
        wait_for(lambda: site.leases() == [], "the seats come back")


if __name__ == "__main__":
    sys.exit(main([
        a_thousand_agents_come_back_one_after_the_other,
        real_agents_keep_their_leases_through_restarts,
    ]))
