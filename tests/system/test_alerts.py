#!/usr/bin/python3
"""Alerts: what somebody must know is counted, acknowledged, closed by itself,
and is there after a restart."""

import datetime
import json
import sys

from api import Api
from harness import Site, World, expect, main, terms, wait_for
from test_hub import Hub
from test_prune import Past


def alerts(site, *options):
    def ask():
        done = site.cli("--json", "alerts", "list", *options)
        expect(done.status == 0 or "starting" in done.err, done.err)
        return done if done.status == 0 else None

    return wait_for(ask, "the site does not answer").json()["items"]


def one(site, kind, *options):
    found = [item for item in alerts(site, *options) if item["kind"] == kind]
    expect(len(found) <= 1, found)
    return found[0] if found else None


def wait_one(site, kind, *options):
    """In the journal."""
    def look():
        found = one(site, kind, *options)
        return found if found and found["alert"] > 0 else None

    return wait_for(look, "no alert of %s" % kind)


def make_key(api):
    made = api.ask("POST", "/api/v1/keys/generate",
                   {"app_name": "Configurator", "app_type": "ci_cd",
                    "scopes": ["admin:read"]})
    expect(made.status == 201, made)
    return made.json()


def bind(api, key, **restrictions):
    done = api.ask("POST", "/api/v1/keys/%s/restrictions" % key["key_id"],
                   restrictions)
    expect(done.status == 200, done)


def a_key_from_nowhere_is_counted_and_ends_with_the_key():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)
        key = make_key(api)
        bind(api, key, allowed_ip_ranges=["192.0.2.0/24"])
        shown = site.cli("site", "show")
        expect("alerts    none is open" in shown.out, shown.out)
        for _ in range(3):
            refused = api.get("/api/v1/site", key=key["api_key"],
                              headers={"X-Hostname": "evil-host"})
            expect(refused.code == "ip_not_allowed", refused)
        found = wait_one(site, "unknown_address")
        expect(found["about"] == key["key_id"] and
               found["address"] == "127.0.0.1" and
               found["host"] == "evil-host" and
               found["state"] == "open", found)
        expect(found["answer"] == "leasehold key revoke " + key["key_id"],
               found)
        expect("ALERT: %s came from an unknown address" % key["key_id"]
               in site.log(), "not in the log")
        number = str(found["alert"])
        shown = site.cli("site", "show")
        expect("alerts    1 is open" in shown.out and
               "warning: %s came from an unknown address" % key["key_id"]
               in shown.out and found["answer"] in shown.out, shown.out)
        glance = json.loads(site.cli("--json", "site", "show").out)
        expect(glance["alerts"] == 1 and
               [item["alert"] for item in glance["worst"]] ==
               [found["alert"]], glance)
        listed = site.cli("leases")
        expect("1 alert is open, the worst is warning" in listed.out,
               listed.out)
        done = site.cli("alerts", "ack", "alert-" + number)
        expect(done.status == 0, done.err)
        shown = site.cli("site", "show")
        expect("alerts    none is open" in shown.out, shown.out)
        site.stop()
        site.start()
        found = one(site, "unknown_address")
        expect(found["state"] == "acknowledged" and found["count"] == 3,
               found)
        figure = ('leasehold_alerts_open{tenant="default",'
                  'kind="unknown_address"} 1')
        expect(figure in Api(site).get("/metrics").body.decode(), "metrics")
        # The answer that it names ends it.
        done = site.cli(*found["answer"].split()[1:])
        expect(done.status == 0, done.err)
        wait_for(lambda: one(site, "unknown_address") is None, "still open")
        over = one(site, "unknown_address", "--all")
        expect(over["state"] == "closed", over)
        gone = site.cli("alerts", "ack", number)
        expect(gone.status != 0 and "closed" in gone.err, gone.err)
        site.verify()


def each_layer_has_a_kind_of_its_own():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)
        today = datetime.datetime.utcnow()
        other = (today + datetime.timedelta(days=3)).strftime("%a").lower()
        bounds = {
            "unknown_host": {"allowed_hostnames": ["build-7"]},
            "out_of_hours": {"working_hours": {
                "days": other, "from": "00:00", "to": "24:00"}},
            "unusual_rate": {"requests_per_hour": 1},
            "unknown_fingerprint": {"fingerprint_mode": "enforce"},
        }
        for kind, bound in bounds.items():
            key = make_key(api)
            bind(api, key, **bound)
            for _ in range(2):
                api.get("/api/v1/site", key=key["api_key"],
                        headers={"X-App-Fingerprint": "ab" * 32})
            found = wait_one(site, kind)
            expect(found["about"] == key["key_id"], found)


def what_strangers_say_is_shown_as_text():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)
        key = make_key(api)
        bind(api, key, allowed_hostnames=["build-7"])
        evil = 'x"\\<script>\u202e; rm -rf'.encode().decode("latin-1")
        api.get("/api/v1/site", key=key["api_key"],
                headers={"X-Hostname": evil})
        wait_one(site, "unknown_host")
        shown = site.cli("alerts", "list")
        expect(shown.status == 0 and "\x1b" not in shown.out, shown.out)
        for line in site.log().splitlines():
            expect("\x1b" not in line and "\u202e" not in line, line)


