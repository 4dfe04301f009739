#!/usr/bin/python3
"""The drill of leasehold-disaster(7): a box with its TPM is lost, another one
with another TPM and a key of its own goes on out of its backup. Nothing is
granted before the vendor has issued the licenses anew; who held a seat holds it
still; the lost box is believed by nobody; and the money is what it was."""

import copy
import os
import shutil
import ssl
import sys

from harness import (AS_ROOT, Agent, App, Site, World, binary, expect, free_port,
                     main, run)
from test_hub import ids, order, setting, write
from tpms import Tpm

WORD = "correct horse battery"


class Drill:
    """A hub, and a customer's box with a TPM and an agent at work."""

    def __init__(self, world, seats=1, commit=1):
        self.world = world
        self.hub, self.api = setting(world)
        made = self.api.ask("POST", "/api/v1/licenses/generate",
                            order(commit=commit, overage=9, ttl_s=60,
                                  grace_s=600))
        expect(made.status == 201, made)
        self.site = Site(world, tpm=Tpm(world, "none"))
        self.site.start()
        request = write(world, "plant.request", self.site.request())
        self.at(self.hub, "hub", "site", "add", request, "--customer",
                "ACC-98765")
        self.install("plant.lic")
        self.agent = Agent(world)
        self.agent.start()
        self.agent.enroll(self.site)
        self.recovery = self.name_heir()
        self.apps = [self.seat("app-%d" % i) for i in range(seats)]

    def at(self, where, *args, status=0):
        done = where.cli(*args)
        expect(done.status == status, (args, done.status, done.out, done.err))
        return done

    def secret(self, name, text):
        path = self.world.path(name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                  "w") as out:
            out.write(text + "\n")
        return path

    def name_heir(self):
        made = run(binary("leaseholdd"), "heir", "--state", self.site.state,
                   "--json")
        expect(made.status == 0, made.err)
        return self.secret("recovery", made.json()["recovery_key"])

    def install(self, name):
        package = self.world.path(name)
        self.at(self.hub, "hub", "license", "package", ids(), package)
        self.at(self.site, "license", "install", package)

    def seat(self, name):
        app = App(self.world, self.agent.socket, name=name)
        app.wait()
        expect(app.lease, app.errors())
        return app

    def backup(self, name="box.backup", etc=None):
        path = self.world.path(name)
        done = self.at(self.site, "backup", path, "--state", self.site.state,
                       "--passphrase-file", self.secret("word", WORD),
                       *(["--etc", etc] if etc else []))
        expect("was read back" in done.out, done.out)
        return path

    def backup_from_afar(self, name="afar.backup"):
        """As an admin makes it, who cannot read a file of the box."""
        path = self.world.path(name)
        done = self.at(self.site, "backup", path, "--passphrase-file",
                       self.secret("word", WORD))
        expect("leasehold-disaster(7)" in done.out, done.out)
        self.at(self.site, "backup", "verify", path, "--passphrase-file",
                self.secret("word", WORD))
        return path

    def lose(self):
        """The box burns; `self.old` is what a thief took out of it before."""
        self.old = copy.copy(self.site)
        self.site.stop()
        self.old.name = "old"
        self.old.state = self.site.state + ".lost"
        self.old.port = free_port()
        self.old.url = "https://127.0.0.1:%d" % self.old.port
        self.old.config = self.world.path("old.ini")
        self.old.ca = os.path.join(self.old.state, "tls", "ca.pem")
        os.rename(self.site.state, self.old.state)
        os.rename(self.site.witness, self.old.witness)
        self.old.use_tpm(self.site.tpm)

    def restore(self, path, *options):
        args = [binary("leaseholdd"), "restore", path, "--state",
                self.site.state, "--passphrase-file",
                self.secret("word", WORD), *options]
        return run(*args, *(["--user", "daemon"] if AS_ROOT else []))

    def go_on(self, path):
        """The new box, up to where it waits for its vendor."""
        made = self.restore(path, "--recovery-file", self.recovery)
        expect(made.status == 0 and "hub reissue" in made.out, made.err)
        self.site.use_tpm(Tpm(self.world, "none"))
        self.site.start()
        expect(self.site.ready()["rolled_back"], self.site.ready())
        self.at(self.site, "site", "acknowledge-rollback", "--reason", "fire")

    def reissue(self):
        request = write(self.world, "again.request", self.site.request())
        self.at(self.hub, "hub", "reissue", request, "--confirm")
        self.install("again.lic")

    def export(self, site, name):
        path = self.world.path(name)
        self.at(site, "sync", "export", path)
        return path

    def take(self, path, status=0):
        return self.at(self.hub, "--json", "hub", "import", path, "--out",
                       path + ".back", status=status).json()

    def bring(self, path):
        self.at(self.site, "sync", "import", path + ".back")

    def seen(self):
        return self.api.get("/api/v1/hub/sites").json()["items"][0]

    def held(self):
        return sorted(lease["lease"] for lease in self.site.leases())


