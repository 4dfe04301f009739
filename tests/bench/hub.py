#!/usr/bin/python3
"""Reports of ten thousand sites at one hub, and an export over all customers.

    make bench-hub               ten thousand sites, about a minute
    make bench-hub SITES=1000    fewer
    tests/bench/hub.py --lines 100000   a longer export

1. Each site has a key, a journal and a license of its own, and sends one small
   report. They are verified, journaled and answered, as many in a commit as
   wait; beside it the same disk's own fdatasync of a page, in the same run.
2. The overage export in CSV and JSON over a hundred customers and over all: how
   much memory of its own it takes while it is made.
3. Analytics over all customers, of 31 days in each hour of which some features
   of each license were used: how long the thread that answers is taken.

Prints figures and ratios, and what the machine was busy with beside. Exit status
1: something could not be measured; not when it is slow.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "system"))
from harness import binary, expect
from ours import busy_s


def tool(folder, what, *args, timeout):
    path = tempfile.mkdtemp(dir=folder)
    try:
        done = subprocess.run(
            [binary("tests/bench/hub_bench"), what, path, *map(str, args)],
            stdout=subprocess.PIPE, text=True, timeout=timeout)
        expect(done.returncode == 0, "hub_bench failed")
        return json.loads(done.stdout)
    finally:
        shutil.rmtree(path)


def reports(folder, sites, seats, gather, timeout):
    got = tool(folder, "reports", sites, seats, gather, timeout=timeout)
    print("%d sites, a report of %d bytes each: %d reports/s, %d in a commit; "
          "one by one %d/s" % (sites, got["report_bytes"], got["per_second"],
                               gather, got["single_per_second"]))
    print("the disk's own fdatasync of a page: %d/s; ratio %.2f" % (
        got["syncs_per_second"], got["ratio"]))


def exports(folder, lines, timeout):
    for form in ("csv", "json"):
        few, many = (tool(folder, "overage", n, form, timeout=timeout)
                     for n in (100, lines))
        print("overage as %s: %d lines, %.1f MB in %.1f s; memory of its own "
              "%d KiB, with %d lines %d KiB" % (
                  form, lines, many["bytes"] / 1e6, many["seconds"],
                  many["own_most_kb"] - many["own_before_kb"], 100,
                  few["own_most_kb"] - few["own_before_kb"]), flush=True)


def analytics(folder, sites, features, timeout):
    got = tool(folder, "analytics", sites, features, timeout=timeout)
    print("analytics: %d sites, %d hours of 31 days in %.2f s, %.2f us each; "
          "memory of its own %d KiB" % (
              sites, got["hours"], got["seconds"],
              got["seconds"] * 1e6 / got["hours"],
              got["own_after_kb"] - got["own_before_kb"]), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sites", type=int, default=10000)
    parser.add_argument("--seats", type=int, default=2,
                        help="overage seats of each report")
    parser.add_argument("--gather", type=int, default=64)
    parser.add_argument("--lines", type=int, help="of the export; 0: none")
    parser.add_argument("--features", type=int, default=3,
                        help="of each license, for analytics; 0: none")
    parser.add_argument("--timeout", type=int, default=600)
    parser.add_argument("--folder", default="/var/tmp")
    given = parser.parse_args()
    lines = given.sites if given.lines is None else given.lines
    folder = tempfile.mkdtemp(prefix="leasehold-bench-", dir=given.folder)
    busy, own, began = busy_s(), os.times(), time.monotonic()
    print("load %s" % " ".join("%.1f" % load for load in os.getloadavg()),
          flush=True)
    try:
        reports(folder, given.sites, given.seats, given.gather, given.timeout)
        if lines > 0:
            exports(folder, lines, given.timeout)
        if given.features > 0:
            analytics(folder, given.sites, given.features, given.timeout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        took, now = time.monotonic() - began, os.times()
        mine = now.children_user + now.children_system - (
            own.children_user + own.children_system)
        others = (busy_s() - busy - mine) / took
        print("load %s; others used %.1f cores%s" % (
            " ".join("%.1f" % load for load in os.getloadavg()), others,
            ": NOT QUIET" if others > 0.2 else ""))


if __name__ == "__main__":
    main()
