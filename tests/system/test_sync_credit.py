#!/usr/bin/python3
"""Credit notes: written at the hub, they stand in the statement of a month that
is not over, and with the next receipt in the site's own, to the byte."""

import datetime
import json
import sys

from harness import Site, World, expect, main
from test_hub import ids
from test_sync_bill import CUSTOMER, Sides, today

FORMS = ("json", "csv", "pdf", "invoice", "text")


def month(days=0):
    """Of that day. In two days: a month that is not over within this test."""
    return (today() + datetime.timedelta(days=days)).strftime("%Y-%m")


def note(number, amount, **more):
    return dict({"credit_id": "CN-%d" % number, "customer_crm_id": CUSTOMER,
                 "period": month(2), "amount": amount, "currency": "EUR",
                 "reason": "outage"}, **more)


def give(sides, credit, status=201):
    done = sides.at_hub.post("/api/v1/billing/credits", credit)
    expect(done.status == status, (credit, done))
    return done.json()


def statement(api, **query):
    query = dict({"period": month(2)}, **query)
    got = api.get("/api/v1/billing/statement?" +
                  "&".join("%s=%s" % pair for pair in query.items()))
    expect(got.status == 200, got)
    return got.json()


def credits_stand_in_the_statement_on_both_sides_to_the_byte():
    with World() as world:
        sides = Sides(world)
        sides.use(44)
        sides.report()
        before = statement(sides.at_hub)
        given = give(sides, note(1, 120.50, license=ids(),
                                 evidence="INC-4711"))
        expect(given["site"] and given["period"] == month(2), given)
        give(sides, note(2, 79.50, reason="goodwill"))
        # The site hears of it with its next receipt.
        expect(statement(sides.at_site) == before, "too early")
        said, _ = sides.report()
        expect(said["answer"] == "taken", said)
        told = sides.same({"period": month(2)}, forms=FORMS)
        expect([(c["id"], c["amount"]) for c in told["credits"]] ==
               [("CN-1", 120.5), ("CN-2", 79.5)], told["credits"])
        expect("INC-4711" in told["credits"][0]["description"] and
               ids() in told["credits"][0]["description"], told["credits"])
        expect(told["total"] == before["total"] - 200, (told, before))
        # Of one license only those that are of it.
        told = sides.same({"period": month(2)}, forms=FORMS, license=ids())
        expect([c["id"] for c in told["credits"]] == ["CN-1"], told)
        # Of some days of the month none: it is the month's.
        day = month(2) + "-01"
        told = sides.same({"period": day + "/" + day}, forms=FORMS)
        expect(not told.get("credits"), told)
        invoice = sides.same({"period": month(2)}, forms=("invoice",))
        expect([line["amount"] for line in invoice["line_items"]][-2:] ==
               [-120.5, -79.5], invoice)
        expect(sum(line["amount"] for line in invoice["line_items"]) ==
               invoice["total"] == before["total"] - 200, invoice)
        # They come with every receipt, and are taken once.
        sides.report()
        sides.site.stop()
        sides.site.start()
        sides.hub.stop()
        sides.hub.start()
        sides.same({"period": month(2)}, forms=FORMS)
        items = sides.at_hub.get("/api/v1/billing/credits?customer_crm_id=" +
                                 CUSTOMER).json()["items"]
        expect([item["credit_id"] for item in items] == ["CN-1", "CN-2"],
               items)
        expect(items[0] == given, (items, given))
        page = sides.at_hub.get("/api/v1/billing/credits?limit=1&"
                                "customer_crm_id=" + CUSTOMER).json()
        rest = sides.at_hub.get(
            "/api/v1/billing/credits?limit=1&customer_crm_id=%s&after=%s" % (
                CUSTOMER, page["next"])).json()
        expect(page["items"] + rest["items"] == items, (page, rest))
        expect(sides.site.verify()["rows"] > 0, "the site's journal")
        expect(sides.hub.verify()["rows"] > 0, "the hub's journal")


def a_credit_never_changes_what_was_invoiced():
    with World() as world:
        sides = Sides(world)
        sides.use(2)
        sides.report()
        past = month(-40)
        earlier = sides.at_hub.get("/api/v1/billing/statement?period=" + past)
        refused = give(sides, note(1, 10, period=past), 409)
        expect("over" in refused["detail"] and past in refused["detail"] and
               refused["hint"].startswith("--period "), refused)
        give(sides, note(1, 10))
        again = sides.at_hub.get("/api/v1/billing/statement?period=" + past)
        expect(again.body == earlier.body, (again, earlier))


