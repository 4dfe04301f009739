#!/usr/bin/python3
"""A hub whose store was put back: what its sites used in between is billed, and
no number that left it comes a second time."""

import datetime
import sys

from harness import World, expect, main
from test_hub import Account, ids, order
from test_rollback import acknowledge
from test_sync_bill import CUSTOMER, Sides, span, today
from test_sync_credit import give, month, note


def until(days):
    return str(today() + datetime.timedelta(days=days))


def copied(sides):
    sides.hub.stop()
    copy = sides.hub.snapshot()
    sides.hub.start()
    return copy


def put_back(sides, copy):
    hub = sides.hub
    hub.stop()
    hub.put_back(copy)
    hub.start()
    account = hub.url, hub.key
    hub.url, hub.key = hub.home, hub.home_key
    acknowledge(hub)
    hub.url, hub.key = account
    sides.at_hub = Account(hub)


def go_back(sides):
    """The first report is refused; with the answer the site goes back."""
    path = sides.world.path("back.sync")
    sides.at(sides.site, "sync", "export", path)
    done = sides.at(sides.hub, "--json", "hub", "import", path, "--out",
                    path + ".back", status=3)
    expect(done.json()["answer"] == "gap", done.out)
    done = sides.at(sides.site, "sync", "import", path + ".back")
    expect("put back" in done.out, done.out)
    shown = sides.at(sides.site, "--json", "sync", "status").json()["items"][0]
    expect(shown.get("again_at"), shown)


def what_was_used_meanwhile_is_reported_again_and_billed_once():
    with World() as world:
        first = today()
        sides = Sides(world)
        sides.use(2)
        sides.report()
        copy = copied(sides)
        sides.use(3)
        said, lost = sides.report()
        expect(said["answer"] == "taken" and said["seats"] == 3, said)
        sides.use(4)
        sides.report()
        put_back(sides, copy)
        sides.use(1)
        go_back(sides)
        words = sides.at(sides.site, "sync", "status").out
        expect("put back to an older copy" in words, words)
        # An answer of the branch that was lost brings nobody forth again.
        done = sides.at(sides.site, "sync", "import", lost + ".back")
        expect("known before" in done.out, done.out)
        said, path = sides.report()
        expect(said["answer"] == "taken" and said["seats"] == 8, said)
        told = sides.same(span(first))
        expect(told["licenses"][0]["overage_checkouts"] == 10, told)
        expect(sides.take(path)["answer"] == "replayed", "twice")
        # It goes on as ever, and after both were started anew.
        for one in (sides.hub, sides.site):
            one.stop()
            one.start()
        sides.use(1)
        said, _ = sides.report()
        expect(said["answer"] == "taken" and said["seats"] == 1, said)
        told = sides.same(span(first))
        expect(told["licenses"][0]["overage_checkouts"] == 11, told)
        for one in (sides.hub, sides.site):
            expect(one.verify()["rows"] > 0, "a journal does not hold")


def what_was_issued_meanwhile_is_known_again_by_its_own_signature():
    with World() as world:
        first = today()
        sides = Sides(world)
        sides.use(1)
        sides.report()
        copy = copied(sides)
        renew = ("hub", "license", "renew", ids(), "--until")
        sides.at(sides.hub, *renew, until(500))
        sides.report()  # serial 2 comes back
        sides.use(3)
        sides.report()
        put_back(sides, copy)
        go_back(sides)
        said, _ = sides.report()
        expect(said["answer"] == "taken" and said["seats"] == 3, said)
        expect("unbilled" not in said, said)
        expect("is known again" in sides.hub.log(), "nobody says so")
        told = sides.same(span(first))
        expect(told["licenses"][0]["overage_checkouts"] == 4, told)
        shown = sides.at_hub.get("/api/v1/hub/licenses/" + ids()).json()
        expect(shown["serial"] == 2 and
               shown["contract"]["end_date"] == until(500), shown)
        # The next one is above what the lost branch could have issued.
        sides.at(sides.hub, *renew, until(600))
        sides.report()
        sides.use(2)
        said, _ = sides.report()
        expect(said["answer"] == "taken" and "unbilled" not in said, said)
        told = sides.same(span(first))
        expect(told["licenses"][0]["overage_checkouts"] == 6, told)
        for one in (sides.hub, sides.site):
            expect(one.verify()["rows"] > 0, "a journal does not hold")


def deal(opportunity, product):
    """Of a product of its own: a site has one license of each."""
    document = order(opportunity, commit=1, overage=3, ttl_s=3600)
    return dict(document, product=dict(document["product"], id=product))


