#!/usr/bin/python3
"""Features of a product have seats of their own, and a lease may be of
several: through the vendor's tool, the site, the agent and the library."""

import sys

from harness import (PRODUCT, Agent, App, Site, World, expect, main, terms,
                     wait_for)


def with_features(*features, **kw):
    """Terms with features: (id, committed, overage)."""
    document = terms(**kw)
    document["features"] = [
        {"id": name, "name": "The " + name, "total_licenses": commit + overage,
         "commit_qty": commit, "max_overage": overage,
         "overage_per_use": 120.50, "currency": "EUR"}
        for name, commit, overage in features]
    return document


class Office:
    def __init__(self, world, document):
        self.world = world
        self.site = Site(world)
        self.site.start()
        self.site.install(document)
        self.agent = Agent(world)
        self.agent.start()
        self.agent.enroll(self.site)

    def app(self, *extra):
        app = App(self.world, self.agent.socket, extra=extra)
        app.wait()
        return app

    def seats(self, *extra):
        """An application that must get its lease."""
        app = self.app(*extra)
        expect(app.lease, "%s: %s" % (extra, app.errors()))
        return app

    def refused(self, words, *extra):
        app = self.app(*extra)
        expect(app.lease is None, "%s was given a lease" % (extra,))
        expect(words in app.errors(), app.errors())

    def use(self):
        """{feature: (committed, overage) in use}; "": the product's own."""
        shown = self.site.cli("--json", "license", "show", "1").json()
        use = {"": (shown["used_commit"], shown["used_overage"])}
        for feature in shown.get("features", []):
            use[feature["id"]] = (feature["used_commit"],
                                  feature["used_overage"])
        return use


def a_feature_has_seats_of_its_own():
    with World() as world:
        office = Office(world, with_features(("autosar", 1, 1),
                                             ("tracing", 1, 0),
                                             commit=1, overage=0))
        first = office.seats("--feature", "autosar")
        expect(first.lease["type"] == "commit", first.lease)
        second = office.seats("--feature", "autosar")
        expect(second.lease["type"] == "overage", second.lease)
        office.refused("all 2 seats of autosar", "--feature", "autosar")
        office.seats()
        office.seats("--feature", "tracing")
        office.refused("the 1 seat of " + PRODUCT + " is taken")
        office.refused("its features: autosar, tracing", "--feature", "none")
        expect(office.use() == {"": (1, 0), "autosar": (1, 1),
                                "tracing": (1, 0)}, office.use())
        listed = office.site.cli("license", "list").out.splitlines()
        expect(any("autosar" in line and "1/1" in line for line in listed),
               listed)
        leases = office.site.cli("--json", "leases", "--feature",
                                 "autosar").json()["items"]
        expect([l["feature"] for l in leases] == ["autosar"] * 2, leases)
        office.site.verify()
        tail = office.site.cli("audit", "tail").out
        expect("slots=1 type=overage overage=1 overage_count=1" in tail, tail)


def several_seats_come_and_go_together():
    with World() as world:
        office = Office(world, with_features(("autosar", 2, 3), commit=1,
                                             overage=0))
        one = office.seats("--feature", "autosar")
        three = office.seats("--feature", "autosar", "--count", "3")
        expect(three.lease["count"] == 3 and three.lease["type"] == "overage",
               three.lease)
        office.refused("asked for 2 seats of autosar", "--feature", "autosar",
                       "--count", "2")
        office.refused("the license has 5 in all", "--feature", "autosar",
                       "--count", "6")
        expect(office.use()["autosar"] == (2, 2), office.use())
        # What is not side by side is one lease all the same.
        office.seats("--feature", "autosar")
        one.kill()
        wait_for(lambda: office.use()["autosar"] == (1, 3), "a seat stays")
        three.kill()
        wait_for(lambda: office.use()["autosar"] == (0, 1), "seats stay")
        office.seats("--feature", "autosar", "--count", "4")
        expect(office.use()["autosar"] == (2, 3), office.use())
        tail = office.site.cli("audit", "tail").out
        expect("count=4 slots=0-3 type=overage overage=" in tail, tail)
        office.site.verify()


def leases_outlive_site_agent_and_the_end_of_their_feature():
    with World() as world:
        office = Office(world, with_features(("autosar", 2, 2), commit=2,
                                             overage=0))
        holder = office.seats("--feature", "autosar", "--count", "3")
        office.site.kill()
        office.site.start()
        office.agent.wait_connected()
        expect(office.use()["autosar"] == (2, 1), office.use())
        office.agent.stop()
        office.agent.start()
        office.agent.wait_connected()
        expect(office.use()["autosar"] == (2, 1), office.use())
        document = with_features(("tracing", 1, 0), commit=2, overage=0)
        path = world.issue(office.site, document,
                           extra=["--license-id", office.site.cli(
                               "--json", "license", "show", "1")
                               .json()["license_id"]])
        done = office.site.cli("license", "install", path)
        expect(done.status == 0, done.err)
        expect(len(office.site.leases()) == 1, "the lease has ended")
        office.refused("its features: tracing", "--feature", "autosar")
        office.seats("--feature", "tracing")
        expect(holder.process.poll() is None, holder.errors())
        holder.kill()
        wait_for(lambda: len(office.site.leases()) == 1, "the lease stays")
        office.site.verify()


def the_longest_license_reaches_an_application():
    with World() as world:
        document = terms(commit=1, overage=0)
        document["features"] = [
            {"id": "%063d" % i, "name": "x" * 127,
             "total_licenses": 10000000, "commit_qty": 10000000,
             "max_overage": 0, "overage_per_use": 12345678.90,
             "currency": "EUR"} for i in range(64)]
        office = Office(world, document)
        app = office.seats("--feature", "%063d" % 63, "--count", "1000")
        expect(app.lease["count"] == 1000, app.lease)
        expect(len(office.use()) == 65, office.use())
        office.site.verify()


if __name__ == "__main__":
    sys.exit(main([
        a_feature_has_seats_of_its_own,
        several_seats_come_and_go_together,
        leases_outlive_site_agent_and_the_end_of_their_feature,
        the_longest_license_reaches_an_application,
    ]))
