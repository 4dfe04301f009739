#!/usr/bin/python3
"""Short runs of the simulators with fresh seeds; `make sim` runs them longer."""

import os
import subprocess
import sys


def main():
    build = os.environ.get("LEASEHOLD_BUILD", "build/release")
    slow = os.path.basename(build.rstrip("/")) in ("asan", "tsan")
    failed = False
    for name, args in (
            ("ledger_sim", ["--seconds", "15", "--commands",
                            "20000" if slow else "150000"]),
            ("guard_sim", ["--seconds", "10"]),
            ("site_sim", ["--seconds", "10"]),
            ("borrow_sim", ["--runs", "2" if slow else "10"]),
            ("sync_sim", ["--runs", "100" if slow else "300"])):
        command = [os.path.join(build, "tests", "sim", name)] + args
        seed = os.environ.get("SEED")
        if seed:
            command += ["--seed", seed]
        done = subprocess.run(command, timeout=300, check=False)
        # It says itself what failed; a crash says nothing.
        if done.returncode < 0:
            print("not ok %s: ended by signal %d" % (name, -done.returncode))
        failed = failed or done.returncode != 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
