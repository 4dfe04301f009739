#!/usr/bin/python3
"""Reports to a vendor by file: what leaves, what comes back, and that a file
that arrives twice, cut, altered or late changes nothing."""

import json
import os
import sys

from harness import (Agent, App, Site, World, binary, expect, main, run,
                     terms)


def texts(value):
    """Every text that stands in a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


class Office:
    """A site with overage in use, and a hub by hand."""

    def __init__(self, world, seats=3, **kw):
        self.world = world
        self.site = Site(world)
        self.site.start()
        document = terms(commit=1, overage=9)
        document.update(kw)
        self.site.install(document)
        self.agent = Agent(world)
        self.agent.start()
        self.agent.enroll(self.site)
        self.request = world.path("sync.request")
        with open(self.request, "w") as f:
            f.write(self.site.request())
        self.apps = [self.seat() for _ in range(seats)]

    def seat(self):
        app = App(self.world, self.agent.socket)
        app.wait()
        expect(app.lease, app.errors())
        return app

    def refused(self):
        app = App(self.world, self.agent.socket)
        app.wait()
        expect(app.lease is None, "a lease was given")
        return app.errors()

    def cli(self, *args, status=0):
        done = self.site.cli(*args)
        expect(done.status == status, (args, done.status, done.out, done.err))
        return done

    def status(self):
        return self.cli("--json", "sync", "status").json()["items"][0]

    def export(self, name):
        path = self.world.path(name)
        self.cli("sync", "export", path)
        return path

    def hub(self, path, out, *change, status=0):
        """What the hub says of a file; its answer lies in `out`."""
        done = run(binary("tests/system/sync_tool"), self.world.vendor,
                   self.request, self.world.path("hub.state"), path,
                   self.world.path(out), *change)
        expect(done.status == status, (done.status, done.out, done.err))
        return [json.loads(line) for line in done.out.splitlines()]

    def take(self, out):
        return self.cli("sync", "import", self.world.path(out)).out


def a_report_goes_out_and_its_receipt_comes_back():
    with World() as world:
        office = Office(world)
        before = office.status()
        expect(before["acknowledged"] == 0, before)
        expect(before["waiting_batches"] > 0, before)
        said = office.hub(office.export("one.sync"), "one.back")
        expect(len(said) == 1 and said[0]["answer"] == "taken", said)
        expect(said[0]["seats"] == 2, said)
        expect(said[0]["software"].startswith("leaseholdd "), said)
        expect(said[0]["counter"] > 0, said)
        expect(said[0]["devices"] == 1, said)
        out = office.take("one.back")
        expect("report 1 taken" in out, out)
        after = office.status()
        expect(after["acknowledged"] == 1, after)
        expect(after["waiting_batches"] < before["waiting_batches"], after)
        # What is new goes on from there.
        office.apps.append(office.seat())
        said = office.hub(office.export("two.sync"), "two.back")
        expect(said[0]["answer"] == "taken" and said[0]["report"] == 2, said)
        expect(said[0]["seats"] == 3, said)


def a_file_twice_changes_nothing():
    with World() as world:
        office = Office(world)
        path = office.export("one.sync")
        office.hub(path, "one.back")
        said = office.hub(path, "again.back")
        expect(said[0]["answer"] == "replayed", said)
        expect(said[0]["seats"] == 2, said)
        office.take("one.back")
        expect("known before" in office.take("one.back"), "twice")
        expect(office.status()["acknowledged"] == 1, office.status())
        # Made before the receipt came: its number is taken.
        expect("report 1" in office.take("again.back"), "again")
        expect(office.status()["acknowledged"] == 1, office.status())


def a_lost_file_is_made_up_for():
    with World() as world:
        office = Office(world)
        office.export("lost.sync")
        office.apps.append(office.seat())
        said = office.hub(office.export("two.sync"), "two.back")
        expect(said[0]["report"] == 1 and said[0]["seats"] == 3, said)
        # The lost one turns up late.
        said = office.hub(world.path("lost.sync"), "late.back")
        expect(said[0]["answer"] == "replayed", said)
        office.take("two.back")
        expect(office.status()["acknowledged"] == 1, office.status())


def what_is_cut_or_altered_is_refused_whole():
    with World() as world:
        office = Office(world)
        path = office.export("one.sync")
        office.hub(path, "one.back")
        with open(world.path("one.back"), "rb") as f:
            good = f.read()
        with open(path, "rb") as f:
            report = f.read()
        for name, data, words in (
                ("cut", good[:-3], "cut short"),
                ("front", good[:30], "cut short"),
                ("altered", good[:200] + bytes([good[200] ^ 1]) + good[201:],
                 "altered"),
                ("text", b"not that", "no file of sync"),
                ("other", report, "for another")):
            with open(world.path(name), "wb") as f:
                f.write(data)
            done = office.site.cli("sync", "import", world.path(name))
            expect(done.status == 1, (name, done.status, done.err))
            expect(words in done.err, (name, done.err))
        expect(office.status()["acknowledged"] == 0, office.status())
        with open(path, "wb") as f:
            f.write(report[:-9])
        said = office.hub(path, "cut.back", status=3)
        expect(said[0]["answer"] == "truncated", said)
        office.take("one.back")
        expect(office.status()["acknowledged"] == 1, office.status())


def a_preview_shows_what_would_leave():
    with World() as world:
        office = Office(world)
        rows = office.status()
        shown = office.cli("sync", "preview")
        preview = shown.json()
        kinds = [row["kind"] for batch in preview["batches"]
                 for row in batch["rows"]]
        expect(kinds.count("license.installed") == 1, kinds)
        expect(kinds.count("lease.granted") == 2, kinds)
        expect(preview["report"]["seats"] == 2, preview["report"])
        expect(len(preview["devices"]) == 1, preview["devices"])
        # Nobody's name, nor that of his workstation.
        said = set(texts(preview))
        expect("lease.granted" in said, said)
        for name in (office.agent.name, os.uname().nodename, "root"):
            expect(name not in said, name)
        expect(office.status() == rows, "a preview did something")


def clear_names_leave_only_where_the_tenant_said_so():
    with World() as world:
        office = Office(world)
        app = App(world, office.agent.socket, extra=("--user", "ann.unmistakable"))
        app.wait()
        expect(app.lease, app.errors())

        def told(n, reports):
            """What leaves under that policy: in the preview, and at the hub."""
            path = world.path("policy.json")
            with open(path, "w") as f:
                json.dump({"reports": reports}, f)
            office.cli("policy", "apply", path)
            preview = office.cli("sync", "preview").json()
            said = office.hub(office.export("%d.sync" % n), "back")[-1]
            expect(said["answer"] in ("taken", "replayed"), said)
            os.unlink(world.path("hub.state"))
            expect(said["people"] == preview["people"], (said, preview))
            expect(said["devices"] == len(preview["devices"]), said)
            expect(said["names"] == len(preview["names"]), said)
            return preview

        def named(preview):
            return "ann.unmistakable" in set(texts(preview))

        for n, (reports, people) in enumerate((
                ([], "pseudonyms"),
                ([{"people": "none"}], "none"),
                ([{"vendor": "other", "people": "clear"}], "pseudonyms"),
                ([{"vendor": "vector", "people": "none"},
                  {"people": "clear"}], "none"))):
            preview = told(n, reports)
            expect(preview["people"] == people, (reports, preview["people"]))
            expect(not named(preview), reports)
            expect(preview["names"] == [], preview["names"])
            expect(bool(preview["devices"]) == (people != "none"), people)
        preview = told(9, [{"vendor": "vector", "people": "clear"}])
        expect(preview["people"] == "clear" and named(preview), preview)
        names = {n["name"]: n for n in preview["names"]}
        expect(names["ann.unmistakable"]["kind"] == "user", names)
        grants = [row["says"] for batch in preview["batches"]
                  for row in batch["rows"] if row["kind"] == "lease.granted"]
        expect(names["ann.unmistakable"]["subject"] in
               [grant["user"] for grant in grants], grants)
        # Who is erased is in no later one.
        office.cli("person", "erase", "ann.unmistakable", "--force")
        preview = office.cli("sync", "preview").json()
        expect(preview["people"] == "clear" and not named(preview), preview)
        done = office.cli("policy", "show")
        expect("to vector tell of people: clear" in done.out, done.out)
        with open(world.path("twice.json"), "w") as f:
            json.dump({"reports": [{"people": "none"},
                                   {"people": "clear"}]}, f)
        done = office.cli("policy", "apply", world.path("twice.json"), status=1)
        expect("another entry of this vendor" in done.err, done.err)


def a_renewal_comes_back_with_a_receipt():
    with World() as world:
        office = Office(world)
        shown = office.cli("--json", "license", "show", "1").json()
        document = terms(commit=4, overage=9)
        renewal = world.issue(office.site, document,
                              extra=("--license-id", shown["license_id"]))
        office.hub(office.export("one.sync"), "one.back", "--renew", renewal,
                   "1")
        expect(": renew (1)" in office.take("one.back"), "renew")
        after = office.cli("--json", "license", "show", "1").json()
        expect(after["serial"] > shown["serial"], after)
        expect(after["entitlement"]["commit_qty"] == 4, after)
        expect("applied before" in office.take("one.back"), "twice")


def a_site_without_a_license_has_nobody_to_report_to():
    with World() as world:
        site = Site(world)
        site.start()
        done = site.cli("sync", "export", world.path("none.sync"))
        expect(done.status == 1 and "nobody to report" in done.err, done.err)
        done = site.cli("sync", "export", world.path("none.sync"),
                        "--vendor", "vector")
        expect(done.status == 1 and "no license of vendor vector" in done.err,
               done.err)


if __name__ == "__main__":
    sys.exit(main([a_report_goes_out_and_its_receipt_comes_back,
                  a_file_twice_changes_nothing,
                  a_lost_file_is_made_up_for,
                  what_is_cut_or_altered_is_refused_whole,
                  a_preview_shows_what_would_leave,
                  clear_names_leave_only_where_the_tenant_said_so,
                  a_renewal_comes_back_with_a_receipt,
                  a_site_without_a_license_has_nobody_to_report_to]))
