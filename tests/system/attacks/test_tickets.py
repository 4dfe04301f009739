#!/usr/bin/python3
"""Attacks on applications that run offline, by an agent of the attacker's own:
it has the tickets and the device that proves them, and keeps no rule. What
the library believes is all that counts."""

import os
import sys
import time

from attack import (PRODUCT, Line, LocalLine, OwnAgent, Place, World, agent_of,
                    b64, believed, checkout_question, expect, gains,
                    machine_of, main, nonce, refused, sha256, site_of,
                    tpm_config, unb64)

KINDS = ("software", "hardware")
ALL = ("tpm", "vtpm", "software")
HOUR = 3600


class Offline:
    """A site that lends one seat, a place that borrowed it, and an agent of
    the attacker's own that serves it."""

    def __init__(self, world, kind, length_s=HOUR, seats=1):
        self.world, self.kind = world, kind
        self.site = site_of(world, commit=seats, overage=0, borrow=ALL,
                            config=tpm_config(world))
        self.license = world.path("license-1.lic")
        self.place = Place(world, self.site, "place-" + kind, kind)
        self.machine = self.place.machine
        self.line = self.place.line()
        self.lease = self.machine.borrow(self.line, length_s)["lease"]
        self.evidence, = self.machine.evidence(self.line)
        self.agent = OwnAgent(world, self.evidence, self.license,
                              self.machine, "own-" + kind)

    def runs(self, name, **what):
        """(app, words) of an application there."""
        return believed(self.world, self.agent.socket, name + self.kind,
                        **what)

    def expect_refused(self, name, *words, **what):
        app, said = self.runs(name, **what)
        expect(app is None, "%s, %s: believed" % (self.kind, name))
        expect(any(word in said for word in words), "%s: %s" % (name, said))

    def expect_honest(self, name="honest", **what):
        app, said = self.runs(name, **what)
        expect(app is not None, said)
        return app

    def again(self, evidence):
        """The same, with another ticket."""
        self.agent.evidence = evidence


def each_kind(attack, **what):
    for kind in KINDS:
        with World() as world:
            result = attack(Offline(world, kind, **what))
    return result


def an_old_ticket_is_refused_after_an_early_return():
    """Has: a device, its ticket for a seat that he gave back early, and an
    agent of his own.
    Tries: to go on with the ticket: with a fresh proof, with a proof from
    before the return, and with one in which the number is changed back.
    Gets: nothing: the fresh proof shows the higher number, the old one is over
    another nonce, and the changed one is not signed.
    """
    def attack(offline):
        app = offline.expect_honest()
        app.stop()
        old = offline.agent.proofs[-1]
        offline.line = offline.place.line()
        said = offline.machine.give_back(offline.line)
        expect(said["ended"] == 1, said)
        offline.expect_refused("fresh", "given back")
        change = {}
        offline.agent.change = lambda reply: {**reply, "proof": {
            **reply["proof"], **change}}
        change.update(counter=1)
        offline.expect_refused("forged", "not one of device")
        change.update(old)
        offline.expect_refused("replayed", "not one of device")
        # After the next borrow it is the new ticket, and only that.
        offline.agent.change = lambda reply: reply
        offline.machine.borrow(offline.line)
        fresh = [e for e in offline.machine.evidence(offline.line)]
        offline.expect_refused("old", "given back")
        offline.again(fresh[0])
        offline.expect_honest("new").stop()

    each_kind(attack)


def a_ticket_is_of_its_device():
    """Has: a true ticket, with all that stands behind it, and another device
    of the same site, with its key or TPM.
    Tries: to use the ticket there, saying who he is and who he is not, and with
    proofs of the right device that were made for something else.
    Gets: nothing: the ticket holds the key of its device.
    """
    def attack(offline):
        other = Place(offline.world, offline.site, "else", offline.kind)
        true = offline.machine
        offline.agent.machine = other.machine
        offline.expect_refused("own", "another device")
        other.machine.device = true.device
        offline.expect_refused("poses", "not one of device")
        offline.agent.machine = true
        for purpose in ("login", "enroll", "return"):
            offline.agent.prove = lambda n, p=purpose: true.proof(
                p, nonce=n, digest=digest(offline.evidence))
            offline.expect_refused(purpose, "not one of device")
        # Over the nonce, and not over the ticket.
        offline.agent.prove = lambda n: true.proof("borrow", nonce=n)
        offline.expect_refused("bare", "not one of device")
        del offline.agent.prove
        offline.expect_honest().stop()

    each_kind(attack)


