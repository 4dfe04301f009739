#!/usr/bin/python3
"""A short run of the simulator with a fresh seed; `make sim` runs it longer."""

import os
import subprocess
import sys


def main():
    build = os.environ.get("LEASEHOLD_BUILD", "build/release")
    slow = os.path.basename(build.rstrip("/")) in ("asan", "tsan")
    command = [os.path.join(build, "tests", "sim", "ledger_sim"),
               "--seconds", "15", "--commands",
               "20000" if slow else "150000"]
    seed = os.environ.get("SEED")
    if seed:
        command += ["--seed", seed]
    done = subprocess.run(command, timeout=300, check=False)
    # It says itself what failed; a crash says nothing.
    if done.returncode < 0:
        print("not ok sim: ended by signal %d" % -done.returncode)
    sys.exit(1 if done.returncode != 0 else 0)


if __name__ == "__main__":
    main()