# --- the drill ----------------------------------------------------------------


def another_box_goes_on_and_the_lost_one_is_believed_by_nobody():
    with World() as world:
        drill = Drill(world, seats=3)
        site, agent = drill.site, drill.agent
        drill.take(drill.export(site, "first.sync"))
        drill.bring(world.path("first.sync"))
        key, held = site.ready()["site_key"], drill.held()
        path = drill.backup()
        shown = site.cli("--json", "backup", "show", path).json()
        expect(not shown["keys"] and shown["heir"], shown)
        drill.lose()
        drill.go_on(path)
        shown = site.ready()
        expect(shown["site_key"] != key and len(shown["succession"]) == 1,
               shown)
        expect(os.path.exists(os.path.join(site.state, "keys",
                                           "site.key.sealed")), "not sealed")
        # Who held a seat holds it; nobody gets one.
        agent.wait_connected()
        expect(drill.held() == held, (held, drill.held()))
        refused = App(world, agent.socket, name="early")
        refused.wait()
        expect(not refused.lease and "issued it anew" in refused.errors(),
               refused.errors())
        # The vendor: nothing happens by itself, nor without a word of his.
        request = write(world, "again.request", site.request())
        asked = drill.at(drill.hub, "hub", "reissue", request, status=1)
        expect("retired for ever" in asked.err and "--confirm" in asked.err,
               asked.err)
        done = drill.at(drill.hub, "hub", "reissue", request, "--confirm")
        told = drill.at(drill.hub, "--json", "audit", "search", "--event",
                        "hub.reissue", "--result", "done").json()
        expect(told["items"] and told["items"][0]["actor"], told)
        expect(ids() in done.out, done.out)
        # Twice is once.
        done = drill.at(drill.hub, "hub", "reissue", request, "--confirm")
        expect(ids() not in done.out, done.out)
        drill.install("again.lic")
        drill.apps.append(drill.seat("new"))
        expect(len(drill.held()) == 4, drill.held())
        # Seats that ran through all of it are renewed by the new box.
        for app in drill.apps:
            expect(app.process.poll() is None, app.errors())
        expect(site.verify()["generation"] == 2, site.verify())
        # The money: two seats before and one since, each of them once.
        path = drill.export(site, "second.sync")
        said = drill.take(path)
        expect(said["answer"] == "taken" and said["seats"] == 1, said)
        drill.bring(path)
        expect(drill.seen()["seats"] == 3, drill.seen())
        # The lost box is found and switched on.
        forks = drill.seen().get("forks", 0)
        drill.old.start()
        said = drill.take(drill.export(drill.old, "old.sync"), status=3)
        expect(said["answer"] != "taken" and "was retired" in said["reason"],
               said)
        expect(drill.seen().get("forks", 0) == forks + 1, drill.seen())
        expect(drill.seen()["seats"] == 3, drill.seen())
        drill.old.stop()


