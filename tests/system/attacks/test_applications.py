#!/usr/bin/python3
"""Attacks on applications: by an agent that somebody changed, by a site of
somebody's own, and by who owns the true site and lies."""

import json
import sys
import time

from attack import (SLOW, PatchedAgent, Site, World, agent_of, believed,
                    expect, gains, main, point_agent_at, site_of, take, terms,
                    tool, wait_for)

TTL_S = 3 * SLOW


def last_word(app):
    """What it last said of its seat (--watch)."""
    line = app.process.stdout.readline()
    while line:
        said = json.loads(line)
        if said.get("event") == "lost":
            return None
        if said.get("event") == "valid":
            return said["valid"]
        line = app.process.stdout.readline()
    return None


def valid_for(app, most_s):
    """Seconds from now until it stops believing in its seat."""
    began = time.monotonic()
    while time.monotonic() - began < most_s:
        if not last_word(app):
            return time.monotonic() - began
    return most_s


class SaysRenewed(PatchedAgent):
    """Cut off, it goes on to say that leases are renewed: with the last true
    beat, or with one of its own."""

    cut = False
    state = None  # of a site whose key it has
    header = None
    last = None
    lies = 0

    def answer(self, message, asked):
        result = message.get("result", {})
        if "header" in result:
            self.header = result["header"]
        if "beat" in result:
            self.last = result
        return message

    def question(self, message, say):
        if not self.cut or message.get("method") != "lease.renew":
            return message
        self.lies += 1
        asked = message["params"]
        result = self.last
        if self.lies % 2 or result is None:
            result = tool("beat", header=self.header, lease=asked["lease"],
                          nonce=asked["nonce"], ttl_s=TTL_S, state=self.state)
        say({"jsonrpc": "2.0", "id": message["id"], "result": result})
        return None


def an_agent_that_says_renewed_is_not_believed():
    """Has: an agent that he changed, on a machine that is cut off.
    Tries: to keep an application running for ever: it is told that its lease
    is renewed, with the last true beat and with beats of his own making.
    Gets: the time that the site signed before the cut, and not a second more:
    a beat answers the application's fresh nonce, under the site's key.
    """
    with World() as world:
        site = site_of(world, ttl_s=TTL_S, grace_s=0)
        agent = agent_of(world, site)
        liar = SaysRenewed(world, agent)
        app = take(world, liar.socket, extra=["--watch"])
        # The honest way: it is renewed well beyond its first span.
        end = time.monotonic() + TTL_S + 1.5
        while time.monotonic() < end:
            expect(last_word(app), "not renewed: " + app.errors())
        liar.cut = True
        lasted = valid_for(app, 4 * TTL_S)
        expect(liar.lies >= 2, "it lied %d times" % liar.lies)
        expect(lasted <= TTL_S + 1.5 * SLOW, "valid for %.1f s more" % lasted)
        return gains("at most the span of %d s that the site had signed (%.1f "
                     "s, looked at each second)", TTL_S, lasted)


class KeepsTwoBooks(PatchedAgent):
    """Has the site's own key: when every seat is taken it grants one more, in
    a batch that stands beside the true one."""

    state = None
    first = None
    invented = 0

    def question(self, message, say):
        if self.invented and message.get("method") == "lease.renew":
            asked = message["params"]
            if asked["lease"] == self.invented:
                say({"jsonrpc": "2.0", "id": message["id"], "result": tool(
                    "beat", header=self.header, lease=asked["lease"],
                    nonce=asked["nonce"], ttl_s=TTL_S, state=self.state)})
                return None
        return message

    def answer(self, message, asked):
        if asked is None or asked.get("method") != "lease.checkout":
            return message
        if "error" not in message:
            self.first = message["result"]
            return message
        self.invented = self.first["lease"] + 1
        said = tool("forge", state=self.state, header=self.first["header"],
                    row=self.first["row"], lease=self.invented,
                    row_number=self.first["row_number"],
                    nonce=asked["params"]["nonce"])
        self.header = said["header"]
        return {"jsonrpc": "2.0", "id": message["id"], "result": {
            **self.first, **said, "lease": self.invented, "path": "",
            "inclusion": "", "consistency": ""}}


