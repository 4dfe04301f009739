#!/usr/bin/python3
"""Devices with a TPM, or with a key that was handed over: what they are to a
site, and what becomes of them when TPM, folder or key is another."""

import os
import shutil
import sys

from harness import (AS_ROOT, Agent, App, Site, World, binary, expect, main, run, terms,
                     wait_for)
from tpms import KINDS, Tpm, tpm_config

REFUSED = 3


def open_site(world, more=""):
    site = Site(world, config=tpm_config(world, more))
    site.start()
    return site


def enroll(agent, site, token, *options):
    return agent.cli("--json", "enroll", site.url, "--token", token, "--name",
                     agent.name, *options)


def refused(done, code, words, status=REFUSED):
    expect(done.status == status, "status %d: %s" % (done.status, done.err))
    expect('"%s"' % code in done.err, "not %s: %s" % (code, done.err))
    expect(words in done.err, "it does not say '%s': %s" % (words, done.err))


def device(site, number):
    shown = site.cli("--json", "device", "show", number)
    expect(shown.status == 0, shown.err)
    return shown.json()


def the_site_says_what_each_tpm_is():
    reasons = {"virtual": "listed as virtual", "unlisted": "not listed",
               "unknown": "does not chain", "none": "no certificate"}
    with World() as world:
        site = open_site(world)
        for number, kind in enumerate(KINDS, 1):
            agent = Agent(world, name=kind, tpm=Tpm(world, kind))
            agent.start()
            said = agent.enroll(site)
            wanted = "tpm" if kind == "hardware" else "vtpm"
            expect(said["class"] == wanted, "%s is %s" % (kind, said))
            expect(agent.status()["tpm"] == agent.tpm.tcti, "no TPM shown")
            known = device(site, number)
            expect(known["class"] == wanted, "%s is %s" % (kind, known))
            expect(reasons.get(kind, "") in known.get("tpm_reason", ""),
                   "why %s is virtual: %s" % (kind, known))
            expect(("tpm_issuer" in known) ==
                   (kind in ("hardware", "virtual", "unlisted")),
                   "issuer of %s: %s" % (kind, known))
            agent.stop()
        shown = site.cli("device", "show", 1).out
        expect("certified by CN=hardware" in shown, shown)
        expect("listed as virtual" in site.cli("device", "show", 2).out,
               "device show does not say why")
        site.verify()


def an_agent_waits_for_its_tpm_and_answers_meanwhile():
    with World() as world:
        site = open_site(world)
        tpm = Tpm(world)
        agent = Agent(world, tpm=tpm)
        agent.start()
        agent.enroll(site)
        agent.stop()
        tpm.kill()
        agent.start()
        said = wait_for(lambda: agent.status().get("key_trouble") ==
                        "the TPM does not answer" and agent.status(),
                        "no word of the TPM")
        expect(said["verdict"]["code"] == "tpm_unavailable", said)
        expect(not said["connected"], "connected without its key")
        tpm.start()
        agent.wait_connected(30)
        expect("key_trouble" not in agent.status(), agent.status())


def sessions_go_on_through_restarts_of_agent_and_tpm():
    with World() as world:
        site = open_site(world)
        site.install(terms())
        tpm = Tpm(world)
        agent = Agent(world, tpm=tpm)
        agent.start()
        agent.enroll(site)
        app = App(world, agent.socket)
        expect(app.wait(), "no seat: " + app.errors())
        tpm.restart()  # as a reset: nothing is left in it but NV
        site.stop()
        site.start()
        agent.wait_connected(30)
        agent.stop()
        agent.start()
        agent.wait_connected(30)
        expect(len(site.leases()) == 1, "the lease is gone")
        tpm.kill()  # nothing asks it while the session stands
        expect(agent.status()["connected"], "the session hangs on the TPM")
        site.stop()
        site.start()
        wait_for(lambda: agent.status().get("cause") == "tpm_unavailable",
                 "no word of the TPM that is gone", 30)
        tpm.start()
        agent.wait_connected(30)
        app.stop()


