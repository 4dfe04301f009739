#!/usr/bin/python3
"""A statement at the site and at the vendor's hub: the same bytes, from the
journal here and from what the site reported there."""

import csv
import datetime
import io
import json
import sys

from api import Api
from by_key import Program, make_key
from harness import PRODUCT, Site, World, expect, main, terms
from test_hub import ids, order, setting, write

OVERAGE = 44
CUSTOMER = "ACC-98765"
FORMS = ("json", "csv", "pdf")


def today():
    return datetime.datetime.now(datetime.timezone.utc).date()


class Sides:
    """A hub, and the site of its customer with what was issued for it."""

    def __init__(self, world, pricing=None, config="", license_id=None,
                 **more):
        self.world = world
        self.hub, self.at_hub = setting(world, config=config)
        ordered = dict(order(commit=1, overage=1, ttl_s=3600), **more)
        if pricing:
            ordered["entitlement"]["pricing"] = pricing
        made = self.at_hub.post("/api/v1/licenses/generate", ordered)
        expect(made.status == 201, made)
        self.site = Site(world)
        self.site.start()
        self.at_site = Api(self.site)
        self.bind(self.site, CUSTOMER)
        package = world.path("plant.lic")
        self.at(self.hub, "hub", "license", "package", license_id or ids(),
                package)
        self.at(self.site, "license", "install", package)
        self.key, _ = make_key(self.site)
        self.files = 0

    def at(self, where, *args, status=0):
        done = where.cli(*args)
        expect(done.status == status, (args, done.status, done.out, done.err))
        return done

    def bind(self, site, customer):
        path = write(self.world, site.name + ".request", site.request())
        self.at(self.hub, "hub", "site", "add", path, "--customer", customer)

    def use(self, overage, site=None):
        """Checkouts above commit, one after the other."""
        site = site or self.site
        key = self.key if site is self.site else make_key(site)[0]
        with Program(site, key) as program:
            base = program.take()
            for _ in range(overage):
                lease = program.take()
                expect(lease["type"] == "overage", lease)
                expect(program.give_back(lease["id"]).status == 200, lease)
            expect(program.give_back(base["id"]).status == 200, base)

    def report(self, site=None):
        """To the hub and back; what the hub says of it, and its file."""
        site = site or self.site
        self.files += 1
        path = self.world.path("%d.sync" % self.files)
        self.at(site, "sync", "export", path)
        said = self.take(path)
        self.at(site, "sync", "import", path + ".back")
        return said, path

    def take(self, path):
        """A file may hold several reports, a line each: what is said of the
        last one."""
        said = self.at(self.hub, "--json", "hub", "import", path, "--out",
                       path + ".back")
        return json.loads(said.out.splitlines()[-1])

    def same(self, period, what="statement", forms=FORMS, **query):
        """Each form of it is the same here and there; the JSON."""
        told = None
        for form in forms:
            path = "/api/v1/billing/%s?%s&format=%s" % (what, "&".join(
                "%s=%s" % pair for pair in dict(period, **query).items()),
                form)
            here, there = self.at_site.get(path), self.at_hub.get(path)
            expect(here.status == 200 and there.status == 200, (here, there))
            expect(here.headers["Content-Type"] ==
                   there.headers["Content-Type"], form)
            expect(here.body == there.body and here.body,
                   (form, here.body[:2000], there.body[:2000]))
            expect(self.at_hub.get(path).body == there.body, "asked twice")
            told = told or json.loads(here.body)
        return told

    def invoice(self, month, first):
        """For the program that writes invoices: exactly these fields."""
        told = self.same(month, forms=("invoice",))
        done = self.at(self.hub, "billing", "statement", month["period"],
                       "--format", "invoice", "--customer", CUSTOMER)
        expect(json.loads(done.out) == told, (done.out, told))
        expect(list(told) == ["source", "period", "crm_account_id",
                              "line_items", "total", "currency"], told)
        expect(told["source"] == "leasehold" and
               told["period"] == month["period"] and
               told["crm_account_id"] == CUSTOMER and
               told["currency"] == "EUR", told)
        lines = told["line_items"]
        for line in lines:
            expect(list(line) == ["description", "amount", "unit_price",
                                  "quantity"], line)
        expect([(line["amount"], line["unit_price"], line["quantity"])
                for line in lines] == [(5000, 5000, 1), (22000, 500, 44)] or
               first.month != today().month, lines)
        expect(sum(line["amount"] for line in lines) == told["total"], told)
        # An export over customers is none.
        none = self.at_hub.get("/api/v1/billing/overage?start_date=%s&"
                               "end_date=%s&format=invoice" % (first, today()))
        expect(none.status == 400 and "csv" in none.json()["detail"], none)


