#!/usr/bin/python3
"""Seats for programs without an agent: by API key, over HTTPS."""

import json
import os
import signal
import subprocess
import sys
import time

from by_key import Program, make_key
from harness import (PRODUCT, ROOT, SLOW, Site, World, binary, expect, main,
                     run, terms, wait_for)

EXAMPLES = os.path.join(ROOT, "agent", "lib", "examples")


def setting(world, document=None, **kw):
    site = Site(world)
    site.start()
    site.install(document or terms(**kw))
    key, number = make_key(site)
    return site, key, number


def granted_row(site, lease):
    """The journal's row of the grant, as the CLI reads it back."""
    shown = site.cli("--json", "audit", "tail", "-n", "1000")
    expect(shown.status == 0, shown.err)
    for line in shown.out.splitlines():
        row = json.loads(line)
        if row["kind"] == "lease.granted" and \
                row["fact"]["lease"] == lease["lease"]:
            return row["fact"]
    return None


# --- over HTTP ------------------------------------------------------------------

def a_seat_is_taken_renewed_and_given_back():
    with World() as world:
        site, key, number = setting(world, commit=2, overage=0)
        with Program(site, key) as program:
            lease = program.take()
            expect(lease["status"] == "granted" and lease["id"] == "lease-1"
                   and lease["type"] == "commit", lease)
            expect(lease["ttl_s"] == 60 and lease["renew_s"] == 20, lease)
            expect(lease["seats"] == {"total": 2, "commit": 2, "used": 1,
                                      "used_overage": 0, "free": 1},
                   lease["seats"])
            held = site.leases()
            expect(len(held) == 1 and held[0]["device"] == number and
                   held[0]["user"] == "build", held)
            renewed = program.renew(lease["id"])
            expect(renewed.status == 200 and
                   renewed.body["renewed"][0]["renew_by"] >=
                   lease["renew_by"], renewed)
            back = program.give_back(lease["id"])
            expect(back.status == 200 and back.body["id"] == lease["id"],
                   back)
            expect(site.leases() == [], "it is still held")
            again = program.give_back(lease["id"])
            expect(again.status == 410 and again.code == "gone", again)
            renewed = program.renew(lease["id"])
            expect(renewed.status == 410 and renewed.code == "gone", renewed)
        site.verify()


def an_answer_that_was_lost_is_no_second_seat():
    """Also when the site is killed in between, and what ended stays so."""
    with World() as world:
        site, key, _ = setting(world, commit=3, overage=0)
        with Program(site, key) as lost:
            lost.begin_checkout("job-1")
            wait_for(lambda: site.leases(), "it is granted")
        with Program(site, key) as program:
            lease = program.take("job-1")
            expect(lease["id"] == "lease-1", lease)
            other = program.checkout("job-1", count=2)
            expect(other.status == 409 and other.code == "conflict", other)
        site.kill()
        site.start()
        with Program(site, key) as program:
            expect(program.take("job-1")["id"] == "lease-1", "a second seat")
            expect(program.renew("lease-1").status == 200, "renewal")
            program.give_back("lease-1")
            ended = program.checkout("job-1")
            expect(ended.status == 410 and ended.code == "gone", ended)
        site.kill()
        site.start()
        with Program(site, key) as program:
            ended = program.checkout("job-1")
            expect(ended.status == 410 and ended.code == "gone", ended)
            expect(program.take("job-2")["seats"]["used"] == 1, "seats")
        site.verify()


def what_nobody_renews_comes_back():
    """Two seconds of ttl, one of grace, ten of skew."""
    with World() as world:
        site, key, _ = setting(world, commit=1, overage=0, ttl_s=2, grace_s=1)
        with Program(site, key) as program:
            lease = program.take()
            began = time.monotonic()
            while time.monotonic() - began < 4:
                expect(program.renew(lease["id"]).status == 200, "renewal")
                time.sleep(0.5)
            began = time.monotonic()
            wait_for(lambda: site.leases() == [], "the seat comes back", 20)
            expect(time.monotonic() - began >= 12, "too early")
            gone = program.renew(lease["id"])
            expect(gone.status == 410 and gone.code == "gone", gone)
            expect(program.take()["id"] == "lease-2", "another seat")