def without_the_recovery_key_nothing_is_made():
    with World() as world:
        drill = Drill(world, seats=0)
        path = drill.backup()
        etc = world.path("etc")
        os.mkdir(etc)
        with open(os.path.join(etc, "leaseholdd.ini"), "w") as out:
            out.write("[site]\n")
        whole = drill.backup("etc.backup", etc=etc)
        drill.lose()
        other = drill.secret("other", "-".join(["0000"] * 8))
        short = drill.secret("short", "0000-0000")
        for options, words in (
                ([], "--recovery-file"),
                (["--recovery-file", other], "not the one"),
                (["--recovery-file", short], "no recovery key")):
            done = drill.restore(path, *options)
            expect(done.status == 1 and words in done.err, done.err)
            expect(not os.path.exists(drill.site.state), "something was made")
        # As people copy it.
        with open(drill.recovery) as f:
            text = f.read().strip().lower().replace("-", " ")
        done = drill.restore(whole, "--recovery-file",
                             drill.secret("copied", text))
        expect(done.status == 0, done.err)
        with open(os.path.join(drill.site.state, "etc",
                               "leaseholdd.ini")) as f:
            expect(f.read() == "[site]\n", "the configuration")


def what_only_root_may_read_comes_along_from_afar():
    with World() as world:
        drill = Drill(world, seats=1)
        site = drill.site
        with open(site.ca) as f:
            ca = f.read()
        path = drill.backup_from_afar()
        shown = site.cli("--json", "backup", "show", path).json()
        expect(shown["box"] and not shown["keys"], shown)
        with open(path, "rb") as f:
            expect(b"PRIVATE KEY" not in f.read(), "a key in the clear")
        # The ledger's folder names another heir: root seals nothing for him.
        forged = os.path.join(site.state, "keys", "heir.key")
        with open(forged) as f:
            named = f.read()
        other = run(binary("leasehold"), "appliance", "maintenance", "key",
                    world.path("other.key"))
        with open(forged, "w") as f:
            f.write(other.out)
        site.stop()
        site.start()
        with open(forged, "w") as f:
            f.write(named)
        later = drill.backup_from_afar("later.backup")
        drill.lose()
        # Its certificates and what it was configured by, without --host.
        drill.go_on(later)
        with open(site.ca) as f:
            expect(f.read() == ca, "another CA: agents would not believe it")
        with open(site.config) as f, \
                open(os.path.join(site.state, "etc", "leaseholdd.ini")) as g:
            expect(f.read().replace("\n", "")[:20] ==
                   g.read().replace("\n", "")[:20], "the configuration")
        drill.agent.wait_connected()
        drill.reissue()
        drill.apps.append(drill.seat("new"))
        expect(len(drill.held()) == 2, drill.held())
        # And the new box's own backups have them, for the same recovery key.
        again = drill.backup_from_afar("again.backup")
        expect(site.cli("--json", "backup", "show", again).json()["box"],
               "the next backup has no certificates")


def certificates_for_another_recovery_key_are_not_taken():
    with World() as world:
        drill = Drill(world, seats=0)
        sealed = os.path.join(drill.site.state, "tls", "box.sealed")
        with open(sealed, "rb") as f:
            old = f.read()
        drill.recovery = drill.name_heir()
        with open(sealed, "rb") as f:
            expect(f.read() != old, "not sealed anew")
        with open(sealed, "wb") as f:
            f.write(old)
        path = drill.backup_from_afar()
        drill.lose()
        done = drill.restore(path, "--recovery-file", drill.recovery)
        expect(done.status == 1 and "not for this recovery key" in done.err
               and "--host" in done.err, done.err)
        expect(not os.path.exists(drill.site.state), "something was made")
        done = drill.restore(path, "--recovery-file", drill.recovery,
                             "--host", "localhost")
        expect(done.status == 0, done.err)


