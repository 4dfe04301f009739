#!/usr/bin/python3
"""What a hub tells a CRM: each change of a license, usage beyond its seats and
each invoice, with its row or not at all, until it is taken, in order."""

import datetime
import http.client
import os
import random
import signal
import sys
import time

from harness import Site, World, expect, main, wait_for
from receiver import Receiver, make_certificates
from test_hub import order, setting, write
from test_invoices import CONFIG, MONTH, Books
from test_sync_bill import CUSTOMER, Sides, ids, today


def crm(hub, receiver, name="crm"):
    done = hub.cli("--json", "alerts", "channel", "add", name, receiver.url(),
                   "--takes", "crm")
    expect(done.status == 0, done.err)
    return done.json()


def told(received, customer=CUSTOMER):
    """Each event of a customer once, in the order in which they came first; an
    event has one body."""
    bodies = {}
    for one in received:
        event = one.event
        expect(one.headers["Leasehold-Event"] == event["event"], event)
        expect(bodies.setdefault(event["id"], one.body) == one.body,
               "an id with two bodies: %r" % event)
    seen, out = set(), []
    for one in received:
        if one.event["crm_account_id"] == customer and \
                one.event["id"] not in seen:
            seen.add(one.event["id"])
            out.append(one.event)
    return out


def names(events):
    return [event["event"] for event in events]


def each_change_of_a_license_is_told_in_order():
    with World() as world:
        certificates = make_certificates(world)
        with Receiver(certificates) as receiver, \
                Receiver(certificates) as other:
            sides = Sides(world, config=CONFIG % certificates[0])
            secret = crm(sides.hub, receiver)["secret"]
            crm(sides.hub, other, "second")
            # What came before the channel is not told.
            sides.use(3)
            sides.report()
            received = receiver.wait(2)
            received[0].check(secret)
            events = told(received)
            expect(names(events) == ["license.activated", "license.overage"],
                   names(events))
            first = events[0]
            expect(first["source"] == "leasehold" and
                   first["vendor_id"] == "vector" and
                   first["crm_account_id"] == CUSTOMER and
                   first["platform_customer_id"] == "CUST-00001" and
                   first["customer_name"] == "Mercedes-Benz AG" and
                   first["sequence"] > 0 and first["at"].endswith("Z"), first)
            license = first["license"]
            expect(license["license_id"] == ids() and
                   license["crm_opportunity_id"] == "OPP-1" and
                   license["product"]["name"] == "DaVinci Configurator SE" and
                   license["status"] == "provisioned" and
                   license["serial"] == 1 and license["issued_at"], license)
            expect(events[1]["overage"] == {
                "site": license["site"], "report": 1, "seats": 3}, events[1])
            # Usage without overage is no news; nor is a report twice.
            sides.use(0)
            _, path = sides.report()
            sides.take(path)
            for what in ("suspend", "suspend", "resume"):
                sides.at(sides.hub, "hub", "license", what, ids())
            until = str(today() + datetime.timedelta(days=700))
            sides.at(sides.hub, "hub", "license", "renew", ids(), "--until",
                     until)
            # The site has the new serial with the receipt: said once more.
            sides.report()
            sides.report()
            sides.use(1)
            sides.report()
            sides.at(sides.hub, "hub", "license", "cancel", ids(), "--reason",
                     "Anna said so")
            made = sides.at_hub.post("/api/v1/licenses/generate",
                                     order("OPP-2", commit=1))
            expect(made.status == 201, made)
            # Its contract is over: the hub looks when it starts.
            past = order("OPP-3", commit=1, end=today() - datetime.timedelta(
                days=1))
            past["contract"]["auto_renew"] = False
            made = sides.at_hub.post("/api/v1/licenses/generate", past)
            expect(made.status == 201, made)
            receiver.wait(12)
            sides.hub.kill()
            sides.hub.start()
            expected = [
                ("license.activated", "OPP-1", "provisioned"),
                ("license.overage", "OPP-1", "provisioned"),
                ("license.suspended", "OPP-1", "suspended"),
                ("license.resumed", "OPP-1", "provisioned"),
                ("license.renewed", "OPP-1", "provisioned"),
                ("license.activated", "OPP-1", "provisioned"),
                ("license.overage", "OPP-1", "provisioned"),
                ("license.cancelled", "OPP-1", "cancelled"),
                ("license.generated", "OPP-2", "awaiting_site"),
                ("license.provisioned", "OPP-2", "provisioned"),
                ("license.generated", "OPP-3", "awaiting_site"),
                ("license.provisioned", "OPP-3", "expired"),
                ("license.expired", "OPP-3", "expired")]
            wait_for(lambda: len(told(receiver.received)) >= len(expected),
                     "not all events", timeout=30)
            wait_for(lambda: len(told(other.received)) >= len(expected),
                     "not all events at the second", timeout=30)
            events = told(receiver.received)
            expect([(e["event"], e["license"]["crm_opportunity_id"],
                     e["license"]["status"]) for e in events] == expected,
                   [(e["event"], e["license"]["crm_opportunity_id"],
                     e["license"]["status"]) for e in events])
            expect([e["license"]["serial"] for e in events[4:6]] == [2, 2],
                   events[4:6])
            expect(events[-1].get("automatic") is True and
                   "automatic" not in events[-2], events[-2:])
            numbers = [event["sequence"] for event in events]
            expect(numbers == sorted(numbers), numbers)
            # The same events, by deliveries of their own; no person in one.
            expect([e["id"] for e in told(other.received)] ==
                   [e["id"] for e in events], "other ids")
            expect(not {one.id for one in receiver.received} &
                   {one.id for one in other.received}, "one delivery for two")
            for one in receiver.received:
                expect(b"Anna" not in one.body and b"@" not in one.body,
                       one.body)
            # It is known to be over: the next start does not say it again.
            sides.hub.stop()
            came = len(told(receiver.received))
            sides.hub.start()
            time.sleep(3)
            expect(len(told(receiver.received)) == came, "said again")