def overage_is_told_priced_and_journaled():
    with World() as world:
        site, key, number = setting(world, commit=1, overage=2)
        with Program(site, key) as program:
            program.take()
            lease = program.take(count=2)
            expect(lease["type"] == "overage" and
                   lease["overage_count"] == 2 and lease["overage"] == 1 and
                   lease["overage_cost"] == 1000.00 and
                   lease["currency"] == "EUR", lease)
            expect(lease["seats"]["used_overage"] == 2 and
                   lease["seats"].get("free", 0) == 0, lease["seats"])
            refused = program.checkout()
            expect(refused.status == 409 and
                   refused.code == "overage_exhausted", refused)
            expect(int(refused.headers["Retry-After"]) >= 1,
                   "no Retry-After")
        row = granted_row(site, lease)
        expect(row is not None and row["type"] == "overage" and
               row["overage"] == 1 and row["overage_count"] == 2 and
               row["device"] == number, row)


def every_refusal_has_its_code():
    with World() as world:
        site, key, _ = setting(world, commit=2, overage=0)
        with Program(site, key) as program:
            cases = [
                ({"product": "none-such"}, 403, "not_entitled"),
                ({"version": "7.0.0"}, 403, "version_not_covered"),
                ({"feature": "none-such"}, 403, "not_entitled"),
                ({"count": 3}, 409, "max_reached"),
                ({"count": 2000}, 400, "bad_request"),
                ({"seats": 1}, 400, "bad_request"),
                ({"app_fingerprint": "00"}, 400, "bad_request"),
            ]
            for body, status, code in cases:
                answer = program.checkout(**body)
                expect(answer.code == code and answer.status == status,
                       "%s: %r" % (body, answer))
            program.take(count=2)
            answer = program.checkout()
            expect(answer.status == 409 and answer.code == "no_seats" and
                   "Retry-After" in answer.headers, answer)
            answer = program.give_back("lease-none")
            expect(answer.status == 400 and answer.body["field"] == "id",
                   answer)
            answer = program.give_back("lease-99")
            expect(answer.status == 404, answer)
        with Program(site, "clsk_default_nobody") as stranger:
            expect(stranger.checkout().status == 401, "a stranger")
        with Program(site, site.key) as admin:
            answer = admin.checkout()
            expect(answer.status == 403 and answer.code == "forbidden",
                   answer)
        key, _ = make_key(site, "license:return")
        with Program(site, key) as program:
            answer = program.checkout()
            expect(answer.status == 403 and answer.code == "forbidden",
                   answer)


def a_license_may_refuse_keys():
    with World() as world:
        document = terms(commit=2, overage=0)
        document["terms"]["classes"] = ["tpm", "software"]
        site, key, _ = setting(world, document)
        with Program(site, key) as program:
            answer = program.checkout()
            expect(answer.status == 403 and
                   answer.code == "class_not_allowed" and
                   "API keys" in answer.body["detail"] and
                   "agent" in answer.body["hint"], answer)
        document = terms(commit=2, overage=0, product="for-keys")
        document["terms"]["classes"] = ["key"]
        site.install(document)
        with Program(site, key) as program:
            program.take(product="for-keys")


def a_feature_has_its_own_seats():
    with World() as world:
        document = terms(commit=1, overage=0)
        document["features"] = [{
            "id": "autosar", "name": "AUTOSAR", "total_licenses": 2,
            "commit_qty": 1, "max_overage": 1, "overage_per_use": 20.00,
            "currency": "EUR"}]
        site, key, _ = setting(world, document)
        with Program(site, key) as program:
            program.take()
            lease = program.take(feature="autosar")
            expect(lease["feature"] == "autosar" and
                   lease["type"] == "commit", lease)
            lease = program.take(feature="autosar")
            expect(lease["type"] == "overage" and
                   lease["overage_cost"] == 20.00, lease)
            expect(program.checkout(feature="autosar").code ==
                   "overage_exhausted", "a third one")


def a_revoked_key_ends_its_leases():
    with World() as world:
        site, key, number = setting(world, commit=2, overage=0)
        with Program(site, key) as program:
            lease = program.take()
            with Program(site, site.key) as admin:
                done = admin.ask("DELETE", "/api/v1/keys/key-%d" % number)
                expect(done.status == 200, done)
            expect(site.leases() == [], "it is still held")
            answer = program.renew(lease["id"])
            expect(answer.status == 401, answer)
        site.verify()


# --- waiting --------------------------------------------------------------------

def who_waits_gets_the_next_seat():
    with World() as world:
        site, key, _ = setting(world, commit=1, overage=0)
        second, _ = make_key(site)
        with Program(site, key) as holder, Program(site, second) as waiter:
            lease = holder.take()
            waiter.begin_checkout("job-7", wait_s=60)
            wait_for(lambda: site.ready().get("waiting") == 1, "it waits")
            expect(holder.checkout().code == "no_seats", "it overtook")
            holder.give_back(lease["id"])
            answer = waiter.hear()
            expect(answer.status == 201 and answer.body["id"] == "lease-2",
                   answer)


