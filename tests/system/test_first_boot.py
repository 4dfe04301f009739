#!/usr/bin/python3
"""The first start of an appliance: firmware's own script with the real
leaseholdd, and what else it calls on a box played by scripts. What is shown once
is shown, whenever the power goes."""

import os
import re
import subprocess
import sys
import time

from harness import Site, World, binary, expect, main, run

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, "..", "..", "firmware", "root", "usr", "lib",
                       "leasehold")
DATA_KEY = "data-recovery-key-of-this-box"
WORD = "correct horse battery"


def program(path, text):
    with open(path, "w") as out:
        out.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)


def script(name, places):
    with open(os.path.join(SCRIPTS, name)) as f:
        text = f.read()
    for old, new in places:
        expect(old in text, "%s has no %s" % (name, old))
        text = text.replace(old, new)
    return text


class Box:
    def __init__(self, world):
        self.world = world
        self.data, self.run, self.lib = (world.path(name) for name in
                                         ("data", "run", "lib"))
        self.state = os.path.join(self.data, "leasehold")
        self.stick = world.path("stick")
        self.console = world.path("console")
        self.cut = world.path("cut")
        os.makedirs(os.path.join(self.data, "system"))
        os.makedirs(os.path.join(self.run, "appliance"))
        bin_ = world.path("bin")
        for path in (self.lib, bin_):
            os.mkdir(path)
        self.keep("recovery", DATA_KEY + "\n")
        places = [("/data", self.data), ("/usr/lib/leasehold", self.lib),
                  ("/run/leasehold", self.run),
                  ("/dev/disk/by-label/LEASEHOLD", self.stick)]
        program(os.path.join(self.lib, "first-boot"),
                script("first-boot", places).split("\n", 1)[1])
        program(os.path.join(self.lib, "say"),
                "{ [ $# = 0 ] && cat || echo \"$*\"; } >>'%s'\n" %
                self.console)
        # The box's user is none of the machine's. `cut`: the power goes then.
        program(os.path.join(bin_, "leaseholdd"), """
n=$# word=$1
while [ $n -gt 0 ]; do
	if [ "$1" = --user ]; then shift 2; n=$((n - 2)); continue; fi
	set -- "$@" "$1"; shift; n=$((n - 1))
done
[ "$(cat '%s' 2>/dev/null)" != "before $word" ] || { kill -9 $PPID; exit; }
'%s' "$@" || exit
[ "$(cat '%s' 2>/dev/null)" != "after $word" ] || kill -9 $PPID
""" % (self.cut, binary("leaseholdd"), self.cut))
        program(os.path.join(bin_, "mount"),
                "for to; do :; done; cp -r '%s'/. \"$to\"\n" % self.stick)
        for name in ("umount", "udevadm", "ip"):
            program(os.path.join(bin_, name), "exit 0\n")
        self.env = dict(os.environ, PATH=bin_ + ":" + os.environ["PATH"])

    def system(self, name):
        return os.path.join(self.data, "system", name)

    def keep(self, name, text):
        with open(self.system(name), "w") as out:
            out.write(text)

    def start(self, cut=None):
        """Its first start, or a later one, and what the consoles show."""
        with open(self.console, "w"):
            pass
        with open(self.cut, "w") as out:
            out.write(cut or "")
        done = subprocess.run(
            ["/bin/sh", os.path.join(self.lib, "first-boot")], env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, timeout=60)
        self.status = done.returncode
        self.err = done.stderr
        with open(self.console) as f:
            return f.read()

    def shown(self, name, text):
        found = re.search(r"^  %s +(\S+)$" % name, text, re.M)
        return found.group(1) if found else None

    def is_made(self):
        return os.path.exists(os.path.join(self.state, "site.json"))

    def rests(self):
        """Nothing that a later start would come here for."""
        expect(self.is_made(), "no site")
        for name in ("making", "recovery"):
            expect(not os.path.exists(self.system(name)), name)
        expect(not os.path.exists(self.state + ".unseen"), "what was unseen")


def a_new_box_shows_its_keys_once():
    with World() as world:
        box = Box(world)
        text = box.start()
        expect(box.status == 0, box.err)
        for name in ("admin key", "site recovery key", "CA fingerprint"):
            expect(box.shown(name, text), (name, text))
        expect(box.shown("data recovery key", text) == DATA_KEY, text)
        box.rests()
        site = box.shown("site", text)
        expect(box.start() == "" and box.status == 0, box.err)
        with open(os.path.join(box.state, "site.json")) as f:
            expect(site in f.read(), "another site")


