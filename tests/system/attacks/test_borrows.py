#!/usr/bin/python3
"""Attacks on borrowing, at the site: proofs that ask for seats, and proofs
that give them back, said by a client that keeps no rule."""

import shutil
import sys

from attack import (Place, World, expect, gains, http, main, refused, site_of,
                    tpm_config)

KINDS = ("software", "hardware")
ALL = ("tpm", "vtpm", "software")


def lending_site(world, seats=2, **what):
    return site_of(world, commit=seats, overage=0, borrow=ALL,
                   config=tpm_config(world), **what)


def leases_of(site, place):
    return [l for l in site.leases() if l["device"] == place.machine.device]


def deliver(site, machine, proof):
    """As a file that an admin brings."""
    status, said = http(site, "POST", "/api/v1/borrows/returns", {
        "site": machine.site, "tenant": machine.tenant, "device":
        machine.device, "made_at": "2026-01-01T00:00:00.000Z", **proof})
    expect(status == 200, said)
    return said


def each_kind(attack):
    """The attack by a device of each kind, at one site."""
    with World() as world:
        site = lending_site(world, seats=8)
        results = [attack(world, site, kind) for kind in KINDS]
        site.verify()
        return results[-1]


def a_proof_that_asked_for_a_seat_asks_for_one_only():
    """Has: a device, and the proof that it borrowed one seat with, recorded
    with the nonce, the request and the connection.
    Tries: to borrow again with it: as it is, under another request id, on the
    same connection and on another.
    Gets: nothing: a nonce is for one proof, and what is asked is in the proof.
    """
    def attack(world, site, kind):
        place = Place(world, site, "again-" + kind, kind)
        line = place.line()
        request = place.machine.take_request(line)
        lease = line.ask("borrow.take", **request)["lease"]
        # The very same is a retry that lost its answer, and is told the same
        # or nothing; no second seat.
        refused("bad_proof", line.ask, "borrow.take", **request)
        other = {**request, "ask": {**request["ask"], "request": "A" * 22}}
        refused("bad_proof", line.ask, "borrow.take", **other)
        # A fresh nonce is not the one that was signed.
        fresh = line.ask("borrow.challenge")["nonce"]
        refused("bad_proof", line.ask, "borrow.take",
                **{**other, "ask": {**other["ask"], "nonce": fresh}})
        elsewhere = place.line()
        elsewhere.ask("borrow.challenge")
        refused("bad_proof", elsewhere.ask, "borrow.take", **request)
        held = [l["lease"] for l in leases_of(site, place)]
        expect(held == [lease], held)

    each_kind(attack)


def a_proof_is_for_what_was_asked():
    """Has: a device, and its proof for one seat for an hour.
    Tries: to send it with more seats, a longer time, another product's seat,
    another counter, or from another connection of the same device.
    Gets: nothing: request, nonce and TLS connection are in what is signed.
    """
    def attack(world, site, kind):
        place = Place(world, site, "changed-" + kind, kind)
        line = place.line()

        def changed(request, ask=None, **what):
            return {**request, **what, "ask": {**request["ask"],
                                               **(ask or {})}}

        for change in ({"ask": {"count": 2}}, {"length_s": 7200},
                       {"ask": {"version": "8.0.0"}},
                       {"ask": {"user": "somebody"}}):
            request = place.machine.take_request(line)
            refused("bad_proof", line.ask, "borrow.take",
                    **changed(request, **change))
        for key, step in (("counter", 1), ("clock_ms", 1), ("clock_ms", -1),
                          ("resets", 1)):
            request = place.machine.take_request(line)
            proof = dict(request["proof"])
            proof[key] = proof.get(key, 0) + step
            refused("bad_proof", line.ask, "borrow.take",
                    **changed(request, proof=proof))
        # Made for one connection, sent over another of the same device.
        second = place.line()
        over = second.ask("borrow.challenge")["nonce"]
        request = {"ask": {**place.machine.take_request(second)["ask"]},
                   "length_s": 3600}
        over = second.ask("borrow.challenge")["nonce"]
        request["ask"]["nonce"] = over
        refused("bad_proof", second.ask, "borrow.take",
                **place.machine.sign_request(line, "take", request, over))
        # Neither a login's proof nor a return's asks for anything.
        request = place.machine.take_request(second)
        for purpose in ("login", "enroll", "return"):
            request = place.machine.take_request(second)
            proof = place.machine.proof(purpose, nonce=request["ask"]["nonce"],
                                        exporter=second.exporter)
            refused("bad_proof", second.ask, "borrow.take",
                    **changed(request, proof=proof))
        expect(not leases_of(site, place), "a seat was lent")
        expect(place.machine.borrow(second)["lease"], "the honest way")

    each_kind(attack)


