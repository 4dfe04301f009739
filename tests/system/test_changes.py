#!/usr/bin/python3
"""What a vendor says of a license that is installed, as files: late, twice, out
of order, altered, cut, or of somebody else."""

import json
import os
import sys

from harness import Site, World, binary, expect, main, run, terms
from test_sync import Office
from test_sync_hub import Pair, ids


class Desk(Office):
    """A site with a license, and the vendor's changes of it by hand."""

    def __init__(self, world):
        super().__init__(world, seats=0)
        self.license = self.shown()["license_id"]

    def shown(self):
        return self.cli("--json", "license", "show", "1").json()

    def change(self, name, what, revision, of=None):
        """A change as a file of its own."""
        path = self.world.path(name)
        done = run(binary("tests/system/sync_tool"), self.world.vendor,
                   self.request, self.world.path("none.state"), "-", path,
                   "--" + what, of or self.license, revision)
        expect(done.status == 0, done.err)
        return path

    def refuse(self, path, *words):
        before = self.shown()
        done = self.cli("license", "install", path, status=1)
        for word in words:
            expect(word in done.err, (word, done.err))
        expect(self.shown() == before, "what was refused changed something")

    def is_status(self, status):
        expect(self.shown()["status"] == status, self.shown())


def a_change_by_file_counts_once():
    with World() as world:
        desk = Desk(world)
        path = desk.change("one.change", "suspend", 1)
        desk.cli("license", "install", path)
        desk.is_status("suspended")
        desk.refused()
        desk.refuse(path, "revision 1 is in force")
        desk.cli("license", "install", desk.change("two", "resume", 2))
        desk.is_status("active")
        desk.seat()
        # The first one turns up once more.
        desk.refuse(path, "revision 2 is in force", "this one is 1")
        desk.seat()


def a_change_by_file_that_is_late_changes_nothing():
    with World() as world:
        desk = Desk(world)
        late = desk.change("one.change", "suspend", 1)
        desk.cli("license", "install", desk.change("two", "resume", 2))
        desk.refuse(late, "revision 2 is in force")
        desk.is_status("active")
        desk.cli("license", "install", desk.change("four", "cancel", 4))
        desk.is_status("cancelled")
        desk.refuse(desk.change("three", "resume", 3),
                    "revision 4 is in force")
        desk.refused()
        # Nothing but another license ends a cancellation.
        desk.cli("license", "install", desk.change("five", "resume", 5))
        desk.is_status("cancelled")
        desk.refused()


def a_renewal_by_file_that_is_late_does_not_go_back():
    with World() as world:
        desk = Desk(world)
        newer = []
        for commit in (4, 6):
            renewal = world.issue(desk.site, terms(commit=commit, overage=9),
                                  extra=("--license-id", desk.license))
            newer.append(desk.change("renew-%d" % commit, "renew",
                                     len(newer) + 1, renewal))
        desk.cli("license", "install", newer[1])
        after = desk.shown()
        expect(after["entitlement"]["commit_qty"] == 6, after)
        desk.refuse(newer[0], "revision 2 is in force")
        expect(desk.shown()["serial"] == after["serial"], after)


