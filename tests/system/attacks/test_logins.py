#!/usr/bin/python3
"""Attacks on logins: proofs that are relayed, replayed, made for something
else, or changed."""

import os
import select
import socket
import sys
import threading

from attack import (Agent, Line, Place, Tls, Tpm, World, b64, checkout, expect,
                    gains, main, nonce, point_agent_at, refused, site_of,
                    token_for, tpm_config, unb64, wait_for)

# Orders of the groups: s and s + L (Ed25519), s and N - s (P-256) sign the same
# to who does not look.
L = 2 ** 252 + 27742317777372353535851937790883648493
N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
KINDS = ("software", "hardware")


def each_kind(attack):
    with World() as world:
        site = site_of(world, config=tpm_config(world))
        for kind in KINDS:
            result = attack(world, site, Place(world, site, kind, kind))
    return result


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
        site = site_of(world, config=tpm_config(world))
        agent = Agent(world, tpm=Tpm(world))
        agent.start()
        agent.enroll(site, token_for(site, "hardware"))
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
    def attack(world, site, place):
        elsewhere = place.line()
        expect(checkout(elsewhere)["lease"], "no lease")
        # Two at once: the first is closed.
        before = site.ready()["sessions"]
        place.line()
        expect(elsewhere.close_code() != 0, "both are logged in")
        expect(site.ready()["sessions"] <= before, "two sessions")
        return gains("what the device itself may have, at one other place at "
                     "a time: 1 session, while the device is within reach")

    return each_kind(attack)


def an_old_login_proof_is_worth_nothing():
    """Has: a device's login, recorded with its nonce and its proof.
    Tries: to say the same again on a connection of his own.
    Gets: nothing: the site draws a nonce for each hello.
    """
    def attack(world, site, place):
        machine = place.machine
        line = Line(site)
        said = line.hello(machine.device)
        proof = machine.login_proof(line)
        expect(line.ask("session.prove", proof=proof)["device"] ==
               machine.device, "the honest way")
        replay = Line(site)
        expect(replay.hello(machine.device)["nonce"] != said["nonce"],
               "the same nonce")
        refused("bad_proof", replay.ask, "session.prove", proof=proof)
        # Nor as another device, whose nonce and connection are right.
        other = Place(world, site, "other-" + place.kind, place.kind)
        line = Line(site)
        line.hello(other.machine.device)
        refused("bad_proof", line.ask, "session.prove",
                proof=machine.login_proof(line, device=other.machine.device))
        expect(other.line(), "the honest way")

    each_kind(attack)


def a_nonce_is_for_one_proof():
    """Has: a device, and the nonce of a hello that was answered already.
    Tries: to prove over it once more, after a proof that held, and after one
    that did not.
    Gets: nothing: a nonce is used up by the first proof, whatever comes of it.
    """
    def attack(world, site, place):
        machine = place.machine
        line = place.line()
        refused("conflict", line.ask, "session.prove",
                proof=machine.login_proof(line))
        line = Line(site)
        line.hello(machine.device)
        good = machine.login_proof(line)
        refused("bad_proof", line.ask, "session.prove",
                proof={**good, "counter": good["counter"] + 1})
        refused("unauthenticated", line.ask, "session.prove", proof=good)

    each_kind(attack)


def a_proof_for_something_else_logs_nobody_in():
    """Has: proofs of the device that were made for something else (enrolling,
    borrowing, returning; another site, tenant, nonce or connection).
    Tries: to log in with them.
    Gets: nothing: all of that is in what is signed, and the agent sets the
    purpose.
    """
    def attack(world, site, place):
        machine = place.machine
        for purpose in ("enroll", "borrow", "return"):
            line = Line(site)
            said = line.hello(machine.device)
            refused("bad_proof", line.ask, "session.prove",
                    proof=machine.proof(purpose, nonce=said["nonce"],
                                        exporter=line.exporter))
        for words in ({"nonce": nonce()}, {"exporter": nonce()},
                      {"exporter": None}, {"digest": nonce()},
                      {"device": machine.device + 1}):
            line = Line(site)
            line.hello(machine.device)
            refused("bad_proof", line.ask, "session.prove",
                    proof=machine.login_proof(line, **words))
        if place.kind == "software":  # a TPM has a counter for each site
            for words in ({"site": "site-0000000000000"},
                          {"tenant": "other"}):
                line = Line(site)
                line.hello(machine.device)
                refused("bad_proof", line.ask, "session.prove",
                        proof=machine.login_proof(line, **words))
        expect(place.line(), "the honest way")

    each_kind(attack)


def a_changed_proof_does_not_hold():
    """Has: a proof of the device that holds, before the site has seen it.
    Tries: to send it with another counter, clock or number, or with its
    signature written in the other way that signs the same.
    Gets: nothing: all of it is signed, and a signature has one form.
    """
    def attack(world, site, place):
        machine = place.machine

        def malleated(proof):
            signature = unb64(proof["signature"])
            head, tail = signature[:32], signature[32:]
            if place.kind == "software":
                tail = (int.from_bytes(tail, "little") + L).to_bytes(
                    32, "little")
            else:
                tail = (N - int.from_bytes(tail, "big")).to_bytes(32, "big")
            return {"signature": b64(head + tail)}

        def step(key, by):
            return lambda proof: {key: proof.get(key, 0) + by}

        for change in (step("counter", 1), step("counter", 2 ** 32),
                       step("clock_ms", -1), step("clock_ms", 1),
                       step("resets", 1), step("restarts", 1),
                       step("sequence", 1),
                       lambda p: {"clock_unsafe": not p.get("clock_unsafe")},
                       lambda p: {"class": "tpm" if p["class"] != "tpm" else
                                  "software"},
                       lambda p: {"class": "vtpm"}, malleated):
            line = Line(site)
            line.hello(machine.device)
            proof = machine.login_proof(line)
            refused("bad_proof", line.ask, "session.prove",
                    proof={**proof, **change(proof)})
        line = Line(site)
        line.hello(machine.device)
        expect(line.ask("session.prove", proof=machine.login_proof(line)),
               "the honest way")

    each_kind(attack)


if __name__ == "__main__":
    sys.exit(main([], together=[
        a_login_passed_on_by_who_stands_between_is_refused,
        the_owner_of_a_device_may_log_in_elsewhere_with_it,
        an_old_login_proof_is_worth_nothing,
        a_nonce_is_for_one_proof,
        a_proof_for_something_else_logs_nobody_in,
        a_changed_proof_does_not_hold,
    ]))
