#!/usr/bin/python3
"""The main job: seats taken, held, given back, refused; with real programs."""

import os
import shutil
import signal
import subprocess
import sys
import time

from harness import (PRODUCT, SLOW, Agent, App, World, Site, binary, expect,
                     main, terms, wait_for)


def setting(world, **kw):
    site = Site(world)
    site.start()
    site.install(terms(**kw))
    agent = Agent(world)
    agent.start()
    agent.enroll(site)
    return site, agent


def commit_then_overage_then_refusal():
    with World() as world:
        site, agent = setting(world, commit=2, overage=1)
        apps = [App(world, agent.socket) for _ in range(3)]
        types = [app.wait()["type"] for app in apps]
        expect(sorted(types) == ["commit", "commit", "overage"], types)
        fourth = App(world, agent.socket)
        expect(fourth.wait() is None, "a fourth seat was given")
        expect(fourth.status == 3, "status %d" % fourth.status)
        expect("2 commit, 1 overage" in fourth.errors(), fourth.errors())
        expect("leasehold leases" in fourth.errors(), fourth.errors())
        next(a for a in apps if a.lease["type"] == "commit").stop()
        wait_for(lambda: len(site.leases()) == 2, "the seat comes back", 1)
        fifth = App(world, agent.socket)
        expect(fifth.wait()["type"] == "commit", "a freed commit seat")
        shown = site.cli("--json", "license", "list").json()["items"][0]
        expect((shown["used_commit"], shown["used_overage"],
                shown["overage_checkouts"]) == (2, 1, 1), shown)
        facts = site.verify()
        expect((facts["grants"], facts["ends"], facts["overage"])
               == (4, 1, 1), facts)


def a_license_without_overage_says_no_seats():
    with World() as world:
        site, agent = setting(world, commit=1, overage=0)
        App(world, agent.socket).wait()
        second = agent.cli("checkout", PRODUCT, "--version", "8.1.0")
        expect(second.status == 3, "status %d" % second.status)
        expect("no_seats" in second.err, second.err)


def versions_and_products_are_checked():
    with World() as world:
        site, agent = setting(world)
        old = agent.cli("checkout", PRODUCT, "--version", "7.9.9")
        expect(old.status == 3 and "version_not_covered" in old.err, old.err)
        other = agent.cli("checkout", "other", "--version", "8.1.0")
        expect(other.status == 3 and "not_entitled" in other.err, other.err)


def a_killed_application_frees_its_seat_within_a_second():
    with World() as world:
        site, agent = setting(world, commit=1, overage=0)
        for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM):
            app = App(world, agent.socket)
            expect(app.wait(), "no seat: " + app.errors())
            started = time.monotonic()
            app.process.send_signal(number)
            wait_for(lambda: not site.leases(), "the seat comes back", 5)
            took = time.monotonic() - started
            expect(took < 1.0 * SLOW, "it took %.1f s" % took)
            app.process.wait()


def run_holds_a_seat_and_passes_the_status_on():
    with World() as world:
        site, agent = setting(world, commit=1, overage=0)
        done = agent.cli("run", PRODUCT, "--version", "8.1.0", "--",
                         "sh", "-c", "exit 7")
        expect(done.status == 7, "status %d: %s" % (done.status, done.err))
        done = agent.cli("run", PRODUCT, "--version", "8.1.0", "--",
                         "sh", "-c", "kill -9 $$")
        expect(done.status == 137, "status %d" % done.status)
        wait_for(lambda: not site.leases(), "the seat comes back", 5)
        done = agent.cli("run", PRODUCT, "--version", "7.0.0", "--",
                         "touch", world.path("ran"))
        expect(done.status == 3, "status %d" % done.status)
        expect(not os.path.exists(world.path("ran")), "it ran unlicensed")