def a_site_whose_keys_nobody_saw_is_made_again():
    with World() as world:
        box = Box(world)
        expect("admin key" not in box.start(cut="after init"), "shown")
        expect(box.is_made(), "not cut where it was to be")
        with open(os.path.join(box.state, "site.json")) as f:
            unseen = f.read()
        text = box.start()
        expect(box.status == 0, box.err)
        expect(box.shown("site", text) not in unseen, "the same")
        expect(box.shown("admin key", text), text)
        expect(box.shown("data recovery key", text) == DATA_KEY, text)
        box.rests()


def a_site_that_a_daemon_ran_on_is_never_made_again():
    with World() as world:
        box = Box(world)
        box.start(cut="after init")
        with open(os.path.join(box.state, "site.json")) as f:
            made = f.read()
        with open(os.path.join(box.state, "lock"), "w"):
            pass
        text = box.start()
        expect(box.shown("data recovery key", text) == DATA_KEY, text)
        with open(os.path.join(box.state, "site.json")) as f:
            expect(f.read() == made, "made again")
        box.rests()


def a_power_cut_before_a_site_is_made_leaves_a_new_box():
    with World() as world:
        box = Box(world)
        box.start(cut="before init")
        expect(not box.is_made(), "made")
        text = box.start()
        expect(box.shown("admin key", text), text)
        box.rests()


def another_box_s_site_is_shown_too_and_never_made_again():
    with World() as world:
        old = Site(world, "old")
        made = run(binary("leaseholdd"), "heir", "--state", old.state, "--json")
        expect(made.status == 0, made.err)
        old.start()
        box = Box(world)
        os.mkdir(box.stick)
        for name, text in (("passphrase", WORD),
                           ("recovery", made.json()["recovery_key"])):
            path = os.path.join(box.stick, "site." + name)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600),
                      "w") as out:
                out.write(text + "\n")
        backup = os.path.join(box.stick, "site.backup")
        done = old.cli("backup", backup, "--passphrase-file",
                       os.path.join(box.stick, "site.passphrase"))
        expect(done.status == 0, done.err)
        # Another one goes on without a power cut.
        with World() as beside:
            again = Box(beside)
            os.symlink(box.stick, beside.path("stick"))
            text = again.start()
            expect(again.shown("site", text) == old.facts["site"], text)
            expect(again.shown("CA fingerprint", text) ==
                   old.facts["ca_sha256"], text)
            again.rests()
        # Of an attempt to make a new one.
        box.keep("making", "")
        box.start(cut="after restore")
        expect(box.is_made(), box.err)
        with open(os.path.join(box.state, "site.json")) as f:
            restored = f.read()
        expect(old.facts["site"] in restored, restored)
        os.rename(box.stick, box.stick + ".pulled")
        text = box.start()
        expect(box.status == 0, box.err)
        expect(box.shown("data recovery key", text) == DATA_KEY, text)
        with open(os.path.join(box.state, "site.json")) as f:
            expect(f.read() == restored, "made again")
        box.rests()


def a_console_that_is_held_holds_nobody_up():
    with World() as world:
        dev = world.path("dev")
        os.mkdir(dev)
        os.mkfifo(os.path.join(dev, "ttyS0"))
        active = world.path("active")
        with open(active, "w") as out:
            out.write("ttyS0 tty1\n")
        say = world.path("say")
        program(say, script("say", [
            ("/sys/class/tty/console/active", active), ("/dev/", dev + "/"),
            ("timeout 30", "timeout 1")]).replace("2>" + dev + "/null",
                                                  "2>/dev/null"))
        begun = time.monotonic()
        done = run("sh", say, "a word", timeout=30)
        expect(done.status == 0 and time.monotonic() - begun < 15, done.err)
        with open(os.path.join(dev, "tty1"), "rb") as f:
            expect(f.read() == b"a word\r\n", "not said")


if __name__ == "__main__":
    sys.exit(main([
        a_new_box_shows_its_keys_once,
        a_site_whose_keys_nobody_saw_is_made_again,
        a_site_that_a_daemon_ran_on_is_never_made_again,
        a_power_cut_before_a_site_is_made_leaves_a_new_box,
        another_box_s_site_is_shown_too_and_never_made_again,
        a_console_that_is_held_holds_nobody_up,
    ]))
