#!/usr/bin/env python3
"""Hold a seat with an API key and nothing else. Copy what you need.

    LICENSE_SERVER_URL=https://site.example:7443 LICENSE_API_KEY=clsk_... \\
        LICENSE_CA_FILE=ca.pem by_key.py PRODUCT VERSION [WAIT_SECONDS]

For programs that run where no agent does: a build, a container, a service.
What the site says is believed because TLS says that it is the site; a program
that must not be fooled by its own site's admin links libleasehold instead.
"""

import json
import os
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from typing import Any, Dict, Optional

Json = Dict[str, Any]


class Refused(Exception):
    """The site said no, and why: `code` is stable."""

    def __init__(self, status: int, problem: Json, retry_s: float) -> None:
        super().__init__("%s: %s" % (problem.get("code", status),
                                     problem.get("detail", "")))
        self.status = status
        self.code = problem.get("code", "")
        self.retry_s = retry_s  # Retry-After, or 0


class Site:
    """Questions to the site, each with the key."""

    def __init__(self, url: str, key: str, ca_file: Optional[str]) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self.context = ssl.create_default_context(cafile=ca_file)

    def ask(self, path: str, body: Json, again: str = "") -> Json:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {
                "Authorization": "Bearer " + self.key,
                "Content-Type": "application/json",
                "X-Hostname": socket.gethostname()})
        if again:
            request.add_header("Idempotency-Key", again)
        try:
            with urllib.request.urlopen(request, timeout=40,
                                        context=self.context) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise Refused(error.code, json.load(error), float(
                error.headers.get("Retry-After", "0"))) from None


class Seat:
    """A lease, renewed by a thread until it is given back."""

    def __init__(self, site: Site, product: str, version: str,
                 wait_s: int = 0) -> None:
        self.site = site
        self.lost: Optional[str] = None
        self.done = threading.Event()
        self.lease = self.take({"product": product, "version": version},
                               wait_s)
        self.id = self.lease["id"]
        self.thread = threading.Thread(target=self.keep, daemon=True)
        self.thread.start()

    def take(self, body: Json, wait_s: int) -> Json:
        """The same Idempotency-Key each time: an answer that was lost, or a
        wait that outlives one request, takes no second seat."""
        again = "by-key-%s" % uuid.uuid4()
        end = time.monotonic() + wait_s
        tries = 3
        while True:
            body["wait_s"] = max(int(end - time.monotonic()), 0)
            try:
                lease = self.site.ask("/api/v1/licenses/checkout", body, again)
            except OSError:
                tries -= 1
                if tries == 0:
                    raise
                time.sleep(1)
                continue
            if lease["status"] == "granted":
                return lease
            print("number %d of %d in the queue" % (
                lease["queue"]["place"], lease["queue"]["length"]), flush=True)

    def keep(self) -> None:
        end = time.monotonic() + self.lease["ttl_s"] + \
            self.lease.get("grace_s", 0)
        while not self.done.wait(self.lease["renew_s"]):
            asked = time.monotonic()
            try:
                self.site.ask("/api/v1/licenses/renew", {"ids": [self.id]})
                end = asked + self.lease["ttl_s"] + \
                    self.lease.get("grace_s", 0)
            except Refused as error:
                if error.status < 500 and error.status != 429:
                    self.lost = str(error)
                    return
            except OSError as error:
                if time.monotonic() > end:
                    self.lost = str(error)
                    return

    def close(self) -> None:
        self.done.set()
        self.thread.join()
        if self.lost is None:
            self.site.ask("/api/v1/licenses/return", {"id": self.id})

    def __enter__(self) -> "Seat":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def work(seat: Seat) -> None:
    for step in range(3):
        if seat.lost:
            raise RuntimeError("the seat is lost: " + seat.lost)
        print("step %d" % step, flush=True)
        time.sleep(0.1)


def main() -> int:
    product, version = sys.argv[1:3]
    wait_s = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    site = Site(os.environ["LICENSE_SERVER_URL"],
                os.environ["LICENSE_API_KEY"],
                os.environ.get("LICENSE_CA_FILE"))
    try:
        with Seat(site, product, version, wait_s) as seat:
            print("holding %s (%s), %d of %d seats are free" % (
                seat.id, seat.lease["type"], seat.lease["seats"]["free"],
                seat.lease["seats"]["total"]), flush=True)
            work(seat)
    except Refused as error:
        print("by_key.py: %s" % error, file=sys.stderr)
        return 3 if error.code in ("no_seats", "overage_exhausted") else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