def a_copied_folder_is_nobody_on_another_machine():
    with World() as world:
        site = open_site(world)
        mine, other = Tpm(world), Tpm(world)
        agent = Agent(world, tpm=mine)
        agent.start()
        agent.enroll(site)
        agent.stop()
        thief = Agent(world, name="thief", tpm=other)
        shutil.copytree(agent.state, thief.state)
        thief.start()
        said = wait_for(lambda: thief.status().get("cause") == "another_tpm"
                        and thief.status(), "the thief is not found out")
        expect(said["verdict"]["status"] == REFUSED, said)
        done = thief.cli("--json", "checkout", "x", "--version", "1")
        refused(done, "bad_proof", "not the one that this device's key is in",
                1)
        expect(not device(site, 1).get("connected"), "the thief came in")
        done = enroll(thief, site, site.token())
        refused(done, "conflict", "--new-key", 1)
        done = enroll(thief, site, site.token(), "--new-key")
        expect(done.status == 0, done.err)
        thief.wait_connected()
        expect(device(site, 2)["class"] == "tpm", "the other is no device")
        agent.start()
        agent.wait_connected()
        expect(agent.status()["device"] == 1, "it is another")


def one_tpm_is_one_device():
    with World() as world:
        site = open_site(world)
        tpm = Tpm(world)
        agent = Agent(world, tpm=tpm)
        agent.start()
        agent.enroll(site)
        # The same key is the same device, however often it comes.
        done = enroll(agent, site, site.token())
        expect(done.status == 0 and done.json()["device"] == 1, done.err)
        # A new key in the same TPM is not.
        done = enroll(agent, site, site.token(), "--new-key")
        refused(done, "conflict", "device-1 has this TPM", 1)
        agent.wait_connected()
        expect(agent.status()["device"] == 1, "the old key is lost")
        # Nor is the machine that was set up anew, until an admin says so.
        agent.stop()
        shutil.rmtree(agent.state)
        agent.start()
        done = enroll(agent, site, site.token())
        refused(done, "conflict", "leasehold device revoke 1", 1)
        expect(site.cli("device", "revoke", 1).status == 0, "revoke")
        said = agent.enroll(site)
        expect(said["device"] == 2 and said["class"] == "tpm", said)
        site.verify()


def a_device_that_moves_leaves_its_counter():
    with World() as world:
        first = open_site(world)
        second = Site(world, "second", config=tpm_config(world))
        second.start()
        agent = Agent(world, tpm=Tpm(world))
        agent.start()
        for site in (first, second, first):
            said = agent.enroll(site)
            expect(said["site"] == site.facts["site"], said)
        with open(os.path.join(agent.state, "identity", "tpm.json")) as f:
            kept = f.read()
        expect(kept.count(first.facts["site"]) == 1 and
               second.facts["site"] not in kept, "counters stay: " + kept)


def tokens_and_sites_name_the_classes_they_take():
    with World() as world:
        site = open_site(world)
        chip = Agent(world, "chip", tpm=Tpm(world))
        virtual = Agent(world, "virtual", tpm=Tpm(world, "virtual"))
        plain = Agent(world, "plain")
        for agent in (chip, virtual, plain):
            agent.start()
        token = site.token("--class", "tpm")
        refused(enroll(virtual, site, token), "class_not_allowed",
                "its issuer is listed as virtual")
        refused(enroll(plain, site, token), "class_not_allowed", "--class")
        chip.enroll(site, token)
        refused(enroll(plain, site, site.token("--class", "vtpm")),
                "class_not_allowed", "--class")
        virtual.enroll(site)
        plain.enroll(site)
        site.stop()
        with open(site.config) as f:
            config = f.read()
        with open(site.config, "w") as f:
            f.write(config.replace("[devices]\n", "[devices]\nclasses=tpm\n"))
        site.start()
        chip.wait_connected(30)
        for agent in (virtual, plain):
            wait_for(lambda: agent.status().get("cause") ==
                     "class_not_allowed", "it was let in", 30)
        refused(site.cli("--json", "join", "create", "--class", "assigned",
                         "--fingerprint", "00" * 32), "class_not_allowed",
                "lets in no devices of class assigned")


def a_site_without_makers_knows_no_chips():
    with World() as world:
        site = Site(world)
        site.start()
        refused(site.cli("--json", "join", "create", "--class", "tpm"),
                "class_not_allowed", "tpm_ca")
        agent = Agent(world, tpm=Tpm(world))
        agent.start()
        expect(agent.enroll(site)["class"] == "vtpm", "it is no vtpm")


def licenses_name_the_classes_that_get_seats():
    with World() as world:
        site = open_site(world)
        document = terms()
        document["terms"]["classes"] = ["tpm"]
        site.install(document)
        chip = Agent(world, "chip", tpm=Tpm(world))
        plain = Agent(world, "plain")
        for agent in (chip, plain):
            agent.start()
            agent.enroll(site)
        app = App(world, chip.socket)
        expect(app.wait(), "no seat for a chip: " + app.errors())
        app.stop()
        done = plain.cli("--json", "checkout", "davinci-configurator-se",
                         "--version", "8.1.0")
        refused(done, "class_not_allowed", "takes no devices of class "
                "software")


