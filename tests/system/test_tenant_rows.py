#!/usr/bin/python3
"""What the site's admin says of a tenant stands in the tenant's own journal,
once, in order, and whatever crashed; and its limits hold."""

import http.client
import json
import os
import sys
import threading

from api import Api
from harness import Agent, App, World, expect, main, terms, wait_for
from test_tenants import IDLE, Tenant, agent_of, call, code_of, site_of

WORDS = "unpaid by Erika Mustermann"


def changes(tenant):
    """Rows about the tenant itself, as its own people read them."""
    told = tenant.cli("--json", "audit", "tail", "-n", "1000")
    expect(told.status == 0, told.err)
    rows = [json.loads(line) for line in told.out.splitlines()]
    return [row["fact"] for row in rows if row["kind"] == "tenant.changed"]


def what_was_said_of_a_tenant_stands_in_its_journal():
    with World() as world:
        site = site_of(world)
        mercedes = Tenant(site, "mercedes", "--keys", "7")
        made = changes(mercedes)
        expect([(row["revision"], row["suspended"], row["limits"]["keys"],
                 row["by"]["kind"]) for row in made] ==
               [(1, False, 7, "admin")], made)
        for args in (("suspend", "mercedes", "--reason", WORDS),
                     ("resume", "mercedes"),
                     ("set", "mercedes", "--name", "Another"),
                     ("set", "mercedes", "--users", "3", "--calls-per-day",
                      "5000")):
            done = site.cli("tenant", *args)
            expect(done.status == 0, done.err)
        rows = changes(mercedes)
        expect([(row["revision"], row["suspended"]) for row in rows] ==
               [(1, False), (2, True), (3, False), (4, False)], rows)
        expect(rows[3]["limits"].get("keys", 0) == 0 and
               rows[3]["limits"]["users"] == 3, rows[3])
        expect(all(row["by"] == rows[0]["by"] for row in rows), rows)
        # Why, its people read by its id; it stands nowhere in the clear.
        status, reason = call(site, "GET", "/api/v1/subjects/" +
                              rows[1]["reason"], mercedes.key,
                              "mercedes.site.localhost")
        expect(status == 200 and reason["value"] == WORDS, reason)
        mercedes.verify()
        site.stop()
        for folder, _, files in os.walk(site.state):
            for name in files:
                with open(os.path.join(folder, name), "rb") as f:
                    data = f.read()
                if "mercedes" in folder:
                    expect(WORDS.encode() not in data, name)


def a_closed_tenant_gets_its_rows_as_it_opens():
    with World() as world:
        site = site_of(world, IDLE)
        mercedes = Tenant(site, "mercedes")
        expect(not mercedes.is_open(), "nobody asked anything of it")
        for i in range(5):
            done = site.cli("tenant", "set", "mercedes", "--keys", str(i + 1))
            expect(done.status == 0, done.err)
            if i == 2:
                wait_for(lambda: not mercedes.is_open(), "it stays open", 60,
                         0.1)
        rows = changes(mercedes)
        expect([row["limits"]["keys"] for row in rows] == [1, 2, 3, 4, 5],
               rows)


def no_change_that_was_answered_is_lost_and_none_comes_twice():
    """Killed in the midst of changes, of an open tenant and of a closed one."""
    with World() as world:
        site = site_of(world, IDLE)
        tenants = [Tenant(site, name) for name in ("mercedes", "bosch")]
        answered = {tenant.name: [] for tenant in tenants}
        value = 0
        for turn in range(3):
            tenants[0].cli("license", "list")  # this one is open
            stop = threading.Event()

            def change():
                nonlocal value
                while not stop.is_set():
                    value += 1
                    for tenant in tenants:
                        done = site.cli("tenant", "set", tenant.name,
                                        "--keys", str(1000 + value))
                        if done.status == 0:
                            answered[tenant.name].append(1000 + value)

            thread = threading.Thread(target=change)
            thread.start()
            want = turn + 1
            wait_for(lambda n=want: min(map(len, answered.values())) >= n,
                     "no change is answered", 60, 0.005)
            site.kill()
            stop.set()
            thread.join()
            site.start()
        for tenant in tenants:
            rows = changes(tenant)
            keys = [row["limits"]["keys"] for row in rows]
            revisions = [row["revision"] for row in rows]
            expect(keys == sorted(set(keys)), keys)
            expect(revisions == sorted(set(revisions)), revisions)
            lost = [k for k in answered[tenant.name] if k not in keys]
            expect(not lost, (tenant.name, lost, keys))
            expect(all(row["by"]["kind"] == "admin" for row in rows), rows)
            shown = tenant.shown()["limits"]["keys"]
            expect(shown == keys[-1], (shown, keys))
            tenant.verify()


