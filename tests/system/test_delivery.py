#!/usr/bin/python3
"""Alerts on their way: signed webhooks from a durable outbox, whatever dies
and whatever the receiver does; mail; the system's log."""

import os
import signal
import sys

from api import Api
from harness import Site, World, children, expect, main, wait_for
from receiver import Receiver, make_certificates

FAST = "[alerts]\nretry_s=1\nretry_most_s=1\nattempts=%d\n"
ALLOW = "[courier]\nca=%s\nallow=127.0.0.0/8 ::1\ntimeout_s=%d\n"


def make_site(world, ca, attempts=1000, timeout_s=30, more="", allow=ALLOW):
    site = Site(world, config=FAST % attempts + allow % (ca, timeout_s) + more)
    site.start()
    return site


def add(site, *where):
    done = site.cli("--json", "alerts", "channel", "add", "ops", *where)
    expect(done.status == 0, done.err)
    return done.json()


def make_key(api):
    made = api.ask("POST", "/api/v1/keys/generate",
                   {"app_name": "Configurator", "app_type": "ci_cd",
                    "scopes": ["admin:read"]})
    expect(made.status == 201, made)
    key = made.json()
    done = api.ask("POST", "/api/v1/keys/%s/restrictions" % key["key_id"],
                   {"allowed_ip_ranges": ["192.0.2.0/24"]})
    expect(done.status == 200, done)
    return key


def misuse(api, key):
    refused = api.get("/api/v1/site", key=key["api_key"])
    expect(refused.code == "ip_not_allowed", refused)


def outbox(site, *options):
    done = site.cli("--json", "outbox", "list", *options)
    return done.json() if done.status == 0 else None  # it may be starting


def wait_empty(site):
    wait_for(lambda: outbox(site) is not None and
             outbox(site)["waiting"] == 0, "something waits", timeout=30)


def a_webhook_is_signed_and_each_alert_comes_once_and_in_order():
    with World() as world:
        certificates = make_certificates(world)
        with Receiver(certificates) as receiver:
            site = make_site(world, certificates[0])
            channel = add(site, receiver.url())
            expect(channel["secret"].startswith("whsec_"), channel)
            api = Api(site)
            keys = [make_key(api) for _ in range(3)]
            for key in keys:
                misuse(api, key)
            receiver.wait(3)
            for key in keys:
                done = site.cli("key", "revoke", key["key_id"])
                expect(done.status == 0, done.err)
            receiver.wait(6)
            wait_empty(site)
            expect(len(receiver.received) == 6, receiver.told())
            for one in receiver.received:
                one.check(channel["secret"])
                expect(one.event["tenant"] == "default" and
                       one.event["alert"]["address"] == "127.0.0.1", one.body)
            for key in keys:
                expect([event for event, _, about in receiver.told()
                        if about == key["key_id"]] ==
                       ["alert.opened", "alert.closed"], receiver.told())
            listed = site.cli("alerts", "channel", "list")
            expect(listed.status == 0 and receiver.url() in listed.out and
                   "whsec" not in listed.out, listed.out)


def a_test_goes_to_its_channel_alone():
    with World() as world:
        certificates = make_certificates(world)
        with Receiver(certificates) as first, \
                Receiver(certificates) as second:
            site = make_site(world, certificates[0])
            add(site, first.url())
            two = add(site, second.url(), "--least", "critical")
            done = site.cli("alerts", "channel", "test", str(two["channel"]))
            expect(done.status == 0, done.err)
            second.wait(2)
            wait_empty(site)
            expect(first.received == [], first.told())
            expect([told[:2] for told in second.told()] ==
                   [("alert.opened", "test"), ("alert.closed", "test")],
                   second.told())
            # A warning is not bad enough for the second.
            api = Api(site)
            misuse(api, make_key(api))
            first.wait(1)
            wait_empty(site)
            expect(len(second.received) == 2, second.told())
            done = site.cli("alerts", "channel", "remove",
                            str(two["channel"]))
            expect(done.status == 0, done.err)
            gone = site.cli("alerts", "channel", "test", str(two["channel"]))
            expect(gone.status != 0 and "no channel-2" in gone.err, gone.err)


