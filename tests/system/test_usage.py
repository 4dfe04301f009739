#!/usr/bin/python3
"""Usage: named metrics and their limits, and what was used in a period."""

import csv
import datetime
import io
import json
import os
import sys

from by_key import Program, make_key
from harness import PRODUCT, Site, World, expect, main, terms, wait_for
from test_prune import grown

EVERYTHING = ("license:checkout", "license:return", "usage:write",
              "usage:read")


def limited():
    document = terms(commit=2, overage=3)
    document["tier"] = "starter"
    document["limits"] = [
        {"metric": "api_calls", "per": "month", "amount": 100},
        {"metric": "messages", "per": "day", "amount": 10, "soft": True},
        {"metric": "users", "per": "at_once", "amount": 50},
    ]
    return document


def setting(world, *scopes):
    site = Site(world)
    site.start()
    site.install(limited())
    key, number = make_key(site, *(scopes or EVERYTHING))
    return site, key, number


def track(program, *events):
    """Events as (id, metric, amount) or (id, metric, amount, kind)."""
    body = []
    for event in events:
        one = {"event_id": event[0], "product": PRODUCT, "metric": event[1],
               "amount": event[2]}
        if len(event) > 3:
            one["kind"] = event[3]
        body.append(one)
    return program.ask("POST", "/api/v1/usage/track", {"events": body})


def current(program):
    answer = program.ask("GET", "/api/v1/usage/current")
    expect(answer.status == 200, answer)
    return {metric["metric"]: metric
            for metric in answer.body["licenses"][0]["metrics"]}


# --- metrics --------------------------------------------------------------------

def an_event_counts_once_also_after_a_crash():
    with World() as world:
        site, key, _ = setting(world)
        with Program(site, key) as program:
            first = track(program, ("e1", "api_calls", 7),
                          ("e2", "api_calls", 5), ("e1", "api_calls", 7))
            expect(first.status == 200 and first.body["counted"] == 2 and
                   first.body["repeated"] == 1, first)
        site.kill()
        site.start()
        with Program(site, key) as program:
            again = track(program, ("e2", "api_calls", 5),
                          ("e3", "api_calls", 1))
            expect(again.body["counted"] == 1 and
                   again.body["repeated"] == 1, again)
            now = current(program)
            expect(now["api_calls"]["today"] == 13, now)
            report = program.ask("GET", "/api/v1/usage/report").body
            summary = report["usageReport"]["summary"]
            expect(summary["totalApiCalls"] == 13, report)
        site.verify()


def a_hard_limit_refuses_and_a_soft_one_tells():
    with World() as world:
        site, key, _ = setting(world)
        with Program(site, key) as program:
            expect(track(program, ("a", "api_calls", 90)).status == 200,
                   "90 of 100")
            refused = track(program, ("b", "api_calls", 11))
            expect(refused.status == 429 and
                   refused.code == "quota_exceeded", refused)
            mixed = track(program, ("c", "api_calls", 11),
                          ("d", "api_calls", 10), ("e", "messages", 25))
            expect([one["outcome"] for one in mixed.body["results"]] ==
                   ["refused", "counted", "counted"], mixed)
            expect(mixed.body["results"][0]["code"] == "quota_exceeded",
                   mixed)
            # More than there may be now is refused; less never is.
            expect(track(program, ("f", "users", 50, "gauge")).status == 200,
                   "50 of 50")
            expect(track(program, ("g", "users", 51, "gauge")).code ==
                   "quota_exceeded", "51 of 50")
            expect(track(program, ("h", "users", 40, "gauge")).status == 200,
                   "40 of 50")
            wrong = track(program, ("i", "users", 1))
            expect(wrong.status == 409 and wrong.code == "conflict", wrong)
            now = current(program)
            expect(now["api_calls"]["this_month"] == 100 and
                   now["messages"]["today"] == 25 and
                   now["users"]["value"] == 40, now)
            expect(now["api_calls"]["limits"] == [
                {"per": "month", "amount": 100, "used": 100,
                 "percent": 100}], now["api_calls"])

            def alerts():
                answer = program.ask("GET", "/api/v1/usage/alerts")
                expect(answer.status == 200, answer)
                return sorted(one["stage"] for one in answer.body["items"])
            # Both stages of the first two limits, and 80 % of the third:
            # 40 of 50 after 50 of 50.
            wait_for(lambda: {80, 100, 1080, 1100} <= set(alerts()),
                     "alerts of limits: %r" % alerts())


