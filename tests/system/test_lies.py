#!/usr/bin/python3
"""Lies that the library refuses, told by programs that know the protocol."""

import os
import sys

from harness import (Agent, App, World, Site, binary, expect, main, terms,
                     wait_for)


def setting(world):
    site = Site(world)
    site.start()
    site.install(terms())
    agent = Agent(world)
    agent.start()
    agent.enroll(site)
    return site, agent


def liar(world, agent, lie):
    path = world.path(lie + ".sock")
    world.start("liar-" + lie, [binary("tests/system/liar_tool"), "--socket",
                                path, "--agent", agent.socket, "--lie", lie])
    wait_for(lambda: os.path.exists(path), "the liar listens")
    return path


def told(world, socket_path, name):
    app = App(world, socket_path, name=name)
    expect(app.wait() is None, "the lie was believed: %s" % app.lease)
    expect(app.status == 1, "status %d" % app.status)
    return app.errors()


def a_lease_that_is_in_no_journal_is_refused():
    with World() as world:
        site, agent = setting(world)
        words = told(world, liar(world, agent, "journal"), "app")
        expect("journal" in words, words)


def an_answer_of_a_fake_site_is_refused():
    with World() as world:
        site, agent = setting(world)
        words = told(world, liar(world, agent, "site"), "app")
        expect("sign" in words, words)


def a_replayed_grant_is_refused():
    with World() as world:
        site, agent = setting(world)
        path = liar(world, agent, "replay")
        first = App(world, path, name="first")
        expect(first.wait(), "the first one's own grant is true")
        first.kill()
        told(world, path, "second")


def another_vendors_key_is_refused():
    with World() as world, World() as other:
        site, agent = setting(world)
        app = App(world, agent.socket, vendor_key=other.vendor_key)
        expect(app.wait() is None, "it was believed")
        expect(app.status == 1, "status %d" % app.status)


def a_store_put_back_to_an_earlier_copy_is_noticed():
    """Its witness with it, so that the site itself sees nothing."""
    with World() as world:
        site, agent = setting(world)
        site.stop()
        copy = site.snapshot()
        site.start()
        agent.wait_connected()
        app = App(world, agent.socket, state=world.path("home"))
        expect(app.wait(), app.errors())
        app.stop()
        site.stop()
        agent.stop()
        site.put_back(copy, witness=True)
        site.start()
        expect(not site.ready().get("rolled_back"), "the site noticed")
        # A workstation that was never there before notices nothing; an
        # application that was there does.
        second = Agent(world, "second")
        second.start()
        second.enroll(site)
        app = App(world, second.socket, state=world.path("home"))
        expect(app.wait() is None, "the old copy was believed")
        expect(app.status == 1, "status %d: %s" % (app.status, app.errors()))
        expect("rolled back" in app.errors() or "fork" in app.errors(),
               app.errors())
        # And so does the agent that was there.
        agent.start()
        wait_for(lambda: "rolled back" in agent.status().get("trouble", ""),
                 "the agent names it", 10)
        # What it holds bears the site's own signature: now the site knows.
        wait_for(lambda: site.ready().get("rolled_back"),
                 "the site does not notice", 10)


if __name__ == "__main__":
    sys.exit(main([
        a_lease_that_is_in_no_journal_is_refused,
        an_answer_of_a_fake_site_is_refused,
        a_replayed_grant_is_refused,
        another_vendors_key_is_refused,
        a_store_put_back_to_an_earlier_copy_is_noticed,
    ]))
