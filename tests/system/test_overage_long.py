#!/usr/bin/python3
"""An overage export of more rows than one message holds: whole, in order, and in
pieces that nobody keeps in memory."""

import csv
import io
import os
import socket
import ssl
import sys

from harness import SLOW, Site, World, expect, main, wait_for
from test_hub import order, setting, write
from test_sync_bill import today

CUSTOMERS = 3
EACH = 60
LONG = "x" * 110  # of a product's name: rows that are long make few enough
PIECE = 32 << 10


class Many:
    """A hub with licenses enough."""

    def __init__(self, world):
        self.world = world
        self.hub, self.api = setting(world)
        self.day = today()  # the same all the while
        for n in range(CUSTOMERS):
            self.customer(n)

    def customer(self, n):
        account = "ACC-%d" % (9 - n)  # not in the order of their numbers
        for i in range(EACH):
            asked = order("OPP-%d-%d" % (n, i), account, "Company %d" % n,
                          "tenant-%d" % n)
            asked["product"]["id"] = "product-%03d" % i
            asked["product"]["name"] = "%s %d" % (LONG, i)
            got = self.api.post("/api/v1/licenses/generate", asked)
            expect(got.status == 201, got)
            if i > 0:
                continue
            site = Site(self.world, "site-%d" % n)
            site.start()
            path = write(self.world, "%d.request" % n, site.request())
            done = self.hub.cli("hub", "site", "add", path, "--customer",
                                account)
            expect(done.status == 0, done.err)
            site.stop()

    def path(self, form, **query):
        query = dict({"start_date": self.day, "end_date": self.day,
                      "format": form}, **query)
        return "/api/v1/billing/overage?" + "&".join(
            "%s=%s" % pair for pair in query.items())

    def export(self, form, **query):
        got = self.api.get(self.path(form, **query))
        expect(got.status == 200, got)
        return got

    def files(self):
        """Files without a name that the hub has open."""
        n = 0
        for pid in os.listdir("/proc"):
            try:
                with open("/proc/%s/cmdline" % pid) as f:
                    if self.hub.config not in f.read().split("\0"):
                        continue
                for fd in os.listdir("/proc/%s/fd" % pid):
                    name = os.readlink("/proc/%s/fd/%s" % (pid, fd))
                    n += self.hub.state in name and "(deleted)" in name
            except (OSError, ValueError):
                pass
        return n


def rows_of(answer):
    return list(csv.reader(io.StringIO(answer.body.decode(), newline="")))


def half_of_it(many):
    """Ask for all, read some, hang up."""
    context = ssl.create_default_context(cafile=many.hub.ca)
    with socket.create_connection(("127.0.0.1", many.hub.port),
                                  timeout=60 * SLOW) as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as line:
            line.sendall(("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: "
                          "Bearer %s\r\n\r\n" % (many.path("json"),
                                                 many.api.host,
                                                 many.api.key)).encode())
            expect(b"200 OK" in line.recv(400), "it does not begin")


def a_long_export_is_whole_in_every_form():
    with World() as world:
        many = Many(world)
        got = many.export("json")
        expect(got.headers["Transfer-Encoding"] == "chunked" and
               len(got.body) > PIECE, (got.headers, len(got.body)))
        told = got.json()
        expect([one["crm_account_id"] for one in told["customers"]] ==
               ["ACC-7", "ACC-8", "ACC-9"], told["vendor_id"])
        expect(list(told)[:4] == ["vendor_id", "period",
                                  "total_overage_revenue", "currency"], told)
        for one in told["customers"]:
            names = [p["license_id"] for p in one["products"]]
            expect(len(names) == EACH and names == sorted(names), names)
        expect(many.export("json").body == got.body, "asked twice")
        rows = rows_of(many.export("csv"))
        expect(len(rows) == 1 + CUSTOMERS * EACH, len(rows))
        expect([row[0] for row in rows[1:]] == sorted(
            row[0] for row in rows[1:]), "order")
        # Customer by customer it is the same, in answers that are short.
        parts = [rows[0]]
        for account in ("ACC-7", "ACC-8", "ACC-9"):
            short = many.export("csv", customer_crm_id=account)
            expect("Transfer-Encoding" not in short.headers, short.headers)
            parts += rows_of(short)[1:]
        expect(parts == rows, "parts")
        none = many.export("json", customer_crm_id="ACC-nobody").json()
        expect(none["customers"] == [] and none["vendor_id"] == "vector",
               none)
        paper = many.export("pdf").body
        expect(paper.startswith(b"%PDF-") and b"%%EOF" in paper[-32:],
               paper[:20])
        # The connection is good for more, also after a head alone.
        head = many.api.ask("HEAD", many.path("json"))
        expect(head.status == 200 and head.body == b"", head)
        expect(many.export("json").body == got.body, "after a head")
        wait_for(lambda: many.files() == 0, "a file is left")
        # Who hangs up leaves nothing behind, and nobody else waits for him.
        for _ in range(5):
            half_of_it(many)
        wait_for(lambda: many.files() == 0, "a file is left", 60)
        expect(many.export("json").body == got.body, "after these")


if __name__ == "__main__":
    sys.exit(main([a_long_export_is_whole_in_every_form]))