def checkout_for_another_process_lives_as_long_as_it():
    with World() as world:
        site, agent = setting(world)
        sleeper = world.start("sleeper", ["sleep", "600"])
        done = agent.cli("checkout", PRODUCT, "--version", "8.1.0", "--pid",
                         sleeper.pid)
        expect(done.status == 0, done.err)
        expect(len(site.leases()) == 1, "no lease")
        sleeper.kill()
        sleeper.wait()
        wait_for(lambda: not site.leases(), "the seat comes back", 5)


def release_takes_the_seat_and_tells_the_application():
    with World() as world:
        site, agent = setting(world)
        app = App(world, agent.socket, extra=["--watch"])
        lease = app.wait()["lease"]
        done = site.cli("leases", "release", "lease-%d" % lease)
        expect(done.status == 0, done.err)
        expect(not site.leases(), "still held")
        wait_for(lambda: "lost" in app.process.stdout.readline(),
                 "the application hears of it", 10)
        again = site.cli("leases", "release", "lease-%d" % lease)
        expect(again.status == 1 and "gone" in again.err, again.err)


def a_silent_workstation_loses_its_seat_after_the_signed_span():
    with World() as world:
        site, agent = setting(world, ttl_s=2, grace_s=1)
        app = App(world, agent.socket)
        expect(app.wait(), app.errors())
        time.sleep(5)
        expect(len(site.leases()) == 1, "a renewed lease was taken")
        for name in ("keeper", "uplink"):
            os.kill(agent.child(name), signal.SIGSTOP)
        os.kill(agent.process.pid, signal.SIGSTOP)
        started = time.monotonic()
        time.sleep(3)
        expect(len(site.leases()) == 1, "taken before ttl and grace are over")
        wait_for(lambda: not site.leases(), "the seat comes back", 30)
        took = time.monotonic() - started
        expect(took > 3, "too early: %.1f s" % took)
        for name in ("keeper", "uplink"):
            os.kill(agent.child(name), signal.SIGKILL)
        os.kill(agent.process.pid, signal.SIGKILL)


def revoking_a_device_ends_its_leases():
    with World() as world:
        site, agent = setting(world)
        app = App(world, agent.socket)
        expect(app.wait(), app.errors())
        done = site.cli("device", "revoke", "1")
        expect(done.status == 0, done.err)
        expect(not site.leases(), "still held")
        refused = agent.cli("checkout", PRODUCT, "--version", "8.1.0")
        expect(refused.status in (3, 4), "status %d" % refused.status)


def uids_see_their_own_leases_only():
    if os.geteuid() != 0:
        return "needs root to act as two users"
    with World() as world:
        site, agent = setting(world)
        app = App(world, agent.socket)
        lease = app.wait()["lease"]
        # A clone below /root is read by root alone.
        command = shutil.copy(binary("leasehold"), world.path("leasehold"))

        def as_nobody(*args):
            return subprocess.run(
                [command, *args], user="nobody",
                env={"LEASEHOLD_SOCKET": agent.socket, "HOME": "/",
                     "LEASEHOLD_CONFIG": "/dev/null"},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                cwd="/")
        taken = as_nobody("return", "lease-%d" % lease)
        expect(taken.returncode != 0, "somebody else returned it")
        expect("lease-%d" % lease not in as_nobody("status").stdout,
               "somebody else sees it")
        enroll = as_nobody("enroll", site.url, "--token", site.token())
        expect(enroll.returncode == 3 and "forbidden" in enroll.stderr,
               enroll.stderr)
        expect(len(site.leases()) == 1, "the lease is gone")


if __name__ == "__main__":
    sys.exit(main([
        commit_then_overage_then_refusal,
        a_license_without_overage_says_no_seats,
        versions_and_products_are_checked,
        a_killed_application_frees_its_seat_within_a_second,
        run_holds_a_seat_and_passes_the_status_on,
        checkout_for_another_process_lives_as_long_as_it,
        release_takes_the_seat_and_tells_the_application,
        a_silent_workstation_loses_its_seat_after_the_signed_span,
        revoking_a_device_ends_its_leases,
        uids_see_their_own_leases_only,
    ]))
