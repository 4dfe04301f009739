#!/usr/bin/python3
"""The agent is killed while seats are held: who held them still hears."""

import os
import pwd
import signal
import socket
import sys

from harness import (AS_ROOT, PRODUCT, SLOW, Agent, World, Site, binary,
                     children, expect, main, run, terms, wait_for)


def setting(world):
    site = Site(world)
    site.start()
    site.install(terms())
    agent = Agent(world)
    agent.start()
    agent.enroll(site)
    return site, agent


def holder(world, agent, *args):
    """A `leasehold` that holds a seat; what it says is in holder.log."""
    return world.start("holder", [binary("leasehold"), *args],
                       env=dict(agent.env, LEASEHOLD_CONFIG="/dev/null"))


def said(world):
    with open(world.path("holder.log"), errors="replace") as f:
        return f.read()


def checkout(world, agent):
    process = holder(world, agent, "checkout", PRODUCT, "--version", "8.1.0")
    wait_for(lambda: "lease-1:" in said(world), "the seat is taken")
    return process


def sockets(pid):
    found = 0
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            found += os.readlink("/proc/%d/fd/%s" % (pid, fd)).startswith(
                "socket:")
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def kill_keeper(agent, process):
    """And wait until the agent and the program are back in their places."""
    before = agent.child("keeper")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: agent.child("keeper") != before, "another keeper")
    agent.wait_connected()
    wait_for(lambda: sockets(process.pid) == 1, "the program reconnects")


def kill_agent(agent):
    family = [agent.child("keeper"), agent.child("uplink")]
    agent.process.kill()
    agent.process.wait()
    for pid in family:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it died with its parent


def ends(world, process, status):
    expect(process.wait(20 * SLOW) == status, "status %d: %s"
           % (process.returncode, said(world)))


def checkout_hears_of_a_release_after_the_keeper_was_killed():
    with World() as world:
        site, agent = setting(world)
        process = checkout(world, agent)
        for _ in range(2):
            kill_keeper(agent, process)
        expect([l["lease"] for l in site.leases()] == [1], site.leases())
        expect(process.poll() is None, "it ended: " + said(world))
        done = site.cli("leases", "release", "lease-1")
        expect(done.status == 0, done.err)
        ends(world, process, 3)
        expect(said(world).count("lease-1 has ended") == 1, said(world))


def checkout_hears_of_a_release_while_no_agent_ran():
    with World() as world:
        site, agent = setting(world)
        process = checkout(world, agent)
        kill_agent(agent)
        done = site.cli("leases", "release", "lease-1")
        expect(done.status == 0, done.err)
        expect(process.poll() is None, "it ended: " + said(world))
        agent.start()
        ends(world, process, 3)


def checkout_hears_that_somebody_gave_its_seat_back():
    with World() as world:
        site, agent = setting(world)
        process = checkout(world, agent)
        back = run(binary("leasehold"), "return", "lease-1", env=agent.env)
        expect(back.status == 0, back.err)
        ends(world, process, 3)
        expect(said(world).count("lease-1 has ended") == 1, said(world))
        expect(not site.leases(), site.leases())


def checkout_gives_its_seat_back_after_the_keeper_was_killed():
    with World() as world:
        site, agent = setting(world)
        process = checkout(world, agent)
        kill_keeper(agent, process)
        process.send_signal(signal.SIGINT)
        ends(world, process, 0)
        wait_for(lambda: not site.leases(), "the seat comes back", 5)


def a_signal_ends_checkout_while_no_agent_runs():
    with World() as world:
        site, agent = setting(world)
        process = checkout(world, agent)
        kill_agent(agent)
        process.send_signal(signal.SIGTERM)
        ends(world, process, 0)


def run_hears_of_a_release_after_the_keeper_was_killed():
    with World() as world:
        site, agent = setting(world)
        process = holder(world, agent, "run", PRODUCT, "--version", "8.1.0",
                         "--", "sh", "-c",
                         "while [ ! -e %s ]; do sleep 0.1; done; exit 5"
                         % world.path("end"))
        wait_for(site.leases, "the seat is taken")
        kill_keeper(agent, process)
        done = site.cli("leases", "release", "lease-1")
        expect(done.status == 0, done.err)
        wait_for(lambda: "lease-1 has ended" in said(world), "it is told")
        expect(process.poll() is None, "the command was ended")
        with open(world.path("end"), "w"):
            pass
        ends(world, process, 5)


def start_part(agent, part):
    return agent.world.start("%s-%s" % (agent.name, part),
                             [binary("leasehold-agent"), "--config",
                              agent.config, "--part", part])


def keeper_and_uplink_are_programs_of_their_own():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        agent = Agent(world)
        agent.process = start_part(agent, "keeper")
        wait_for(agent.status, "the keeper does not answer")
        expect(not children(agent.process.pid).get("uplink"),
               "it has an uplink")
        uplink = start_part(agent, "uplink")
        agent.enroll(site)
        process = checkout(world, agent)

        # Another takes the place of one that was killed, as systemd does it.
        uplink.kill()
        uplink.wait()
        wait_for(lambda: not agent.status().get("connected"),
                 "nobody misses the uplink")
        uplink = start_part(agent, "uplink")
        agent.wait_connected()

        # Without its keeper it ends, to be started again.
        os.kill(agent.child("keeper"), signal.SIGKILL)
        uplink.wait(timeout=30)
        wait_for(agent.status, "the keeper does not come back")
        start_part(agent, "uplink")
        agent.wait_connected()
        wait_for(site.leases, "the seat was lost")
        expect(process.poll() is None, "the command was ended")


def only_the_uplinks_user_is_let_in():
    if not AS_ROOT:
        print("# one user: nobody else can knock")
        return
    with World() as world:
        agent = Agent(world, config="user=daemon\nuplink_user=nobody\n")
        agent.process = start_part(agent, "keeper")
        wait_for(agent.status, "the keeper does not answer")
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(30)
            stranger.connect(agent.socket + ".uplink")
            expect(stranger.recv(1) == b"", "root is let in")
        uplink = start_part(agent, "uplink")
        wait_for(lambda: "is connected" in log_of(world, agent, "keeper"),
                 "nobody is not let in")
        expect("is none of ours" in log_of(world, agent, "keeper"), "silence")
        with open("/proc/%d/status" % uplink.pid) as file:
            uids = [line.split()[1:] for line in file
                    if line.startswith("Uid:")][0]
        expect(set(uids) == {str(pwd.getpwnam("nobody").pw_uid)},
               "it is %s" % uids)


def an_uplink_without_a_keeper_says_so_and_ends():
    with World() as world:
        agent = Agent(world)
        uplink = start_part(agent, "uplink")
        expect(uplink.wait(timeout=30) == 1, "status %d" % uplink.returncode)
        expect("no keeper at" in log_of(world, agent, "uplink"), "silence")


def log_of(world, agent, part):
    with open(world.path("%s-%s.log" % (agent.name, part)),
              errors="replace") as file:
        return file.read()


if __name__ == "__main__":
    sys.exit(main([
        keeper_and_uplink_are_programs_of_their_own,
        only_the_uplinks_user_is_let_in,
        an_uplink_without_a_keeper_says_so_and_ends,
        checkout_hears_of_a_release_after_the_keeper_was_killed,
        checkout_hears_of_a_release_while_no_agent_ran,
        checkout_hears_that_somebody_gave_its_seat_back,
        checkout_gives_its_seat_back_after_the_keeper_was_killed,
        a_signal_ends_checkout_while_no_agent_runs,
        run_hears_of_a_release_after_the_keeper_was_killed,
    ]))