def span(first):
    return {"period": "%s/%s" % (first, today())}


def site_and_hub_make_the_same_statement_to_the_byte():
    with World() as world:
        first = today()
        sides = Sides(world)
        sides.use(OVERAGE)
        said, path = sides.report()
        expect(said["answer"] == "taken" and said["seats"] == OVERAGE, said)
        expect("unbilled" not in said, said)
        told = sides.same(span(first))
        expect(told["licenses"][0]["overage_checkouts"] == OVERAGE and
               told["licenses"][0]["overage_cost"] == 22000, told)
        expect(told["customer"]["crm_account_id"] == CUSTOMER, told)
        month = {"period": first.strftime("%Y-%m")}
        told = sides.same(month)
        if first.month == today().month:
            expect(told["total"] == 27000, told)
        # The month of the requirements, as the vendor's people print it.
        both = [where.cli("billing", "statement", month["period"],
                          "--format", form, *more)
                for form in ("text", "json", "csv")
                for where, more in ((sides.site, ()),
                                    (sides.hub, ("--customer", CUSTOMER)))]
        expect(all(done.status == 0 for done in both), both)
        for here, there in zip(both[::2], both[1::2]):
            expect(here.out == there.out, (here.out, there.out))
        if first.month == today().month:
            expect("27000.00" in both[1].out, both[1].out)
        sides.invoice(month, first)
        days = {"start_date": first, "end_date": today()}
        told = sides.same(days, "overage")
        expect(told["total_overage_revenue"] == 22000, told)
        text = sides.at_hub.get(
            "/api/v1/billing/overage?start_date=%s&end_date=%s&format=csv" % (
                first, today())).body.decode()
        rows = list(csv.reader(io.StringIO(text, newline="")))
        expect(rows[1][:6] == [CUSTOMER, "Mercedes-Benz AG",
                               "DaVinci Configurator SE", "44", "22000.00",
                               "EUR"], rows)
        # The same file again is no usage; nor is a hub that starts anew.
        expect(sides.take(path)["answer"] == "replayed", "twice")
        sides.same(span(first))
        sides.hub.stop()
        sides.hub.start()
        sides.same(span(first))
        # Each line's rows are those of the site.
        proof = "/api/v1/billing/evidence?license=%s&period=%s" % (
            ids(), span(first)["period"])
        here, there = (api.get(proof).json()["items"]
                       for api in (sides.at_site, sides.at_hub))
        expect([item["overage"] for item in there] ==
               list(range(1, OVERAGE + 1)), there)
        for item in here:
            expect(item.pop("batch") > 0, item)
        expect(here == there, (here[:3], there[:3]))


def they_stay_the_same_through_renewal_and_cancellation():
    with World() as world:
        first = today()
        sides = Sides(world)
        sides.use(3)
        sides.report()
        until = str(today() + datetime.timedelta(days=700))
        sides.at(sides.hub, "hub", "license", "renew", ids(), "--until",
                 until)
        sides.report()  # the new serial comes back with the receipt
        sides.use(2)
        said, _ = sides.report()
        expect(said["seats"] == 2 and "unbilled" not in said, said)
        told = sides.same(span(first))
        lines = [line for line in told["licenses"][0]["lines"]
                 if "overage_first" in line]
        expect([(line["serial"], line["quantity"]) for line in lines] ==
               [(1, 3), (2, 2)], lines)
        sides.at(sides.hub, "hub", "license", "cancel", ids())
        sides.report()
        sides.same(span(first))
        sides.same({"period": first.strftime("%Y-%m")})


def price(metric, unit, amount, included=0):
    return {"metric": metric, "unit": unit, "price": amount,
            "included": included, "currency": "EUR"}


def track(site, key, *events):
    """Each (id, metric, amount[, kind])."""
    body = [dict({"event_id": event[0], "product": PRODUCT,
                  "metric": event[1], "amount": event[2]},
                 **({"kind": event[3]} if len(event) > 3 else {}))
            for event in events]
    with Program(site, key) as program:
        got = program.ask("POST", "/api/v1/usage/track", {"events": body})
        expect(got.status == 200, got)
        return got.body