def a_license_whose_order_is_lost_is_the_vendors_again():
    with World() as world:
        first = today()
        sides = Sides(world)
        sides.report()
        copy = copied(sides)
        made = sides.at_hub.post("/api/v1/licenses/generate", deal(
            "OPP-2", "second")).json()
        lost = made["license_id"]
        package = world.path("second.lic")
        sides.at(sides.hub, "hub", "license", "package", lost, package)
        sides.at(sides.site, "license", "install", package)
        put_back(sides, copy)
        sides.report()
        shown = sides.at_hub.get("/api/v1/hub/licenses/" + lost).json()
        expect(shown["status"] == "provisioned" and shown["serial"] == 1 and
               shown["crm_account_id"] == CUSTOMER and
               "crm_opportunity_id" not in shown, shown)
        sides.same(span(first))
        # What is ordered next is another one, and this one can be ended.
        again = sides.at_hub.post("/api/v1/licenses/generate", deal(
            "OPP-3", "third")).json()
        expect(again["license_id"] == ids()[:-3] + "1001", again)
        third = sides.at_hub.post("/api/v1/licenses/generate", deal(
            "OPP-4", "fourth")).json()
        expect(third["license_id"] == ids()[:-3] + "1002", third)
        sides.at(sides.hub, "hub", "license", "cancel", lost)
        sides.report()
        shown = {one["license_id"]: one for one in sides.at_site.get(
            "/api/v1/licenses").json()["items"]}
        expect(shown[lost]["status"] == "cancelled" and
               shown[ids()]["status"] == "active", shown)
        for one in (sides.hub, sides.site):
            expect(one.verify()["rows"] > 0, "a journal does not hold")


def no_number_that_left_the_hub_comes_twice():
    with World() as world:
        sides = Sides(world)
        sides.use(3)
        sides.report()
        copy = copied(sides)
        renew = ("hub", "license", "renew", ids(), "--until")
        sides.at(sides.hub, *renew, until(500))
        give(sides, note(1, 20))
        made = sides.at_hub.post("/api/v1/licenses/generate",
                                 order("OPP-2", provision=False)).json()
        other = sides.at_hub.post("/api/v1/customers", {
            "crm_account_id": "ACC-2", "name": "Second"}).json()
        sides.report()  # the site has serial 2, and the credit
        put_back(sides, copy)
        # Before any report: neither is known, and none is given again.
        sides.at(sides.hub, *renew, until(600))
        shown = sides.at_hub.get("/api/v1/hub/licenses/" + ids()).json()
        expect(shown["serial"] == 1001, shown)
        again = sides.at_hub.post("/api/v1/licenses/generate",
                                  order("OPP-2", provision=False)).json()
        expect(again["license_id"] == ids()[:-3] + "1001" !=
               made["license_id"], (again, made))
        customer = sides.at_hub.post("/api/v1/customers", {
            "crm_account_id": "ACC-3", "name": "Third"}).json()
        expect(customer["platform_customer_id"] !=
               other["platform_customer_id"], (customer, other))
        page = sides.at_hub.get("/api/v1/customers?limit=1").json()
        rest = sides.at_hub.get("/api/v1/customers?limit=9&after=%s" %
                                page["next"]).json()
        expect([one["crm_account_id"] for one in
                page["items"] + rest["items"]] == [CUSTOMER, "ACC-3"],
               (page, rest))
        # The same credit again is the one that the site has.
        given = give(sides, note(1, 20))
        go_back(sides)
        sides.report()
        sides.use(1)
        said, _ = sides.report()
        expect(said["answer"] == "taken" and "unbilled" not in said, said)
        told = sides.same({"period": month(2)})
        expect(len(told["credits"]) == 1, (told, given))
        shown = sides.at_site.get("/api/v1/licenses").json()["items"]
        expect([one["serial"] for one in shown] == [1001], shown)
        # What is changed next counts on from there.
        sides.at(sides.hub, "hub", "license", "suspend", ids())
        said, _ = sides.report()
        refused = sides.at_site.post("/api/v1/leases", {"product": "x"})
        expect(refused.status >= 400, refused)
        shown = sides.at_site.get("/api/v1/licenses").json()["items"]
        expect(shown[0]["status"] == "suspended", shown)
        for one in (sides.hub, sides.site):
            expect(one.verify()["rows"] > 0, "a journal does not hold")


if __name__ == "__main__":
    sys.exit(main([
        what_was_used_meanwhile_is_reported_again_and_billed_once,
        what_was_issued_meanwhile_is_known_again_by_its_own_signature,
        a_license_whose_order_is_lost_is_the_vendors_again,
        no_number_that_left_the_hub_comes_twice,
    ], together=True))
