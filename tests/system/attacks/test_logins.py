#!/usr/bin/python3
"""Attacks on logins: proofs that are relayed, replayed, made for something
else, or changed."""

import os
import select
import socket
import sys
import threading

from attack import (Line, Machine, Tls, World, agent_of, b64, checkout,
                    expect, gains, machine_of, main, nonce, point_agent_at,
                    refused, site_of, unb64, wait_for)

# Order of the group of Ed25519: s and s + L sign the same to who does not look.
L = 2 ** 252 + 27742317777372353535851937790883648493
DEVICE = 1


def stopped_device(world, site, name="agent"):
    """An enrolled agent that is switched off, and its folder as a machine."""
    agent = agent_of(world, site, name)
    agent.stop()
    return agent, machine_of(agent)


class Between(threading.Thread):
    """Who stands between an agent and its site, either with the site's TLS key
    (two connections, and he reads all) or as a mere wire."""

    def __init__(self, site, reads):
        super().__init__(daemon=True)
        self.site, self.reads = site, reads
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = []
        self.start()

    def run(self):
        while True:
            try:
                victim, _ = self.listener.accept()
                self.relay(victim)
            except (OSError, ConnectionError):
                if self.listener.fileno() < 0:
                    return

    def relay(self, victim):
        far = socket.create_connection(("127.0.0.1", self.site.port))
        if self.reads:
            tls = os.path.join(self.site.state, "tls")
            victim = Tls(victim, (os.path.join(tls, "server.pem"),
                                  os.path.join(tls, "server.key")))
            far = Tls(far)
        pairs = {victim: far, far: victim}
        while True:
            ready = [end for end in pairs if self.reads and end.pending()]
            ready = ready or select.select(list(pairs), [], [])[0]
            for end in ready:
                data = end.recv(65536)
                if not data:
                    victim.close()
                    far.close()
                    return
                self.heard.append(data)
                pairs[end].sendall(data)


def a_login_passed_on_by_who_stands_between_is_refused():
    """Has: the site's TLS key (a taken front, or a proxy that breaks TLS
    open), and a way into the traffic of a device.
    Tries: to pass the device's login on over a connection of his own to the
    site, and to go on as the device.
    Gets: nothing: the proof is over the TLS connection that the device sees,
    and his is another. As a mere wire he may pass bytes on, unread.
    """
    with World() as world:
        site = site_of(world)
        agent = agent_of(world, site)
        agent.stop()
        wire = Between(site, reads=False)
        point_agent_at(agent, wire.port)
        agent.start()
        agent.wait_connected()
        expect(wire.heard and b'"nonce":' not in b"".join(wire.heard),
               "it was not over the wire, or readable")
        agent.stop()
        spy = Between(site, reads=True)
        point_agent_at(agent, spy.port)
        agent.start()
        wait_for(lambda: "bad_proof" in str(agent.status()) or
                 agent.status().get("cause") == "bad_proof",
                 "not refused: %s" % agent.status(), 10)
        expect(b'"nonce":' in b"".join(spy.heard), "he read nothing")
        expect(site.ready()["sessions"] == 0, "somebody is logged in")
        spy.listener.close()
        wire.listener.close()


def the_owner_of_a_device_may_log_in_elsewhere_with_it():
    """Has: the device itself: its folder, and who makes its proofs (its TPM).
    Tries: to have it prove over the connection of another machine, and to
    take a seat there.
    Gets: one session, as the device; no second one beside it: the newer closes
    the older, and the admin sees from where.
    """
    with World() as world:
        site = site_of(world)
        agent, machine = stopped_device(world, site)
        elsewhere = Line(site)
        machine.login(elsewhere)
        expect(checkout(elsewhere)["lease"], "no lease")
        # Two at once: the first is closed.
        second = Line(site)
        machine.login(second)
        expect(elsewhere.close_code() != 0, "both are logged in")
        expect(site.ready()["sessions"] == 1, "two sessions")
        expect(len(site.leases()) == 1, site.leases())
        return gains("what the device itself may have, at one other place at "
                     "a time: %d session, %d seat", 1, 1)