def digest(evidence):
    return sha256(unb64(evidence["row"]))


def a_changed_ticket_stands_in_no_journal():
    """Has: a ticket, and an agent of his own.
    Tries: to change it, byte by byte (its length, window, number, seats, key),
    and to say that it is another row, or of another batch.
    Gets: nothing: the row stands in the batch that the site signed.
    """
    def attack(offline):
        row = unb64(offline.evidence["row"])
        step = max(1, len(row) // 40)
        true = offline.evidence
        for at in range(0, len(row), step):
            bad = row[:at] + bytes([row[at] ^ 1]) + row[at + 1:]
            offline.again({**true, "row": b64(bad)})
            offline.expect_refused("byte%d" % at, "does not stand in batch")
        offline.again({**true, "row_number": true["row_number"] + 1})
        offline.expect_refused("number", "does not stand in batch")
        offline.again(true)
        offline.expect_honest().stop()

    each_kind(attack)


def an_application_cannot_log_in_through_its_nonce():
    """Has: an application on a workstation whose agent is honest, with a
    borrowed seat; and a connection of his own to the site.
    Tries: to give the site's nonce for his own, so that the agent proves over
    it, and to log in, to borrow or to return with that proof.
    Gets: nothing: what an agent makes for applications has the purpose of
    borrowing and is over a ticket; a login's has another, and a connection.
    """
    with World() as world:
        site = site_of(world, commit=2, overage=0, borrow=ALL,
                       config=tpm_config(world))
        agent = agent_of(world, site)
        local = LocalLine(agent.socket)
        lease = local.call("borrow.take", product=PRODUCT, version="8.1.0",
                          length_s=HOUR, request=b64(os.urandom(16)))["lease"]
        device = agent.status()["device"]

        def agent_proves(over):
            said = local.call("lease.checkout", product=PRODUCT,
                             version="8.1.0", nonce=over,
                             request=b64(os.urandom(16)))
            expect(said["lease"] == lease and said["proof"]["counter"], said)
            local.call("lease.return", lease=lease, count=1)
            return said["proof"]

        line = Line(site)
        said = line.hello(device)
        refused("bad_proof", line.ask, "session.prove",
                proof=agent_proves(said["nonce"]))
        over = nonce()
        refused("unauthenticated", line.ask, "borrow.return", nonce=over,
                proof=agent_proves(over))
        # As who owns the device, logged in: still neither asks nor gives.
        agent.stop()
        machine = machine_of(agent)
        line = Line(site)
        machine.login(line)
        row, = machine.evidence(line)
        over = line.ask("borrow.challenge")["nonce"]
        ticket_proof = machine.proof("borrow", nonce=over, digest=digest(row))
        refused("bad_proof", line.ask, "borrow.take", length_s=HOUR,
                ask=checkout_question(nonce=over), proof=ticket_proof)
        refused("bad_proof", line.ask, "borrow.return", nonce=over,
                proof=ticket_proof)


def one_ticket_may_serve_many_places():
    """Has: a device with one borrowed seat, and an agent of his own that
    answers applications on any number of machines.
    Tries: to let many applications run on the one seat: each asks, each gets a
    fresh proof.
    Gets: it: a ticket proves access to a device, not a place nor a number of
    programs. Each needs a proof an hour, the device must stay powered and
    within reach, and the ticket's time runs for all of them.
    """
    def attack(offline):
        apps = [offline.expect_honest("many%d" % i) for i in range(4)]
        expect(len(offline.site.leases()) == 1, offline.site.leases())
        began = time.monotonic()
        n = 10
        for _ in range(n):
            offline.agent.prove(nonce())
        each = (time.monotonic() - began) / n
        for app in apps:
            app.stop()
        return gains("%d applications on 1 borrowed seat were believed; a "
                     "proof took %.0f ms here, so about %d an hour would be",
                     len(apps), each * 1000, int(HOUR / each))

    return each_kind(attack)


if __name__ == "__main__":
    sys.exit(main([], together=[
        an_old_ticket_is_refused_after_an_early_return,
        a_ticket_is_of_its_device,
        a_changed_ticket_stands_in_no_journal,
        an_application_cannot_log_in_through_its_nonce,
        one_ticket_may_serve_many_places,
    ]))