def a_recovery_key_that_is_named_is_shown_whatever_else_fails():
    with World() as world:
        drill = Drill(world, seats=0)
        site = drill.site
        ca = os.path.join(site.state, "tls", "ca.key")
        sealed = os.path.join(site.state, "tls", "box.sealed")
        os.rename(ca, ca + ".away")
        drill.recovery = drill.name_heir()
        # What was sealed for who was named before is of no use to him.
        expect(not os.path.exists(sealed), "certificates for another heir")
        path = world.path("bare.backup")
        drill.at(site, "backup", path, "--passphrase-file",
                 drill.secret("word", WORD))
        expect(not site.cli("--json", "backup", "show", path).json().get("box"),
               "certificates that are not there")
        os.rename(ca + ".away", ca)
        site.stop()
        site.start()
        path = drill.backup_from_afar()
        drill.lose()
        done = drill.restore(path, "--recovery-file", drill.recovery, "--json")
        expect(done.status == 0, done.err)
        expect(done.json()["ca_sha256"] == site.facts["ca_sha256"], done.out)


def another_box_is_found_by_its_own_names_too():
    with World() as world:
        drill = Drill(world, seats=0)
        site = drill.site
        pem = os.path.join(site.state, "tls", "server.pem")

        def names():
            return {name for _, name in ssl._ssl._test_decode_cert(pem)[
                "subjectAltName"]}

        before = names()
        with open(pem) as f:
            same = f.read()
        with open(site.ca) as f:
            ca = f.read()
        path = drill.backup_from_afar()
        drill.lose()
        asked = ("--recovery-file", drill.recovery)
        done = drill.restore(path, *asked, "--host", "LOCALHOST")
        expect(done.status == 0, done.err)
        with open(pem) as f:
            expect(f.read() == same, "another certificate for nothing")
        shutil.rmtree(site.state)
        done = drill.restore(path, *asked, "--host", "new.plant.example",
                             "--host", "192.0.2.9", "--host", "2001:db8::9")
        expect(done.status == 0, done.err)
        expect(names() == before | {"new.plant.example", "*.new.plant.example",
                                    "192.0.2.9", "2001:DB8:0:0:0:0:0:9"},
               (before, names()))
        with open(site.ca) as f:
            expect(f.read() == ca, "another CA")
        # The agent believes it as before.
        site.use_tpm(Tpm(world, "none"))
        site.start()
        drill.agent.wait_connected()


def a_box_that_nobody_left_the_site_to_is_refused_by_the_hub():
    with World() as world:
        drill = Drill(world, seats=0)
        stranger = Site(world, "stranger")
        request = write(world, "stranger.request", stranger.request())
        done = drill.at(drill.hub, "hub", "reissue", request, "--confirm",
                        status=1)
        expect("is not known here" in done.err, done.err)
        # It says that it is that site, and has another key.
        with open(os.path.join(stranger.state, "site.json")) as f:
            said = f.read()
        with open(os.path.join(stranger.state, "site.json"), "w") as f:
            f.write(said.replace(stranger.facts["site"],
                                 drill.site.facts["site"]))
        request = write(world, "liar.request", stranger.request())
        done = drill.at(drill.hub, "hub", "reissue", request, "--confirm",
                        status=1)
        expect("nothing leads from the key" in done.err, done.err)
        # The site as it is has nothing to be issued anew.
        request = write(world, "same.request", drill.site.request())
        done = drill.at(drill.hub, "hub", "reissue", request, "--confirm")
        expect(ids() not in done.out, done.out)


if __name__ == "__main__":
    sys.exit(main([
        another_box_goes_on_and_the_lost_one_is_believed_by_nobody,
        without_the_recovery_key_nothing_is_made,
        what_only_root_may_read_comes_along_from_afar,
        certificates_for_another_recovery_key_are_not_taken,
        a_recovery_key_that_is_named_is_shown_whatever_else_fails,
        another_box_is_found_by_its_own_names_too,
        a_box_that_nobody_left_the_site_to_is_refused_by_the_hub,
    ]))
