#!/usr/bin/python3
"""Seats that nobody works with, taken back as the policy says."""

import json
import os
import subprocess
import sys
import time

from by_key import Program, make_key
from harness import PRODUCT, Agent, Site, World, binary, expect, main, terms, \
    wait_for

IDLE_S = 1


class Office:
    def __init__(self, world, *rules):
        self.world = world
        self.site = Site(world)
        self.site.start()
        self.site.install(terms(ttl_s=600, grace_s=600))
        self.agent = Agent(world)
        self.agent.start()
        self.agent.enroll(self.site)
        self.rule(*rules)

    def rule(self, *rules):
        path = os.path.join(self.world.dir, "policy.json")
        with open(path, "w") as file:
            json.dump({"rules": list(rules)}, file)
        done = self.site.cli("policy", "apply", path)
        expect(done.status == 0, done.err)

    def reasons(self):
        """Of the leases that have ended, by number."""
        shown = self.site.cli("--json", "audit", "tail", "-n", "100")
        expect(shown.status == 0, shown.err)
        rows = [json.loads(line) for line in shown.out.splitlines()]
        return {row["fact"]["lease"]: row["fact"]["reason"] for row in rows
                if row["kind"] == "lease.ended"}


class Worker:
    """tests/system/idle_tool.c"""

    def __init__(self, office, name):
        world = office.world
        self.process = subprocess.Popen(
            [binary("tests/system/idle_tool"), world.vendor_key,
             office.agent.socket, PRODUCT, "8.1.0", world.path(name)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        world.started.append(self.process)
        self.lease = self.read()["lease"]

    def read(self):
        line = self.process.stdout.readline()
        expect(line, "it says nothing")
        return json.loads(line)

    def do(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def lie_idle():
    """As long as the rule lets, and a little."""
    time.sleep(IDLE_S + 0.1)


def held(office):
    return sorted(item["lease"] for item in office.site.leases())


def a_seat_that_nobody_works_with_is_taken_back_and_told():
    with World() as world:
        office = Office(world, {"name": "two-hours", "kind": "idle",
                                "idle_s": IDLE_S})
        idle, busy, silent = [Worker(office, name)
                              for name in ("idle", "busy", "silent")]
        idle.do("active")
        busy.do("active")
        for worker in (idle, busy, silent):
            expect(worker.do("beat")["error"] == 0, worker.lease)
        lie_idle()
        # Worked with since it renewed last, however long ago that was.
        busy.do("active")
        expect(busy.do("beat")["valid"], "it is worked with")
        expect(silent.do("beat")["valid"], "it never says so")
        said = idle.do("beat")
        expect(not said["valid"] and said["lost"] != 0, said)
        expect("nobody worked with it" in said["why"], said)
        wait_for(lambda: held(office) == sorted([busy.lease, silent.lease]),
                 "its seat is not free")
        expect(office.reasons() == {idle.lease: "idle"}, office.reasons())
        expect(office.site.verify(), "verify")
        for worker in (idle, busy, silent):
            worker.close()


def who_never_says_so_is_idle_where_the_rule_has_silent():
    with World() as world:
        office = Office(world, {"name": "all", "kind": "idle",
                                "idle_s": IDLE_S, "silent": True})
        worker = Worker(office, "silent")
        lie_idle()
        expect(not worker.do("beat")["valid"], "it lies idle")
        wait_for(lambda: held(office) == [], "its seat is not free")
        # It may take another.
        again = Worker(office, "silent")
        expect(held(office) == [again.lease], held(office))
        # And another policy lets it lie.
        office.rule()
        lie_idle()
        expect(again.do("beat")["valid"], "no rule is about it")
        worker.close()
        again.close()


def a_program_with_a_key_says_so_with_its_renewals():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(ttl_s=600, grace_s=600))
        key, _ = make_key(site)
        path = world.path("policy.json")
        with open(path, "w") as file:
            json.dump({"rules": [{"name": "r", "kind": "idle",
                                  "idle_s": IDLE_S}]}, file)
        expect(site.cli("policy", "apply", path).status == 0, "apply")
        with Program(site, key) as program:
            lease = program.take()["id"]
            lie_idle()
            expect(program.renew(lease).status == 200, "it never said so")
            expect(program.renew(lease, active=True).status == 200, "works")
            lie_idle()
            answer = program.renew(lease)
            expect(answer.status == 410 and answer.code == "idle", answer)
            wait_for(lambda: site.leases() == [], "its lease goes on")


if __name__ == "__main__":
    sys.exit(main([
        a_seat_that_nobody_works_with_is_taken_back_and_told,
        who_never_says_so_is_idle_where_the_rule_has_silent,
        a_program_with_a_key_says_so_with_its_renewals,
    ], together=True))
