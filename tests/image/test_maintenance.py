#!/usr/bin/python3
"""Maintenance of a real box under qemu: no shell, then one by a token of its
owner, gone after its time and at a restart. IMAGE: the folder that `make image`
left."""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from lab import ROOT, Box, Images, make_stick  # noqa: E402

from harness import World, binary, expect, main, run, wait_for  # noqa: E402

IMAGE = os.environ.get("IMAGE", os.path.join(ROOT, "build", "image"))
LEASEHOLD = binary("leasehold")


def make_key(world, name):
    """A key, and its public half in a file."""
    key, public = world.path(name + ".key"), world.path(name + ".pub")
    made = run(LEASEHOLD, "appliance", "maintenance", "key", key)
    expect(made.status == 0, made.err)
    with open(public, "w") as file:
        file.write(made.out)
    return key, public


class Maintained:
    def __init__(self, world):
        self.world = world
        self.box = Box(world, Images(IMAGE), "box")
        self.key, public = make_key(world, "owner")
        self.stranger, _ = make_key(world, "stranger")
        self.stick = make_stick(world.path("stick"), public)
        self.made = 0
        self.box.start()
        self.box.plug(self.stick)
        self.box.fetch_ca(self.box.read_console()["CA fingerprint"])
        self.box.wait_ready()
        self.shown = wait_for(self.owned, "nobody owns the box", 300, 1)

    def show(self):
        done = self.box.cli("--json", "appliance", "maintenance", "show")
        return done.json() if done.status == 0 else {}

    def owned(self):
        shown = self.show()
        return shown if shown.get("owner") else None

    def token(self, key=None, site=None, box=None, minutes=1):
        self.made += 1
        path = self.world.path("token%d" % self.made)
        made = run(LEASEHOLD, "appliance", "maintenance", "token", "--owner",
                   key or self.key, "--site", site or self.shown["site"],
                   "--box", box or self.shown["box"], "--minutes",
                   str(minutes), "--reason", "the disk clicks", "--out", path)
        expect(made.status == 0, made.err)
        return path

    def ask(self, path):
        """What root did about it."""
        before = len(self.show()["events"])
        done = self.box.cli("appliance", "maintenance", "open", path)
        expect(done.status == 0, done.err)
        wait_for(lambda: len(self.show().get("events", [])) > before,
                 "the box does not look at it", 300, 1)
        return self.show()["events"][before]

    def refuses(self, path, words):
        event = self.ask(path)
        expect(event["step"] == "refused" and words in event["reason"], event)

    def types_to_nobody(self, word):
        """What a shell would answer is to be missing at the end."""
        self.box.types("\necho %s-$((6*7))\n" % word)

    def kinds(self):
        done = self.box.cli("--json", "audit", "tail", "-n", "1000")
        return [kind for line in done.out.splitlines()
                for kind in ("opened", "refused", "ended")
                if '"maintenance.%s"' % kind in line]


def a_shell_opens_by_the_owners_token_alone_and_for_its_time():
    with World() as world:
        it = Maintained(world)
        box = it.box
        it.types_to_nobody("before")
        it.refuses(it.token(key=it.stranger), "another key")
        it.refuses(it.token(box="box-" + "0" * 20), "another box")
        it.refuses(it.token(site="site-zzzzzzzzzzzzz"), "another box")
        forged = it.token()
        with open(forged) as file:
            text = file.read()
        with open(forged, "w") as file:
            file.write(text[:60] + ("A" if text[60] != "A" else "B") +
                       text[61:])
        it.refuses(forged, "no token")
        it.types_to_nobody("refused")

        good = it.token(minutes=2)
        asked = time.monotonic()
        expect(it.ask(good)["step"] == "opened", it.show())
        box.says("Maintenance of this box")
        expect(it.show()["open"], it.show())
        # It may be starting still.
        def answers():
            box.types("\necho inside-$((6*7)) uid-$(id -u)\n")
            return "inside-42 uid-0" in box.serial()
        wait_for(answers, "the shell does not answer", 50, 1)
        # What leasehold-disaster(7) has an owner type who lost his papers.
        for verb, word in (("heir", "Recovery key, shown once: "),
                           ("key --name found", "Admin key, shown once: ")):
            box.types("\nleaseholdd %s --state /data/leasehold\n" % verb)
            box.says(word, 40)
        box.types("trap '' HUP TERM; sleep 9999\n")
        # What is false is left out of an answer: it must be one.
        wait_for(lambda: "site" in (now := it.show()) and "open" not in now,
                 "the shell stays open", 900, 1)
        expect(time.monotonic() - asked > 110, "it ended before its time")
        it.types_to_nobody("after")
        last = it.show()["events"][-1]
        expect(last["step"] == "ended" and "time was over" in last["reason"],
               last)
        it.refuses(good, "used already")

        # A restart ends it, too, and what was used stays used.
        second = it.token(minutes=200)
        expect(it.ask(second)["step"] == "opened", it.show())
        wait_for(lambda: it.kinds().count("opened") == 2, "not journaled",
                 300, 1)
        box.cut()
        first = box.serial()
        for word in ("before", "refused", "after"):
            expect(word + "-42" not in first, "a shell answers: " + word)
        box.start()
        box.wait_ready()
        it.types_to_nobody("restarted")
        last = wait_for(it.owned, "nobody owns the box", 300, 1)["events"][-1]
        expect(last["step"] == "ended" and "started again" in last["reason"],
               last)
        it.refuses(second, "used already")
        want = ["refused"] * 4 + ["opened", "ended", "refused", "opened",
                                  "ended", "refused"]
        wait_for(lambda: it.kinds() == want, "the journal differs", 300, 1)
        expect("restarted-42" not in box.serial() and
               "Maintenance of this box" not in box.serial(),
               "a shell answers after a restart")


if __name__ == "__main__":
    sys.exit(main([a_shell_opens_by_the_owners_token_alone_and_for_its_time]))