def a_long_wait_is_told_its_place_and_kept():
    """Over a restart too, which empties the queue: who asks again waits."""
    with World() as world:
        site, key, _ = setting(world, commit=1, overage=0)
        with Program(site, key) as program:
            lease = program.take()
            answer = program.checkout("job-8", wait_s=60, hold_s=1)
            expect(answer.status == 202 and
                   answer.body["status"] == "waiting" and
                   answer.body["queue"] == {"place": 1, "length": 1}, answer)
        site.kill()
        site.start()
        with Program(site, key) as program:
            answer = program.checkout("job-8", wait_s=60, hold_s=1)
            expect(answer.status == 202, answer)
            program.give_back(lease["id"])
            answer = program.checkout("job-8", wait_s=60, hold_s=1)
            expect(answer.status == 201 and answer.body["id"] == "lease-2",
                   answer)


def who_hangs_up_is_not_served():
    with World() as world:
        site, key, _ = setting(world, commit=1, overage=0)
        with Program(site, key) as holder:
            lease = holder.take()
            with Program(site, key) as waiter:
                waiter.begin_checkout(wait_s=60)
                wait_for(lambda: site.ready().get("waiting") == 1, "it waits")
            wait_for(lambda: site.ready().get("waiting", 0) == 0, "it left")
            holder.give_back(lease["id"])
            expect(holder.take()["id"] == "lease-2", "the seat")


# --- the command line and the examples ------------------------------------------

def command(world, site, key, *args, **kw):
    return subprocess.Popen(
        [binary("leasehold"), *args], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=dict(os.environ, LEASEHOLD_CONFIG="/dev/null",
                 LICENSE_SERVER_URL=site.url, LICENSE_API_KEY=key,
                 LICENSE_CA_FILE=site.ca), **kw)


def run_holds_a_seat_while_a_command_runs():
    with World() as world:
        site, key, _ = setting(world, commit=1, overage=0, ttl_s=3)
        go = world.path("go")
        os.mkfifo(go)
        process = command(world, site, key, "run", "--by-key", PRODUCT,
                          "--version", "8.1.0", "--", "sh", "-c",
                          "read x < %s; exit 7" % go)
        try:
            wait_for(site.leases, "it holds a seat")
            held = site.leases()[0]
            expect(held["host"] == os.uname().nodename, held)
            refused = run(binary("leasehold"), "run", "--by-key", PRODUCT,
                          "--version", "8.1.0", "--", "true", env={
                              "LICENSE_SERVER_URL": site.url,
                              "LICENSE_API_KEY": key,
                              "LICENSE_CA_FILE": site.ca})
            expect(refused.status == 3 and "no_seats" in refused.err,
                   refused.err)
            # Longer than a lease that nobody renews lives.
            time.sleep(3 + 10 + 2)
            expect(site.leases(), "it was not renewed")
            with open(go, "w") as f:
                f.write("\n")
            expect(process.wait(20 * SLOW) == 7, process.stderr.read())
            expect(site.leases() == [], "it was not given back")
        finally:
            process.kill()
            process.communicate()


def who_waits_leaves_the_queue_by_key():
    with World() as world:
        site, key, _ = setting(world, commit=1, overage=0)
        second, _ = make_key(site)
        with Program(site, key) as holder, Program(site, second) as waiter, \
                Program(site, second) as other:
            holder.take()
            answer = waiter.checkout("job-9", wait_s=60, hold_s=1)
            expect(answer.status == 202 and
                   int(answer.headers["Retry-After"]) >= 1, answer)
            # Somebody else's key leaves nothing.
            answer = holder.ask("POST", "/api/v1/licenses/cancel",
                                {"idempotency_key": "job-9"})
            expect(answer.body == {"waited": False}, answer)
            waiter.begin_checkout("job-9", wait_s=60)
            wait_for(lambda: site.ready().get("waiting") == 1, "it waits")
            answer = other.ask("POST", "/api/v1/licenses/cancel",
                               {"idempotency_key": "job-9"})
            expect(answer.status == 200 and answer.body == {"waited": True},
                   answer)
            expect(site.ready().get("waiting", 0) == 0, site.ready())
            # Whichever request of it was heard last: the wait is over.
            answer = waiter.hear()
            expect(answer.status == 410 and answer.code == "gone", answer)
            answer = other.ask("POST", "/api/v1/licenses/cancel",
                               {"idempotency_key": "job-9"})
            expect(answer.body == {"waited": False}, answer)


