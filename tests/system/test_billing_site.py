#!/usr/bin/python3
"""What a site says that its customer owes: checkouts over commit, and the
statement in all its forms."""

import csv
import datetime
import decimal
import io
import json
import ssl
import sys
import urllib.error
import urllib.request

import reference_bill
from by_key import Program, make_key
from harness import Site, World, expect, main, terms

OVERAGE = 44
CUSTOMER = {"crm_account_id": "ACC-98765", "name": "Mercedes-Benz AG"}


def today():
    return datetime.datetime.now(datetime.timezone.utc).date()


def billed(world, document=None):
    """A site whose only license gave one seat and 44 times one above it."""
    site = Site(world)
    site.start()
    site.install(document or dict(terms(commit=1, overage=1),
                                  customer=CUSTOMER))
    key, _ = make_key(site)
    with Program(site, key) as program:
        program.take()
        for _ in range(OVERAGE):
            lease = program.take()
            expect(lease["type"] == "overage", lease)
            back = program.give_back(lease["id"])
            expect(back.status == 200, back)
    return site


def ask(site, path, key=None):
    """Status, Content-Type and bytes."""
    request = urllib.request.Request(
        "https://127.0.0.1:%d/api/v1/billing/%s" % (site.port, path),
        headers={"Authorization": "Bearer " + (key or site.key)})
    context = ssl.create_default_context(cafile=site.ca)
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            return (answer.status, answer.headers["Content-Type"],
                    answer.read())
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers["Content-Type"], refusal.read()


def license_id(site):
    shown = site.cli("--json", "license", "list").json()["items"]
    return shown[0]["license_id"]


def a_statement_says_the_same_in_every_form():
    with World() as world:
        first = today()
        site = billed(world)
        last = today()
        # Whatever day it is now: what was taken lies between these two.
        period = "%s/%s" % (first, last)
        name = license_id(site)
        case = {"period": period, "licenses": [dict(
            terms(commit=1, overage=1), license_id=name, serial=1,
            issued_at=str(first))], "overage": [
                {"license": name, "serial": 1, "day": str(first),
                 "first": 1, "count": OVERAGE}]}
        wanted = reference_bill.statement(case)
        status, kind, text = ask(site, "statement?period=" + period)
        expect((status, kind) == (200, "application/json"), text)
        told = json.loads(text, parse_float=decimal.Decimal)
        expect(str(told["total"]) == wanted["total"], text)
        section = told["licenses"][0]
        expect(section["overage_checkouts"] == OVERAGE and
               section["overage_cost"] == 22000, text)
        expect(told["customer"] == dict(CUSTOMER, tenant_id="default"), text)
        line = section["lines"][-1]
        expect((line["overage_first"], line["overage_last"]) == (1, OVERAGE),
               text)
        # Twice is the same; so is what the command prints.
        expect(ask(site, "statement?period=" + period)[2] == text, "again")
        shown = site.cli("billing", "statement", period, "--format", "json")
        expect(shown.status == 0 and shown.out.rstrip("\n") == text.decode(),
               shown.out + shown.err)
        shown = site.cli("billing", "statement", period)
        expect(shown.status == 0 and wanted["total"] in shown.out and
               "22000.00" in shown.out, shown.out + shown.err)
        status, kind, text = ask(
            site, "statement?period=%s&format=csv" % period)
        rows = list(csv.reader(io.StringIO(text.decode(), newline="")))
        expect(status == 200 and kind.startswith("text/csv"), kind)
        expect(rows[1][:6] == ["ACC-98765", "Mercedes-Benz AG",
                               "DaVinci Configurator SE", "44", "22000.00",
                               "EUR"], rows)
        status, kind, text = ask(
            site, "statement?period=%s&format=pdf" % period)
        expect((status, kind) == (200, "application/pdf") and
               text.startswith(b"%PDF-") and b"%%EOF" in text[-16:],
               text[:64])
        out = world.path("statement.pdf")
        shown = site.cli("billing", "statement", period, "--format", "pdf",
                         "--out", out)
        with open(out, "rb") as f:
            expect(shown.status == 0 and f.read() == text, shown.err)
        if first.month == last.month:
            status, kind, text = ask(
                site, "statement?period=%s" % first.strftime("%Y-%m"))
            told = json.loads(text)
            expect(told["total"] == 27000 and
                   told["licenses"][0]["commit_fee"] == 5000, text)


def each_overage_checkout_has_its_row():
    with World() as world:
        first = today()
        site = billed(world)
        days = "start_date=%s&end_date=%s" % (first, today())
        status, _, text = ask(site, "overage?" + days)
        told = json.loads(text)
        expect(status == 200 and told["total_overage_revenue"] == 22000 and
               told["customers"][0]["products"][0]["overage_checkouts"] ==
               OVERAGE, text)
        _, _, text = ask(site, "overage?%s&customer_crm_id=nobody" % days)
        expect(json.loads(text)["customers"] == [], text)
        period = "%s/%s" % (first, today())
        name = license_id(site)
        items, after = [], ""
        while True:  # in pages of ten
            status, _, text = ask(
                site, "evidence?period=%s&license=%s&limit=10%s" % (
                    period, name, after))
            page = json.loads(text)
            expect(status == 200, text)
            items += page["items"]
            if "next" not in page:
                break
            after = "&after=" + page["next"]
        expect([item["overage"] for item in items] ==
               list(range(1, OVERAGE + 1)), items)
        # Each names the row, and the row says so itself.
        tail = site.cli("--json", "audit", "tail", "-n", "1000").out
        rows = {row["row"]: row for row in map(json.loads,
                                               tail.splitlines())}
        for item in items:
            row = rows[item["row"]]
            expect(row["kind"] == "lease.granted" and
                   row["fact"]["lease"] == item["lease"], row)
        shown = site.cli("billing", "evidence", period, "--license", name)
        expect(shown.status == 0 and "lease-2 " in shown.out,
               shown.out + shown.err)


def what_cannot_be_billed_is_refused_with_words():
    with World() as world:
        site = Site(world)
        site.start()
        status, _, text = ask(site, "statement?period=2026-11")
        expect(status == 404 and b"no license" in text, text)
        site.install(terms())
        for query, word in (("period=2026-13", b"period"),
                            ("period=2026-11&format=xml", b"format"),
                            ("period=2026-11&vendor=nobody", b"no license"),
                            ("period=2026-11&license=nothing", b"license"),
                            ("license=x", b"period")):
            status, _, text = ask(site, "statement?" + query)
            expect(400 <= status < 500 and word in text, (query, text))
        status, _, text = ask(
            site, "overage?start_date=2026-11-02&end_date=2026-11-01")
        expect(status == 400 and b"end_date" in text, text)
        # Who may only check out sees no money.
        key, _ = make_key(site)
        status, _, text = ask(site, "statement?period=2026-11", key)
        expect(status == 403, text)
        key, _ = make_key(site, "usage:read")
        status, _, text = ask(site, "statement?period=2026-11", key)
        expect(status == 200, text)
        done = site.cli("billing", "statement", "2026-11", "--format", "odt")
        expect(done.status == 2 and "odt" in done.err, done.err)


if __name__ == "__main__":
    sys.exit(main([
        a_statement_says_the_same_in_every_form,
        each_overage_checkout_has_its_row,
        what_cannot_be_billed_is_refused_with_words,
    ]))
