#!/usr/bin/python3
"""A first figure: durable checkouts a second over TLS, and where time goes.

One site, one license of ten million seats, agents that never return a seat;
generator and site share the machine's cores. Bounded: SECONDS a round.
"""

import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "system"))
from harness import PRODUCT, World, Site, binary, children, expect, run, terms

SECONDS = int(os.environ.get("SECONDS", "8"))


def cpu_s(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    for connections in (64, 512):
        with World() as world:
            # All of them come from one address, and at once.
            site = Site(world, config="[limits]\naddress_connections=20000\n"
                        "address_strangers=20000\naddress_rate=0\n")
            site.start()
            site.install(terms(commit=10000000, overage=0))
            join = site.token(uses=connections)
            pids = {name: site.child(name) for name in ("front", "ledger")}
            before = {name: cpu_s(pid) for name, pid in pids.items()}
            done = run(binary("tests/bench/load_bench"), "--port", site.port,
                       "--ca", site.ca, "--join", join, "--product", PRODUCT,
                       "--folder", world.path("agents"), "--connections",
                       connections, "--seconds", SECONDS, timeout=120)
            expect(done.status == 0, done.err)
            result = done.json()
            print(json.dumps(result))
            n = max(result["checkouts"], 1)
            for name, pid in pids.items():
                print("  %-7s %5.1f us of CPU a checkout" % (
                    name, (cpu_s(pid) - before[name]) * 1e6 / n))
            os.kill(pids["ledger"], signal.SIGUSR1)
            time.sleep(0.5)
            with open(world.path("site.log")) as f:
                lines = [l for l in f if "timing" in l or "decide" in l]
            for line in lines[-3:]:
                print("  " + line.strip())


if __name__ == "__main__":
    main()
