#!/usr/bin/python3
"""A site that was put back behind what the vendor's hub has taken: the hub shows
what was billed and is gone, the site what was acknowledged and is gone."""

import sys

from api import Api
from harness import World, expect, main, wait_for
from test_rollback import acknowledge
from test_sync_bill import Sides


def seen(sides):
    """The site, as the hub shows it."""
    items = sides.at_hub.get("/api/v1/hub/sites").json()["items"]
    shown = sides.at_hub.get("/api/v1/hub/sites/" + items[0]["site"])
    expect(shown.status == 200 and shown.json()["site"] == items[0], shown)
    return shown.json()


def standing(sides):
    return sides.at(sides.site, "--json", "sync",
                    "status").json()["items"][0]


def put_back(sides, copy):
    sides.site.stop()
    sides.site.put_back(copy)
    sides.site.start()
    sides.at_site = Api(sides.site)
    acknowledge(sides.site)
    wait_for(lambda: sides.site.cli("sync", "export",
                                    sides.world.path("try")).status == 0,
             "the site does not go on")


def incidents(shown, what):
    return [one for one in shown.get("incidents", []) if one["what"] == what]


def what_was_billed_and_is_gone_after_a_rollback_shows_on_both_sides():
    with World() as world:
        sides = Sides(world)
        sides.use(2)
        sides.report()
        sides.site.stop()
        copy = sides.site.snapshot()
        sides.site.start()
        sides.use(3)
        said, _ = sides.report()
        expect(said["answer"] == "taken" and said["seats"] == 3, said)
        expect("lost_from" not in standing(sides), standing(sides))
        expect("incidents" not in seen(sides) and
               "gone" not in seen(sides)["site"], seen(sides))
        taken = standing(sides)["acknowledged_batch"]
        put_back(sides, copy)
        # The first report after that is of a number that was taken: what comes
        # back says up to where.
        said, _ = sides.report()
        expect(said["answer"] == "replayed", said)
        lost = standing(sides)
        expect(lost["lost_to"] == taken and lost["lost_generation"] == 1 and
               0 < lost["lost_from"] <= taken, (lost, taken))
        expect(lost["lost_overage"] == 3, lost)
        words = sides.at(sides.site, "sync", "status").out
        expect("are not here any more" in words and "3 overage" in words,
               words)
        said, _ = sides.report()
        expect(said["answer"] == "taken" and said["rollbacks"] == 1, said)
        shown = seen(sides)
        expect(shown["site"]["rollbacks"] == 1 and
               shown["site"]["gone"] == 3 and shown["site"]["seats"] == 5,
               shown)
        rolled = incidents(shown, "rollback")
        expect(len(rolled) == 1 and rolled[0]["generation"] == 2 and
               rolled[0]["seats"] == 3 and rolled[0]["at"] and
               rolled[0]["time"], rolled)
        expect(rolled[0]["batch"] == lost["lost_from"], (rolled, lost))
        words = sides.at(sides.hub, "hub", "site", "show",
                         shown["site"]["site"]).out
        expect("3 of them were billed" in words and "rollback:" in words and
               "1 rollbacks" in words, words)
        # What is used from here on is billed as ever, and nothing twice.
        sides.use(1)
        said, _ = sides.report()
        expect(said["answer"] == "taken" and said["seats"] == 1, said)
        shown = seen(sides)
        expect(shown["site"]["seats"] == 6 and shown["site"]["gone"] == 3,
               shown)
        expect(len(shown["incidents"]) == 1, shown)
        bad = sides.hub.cli("hub", "site", "show", "site-none")
        expect(bad.status == 1 and "not known here" in bad.err, bad.err)
        # It stays shown, also after both were started anew.
        for one in (sides.hub, sides.site):
            one.stop()
            one.start()
        expect(seen(sides) == shown, (seen(sides), shown))
        expect(standing(sides)["lost_overage"] == 3, standing(sides))
        for one in (sides.hub, sides.site):
            expect(one.verify()["rows"] > 0, "a journal does not hold")
        # A second time: only what is new is gone.
        sides.site.stop()
        copy = sides.site.snapshot("second")
        sides.site.start()
        sides.use(1)
        said, _ = sides.report()
        expect(said["answer"] == "taken" and said["seats"] == 1, said)
        put_back(sides, copy)
        said, _ = sides.report()
        expect(said["answer"] == "replayed", said)
        expect(standing(sides)["lost_overage"] == 1 and
               standing(sides)["lost_generation"] == 2, standing(sides))
        said, _ = sides.report()
        expect(said["answer"] == "taken" and said["rollbacks"] == 1, said)
        shown = seen(sides)
        expect(shown["site"]["gone"] == 4 and shown["site"]["seats"] == 7,
               shown)
        expect([(one["generation"], one["seats"])
                for one in incidents(shown, "rollback")] == [(3, 1), (2, 3)],
               shown)


if __name__ == "__main__":
    sys.exit(main([
        what_was_billed_and_is_gone_after_a_rollback_shows_on_both_sides,
    ]))
