#!/usr/bin/python3
"""Usage across a vendor's customers: who used what beyond his seats, when, what
it brings; out of what their sites reported."""

import datetime
import glob
import json
import os
import shutil
import sys
import time

from by_key import Program
from harness import Site, World, expect, main
from test_hub import ids, order
from test_sync_bill import CUSTOMER, Sides, span, today


def analytics(api, period, **query):
    asked = "&".join("%s=%s" % pair for pair in dict(period, **query).items())
    return api.get("/api/v1/analytics/usage?" + asked)


def a_vendor_sees_who_uses_what_and_when():
    with World() as world:
        first = today()
        sides = Sides(world)
        made = sides.at_hub.post("/api/v1/licenses/generate", order(
            "OPP-2", "ACC-2", "Other AG", "other", product="davinci-dev",
            commit=1, overage=3))
        expect(made.status == 201, made)
        own = made.json()["license_id"]
        other = Site(world, "other")
        other.start()
        sides.bind(other, "ACC-2")
        path = world.path("own.lic")
        sides.at(sides.hub, "hub", "license", "package", own, path)
        sides.at(other, "license", "install", path)
        sides.use(7)
        # What was not reported yet is not seen.
        told = analytics(sides.at_hub, span(first)).json()
        expect(told["overage_checkouts"] == 0 and "hours" not in told, told)
        sides.report()
        told = analytics(sides.at_hub, span(first)).json()
        expect(told["customers"] == 2 and told["licenses"] == 2 and
               told["licenses_with_overage"] == 1 and
               told["overage_checkouts"] == 7, told)
        lines = {one["crm_account_id"]: one for one in told["items"]}
        mine = lines[CUSTOMER]
        expect(mine["overage_checkouts"] == 7 and mine["commit_seats"] == 1 and
               mine["overage_per_100_seats"] == 700 and
               mine["overage_cost"] == 3500 and mine["currency"] == "EUR" and
               mine["customer_name"] == "Mercedes-Benz AG" and
               mine["revenue"] == round(mine["overage_cost"] +
                                        mine["commit_fee"], 2), mine)
        expect(lines["ACC-2"]["overage_checkouts"] == 0 and
               lines["ACC-2"]["product_id"] == "davinci-dev", lines)
        total, = told["revenue"]
        expect(total["currency"] == "EUR" and
               total["overage_cost"] == 3500 and total["revenue"] ==
               round(sum(one["revenue"] for one in told["items"]), 2), told)
        # The same money as the statement's.
        bill = sides.same(span(first), customer_crm_id=CUSTOMER)
        expect(bill["licenses"][0]["overage_cost"] == 3500, bill)
        # The hours are those of the evidence.
        hours = told["hours"]
        expect(sum(one.get("overage_checkouts", 0) for one in hours) == 7,
               hours)
        rows = sides.at_hub.get("/api/v1/billing/evidence?license=%s&period=%s"
                                % (mine["license_id"],
                                   span(first)["period"])).json()["items"]
        times = {datetime.datetime.fromisoformat(
            row["time"].replace("Z", "+00:00")) for row in rows}
        expect({(one["weekday"], one.get("hour", 0)) for one in hours} ==
               {(time.isoweekday(), time.hour) for time in times},
               (hours, times))
        # One of them, one product, page by page.
        one = analytics(sides.at_hub, span(first),
                        customer_crm_id="ACC-2").json()
        expect(one["licenses"] == 1 and one["overage_checkouts"] == 0, one)
        one = analytics(sides.at_hub, span(first),
                        product_id="davinci-dev").json()
        expect([line["license_id"] for line in one["items"]] == [own], one)
        page = analytics(sides.at_hub, span(first), limit=1).json()
        rest = analytics(sides.at_hub, span(first), limit=1,
                         after=page["next"]).json()
        expect(page["items"] + rest["items"] == told["items"] and
               "next" not in rest and rest["revenue"] == told["revenue"],
               (page, rest))
        shown = sides.at(sides.hub, "hub", "analytics",
                         span(first)["period"]).out
        expect("7 checkouts, " in shown and "% of all seats" in shown and "3500.00 of overage" in shown and
               "davinci-dev" in shown and "UTC: " in shown, shown)


