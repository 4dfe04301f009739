#!/usr/bin/python3
"""What a license grants beyond its seats and after its contract: to programs
that verify it, by the words of its terms."""

import sys
from datetime import date, timedelta

from harness import PRODUCT, Agent, App, Site, World, expect, main, terms, \
    wait_for


def enforced(mode, grace_days=None, **kw):
    document = terms(**kw)
    document["terms"]["enforce"] = mode
    if grace_days is not None:
        document["terms"]["grace_days"] = grace_days
    return document


def days(n):
    return date.today() + timedelta(days=n)


class Office:
    def __init__(self, world, document):
        self.world = world
        self.site = Site(world)
        self.site.start()
        self.license = self.install(document, 1)
        self.agent = Agent(world)
        self.agent.start()
        self.agent.enroll(self.site)

    def install(self, document, serial):
        path = self.world.issue(
            self.site, document,
            extra=["--license-id", "lic-1", "--serial", str(serial)])
        done = self.site.cli("--json", "license", "install", path)
        expect(done.status == 0, done.err)
        return done.json()

    def seat(self, kind):
        app = App(self.world, self.agent.socket)
        expect(app.wait(), app.errors())
        expect(app.lease["type"] == kind, app.lease)
        return app

    def refused(self, words):
        app = App(self.world, self.agent.socket)
        expect(app.wait() is None, "it was given a lease")
        expect(words in app.errors(), app.errors())

    def show(self):
        shown = self.site.cli("license", "show", "1")
        expect(shown.status == 0, shown.err)
        return shown.out

    def alert(self, stage):
        def look():
            listed = self.site.cli("--json", "alerts", "list")
            expect(listed.status == 0, listed.err)
            return [item for item in listed.json().get("items", [])
                    if item["kind"] == "license_overrun" and
                    item.get("stage", 0) == stage]
        return look


def an_advisory_license_grants_beyond_its_seats_as_overage():
    with World() as world:
        office = Office(world, enforced("advisory", commit=1, overage=1))
        first = office.seat("commit")
        seats = [office.seat("overage") for _ in range(3)]
        expect("seats above these" in office.show(), office.show())
        leases = office.site.leases()
        expect(len(leases) == 4, leases)
        expect(office.site.verify(), "verify")
        # What is free below is a committed seat again.
        first.stop()
        wait_for(lambda: len(office.site.leases()) == 3, "it goes back")
        office.seat("commit")
        # Looked for every minute, and when a license comes.
        office.install(enforced("advisory", commit=1, overage=2), 2)
        found = wait_for(office.alert(1), "no alert")[0]
        expect("more seats of license-1 are held" in found["text"], found)
        expect("billed as overage" in found["text"], found)
        office.install(enforced("advisory", commit=4, overage=0), 3)
        wait_for(lambda: not office.alert(1)(), "the alert stays")
        expect(len(seats) == 3, "they are held")


def a_license_with_grace_goes_on_for_its_days_as_overage():
    with World() as world:
        office = Office(world, enforced("grace", 5, commit=2, overage=0,
                                        end=days(-1)))
        expect(office.license["state"] == "overrun", office.license)
        office.seat("overage")
        office.seat("overage")
        office.refused("all 2 seats of " + PRODUCT)
        expect("5 days after the contract" in office.show(), office.show())
        found = wait_for(office.alert(0), "no alert")[0]
        expect(found["severity"] == "critical", found)
        expect(found["answer"] == "leasehold license install FILE", found)
        expect(office.site.verify(), "verify")
        office.install(enforced("grace", 5, commit=3, overage=0), 2)
        wait_for(lambda: not office.alert(0)(), "the alert stays")
        office.seat("commit")


def an_advisory_license_outlives_its_contract():
    with World() as world:
        office = Office(world, enforced("advisory", commit=1, overage=0,
                                        end=days(-20)))
        office.seat("overage")
        office.seat("overage")
        expect("overrun" in office.show(), office.show())
        wait_for(office.alert(0), "no alert")
        expect(office.site.verify(), "verify")


def a_license_whose_days_are_over_is_refused_by_name():
    with World() as world:
        site = Site(world)
        site.start()
        for document in (enforced("hard", end=days(-1)),
                         enforced("grace", 3, end=days(-4))):
            path = world.issue(site, document)
            done = site.cli("license", "install", path)
            expect(done.status != 0 and "ended on" in done.err, done.err)


if __name__ == "__main__":
    sys.exit(main([
        an_advisory_license_grants_beyond_its_seats_as_overage,
        a_license_with_grace_goes_on_for_its_days_as_overage,
        an_advisory_license_outlives_its_contract,
        a_license_whose_days_are_over_is_refused_by_name,
    ], together=True))
