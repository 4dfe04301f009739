#!/usr/bin/python3
"""The appliance's image: what is in it, and what a box of it does and refuses.

    tests/image/test_image.py build/image [TEST...]

Boxes are qemu with OVMF and swtpm; without KVM a start takes 20 s to a minute.
"""

import os
import signal
import sys
import time

from lab import Images

from contents import STATIC
from full import FULL
from harness import run_test
from inside import INSIDE
from life import LIFE
from plant import plant
from refusals import REFUSALS


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    plant.images = Images(os.path.abspath(sys.argv[1]))
    only = sys.argv[2:]
    # Ended from outside, it takes its boxes along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        return run_all(only)
    finally:
        if plant.world is not None:
            plant.world.__exit__(None, None, None)


def run_all(only):
    passed = failed = 0
    began = time.monotonic()
    for test in STATIC + LIFE + REFUSALS + FULL + INSIDE:
        if only and test.__name__ not in only:
            continue
        if run_test(test):
            failed += 1
        else:
            passed += 1
        # No more of them at once than one, also after a failure.
        if test not in INSIDE or test is INSIDE[-1]:
            for box in plant.others:
                box.cut()
        if plant.world is not None and test is LIFE[-1]:
            plant.box.cut()
    if failed and plant.world is not None:
        plant.world.show_logs()
    plant.measured["all tests, s"] = round(time.monotonic() - began)
    for what, value in plant.measured.items():
        print("measured: %s: %s" % (what, value))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
