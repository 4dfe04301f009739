#!/usr/bin/python3
"""Statements of random months against a calculation that shares no code with
the appliance (reference_bill.py), and what their forms must hold."""

import csv
import datetime
import decimal
import io
import json
import os
import random
import subprocess
import sys

import reference_bill
from harness import binary, expect, main

MONTHS = 1000
# A seed of a failure is in its message; any month can be made again.
SEED = int(os.environ.get("SEED", "20261101"))
METRICS = ("api_calls", "storage_gb", "revenue")


def run(form, cases):
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    done = subprocess.run([binary("tests/system/bill_tool"), form], input=lines.encode(),
                          stdout=subprocess.PIPE, check=True, timeout=300)
    return done.stdout


def amount(rng, most, currency):
    decimals = reference_bill.DECIMALS[currency]
    value = decimal.Decimal(rng.randint(0, most)).scaleb(-decimals)
    return float(value) if decimals else int(value)


def day(rng, first, last):
    return (first + datetime.timedelta(
        days=rng.randint(0, (last - first).days))).isoformat()


FIRST = datetime.date(2027, 11, 1)
LAST = datetime.date(2028, 4, 30)  # a leap day is within


def make_billing(rng, currency):
    model = rng.choice(("commit_overage", "subscription", "per_use", "hybrid",
                        "revenue_share"))
    billing = {"model": model, "currency": currency, "subscription_fee": 0}
    if model in ("subscription", "hybrid"):
        billing["subscription_fee"] = amount(rng, 10 ** 7, currency)
    if model in ("per_use", "hybrid"):
        billing["usage"] = [
            {"metric": metric, "included": rng.choice((0, 10, 1000)),
             "unit": rng.choice((1, 7, 1000)),
             "price": amount(rng, 999, currency), "currency": currency}
            for metric in rng.sample(METRICS, rng.randint(1, 3))]
    if model == "revenue_share":
        billing["share_ppm"] = rng.choice((1, 25000, 333333, 1000000))
        billing["share_metric"] = "revenue"
    taxes = rng.sample((("VAT", 190000), ("VAT", 70000), ("City", 8875),
                        ("Zero", 0)), rng.randint(0, 2))
    if taxes:
        billing["taxes"] = [{"name": n, "rate_ppm": r} for n, r in taxes]
    return billing


def make_serial(rng, name, serial, currency):
    start = datetime.date.fromisoformat(day(
        rng, datetime.date(2026, 10, 1), LAST))
    if rng.random() < 0.2:
        start = datetime.date(2024, 2, 29)
    end = max(start, datetime.date.fromisoformat(day(
        rng, FIRST, datetime.date(2029, 3, 1))))
    return {
        "license_id": name, "serial": serial,
        "vendor": {"id": "vector", "name": "Vector"},
        "site": "s", "tenant": "mercedes", "site_key": "A" * 43,
        "product": {"id": "davinci", "name": "DaVinci", "version": "*"},
        "entitlement": {
            "total_licenses": 20, "commit_qty": 10, "max_overage": 10,
            "pricing": {"commit_fee_monthly": amount(rng, 10 ** 7, currency),
                        "overage_per_use": amount(rng, 10 ** 5, currency),
                        "currency": currency}},
        "features": [
            {"id": "autosar", "total_licenses": 1, "commit_qty": 1,
             "max_overage": 0, "currency": currency,
             "overage_per_use": amount(rng, 10 ** 5, currency)}],
        "contract": {"start_date": start.isoformat(),
                     "end_date": end.isoformat(), "auto_renew": False,
                     "billing_cycle": rng.choice(("monthly", "annual"))},
        "terms": {"ttl_s": 120, "grace_s": 300, "enforce": "hard",
                  "borrow_max_s": 604800},
        "billing": make_billing(rng, currency),
        "issued_at": day(rng, FIRST, LAST) + "T13:37:00Z",
    }


