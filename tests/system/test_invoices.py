#!/usr/bin/python3
"""Invoices of a hub: one for a customer and a month, made when all of it was
reported, sent until it is taken, always the same bytes with the same id; by an admin, or by itself."""

import datetime
import json
import os
import random
import signal
import sys
import time

from api import Api
from harness import World, children, expect, main, wait_for
from receiver import Receiver, make_certificates
from test_prune import Past
from test_sync_bill import CUSTOMER, Sides, today

CONFIG = ("[alerts]\nretry_s=1\nretry_most_s=1\nattempts=2\n"
          "[courier]\nca=%s\nallow=127.0.0.0/8 ::1\ntimeout_s=30\n")
LAST_MONTH = today() - datetime.timedelta(days=today().day)
MONTH = LAST_MONTH.strftime("%Y-%m")


class Books(Sides):
    """A customer's seats were used on the last day of last month, and it is
    this month now; `told`: and its site has said so."""

    def __init__(self, world, ca, told=True):
        start = LAST_MONTH.replace(day=1)
        with Past(world, today().day):
            super().__init__(
                world, config=CONFIG % ca,
                license_id="lic-vector-mercedes-%d-001" % start.year,
                contract={"start_date": str(start),
                          "end_date": str(start + datetime.timedelta(365)),
                          "auto_renew": True, "billing_cycle": "monthly"})
            self.use(44)
            self.report()
            self.site.stop()
            self.hub.stop()
        for where, api in ((self.site, self.at_site), (self.hub, None)):
            where.start()
            # Days passed while it was off.
            home = api or Api(where, where.home_key)
            done = home.post("/api/v1/site/clock/confirm", {})
            expect(done.status == 200, done)
        if told:
            self.use(1)
            self.report()

    def channel(self, receiver, *options):
        done = self.at(self.hub, "--json", "alerts", "channel", "add",
                       "books", receiver.url(), "--takes", "invoices",
                       *options)
        return done.json()

    def make(self, status=0, *options):
        done = self.hub.cli("--json", "hub", "invoice", "make", CUSTOMER,
                            MONTH, *options)
        expect(done.status == status, (done.status, done.out, done.err))
        return done.json()

    def listed(self):
        done = self.hub.cli("--json", "hub", "invoice", "list")
        # It may be starting.
        return done.json().get("items", []) if done.status == 0 else []

    def until(self, state):
        return wait_for(lambda: [i for i in self.listed()
                                 if i["state"] == state],
                        "no invoice is " + state, timeout=30)[0]


def an_invoice_is_made_once_and_sent_to_whoever_takes_it():
    with World() as world:
        certificates = make_certificates(world)
        with Receiver(certificates) as receiver, \
                Receiver(certificates) as other:
            books = Books(world, certificates[0])
            channel = books.channel(receiver)
            books.at(books.hub, "alerts", "channel", "add", "ops",
                     other.url())
            statement = books.at_hub.get(
                "/api/v1/billing/statement?format=invoice&period=" + MONTH)
            made = books.make()
            expect(made["invoice"] == 1 and made["total"] == 27000 and
                   made["currency"] == "EUR" and made["period"] == MONTH,
                   made)
            sent = receiver.wait(1)[0]
            sent.check(channel["secret"])
            expect(sent.body == statement.body, sent.body)
            expect(sent.headers["Leasehold-Event"] == "invoice" and
                   list(sent.event) == ["source", "period", "crm_account_id",
                                        "line_items", "total", "currency"] and
                   sent.event["total"] == 27000, sent.event)
            books.until("sent")
            # The same again is the same, and goes nowhere.
            expect(books.make()["invoice"] == 1, "another one")
            # Unless that is wanted: the same bytes, by a new delivery.
            books.make(0, "--again")
            again = receiver.wait(2)[1]
            expect(again.body == sent.body and again.id != sent.id, again.body)
            books.until("sent")
            expect(len(books.listed()) == 1 and len(receiver.received) == 2,
                   books.listed())
            audit = books.at_hub.get("/api/v1/audit?result=done&"
                                     "event=billing.invoice.add").json()
            expect(audit["items"] and audit["items"][0]["actor"], audit)
            # Alerts go elsewhere, and no invoice goes there.
            expect(not other.received, other.received)


