#!/usr/bin/python3
"""Agents behind a link that drops, delays, doubles and breaks."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

from harness import (AS_ROOT, SLOW, Agent, App, Site, World, binary, expect,
                     main, run, terms, wait_for)

SITE_V4, AGENT_V4 = "10.77.0.1", "10.77.0.2"
SITE_V6, AGENT_V6 = "fd77::1", "fd77::2"


class Link:
    """Two network namespaces and link_tool between them."""

    def __init__(self, world):
        self.process = None
        self.ends = ["lh-%s-%d" % (end, os.getpid())
                     for end in ("site", "agent")]
        self.why = ""
        for end in self.ends:
            made = run("ip", "netns", "add", end)
            if made.status != 0:
                self.why = made.err.strip()
                return
            run("ip", "-n", end, "link", "set", "lo", "up")
        self.process = subprocess.Popen(
            [binary("tests/system/link_tool"), *self.ends],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        world.started.append(self.process)
        if not self.process.stdout.readline():
            self.why = self.process.stderr.read().strip()
            return
        for end, v4, v6 in ((self.ends[0], SITE_V4, SITE_V6),
                            (self.ends[1], AGENT_V4, AGENT_V6)):
            for args in (("addr", "add", v4 + "/24", "dev", "link0"),
                         ("addr", "add", v6 + "/64", "dev", "link0", "nodad"),
                         ("link", "set", "link0", "up")):
                done = run("ip", "-n", end, *args)
                if done.status != 0:
                    self.why = done.err.strip()

    def set(self, **orders):
        for word, value in orders.items():
            self.process.stdin.write("%s %d\n" % (word, value))
            self.process.stdin.flush()
            expect("done" in self.process.stdout.readline(), word)

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        for end in self.ends:
            run("ip", "netns", "del", end)

    def inside(self, end, *args):
        return ["nsenter", "--net=/run/netns/" + self.ends[end], *args]


class FarSite(Site):
    """In the first namespace."""

    def __init__(self, world, link):
        super().__init__(world)
        self.link = link
        made = run(binary("leaseholdd"), "certificate", "--state", self.state,
                   "--host", "127.0.0.1", "--host", SITE_V4, "--host",
                   SITE_V6)
        expect(made.status == 0, made.err)
        with open(self.config) as f:
            text = f.read()
        with open(self.config, "w") as f:
            f.write(text.replace("address=127.0.0.1", "address=::"))

    def start(self, wait=True):
        self.process = self.world.start(self.name, self.link.inside(
            0, binary("leaseholdd"), "--config", self.config))
        self.wait_ready()

    def cli(self, *args, timeout=60):
        return run(*self.link.inside(0, binary("leasehold"), *args),
                   env=self.env, timeout=timeout)


class FarAgent(Agent):
    """In the second namespace; people and applications reach it as ever."""

    def __init__(self, world, link, name):
        super().__init__(world, name)
        self.link = link

    def start(self):
        self.process = self.world.start(self.name, self.link.inside(
            1, binary("leasehold-agent"), "--config", self.config))
        wait_for(self.status, "the agent does not answer")

    def enroll_at(self, site, host):
        done = self.cli("--json", "enroll", "https://%s:%d" % (
            host, site.port), "--token", site.token(), "--name", self.name)
        expect(done.status == 0, "enroll: " + done.err)
        self.wait_connected()


class Watched:
    """An application that says each second whether its seat is valid."""

    def __init__(self, world, agent, name):
        self.app = App(world, agent.socket, name=name, extra=["--watch"])
        lease = self.app.wait(40)
        expect(lease, "no seat: " + self.app.errors())
        self.lease = lease["lease"]
        self.since = time.monotonic()
        self.invalid_at = None
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        for line in self.app.process.stdout:
            said = json.loads(line)
            bad = said["event"] == "lost" or not said.get("valid", True)
            if bad and self.invalid_at is None:
                self.invalid_at = time.monotonic()

    def expect_valid(self, words):
        expect(self.invalid_at is None, words)
        expect(self.app.process.poll() is None, "the application ended")


def held(site):
    return sorted(lease["lease"] for lease in site.leases())


def with_link(test):
    def run_test():
        if not AS_ROOT:
            return "needs root: it makes network namespaces"
        if not os.path.exists("/dev/net/tun"):
            return "needs /dev/net/tun"
        with World() as world:
            link = Link(world)
            try:
                if link.why:
                    return "cannot make the link: " + link.why
                return test(world, link)
            finally:
                for process in reversed(world.started):
                    if process is not link.process:
                        process.terminate()
                for process in reversed(world.started):
                    if process is not link.process:
                        process.wait(20)
                link.close()
    run_test.__name__ = test.__name__
    return run_test


@with_link
def a_lossy_link_costs_no_seat(world, link):
    site = FarSite(world, link)
    site.start()
    # Each lease is renewed twice or so while the link is bad; what TCP needs
    # for a connection anew over it is far below what a lease lasts.
    site.install(terms(commit=10, overage=0, ttl_s=30, grace_s=15))
    agents = [FarAgent(world, link, "v4"), FarAgent(world, link, "v6")]
    for agent, host in zip(agents, (SITE_V4, "[%s]" % SITE_V6)):
        agent.start()
        agent.enroll_at(site, host)
    apps = [Watched(world, agent, "app-%s-%d" % (agent.name, i))
            for agent in agents for i in range(2)]
    leases = held(site)
    link.set(loss=12, delay=100, jitter=30, double=5)
    # A newcomer has his seat, if later; who holds one, keeps it. The link
    # to the site begins anew in the midst of it.
    late = Watched(world, agents[0], "late")
    os.kill(agents[1].child("uplink"), 9)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for app in apps:
            app.expect_valid("a seat was lost on a lossy link")
        time.sleep(0.5)
    wait_for(lambda: agents[1].status().get("connected"),
             "it connects through the loss", 60, 0.5)
    now, then = held(site), sorted(leases + [late.lease])
    expect(now == then, "the leases changed: %s, were %s" % (now, then))
    link.set(loss=0, delay=0, jitter=0, double=0)
    site.verify()


@with_link
def a_cut_link_costs_a_seat_only_after_its_time(world, link):
    ttl_s, grace_s, skew_s = 15, 5, 10
    site = FarSite(world, link)
    site.start()
    site.install(terms(commit=1, overage=0, ttl_s=ttl_s, grace_s=grace_s))
    agent = FarAgent(world, link, "v4")
    agent.start()
    agent.enroll_at(site, SITE_V4)
    app = Watched(world, agent, "app")
    # Longer than a beat, shorter than the span.
    link.set(cut=1)
    time.sleep(9)
    app.expect_valid("a seat was lost in a short cut")
    link.set(cut=0)
    wait_for(lambda: agent.status().get("connected"), "it is back", 30, 0.2)
    time.sleep(ttl_s / 3 + 1)
    app.expect_valid("a seat was lost after a short cut")
    expect(held(site) == [app.lease], "the lease changed")
    # Longer than all that was signed: the application knows it before the
    # site gives the seat to another.
    cut_at = time.monotonic()
    link.set(cut=1)
    wait_for(lambda: held(site) == [], "the site frees the seat",
             (ttl_s + grace_s + skew_s + 10) / SLOW, 0.1)
    freed_at = time.monotonic()
    expect(app.invalid_at is not None, "the seat is still believed in")
    expect(app.invalid_at < freed_at, "it was told too late")
    expect(app.invalid_at - cut_at <= ttl_s + grace_s + 3,
           "valid for %.1f s after the cut" % (app.invalid_at - cut_at))
    link.set(cut=0)
    wait_for(lambda: agent.status().get("connected"), "it is back", 60, 0.2)
    # Whoever asks now gets it: there is one seat, and nobody holds it.
    Watched(world, agent, "next")
    site.verify()


class Proxy(threading.Thread):
    """A middle box for one site: connections go through it, until it resets
    or half-closes them, or stands still."""

    def __init__(self, site):
        super().__init__(daemon=True)
        self.site = site
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs = []
        self.still = False
        self.start()

    def run(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.site.port))
            except OSError:
                continue
            self.pairs.append((near, far))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=pair,
                                 daemon=True).start()

    def pump(self, source, sink):
        try:
            while True:
                data = source.recv(65536)
                while self.still:
                    time.sleep(0.05)
                if not data:
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def each(self, what):
        pairs, self.pairs = self.pairs, []
        for near, far in pairs:
            try:
                what(near, far)
            except OSError:
                pass

    @staticmethod
    def reset(near, far):
        for sock in (near, far):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
            sock.close()

    @staticmethod
    def half_close(near, far):
        near.shutdown(socket.SHUT_WR)
        far.shutdown(socket.SHUT_RD)


def a_middle_box_that_misbehaves_costs_no_seat():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(commit=5, overage=0, ttl_s=30, grace_s=10))
        proxy = Proxy(site)
        agent = Agent(world)
        agent.start()
        done = agent.cli("--json", "enroll", "https://127.0.0.1:%d"
                         % proxy.port, "--token", site.token(), "--name", "x")
        expect(done.status == 0, "enroll: " + done.err)
        agent.wait_connected()
        app = Watched(world, agent, "app")
        for what in (Proxy.reset, Proxy.half_close, Proxy.reset):
            proxy.each(what)
            wait_for(lambda: proxy.pairs and
                     agent.status().get("connected"), "it is back", 20)
            app.expect_valid("a seat was lost")
        proxy.still = True
        time.sleep(3)
        proxy.still = False
        expect(Watched(world, agent, "late").lease, "no seat")
        app.expect_valid("a seat was lost")
        expect(app.lease in held(site), "the lease was lost")


if __name__ == "__main__":
    sys.exit(main([
        a_lossy_link_costs_no_seat,
        a_cut_link_costs_a_seat_only_after_its_time,
        a_middle_box_that_misbehaves_costs_no_seat,
    ], together=True))