def a_second_journal_shows_where_the_two_meet():
    """Has: the true site's own key (root on a box that is not our image, its
    key in a file) and an agent that he changed.
    Tries: to sign a second journal beside the true one, with more leases in it
    than the license has seats.
    Gets: seats for applications that he keeps apart from the true journal for
    ever. The first application that has seen one and is shown the other stops,
    and says that the site keeps two.
    """
    with World() as world:
        site = site_of(world, commit=1, overage=0, ttl_s=TTL_S, grace_s=0)
        agent = agent_of(world, site)
        liar = KeepsTwoBooks(world, agent)
        # Without the site's key it is nothing.
        one = take(world, liar.socket, "one")
        app, words = believed(world, liar.socket, "none")
        expect(app is None and "sign" in words, "believed: " + words)
        liar.state = site.state
        two = take(world, liar.socket, "two", extra=["--watch"])
        expect(two.lease["lease"] == liar.invented, "not the invented one")
        expect(len(site.leases()) == 1, site.leases())
        lasted = valid_for(two, TTL_S + 2)
        expect(lasted >= TTL_S + 2, "it lasted %.1f s" % lasted)
        two.stop()
        one.stop()
        wait_for(lambda: not site.leases(), "the true one is returned")
        # It has seen the second journal: now it is shown the true one.
        app, words = believed(world, agent.socket, "two")
        expect(app is None and "does not stand there now" in words, words)
        # And who has seen the true one does not take up the second.
        seen = take(world, agent.socket, "seen")
        app, words = believed(world, liar.socket, "seen")
        expect(app is None and "does not continue" in words, words)
        seen.stop()
        return gains("1 seat beyond the 1 licensed, for as long as he signs "
                     "for it, at an application that never meets the true "
                     "journal")


def a_fake_site_with_a_true_license_is_refused():
    """Has: a true license with its issuer's document, and a site of his own,
    with keys of its own.
    Tries: to install it there; and to answer an application in the site's
    place, showing it.
    Gets: nothing: the license names the key that must sign the journal.
    """
    with World() as world:
        site = Site(world)
        site.start()
        license = world.issue(site, terms())
        fake = Site(world, "fake")
        fake.start()
        done = fake.cli("--json", "license", "install", license)
        expect(done.status != 0 and "site" in done.err, done.out + done.err)
        done = site.cli("--json", "license", "install", license)
        expect(done.status == 0, done.err)  # the honest way
        agent = agent_of(world, site)
        liar = KeepsTwoBooks(world, agent)
        honest = take(world, liar.socket, "honest")
        expect(honest.lease["lease"], "no lease")
        fake_key = {"state": fake.state}

        def from_fake(message, asked):
            if asked and asked.get("method") == "lease.checkout":
                told = message["result"]
                message["result"] = {**told, **tool(
                    "forge", header=told["header"], row=told["row"],
                    row_number=told["row_number"], lease=told["lease"],
                    nonce=asked["params"]["nonce"], **fake_key), "path": ""}
            return message

        liar.answer = from_fake
        app, words = believed(world, liar.socket, "fooled")
        expect(app is None and "not signed with the key" in words, words)
        # With the license's own key the same forgery holds: that, and nothing
        # else, is what was missing.
        fake_key["state"] = site.state
        app, words = believed(world, liar.socket, "same")
        expect(app is not None, words)
        # Nor does an agent take one site for another on its way.
        agent.stop()
        point_agent_at(agent, fake.port)
        agent.start()
        wait_for(lambda: agent.status().get("trouble"), "no trouble")
        expect(not agent.status().get("connected") and
               fake.ready()["sessions"] == 0, agent.status())


if __name__ == "__main__":
    sys.exit(main([], together=[
        an_agent_that_says_renewed_is_not_believed,
        a_second_journal_shows_where_the_two_meet,
        a_fake_site_with_a_true_license_is_refused,
    ]))