def a_handed_over_key_is_approved_by_its_fingerprint():
    with World() as world:
        site = open_site(world)
        keys = [world.path("runner-%d.key" % i) for i in (1, 2)]
        prints = []
        for key in keys:
            made = run(binary("leasehold"), "device", "key", key)
            expect(made.status == 0, made.err)
            again = run(binary("leasehold"), "device", "key", key)
            expect(again.out == made.out, "another fingerprint")
            prints.append(made.out.strip())
        token = site.token("--class", "assigned", "--fingerprint", prints[0],
                           uses=1, approve=False)
        stranger = Agent(world, "stranger", config="key_file=%s\n" % keys[1])
        stranger.start()
        refused(enroll(stranger, site, token), "fingerprint_blocked",
                "other keys")
        runner = Agent(world, "runner", config="key_file=%s\n" % keys[0])
        runner.start()
        said = runner.enroll(site, token)
        expect(said["class"] == "assigned" and "pending" not in said, said)
        # A container that was thrown away comes back as the same device.
        runner.stop()
        shutil.rmtree(runner.state)
        with open(keys[0]) as f:
            text = f.read()
        again = Agent(world, "again")
        again.process = world.start(
            "again", [binary("leasehold-agent"), "--config", again.config],
            env={"LEASEHOLD_DEVICE_KEY": text})
        wait_for(again.status, "the agent does not answer")
        said = again.enroll(site, token)
        expect(said["device"] == 1 and said["class"] == "assigned", said)
        for pid in (again.child("keeper"), again.child("uplink")):
            with open("/proc/%d/environ" % pid, "rb") as f:
                expect(text.strip().encode() not in f.read(),
                       "the key is in the environment of %d" % pid)


def a_keeper_of_few_rights_reaches_tpm_and_key():
    if not AS_ROOT:
        return "not root"
    users = "user=daemon\nuplink_user=nobody\n"
    with World() as world:
        site = open_site(world)
        tpm = Tpm(world)
        os.chmod(tpm.dir, 0o755)
        for name in ("sock", "sock.ctrl"):
            os.chmod(os.path.join(tpm.dir, name), 0o666)
        agent = Agent(world, tpm=tpm, config=users)
        agent.start()
        expect(agent.enroll(site)["class"] == "tpm", "no TPM")
        key = world.path("runner.key")
        made = run(binary("leasehold"), "device", "key", key)
        token = site.token("--class", "assigned", "--fingerprint",
                           made.out.strip())
        with open(key) as f:
            text = f.read()
        runner = Agent(world, "runner", config=users)
        runner.process = world.start(
            "runner", [binary("leasehold-agent"), "--config", runner.config],
            env={"LEASEHOLD_DEVICE_KEY": text})
        wait_for(runner.status, "the agent does not answer")
        expect(runner.enroll(site, token)["class"] == "assigned", "no key")


def a_key_file_goes_on_when_a_tpm_is_named_later():
    with World() as world:
        site = open_site(world)
        agent = Agent(world)
        agent.start()
        agent.enroll(site)
        agent.stop()
        agent.use_tpm(Tpm(world))
        agent.start()
        agent.wait_connected()
        expect(agent.status()["class"] == "software", agent.status())
        done = enroll(agent, site, site.token(), "--new-key")
        expect(done.status == 0, done.err)
        said = done.json()
        expect(said["class"] == "tpm" and said["device"] == 2, said)
        agent.wait_connected()
        agent.stop()
        agent.start()
        agent.wait_connected()
        expect(agent.status()["class"] == "tpm", agent.status())


if __name__ == "__main__":
    sys.exit(main([
        the_site_says_what_each_tpm_is,
        an_agent_waits_for_its_tpm_and_answers_meanwhile,
        sessions_go_on_through_restarts_of_agent_and_tpm,
        a_copied_folder_is_nobody_on_another_machine,
        one_tpm_is_one_device,
        a_device_that_moves_leaves_its_counter,
        tokens_and_sites_name_the_classes_they_take,
        a_site_without_makers_knows_no_chips,
        licenses_name_the_classes_that_get_seats,
        a_handed_over_key_is_approved_by_its_fingerprint,
        a_keeper_of_few_rights_reaches_tpm_and_key,
        a_key_file_goes_on_when_a_tpm_is_named_later,
    ]))