def an_old_login_proof_is_worth_nothing():
    """Has: a device's login, recorded with its nonce and its proof.
    Tries: to say the same again on a connection of his own.
    Gets: nothing: the site draws a nonce for each hello.
    """
    with World() as world:
        site = site_of(world)
        agent, machine = stopped_device(world, site)
        line = Line(site)
        said = line.hello(DEVICE)
        proof = machine.login_proof(line)
        expect(line.ask("session.prove", proof=proof)["device"] == DEVICE,
               "the honest way")
        replay = Line(site)
        expect(replay.hello(DEVICE)["nonce"] != said["nonce"], "same nonce")
        refused("bad_proof", replay.ask, "session.prove", proof=proof)
        # Nor by the right connection with the right nonce, for who he is not.
        other, theirs = stopped_device(world, site, "other")
        line = Line(site)
        line.hello(theirs.device)
        refused("bad_proof", line.ask, "session.prove",
                proof=machine.login_proof(line, device=theirs.device))
        expect(theirs.login(Line(site))["device"] == theirs.device, "honest")


def a_nonce_is_for_one_proof():
    """Has: a device, and the nonce of a hello that was answered already.
    Tries: to prove over it once more, after a proof that held, and after one
    that did not.
    Gets: nothing: a nonce is used up by the first proof, whatever comes of it.
    """
    with World() as world:
        site = site_of(world)
        agent, machine = stopped_device(world, site)
        line = Line(site)
        machine.login(line)
        refused("unauthenticated", line.ask, "session.prove",
                proof=machine.login_proof(line))
        line = Line(site)
        line.hello(DEVICE)
        good = machine.login_proof(line)
        refused("bad_proof", line.ask, "session.prove",
                proof={**good, "counter": good["counter"] + 1})
        refused("unauthenticated", line.ask, "session.prove", proof=good)


def a_proof_for_another_purpose_logs_nobody_in():
    """Has: proofs of the device that were made for something else (enrolling,
    borrowing, returning), over a nonce and a connection of his choice.
    Tries: to log in with them.
    Gets: nothing: the purpose is in what is signed, and the agent sets it.
    """
    with World() as world:
        site = site_of(world)
        agent, machine = stopped_device(world, site)
        for purpose in ("enroll", "borrow", "return"):
            line = Line(site)
            said = line.hello(DEVICE)
            refused("bad_proof", line.ask, "session.prove",
                    proof=machine.proof(purpose, nonce=said["nonce"],
                                        exporter=line.exporter))
        line = Line(site)
        # Nor for another site or tenant, though the key is the same.
        for words in ({"site": "site-0000000000000"}, {"tenant": "other"},
                      {"nonce": nonce()}, {"exporter": nonce()},
                      {"exporter": None}, {"digest": nonce()}):
            line = Line(site)
            line.hello(DEVICE)
            refused("bad_proof", line.ask, "session.prove",
                    proof=machine.login_proof(line, **words))
        expect(machine.login(Line(site))["device"] == DEVICE, "honest")


def a_changed_proof_does_not_hold():
    """Has: a proof of the device that holds, before the site has seen it.
    Tries: to send it with another counter, clock or number, or with its
    signature written in the other way that signs the same.
    Gets: nothing: all of it is signed, and a signature has one form.
    """
    with World() as world:
        site = site_of(world)
        agent, machine = stopped_device(world, site)
        before = machine.show()["counter"]

        def present(change):
            line = Line(site)
            line.hello(DEVICE)
            proof = machine.login_proof(line)
            return line, {**proof, **change(proof)}

        def malleated(proof):
            signature = unb64(proof["signature"])
            s = int.from_bytes(signature[32:], "little") + L
            expect(s < 2 ** 256, "no room for it")
            return {"signature": b64(signature[:32] +
                                     s.to_bytes(32, "little"))}

        changes = [
            lambda p: {"counter": p["counter"] + 1},
            lambda p: {"counter": p["counter"] + 2 ** 32},
            lambda p: {"clock_ms": p["clock_ms"] - 1},
            lambda p: {"resets": p["resets"] + 1},
            lambda p: {"sequence": p["sequence"] + 1},
            lambda p: {"class": "tpm"},
            lambda p: {"class": "vtpm"},
            malleated,
        ]
        for change in changes:
            line, proof = present(change)
            refused("bad_proof", line.ask, "session.prove", proof=proof)
        line, proof = present(lambda p: {})
        expect(line.ask("session.prove", proof=proof)["device"] == DEVICE,
               "the honest way")
        expect(machine.show()["counter"] == before, "it counted")


if __name__ == "__main__":
    sys.exit(main([], together=[
        a_login_passed_on_by_who_stands_between_is_refused,
        the_owner_of_a_device_may_log_in_elsewhere_with_it,
        an_old_login_proof_is_worth_nothing,
        a_nonce_is_for_one_proof,
        a_proof_for_another_purpose_logs_nobody_in,
        a_changed_proof_does_not_hold,
    ]))