def as_counted(sides):
    """Checkouts, seat seconds and peak of the license at its site, and what
    the hub says of them."""
    period = span(today())["period"]
    here = sides.at_site.get("/api/v1/usage/stats?by=serial&period=" +
                             period.replace("/", ","))
    expect(here.status == 200, here)
    here, = here.json()["items"]
    told = analytics(sides.at_hub, {"period": period}).json()
    line, = told["items"]
    expect(told["checkouts"] == line["checkouts"] and
           told["seat_seconds"] == line["seat_seconds"], told)
    return ((here["checkouts"], here["seat_seconds"], here["peak"]),
            (line["checkouts"], line["seat_seconds"], line["peak_seats"]),
            told)


def all_that_is_used_reaches_the_vendor():
    with World() as world:
        sides = Sides(world)
        with Program(sides.site, sides.key) as program:
            base = program.take()
            over = program.take()
            expect(over["type"] == "overage", over)
            time.sleep(2.1)
            expect(program.give_back(over["id"]).status == 200, over)
            seen = json.loads(sides.at(sides.site, "sync", "preview").out)
            hour = seen["hours"][-1]
            expect(hour["license"] == ids() and hour["checkouts"] >= 1, hour)
            # One is held while it is reported: the next report knows more.
            sides.report()
            _, there, told = as_counted(sides)
            expect(there[0] == 2 and there[2] == 2 and told["items"][0]
                   ["overage_percent"] == 50, told)
            time.sleep(1.1)
            expect(program.give_back(base["id"]).status == 200, base)
        sides.report()
        here, there, told = as_counted(sides)
        expect(here == there and there[0] == 2 and there[1] >= 5, (here, there))
        busiest = told["hours"][0]
        expect(busiest["seat_seconds"] * 2 >= there[1] and
               told["overage_percent"] == 50, told)
        # The hub counts it anew out of its own journal, once.
        sides.hub.stop()
        counted = glob.glob(os.path.join(sides.hub.state, "tenants", "*",
                                         "metering"))
        expect(counted, "where it is")
        for folder in counted:
            shutil.rmtree(folder)
        sides.hub.start()
        expect(as_counted(sides)[1] == there, as_counted(sides))


def what_is_no_period_and_who_may_not_is_refused():
    with World() as world:
        sides = Sides(world)
        got = analytics(sides.at_hub, {"period": "2026-13"})
        expect(got.status == 400 and b"period" in got.body, got)
        got = analytics(sides.at_hub, {"period": "2026-11"},
                        customer_crm_id="nobody")
        expect(got.status == 404, got)
        # It is of hubs, and of those who may see bills.
        got = analytics(sides.at_site, {"period": "2026-11"})
        expect(got.status == 404 and b"hub" in got.body, got)
        for scope, status in (("usage:read", 403), ("billing:read", 200)):
            made = sides.at_hub.post("/api/v1/keys/generate", {
                "app_name": "analytics", "app_type": "ci_cd",
                "scopes": [scope]})
            got = sides.at_hub.get("/api/v1/analytics/usage?period=2026-11",
                                   key=made.json()["api_key"])
            expect(got.status == status, (scope, got))
        # Another account has other customers: none.
        other = sides.hub.account("etas")
        got = analytics(other, {"period": "2026-11"})
        expect(got.status == 404 and b"no license" in got.body, got)


if __name__ == "__main__":
    sys.exit(main([
        a_vendor_sees_who_uses_what_and_when,
        all_that_is_used_reaches_the_vendor,
        what_is_no_period_and_who_may_not_is_refused,
    ]))
