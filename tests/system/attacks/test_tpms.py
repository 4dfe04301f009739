#!/usr/bin/python3
"""Attacks with a TPM of the attacker's own, at the site: other indexes in the
counter's place, keys of two TPMs, makers' certificates, keys in software. What
the TPM signs is real; what it is asked is his choice."""

import sys

from attack import (Line, Machine, Place, Refusal, World, b64, binary, expect,
                    gains, main, nonce, refused, run, sha256, site_of, tool,
                    tpm_config, unb64)


def believing_site(world, **what):
    """Of one who may: with the lists of makers."""
    return site_of(world, config=tpm_config(world), **what)


def lending_site(world, seats=4):
    return believing_site(world, commit=seats, overage=0,
                          borrow=("tpm", "vtpm"))


def statement(machine, purpose, index=0, **words):
    return tool("statement", purpose=purpose, index=index, device=
                machine.device, **machine.where, **words)


def present(site, machine, index=0):
    """Log in with what the TPM signs of that index."""
    line = Line(site)
    said = line.hello(machine.device)
    return line, statement(machine, "login", index, nonce=said["nonce"],
                           exporter=line.exporter)


# --- indexes -----------------------------------------------------------------


def another_index_is_not_the_counter():
    """Has: the machine, its TPM with the owner's rights, and the counter's own
    secret.
    Tries: to have the TPM certify, with the enrolled key and over the right
    nonce, an ordinary index that he can write to any number, one with the
    counter's policy, an ORDERLY counter, one that anybody may count (each put
    in the counter's place) and a second counter; and to log in and to give back
    with it.
    Gets: nothing: the counter's name, which is signed, holds its index, its
    attributes and its policy, and the site knows which it must be.
    """
    with World() as world:
        site = lending_site(world, seats=6)
        for kind in ("ordinary", "disguised", "second", "orderly",
                     "unguarded"):
            place = Place(world, site, kind, "hardware")
            machine = place.machine
            line, proof = present(site, machine)
            line.ask("session.prove", proof=proof)  # the honest way
            lease = machine.borrow(line)["lease"]
            tool("index", kind=kind, value=7, **machine.where)
            index = 1 if kind == "second" else 0
            # So that a return could only be of that number.
            over = nonce()
            back = statement(machine, "return", index, nonce=over)
            refused("bad_proof", line.ask, "borrow.return", nonce=over,
                    proof=back)
            expect(any(l["lease"] == lease for l in site.leases()), "freed")
            line, proof = present(site, machine, index)
            refused("bad_proof", line.ask, "session.prove", proof=proof)


def a_counter_that_was_removed_begins_above():
    """Has: the machine, its TPM with the owner's rights, and a borrowed seat.
    Tries: to remove the counter and to define the very same again, so that it
    begins anew and old tickets are good once more.
    Gets: what a return is, and nothing else: a TPM begins a counter above the
    highest that it ever had, so the new one closes all his tickets; the site
    frees the seat when it is proved.
    """
    with World() as world:
        site = lending_site(world, seats=6)
        place = Place(world, site, "again", "hardware")
        machine, line = place.machine, place.line()
        machine.borrow(line)
        for to in (2, 3):
            machine.raise_counter(to)
        expect(line.ask("borrow.return", **machine.return_proof())["ended"]
               == 1, "the honest way")
        machine.borrow(line)
        before = machine.show()["counter"]
        tool("index", kind="again", **machine.where)
        after = machine.show()["counter"]
        expect(after > before, "it went from %d to %d" % (before, after))
        said = line.ask("borrow.return", **machine.return_proof())
        expect(said["ended"] == 1 and not site.leases(), said)


# --- keys --------------------------------------------------------------------


def comes_with(world, site, kind, name):
    place = Place(world, site, name, kind, enroll=False)
    said = Line(site).hello()
    place.machine.site, place.machine.tenant = said["site"], said["tenant"]
    return place


def keys_of_two_tpms_make_no_device():
    """Has: two TPMs, one of a listed maker of chips, one that is a program.
    Tries: to enroll the program's attestation key as if it stood under the
    chip's endorsement key: with either one's proof, and with the chip's
    certificate shown for the program's key.
    Gets: nothing: the proof names the endorsement key above the key that
    signed; and the challenge opens only where both are.
    """
    with World() as world:
        site = believing_site(world)
        token = site.token("--class", "tpm")
        chip = comes_with(world, site, "hardware", "chip").machine
        soft = comes_with(world, site, "none", "soft").machine
        shown, theirs = chip.show(), soft.show()
        line = Line(site)
        # His own key, the chip's material.
        request = soft.enroll_request(line, token)
        request["material"] = {key: shown[key] for key in ("ek",
                                                           "certificate")}
        refused("bad_proof", line.ask, "device.enroll", **request)
        # His own EK, the chip's certificate.
        line = Line(site)
        request = soft.enroll_request(line, token)
        request["material"]["certificate"] = shown["certificate"]
        refused("bad_proof", line.ask, "device.enroll", **request)
        # A public key of both: the chip's EK above his attestation key.
        mixed = bytearray(unb64(shown["public_key"]))
        mixed[37:] = unb64(theirs["public_key"])[37:]
        for machine in (soft, chip):
            line = Line(site)
            request = machine.enroll_request(line, token)
            request["public_key"] = b64(bytes(mixed))
            request["material"] = {key: shown[key] for key in
                                   ("ek", "certificate")}
            refused("bad_proof", line.ask, "device.enroll", **request)
        # The challenge for the chip, answered with anything else.
        line = Line(site)
        reply = line.ask("device.enroll", **chip.enroll_request(line, token))
        expect("challenge" in reply, reply)
        refused("bad_proof", line.ask, "device.activate", secret=nonce())
        line = Line(site)
        reply = chip.enroll(line, token)
        expect(reply["class"] == "tpm", reply)  # the honest way


