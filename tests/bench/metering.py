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
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "system"))
from harness import binary, expect
from ours import BenchSite, Generator, Pinned, busy_s, median
from peers import Packages, Postgres

SCHEMA = """CREATE TABLE journal (number bigint, time bigint, kind int,
    lease bigint, license int, feature text, app_user int, host int,
    overage bigint, count int)"""
MONTH = """SELECT license, feature, count(*), sum(count),
    min(CASE WHEN count > 0 THEN overage END), max(overage)
    FROM journal WHERE kind = 1 AND time >= 1793491200000
    AND time < 1796083200000 GROUP BY license, feature
    ORDER BY license, feature"""
CONNECTIONS = 512


def tool(*args, timeout):
    done = subprocess.run(
        [binary("tests/bench/metering_bench"), *map(str, args)],
        stdout=subprocess.PIPE, text=True, timeout=timeout)
    expect(done.returncode == 0, "metering_bench failed")
    return json.loads(done.stdout) if done.stdout else None


def follow(folder, rows, timeout):
    path = os.path.join(folder, "projection")
    os.mkdir(path)
    try:
        return tool(path, rows, timeout=timeout)
    finally:
        shutil.rmtree(path)


def rollups(folder, rows, timeout):
    small = follow(folder, max(rows // 100, 1000), timeout)
    whole = follow(folder, rows, timeout)
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


def sums(lines, ours, name):
    """The same month: else the comparison means nothing."""
    found = (sum(int(line[2]) for line in lines),
             sum(int(line[3]) for line in lines))
    expect(found == (ours["checkouts"], ours["overage"]),
           "%s counts %r, the rollups %r" % (
               name, found, (ours["checkouts"], ours["overage"])))


def parts(folder):
    return sorted(glob.glob(os.path.join(folder, "rows-*.csv")))


def read_part(path):
    with open(path) as f:
        for line in f:
            words = line.rstrip("\n").replace('"', "").split(",")
            yield [int(word) if i != 5 else word
                   for i, word in enumerate(words)]


def timed(ask):
    """The best of three: what was read once is in memory."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        lines = ask()
        took.append(time.perf_counter() - began)
    return min(took), lines


def in_sqlite(folder, ours):
    path = os.path.join(folder, "sqlite.db")
    base = sqlite3.connect(path)
    try:
        base.execute("PRAGMA journal_mode = OFF")
        base.execute("PRAGMA synchronous = OFF")
        base.execute(SCHEMA)
        began = time.perf_counter()
        for part in parts(folder):
            base.executemany("INSERT INTO journal VALUES (%s)"
                             % ",".join("?" * 10), read_part(part))
            base.commit()
        loaded = time.perf_counter() - began
        took, lines = timed(lambda: base.execute(MONTH).fetchall())
        sums(lines, ours, "SQLite")
        return took, loaded
    finally:
        base.close()
        os.unlink(path)


def in_postgres(folder, ours):
    peer = Postgres(Packages(folder, ["postgresql-15"]), folder,
                    ",".join(map(str, os.sched_getaffinity(0))))
    try:
        peer.sql(SCHEMA + ";")
        began = time.perf_counter()
        for part in parts(folder):
            peer.sql("\\copy journal FROM '%s' CSV\n" % part)
        peer.sql("ANALYZE journal;")
        loaded = time.perf_counter() - began
        took = []
        for _ in range(3):
            said = peer.sql("\\timing on\n\\pset tuples_only\n"
                            "\\pset format unaligned\n%s;\n"
                            % MONTH.replace("\n", " "))
            took.append(float(re.search(r"Time: ([\d.]+) ms", said).group(1))
                        / 1e3)
        sums([line.split("|") for line in said.splitlines()
              if line.count("|") == 5], ours, "PostgreSQL")
        return min(took), loaded, peer.version
    finally:
        peer.close()


def peers(folder, rows, ours, timeout):
    tool("--csv", folder, rows, timeout=timeout)
    took, loaded = in_sqlite(folder, ours)
    print("SQLite %s: the same month from the same rows in %.2f s (loaded in "
          "%.0f s): x %.0f of ours" % (sqlite3.sqlite_version, took, loaded,
                                      took / ours["statement_s"]))
    took, loaded, version = in_postgres(folder, ours)
    print("PostgreSQL %s: in %.2f s (loaded in %.0f s): x %.0f of ours" % (
        version, took, loaded, took / ours["statement_s"]))
    for part in parts(folder):
        os.unlink(part)


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
