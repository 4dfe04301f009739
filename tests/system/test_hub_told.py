#!/usr/bin/python3
"""What a hub says of a customer's tenant and of who was told: where it is, as
the vendor said it, and a mail only when the mail server took it."""

import os
import socket
import sys

from harness import Site, World, expect, main
from receiver import make_certificates
from test_hub import Hub, ids, order, write
from test_mail import MailServer, mail_config

CUSTOMER = "ACC-98765"
URL = "https://mercedes.plant.example:8443/t/mercedes"
PATH = "/api/v1/licenses/provision"


def opened(world, config=""):
    hub = Hub(world, config=config)
    hub.start()
    api = hub.account("vector")
    hub.vouch(world)
    made = api.ask("POST", "/api/v1/licenses/generate",
                   order(provision=False))
    expect(made.status == 201, made)
    return hub, api


def bind(world, hub):
    request = write(world, "r.request", Site(world).request())
    done = hub.cli("hub", "site", "add", request, "--customer", CUSTOMER)
    expect(done.status == 0, done.err)


def provision(api, email=None, message=None, headers=None):
    body = {"license_id": ids(), "customer": {"crm_account_id": CUSTOMER}}
    if email:
        body["notification"] = {"email": email}
        if message:
            body["notification"]["message"] = message
    return api.ask("POST", PATH, body, headers=headers)


def a_tenants_address_is_told_to_who_looks_for_it():
    with World() as world:
        hub, api = opened(world)
        search = "/api/v1/customers/search?"
        found = api.get(search + "crm_account_id=" + CUSTOMER).json()
        expect("tenant_url" not in found["customer"], found)
        for bad in ("http://plant.example", "https://", "https:///x",
                    "https://a b.example", "https://a.example/\"x",
                    "https://me@a.example", "https://m\u00fcller.example"):
            done = api.ask("PUT", "/api/v1/customers/" + CUSTOMER,
                           {"name": "Mercedes-Benz AG", "tenant_url": bad})
            expect(done.status == 400 and
                   done.json()["field"] == "tenant_url", (bad, done))
        done = hub.cli("hub", "customer", "set", CUSTOMER, "--url", URL)
        expect(done.status == 0 and URL in done.out, (done.out, done.err))
        # What is not said stays.
        done = hub.cli("hub", "customer", "set", CUSTOMER, "--plan", "free")
        expect(done.status == 0 and URL in done.out, (done.out, done.err))
        for _ in range(2):
            for query in ("crm_account_id=" + CUSTOMER, "tenant_id=mercedes",
                          "name=benz"):
                found = api.get(search + query).json()
                expect(found["customer"]["tenant_url"] == URL, found)
            done = hub.cli("hub", "customer", "find", "benz")
            expect(URL in done.out, done.out)
            done = provision(api)
            expect(done.status == 200 and done.json()["tenant_url"] == URL and
                   done.json()["customer_notified"] is False, done)
            hub.stop()
            hub.start()
        # It names a host: it lies sealed.
        hub.stop()
        for folder, _, names in os.walk(hub.state):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    expect(b"mercedes.plant" not in file.read(), name)
        hub.start()
        # Who is erased takes nothing but himself along.
        done = hub.cli("--json", "person", "erase",
                       "licenses@mercedes.example")
        expect(done.status == 0, done.err)
        shown = api.get("/api/v1/customers/" + CUSTOMER).json()
        expect(shown["tenant_url"] == URL and "contact_email" not in shown,
               shown)
        # All of a customer as it is to be: what is left out is taken away.
        done = api.ask("PUT", "/api/v1/customers/" + CUSTOMER,
                       {"name": "Mercedes-Benz AG", "tenant_id": "mercedes"})
        expect(done.status == 200 and "tenant_url" not in done.json(), done)
        expect("tenant_url" not in provision(api).json(), "still there")
        hub.verify()


