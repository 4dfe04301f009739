#!/usr/bin/python3
"""A front that dies, a disk that is full or fails, descriptors that run out:
what was acknowledged stays, and all goes on by itself."""

import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

from by_key import Program, make_key
from harness import (AS_ROOT, SLOW, Agent, App, Disk, Site, World, children,
                     expect, main, terms, wait_for)
from hostile import (Steady, cpu_s, descriptors, dial, felt)


def agents(world, site, n):
    made = []
    for i in range(n):
        agent = Agent(world, "agent-%d" % i)
        agent.start()
        agent.enroll(site)
        made.append(agent)
    return made


def readyz(site):
    """(status, code of the problem)"""
    context = ssl.create_default_context(cafile=site.ca)
    try:
        with urllib.request.urlopen(site.url + "/readyz", context=context,
                                    timeout=5) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as problem:
        return problem.code, json.load(problem)["code"]
    except OSError:
        return 0, ""


def a_front_that_dies_costs_nobody_a_seat():
    with World() as world:
        site = Site(world)
        site.start()
        # As many seats as applications: a retry that took a second one, or a
        # seat that got lost, would be a refusal.
        site.install(terms(commit=5, overage=0))
        first, second = agents(world, site, 2)
        app = App(world, first.socket)
        lease = app.wait()["lease"]
        steady = [Steady(world, first, 4, 2, 1, "one"),
                  Steady(world, second, 4, 2, 1, "two")]
        for _ in range(3):
            time.sleep(0.9)
            os.kill(site.child("front"), signal.SIGKILL)
        for one in steady:
            result = one.result()
            expect(result["failed"] == 0, result)
            expect(result["checkouts"] > 50, result)
        first.wait_connected()
        second.wait_connected()
        wait_for(lambda: [l["lease"] for l in site.leases()] == [lease],
                 "only the seat that is held is left")
        # They can be told from each other in the journal: none was twice.
        site.verify()
        expect(app.stop() == 0, "the application did not end well")


def limit_descriptors(pid, limits=None):
    """Of another process, as its own user: the limits before."""
    before = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if AS_ROOT:
                with open("/proc/%d/status" % pid) as f:
                    ids = dict(line.split(":", 1) for line in f)
                os.setgroups([])
                os.setgid(int(ids["Gid"].split()[0]))
                os.setuid(int(ids["Uid"].split()[0]))
            old = resource.prlimit(pid, resource.RLIMIT_NOFILE,
                                   *([limits] if limits else []))
            os.write(before[1], json.dumps(old).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(before[1])
    with os.fdopen(before[0]) as f:
        text = f.read()
    expect(text, "no limits of %d" % pid)
    return json.loads(text)


class SmallDisk:
    """A file system of its own for one site, as root."""

    def __init__(self, world, mib):
        self.path = world.path("disk")
        os.mkdir(self.path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % mib,
                               "none", self.path], stderr=subprocess.PIPE)
        self.mounted = done.returncode == 0
        self.words = done.stderr.decode(errors="replace").strip()

    def fill(self):
        with open(os.path.join(self.path, "filler"), "wb", 0) as f:
            try:
                while True:
                    f.write(b"\0" * 65536)
            except OSError:
                pass
            try:
                while True:
                    f.write(b"\0")
            except OSError:
                pass

    def empty(self):
        os.unlink(os.path.join(self.path, "filler"))

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.path], check=False)