def create(site, name, key):
    """Status of one attempt; None: the site was gone."""
    api = Api(site, timeout=20)
    try:
        return api.post("/api/v1/b2b/tenants",
                        {"partnerName": name, "licenseType": "custom"},
                        headers={"Idempotency-Key": key}).status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        api.close()


def a_tenant_is_made_once_however_often_the_site_is_killed():
    with World() as world:
        site = site_of(world)
        for turn, step in enumerate(("tenants/turn-%d", "keys/turn-%d.key",
                                     "tenants/turn-%d/ledger/data.mdb",
                                     None)):
            name = "turn-%d" % turn
            first = []
            thread = threading.Thread(target=lambda n=name: first.append(
                create(site, n, "key of " + n)))
            thread.start()
            if step is None:
                wait_for(lambda n=name: n in json.dumps(
                    site.cli("--json", "tenant", "list").json()),
                    "it is not made", 60, 0.001)
            else:
                wait_for(lambda p=step % turn: os.path.exists(
                    os.path.join(site.state, p)), "it is not begun", 60,
                    0.0005)
            site.kill()
            thread.join()
            site.start()
            again = create(site, name, "key of " + name)
            expect(again in (200, 201, 410), (first, again))
            expect(create(site, name, "key of " + name) == 410, "once more")
            expect(create(site, name + " other", "key of " + name) == 409,
                   "another request")
            names = [t["tenantId"] for t in site.cli(
                "--json", "tenant", "list").json()["items"]]
            expect(len([n for n in names if n.startswith(name)]) == 1, names)


def keys_of(tenant):
    return tenant.cli("--json", "key", "list").json().get("items", [])


def many_at_once_get_in_up_to_the_limit():
    with World() as world:
        site = site_of(world)
        mercedes = Tenant(site, "mercedes", "--keys", "3", "--users", "2")
        for limit, verb in (
                (3, lambda i: ("key", "create", "k%d" % i)),
                (2, lambda i: ("user", "create", "u%d" % i, "--role",
                               "viewer"))):
            done = []

            def make(i, verb=verb, done=done):
                made = mercedes.cli(*verb(i))
                while "too many passwords wait" in made.err:
                    made = mercedes.cli(*verb(i))
                done.append(made)

            threads = [threading.Thread(target=make, args=(i,))
                       for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            made = [d for d in done if d.status == 0]
            refused = [d for d in done if d.status != 0]
            expect(len(made) == limit, [d.err for d in done])
            for d in refused:
                expect("quota_exceeded" in d.err and "tenant set" in d.err and
                       "may have %d" % limit in d.err, d.err)
        # Raised by one: one more.
        done = site.cli("tenant", "set", "mercedes", "--keys", "4")
        expect(done.status == 0, done.err)
        expect(mercedes.cli("key", "create", "one").status == 0, "refused")
        refused = mercedes.cli("key", "create", "two")
        expect(code_of(refused) == "quota_exceeded", refused.err)
        # One that is revoked makes room; after a restart too.
        first = keys_of(mercedes)[0]["key_id"]
        done = mercedes.cli("key", "revoke", str(first))
        expect(done.status == 0, done.err)
        site.kill()
        site.start()
        expect(mercedes.cli("key", "create", "three").status == 0, "refused")
        refused = mercedes.cli("key", "create", "four")
        expect(code_of(refused) == "quota_exceeded", refused.err)


def keys_and_revoked_devices_take_no_place_of_a_device():
    with World() as world:
        site = site_of(world)
        mercedes = Tenant(site, "mercedes", "--devices", "1")
        mercedes.install(terms())
        for i in range(3):
            made = mercedes.cli("key", "create", "key %d" % i)
            expect(made.status == 0, made.err)
        agent = agent_of(mercedes)
        app = App(world, agent.socket)
        expect(app.wait() is not None, app.errors())
        token = mercedes.token()
        second = Agent(world, "second")
        second.start()
        refused = second.cli("enroll", mercedes.url, "--token", token)
        expect("quota_exceeded" in refused.err and "may have 1" in refused.err,
               refused.err)
        listed = mercedes.cli("--json", "device", "list").json()["items"]
        number = [d for d in listed if d["name"] == "agent-mercedes"]
        done = mercedes.cli("device", "revoke", str(number[0]["device"]))
        expect(done.status == 0, done.err)
        done = second.cli("enroll", mercedes.url, "--token", token)
        expect(done.status == 0, done.err)


if __name__ == "__main__":
    sys.exit(main([
        what_was_said_of_a_tenant_stands_in_its_journal,
        a_closed_tenant_gets_its_rows_as_it_opens,
        no_change_that_was_answered_is_lost_and_none_comes_twice,
        a_tenant_is_made_once_however_often_the_site_is_killed,
        many_at_once_get_in_up_to_the_limit,
        keys_and_revoked_devices_take_no_place_of_a_device,
    ], together=True))
