#!/usr/bin/python3
"""Attacks with copies of a workstation's disk: the whole of what the agent
keeps, on another machine, or on the same one after a return."""

import os
import shutil
import sys

from attack import (PRODUCT, Agent, Tpm, World, believed, expect, gains, main,
                    site_of, take, token_for, tpm_config, wait_for)


def borrowed(world, kind="hardware"):
    """A workstation with a borrowed seat; the site is switched off then."""
    site = site_of(world, commit=1, overage=0,
                   borrow=("tpm", "vtpm", "software"),
                   config=tpm_config(world))
    tpm = None if kind == "software" else Tpm(world, kind)
    agent = Agent(world, "agent", tpm=tpm)
    agent.start()
    agent.enroll(site, token_for(site, kind))
    done = agent.cli("borrow", "take", PRODUCT, "--version", "8.1.0", "--for",
                     "2d")
    expect(done.status == 0, done.err)
    return site, agent


def offline(site, agent):
    site.stop()
    wait_for(lambda: not agent.status().get("connected"), "still connected")


def copy_disk(agent, target):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(agent.state, target, symlinks=True)


def a_disk_on_another_machine_is_no_device():
    """Has: a copy of everything that the agent of a workstation keeps, with a
    borrowed seat, and another machine with a TPM of its own.
    Tries: to start an agent there on the copy, with the site away and with the
    site there.
    Gets: nothing: key and counter are in the first machine's TPM. There all
    goes on.
    """
    with World() as world:
        site, agent = borrowed(world)
        agent.stop()
        copy_disk(agent, world.path("thief"))
        thief = Agent(world, "thief", tpm=Tpm(world))
        thief.start()
        wait_for(lambda: thief.status().get("key_trouble") or
                 thief.status().get("trouble"), "no trouble")
        expect(not thief.status().get("connected"), thief.status())
        app, words = believed(world, thief.socket, "online")
        expect(app is None, "a seat: %s" % thief.status())
        offline(site, thief)
        app, words = believed(world, thief.socket, "stolen")
        expect(app is None and "not the one" in words, words)
        thief.stop()
        agent.start()  # the honest way
        app = take(world, agent.socket, "honest")
        expect(app.lease["lease"], "no lease")


def a_ticket_among_another_machines_own_is_worth_nothing():
    """Has: two workstations of one site, each with a TPM and enrolled; one has
    borrowed the seat.
    Tries: to copy the book of borrows and what stands behind it to the other,
    whose own identity stays.
    Gets: nothing: the other's TPM proves as another device.
    """
    with World() as world:
        site, agent = borrowed(world)
        second = Agent(world, "second", tpm=Tpm(world))
        second.start()
        second.enroll(site, token_for(site, "hardware"))
        second.stop()
        offline(site, agent)
        for name in os.listdir(agent.state):
            source = os.path.join(agent.state, name)
            target = os.path.join(second.state, name)
            if name in ("identity", "site.json", "lock"):
                continue
            if os.path.isdir(source):
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copy(source, target)
        second.start()
        app, words = believed(world, second.socket, "copied")
        expect(app is None, "it runs on another machine's ticket")
        take(world, agent.socket, "honest")


def a_disk_put_back_after_an_early_return_has_nothing():
    """Has: a workstation with a TPM, and a snapshot of its disk from when it
    had borrowed a seat.
    Tries: to give the seat back early, to put the snapshot back, and to run
    offline on the ticket in it.
    Gets: nothing: the counter in the TPM went on, and the ticket is for the
    number before.
    """
    with World() as world:
        site, agent = borrowed(world)
        take(world, agent.socket, "before").stop()  # the honest way
        agent.stop()
        copy_disk(agent, world.path("snapshot"))
        agent.start()
        agent.wait_connected()
        done = agent.cli("borrow", "return", "--all")
        expect(done.status == 0, done.err)
        expect(not site.leases(), site.leases())
        agent.stop()
        site.stop()
        shutil.rmtree(agent.state)
        shutil.copytree(world.path("snapshot"), agent.state, symlinks=True)
        agent.start()
        app, words = believed(world, agent.socket, "again")
        expect(app is None, "the old ticket is good")
        # The site comes back: it lends anew, to the same device.
        agent.stop()
        site.start()
        agent.start()
        agent.wait_connected()
        done = wait_for(lambda: (d := agent.cli(
            "borrow", "take", PRODUCT, "--version", "8.1.0", "--for", "1h"))
            .status == 0 and d, "it does not borrow again", 15)
        site.stop()
        take(world, agent.socket, "honest")


def a_copied_key_file_runs_offline_in_two_places():
    """Has: a copy of everything that the agent of a workstation without a TPM
    keeps, with a borrowed seat, of a license that lends to such.
    Tries: to start an agent on the copy, on another machine, both offline.
    Gets: the seat in as many places as he has copies, to the end of the ticket:
    that is why such a class borrows only where the vendor says so.
    """
    with World() as world:
        site, agent = borrowed(world, "software")
        agent.stop()
        copies = ["copy%d" % i for i in range(2)]
        for name in copies:
            copy_disk(agent, world.path(name))
        agent.start()
        site.stop()
        take(world, agent.socket, "first")
        ran = 0
        for name in copies:
            copy = Agent(world, name)
            copy.start()
            app, words = believed(world, copy.socket, name + "-app")
            ran += app is not None
        return gains("%d of %d copies run beside the original, on 1 seat, to "
                     "the end of the ticket (class software alone)", ran,
                     len(copies))


if __name__ == "__main__":
    sys.exit(main([], together=[
        a_disk_on_another_machine_is_no_device,
        a_ticket_among_another_machines_own_is_worth_nothing,
        a_disk_put_back_after_an_early_return_has_nothing,
        a_copied_key_file_runs_offline_in_two_places,
    ]))