def who_may_not_is_refused():
    with World() as world:
        site, key, _ = setting(world, "license:checkout")
        with Program(site, key) as program:
            expect(track(program, ("a", "api_calls", 1)).status == 403,
                   "usage:write is wanted")
            expect(program.ask("GET", "/api/v1/usage/report").status == 403,
                   "usage:read is wanted")
        key, _ = make_key(site, "usage:write")
        with Program(site, key) as program:
            old = program.ask("POST", "/api/v1/usage/track", {"events": [
                {"event_id": "x", "product": PRODUCT, "metric": "m",
                 "amount": 1, "timestamp": "2020-01-01T00:00:00Z"}]})
            expect(old.status == 400 and old.body["field"] == "timestamp",
                   old)
            none = program.ask("POST", "/api/v1/usage/track", {"events": [
                {"event_id": "x", "product": "nothing", "metric": "m",
                 "amount": 1}]})
            expect(none.code == "not_entitled", none)


# --- periods --------------------------------------------------------------------

def what_was_used_is_told_by_day_feature_and_user():
    with World() as world:
        site, key, _ = setting(world)
        with Program(site, key) as program:
            leases = [program.take(user=name)
                      for name in ("anna", "anna", "bert")]
            program.give_back(leases[0]["id"])
            track(program, ("a", "api_calls", 40), ("b", "api_errors", 2),
                  ("c", "response_time_ms", 10, "gauge"),
                  ("d", "response_time_ms", 20, "gauge"))
            report = program.ask("GET", "/api/v1/usage/report").body
            summary = report["usageReport"]["summary"]
            expect(summary["checkouts"] == 3 and
                   summary["peakConcurrency"] == 3 and
                   summary["overage"] == 1, summary)
            expect(summary["averageResponseTime"] == "15.000" and
                   summary["errorRate"] == "0.0500", summary)
            days = report["usageReport"]["dailyBreakdown"]
            expect(sum(day["apiCalls"] for day in days) == 40, days)
            bad = program.ask("GET", "/api/v1/usage/report?period=2026")
            expect(bad.status == 400 and bad.body["field"] == "period", bad)
        by_user = {line["user"]: line for line in site_stats(site, "user")}
        expect(by_user["anna"]["checkouts"] == 2 and
               by_user["bert"]["checkouts"] == 1, by_user)
        serial = site_stats(site, "serial")
        expect(len(serial) == 1 and serial[0]["serial"] == 1 and
               serial[0]["overage_first"] == 1 and
               serial[0]["overage_last"] == 1, serial)
        # What is held goes on over a restart, and no file is needed for it.
        site.stop()
        data = os.path.join(site.state, "tenants", "default", "metering",
                            "data.mdb")
        expect(os.path.exists(data), "there is no projection")
        os.unlink(data)
        site.start()
        again = {line["user"]: line for line in site_stats(site, "user")}
        expect({name: line["checkouts"] for name, line in again.items()} ==
               {"anna": 2, "bert": 1}, again)


def site_stats(site, by):
    shown = site.cli("--json", "usage", "stats", "--by", by)
    expect(shown.status == 0, shown.err)
    return json.loads(shown.out)["items"]


def apply_groups(world, site, **groups):
    path = world.path("policy.json")
    with open(path, "w") as f:
        json.dump({"ignore_case": True, "groups": [
            dict({"name": name}, **who) for name, who in groups.items()]}, f)
    done = site.cli("policy", "apply", path)
    expect(done.status == 0, done.err)


def by_group(site):
    return {line["group"]: line for line in site_stats(site, "group")}