def what_is_not_over_or_not_reported_is_refused():
    with World() as world:
        certificates = make_certificates(world)
        books = Books(world, certificates[0], told=False)
        now = books.hub.cli("hub", "invoice", "make", CUSTOMER,
                            today().strftime("%Y-%m"))
        expect(now.status == 1 and "is not over" in now.err, now.err)
        early = books.hub.cli("hub", "invoice", "make", CUSTOMER, MONTH)
        expect(early.status == 1 and "reported until" in early.err and
               "--incomplete" in early.err, early.err)
        nobody = books.hub.cli("hub", "invoice", "make", "ACC-0", MONTH)
        expect(nobody.status == 1 and "ACC-0" in nobody.err, nobody.err)
        odd = books.hub.cli("hub", "invoice", "make", CUSTOMER, "2026-13")
        expect(odd.status != 0 and "period" in odd.err, odd.err)
        none = books.hub.cli("hub", "invoice", "make", CUSTOMER, "2020-01")
        expect(none.status == 1 and "nothing to pay" in none.err, none.err)
        expect(not books.listed(), books.listed())
        kept = books.make(0, "--incomplete")
        expect(kept["state"] == "kept" and kept["total"] == 27000, kept)
        # What no channel took is sent when there is one.
        with Receiver(certificates) as receiver:
            books.channel(receiver)
            books.make(0, "--again")
            receiver.wait(1)
            books.until("sent")
        # A site has no invoices to send.
        site = books.site.cli("alerts", "channel", "add", "x",
                              "https://localhost:1/", "--takes", "invoices")
        expect(site.status == 1 and "hub" in site.err, site.err)


def it_is_sent_until_it_is_taken_whatever_dies():
    with World() as world:
        certificates = make_certificates(world)
        with Receiver(certificates) as receiver:
            receiver.behave = "error"
            books = Books(world, certificates[0])
            books.channel(receiver)
            made = books.make()
            # More often than alerts are tried at all.
            receiver.wait(3)
            waiting = books.until("waiting")
            expect(waiting["invoice"] == made["invoice"], waiting)
            for victim in ("ledger", "courier"):
                before = books.hub.child(victim)
                os.kill(before, signal.SIGKILL)
                wait_for(lambda v=victim, b=before: children(
                    books.hub.process.pid).get(v, [b]) != [b],
                         "no new " + victim, timeout=30)
                wait_for(books.listed, "no answer", timeout=30)
            tried = len(receiver.received)
            receiver.wait(tried + 1)
            outbox = books.hub.cli("--json", "outbox", "list").json()
            expect([(d["of"], d["invoice"], d["state"])
                    for d in outbox["items"]] == [("invoices", 1, "waits")],
                   outbox)
            receiver.behave = "ok"
            books.until("sent")
            expect(len({one.id for one in receiver.received}) == 1 and
                   len({one.body for one in receiver.received}) == 1,
                   [one.id for one in receiver.received])
            body = json.loads(receiver.received[-1].body)
            expect(body["crm_account_id"] == CUSTOMER, body)
            # What arrived is not sent again by a start.
            books.hub.stop()
            came = len(receiver.received)
            books.hub.start()
            wait_for(books.listed, "no answer", timeout=30)
            expect(books.listed()[0]["state"] == "sent" and
                   len(receiver.received) == came, books.listed())


ITSELF = "[billing]\ninvoice_day=3\ninvoice_from=%s\n" % MONTH


class ByItself(Sides):
    """A hub that makes its invoices on the third; a customer's seats were used
    on the last day of last month."""

    def __init__(self, world, config=""):
        start = LAST_MONTH.replace(day=1)
        with self.day(world, 0):
            super().__init__(
                world, config=ITSELF + config,
                license_id="lic-vector-mercedes-%d-001" % start.year,
                contract={"start_date": str(start),
                          "end_date": str(start + datetime.timedelta(365)),
                          "auto_renew": True, "billing_cycle": "monthly"})
            self.use(44)
            self.report()
            self.site.stop()
            self.hub.stop()

    @staticmethod
    def day(world, day):
        """What is started within has that day of this month."""
        return Past(world, today().day - day)

    def go_on(self, *sites, late=0):
        for where in sites:
            where.start()
            time.sleep(late)
            home = self.at_site if where is self.site else Api(
                where, where.home_key)
            done = home.post("/api/v1/site/clock/confirm", {})
            expect(done.status in (200, 409), done)  # 409: it is that day

    def tell(self):
        self.use(1)
        self.report()

    def listed(self):
        done = self.hub.cli("--json", "hub", "invoice", "list")
        return done.json().get("items", []) if done.status == 0 else []

    def look(self):
        """It looks when it starts, when a day begins, and once an hour."""
        self.hub.kill()
        self.hub.start()