def an_invoice_is_news_too():
    with World() as world:
        certificates = make_certificates(world)
        with Receiver(certificates) as receiver, \
                Receiver(certificates) as mill:
            books = Books(world, certificates[0])
            books.channel(mill)
            mill.behave = "error"
            crm(books.hub, receiver)
            made = books.make()
            event = told(receiver.wait(1))[0]
            expect(event["event"] == "invoice.made" and
                   event["crm_account_id"] == CUSTOMER and
                   event["invoice"] == {
                       "invoice": made["invoice"], "period": MONTH,
                       "total": 27000, "currency": "EUR"} and
                   "license" not in event, event)
            # That the books are closed is no matter of the CRM's, nor what
            # waits for a CRM one of the invoice's.
            mill.wait(2)
            mill.behave = "ok"
            receiver.behave = "error"
            books.at(books.hub, "hub", "license", "suspend",
                     "lic-vector-mercedes-%s-001" % MONTH[:4])
            receiver.wait(2)
            books.until("sent")


def a_crm_that_hangs_leaves_room_for_others():
    with World() as world:
        certificates = make_certificates(world)
        with Receiver(certificates) as receiver, \
                Receiver(certificates) as mill:
            books = Books(world, certificates[0])
            crm(books.hub, receiver)
            books.channel(mill)
            receiver.behave = "hang"
            # More customers than there are places, each with news.
            for i in range(20):
                made = books.at_hub.post("/api/v1/licenses/generate", order(
                    "OPP-X%d" % i, "ACC-X%d" % i, "Company", "x%d" % i))
                expect(made.status == 201, made)
            receiver.wait(2)
            start = time.monotonic()
            books.make()
            mill.wait(1)
            # Far less than it takes to give up on one that hangs.
            expect(time.monotonic() - start < 15, "the books had to wait")
            books.until("sent")
            expect(len(receiver.received) == 2, len(receiver.received))


CUSTOMERS = 3
ROUNDS = 3


class Deals:
    """Customers with a site each, and what is done for them, whatever dies:
    who gets no answer asks again."""

    def __init__(self, world, hub, api):
        self.hub, self.api = hub, api
        self.expected = {}
        for i in range(CUSTOMERS):
            account = "ACC-%d" % i
            self.expected[account] = []
            self.ask("/api/v1/customers", {
                "crm_account_id": account, "name": "Company %d" % i},
                done=(201, 409))
            request = write(world, account + ".request",
                            Site(world, "site-%d" % i).request())
            bound = hub.cli("hub", "site", "add", request, "--customer",
                            account)
            expect(bound.status == 0, bound.err)

    def ask(self, path, body, done=(200, 201)):
        end = time.monotonic() + 60
        while True:
            try:
                answer = self.api.post(path, body)
                if answer.status in done:
                    return answer.json()
                expect(answer.status in (500, 502, 503, 504), answer)
            except (http.client.HTTPException, OSError):
                self.api.close()
            expect(time.monotonic() < end, "no answer to " + path)
            time.sleep(0.05)

    def deal(self, account, number):
        opportunity = "%s-%d" % (account, number)
        wanted = order(opportunity, commit=1)
        wanted["customer"] = {"crm_account_id": account}
        made = self.ask("/api/v1/licenses/generate", wanted)
        path = "/api/v1/hub/licenses/%s/" % made["license_id"]
        self.ask(path + "suspend", {})
        self.ask(path + "resume", {})
        self.ask(path + "renew", {"end_date": str(
            today() + datetime.timedelta(days=800))})
        self.ask(path + "cancel", {})
        self.expected[account] += [(what, opportunity) for what in (
            "license.generated", "license.provisioned", "license.suspended",
            "license.resumed", "license.renewed", "license.cancelled")]


