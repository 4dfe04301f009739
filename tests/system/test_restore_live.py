#!/usr/bin/python3
"""A tenant put back to a backup while its site and the other tenants go on."""

import base64
import fcntl
import json
import os
import sys
import threading
import time

from harness import (AS_ROOT, App, Site, World, expect, main, run, terms,
                     wait_for)
from test_backup import backup, passphrase
from test_hostile_faults import SmallDisk
from test_tenants import HOSTS, Tenant, agent_of, call, site_of


def restore(world, site, path, tenant="mercedes", reason="wrong import",
            word=None, options=()):
    return site.cli("restore", path, "--tenant", tenant, "--reason", reason,
                    "--passphrase-file", word or passphrase(world), *options)


def setting(world, *names):
    site = site_of(world)
    tenants = [Tenant(site, name) for name in names or ("mercedes",)]
    for tenant in tenants:
        tenant.install(terms(5, 5))
    return [site, *tenants]


def held(world, agent, name):
    app = App(world, agent.socket, name=name)
    expect(app.wait(), app.errors())
    return app


def api(site, method, path, body=None):
    return call(site, method, "/api/v1/restores" + path, site.key,
                "127.0.0.1", body)


def begin(at, **other):
    return api(at, "POST", "", {"tenant": "mercedes", "bytes": 100,
                                "site": at.ready()["site"], **other})


def put(site, part, data, offset=0):
    return api(site, "PUT", "/%d" % part, {
        "offset": offset, "data": base64.urlsafe_b64encode(data).decode().rstrip("=")})


def ended(site, part):
    """What became of it, once it is over."""
    def look():
        status, answer = api(site, "GET", "/%d" % part)
        expect(status == 200, answer)
        return answer if answer["state"] in ("done", "failed") else None

    return wait_for(look, "an end of it")


def left_behind(site):
    return [name for name in os.listdir(os.path.join(site.state, "tenants"))
            if name.endswith(".restore")]


# --- it is put back ----------------------------------------------------------


def one_is_put_back_and_the_other_notices_nothing():
    with World() as world:
        site, mercedes, bosch = setting(world, "mercedes", "bosch")
        ours, theirs = agent_of(mercedes), agent_of(bosch)
        before, other = held(world, ours, "before"), held(world, theirs, "b")
        path = backup(world, site)
        after = held(world, ours, "after")
        mercedes.token()
        fold = mercedes.verify()
        ends, failed = threading.Event(), []

        def go_on():
            while not ends.is_set():
                try:
                    app = held(world, theirs, "t")
                    app.stop()
                except Exception as error:  # told by the test
                    failed.append(error)
                    return

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            done = restore(world, site, path)
        finally:
            ends.set()
            thread.join()
        expect(done.status == 0 and "Generation 2" in done.out, done.err)
        expect(not failed, failed)
        # Nothing is frozen; the lease that came after is adopted.
        expect(not site.ready().get("rolled_back"), site.ready())
        ours.wait_connected(60)
        wait_for(lambda: len(mercedes.leases()) == 2, "leases")
        expect(mercedes.verify()["generation"] == 2, "generation")
        expect(bosch.verify()["generation"] == 1, "the other one's")
        expect(before.process.poll() is None and after.process.poll() is None
               and other.process.poll() is None, "an application ended")
        held(world, ours, "again")
        rows = [json.loads(line) for line in
                mercedes.cli("--json", "audit", "tail").out.splitlines()]
        row, = [row["fact"] for row in rows if row["kind"] == "generation"]
        expect(row["lost"]["generation"] == 1 and row["lost"]["batch"] > 0, row)
        status, said = call(site, "GET", "/api/v1/subjects/" + row["reason"],
                            mercedes.key, "mercedes.site.localhost")
        words = json.dumps(said)
        expect(status == 200 and "restored from batch" in words and
               "wrong import" in words, said)
        expect(not left_behind(site), left_behind(site))
        # Nor does the next start find anything.
        site.stop()
        site.start()
        expect(not site.ready().get("rolled_back"), site.ready())
        wait_for(lambda: len(mercedes.leases()) == 3, "leases")
        # And once more, from before the last time.
        done = restore(world, site, path, reason="again")
        expect(done.status == 0 and "Generation 3" in done.out, done.err)
        ours.wait_connected(60)
        wait_for(lambda: len(mercedes.leases()) == 3, "leases")
        expect(fold["generation"] == 1, fold)