def nobody_is_credited_more_than_he_owes():
    with World() as world:
        sides = Sides(world)
        sides.use(2)
        sides.report()
        owed = statement(sides.at_hub)["total"]
        refused = give(sides, note(1, owed + 0.01, license=ids()), 409)
        expect("over-credited" in refused["detail"], refused)
        expect(refused.get("field") == "amount", refused)
        give(sides, note(1, owed - 1, license=ids()))
        refused = give(sides, note(2, 1.01), 409)
        expect("over-credited" in refused["detail"], refused)
        give(sides, note(2, 1))
        refused = give(sides, note(3, 0.01), 409)
        expect("over-credited" in refused["detail"], refused)
        told = statement(sides.at_hub)
        expect(told["total"] == 0, told)
        sides.report()
        sides.same({"period": month(2)}, forms=FORMS)


def what_is_no_credit_is_refused_by_name():
    with World() as world:
        sides = Sides(world)
        sides.report()
        first = give(sides, note(1, 10, evidence="INC-1"))
        # The same again is the same; another one of that id is none.
        expect(give(sides, note(1, 10, evidence="INC-1")) == first, first)
        for field, status, credit in (
                ("credit_id", 409, note(1, 11, evidence="INC-1")),
                ("credit_id", 409, note(1, 10)),
                ("currency", 400, note(2, 10, currency="USD")),
                ("amount", 400, note(2, 0)),
                ("amount", 400, note(2, 10.001)),
                ("amount", 400, note(2, -10)),
                ("reason", 400, note(2, 10, reason="because")),
                ("evidence", 400, note(2, 10, evidence="Ann said so")),
                ("credit_id", 400, dict(note(2, 10),
                                          credit_id="a b")),
                (None, 400, note(2, 10, period="2026-1x")),
                (None, 400, note(2, 10, period=month(2) + "-01")),
                (None, 404, dict(note(2, 10), customer_crm_id="ACC-1")),
                ("license", 404, note(2, 10, license="lic-none"))):
            refused = give(sides, credit, status)
            expect(field is None or field in json.dumps(refused),
                   (field, refused))
        items = sides.at_hub.get("/api/v1/billing/credits?customer_crm_id=" +
                                 CUSTOMER).json()["items"]
        expect(len(items) == 1, items)
        # Two sites: which of them is told?
        other = Site(world, name="second")
        other.start()
        sides.bind(other, CUSTOMER)
        refused = give(sides, note(2, 10), 400)
        expect("name the license" in refused["detail"], refused)
        give(sides, note(2, 10, license=ids()))


def an_admin_gives_one_by_hand():
    with World() as world:
        sides = Sides(world)
        sides.report()
        done = sides.at(sides.hub, "hub", "credit", "add", "CN-9",
                        "--customer", CUSTOMER, "--amount", "120.50",
                        "--period", month(2), "--reason", "outage",
                        "--evidence", "INC-4711")
        expect("120.50 EUR" in done.out, done.out)
        done = sides.at(sides.hub, "hub", "credit", "list", "--customer",
                        CUSTOMER)
        expect("CN-9" in done.out and "outage" in done.out, done.out)
        done = sides.at(sides.hub, "hub", "credit", "add", "CN-10",
                        "--customer", CUSTOMER, "--amount", "12,50", status=2)
        expect("no amount" in done.err, done.err)
        done = sides.at(sides.hub, "hub", "credit", "add", "CN-10",
                        "--customer", CUSTOMER, "--amount", "999999",
                        "--period", month(2), status=1)
        expect("over-credited" in done.err, done.err)
        path = world.path("one.sync")
        sides.at(sides.site, "sync", "export", path)
        sides.take(path)
        done = sides.at(sides.site, "sync", "import", path + ".back")
        expect("credit CN-9, 120.50 EUR" in done.out, done.out)
        # A site gives none.
        refused = sides.at_site.post("/api/v1/billing/credits",
                                     note(10, 1.0))
        expect(refused.status == 403 or refused.status == 404, refused)


if __name__ == "__main__":
    sys.exit(main([credits_stand_in_the_statement_on_both_sides_to_the_byte,
                  a_credit_never_changes_what_was_invoiced,
                  nobody_is_credited_more_than_he_owes,
                  what_is_no_credit_is_refused_by_name,
                  an_admin_gives_one_by_hand]))