def a_full_disk_refuses_and_comes_back_by_itself():
    if not AS_ROOT:
        return "needs root: it mounts a small file system"
    with World() as world:
        disk = SmallDisk(world, 32)
        if not disk.mounted:
            return "cannot mount a file system: " + disk.words
        try:
            site = Site(world, "disk/site")
            site.start()
            site.install(terms(commit=100, overage=0))
            agent, = agents(world, site, 1)
            held = App(world, agent.socket, name="held")
            lease = held.wait()["lease"]
            disk.fill()

            def refused():
                app = App(world, agent.socket, name="late")
                if app.wait() is not None:
                    app.stop()  # there was a page left for it
                    return False
                expect(app.status != 0, "it ended well")
                return "room" in app.errors() or "full" in app.errors()
            wait_for(refused, "a checkout is refused for want of room", 20)
            wait_for(lambda: readyz(site) == (503, "unavailable"),
                     "/readyz tells")
            # Reads and renewals go on; a store that is opened anew is away for
            # a moment.
            def is_read():
                shown = site.cli("--json", "leases")
                return shown.status == 0 and lease in [
                    l["lease"] for l in shown.json()["items"]]
            wait_for(is_read, "lost")
            agent.wait_connected()
            disk.empty()
            wait_for(lambda: readyz(site)[0] == 200, "it comes back by itself")
            app = App(world, agent.socket, name="again")
            expect(app.wait(), "a seat: " + app.errors())
            site.verify()
            site.kill()
            site.start()
            expect(lease in [l["lease"] for l in site.leases()], "lost")
        finally:
            for process in reversed(world.started):
                if process.poll() is None:
                    process.kill()
                    process.wait()
            disk.close()


def a_start_on_a_full_disk_reads_and_comes_back():
    """Not even the row of its start has room, in the store of any tenant."""
    if not AS_ROOT:
        return "needs root: it mounts a small file system"
    with World() as world:
        disk = SmallDisk(world, 48)
        if not disk.mounted:
            return "cannot mount a file system: " + disk.words
        try:
            site = Site(world, "disk/site")
            site.name = "site"  # of its log, which is elsewhere
            site.start()
            site.install(terms(commit=400, overage=0))
            with Program(site, site.key) as admin:
                for i in range(40):
                    made = admin.ask("POST", "/api/v1/b2b/tenants", {
                        "partnerName": "Partner %d" % i,
                        "tenantId": "partner-%d" % i,
                        "licenseType": "custom"})
                    expect(made.status == 201, made)
                key, _ = make_key(site)
            held = []
            with Program(site, key) as program:
                held.append(program.take()["id"])
                disk.fill()
                tries = 0
                while tries < 30:  # the last pages of the store go, too
                    answer = program.checkout()
                    tries += answer.status != 201
                    if answer.status == 201:
                        held.append(answer.body["id"])
            def since(at):
                with open(world.path("site.log")) as f:
                    return f.readlines()[at:]

            def start():
                """Did its own store not even take its start?"""
                site.kill()
                before = len(since(0))
                site.start(wait=False)
                wait_for(lambda: any("is ready" in line for line in
                                     since(before)), "it starts", 20)
                time.sleep(0.5)
                return before if any(
                    "tenant default: nothing can be journaled" in line
                    for line in since(before)) else None
            before = wait_for(start, "there is no room for a start", 30)

            def found():
                shown = site.cli("--json", "leases")
                return shown.status == 0 and len(shown.json()["items"])
            wait_for(found, "the leases are read", 20)
            time.sleep(5)
            said = since(before)
            more = sum(int(n) for line in said for n in re.findall(
                r"no room to commit: .*and (\d+) more", line))
            expect(any("no room to commit" in line for line in said), said)
            # It is not tried again and again in all of them.
            expect(more < 200, said)
            with Program(site, key) as program:
                answer = program.checkout()
                expect(answer.status == 503 and answer.code == "unavailable",
                       answer)
            disk.empty()
            wait_for(lambda: readyz(site)[0] == 200, "it comes back by itself",
                     20)
            with Program(site, key) as program:
                for lease in held:
                    answer = program.give_back(lease)
                    expect(answer.status == 200, (lease, answer))
                program.take()
            site.verify()
        finally:
            for process in reversed(world.started):
                if process.poll() is None:
                    process.kill()
            disk.close()


