#!/usr/bin/python3
"""Licenses that are not what they should be: each refused with its own clear
error, and nothing half done."""

import json
import os
import sys
from datetime import date, timedelta

from harness import World, Site, binary, expect, main, run, terms


def refused(site, path, *words):
    done = site.cli("license", "install", path)
    expect(done.status in (1, 3), "status %d: %s" % (done.status, done.out))
    for word in words:
        expect(word in done.err, "no %r in: %s" % (word, done.err))
    shown = site.cli("--json", "license", "list").json().get("items", [])
    expect(shown == [], "something was installed: %s" % shown)
    told = site.cli("--json", "audit", "search", "--event",
                    "license.installed").json()["items"]
    expect(told == [], "something was journaled: %s" % told)
    told = site.cli("--json", "audit", "search", "--event",
                    "license.install").json()["items"]
    expect(all(act["result"] not in ("", "done") for act in told), told)


def site_refuses_what_is_not_for_it():
    with World() as world:
        site = Site(world)
        other = Site(world, "other")
        site.start()
        path = world.issue(other, terms())
        refused(site, path, "site: the license is for site")
        # Altered by one byte, in each of the two tokens.
        path = world.issue(site, terms())
        with open(path) as f:
            good = json.load(f)
        for name in ("issuer", "license"):
            bad = dict(good)
            at = len(bad[name]) // 3
            swapped = "A" if bad[name][at] != "A" else "B"
            bad[name] = bad[name][:at] + swapped + bad[name][at + 1:]
            with open(world.path("bad.lic"), "w") as f:
                json.dump(bad, f)
            refused(site, world.path("bad.lic"), "signature")
        # Unknown and doubled members of the file.
        with open(world.path("bad.lic"), "w") as f:
            json.dump(dict(good, extra=1), f)
        refused(site, world.path("bad.lic"), "extra")
        with open(world.path("bad.lic"), "w") as f:
            f.write(json.dumps(good)[:-1] + ',"license":"x"}')
        refused(site, world.path("bad.lic"), "license", "twice")
        with open(world.path("bad.lic"), "w") as f:
            f.write("rubbish")
        refused(site, world.path("bad.lic"))
        # Its contract is over.
        past = date.today() - timedelta(days=400)
        path = world.issue(site, terms(start=past,
                                       end=past + timedelta(days=30)))
        refused(site, path, "license_expired", "ended")
        # The good one after all of them.
        done = site.cli("license", "install", world.issue(site, terms()))
        expect(done.status == 0, done.err)


def another_vendor_under_the_same_name_is_refused():
    with World() as world, World() as pirate:
        site = Site(world)
        site.start()
        site.install(terms())
        path = pirate.issue(site, terms(product="other"))
        done = site.cli("license", "install", path)
        expect(done.status == 1 and "conflict" in done.err, done.err)
        expect("vector" in done.err, done.err)


def a_license_not_yet_valid_waits():
    with World() as world:
        site = Site(world)
        site.start()
        tomorrow = date.today() + timedelta(days=2)
        shown = site.install(terms(start=tomorrow))
        expect(shown["state"] == "not_yet", shown)


def a_renewal_replaces_and_an_older_one_does_not():
    with World() as world:
        site = Site(world)
        site.start()
        first = world.issue(site, terms(), extra=["--license-id", "lic-1",
                                                  "--serial", "1"])
        second = world.issue(site, terms(commit=7, overage=3),
                             extra=["--license-id", "lic-1", "--serial", "2"])
        for path in (first, second):
            done = site.cli("--json", "license", "install", path)
            expect(done.status == 0, done.err)
        expect(done.json()["entitlement"]["commit_qty"] == 7, done.out)
        back = site.cli("license", "install", first)
        expect(back.status == 1 and "conflict" in back.err, back.err)
        items = site.cli("--json", "license", "list").json()["items"]
        expect(len(items) == 1 and items[0]["serial"] == 2, items)


def the_vendor_tool_names_what_is_wrong():
    with World() as world:
        site = Site(world)
        request = world.path("request")
        with open(request, "w") as f:
            f.write(site.request())
        good = terms()

        def issue(document):
            with open(world.path("bad.json"), "w") as f:
                f.write(document if isinstance(document, str)
                        else json.dumps(document))
            out = world.path("bad.lic")
            done = run(binary("leasehold-vendor"), "issue", world.vendor,
                       "--request", request, "--terms",
                       world.path("bad.json"), "--out", out)
            expect(done.status in (1, 2), "accepted: %s" % document)
            expect(not os.path.exists(out), "a file was left behind")
            return done.err

        def changed(path, value):
            copy = json.loads(json.dumps(good))
            at = copy
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = value
            return copy

        text = json.dumps(good)
        cases = [
            (changed(["entitlement", "commit_qty"], -1), "commit_qty"),
            (changed(["entitlement", "commit_qty"], 50), "commit_qty"),
            (changed(["entitlement", "total_licenses"], 19),
             "total_licenses"),
            (changed(["product", "version"], ">=eight"), "version"),
            (changed(["contract", "end_date"], "2001-01-01"), "end_date"),
            (changed(["contract", "end_date"], "2026-02-30"), "end_date"),
            (changed(["entitlement", "pricing", "currency"], "EUX"),
             "currency"),
            (changed(["surprise"], 1), "surprise"),
            (text.replace("500.0,", "500.123,"), "overage_per_use"),
            (text.replace('"commit_qty": 5', '"commit_qty": 5.5'),
             "commit_qty"),
            (text.replace('"commit_qty": 5',
                          '"commit_qty": 5, "commit_qty": 6'), "commit_qty"),
            (text.replace('"EUR"', "7"), "currency"),
            ("{", ""),
        ]
        for document, word in cases:
            words = issue(document)
            expect(word in words, "no %r in: %s" % (word, words))
        # A request altered by one byte.
        with open(request) as f:
            token = f.read()
        with open(request, "w") as f:
            f.write(token.replace(token[40], "A" if token[40] != "A" else "B",
                                  1))
        words = issue(good)
        expect("request" in words, words)


if __name__ == "__main__":
    sys.exit(main([
        site_refuses_what_is_not_for_it,
        another_vendor_under_the_same_name_is_refused,
        a_license_not_yet_valid_waits,
        a_renewal_replaces_and_an_older_one_does_not,
        the_vendor_tool_names_what_is_wrong,
    ]))
