#!/usr/bin/python3
"""That `make bench` measures what it says: its load generators, in small."""

import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "bench"))
from harness import SLOW, expect, main, wait_for
from ours import BenchSite, Generator, Pinned

CORES = ",".join(str(core) for core in sorted(os.sched_getaffinity(0)))


def closed_and_open_loops_count_what_the_site_granted():
    with Pinned(CORES) as world:
        site = BenchSite(world)
        done = site.load(CORES, "agents", 4, "--seconds", 0.5)
        expect(done["done"] > 4, done)
        expect(done["done"] <= site.ready()["leases"], done)
        expect(0 < done["p50_us"] <= done["p99_us"] <= done["max_us"], done)
        expect(0 < done["ledger"]["commits"] <= done["ledger"]["commands"],
               done["ledger"])
        # The same devices log in again; a slow rate is kept by any machine.
        slow = site.load(CORES, "agents", 4, "--rate", 40 / SLOW, "--seconds",
                         1, timeout=60)
        expect(10 / SLOW < slow["done"] < 120 / SLOW, slow)
        expect(site.ready()["devices"] == 4, "devices enrolled again")
        before = site.ready()["leases"]
        site.load(CORES, "agents", 4, "--return", "--seconds", 0.3)
        expect(site.ready()["leases"] <= before + 4, "seats were kept")


def a_load_over_http_counts_what_was_granted():
    with Pinned(CORES) as world:
        site = BenchSite(world)
        keys = site.make_keys(4)
        done = site.load_http(CORES, keys, 4, "--seconds", 0.5)
        expect(4 < done["done"] <= site.ready()["leases"], done)
        expect(done["refused"] == 0, done)


def an_open_loop_counts_from_when_it_meant_to_send():
    with Pinned(CORES) as world:
        site = BenchSite(world)
        with Generator(CORES, "load_bench", *site.options("agents", 1),
                       "--rate", 100, "--seconds", 1.5) as load:
            expect(load.line(30) == "begin", "it does not begin")
            front = site.child("front")
            os.kill(front, signal.SIGSTOP)
            time.sleep(0.5)
            os.kill(front, signal.SIGCONT)
            done = json.loads(load.line(60))
        # Those that should have gone out meanwhile waited, one as the other.
        expect(done["max_us"] > 400000, done)
        expect(done["p99_us"] > 300000, done)
        expect(done["done"] > 100 / SLOW, done)


def idle_agents_stay_and_the_first_grant_is_waited_for():
    with Pinned(CORES) as world:
        site = BenchSite(world)
        load = site.idle(CORES, "idle", 20)
        expect(site.ready()["sessions"] == 20, site.ready())
        expect(load.wait(20) == 0, "it does not end")
        site.kill()
        with Generator(CORES, "load_bench", "--first",
                       *site.options("idle", 1)) as load:
            time.sleep(0.2)
            site.start(wait=False)
            granted_us = json.loads(load.line(30 * SLOW))["granted_us"]
        expect(granted_us > 0, granted_us)


def logins_come_one_by_one_and_in_waves():
    with Pinned(CORES) as world:
        site = BenchSite(world)
        # So many that none of them comes too often.
        done = site.logins(CORES, "agents", 100, "--at-once", 2,
                           "--seconds", 0.5)
        expect(done["done"] > 10, done)
        expect(0 < done["p50_us"] <= done["p99_us"] <= done["max_us"], done)
        waves = site.waves(CORES, "agents", 100)
        try:
            # Those that are in stay until the last one is.
            wait_for(lambda: site.ready()["sessions"] > 1, "nobody stays")
            waves.process.stdin.close()
            waves.process.stdin = None
            came = json.loads(waves.line(30))
        finally:
            waves.close()
        expect(came["done"] >= 100 and came["refused"] == 0, came)
        expect(site.ready()["devices"] == 100, "devices enrolled again")


def borrows_are_taken_and_given_back_by_proof():
    with Pinned(CORES) as world:
        site = BenchSite(world, classes=["software"])
        done = site.load(CORES, "agents", 4, "--borrow", "--seconds", 0.5)
        expect(done["done"] > 4, done)
        # Take, prepare and return, each a command; the account begins a
        # moment later than the counting.
        expect(done["ledger"]["commands"] > 2 * done["done"], done)
        # At most those that were under way are still out.
        expect(site.ready()["leases"] <= 4, site.ready())
        site.verify()


def devices_with_a_virtual_tpm_log_in_and_borrow():
    with Pinned(CORES) as world:
        site = BenchSite(world, classes=["vtpm"])
        done = site.logins(CORES, "agents", 50, "--at-once", 4, "--seconds",
                           0.5, class_="vtpm")
        expect(done["done"] > 10 and done["refused"] == 0, done)
        done = site.load(CORES, "agents", 4, "--borrow", "--seconds", 0.5,
                         class_="vtpm")
        expect(done["done"] > 4, done)
        expect(site.ready()["devices"] == 50, site.ready())
        site.verify()


def an_open_loop_may_share_its_core():
    with Pinned(CORES) as world:
        site = BenchSite(world)
        done = site.load(CORES, "agents", 4, "--rate", 40 / SLOW,
                         "--share-core", "--return", "--seconds", 1,
                         timeout=60)
        expect(10 / SLOW < done["done"] < 120 / SLOW, done)
        expect(done["generator_cpu"] < 0.5, "it does not sleep: %s" % done)


if __name__ == "__main__":
    sys.exit(main([
        closed_and_open_loops_count_what_the_site_granted,
        a_load_over_http_counts_what_was_granted,
        an_open_loop_counts_from_when_it_meant_to_send,
        idle_agents_stay_and_the_first_grant_is_waited_for,
        logins_come_one_by_one_and_in_waves,
        borrows_are_taken_and_given_back_by_proof,
        devices_with_a_virtual_tpm_log_in_and_borrow,
        an_open_loop_may_share_its_core,
    ]))