def expect_lines(told, first, wanted, metric=None):
    """Lines of metrics are of a month: this one alone tells of them."""
    lines = usage_lines(told)
    if first.month == today().month:
        expect([line for line in lines if metric in (None, line[1])] ==
               wanted, told)


def usage_lines(told):
    return [(line["serial"], line["metric"], line["quantity"])
            for line in told["licenses"][0]["lines"] if "metric" in line]


def named_metrics_are_billed_the_same_on_both_sides():
    with World() as world:
        first = today()
        sides = Sides(world, billing={
            "model": "per_use", "currency": "EUR",
            "usage": [price("api_calls", 10, 0.5, 5),
                      price("users", 1, 2.0)]})
        key, _ = make_key(sides.site, "usage:write")
        track(sides.site, key, ("a", "api_calls", 21), ("b", "api_calls", 3),
              ("c", "users", 7, "gauge"), ("d", "nobodys", 9))
        # What would leave is what leaves.
        shown = json.loads(sides.at(sides.site, "sync", "preview").out)
        hours = {hour["feature"]: hour for hour in shown["hours"]}
        expect(hours["api_calls"]["sum"] == 24 and
               hours["api_calls"]["events"] == 2 and
               hours["users"]["max"] == 7, shown["hours"])
        said, path = sides.report()
        expect(said["answer"] == "taken", said)
        told = sides.same(span(first))
        expect_lines(told, first, [(1, "api_calls", 2), (1, "users", 7)])
        # Nothing twice: not the file, not what was reported before.
        expect(sides.take(path)["answer"] == "replayed", "twice")
        track(sides.site, key, ("b", "api_calls", 3), ("e", "api_calls", 17),
              ("f", "users", 2, "gauge"))
        sides.report()
        told = sides.same(span(first))
        expect_lines(told, first, [(1, "api_calls", 4), (1, "users", 7)])
        # What is lost on its way is in the next one.
        track(sides.site, key, ("g", "api_calls", 10))
        sides.at(sides.site, "sync", "export", world.path("lost.sync"))
        track(sides.site, key, ("h", "api_calls", 10))
        sides.report()
        late = sides.take(world.path("lost.sync"))
        expect(late["answer"] == "replayed", late)
        told = sides.same(span(first))
        expect_lines(told, first, [(1, "api_calls", 6)], "api_calls")
        sides.hub.stop()
        sides.hub.start()
        sides.same(span(first))