def an_altered_or_cut_change_by_file_is_refused():
    with World() as world:
        desk = Desk(world)
        path = desk.change("good.change", "cancel", 1)
        with open(path) as f:
            good = f.read()
        document = json.loads(good)

        def write(name, what):
            with open(world.path(name), "w") as f:
                f.write(what if isinstance(what, str) else json.dumps(what))
            return world.path(name)

        for n, at in enumerate(range(12, len(document["change"]) - 1, 97)):
            token = document["change"]
            other = "A" if token[at] != "A" else "B"
            bent = dict(document,
                        change=token[:at] + other + token[at + 1:])
            desk.refuse(write("altered", bent))
        expect(n > 3, n)
        token = document["change"]
        desk.refuse(write("cut token", dict(document, change=token[:-40])))
        for size in (0, 1, len(good) // 3, len(good) - 20):
            desk.refuse(write("cut", good[:size]))
        # What it says under another issuer's word, or none.
        issuer = document["issuer"]
        desk.refuse(write("issuer", dict(document, issuer=issuer[:-1])))
        desk.refuse(write("swapped", dict(document, issuer=token,
                                          change=issuer)))
        desk.is_status("active")
        # And as it was sent it is one.
        desk.cli("license", "install", path)
        desk.is_status("cancelled")


def a_change_of_another_site_or_vendor_is_refused():
    with World() as world:
        desk = Desk(world)
        other = Site(world, "other")
        other.start()
        mine, desk.request = desk.request, world.path("other.request")
        with open(desk.request, "w") as f:
            f.write(other.request())
        desk.refuse(desk.change("elsewhere", "cancel", 1), "another site")
        desk.request = mine
        desk.refuse(desk.change("unknown", "cancel", 1, "lic-nobodys"),
                    "is not installed here")
        # A vendor of the same name with keys of its own.
        with World() as stranger:
            theirs = run(binary("tests/system/sync_tool"), stranger.vendor,
                         desk.request, world.path("none.state"), "-",
                         world.path("theirs"), "--cancel", desk.license, 1)
            expect(theirs.status == 0, theirs.err)
        desk.refuse(world.path("theirs"), "is not known here by the key")
        desk.is_status("active")


def changes_that_come_with_a_receipt_hold_in_their_order():
    with World() as world:
        desk = Desk(world)
        path = desk.export("one.sync")
        one = ("--suspend", desk.license, 1)
        two = ("--resume", desk.license, 2)
        desk.hub(path, "first.back", *one)
        desk.hub(path, "both.back", *one, *two)
        desk.hub(path, "mixed.back", *two, *one)
        out = desk.take("mixed.back")
        expect("resume (2)\n" in out and
               "suspend (1): it was applied before" in out, out)
        desk.is_status("active")
        for name in ("both.back", "first.back", "mixed.back"):
            out = desk.take(name)
            expect(out.count("it was applied before") ==
                   (1 if name == "first.back" else 2), out)
        desk.is_status("active")
        desk.seat()
        # The renewal's license was brought by hand before.
        renewal = world.issue(desk.site, terms(commit=7, overage=9),
                              extra=("--license-id", desk.license))
        desk.cli("license", "install", renewal)
        desk.hub(path, "renew.back", "--renew", renewal, 3)
        out = desk.take("renew.back")
        expect("renew (3)\n" in out and "not done" not in out, out)


def a_site_hears_of_a_change_behind_many_others():
    """More than one answer holds, and signed by a key of before."""
    with World() as world:
        pair = Pair(world, seats=1)
        url = "/api/v1/hub/licenses/%s/" % ids()
        for _ in range(70):
            for what in ("suspend", "resume"):
                done = pair.api.post(url + what, {})
                expect(done.status == 200, done)
        pair.at(pair.hub, "hub", "license", "suspend", ids())
        pair.take(pair.export("one.sync"))
        out = pair.bring(world.path("one.sync"))
        expect("suspend (141)" in out, out)
        # Another key: what the one before signed still holds.
        pair.at(pair.hub, "hub", "key", "make")
        os.unlink(world.path("word.json"))
        pair.hub.vouch(world)
        pair.at(pair.hub, "hub", "license", "cancel", ids())
        pair.take(pair.export("two.sync"))
        out = pair.bring(world.path("two.sync"))
        expect("suspend (141): it was applied before" in out, out)
        expect("cancel (142)\n" in out, out)


if __name__ == "__main__":
    sys.exit(main([
        a_change_by_file_counts_once,
        a_change_by_file_that_is_late_changes_nothing,
        a_renewal_by_file_that_is_late_does_not_go_back,
        an_altered_or_cut_change_by_file_is_refused,
        a_change_of_another_site_or_vendor_is_refused,
        changes_that_come_with_a_receipt_hold_in_their_order,
        a_site_hears_of_a_change_behind_many_others,
    ], together=True))
