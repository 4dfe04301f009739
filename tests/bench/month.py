"""A month's statement out of rollups, and out of the same rows by SQLite and
PostgreSQL: for bench.py and metering.py. Each function counts the same month, or
fails: else its time means nothing. `folder` is one that PostgreSQL may enter.
"""

import contextlib
import glob
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time

from harness import binary, expect
from peers import Packages, Postgres

BENCH_ROWS = 10000000
TIMEOUT_S = 300

SCHEMA = """CREATE TABLE journal (number bigint, time bigint, kind int,
    lease bigint, license int, feature text, app_user int, host int,
    overage bigint, count int)"""
MONTH = """SELECT license, feature, count(*), sum(count),
    min(CASE WHEN count > 0 THEN overage END), max(overage)
    FROM journal WHERE kind = 1 AND time >= 1793491200000
    AND time < 1796083200000 GROUP BY license, feature
    ORDER BY license, feature"""


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


def sums(lines, ours, name):
    """The same month: else the comparison means nothing."""
    found = (sum(int(line[2]) for line in lines),
             sum(int(line[3]) for line in lines))
    expect(found == (ours["checkouts"], ours["overage"]),
           "%s counts %r, the rollups %r" % (
               name, found, (ours["checkouts"], ours["overage"])))


@contextlib.contextmanager
def written(folder, rows, timeout):
    """The same rows as files, for as long as it lasts."""
    tool("--csv", folder, rows, timeout=timeout)
    try:
        yield
    finally:
        for part in parts(folder):
            os.unlink(part)


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


def measure(bench):
    """The rows of `make bench`; `make bench-metering` tells more of each."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        os.chmod(folder, 0o755)
        ours = follow(folder, BENCH_ROWS, TIMEOUT_S)
        with written(folder, BENCH_ROWS, TIMEOUT_S):
            lite_s, lite_load_s = in_sqlite(folder, ours)
            post_s, post_load_s, version = in_postgres(folder, ours)
    bench.conditions.setdefault("postgres", version)
    note = "from rollups; they took %.1f us each of %d rows" % (
        ours["follow_s"] * 1e6 / BENCH_ROWS, BENCH_ROWS)
    bench.add("month_statement", ours["statement_s"] * 1e3, "<=", 2000, "ms",
              note)
    for name, took, loaded in (("sqlite", lite_s, lite_load_s),
                               ("postgres", post_s, post_load_s)):
        bench.add("month_%s_over_ours" % name, took / ours["statement_s"],
                  ">=", None, "ratio", "%.2f s from the same rows, loaded in "
                  "%.1f s" % (took, loaded))
