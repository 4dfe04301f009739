#!/usr/bin/python3
"""Measures Leasehold beside its peers: every row of DESIGN 15 in one run.

    make bench                       all of it, about 22 minutes
    make bench ROWS=restart,library  some groups
    make bench ROUNDS=5 SECONDS=10   more rounds, longer measurements
    make bench README=1              and write the table into README.md

Prints a table and writes build/bench.json: a list of {name, value, target,
unit, met}; target and met are null for what is shown but has none. The exit
status is 1 when something could not be measured, not when a target is missed.
Everything started is ended and removed, also after Ctrl-C. The disk is that of
--folder (/var/tmp), for all sides; servers run on all cores but the last, the
load generator on the last.
"""

import argparse
import datetime
import glob
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "system"))
from harness import ROOT
from ours import median
from rows import GROUPS

BUDGET_S = 25 * 60
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def read_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, usage="make bench [ROWS=...] [ROUNDS=N] "
        "[SECONDS=S] [README=1]",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, metavar="FILE")
    parser.add_argument("--rows", default="", metavar="GROUPS",
                        help="of: " + ", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5,
                        help="of one measurement")
    parser.add_argument("--many", type=int, default=1000000,
                        help="leases of the row that compares with 1,000")
    parser.add_argument("--folder", default="/var/tmp",
                        help="on the disk to measure on")
    parser.add_argument("--readme", action="store_true",
                        help="rewrite the table in README.md")
    arguments = parser.parse_args()
    arguments.groups = [g for g in re.split(r"[,\s]+", arguments.rows) if g] \
        or list(GROUPS)
    for group in arguments.groups:
        if group not in GROUPS:
            parser.error("no rows %s; there are: %s" % (group,
                                                        ", ".join(GROUPS)))
    return arguments


class Bench:
    """What the rows share: where to measure, how long, what was found."""

    def __init__(self, arguments, folder):
        cores = sorted(os.sched_getaffinity(0))
        self.generator = str(cores[-1])
        self.server = ",".join(str(c) for c in cores[:-1]) or str(cores[-1])
        self.folder = folder
        self.rounds = arguments.rounds
        self.seconds = arguments.seconds
        self.many = arguments.many
        self.some = min(100000, arguments.many)
        self.watch_s = 60 if arguments.seconds > 2 else 20
        self.disk_p50_us, self.disk_rate = [], []
        self.commits, self.peaks = [], []
        self.others = []  # cores that were busy with something else
        self.results = []
        self.failed = []
        self.stopped = False  # by a signal
        self.conditions = {}

    def stop(self, number, frame):
        self.stopped = True
        raise KeyboardInterrupt

    def say(self, words):
        print(words, flush=True)

    def add(self, name, value, relation, target, unit, note):
        met = None if target is None else \
            bool(value >= target if relation == ">=" else value <= target)
        self.results.append({
            "name": name, "value": value, "relation": relation,
            "target": target, "unit": unit, "note": note, "met": met})
        self.say("  = " + " | ".join(cells(self.results[-1])))


def number(value):
    if value == 0 or abs(value) >= 100:
        return "%.0f" % value
    return "%.3g" % value


def cells(row):
    target = "" if row["target"] is None else \
        "%s %s" % (row["relation"], number(row["target"]))
    ratio = "" if not row["target"] else number(row["value"] / row["target"])
    met = {True: "met", False: "MISSED", None: ""}[row["met"]]
    return [row["name"], "%s %s" % (number(row["value"]), row["unit"]), target,
            ratio, met, row["note"]]


def table(bench):
    lines = [["what", "value", "target", "value/target", "", "notes"]]
    lines += [cells(row) for row in bench.results]
    widths = [max(len(line[i]) for line in lines) for i in range(6)]
    out = []
    for at, line in enumerate(lines):
        out.append("| " + " | ".join(
            cell.ljust(width) for cell, width in zip(line, widths)) + " |")
        if at == 0:
            out.append("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(out)


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True,
                              timeout=10).stdout.split("\n")[0].strip()
    except OSError:
        return ""