def one_chip_is_two_devices_at_most():
    """Has: one chip, of a listed maker, that certified both of its endorsement
    keys (RSA, P-256), and two enrolment tokens.
    Tries: to enroll it as often as he can.
    Gets: two devices, each with sessions, seats and borrows of its own; a key
    that is enrolled already is the device that it was.
    """
    with World() as world:
        site = believing_site(world)
        first = comes_with(world, site, "hardware", "chip")
        first.tpm.key = "p256"
        first.tpm.certify("hardware")
        # Twice with each key, the second time with a new attestation key.
        devices = []
        for i, p256 in enumerate((None, 1, None, 1)):
            machine = Machine(world.path("id%d" % i), first.tpm.tcti,
                              p256=p256)
            line = Line(site)
            said = line.hello()
            machine.site, machine.tenant = said["site"], said["tenant"]
            try:
                reply = machine.enroll(line, site.token("--class", "tpm"))
            except Refusal as refusal:
                expect(i >= 2, "%d: %s" % (i, refusal))
                continue
            expect(reply["class"] == "tpm", reply)
            devices.append(reply["device"])
        expect(len(set(devices)) == 2, "devices: %s" % devices)
        return gains("%d devices from one chip that its maker certified with "
                     "both keys", len(set(devices)))


def pretend(line, token, ek, more):
    """The enrolment of a key in software that says it is in a TPM."""
    said = line.hello()
    made = tool("pretend", purpose="enroll", site=said["site"],
                tenant=said["tenant"], nonce=said["nonce"], counter=1,
                exporter=line.exporter, digest=sha256(token.encode()), ek=ek)
    return {"join": token, "class": "tpm", "name": "pretends",
            "host": "pretends", "public_key": made["public_key"],
            "proof": made["proof"], "material": {"ek": made["ek"], **more}}


def a_key_in_software_is_no_tpm():
    """Has: programs alone: an endorsement key that he made himself, a virtual
    TPM without a certificate or with one of a maker that nobody listed.
    Tries: to enroll as class tpm with them, with the certificate of a true
    chip where it is needed, and to be told apart from nobody.
    Gets: class vtpm, which borrows only where the license says so; and class
    tpm never.
    """
    with World() as world:
        site = believing_site(world)
        chip = comes_with(world, site, "hardware", "chip").machine
        line = Line(site)
        expect(chip.enroll(line, site.token("--class", "tpm"))["class"] ==
               "tpm", "the honest way")
        for kind in ("none", "unknown", "unlisted", "virtual"):
            soft = comes_with(world, site, kind, kind).machine
            line = Line(site)
            refused("class_not_allowed", soft.enroll, line,
                    site.token("--class", "tpm"))
            line = Line(site)
            reply = soft.enroll(line, site.token("--class", "vtpm"))
            expect(reply["class"] == "vtpm", reply)
            line = Line(site)
            soft.login(line)
            refused("class_not_allowed", soft.borrow, line)
        # No TPM at all: a key of his own, below a number of his own, with no
        # certificate and with a true one; and below the true chip's key.
        shown = chip.show()
        none, true = {}, {"certificate": shown["certificate"]}
        for ek, more, class_ in ((None, none, "vtpm"), (None, true, None),
                                 (shown["ek"], true, "tpm")):
            line = Line(site)
            request = pretend(line, site.token("--class", "tpm"), ek, more)
            if class_ is None:
                refused("bad_proof", line.ask, "device.enroll", **request)
                continue
            # All of it is true but that key: the challenge is why it fails.
            reply = line.ask("device.enroll", **request)
            expect(reply.get("device", 0) == 0 and reply["class"] == class_,
                   reply)
            done = run(binary("tests/system/attack_tool"), "answer", *[
                "%s=%s" % item for item in {**chip.where,
                                            **reply["challenge"]}.items()])
            expect(done.status == 1 and (ek is None or "bad_proof" in
                                         done.err), "the chip answered for a key that is not in it: %d %s" %
                   (done.status, done.err))
            refused("bad_proof", line.ask, "device.activate", secret=nonce())
        chip.login(Line(site))  # the honest way


if __name__ == "__main__":
    sys.exit(main([], together=[
        another_index_is_not_the_counter,
        a_counter_that_was_removed_begins_above,
        keys_of_two_tpms_make_no_device,
        a_key_in_software_is_no_tpm,
        one_chip_is_two_devices_at_most,
    ]))