def no_amount_keeps_a_vendor_from_billing():
    """10,000,000,000.00 of money a month is all that a metric comes to."""
    most = 2 * 10 ** 11  # at 0.50 EUR for ten
    with World() as world:
        first = today()
        sides = Sides(world, billing={
            "model": "per_use", "currency": "EUR",
            "usage": [price("api_calls", 10, 0.5)]})
        key, _ = make_key(sides.site, "usage:write")
        with Program(sides.site, key) as program:
            got = program.ask("POST", "/api/v1/usage/track", {"events": [
                {"event_id": "a", "product": PRODUCT, "metric": "api_calls",
                 "amount": 2 ** 53 - 1}]})
            expect(got.status == 400 and got.body["field"] == "amount" and
                   str(most) in got.body["detail"], got)
        # One of many is refused by itself; what has no price is any number.
        told = track(sides.site, key, ("b", "api_calls", most - 10),
                     ("c", "api_calls", 11), ("d", "free", 2 ** 53 - 1),
                     ("e", "api_calls", 10))
        results = {one["event_id"]: one for one in told["results"]}
        expect(told["counted"] == 3 and
               results["c"]["code"] == "bad_request" and
               results["c"]["limit"] == most, told)
        said, _ = sides.report()
        expect(said["answer"] == "taken" and "unbilled_hours" not in said,
               said)
        told = sides.same(span(first))
        expect_lines(told, first, [(1, "api_calls", most // 10)])
        for path in ("/api/v1/billing/overage?start_date=%s&end_date=%s" %
                     (first, first), "/api/v1/analytics/usage?period=%s" %
                     span(first)["period"]):
            got = sides.at_hub.get(path)
            expect(got.status == 200, (path, got))


def metrics_of_a_renewed_hybrid_license_are_billed_by_its_serials():
    with World() as world:
        first = today()
        sides = Sides(world, billing={
            "model": "hybrid", "currency": "EUR", "subscription_fee": 100.0,
            "usage": [price("messages", 1, 0.1), price("users", 1, 2.0)]})
        key, _ = make_key(sides.site, "usage:write")
        track(sides.site, key, ("a", "messages", 4),
              ("b", "users", 5, "gauge"))
        sides.use(2)
        sides.report()
        track(sides.site, key, ("c", "messages", 6))
        # Not reported when the new serial comes; then both are in one report.
        until = str(today() + datetime.timedelta(days=700))
        sides.at(sides.hub, "hub", "license", "renew", ids(), "--until",
                 until)
        again = world.path("renewed.lic")
        sides.at(sides.hub, "hub", "license", "package", ids(), again)
        sides.at(sides.site, "license", "install", again)
        track(sides.site, key, ("d", "messages", 8))
        sides.use(1)
        said, _ = sides.report()
        expect(said["seats"] == 1 and "unbilled" not in said, said)
        told = sides.same(span(first))
        expect_lines(told, first,
                     [(1, "messages", 10), (2, "messages", 8)], "messages")
        expect_lines(told, first, [(2, "users", 5)], "users")


def an_overage_csv(api, first):
    text = api.get("/api/v1/billing/overage?start_date=%s&end_date=%s&"
                   "format=csv" % (first, today())).body.decode()
    return list(csv.reader(io.StringIO(text, newline="")))[1:]


def yen_have_no_decimals_on_either_side():
    with World() as world:
        first = today()
        sides = Sides(world, pricing={"commit_fee_monthly": 500000,
                                      "overage_per_use": 1201,
                                      "currency": "JPY"})
        sides.use(3)
        sides.report()
        told = sides.same(span(first))
        expect(told["licenses"][0]["overage_cost"] == 3603, told)
        for api in (sides.at_site, sides.at_hub):
            rows = an_overage_csv(api, first)
            expect(rows[0][3:6] == ["3", "3603", "JPY"], rows)
        month = {"period": first.strftime("%Y-%m")}
        told = sides.same(month)
        if first.month == today().month:
            expect(told["total"] == 503603, told)
        text = sides.at_hub.get("/api/v1/billing/statement?period=%s" %
                                month["period"]).body.decode()
        expect(".0" not in text and ".5" not in text, text)


def what_is_no_amount_of_its_currency_is_not_ordered():
    with World() as world:
        _, api = setting(world)
        for fee, currency, field in (
                (5000.00, "XYZ", "currency"), (5000.00, "EURO", "currency"),
                (5000.00, "eur", "currency"), (5000.00, "", "currency"),
                (5000.5, "JPY", "commit_fee_monthly"),
                (5000.001, "EUR", "commit_fee_monthly"),
                (5000.0001, "KWD", "commit_fee_monthly")):
            asked = order()
            asked["entitlement"]["pricing"] = {"commit_fee_monthly": fee,
                                               "overage_per_use": 1,
                                               "currency": currency}
            got = api.post("/api/v1/licenses/generate", asked)
            expect(got.status == 400 and field in got.json()["detail"],
                   (fee, currency, got.body))
        found = api.get("/api/v1/hub/licenses").json()
        expect(found.get("items", []) == [], found)


def what_was_not_issued_to_a_site_is_on_nobodys_bill():
    with World() as world:
        first = today()
        sides = Sides(world)
        sides.use(2)
        sides.report()
        period = span(first)
        before = sides.same(period)
        # Another customer's site: its license says that it is the first's.
        made = sides.at_hub.post("/api/v1/licenses/generate", order(
            "OPP-2", "ACC-2", "Other AG", "other", product="davinci-dev"))
        expect(made.status == 201, made)
        other = Site(world, "other")
        other.start()
        forged = world.issue(other, terms(commit=1, overage=1, ttl_s=3600),
                             extra=("--license-id", ids()))
        sides.at(other, "license", "install", forged)
        sides.bind(other, "ACC-2")  # last: its key is whom it reports to
        own = world.path("own.lic")
        sides.at(sides.hub, "hub", "license", "package",
                 made.json()["license_id"], own)
        sides.at(other, "license", "install", own)
        sides.use(5, other)
        said, _ = sides.report(other)
        expect(said["answer"] == "taken" and said["seats"] == 5 and
               said["unbilled"] == 5, said)
        seen = {one["crm_account_id"]: one for one in sides.at_hub.get(
            "/api/v1/hub/sites").json()["items"]}
        expect(seen["ACC-2"]["unbilled"] == 5 and
               "unbilled" not in seen[CUSTOMER], seen)
        shown = sides.at(sides.hub, "hub", "site", "list").out
        expect("UNBILLED" in shown, shown)
        after = sides.same(period, customer_crm_id=CUSTOMER)
        expect(after == before, (after, before))
        days = "start_date=%s&end_date=%s" % (first, today())
        told = sides.at_hub.get("/api/v1/billing/overage?" + days).json()
        expect(told["total_overage_revenue"] == 1000, told)


def a_hub_bills_customer_by_customer_to_who_may_see_it():
    with World() as world:
        sides = Sides(world)
        made = sides.at_hub.post("/api/v1/licenses/generate", order(
            "OPP-2", "ACC-2", "Other AG", "other", commit=1, overage=1))
        expect(made.status == 201, made)
        other = Site(world, "other")
        other.start()
        sides.bind(other, "ACC-2")
        month = "period=" + today().strftime("%Y-%m")
        ask = "/api/v1/billing/statement?" + month
        got = sides.at_hub.get(ask)
        expect(got.status == 400 and b"several customers" in got.body, got)
        for customer in (CUSTOMER, "ACC-2"):
            got = sides.at_hub.get(ask + "&customer_crm_id=" + customer)
            expect(got.status == 200 and got.json()["customer"][
                "crm_account_id"] == customer, got)
        for more in ("&customer_crm_id=nobody", "&license=nothing",
                     "&customer_crm_id=ACC-2&license=" + ids()):
            got = sides.at_hub.get(ask + more)
            expect(got.status == 404, (more, got))
        days = "start_date=%s&end_date=%s" % (today(), today())
        told = sides.at_hub.get("/api/v1/billing/overage?" + days).json()
        expect([one["crm_account_id"] for one in told["customers"]] ==
               ["ACC-2", CUSTOMER], told)
        told = sides.at_hub.get("/api/v1/billing/overage?%s"
                                "&customer_crm_id=ACC-2" % days).json()
        expect([one["crm_account_id"] for one in told["customers"]] ==
               ["ACC-2"], told)
        # Metrics that no site has told yet are none.
        metered = order("OPP-3", "ACC-3", "Third AG", "third")
        metered["billing"] = {"model": "per_use", "currency": "EUR", "usage": [
            {"metric": "api_calls", "unit": 1, "price": 0.5,
             "currency": "EUR"}]}
        made = sides.at_hub.post("/api/v1/licenses/generate", metered)
        expect(made.status == 201, made)
        third = Site(world, "third")
        third.start()
        sides.bind(third, "ACC-3")
        got = sides.at_hub.get(ask + "&customer_crm_id=ACC-3")
        expect(got.status == 200 and got.json()["total"] == 0, got)
        got = sides.at_hub.get("/api/v1/billing/overage?%s"
                               "&customer_crm_id=ACC-2" % days)
        expect(got.json() == told, got)
        got = sides.at_hub.get("/api/v1/billing/overage?" + days)
        expect(got.status == 200, got)
        for scope, status in (("usage:read", 403), ("billing:read", 200)):
            made = sides.at_hub.post("/api/v1/keys/generate", {
                "app_name": "invoices", "app_type": "ci_cd",
                "scopes": [scope]})
            expect(made.status == 201, made)
            for path in (ask + "&customer_crm_id=ACC-2",
                         "/api/v1/billing/overage?%s&customer_crm_id=%s" % (
                             days, CUSTOMER),
                         "/api/v1/billing/evidence?%s&license=%s" % (
                             month, ids())):
                got = sides.at_hub.get(path, key=made.json()["api_key"])
                expect(got.status == status, (scope, path, got))


if __name__ == "__main__":
    sys.exit(main([
        site_and_hub_make_the_same_statement_to_the_byte,
        named_metrics_are_billed_the_same_on_both_sides,
        no_amount_keeps_a_vendor_from_billing,
        metrics_of_a_renewed_hybrid_license_are_billed_by_its_serials,
        they_stay_the_same_through_renewal_and_cancellation,
        yen_have_no_decimals_on_either_side,
        what_is_no_amount_of_its_currency_is_not_ordered,
        what_was_not_issued_to_a_site_is_on_nobodys_bill,
        a_hub_bills_customer_by_customer_to_who_may_see_it,
    ]))
