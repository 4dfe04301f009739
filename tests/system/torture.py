#!/usr/bin/python3
"""kill -9 of each process at random moments while agents work.

ROUNDS=200 torture.py: no acknowledged lease lost, no seat given twice, none
lost for good. A seed is printed; SEED= repeats it.
"""

import os
import random
import signal
import sys
import time

from harness import Agent, App, World, Site, expect, main, terms, wait_for

ROUNDS = int(os.environ.get("ROUNDS", "20"))
SEED = int(os.environ.get("SEED", random.getrandbits(32)))
VICTIMS = ["site:ledger", "site:front", "site", "agent:keeper",
           "agent:uplink", "agent", "app"]


def kill(victim, site, agents, apps, dice):
    where, _, what = victim.partition(":")
    if where == "app" and apps:
        apps.pop(dice.randrange(len(apps))).kill()
        return
    if where == "site":
        if what:
            os.kill(site.child(what), signal.SIGKILL)
        else:
            site.kill()
            time.sleep(dice.random() * 0.3)
            site.start(wait=False)
    if where == "agent":
        agent = dice.choice(agents)
        if what:
            os.kill(agent.child(what), signal.SIGKILL)
        else:
            agent.process.kill()
            agent.process.wait()
            agent.start()


def held(site):
    leases = site.leases()
    slots = [l.get("slot", 0) for l in leases]
    expect(len(set(slots)) == len(slots), "a seat given twice: %s" % slots)
    return {l["lease"] for l in leases}


def killed_processes_lose_no_seat():
    dice = random.Random(SEED)
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(commit=5, overage=15, ttl_s=60))
        agents = [Agent(world, "agent%d" % i) for i in range(2)]
        for agent in agents:
            agent.start()
            agent.enroll(site)
        apps = []
        for number in range(ROUNDS):
            while len(apps) < 8:
                apps.append(App(world, dice.choice(agents).socket,
                                name="app%d" % len(apps)))
            victim = dice.choice(VICTIMS)
            time.sleep(dice.random() * 0.15)
            kill(victim, site, agents, apps, dice)
            site.wait_ready()
            for agent in agents:
                agent.wait_connected(30)
            for i, app in enumerate(apps):
                if app.lease is not None or app.wait(60):
                    continue
                # It came when its agent was just being killed: it comes again.
                expect("no agent answers" in app.errors() or
                       "Connection refused" in app.errors(),
                       "round %d, %s: no seat: %s"
                       % (number, victim, app.errors()))
                apps[i] = App(world, app.socket, name="app%d" % i)
                expect(apps[i].wait(60), "round %d, %s: no seat: %s"
                       % (number, victim, apps[i].errors()))
            acknowledged = {app.lease["lease"] for app in apps}
            wait_for(lambda: held(site) == acknowledged,
                     "round %d, %s: the site holds %s, applications hold %s"
                     % (number, victim, sorted(held(site)),
                        sorted(acknowledged)), 15, 0.1)
            if dice.random() < 0.5:
                apps.pop(dice.randrange(len(apps))).stop()
        for app in apps:
            app.stop()
        wait_for(lambda: not held(site), "seats lost for good", 15)
        site.verify()


if __name__ == "__main__":
    print("# seed %d, %d rounds" % (SEED, ROUNDS))
    sys.exit(main([killed_processes_lose_no_seat]))