def make_case(seed):
    rng = random.Random(seed)
    currency = rng.choice(tuple(reference_bill.DECIMALS))
    case = {"licenses": [], "overage": [], "usage": [], "credits": [],
            "cancelled": []}
    for number in range(rng.randint(1, 3)):
        name = "lic-%d" % number
        serials = rng.randint(1, 4)
        for serial in range(1, serials + 1):
            case["licenses"].append(make_serial(rng, name, serial, currency))
        if rng.random() < 0.15:
            case["cancelled"].append({"license": name,
                                      "day": day(rng, FIRST, LAST)})
        numbers = 1
        for when in sorted(day(rng, FIRST, LAST)
                           for _ in range(rng.randint(0, 30))):
            count = rng.randint(1, 5)
            case["overage"].append({
                "license": name, "serial": rng.randint(1, serials),
                "feature": rng.choice(("", "autosar")), "day": when,
                "first": numbers, "count": count})
            numbers += count
        for when in sorted(day(rng, FIRST, LAST)
                           for _ in range(rng.randint(0, 30))):
            metric = rng.choice(METRICS)
            case["usage"].append({
                "license": name, "serial": rng.randint(1, serials),
                "metric": metric, "gauge": metric == "storage_gb",
                "day": when, "amount": rng.choice((0, 1, 999, 12345))})
    for number in range(rng.choice((0, 0, 1, 2))):
        credit = amount(rng, rng.choice((10 ** 4, 10 ** 8)), currency)
        if credit:
            case["credits"].append({"id": "CN-%d" % number,
                                    "amount": credit, "currency": currency})
    month = datetime.date.fromisoformat(day(rng, FIRST, LAST))
    case["period"] = month.strftime("%Y-%m")
    if rng.random() < 0.4:
        ends = sorted((day(rng, FIRST, LAST), day(rng, FIRST, LAST)))
        case["period"] = "/".join(ends)
    return case


def as_reference(text):
    """The statement in the words of the reference."""
    told = json.loads(text, parse_float=str, parse_int=str)
    return {
        "licenses": [(lic["license_id"], [
            (line["kind"], int(line["serial"]),
             line.get("feature", line.get("metric", "")),
             int(line["quantity"]), line["amount"])
            for line in lic["lines"]]) for lic in told["licenses"]],
        "taxes": [(t["name"], int(t["rate_ppm"]), t["base"], t["amount"])
                  for t in told["taxes"]],
        "sum": told["sum"], "credited": told["credited"],
        "credit_left": told["credit_left"], "tax": told["tax"],
        "total": told["total"],
    }


def read(text):
    return json.loads(text, parse_float=str, parse_int=str)


def random_months_are_what_another_calculation_says():
    seeds = range(SEED, SEED + MONTHS)
    cases = [make_case(seed) for seed in seeds]
    told = run("json", cases).decode().splitlines()
    expect(len(told) == MONTHS, "%d statements" % len(told))
    kinds = set()
    for seed, case, text in zip(seeds, cases, told):
        expect(not text.startswith("!"), "SEED=%d: %s" % (seed, text))
        ours = as_reference(text)
        wanted = reference_bill.statement(case)
        expect(ours == wanted, "SEED=%d: %s is not %s" % (seed, ours, wanted))
        kinds.update(line[0] for _, lines in ours["licenses"]
                     for line in lines)
    expect(kinds == set(reference_bill.KINDS), "only %s" % kinds)


def parts_of_a_month_add_up():
    """Fees and overage of two halves are those of the whole."""
    for seed in range(SEED, SEED + 60):
        case = dict(make_case(seed), credits=[], usage=[])
        parts = [dict(case, period=period) for period in (
            "2028-02", "2028-02-01/2028-02-17", "2028-02-18/2028-02-29")]
        sums = [decimal.Decimal(read(line)["sum"])
                for line in run("json", parts).decode().splitlines()]
        expect(sums[0] == sums[1] + sums[2], "SEED=%d: %s" % (seed, sums))


def lines_of_an_invoice_add_up_to_its_total():
    cases = [make_case(seed) for seed in range(SEED, SEED + 100)]
    for text in run("invoice", cases).decode().splitlines():
        told = json.loads(text, parse_float=decimal.Decimal)
        expect(sum(line["amount"] for line in told["line_items"]) ==
               told["total"], text)


def csv_is_read_as_it_was_meant():
    case = make_case(SEED)
    name = 'a "b", c \u2013 =1'
    for lic in case["licenses"]:
        lic["customer"] = {"crm_account_id": "=ACC", "name": name}
    told = [row for row in csv.reader(io.StringIO(
        run("csv", [case]).decode(), newline="")) if row]
    expect(told[0] == [
        "CRM_Account_ID", "Customer_Name", "Product",
        "Total_Overage_Checkouts", "Total_Cost", "Currency",
        "Billing_Period"], told[0])
    expect(len(told) > 1, told)
    expect(all(row[:2] == ["'=ACC", name] for row in told[1:]), told)


def all_forms_have_the_same_total():
    case = make_case(SEED + 1)
    total = read(run("json", [case]))["total"]
    expect(total in run("text", [case]).decode(), total)
    pdf = run("pdf", [case])
    expect(pdf.startswith(b"%PDF-"), pdf[:10])
    expect(pdf == run("pdf", [case]), "two PDFs of one statement differ")


if __name__ == "__main__":
    sys.exit(main([
        random_months_are_what_another_calculation_says,
        parts_of_a_month_add_up,
        lines_of_an_invoice_add_up_to_its_total,
        csv_is_read_as_it_was_meant,
        all_forms_have_the_same_total,
    ]))