def a_contract_that_ends_is_told_until_it_is_renewed():
    with World() as world:
        site = Site(world)
        site.start()
        soon = datetime.date.today() + datetime.timedelta(days=4)
        first = world.issue(site, terms(end=soon), name="first.lic",
                            extra=["--license-id", "lic-1", "--serial", "1"])
        second = world.issue(site, terms(), name="second.lic",
                             extra=["--license-id", "lic-1", "--serial", "2"])
        expect(site.cli("license", "install", first).status == 0, "first")
        found = wait_one(site, "license_expiring")
        expect(found["stage"] == 7 and found["about"] == "license-1", found)
        expect(site.cli("license", "install", second).status == 0, "second")
        wait_for(lambda: one(site, "license_expiring") is None,
                 "it is renewed")


def the_silence_of_a_vendor_is_told_before_it_ends_grants():
    with World() as world:
        document = dict(terms(), sync={"reports": True,
                                      "max_unsynced_days": 10})
        with Past(world, 9):
            site = Site(world)
            site.start()
            site.install(document)
            expect(one(site, "unsynced") is None, "at once")
            site.stop()
        site.start()
        done = Api(site).post("/api/v1/site/clock/confirm", {})
        expect(done.status in (200, 409), done)
        found = wait_one(site, "unsynced")
        expect(found["stage"] == 80 and found["severity"] == "warning" and
               "in 9 days; after 10 nothing" in found["text"], found)


def an_issuing_key_is_told_of_before_it_ends():
    with World() as world:
        hub = Hub(world)
        hub.start()
        hub.account("vector")
        hub.vouch(world, days=5)
        found = wait_one(hub, "issuer_expiring")
        expect(found["stage"] == 7 and found["about"] == "tenant vector" and
               found["answer"] == "leasehold hub key make", found)
        made = hub.cli("hub", "key", "make")
        expect(made.status == 0, made.err)
        expect(one(hub, "issuer_expiring"), "nobody vouches for it yet")
        hub.vouch(world)
        wait_for(lambda: one(hub, "issuer_expiring") is None,
                 "another key issues", timeout=90)


def a_quota_is_told_at_80_and_at_100_percent():
    with World() as world:
        site = Site(world)
        site.start()
        done = site.cli("tenant", "set", "default", "--calls-per-day", "50")
        expect(done.status == 0, done.err)
        api = Api(site)

        def used(percent):
            api.get("/api/v1/alerts")
            return "has used %d %%" % percent in site.log()

        wait_for(lambda: used(80), "not at 80 percent", timeout=60)
        wait_for(lambda: used(100), "not at 100 percent", timeout=60)
        done = site.cli("tenant", "set", "default", "--calls-per-day",
                        "100000")
        expect(done.status == 0, done.err)
        wait_for(lambda: not [item for item in alerts(site)
                              if item["kind"] == "quota"], "still told")
        over = [item["stage"] for item in alerts(site, "--all")
                if item["kind"] == "quota"]
        expect(sorted(over) == [80, 100], over)


def limits_on_keys_are_told_before_one_is_refused():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)

        def stages(*options):
            return sorted(item["stage"] for item in alerts(site, *options)
                          if item["kind"] == "quota")

        def limit(keys):
            done = site.cli("tenant", "set", "default", "--keys", str(keys))
            expect(done.status == 0, done.err)

        make_key(api)
        limit(1)
        wait_for(lambda: stages() == [2080, 2100], "the limit is not told")
        found = [item for item in alerts(site) if item["stage"] == 2100][0]
        expect(found["severity"] == "critical" and
               found["answer"] == "leasehold tenant set default --keys N",
               found)
        limit(100)
        wait_for(lambda: stages() == [], "it is raised, and still told")
        wait_for(lambda: stages("--all") == [2080, 2100], "not kept")


def a_store_put_back_is_told_though_nothing_can_be_journaled():
    with World() as world:
        site = Site(world)
        site.start()
        site.stop()
        copy = site.snapshot()
        site.start()
        site.install(terms())
        site.stop()
        site.put_back(copy)
        site.start()
        found = wait_for(lambda: one(site, "rollback"), "not told")
        expect(found["alert"] == 0 and found["severity"] == "critical", found)
        done = site.cli("site", "acknowledge-rollback", "--reason", "test")
        expect(done.status == 0, done.err)
        wait_for(lambda: one(site, "rollback") is None, "still open")
        over = wait_one(site, "rollback", "--all")
        expect(over["alert"] > 0 and over["state"] == "closed", over)


def followers_of_events_see_it():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)
        key = make_key(api)
        bind(api, key, allowed_hostnames=["build-7"])
        api.get("/api/v1/site", key=key["api_key"])
        wait_one(site, "unknown_host")
        shown = site.cli("--json", "audit", "tail", "-n", "20")
        expect(shown.status == 0, shown.err)
        facts = [json.loads(line) for line in shown.out.splitlines()]
        opened = [fact for fact in facts if fact["kind"] == "alert.opened"]
        expect(len(opened) == 1, facts)
        expect(opened[0]["fact"]["subject"]["kind"] == "unknown_host", opened)


if __name__ == "__main__":
    sys.exit(main([
        a_key_from_nowhere_is_counted_and_ends_with_the_key,
        each_layer_has_a_kind_of_its_own,
        what_strangers_say_is_shown_as_text,
        a_contract_that_ends_is_told_until_it_is_renewed,
        the_silence_of_a_vendor_is_told_before_it_ends_grants,
        an_issuing_key_is_told_of_before_it_ends,
        a_quota_is_told_at_80_and_at_100_percent,
        limits_on_keys_are_told_before_one_is_refused,
        a_store_put_back_is_told_though_nothing_can_be_journaled,
        followers_of_events_see_it,
    ]))