def nothing_is_lost_when_courier_and_ledger_are_killed():
    with World() as world:
        certificates = make_certificates(world)
        with Receiver(certificates) as receiver:
            receiver.behave = "error"
            site = make_site(world, certificates[0])
            add(site, receiver.url())
            api = Api(site)
            keys = [make_key(api) for _ in range(4)]
            for key in keys:
                misuse(api, key)
            receiver.wait(4)
            for victim in ("courier", "ledger", "courier"):
                before = site.child(victim)
                os.kill(before, signal.SIGKILL)
                wait_for(lambda v=victim, b=before: children(
                    site.process.pid).get(v, [b]) != [b], "no new " + victim,
                         timeout=30)
                wait_for(lambda: outbox(site) is not None, "no answer",
                         timeout=30)
            for key in keys[:2]:
                done = site.cli("key", "revoke", key["key_id"])
                expect(done.status == 0, done.err)
            refused = len(receiver.received)
            receiver.wait(refused + 1)
            receiver.behave = "ok"
            wait_empty(site)
            told = receiver.told()
            for i, key in enumerate(keys):
                expect([event for event, _, about in told
                        if about == key["key_id"]] ==
                       ["alert.opened", "alert.closed"][:2 if i < 2 else 1],
                       told)
            expect(len(told) == 6, told)


def a_receiver_that_misbehaves_harms_nothing():
    with World() as world:
        certificates = make_certificates(world)
        with Receiver(certificates) as good, Receiver(certificates) as bad:
            site = make_site(world, certificates[0], attempts=2, timeout_s=4)
            add(site, bad.url())
            add(site, good.url())
            api = Api(site)
            for behave, words in (("redirect", "redirects are not"),
                                  ("hang", "imeout"), ("error", "500")):
                bad.behave = behave
                came = len(good.received)
                misuse(api, make_key(api))
                # The others get theirs meanwhile.
                good.wait(came + 1)
                dead = wait_for(lambda w=words: [
                    item for item in (outbox(site, "--dead") or
                                      {"items": []})["items"]
                    if w in item["error"]], "not given up: " + behave,
                                timeout=60)
                expect(dead[0]["attempts"] == 2 and
                       dead[0]["state"] == "dead", dead)
            expect(all(one.path == "/hook" for one in bad.received),
                   "a redirect was followed")
            # Ten MB are not read, and its status counts.
            bad.behave = "huge"
            first = outbox(site, "--dead")["items"][0]["delivery"]
            done = site.cli("outbox", "retry", first)
            expect(done.status == 0, done.err)
            wait_for(lambda: first not in [
                item["delivery"] for item in outbox(site)["items"]],
                     "it is not taken", timeout=30)
            last = outbox(site, "--dead")["items"][0]["delivery"]
            done = site.cli("outbox", "drop", last)
            expect(done.status == 0, done.err)
            expect(outbox(site)["dead"] == 1, outbox(site))
            expect(Api(site).get("/readyz", key="").status == 200, "ready")


def private_addresses_are_refused_unless_allowed():
    with World() as world:
        certificates = make_certificates(world)
        with Receiver(certificates) as receiver:
            site = make_site(world, certificates[0], attempts=1,
                             allow="[courier]\nca=%s\ntimeout_s=%d\n")
            for host in ("localhost", "127.0.0.1"):
                channel = add(site, receiver.url(host))
                number = str(channel["channel"])
                done = site.cli("alerts", "channel", "test", number)
                expect(done.status == 0, done.err)
                dead = wait_for(lambda n=channel["channel"]: [
                    item for item in (outbox(site, "--dead") or
                                      {"items": []})["items"]
                    if item["channel"] == n], "not given up", timeout=30)
                expect("not of the public Internet" in dead[0]["error"],
                       dead)
            expect(receiver.received == [], "it was reached")
            bad = site.cli("alerts", "channel", "add", "x",
                           "http://plant.example/")
            expect(bad.status == 1 and "https://" in bad.err, bad.err)


def a_certificate_of_nobody_is_not_believed():
    with World() as world:
        ours = make_certificates(world)
        others = make_certificates(world, "others")
        with Receiver(others) as receiver:
            site = make_site(world, ours[0], attempts=1)
            channel = add(site, receiver.url())
            site.cli("alerts", "channel", "test", str(channel["channel"]))
            dead = wait_for(lambda: (outbox(site, "--dead") or {}).get(
                "items"), "not given up", timeout=30)
            expect("certificate" in dead[0]["error"] or
                   "SSL" in dead[0]["error"], dead)
            expect(receiver.received == [], "it was told")


if __name__ == "__main__":
    sys.exit(main([
        a_webhook_is_signed_and_each_alert_comes_once_and_in_order,
        a_test_goes_to_its_channel_alone,
        nothing_is_lost_when_courier_and_ledger_are_killed,
        a_receiver_that_misbehaves_harms_nothing,
        private_addresses_are_refused_unless_allowed,
        a_certificate_of_nobody_is_not_believed,
    ]))