def a_group_had_what_the_users_had_whom_the_policy_names_now():
    with World() as world:
        site, key, _ = setting(world)
        with Program(site, key) as program:
            for name in ("anna", "anna", "bert", "carl"):
                program.give_back(program.take(user=name)["id"])
            expect(site_stats(site, "group") == [], "there is no policy")
            apply_groups(world, site,
                         engineers={"users": ["anna", "Bert"]},
                         testers={"users": ["bert"]},
                         plant={"hosts": ["*.plant.example"]})
            told = by_group(site)
            expect({name: line["checkouts"] for name, line in told.items()} ==
                   {"engineers": 3, "testers": 1}, told)
            users = {line["user"]: line for line in site_stats(site, "user")}
            expect(users["anna"]["checkouts"] == 2 and
                   users["carl"]["checkouts"] == 1, users)
            # Nobody knows how many of them there were at once.
            expect("peak" not in told["engineers"], told)
            # Page by page it is the same.
            items, more = [], ""
            while True:
                page = program.ask("GET", "/api/v1/usage/stats?by=group&"
                                   "step=day&limit=1" + more)
                expect(page.status == 200, page)
                items += page.body["items"]
                if not page.body.get("next"):
                    break
                more = "&after=%s" % page.body["next"]
            expect(sorted((one["group"], one["checkouts"])
                          for one in items) == [("engineers", 3),
                                                ("testers", 1)], items)
            hours = program.ask("GET",
                                "/api/v1/usage/stats?by=group&step=hour")
            expect(hours.status == 400 and hours.body["field"] == "step",
                   hours)
            # Another policy: they are others now, of what was before too.
            apply_groups(world, site, testers={"users": ["CARL"]})
            told = by_group(site)
            expect({name: line["checkouts"] for name, line in told.items()} ==
                   {"testers": 1}, told)
            shown = site.cli("usage", "stats", "--by", "group", "--csv")
            lines = list(csv.DictReader(io.StringIO(shown.out)))
            expect([line["group"] for line in lines] == ["testers"], shown)
            shown = site.cli("usage", "stats", "--by", "group")
            expect("testers" in shown.out, shown)


def hours_of_people_go_after_their_days_and_totals_stay():
    with World() as world:
        site = grown(world, config="[metering]\nperson_days=1\n", n=3)

        def checkouts(by):
            today = datetime.datetime.now(datetime.timezone.utc).date()
            shown = site.cli("--json", "usage", "stats", "--by", by,
                             "--period", "%s,%s" % (
                                 today - datetime.timedelta(days=10), today))
            expect(shown.status == 0, shown.err)
            return sum(line["checkouts"] for line in shown.json()["items"])

        wait_for(lambda: checkouts("user") == 0, "three days old, by user")
        expect(checkouts("host") == 0 and checkouts("feature") == 3,
               (checkouts("host"), checkouts("feature")))
        # What is of today is told.
        key, _ = make_key(site)
        with Program(site, key) as program:
            program.give_back(program.take(user="anna")["id"])
        expect(checkouts("user") == 1 and checkouts("feature") == 4,
               (checkouts("user"), checkouts("feature")))


def the_command_writes_tables_and_csv():
    with World() as world:
        site, key, _ = setting(world)
        with Program(site, key) as program:
            program.take(user="=cmd()")
            track(program, ("a", "api_calls", 3))
        shown = site.cli("usage", "current")
        expect(shown.status == 0 and "api_calls" in shown.out and
               "100 a month" in shown.out, shown)
        shown = site.cli("usage", "report", "--csv")
        lines = list(csv.DictReader(io.StringIO(shown.out)))
        expect(shown.status == 0 and
               sum(int(line["api_calls"]) for line in lines) == 3, shown)
        shown = site.cli("usage", "stats", "--by", "user", "--csv")
        lines = list(csv.DictReader(io.StringIO(shown.out)))
        expect(len(lines) == 1 and lines[0]["user"] == "'=cmd()", shown)
        shown = site.cli("usage", "stats", "--by", "nothing")
        expect(shown.status == 2, shown)


if __name__ == "__main__":
    sys.exit(main([
        an_event_counts_once_also_after_a_crash,
        a_hard_limit_refuses_and_a_soft_one_tells,
        who_may_not_is_refused,
        what_was_used_is_told_by_day_feature_and_user,
        a_group_had_what_the_users_had_whom_the_policy_names_now,
        hours_of_people_go_after_their_days_and_totals_stay,
        the_command_writes_tables_and_csv,
    ], together=True))