def an_interrupted_checkout_leaves_the_queue():
    with World() as world:
        site, key, _ = setting(world, commit=1, overage=0)
        second, _ = make_key(site)
        with Program(site, key) as holder:
            holder.take()
            process = subprocess.Popen(
                [binary("leasehold"), "checkout", "--by-key", PRODUCT,
                 "--version", "8.1.0", "--wait", "600s"],
                env=dict(os.environ, **dict(site.env, LICENSE_API_KEY=second)))
            wait_for(lambda: site.ready().get("waiting") == 1, "it waits")
            process.send_signal(signal.SIGINT)
            expect(process.wait(20 * SLOW) == 130, "status")
            expect(site.ready().get("waiting", 0) == 0, site.ready())


def checkout_waits_and_ends_with_a_signal():
    with World() as world:
        site, key, _ = setting(world, commit=1, overage=0)
        with Program(site, key) as holder:
            lease = holder.take()
            process = command(world, site, key, "checkout", "--by-key",
                              PRODUCT, "--version", "8.1.0", "--wait", "60s")
            try:
                wait_for(lambda: site.ready().get("waiting") == 1, "it waits")
                holder.give_back(lease["id"])
                expect("lease-2" in process.stdout.readline(), "its words")
                process.send_signal(signal.SIGTERM)
                expect(process.wait(20 * SLOW) == 0, process.stderr.read())
                wait_for(lambda: site.leases() == [], "it is given back")
            finally:
                process.kill()
                process.communicate()


def a_site_that_is_away_for_a_while_is_borne():
    with World() as world:
        site, key, _ = setting(world, commit=1, overage=0, ttl_s=3,
                               grace_s=60)
        process = command(world, site, key, "checkout", "--by-key", PRODUCT,
                          "--version", "8.1.0")
        try:
            expect("lease-1" in process.stdout.readline(), "its words")
            site.kill()
            expect("cannot be renewed" in process.stderr.readline(),
                   "says nothing")
            site.start()
            expect("renewed again" in process.stderr.readline(),
                   "is not renewed")
            process.send_signal(signal.SIGINT)
            expect(process.wait(20 * SLOW) == 0, "status")
            expect(site.leases() == [], "it was not given back")
        finally:
            process.kill()
            process.communicate()


def the_examples_work():
    with World() as world:
        site, key, _ = setting(world, commit=1, overage=0)
        env = {"LICENSE_SERVER_URL": site.url, "LICENSE_API_KEY": key,
               "LICENSE_CA_FILE": site.ca}
        script = os.path.join(EXAMPLES, "by_key.sh")
        done = run("/usr/bin/python3", os.path.join(EXAMPLES, "by_key.py"),
                   PRODUCT, "8.1.0", env=env)
        expect(done.status == 0 and "holding lease-1 (commit), 0 of 1" in
               done.out and "step 2" in done.out, done.out + done.err)
        done = run("sh", script, PRODUCT, "8.1.0", "sh", "-c", "exit 5",
                   env=env)
        expect(done.status == 5, done.out + done.err)
        expect(site.leases() == [], "it was not given back")
        with Program(site, key) as holder:
            holder.take()
            done = run("sh", script, PRODUCT, "8.1.0", "true", env=env)
            expect(done.status == 3 and "no_seats" in done.err, done.err)
            done = run("/usr/bin/python3", os.path.join(EXAMPLES,
                       "by_key.py"), PRODUCT, "8.1.0", env=env)
            expect(done.status == 3 and "no_seats" in done.err, done.err)


if __name__ == "__main__":
    sys.exit(main([
        a_seat_is_taken_renewed_and_given_back,
        an_answer_that_was_lost_is_no_second_seat,
        what_nobody_renews_comes_back,
        overage_is_told_priced_and_journaled,
        every_refusal_has_its_code,
        a_license_may_refuse_keys,
        a_feature_has_its_own_seats,
        a_revoked_key_ends_its_leases,
        who_waits_gets_the_next_seat,
        a_long_wait_is_told_its_place_and_kept,
        who_hangs_up_is_not_served,
        run_holds_a_seat_while_a_command_runs,
        who_waits_leaves_the_queue_by_key,
        an_interrupted_checkout_leaves_the_queue,
        checkout_waits_and_ends_with_a_signal,
        a_site_that_is_away_for_a_while_is_borne,
        the_examples_work,
    ], together=True))