def an_invoice_makes_itself_on_its_day_once_whatever_dies():
    with World() as world:
        certificates = make_certificates(world)
        books = ByItself(world, CONFIG % certificates[0])
        with Receiver(certificates) as receiver:
            with books.day(world, 2):
                books.go_on(books.hub, books.site)
                done = books.at(books.hub, "--json", "alerts", "channel",
                                "add", "books", receiver.url(), "--takes",
                                "invoices")
                expect(done.json()["channel"] == 1, done.out)
                books.tell()
                books.look()
                time.sleep(3)
                expect(not books.listed(), "it is the second only")
                books.site.stop()
                books.hub.stop()
            with books.day(world, 3):
                books.go_on(books.hub)
                time.sleep(2)  # the clock's word is on the disk
                dice = random.Random(3)
                for _ in range(4):
                    books.look()
                    time.sleep(dice.random() / 4)
                made = wait_for(books.listed, "no invoice", timeout=30)
                expect(len(made) == 1 and made[0]["total"] == 27000 and
                       made[0]["period"] == MONTH and
                       made[0]["customer_crm_id"] == CUSTOMER, made)
                for _ in range(2):
                    books.look()
                    time.sleep(1)
                expect([(one["invoice"], one["state"])
                        for one in books.listed()] == [(1, "waiting")],
                       books.listed())
                books.hub.stop()
            # The certificate of who takes it is good by now.
            books.go_on(books.hub)
            wait_for(lambda: books.listed()[0]["state"] == "sent",
                     "it does not arrive", timeout=30)
            bodies = {one.body for one in receiver.received}
            expect(len({one.id for one in receiver.received}) == 1 and
                   len(bodies) == 1, receiver.received)
            # It is the one that an admin would have made.
            statement = books.at_hub.get(
                "/api/v1/billing/statement?format=invoice&period=" + MONTH)
            expect(bodies == {statement.body}, statement.body)
            again = books.at(books.hub, "--json", "hub", "invoice", "make",
                             CUSTOMER, MONTH)
            expect(again.json()["invoice"] == 1 and
                   len(books.listed()) == 1, again.out)


def what_a_site_has_not_reported_is_not_invoiced_by_itself():
    with World() as world:
        books = ByItself(world)
        with books.day(world, 3):
            # It looked before an admin confirmed that it is the third: at
            # its start, or ten seconds later if its metering was behind.
            books.go_on(books.hub, late=12)
            wait_for(lambda: "wait for reports" in books.hub.log(),
                     "nobody says why", timeout=30)
            expect(not books.listed(), books.listed())
            books.go_on(books.site)
            books.tell()
            time.sleep(2)  # the clock's word is on the disk
            books.look()
            made = wait_for(books.listed, "no invoice", timeout=30)
            expect([(one["period"], one["total"]) for one in made] ==
                   [(MONTH, 27000)], made)


def what_may_have_been_sent_before_a_store_was_put_back_is_left_to_people():
    with World() as world:
        books = ByItself(world)
        with books.day(world, 2):
            books.go_on(books.hub, books.site)
            books.tell()
            books.site.stop()
            books.hub.stop()
        copy = books.hub.snapshot()
        with books.day(world, 3):
            books.go_on(books.hub)
            time.sleep(2)  # the clock's word is on the disk
            books.look()
            wait_for(books.listed, "no invoice", timeout=30)
            books.hub.stop()
        books.hub.put_back(copy)
        with books.day(world, 3):
            books.hub.start()
            expect(books.hub.ready()["rolled_back"], books.hub.ready())
            home = Api(books.hub, books.hub.home_key)
            # Its front hears of it later than who asks beside it.
            wait_for(lambda: home.get("/api/v1/site").status == 200,
                     "it does not start")
            done = home.post("/api/v1/site/rollback/acknowledge",
                             {"reason": "the disk failed"})
            expect(done.status == 200, done)
            wait_for(lambda: home.post("/api/v1/site/clock/confirm",
                                       {}).status == 200, "the clock")
            time.sleep(2)  # the clock's word is on the disk
            books.look()
            wait_for(lambda: "before its store was put back" in
                     books.hub.log(), "nobody says why", timeout=30)
            expect(not books.listed(), books.listed())
            done = books.at(books.hub, "--json", "hub", "invoice", "make",
                            CUSTOMER, MONTH)
            expect(done.json()["total"] == 27000, done.out)


if __name__ == "__main__":
    sys.exit(main([
        an_invoice_is_made_once_and_sent_to_whoever_takes_it,
        what_is_not_over_or_not_reported_is_refused,
        it_is_sent_until_it_is_taken_whatever_dies,
        an_invoice_makes_itself_on_its_day_once_whatever_dies,
        what_a_site_has_not_reported_is_not_invoiced_by_itself,
        what_may_have_been_sent_before_a_store_was_put_back_is_left_to_people,
    ], together=True))
