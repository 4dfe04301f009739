#!/usr/bin/python3
"""Reports of a real site to a real hub, by file: each overage seat counts once
there, and what the vendor changes comes back with the receipt."""

import sys

from harness import Agent, App, Site, World, expect, main
from test_hub import ids, order, setting, write


class Pair:
    """A hub, and a site of its customer with overage in use."""

    def __init__(self, world, seats=3):
        self.world = world
        self.hub, self.api = setting(world)
        made = self.api.ask("POST", "/api/v1/licenses/generate",
                            order(commit=1, overage=9))
        expect(made.status == 201, made)
        self.site = Site(world)
        self.site.start()
        request = write(world, "plant.request", self.site.request())
        self.at(self.hub, "hub", "site", "add", request, "--customer",
                "ACC-98765")
        package = world.path("plant.lic")
        self.at(self.hub, "hub", "license", "package", ids(), package)
        self.at(self.site, "license", "install", package)
        self.agent = Agent(world)
        self.agent.start()
        self.agent.enroll(self.site)
        self.apps = [self.seat() for _ in range(seats)]

    def at(self, where, *args, status=0):
        done = where.cli(*args)
        expect(done.status == status, (args, done.status, done.out, done.err))
        return done

    def seat(self):
        app = App(self.world, self.agent.socket)
        app.wait()
        expect(app.lease, app.errors())
        return app

    def export(self, name):
        path = self.world.path(name)
        self.at(self.site, "sync", "export", path)
        return path

    def take(self, path, status=0):
        """What the hub says of the last report of a file."""
        done = self.at(self.hub, "--json", "hub", "import", path, "--out",
                       path + ".back", status=status)
        return done.json()

    def bring(self, path):
        return self.at(self.site, "sync", "import", path + ".back").out

    def seen(self):
        """The site, as the hub has it."""
        return self.api.get("/api/v1/hub/sites").json()["items"][0]


def overage_counts_once_at_the_hub():
    with World() as world:
        pair = Pair(world)
        path = pair.export("one.sync")
        said = pair.take(path)
        expect(said["answer"] == "taken" and said["seats"] == 2, said)
        expect(said.get("others", 0) == 0, said)
        expect("report 1 taken" in pair.bring(path), "receipt")
        # The same file again, and the same use in another one.
        expect(pair.take(path)["answer"] == "replayed", "twice")
        pair.apps.append(pair.seat())
        path = pair.export("two.sync")
        said = pair.take(path)
        expect(said["report"] == 2 and said["seats"] == 1, said)
        pair.bring(path)
        expect(pair.seen()["seats"] == 3, pair.seen())
        expect(pair.seen()["sequence"] == 2, pair.seen())
        expect(pair.seen().get("refused", 0) == 0, pair.seen())
        # Also after the hub was started anew.
        pair.hub.stop()
        pair.hub.start()
        expect(pair.take(path)["answer"] == "replayed", "after a start")
        expect(pair.seen()["seats"] == 3, pair.seen())


def a_lost_receipt_costs_nothing():
    with World() as world:
        pair = Pair(world)
        pair.take(pair.export("one.sync"))
        pair.apps.append(pair.seat())
        # The site does not know that report 1 was taken: it makes it again.
        path = pair.export("again.sync")
        said = pair.take(path)
        expect(said["answer"] == "replayed" and said["report"] == 1, said)
        expect(said["acknowledged"] == 1, said)
        pair.bring(path)
        path = pair.export("two.sync")
        said = pair.take(path)
        expect(said["answer"] == "taken" and said["seats"] == 1, said)
        expect(pair.seen()["seats"] == 3, pair.seen())


def a_change_of_the_license_comes_back_with_the_receipt():
    with World() as world:
        pair = Pair(world, seats=1)
        pair.at(pair.hub, "hub", "license", "suspend", ids())
        path = pair.export("one.sync")
        pair.take(path)
        out = pair.bring(path)
        expect("%s: suspend (1)" % ids() in out, out)
        expect("applied before" in pair.bring(path), "twice")
        pair.at(pair.hub, "hub", "license", "resume", ids())
        path = pair.export("two.sync")
        pair.take(path)
        expect("%s: resume (2)" % ids() in pair.bring(path), "resume")


def what_is_cut_altered_or_of_a_stranger_is_refused():
    with World() as world:
        pair = Pair(world)
        path = pair.export("one.sync")
        with open(path, "rb") as f:
            good = f.read()
        for name, data, words in (
                ("cut", good[:-7], "cut short"),
                ("altered", good[:99] + bytes([good[99] ^ 1]) + good[100:],
                 "altered"),
                ("text", b"hello", "no file of sync")):
            with open(world.path(name), "wb") as f:
                f.write(data)
            done = pair.hub.cli("hub", "import", world.path(name))
            expect(done.status == 1 and words in done.err, (name, done.err))
        # A receipt is no report, and is for the site.
        pair.take(path)
        done = pair.hub.cli("hub", "import", path + ".back")
        expect(done.status == 1 and "sealed to a key" in done.err, done.err)
        # Another account cannot open what is for this one.
        pair.hub.account("other")
        done = pair.hub.cli("hub", "import", path)
        expect(done.status != 0, done.out)


if __name__ == "__main__":
    sys.exit(main([
        overage_counts_once_at_the_hub,
        a_lost_receipt_costs_nothing,
        a_change_of_the_license_comes_back_with_the_receipt,
        what_is_cut_altered_or_of_a_stranger_is_refused,
    ]))