def nothing_but_a_higher_counter_frees_a_seat():
    """Has: a device with a borrowed seat that he wants to keep using, and all
    the proofs that it will make without counting.
    Tries: to have the site free the seat: with a return's proof at the old
    number, with a number that is changed afterwards, with the proof of another
    device, with a file, and by asking an admin to release it.
    Gets: nothing: the seat is free when a higher number was proved, and then
    his ticket is worth nothing.
    """
    def attack(world, site, kind):
        place = Place(world, site, "keeps-" + kind, kind)
        other = Place(world, site, "other-" + kind, kind)
        machine, line = place.machine, place.line()
        lease = machine.borrow(line)["lease"]
        said = line.ask("borrow.return", **machine.return_proof())
        expect(said.get("ended", 0) == 0 and said["left"] == 1, said)
        # Prepared, and not counted.
        epoch = line.ask("borrow.prepare", all=True,
                         **machine.return_proof())["epoch"]
        expect(epoch == 2, epoch)
        said = line.ask("borrow.return", **machine.return_proof())
        expect(said.get("ended", 0) == 0, said)
        forged = machine.return_proof()
        forged["proof"] = {**forged["proof"],
                           "counter": forged["proof"]["counter"] + 1}
        refused("bad_proof", line.ask, "borrow.return", **forged)
        # Another device's counter may stand higher: it is not this one's.
        other.machine.raise_counter(2)
        refused("bad_proof", line.ask, "borrow.return",
                **other.machine.return_proof())
        refused("bad_proof", line.ask, "borrow.return",
                **other.machine.return_proof(device=machine.device))
        said = deliver(site, machine, machine.return_proof())
        expect(said.get("ended", 0) == 0, said)
        site.cli("leases", "release", "lease-%d" % lease)
        expect([l["lease"] for l in leases_of(site, place)] == [lease],
               "the seat is free")
        # The honest way: counted, proved, free.
        said = machine.give_back(line)
        expect(said["ended"] == 1 and not leases_of(site, place), said)
        refused("gone", machine.extend, line, lease)

    each_kind(attack)


def an_old_return_gives_nothing_back_twice():
    """Has: the proof of a return, of a borrow that was given back, as it was
    said and as a file.
    Tries: to say it again after the device has borrowed anew, so that the new
    seat is freed while the new ticket is good.
    Gets: nothing: it proves a number that the new ticket is not below.
    """
    def attack(world, site, kind):
        place = Place(world, site, "old-" + kind, kind)
        machine, line = place.machine, place.line()
        machine.borrow(line)
        machine.give_back(line)
        old = machine.return_proof()
        said = line.ask("borrow.return", **old)
        expect(said["counter"] == 2 and said.get("left", 0) == 0, said)
        lease = machine.borrow(line)["lease"]
        for said in (line.ask("borrow.return", **old),
                     deliver(site, machine, old)):
            expect(said.get("ended", 0) == 0 and said["left"] == 1, said)
        expect([l["lease"] for l in leases_of(site, place)] == [lease],
               "freed by an old proof")
        machine.give_back(line)
        expect(not leases_of(site, place), "the honest way")

    each_kind(attack)


def what_may_not_borrow_borrows_nothing():
    """Has: a device whose key is a file, which he can copy; a license that
    says nothing of it.
    Tries: to borrow with it, as it is, and by saying that its proof is a
    TPM's.
    Gets: nothing: only a hardware TPM may borrow unless the license names the
    class, and the class is the one that the site enrolled.
    """
    with World() as world:
        site = site_of(world)
        place = Place(world, site, "file")
        line = place.line()
        refused("class_not_allowed", place.machine.borrow, line)
        request = place.machine.take_request(line)
        request["proof"]["class"] = "tpm"
        refused("bad_proof", line.ask, "borrow.take", **request)


def a_key_file_put_back_runs_twice():
    """Has: a device whose key is a file, of a license that lends to such; a
    copy of its folder from before an early return.
    Tries: to put the copy back after the return, when the seat is somebody
    else's, and to go on with the old ticket and to borrow more.
    Gets: no more from the site: the number that it proves was passed. What the
    old ticket says, its applications cannot tell from the truth: that is why
    such a class borrows only where the vendor says so.
    """
    with World() as world:
        site = lending_site(world, seats=1)
        place = Place(world, site, "file")
        machine, line = place.machine, place.line()
        machine.borrow(line)
        saved = machine.folder + ".saved"
        shutil.copytree(machine.folder, saved)
        machine.give_back(line)
        second = Place(world, site, "second")
        expect(second.machine.borrow(second.line())["lease"], "not free")
        shutil.rmtree(machine.folder)
        shutil.copytree(saved, machine.folder)
        expect(machine.show()["counter"] == 1, "it did not go back")
        line = place.line()
        words = refused("bad_proof", machine.borrow, line)
        expect("it has proved 2" in words, words)
        return gains("%d seat beyond the license, offline, to the end of the "
                     "ticket (class software alone)", 1)


if __name__ == "__main__":
    sys.exit(main([], together=[
        a_proof_that_asked_for_a_seat_asks_for_one_only,
        a_proof_is_for_what_was_asked,
        nothing_but_a_higher_counter_frees_a_seat,
        an_old_return_gives_nothing_back_twice,
        what_may_not_borrow_borrows_nothing,
        a_key_file_put_back_runs_twice,
    ]))