# --- it is not ----------------------------------------------------------------


def what_does_not_fit_is_named_and_nothing_is_changed():
    with World() as world:
        site, mercedes = setting(world)
        path = backup(world, site)
        one = backup(world, site, "default.backup", "--tenant", "default")
        at = mercedes.verify()["rows"]
        wrong = world.path("wrong")
        with open(os.open(wrong, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write("another passphrase\n")
        with open(path, "rb") as f:
            data = bytearray(f.read())
        data[len(data) * 2 // 3] ^= 1
        bad = world.path("bad.backup")
        with open(bad, "wb") as f:
            f.write(data)
        other = Site(world, "other")
        other.start()
        foreign = world.path("foreign.backup")
        made = other.cli("backup", foreign, "--passphrase-file",
                         passphrase(world))
        expect(made.status == 0, made.err)
        for done, words in (
                (restore(world, site, path, word=wrong), "passphrase"),
                (restore(world, site, bad), "does not hold"),
                (restore(world, site, one), "is not in"),
                (restore(world, site, path, tenant="bosch"), "is not in"),
                (restore(world, site, path, tenant="default"), "stopped"),
                (restore(world, site, foreign, tenant="default"),
                 "is a backup of"),
                (restore(world, site, path, reason=""), "--reason"),
                (restore(world, site, path, reason="x" * 91), "--reason")):
            expect(done.status != 0 and words in done.err, (words, done.err))
        expect(mercedes.verify()["rows"] == at, "rows")
        expect(not left_behind(site), left_behind(site))
        expect(site.cli("tenant", "delete", "mercedes", "--confirm",
                        "mercedes").status == 0, "delete")
        gone = restore(world, site, path)
        expect(gone.status == 1 and "no tenant 'mercedes'" in gone.err,
               gone.err)
        Tenant(site, "mercedes")
        again = restore(world, site, path)
        expect(again.status == 1 and "another key" in again.err, again.err)
        expect(not left_behind(site), left_behind(site))


def pieces_come_in_order_and_so_many():
    with World() as world:
        site, mercedes = setting(world)
        status, answer = begin(site, bytes=1 << 50)
        expect(status == 503 and "no room" in answer["detail"], answer)
        status, answer = begin(site, tenant="nobody")
        expect(status == 404, answer)
        status, answer = begin(site, site="site-another")
        expect(status == 409 and "is a backup of" in answer["detail"], answer)
        status, place = begin(site)
        expect(status == 201 and place["offset"] == 0, place)
        part = place["part"]
        status, answer = begin(site)
        expect(status == 503 and "another copy" in answer["detail"], answer)
        status, answer = put(site, part, b"x" * 10, 10)
        expect(status == 409 and "gap" in answer["detail"], answer)
        for data, offset, ends in ((b"a" * 40, 0, 40), (b"a" * 40, 0, 40),
                                   (b"a" * 10, 30, 40), (b"b" * 50, 10, 60)):
            status, answer = put(site, part, data, offset)
            expect(status == 200 and answer["offset"] == ends, answer)
        status, answer = put(site, part, b"x" * 41, 60)
        expect(status == 400 and "said to be the last" in answer["detail"],
               answer)
        end = "/%d/end" % part
        status, answer = api(site, "POST", end, {"reason": "why"})
        expect(status == 409 and "60 of 100" in answer["detail"], answer)
        status, answer = put(site, part, b"x" * 40, 60)
        expect(status == 200, answer)
        for _ in range(2):  # after a failure it may be asked for again
            status, answer = api(site, "POST", end, {"reason": "why"})
            expect(status == 202, answer)
            answer = ended(site, part)
            expect(answer["state"] == "failed" and "cannot be put back" in
                   answer["failure"]["detail"] and "done" not in answer,
                   answer)
        # A tenant's own admin has no business here.
        status, answer = call(site, "DELETE", "/api/v1/restores/%d" % part,
                              mercedes.key, "mercedes.site.localhost")
        expect(status == 403, answer)
        status, answer = api(site, "DELETE", "/%d" % part)
        expect(status == 200, answer)
        status, answer = api(site, "POST", end, {"reason": "why"})
        expect(status == 404, answer)
        status, place = begin(site)
        expect(status == 201, place)


def who_was_erased_or_revoked_since_stays_so():
    with World() as world:
        site, mercedes = setting(world)
        agent = agent_of(mercedes)
        held(world, agent, "before")
        made = mercedes.cli("--json", "key", "create", "nightly", "--type",
                            "desktop", "--scope", "admin:read")
        expect(made.status == 0, made.err)
        made = made.json()
        lease, = mercedes.leases()
        user = lease["user"]
        path = backup(world, site)
        erased = mercedes.cli("person", "erase", user, "--force")
        expect(erased.status == 0, erased.err)
        revoked = mercedes.cli("key", "revoke", made["key_id"], "--reason",
                               "it leaked")
        expect(revoked.status == 0, revoked.err)
        done = restore(world, site, path)
        expect(done.status == 0 and "1 API keys" in done.out and
               "names that were erased" in done.out, done.out + done.err)
        found = mercedes.cli("--json", "person", "find", user, "--mentions")
        expect(found.status == 0 and found.json()["items"] == [], found.out)
        status, answer = call(site, "GET", "/api/v1/site", made["api_key"],
                              "mercedes.site.localhost")
        expect(status == 401, answer)


def what_a_crash_left_is_cleared_at_the_next_start():
    with World() as world:
        site, _ = setting(world)
        site.stop()
        left = [os.path.join(site.state, "tenants", "mercedes.restore",
                             "tenants", "mercedes", "ledger"),
                os.path.join(site.state + ".new", "keys")]
        for folder in left:
            os.makedirs(folder)
            with open(os.path.join(folder, "data.mdb"), "w") as f:
                f.write("x")
        if AS_ROOT:  # as the ledger itself would have made it
            run("chown", "-R", "daemon",
                os.path.join(site.state, "tenants", "mercedes.restore"))
        site.start()
        expect(not left_behind(site), left_behind(site))
        expect(not os.path.exists(site.state + ".new"), "STATE.new")
        # But not what somebody works at.
        site.stop()
        os.makedirs(left[1])
        lock = os.open(site.state + ".new", os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        site.start()
        expect(os.path.exists(left[1]), "another's STATE.new is gone")
        os.close(lock)


# --- there is no room ------------------------------------------------------------


def dump_of(site, tenant):
    """A tenant's store as the site gives it out."""
    def ask(method, path, body=None):
        status, answer = call(site, method, "/api/v1/backups" + path, site.key,
                              "127.0.0.1", body)
        expect(status in (200, 201), answer)
        return answer

    part = ask("POST", "", {"tenant": tenant})
    data = b""
    while len(data) < part["bytes"]:
        text = ask("GET", "/%d?offset=%d" % (part["part"], len(data)))["data"]
        data += base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    ask("DELETE", "/%d" % part["part"])
    return data


def no_room_is_one_clear_error_and_the_tenant_goes_on():
    if not AS_ROOT:
        return "needs root: it mounts a small file system"
    with World() as world:
        disk = SmallDisk(world, 320)
        if not disk.mounted:
            return "cannot mount a file system: " + disk.words
        try:
            without_room(world, disk)
        finally:
            for process in reversed(world.started):
                if process.poll() is None:
                    process.kill()
                    process.wait()
            disk.close()


def without_room(world, disk):
    site = Site(world, "disk/site", hosts=HOSTS)
    site.start()
    mercedes = Tenant(site, "mercedes")
    mercedes.install(terms(5, 5))
    agent = agent_of(mercedes)
    held(world, agent, "before")
    data = dump_of(site, "mercedes")
    held(world, agent, "after")
    disk.fill()
    status, answer = begin(site, bytes=len(data))
    expect(status == 503 and "no room" in answer["detail"], answer)
    disk.empty()
    status, place = begin(site, bytes=len(data))
    expect(status == 201, place)
    part = place["part"]
    disk.fill()
    status, answer = put(site, part, data[:len(data) // 2])
    expect(status == 503 and "full" in answer["detail"], answer)
    disk.empty()
    status, answer = put(site, part, data)
    expect(status == 200 and answer["offset"] == len(data), answer)
    disk.fill()
    status, answer = api(site, "POST", "/%d/end" % part, {"reason": "why"})
    expect(status == 202, answer)
    answer = ended(site, part)
    expect(answer["state"] == "failed" and "no room" in
           answer["failure"]["detail"], answer)
    expect(not left_behind(site), left_behind(site))
    # It is read as before, and written as soon as there is room.
    expect(len(mercedes.leases()) == 2, mercedes.leases())
    disk.empty()
    expect(mercedes.verify()["generation"] == 1, "generation")
    wait_for(lambda: call(site, "GET", "/readyz", site.key, "127.0.0.1")[0]
             == 200, "it comes back by itself")
    agent.wait_connected()
    held(world, agent, "again")
    status, answer = api(site, "POST", "/%d/end" % part, {"reason": "why"})
    expect(status == 202, answer)
    answer = ended(site, part)
    expect(answer["state"] == "done" and answer["done"]["generation"] == 2,
           answer)
    agent.wait_connected(60)
    wait_for(lambda: len(mercedes.leases()) == 3, "leases", 60)
    expect(not left_behind(site), left_behind(site))


# --- and is killed --------------------------------------------------------------


def a_site_that_is_killed_has_the_old_or_the_new_store_whole():
    with World() as world:
        site, mercedes = setting(world)
        agent = agent_of(mercedes)
        app = held(world, agent, "app")
        path = backup(world, site)
        held(world, agent, "later")
        began = time.monotonic()
        done = restore(world, site, path)
        expect(done.status == 0, done.err)
        whole_s = time.monotonic() - began
        generation = 2
        # Most of it is what makes a passphrase slow to guess.
        for part in (0.5, 0.9, 0.97, 1.03, None):
            agent.wait_connected(60)
            wait_for(lambda: len(mercedes.leases()) == 2,
                     "leases: %s" % mercedes.leases(), 60)
            done = []
            thread = threading.Thread(
                target=lambda: done.append(restore(world, site, path)))
            thread.start()
            thread.join(part and part * whole_s)
            site.kill()
            thread.join()
            site.start()
            expect(not site.ready().get("rolled_back"), site.ready())
            now = mercedes.verify()["generation"]
            expect(now in (generation, generation + 1), (generation, now))
            expect(now > generation or done[0].status != 0,
                   "it was said to be done")
            generation = now
            expect(not left_behind(site), left_behind(site))
        expect(app.process.poll() is None, "the application ended")


if __name__ == "__main__":
    sys.exit(main([
        one_is_put_back_and_the_other_notices_nothing,
        who_was_erased_or_revoked_since_stays_so,
        what_does_not_fit_is_named_and_nothing_is_changed,
        no_room_is_one_clear_error_and_the_tenant_goes_on,
        what_a_crash_left_is_cleared_at_the_next_start,
        pieces_come_in_order_and_so_many,
        a_site_that_is_killed_has_the_old_or_the_new_store_whole,
    ]))