def everything_arrives_in_order_whatever_dies():
    with World() as world:
        certificates = make_certificates(world)
        dice = random.Random(20261123)
        receiver = Receiver(certificates)
        receivers = [receiver]
        hub, api = setting(world, config=CONFIG % certificates[0])
        try:
            deals = Deals(world, hub, api)
            crm(hub, receiver)
            for i in range(ROUNDS):
                for account in deals.expected:
                    receiver.behave = dice.choice(("ok", "error", "hang"))
                    deals.deal(account, i)
                    if dice.random() < 0.5:
                        # It takes what comes, and dies before it answers.
                        receiver.behave = "hang"
                        time.sleep(dice.random())
                        port = receiver.port
                        receiver.__exit__()
                        time.sleep(dice.random())
                        receiver = Receiver(certificates, port)
                        receivers.append(receiver)
                    victim = dice.choice(("hub", "ledger", "courier", None))
                    if victim == "hub":
                        hub.kill()
                        hub.start()
                    elif victim is not None:
                        os.kill(hub.child(victim), signal.SIGKILL)
            receiver.behave = "error"
            tried = len(receiver.received)
            receiver.wait(tried + 1)
            # Granting went on meanwhile; what waits is told of.
            outbox = wait_for(lambda: hub.cli(
                "--json", "outbox", "list").json().get("items"),
                "nothing waits", timeout=30)
            expect({(d["of"], d["state"]) for d in outbox} ==
                   {("crm", "waits")} and outbox[0]["news"].startswith(
                       "license."), outbox)
            shown = hub.cli("outbox", "list")
            expect("CUST-0000" in shown.out and "license." in shown.out,
                   shown.out)
            # It dies with all that waits, and is looked at by nobody after.
            hub.kill()
            hub.start()
            receiver.behave = "ok"
            total = sum(len(each) for each in deals.expected.values())

            def received():
                return [one for each in receivers
                        for one in list(each.received)]

            wait_for(lambda: len({one.event["id"] for one in received()}) >=
                     total, "not all events", timeout=60)
            wait_for(lambda: hub.cli("--json", "outbox", "list").json()
                     ["waiting"] == 0, "something still waits", timeout=60)
            for account, expected in deals.expected.items():
                found = [(event["event"],
                          event["license"]["crm_opportunity_id"])
                         for event in told(received(), account)]
                expect(found == expected, (account, found, expected))
        finally:
            receiver.__exit__()


def what_waits_goes_with_its_channel():
    with World() as world:
        certificates = make_certificates(world)
        with Receiver(certificates) as receiver:
            receiver.behave = "error"
            hub, api = setting(world, config=CONFIG % certificates[0])
            channel = crm(hub, receiver)["channel"]
            for i in range(4):
                made = api.post("/api/v1/licenses/generate",
                                order("OPP-%d" % i))
                expect(made.status == 201, made)
            # Tried more often than alerts are at all, in order: the first.
            receiver.wait(4)
            expect(len({one.id for one in receiver.received}) == 1,
                   [one.event for one in receiver.received])
            items = hub.cli("--json", "outbox", "list").json()["items"]
            expect(len(items) == 4, items)
            done = hub.cli("outbox", "drop", items[0]["delivery"])
            expect(done.status == 0, done.err)
            wait_for(lambda: len({one.id for one in receiver.received}) == 2,
                     "the next one does not come", timeout=30)
            done = hub.cli("alerts", "channel", "remove",
                           "channel-%d" % channel)
            expect(done.status == 0, done.err)
            left = hub.cli("--json", "outbox", "list").json()
            expect(left["waiting"] == 0 and not left.get("items"), left)
            # Nobody is told: nothing is owed, and all goes on.
            made = api.post("/api/v1/licenses/generate", order("OPP-9"))
            expect(made.status == 201, made)
            left = hub.cli("--json", "outbox", "list").json()
            expect(left["waiting"] == 0, left)


if __name__ == "__main__":
    sys.exit(main([
        each_change_of_a_license_is_told_in_order,
        an_invoice_is_news_too,
        a_crm_that_hangs_leaves_room_for_others,
        everything_arrives_in_order_whatever_dies,
        what_waits_goes_with_its_channel,
    ], together=True))