def a_disk_that_fails_is_opened_anew():
    """The page that says which commit is the last cannot be written: LMDB
    takes no more, so the ledger ends and is started again."""
    if SLOW > 1:
        return "a sanitizer does not bear another library before it"
    with World() as world:
        site, disk = Site(world), Disk(world)
        site.start(env=disk.env)
        site.install(terms(commit=5, overage=0))
        agent, = agents(world, site, 1)
        lease = App(world, agent.socket, name="held").wait()["lease"]
        ledger = site.child("ledger")
        disk.order(fail=2)
        app = App(world, agent.socket)
        app.wait()  # granted after the restart, or refused before
        expect(disk.obeyed(), "nothing was written")
        wait_for(lambda: children(site.process.pid).get("ledger", [ledger])
                 != [ledger], "the ledger is started again", 15)
        wait_for(lambda: readyz(site)[0] == 200, "it is ready again", 15)
        agent.wait_connected()
        expect(lease in [l["lease"] for l in site.leases()], "lost")
        expect(App(world, agent.socket).wait(), "no seat")
        site.verify()


def without_descriptors_the_front_waits_and_does_not_spin():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(commit=10, overage=0))
        agent, = agents(world, site, 1)
        front = site.child("front")
        soft, hard = limit_descriptors(front)
        few = descriptors(front) + 6
        limit_descriptors(front, (few, hard))
        strangers = [dial(site, "127.0.5.%d" % (1 + i % 5))
                     for i in range(40)]
        time.sleep(0.5)
        expect(descriptors(front) <= few, "more than it may")
        cpu = cpu_s(front)
        time.sleep(2)
        expect(cpu_s(front) - cpu < 0.6 * SLOW, "it spins: %.1f s of 2"
               % (cpu_s(front) - cpu))
        # Who is connected works, and so does who comes when strangers make
        # room for him.
        felt(world, agent, 1)
        late = Agent(world, "late")
        late.start()
        late.enroll(site)
        limit_descriptors(front, (soft, hard))
        wait_for(site.ready, "it accepts again")
        for sock in strangers:
            sock.close()
        expect(children(site.process.pid)["front"] == [front], "it died")


def without_descriptors_the_ledger_comes_back():
    """A front is started while the ledger cannot take its socket."""
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(commit=10, overage=0))
        agent, = agents(world, site, 1)
        lease = App(world, agent.socket, name="held").wait()["lease"]
        ledger = site.child("ledger")
        soft, hard = limit_descriptors(ledger)
        limit_descriptors(ledger, (descriptors(ledger) - 1, hard))
        os.kill(site.child("front"), signal.SIGKILL)
        time.sleep(1.5)
        cpu = cpu_s(ledger)
        time.sleep(1)
        expect(cpu_s(ledger) - cpu < 0.5 * SLOW, "the ledger spins")
        limit_descriptors(ledger, (soft, hard))
        wait_for(lambda: readyz(site)[0] == 200, "it is ready again", 20)
        agent.wait_connected(30)
        expect(lease in [l["lease"] for l in site.leases()], "lost")
        felt(world, agent, 1)


def without_descriptors_the_agent_waits_and_does_not_spin():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(commit=5, overage=0))
        agent, = agents(world, site, 1)
        held = App(world, agent.socket, name="held", extra=["--watch"])
        lease = held.wait()["lease"]
        keeper = agent.child("keeper")
        soft, hard = limit_descriptors(keeper)
        limit_descriptors(keeper, (descriptors(keeper) + 3, hard))
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        for sock in crowd:
            sock.connect(agent.socket)
        time.sleep(0.3)
        cpu = cpu_s(keeper)
        time.sleep(1.5)
        expect(cpu_s(keeper) - cpu < 0.5 * SLOW, "it spins: %.1f s"
               % (cpu_s(keeper) - cpu))
        expect(held.process.poll() is None, "the application ended")
        for sock in crowd:
            sock.close()
        late = App(world, agent.socket, name="late")
        expect(late.wait(), "no seat: " + late.errors())
        limit_descriptors(keeper, (soft, hard))
        expect(lease in [l["lease"] for l in site.leases()], "lost")


if __name__ == "__main__":
    sys.exit(main([
        a_front_that_dies_costs_nobody_a_seat,
        a_full_disk_refuses_and_comes_back_by_itself,
        a_start_on_a_full_disk_reads_and_comes_back,
        a_disk_that_fails_is_opened_anew,
        without_descriptors_the_front_waits_and_does_not_spin,
        without_descriptors_the_ledger_comes_back,
        without_descriptors_the_agent_waits_and_does_not_spin,
    ]))
