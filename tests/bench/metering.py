#!/usr/bin/python3
"""A month of metering: what rollups cost, and what they save.

    make bench-metering              ten million rows, about ten minutes
    make bench-metering ROWS=300000  fewer
    tests/bench/metering.py --checkouts   the last part alone
    tests/bench/metering.py --cpu         in CPU time: also on a busy machine

1. The rows are followed into rollups, and a month's statement and its evidence
   are read from them; in how much memory, beside a hundredth of the rows.
2. SQLite and PostgreSQL load the same rows and aggregate the same month from
   them: the same lines of a statement, compared number by number.
3. Checkouts of 512 connections with and without the projection, turn by turn,
   on one machine. Without: where its store would lie is a file, which the site
   says and lives with.
4. The same in CPU time alone (--cpu): so many checkouts with and without, turn by
   turn, and what all processes of the site used for them until the last row is
   counted. Others on the machine make that neither less nor much more.

Prints figures and ratios, and what the machine was busy with beside. Everything
started is ended and removed. Exit status 1: something could not be measured, or
the counts differ; not when a target is missed.
"""

import argparse
import glob
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "system"))
import month
from harness import expect
from ours import BenchSite, Generator, Pinned, busy_s, median

CONNECTIONS = 512


def rollups(folder, rows, timeout):
    small = month.follow(folder, max(rows // 100, 1000), timeout)
    whole = month.follow(folder, rows, timeout)
    print("%d rows followed in %.1f s, %.2f us each; the file has %.1f MB" % (
        rows, whole["follow_s"], whole["follow_s"] * 1e6 / rows,
        whole["file_mb"]))
    print("a month's statement from them in %.2f ms (target 2 s), %d overage "
          "seats" % (whole["statement_s"] * 1e3, whole["overage"]))
    print("evidence of all of them in %.2f s" % whole["evidence_s"])
    print("memory of its own: %d KiB with %d rows, %d KiB with %d: x %.2f; "
          "reading took %d KiB of it; with what is mapped of the file %d KiB" % (
              small["own_kb"], small["rows"], whole["own_kb"], rows,
              whole["own_kb"] / small["own_kb"],
              whole["own_kb"] - whole["own_before_kb"], whole["peak_kb"]))
    return whole


def peers(folder, rows, ours, timeout):
    with month.written(folder, rows, timeout):
        took, loaded = month.in_sqlite(folder, ours)
        print("SQLite %s: the same month from the same rows in %.2f s (loaded "
              "in %.0f s): x %.0f of ours" % (sqlite3.sqlite_version, took,
                                             loaded,
                                             took / ours["statement_s"]))
        took, loaded, version = month.in_postgres(folder, ours)
        print("PostgreSQL %s: in %.2f s (loaded in %.0f s): x %.0f of ours" % (
            version, took, loaded, took / ours["statement_s"]))


def catches_up_s(site, once=False):
    """How long after the load it has counted the last row. `once`: has it?"""
    began = time.monotonic()
    while True:
        shown = site.cli("--json", "usage", "report")
        expect(shown.status == 0, shown.err)
        if shown.json().get("behind", 0) == 0:
            return True if once else time.monotonic() - began
        if once:
            return False


def enrolled(world, generator, projected, connections=CONNECTIONS):
    site = BenchSite(world)
    site.load(generator, "agents", connections, "--seconds", 1)  # enroll
    site.stop()
    if not projected:
        path = os.path.join(site.state, "tenants", "default", "metering")
        shutil.rmtree(path, ignore_errors=True)
        with open(path, "w"):
            pass
    site.start()
    return site


def on_cpu_s(pid, thread=None):
    """Of all threads that a process has, or of those of that name;
    /proc/PID/stat counts in 10 ms."""
    total = 0
    for task in glob.glob("/proc/%d/task/*" % pid):
        with open(task + "/comm") as f:
            if thread not in (None, f.read().strip()):
                continue
        with open(task + "/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def used_s(site):
    return sum(on_cpu_s(pid) for pid in site.daemons.values())


def comes_to_rest_s(site, projected):
    """CPU that it has used once it does nothing more."""
    before = used_s(site)
    while True:
        time.sleep(2)
        now = used_s(site)
        if now - before <= 0.02:
            if not projected or catches_up_s(site, once=True):
                return now
            now = used_s(site)
        before = now


def cpu_us(cpus, generator, total, connections, projected):
    """A checkout, in us: of all processes, and of the thread that follows the
    journal."""
    with Pinned(cpus) as world:
        site = enrolled(world, generator, projected, connections)
        with Generator(generator, "load_bench",
                       *site.options("agents", connections),
                       "--total", total) as load:
            expect(load.line(300) == "begin", "it does not begin")
            pid = site.child("ledger")
            began, follower = used_s(site), on_cpu_s(pid, "auditor")
            load.line(300)
        ended = comes_to_rest_s(site, projected)
        follower = on_cpu_s(pid, "auditor") - follower
        expect(("not counted" in site.log()) != projected,
               "the projection is not %s" % ("on" if projected else "off"))
        return (ended - began) * 1e6 / total, follower * 1e6 / total


def cost_in_cpu(rounds, total, connections):
    cores = sorted(os.sched_getaffinity(0))
    generator = str(cores[-1])
    cpus = ",".join(map(str, cores[:-1])) or generator
    ratios, shares = [], []
    for number in range(rounds):
        order = (True, False) if number % 2 == 0 else (False, True)
        found = {on: cpu_us(cpus, generator, total, connections, on)
                 for on in order}
        ratios.append(found[True][0] / found[False][0])
        shares.append((found[True][1] - found[False][1]) / found[False][0])
        print("  %d checkouts: with rollups %.1f us of CPU each, %.2f on the "
              "thread that follows; without %.1f and %.2f: x %.3f, that thread "
              "%+.1f %%" % (total, *found[True], *found[False], ratios[-1],
                            100 * shares[-1]), flush=True)
    print("rollups cost %.1f %% of a checkout's CPU time (from %.1f to %.1f; "
          "goal <= 10); their own thread %.1f %% (from %.1f to %.1f)" % (
              100 * median(ratios) - 100, 100 * min(ratios) - 100,
              100 * max(ratios) - 100, 100 * median(shares),
              100 * min(shares), 100 * max(shares)))


def checkouts(cpus, generator, seconds, projected):
    with Pinned(cpus) as world:
        site = enrolled(world, generator, projected)
        done = site.load(generator, "agents", CONNECTIONS, "--seconds",
                         seconds, "--warm-up", seconds / 5)
        lost = "not counted" in site.log()
        expect(lost != projected, "the projection is not %s"
               % ("on" if projected else "off"))
        return (done["per_second"], done["cpu_us"]["ledger"], done["others"],
                catches_up_s(site) if projected else 0)


def throughput(rounds, seconds):
    cores = sorted(os.sched_getaffinity(0))
    generator = str(cores[-1])
    cpus = ",".join(map(str, cores[:-1])) or generator
    ratios, more, others = [], [], []
    for number in range(rounds):
        order = (True, False) if number % 2 == 0 else (False, True)
        found = {on: checkouts(cpus, generator, seconds, on) for on in order}
        ratios.append(found[True][0] / found[False][0])
        more.append(found[True][1] - found[False][1])
        others += [found[True][2], found[False][2]]
        print("  with rollups %.0f/s, ledger %.1f us each, all counted %.2f s "
              "after; without %.0f/s, %.1f us each; others used %.1f "
              "and %.1f cores" % (
                  *found[True][:2], found[True][3], *found[False][:2],
                  found[True][2], found[False][2]), flush=True)
    print("rollups cost %.1f %% of checkout throughput (from %.1f to %.1f; goal "
          "<= 10), %.1f us of the ledger's CPU a checkout; others used %.1f "
          "cores" % (100 - 100 * median(ratios), 100 - 100 * max(ratios),
                     100 - 100 * min(ratios), median(more), median(others)))
    if median(others) > 0.2:
        print("NOT QUIET: of the rates only the CPU of the ledger says "
              "something")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10000000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--timeout", type=int, default=600,
                        help="seconds for each pass over the rows")
    parser.add_argument("--folder", default="/var/tmp")
    parser.add_argument("--checkouts", action="store_true",
                        help="of all this only what checkouts cost")
    parser.add_argument("--cpu", action="store_true",
                        help="of all this only that, in CPU time")
    parser.add_argument("--total", type=int, default=40000,
                        help="checkouts of each turn of --cpu")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = tempfile.mkdtemp(prefix="leasehold-bench-", dir=given.folder)
    os.chmod(folder, 0o755)  # PostgreSQL runs as nobody
    busy, began = busy_s(), time.monotonic()
    print("load %s" % " ".join("%.1f" % load for load in os.getloadavg()),
          flush=True)
    try:
        if given.cpu:
            cost_in_cpu(given.rounds, given.total, given.connections)
            return
        if not given.checkouts:
            ours = rollups(folder, given.rows, given.timeout)
            peers(folder, given.rows, ours, given.timeout)
        throughput(given.rounds, given.seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        print("load %s; %.1f cores busy on average" % (
            " ".join("%.1f" % load for load in os.getloadavg()),
            (busy_s() - busy) / (time.monotonic() - began)))


if __name__ == "__main__":
    main()