def processor():
    with open("/proc/cpuinfo") as f:
        found = re.search(r"^model name\s*:\s*(.*)$", f.read(), re.M)
    return re.sub(r"\s+", " ", found.group(1)) if found else platform.machine()


def conditions(bench):
    with open("/proc/meminfo") as f:
        memory = int(f.read().split()[1]) / 1024 / 1024
    disk = first_line("findmnt", "-n", "-o", "SOURCE,FSTYPE", "-T",
                      bench.folder)
    words = [
        datetime.date.today().isoformat(),
        "commit " + (first_line("git", "-C", ROOT, "rev-parse", "--short",
                                "HEAD") or "?"),
        "%s, %d cores, %.0f GiB" % (processor(), os.cpu_count(), memory),
        "Linux " + platform.release(),
        "disk " + re.sub(r"\s+", " ", disk),
    ]
    if bench.disk_rate:
        words.append("fdatasync of 4 KiB %.0f/s, p50 %.0f us" % (
            median(bench.disk_rate), median(bench.disk_p50_us)))
    if bench.others and median(bench.others) > 0.05:
        words.append("NOT QUIET: other programs used %.1f cores meanwhile"
                     % median(bench.others))
    words += ["%s %s" % ({"redis": "Redis", "postgres": "PostgreSQL",
                         "nginx": "nginx"}[k], v)
              for k, v in bench.conditions.items()]
    words.append("%d rounds of %g s; servers on core %s, generator on core %s"
                 % (bench.rounds, bench.seconds, bench.server,
                    bench.generator))
    return "; ".join(words) + "."


def write_readme(text):
    path = os.path.join(ROOT, "README.md")
    with open(path) as f:
        old = f.read()
    begin, end = old.find(BEGIN), old.find(END)
    if begin < 0 or end < begin:
        print("README.md has no place for the table: %s ... %s"
              % (BEGIN, END), file=sys.stderr)
        return
    with open(path, "w") as f:
        f.write(old[:begin + len(BEGIN)] + "\n" + text + "\n" + old[end:])


def write_results(bench, path):
    keys = ("name", "value", "target", "unit", "met")
    with open(path, "w") as f:
        json.dump([{key: row[key] for key in keys} for row in bench.results],
                  f, indent=1)
        f.write("\n")


def run_groups(bench, groups):
    end = time.monotonic() + BUDGET_S
    for group in groups:
        if time.monotonic() > end:
            bench.failed.append("%s: no time left" % group)
            continue
        bench.say("%s: %s" % (group, time.strftime("%H:%M:%S")))
        try:
            GROUPS[group](bench)
        except Exception as error:  # the other rows are still worth having
            if bench.stopped:
                raise
            bench.failed.append("%s: %s: %s" % (group, type(error).__name__,
                                                error))
            bench.say("  failed: " + bench.failed[-1])


def remove_old(folder):
    """What a killed run left."""
    for path in (glob.glob(os.path.join(folder, "leasehold-bench-*"))
                 + glob.glob("/dev/shm/leasehold-bench-*")):
        pid = os.path.basename(path).split("-")[2]
        if not os.path.exists("/proc/" + pid):
            shutil.rmtree(path, ignore_errors=True)


def main():
    arguments = read_arguments()
    remove_old(arguments.folder)
    folder = tempfile.mkdtemp(prefix="leasehold-bench-%d-" % os.getpid(),
                              dir=arguments.folder)
    os.chmod(folder, 0o755)
    tempfile.tempdir = folder  # sites too
    bench = Bench(arguments, folder)
    try:
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, bench.stop)
        run_groups(bench, arguments.groups)
        if bench.results:
            text = table(bench) + "\n\n" + conditions(bench)
            print("\n" + text)
            write_results(bench, arguments.out)
            if arguments.readme:
                write_readme(text)
    except BaseException:
        if not bench.stopped:
            raise
        print("bench: stopped; everything is ended and removed",
              file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for words in bench.failed:
        print("not measured: " + words, file=sys.stderr)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
