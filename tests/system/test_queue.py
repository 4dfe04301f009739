#!/usr/bin/python3
"""Waiting for a seat, features and counts; with real programs."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time

from harness import (PRODUCT, SLOW, Agent, App, Site, World, binary, children,
                     expect, main, stop_process, terms, wait_for)


def setting(world, agents=1, document=None, **kw):
    site = Site(world)
    site.start()
    site.install(document or terms(**kw))
    made = [Agent(world, "agent%d" % i) for i in range(agents)]
    for agent in made:
        agent.start()
        agent.enroll(site)
    return (site, *made)


class Waiter(App):
    """An application that may wait: what it says is read as it comes."""

    def __init__(self, world, agent, wait_s=60, extra=(), **kw):
        super().__init__(world, agent.socket, extra=[
            "--wait", str(wait_s), *extra], **kw)
        self.said = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.said.append(json.loads(line))

    def places(self):
        return [s["place"] for s in list(self.said)
                if s.get("event") == "waiting"]

    def wait_place(self, place, timeout=10):
        wait_for(lambda: self.places()[-1:] == [place],
                 "place %d; it said %s %s" % (place, self.said,
                                              self.errors()), timeout)
        return self

    def granted(self):
        return next((s for s in list(self.said) if "event" not in s), None)

    def wait_granted(self, timeout=20):
        self.lease = wait_for(self.granted, "a seat; it said %s %s"
                              % (self.said, self.errors()), timeout)
        return self.lease


def in_line(world, agent, n, **kw):
    """So many waiters, who came in this order."""
    waiters = []
    for i in range(n):
        waiters.append(Waiter(world, agent, name="waiter%d" % i, **kw))
        waiters[-1].wait_place(i + 1)
    return waiters


def waiting(site):
    shown = site.cli("--json", "queue", "list")
    expect(shown.status == 0, "queue list: " + shown.err)
    return shown.json().get("items", [])


# --- the turn ---------------------------------------------------------------


def three_waiters_get_the_one_seat_in_order():
    with World() as world:
        site, agent = setting(world, commit=1, overage=0)
        holder = App(world, agent.socket)
        expect(holder.wait(), holder.errors())
        waiters = in_line(world, agent, 3)
        expect([w["place"] for w in waiting(site)] == [1, 2, 3],
               waiting(site))
        # Who does not wait gets no seat before them, free or not.
        for waiter in waiters:
            holder.stop()
            waiter.wait_granted(5)
            rest = waiters[waiters.index(waiter) + 1:]
            for place, other in enumerate(rest, 1):
                other.wait_place(place)
                expect(other.granted() is None, "two have the one seat")
            newcomer = App(world, agent.socket, name="newcomer")
            expect(newcomer.wait() is None and newcomer.status == 3,
                   "a newcomer got a seat: %s" % newcomer.lease)
            holder = waiter
        expect(waiters[2].places() == [3, 2, 1], waiters[2].said)
        facts = site.verify()
        expect(facts["grants"] == 4, facts)


def a_newcomer_is_refused_while_a_turn_is_offered():
    with World() as world:
        site, agent, other = setting(world, agents=2, commit=1, overage=0)
        holder = App(world, agent.socket)
        expect(holder.wait(), holder.errors())
        waiter = in_line(world, other, 1)[0]
        # It is offered the seat, and cannot claim it.
        waiter.process.send_signal(signal.SIGSTOP)
        holder.stop()
        wait_for(lambda: waiting(site)[0]["offered"], "the seat is offered")
        newcomer = App(world, agent.socket, name="newcomer")
        expect(newcomer.wait() is None and newcomer.status == 3,
               "a newcomer got the seat: %s" % newcomer.lease)
        expect("waiting" in newcomer.errors() or "offer" in newcomer.errors(),
               newcomer.errors())
        waiter.process.send_signal(signal.SIGCONT)
        waiter.wait_granted(5)


def who_waits_longer_than_a_lease_lives_gets_a_good_one():
    with World() as world:
        site, agent = setting(world, commit=1, overage=0, ttl_s=2, grace_s=1)
        holder = App(world, agent.socket)
        expect(holder.wait(), holder.errors())
        waiter = Waiter(world, agent, extra=["--watch"]).wait_place(1)
        time.sleep(7)
        holder.stop()
        waiter.wait_granted(5)
        wait_for(lambda: sum(s.get("event") == "valid"
                             for s in waiter.said) >= 6, "it goes on", 15)
        spans = [s for s in waiter.said if s.get("event") == "valid"]
        expect(all(s["valid"] for s in spans), spans)
        # All of the span that was signed, but for the way of the claim.
        expect(spans[0]["left_ms"] > 2500 or SLOW > 1, spans[0])
        expect(not any(s.get("event") == "lost" for s in waiter.said),
               waiter.said)


# --- leaving ----------------------------------------------------------------


def who_leaves_passes_the_turn_on():
    with World() as world:
        site, agent, other = setting(world, agents=2, commit=1, overage=0)
        holder = App(world, agent.socket)
        expect(holder.wait(), holder.errors())
        killed, gives_up, stays = (
            Waiter(world, agent, name="killed").wait_place(1),
            Waiter(world, other, name="gives-up",
                   extra=["--give-up", "3"]).wait_place(2),
            Waiter(world, agent, name="stays").wait_place(3))
        started = time.monotonic()
        killed.kill()
        gives_up.wait_place(1, 5)
        expect(time.monotonic() - started < 3 * SLOW, "it took long")
        expect(gives_up.status == 4, "status %d: %s"
               % (gives_up.status, gives_up.errors()))
        stays.wait_place(1)
        expect(len(waiting(site)) == 1, waiting(site))
        holder.stop()
        stays.wait_granted(5)
        expect(site.verify()["grants"] == 2, site.verify())


def a_killed_agent_holds_nobody_up():
    with World() as world:
        site, agent, other = setting(world, agents=2, commit=1, overage=0)
        holder = App(world, other.socket)
        expect(holder.wait(), holder.errors())
        lost = Waiter(world, agent, name="lost").wait_place(1)
        stays = Waiter(world, other, name="stays").wait_place(2)
        kill_agent(agent)
        lost.kill()
        wait_for(lambda: not waiting(site)[0]["connected"], "it is away")
        # Its place is kept for a while, but its turn is the next one's.
        holder.stop()
        stays.wait_granted(5)
        expect(len(waiting(site)) == 1, waiting(site))
        # Back again, the agent knows of nobody who waits.
        agent.start()
        agent.wait_connected()
        stays.stop()
        newcomer = Waiter(world, other, name="newcomer")
        newcomer.wait_granted(40)
        wait_for(lambda: not waiting(site), "its place is given up", 20)


def kill_agent(agent):
    family = [pid for pids in children(agent.process.pid).values()
              for pid in pids]
    agent.process.kill()
    agent.process.wait()
    for pid in family:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it died with its parent


def a_wait_that_is_over_is_a_refusal():
    with World() as world:
        site, agent = setting(world, commit=1, overage=0)
        holder = App(world, agent.socket)
        expect(holder.wait(), holder.errors())
        waiter = Waiter(world, agent, wait_s=2)
        started = time.monotonic()
        expect(waiter.status == 3, "status %d" % waiter.status)
        expect(1.5 < time.monotonic() - started < 6 * SLOW, "not 2 s")
        expect("within the 2 s" in waiter.errors(), waiter.errors())
        expect(not waiting(site), waiting(site))
        # The same through the command line, with what to do next.
        done = agent.cli("run", PRODUCT, "--version", "8.1.0", "--wait", "1s",
                         "--", "touch", world.path("ran"))
        expect(done.status == 3, "status %d" % done.status)
        expect("no_seats" in done.err and "leasehold leases" in done.err,
               done.err)
        expect("waiting: place 1 of 1" in done.err, done.err)
        expect(not os.path.exists(world.path("ran")), "it ran unlicensed")


def an_admin_takes_a_waiter_out():
    with World() as world:
        site, agent = setting(world, commit=1, overage=0)
        holder = App(world, agent.socket)
        expect(holder.wait(), holder.errors())
        waiter = Waiter(world, agent).wait_place(1)
        done = site.cli("queue", "remove", "waiter-%d"
                        % waiting(site)[0]["waiter"])
        expect(done.status == 0, done.err)
        expect(waiter.status == 3, "status %d: %s"
               % (waiter.status, waiter.errors()))
        expect("out of the queue" in waiter.errors(), waiter.errors())
        run = world.start(
            "run", [binary("leasehold"), "run", PRODUCT, "--version", "8.1.0",
                    "--wait", "1m", "--", "touch", world.path("ran")],
            env=dict(agent.env, LEASEHOLD_CONFIG="/dev/null"))
        wait_for(lambda: len(waiting(site)) == 1, "it waits")
        done = site.cli("queue", "remove", "waiter-%d"
                        % waiting(site)[0]["waiter"])
        expect(done.status == 0, done.err)
        expect(run.wait(5 * SLOW) == 3, "status %d: %s"
               % (run.returncode, said(world, "run")))
        expect(not os.path.exists(world.path("ran")), "it ran unlicensed")


# --- restarts ---------------------------------------------------------------


def the_site_is_killed_while_they_wait():
    with World() as world:
        site, agent = setting(world, commit=1, overage=0)
        holder = App(world, agent.socket)
        expect(holder.wait(), holder.errors())
        waiters = in_line(world, agent, 2)
        site.kill()
        for waiter in waiters:
            waiter.wait_place(0)
        site.start()
        agent.wait_connected(40)
        # The queue is made anew from those who ask again.
        wait_for(lambda: len(waiting(site)) == 2, "they wait again", 10)
        for waiter in waiters:
            wait_for(lambda: waiter.places()[-1] > 0, "a place", 10)
        holder.stop()
        first = wait_for(lambda: next(
            (w for w in waiters if w.granted()), None), "one has it", 10)
        second = next(w for w in waiters if w is not first)
        expect(second.granted() is None, "two have the one seat")
        first.stop()
        second.wait_granted(10)
        expect(site.verify()["grants"] == 3, site.verify())


def kill_keeper(agent):
    before = agent.child("keeper")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: agent.child("keeper") != before, "another keeper")


def restart_agent(agent):
    expect(agent.stop() == 0, "the agent did not end well")
    agent.start()


def the_keeper_is_killed_while_they_wait():
    agent_goes_while_they_wait(kill_keeper)


def the_agent_is_restarted_while_they_wait():
    agent_goes_while_they_wait(restart_agent)


def kill_uplink(agent):
    before = agent.child("uplink")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: agent.child("uplink") != before, "another uplink")


def the_line_is_cut_while_they_wait():
    agent_goes_while_they_wait(kill_uplink)


def agent_goes_while_they_wait(go):
    with World() as world:
        site, agent, other = setting(world, agents=2, commit=1, overage=0)
        holder = App(world, other.socket)
        expect(holder.wait(), holder.errors())
        first = Waiter(world, agent, name="first").wait_place(1)
        cli = world.start("cli", [
            binary("leasehold"), "checkout", PRODUCT, "--version", "8.1.0",
            "--wait", "1m"], env=dict(agent.env, LEASEHOLD_CONFIG="/dev/null"))
        wait_for(lambda: len(waiting(site)) == 2, "both wait")
        last = Waiter(world, other, name="last").wait_place(3)
        before = [w["waiter"] for w in waiting(site)]
        go(agent)
        agent.wait_connected()
        # They come back to the places that they had.
        wait_for(lambda: [w["connected"] for w in waiting(site)] == [True] * 3,
                 "all are there: %s" % waiting(site))
        expect([w["waiter"] for w in waiting(site)] == before, waiting(site))
        holder.stop()
        first.wait_granted(10)
        first.stop()
        wait_for(lambda: "lease-" in said(world, "cli"), said(world, "cli"))
        expect(last.granted() is None, "the last was first")
        stop_process(cli)
        last.wait_granted(10)
        expect(site.verify()["grants"] == 4, site.verify())


# --- features and counts ----------------------------------------------------


def with_features(**kw):
    document = terms(**kw)
    document["features"] = [
        {"id": "flux", "name": "Flux", "total_licenses": 1, "commit_qty": 1,
         "max_overage": 0, "overage_per_use": 10.00, "currency": "EUR"},
        {"id": "weave", "total_licenses": 3, "commit_qty": 2, "max_overage": 1,
         "overage_per_use": 10.00, "currency": "EUR"}]
    return document


def features_have_seats_and_queues_of_their_own():
    with World() as world:
        site, agent = setting(
            world, document=with_features(commit=1, overage=0))
        base = App(world, agent.socket)
        expect(base.wait(), base.errors())
        flux = App(world, agent.socket, extra=["--feature", "flux"])
        expect(flux.wait(), flux.errors())
        waits = Waiter(world, agent, extra=["--feature", "flux"])
        waits.wait_place(1)
        # Nobody stands before this one.
        also = Waiter(world, agent, name="also").wait_place(1)
        weave = App(world, agent.socket, extra=["--feature", "weave"])
        expect(weave.wait(), weave.errors())
        flux.stop()
        waits.wait_granted(5)
        expect(also.granted() is None, "a feature's seat for the product")
        base.stop()
        also.wait_granted(5)
        unknown = App(world, agent.socket, extra=["--feature", "no-such"])
        expect(unknown.wait() is None and unknown.status == 3,
               unknown.errors())
        done = agent.cli("run", PRODUCT, "--version", "8.1.0", "--feature",
                         "weave", "--count", "2", "--", "true")
        expect(done.status == 0, done.err)


def many_seats_are_taken_all_or_none():
    with World() as world:
        site, agent = setting(world, commit=3, overage=2)
        one = App(world, agent.socket)
        expect(one.wait(), one.errors())
        # Two of commit and one of overage.
        three = App(world, agent.socket, extra=["--count", "3"])
        lease = three.wait()
        expect(lease and (lease["count"], lease["type"]) == (3, "overage"),
               "%s %s" % (lease, three.errors()))
        two = App(world, agent.socket, extra=["--count", "2"])
        expect(two.wait() is None and two.status == 3, two.errors())
        shown = site.cli("--json", "license", "list").json()["items"][0]
        expect((shown["used_commit"], shown["used_overage"]) == (3, 1), shown)
        # It waits for both, and nobody takes the one that is free.
        waits = Waiter(world, agent, extra=["--count", "2"]).wait_place(1)
        single = App(world, agent.socket, name="single")
        expect(single.wait() is None and single.status == 3,
               single.errors())
        one.stop()
        expect(waits.wait_granted(5)["count"] == 2, waits.said)
        three.stop()
        waits.stop()
        wait_for(lambda: not site.leases(), "the seats come back", 5)
        facts = site.verify()
        expect(facts["overage"] == 2, facts)


# --- the command line -------------------------------------------------------


def said(world, name):
    with open(world.path(name + ".log"), errors="replace") as f:
        return f.read()


def ctrl_c_leaves_the_queue():
    with World() as world:
        site, agent = setting(world, commit=1, overage=0)
        holder = App(world, agent.socket)
        expect(holder.wait(), holder.errors())
        for words in (["checkout", PRODUCT], ["run", PRODUCT]):
            process = world.start(
                words[0], [binary("leasehold"), *words, "--version", "8.1.0",
                           "--wait", "1m"]
                + (["--", "touch", world.path("ran")]
                   if words[0] == "run" else []),
                env=dict(agent.env, LEASEHOLD_CONFIG="/dev/null"))
            wait_for(lambda: len(waiting(site)) == 1, "it waits")
            process.send_signal(signal.SIGINT)
            expect(process.wait(5 * SLOW) == 130, "status %d: %s"
                   % (process.returncode, said(world, words[0])))
            wait_for(lambda: not waiting(site), "it left the queue", 3)
        expect(not os.path.exists(world.path("ran")), "it ran unlicensed")


def a_terminal_shows_the_place_in_one_line():
    with World() as world:
        site, agent = setting(world, commit=1, overage=0)
        holder = App(world, agent.socket)
        expect(holder.wait(), holder.errors())
        ahead = Waiter(world, agent).wait_place(1)
        controller, terminal = pty.openpty()
        env = dict(os.environ, TERM="xterm", LEASEHOLD_CONFIG="/dev/null",
                   LEASEHOLD_SOCKET=agent.socket)
        process = subprocess.Popen(
            [binary("leasehold"), "run", PRODUCT, "--version", "8.1.0",
             "--wait", "1m", "--", "echo", "it runs"], env=env,
            stdin=terminal, stdout=terminal, stderr=terminal,
            start_new_session=True)
        world.started.append(process)
        os.close(terminal)
        shown = []

        def screen():
            while select.select([controller], [], [], 0)[0]:
                try:
                    shown.append(os.read(controller, 4096).decode())
                except OSError:
                    break  # the last one closed it
            return "".join(shown)
        wait_for(lambda: "place 2 of 2" in screen(), "its place")
        ahead.kill()
        wait_for(lambda: "place 1 of 1" in screen(), "its new place")
        expect("\n" not in screen(), "lines were wasted: " + repr(screen()))
        holder.stop()
        expect(process.wait(10 * SLOW) == 0, "status %d: %r"
               % (process.returncode, screen()))
        expect(screen().endswith("\r\033[Kit runs\r\n"), repr(screen()))
        os.close(controller)


if __name__ == "__main__":
    sys.exit(main([
        three_waiters_get_the_one_seat_in_order,
        a_newcomer_is_refused_while_a_turn_is_offered,
        who_waits_longer_than_a_lease_lives_gets_a_good_one,
        who_leaves_passes_the_turn_on,
        a_killed_agent_holds_nobody_up,
        a_wait_that_is_over_is_a_refusal,
        an_admin_takes_a_waiter_out,
        the_site_is_killed_while_they_wait,
        the_keeper_is_killed_while_they_wait,
        the_agent_is_restarted_while_they_wait,
        the_line_is_cut_while_they_wait,
        features_have_seats_and_queues_of_their_own,
        many_seats_are_taken_all_or_none,
        ctrl_c_leaves_the_queue,
        a_terminal_shows_the_place_in_one_line,
    ]))
