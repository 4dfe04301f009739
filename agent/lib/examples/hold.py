#!/usr/bin/env python3
"""Hold a seat while a program works. Copy what you need.

    hold.py VENDOR_KEY PRODUCT VERSION [WAIT_SECONDS]

In a real program the vendor's key is a constant in the source: whoever can
choose the key chooses whom to believe.
"""

import sys
import time

from leasehold import (Lease, LicenseClient, LicenseError,
                       LicenseUnavailableError)


def work(lease: Lease) -> None:
    """Look at the lease as often as you like: it is no system call."""
    for step in range(3):
        if not lease.valid:
            raise lease.lost or LicenseError(0, "the license is lost")
        print("step %d, %.0f s left" % (
            step, lease.time_left.total_seconds()), flush=True)
        time.sleep(0.1)


def show_place(place: int, length: int) -> None:
    if place:
        print("number %d of %d in the queue" % (place, length), flush=True)


def main() -> int:
    key, product, version = sys.argv[1:4]
    wait = float(sys.argv[4]) if len(sys.argv) > 4 else 0
    try:
        with LicenseClient(key, product=product, version=version) as client:
            with client.checkout(wait=wait, on_waiting=show_place) as lease:
                print("holding lease %d (%s)" % (lease.id, lease.type))
                work(lease)
    except LicenseUnavailableError as error:
        print("no seat: %s" % error, file=sys.stderr)
        return 3
    except LicenseError as error:
        print("hold.py: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
