#!/usr/bin/python3
"""Connections that say nothing, and those that come in hosts."""

import socket
import ssl
import sys
import time

from harness import Agent, App, Site, World, expect, main, terms, wait_for
from hostile import (HEAVY, HELLO, SLOW, Socket, context_of, cpu_s, descriptors, dial,
                     expect_little_change, felt, frame, greet, has_ended,
                     many_files, memory_kib, TEXT)


def setting(world, config="", seats=10):
    site = Site(world, config=config)
    site.start()
    site.install(terms(commit=seats, overage=0))
    agent = Agent(world)
    agent.start()
    agent.enroll(site)
    return site, agent


def half_a_handshake(site, source, context):
    """TLS that stops after its first flight."""
    sock = dial(site, source)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    sock.sendall(outgoing.read())
    return sock


def silent_in_four_ways(site, n, hosts=20):
    """n connections from many addresses: a WebSocket that never says hello,
    TLS and then nothing, half a handshake, nothing at all. The last come
    last, for they have the least time."""
    context = context_of(site)
    ways = [lambda s: Socket(site, s, context).sock,
            lambda s: greet(site, s, context),
            lambda s: half_a_handshake(site, s, context),
            lambda s: dial(site, s)]
    return [ways[i * 4 // n]("127.0.1.%d" % (1 + i % hosts))
            for i in range(n)]


def two_thousand_who_say_nothing():
    if many_files() < 4000:
        return "needs 4,000 open files: ulimit -n"
    with World() as world:
        site, agent = setting(world)
        front = site.child("front")
        before = felt(world, agent)
        memory = memory_kib(front)
        started = time.monotonic()
        silent = silent_in_four_ways(site, 2000)
        wait_for(lambda: descriptors(front) > 1900, "all are taken in")
        most = memory_kib(front)
        each = (most - memory) / 2000
        expect(each < 100 * HEAVY, "%.0f KiB for a silent connection" % each)
        cpu = cpu_s(front)
        during = felt(world, agent)
        expect(cpu_s(front) - cpu < 1.9, "the front is busy with silence")
        expect_little_change(before, during)
        late = Agent(world, "late")
        late.start()
        late.enroll(site)
        expect(App(world, late.socket).wait(), "a newcomer gets a seat")
        # Who has not even asked for something is sent away by himself.
        strangers = silent[500:]
        wait_for(lambda: all(has_ended(s) for s in strangers),
                 "those without a request are sent away", 20, 0.5)
        expect(time.monotonic() - started < 60 * SLOW, "too late")
        for sock in silent:
            sock.close()
        wait_for(lambda: descriptors(front) < 100, "all are gone", 20, 0.2)
        # What they had is used again.
        again = silent_in_four_ways(site, 2000)
        wait_for(lambda: descriptors(front) > 1900, "all are taken in")
        expect(memory_kib(front) < 1.3 * HEAVY * most, "memory leaks: %d, then %d KiB"
               % (most, memory_kib(front)))
        for sock in again:
            sock.close()
        agent.wait_connected()


def a_crowd_behind_one_address_pays_for_itself():
    many_files()
    with World() as world:
        site, agent = setting(world)
        front = site.child("front")
        before = felt(world, agent)
        crowd = [dial(site, "127.0.0.9") for _ in range(900)]
        time.sleep(0.5)
        expect(descriptors(front) < 256 + 100,
               "%d descriptors" % descriptors(front))
        during = felt(world, agent)
        expect_little_change(before, during)
        # Of them the latest are there, the first have made room.
        expect(has_ended(crowd[0]), "the first is still there")
        expect(not has_ended(crowd[-1]), "the last is not there")
        with open(world.path("site.log"), errors="replace") as f:
            lines = sum("to make room" in line for line in f)
        expect(lines < 150, "%d lines for one crowd" % lines)
        for sock in crowd:
            sock.close()


def a_full_house_keeps_its_agents_and_lets_others_in():
    with World() as world:
        site, agent = setting(
            world, "[limits]\nconnections=64\naddress_strangers=64\n")
        app = App(world, agent.socket)
        lease = app.wait()["lease"]
        crowd = []
        for i in range(200):
            crowd.append(dial(site, "127.0.2.%d" % (1 + i % 10)))
        expect(descriptors(site.child("front")) < 64 + 40, "too many")
        late = Agent(world, "late")
        late.start()
        late.enroll(site)
        expect(App(world, late.socket).wait(), "a newcomer gets a seat")
        expect([l["lease"] for l in site.leases()][0] == lease, "lost")
        with open(world.path("agent.log"), errors="replace") as f:
            text = f.read()
        expect("no session" not in text, text)
        for sock in crowd:
            sock.close()


def who_comes_too_fast_is_not_read():
    with World() as world:
        site, agent = setting(
            world, "[limits]\naddress_rate=5\n")
        turned_away = 0
        for _ in range(60):
            try:
                with dial(site, "127.0.0.7") as sock:
                    sock.settimeout(0.02)
                    turned_away += sock.recv(1) == b""
            except ConnectionResetError:
                turned_away += 1
            except socket.timeout:
                pass
        expect(turned_away >= 20, "%d turned away" % turned_away)
        expect(site.ready(), "others are not heard")
        agent.wait_connected()


def strangers_get_little_work_done():
    """A WebSocket that says hello again and again, or never what it is."""
    with World() as world:
        site, _ = setting(world)
        with Socket(site) as stranger:
            for i in range(1, 40):
                stranger.say(HELLO % i)
            expect(stranger.close_code() == 1008, "too many hellos")
        with Socket(site) as stranger:
            stranger.send(frame(TEXT, b'{"jsonrpc":"2.0","id":1,"method":'
                                b'"lease.list","params":{}}'))
            problem = stranger.read_text()["error"]["data"]
            expect(problem["code"] == "unauthenticated", problem)
        with Socket(site) as stranger:
            for _ in range(40):
                stranger.say(b"nonsense")
            expect(stranger.close_code() == 1008, "too much nonsense")
        expect(site.ready(), "the site is gone")


if __name__ == "__main__":
    sys.exit(main([
        two_thousand_who_say_nothing,
        a_crowd_behind_one_address_pays_for_itself,
        a_full_house_keeps_its_agents_and_lets_others_in,
        who_comes_too_fast_is_not_read,
        strangers_get_little_work_done,
    ]))