def who_is_told_is_told_by_a_mail_that_was_taken():
    with World() as world:
        certificates = make_certificates(world)
        server = MailServer(certificates)
        server.start()
        try:
            hub, api = opened(world, mail_config(world, certificates,
                                                 server.port))
            hub.cli("hub", "customer", "set", CUSTOMER, "--url", URL)
            done = provision(api, "not an address")
            expect(done.status == 400 and
                   done.json()["field"] == "notification.email", done)
            # Its site is not there: he hears that.
            done = provision(api, "it@mercedes.example", "Guten Tag, Zo\u00eb")
            expect(done.json() == {"status": "awaiting_site",
                                   "tenant_url": URL,
                                   "customer_notified": True}, done)
            to, mail = server.mails[0]
            text = mail.get_content()
            expect(to == ["it@mercedes.example"] and
                   mail["Subject"] == "License " + ids() and
                   text.startswith("Guten Tag, Zo\u00eb") and
                   "leasehold site request" in text and URL in text,
                   (to, mail, text))
            bind(world, hub)
            # The server is away: the license is issued, and nobody was told.
            server.closed = True
            key = {"Idempotency-Key": "a-provision-of-the-crm"}
            done = provision(api, "it@mercedes.example", headers=key)
            expect(done.status == 200 and
                   done.json()["status"] == "provisioned" and
                   done.json()["customer_notified"] is False, done)
            server.closed = False
            expect(len(server.mails) == 1, server.mails)
            # A repeat of that very call is its answer; another call tells him.
            again = provision(api, "it@mercedes.example", headers=key)
            expect(again.json() == done.json() and len(server.mails) == 1,
                   again)
            done = hub.cli("hub", "license", "provision", ids(), "--notify",
                           "it@mercedes.example", "--message", "Hello.")
            expect(done.status == 0 and
                   "told      it@mercedes.example" in done.out,
                   (done.out, done.err))
            expect("leasehold license install" in
                   server.mails[1][1].get_content(), server.mails[1])
            # With a key the answer that is kept says that he was told.
            key = {"Idempotency-Key": "another-one-of-the-crm"}
            for _ in range(2):
                done = provision(api, "it@mercedes.example", "Hello.", key)
                expect(done.json()["customer_notified"] is True, done)
                expect(len(server.mails) == 3, server.mails)
            # Twice the same words: the same id.
            expect(server.mails[1][1]["Message-ID"] ==
                   server.mails[2][1]["Message-ID"] !=
                   server.mails[0][1]["Message-ID"], server.mails)
        finally:
            server.stop()


def without_a_mail_server_nobody_was_told():
    with World() as world:
        hub, api = opened(world)
        bind(world, hub)
        done = provision(api, "it@mercedes.example")
        expect(done.status == 200 and
               done.json()["status"] == "provisioned" and
               done.json()["customer_notified"] is False, done)
        done = hub.cli("hub", "license", "provision", ids(), "--notify",
                       "it@mercedes.example")
        expect(done.status == 0 and "nobody was told" in done.err, done)
        done = hub.cli("hub", "license", "provision", ids(), "--message", "x")
        expect(done.status == 2 and "--notify" in done.err, done)


def a_mail_server_that_hangs_holds_up_no_license():
    """It takes the connection and says nothing, for as long as one asks."""
    with World() as world, socket.create_server(("127.0.0.1", 0)) as silent:
        hub, api = opened(world, mail_config(
            world, make_certificates(world), silent.getsockname()[1]) +
            "[courier]\ntimeout_s=2\n")
        bind(world, hub)
        done = provision(api, "it@mercedes.example")
        expect(done.status == 200 and
               done.json()["status"] == "provisioned" and
               done.json()["customer_notified"] is False, done)
        # It was tried, and what was committed does not hang on it.
        silent.settimeout(30)
        silent.accept()[0].close()
        hub.kill()
        hub.start()
        shown = api.get("/api/v1/hub/licenses/" + ids()).json()
        expect(shown["status"] == "provisioned", shown)


if __name__ == "__main__":
    sys.exit(main([
        a_tenants_address_is_told_to_who_looks_for_it,
        who_is_told_is_told_by_a_mail_that_was_taken,
        without_a_mail_server_nobody_was_told,
        a_mail_server_that_hangs_holds_up_no_license,
    ], together=True))
