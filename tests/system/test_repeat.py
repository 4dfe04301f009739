#!/usr/bin/python3
"""Every operation that changes something is asked twice: with an
Idempotency-Key it is done once, also when the power goes right after it was
done; the others do nothing the second time."""

import json
import sys

from api import Api
from by_key import Program, make_key
from harness import (PRODUCT, SLOW, Agent, Disk, Site, World, expect, main, terms,
                     wait_for)
from test_users import totp

PASSWORD = "green bottle hill"
OTHER = "yellow bottle hill"
CONFIG = "[login]\npassword_cost=interactive\n"

# They need more than a site, and are asked twice where they are tested.
ELSEWHERE = {
    "borrow.deliver": "test_borrow_use.py",
    "borrow.write_off": "test_borrow_use.py",
    "sync.import": "test_sync.py",
    # It is the same command as clock.correct.
    "clock.confirm": "test_repeat.py",
}


def operations(api):
    """{name: (method, repeat)} of all that may change something."""
    paths = api.get("/api/v1/openapi.json").json()["paths"]
    return {op["operationId"]: (method.upper(), op["x-leasehold-repeat"])
            for path in paths.values() for method, op in path.items()
            if method != "get"}


def rows(site):
    """The facts that the journal holds, but for those of starts, stops and
    the site's own counter, and that somebody was refused."""
    done = site.cli("--json", "audit", "tail", "-n", "1000")
    expect(done.status == 0, done.err)
    return [line for line in done.out.splitlines()
            if line and not any('"%s"' % kind in line for kind in
                                ("started", "stopped", "tick", "checkpoint",
                                 "gone", "device.seen"))]


class Asked:
    """One operation, as it was asked and answered first."""

    def __init__(self, name, api, method, path, body=None):
        self.name, self.api = name, api
        self.method, self.path, self.body = method, path, body
        self.answer = self.again()
        expect(self.answer.status in (200, 201), (name, self.answer))

    def again(self):
        return self.api.ask(self.method, self.path, self.body,
                            headers={"Idempotency-Key": "once-" + self.name})

    @property
    def reply(self):
        return self.answer.json()


def installed(site, document):
    """What license.install asks: the file that the vendor issued."""
    with open(site.world.issue(site, document)) as f:
        return json.load(f)


def pending_device(site):
    agent = Agent(site.world)
    agent.start()
    done = agent.cli("--json", "enroll", site.url, "--token",
                     site.token(approve=False), "--name", agent.name)
    expect(done.status == 0, done.err)
    page = Api(site).get("/api/v1/devices?state=pending").json()
    return page["items"][0]["device"]


def everything(site, admin, person):
    """Every operation once, in an order that makes sense."""
    asked = []

    def ask(name, method, path, body=None, api=admin):
        path = "/api/v1/" + path
        asked.append(Asked(name, api, method, path,
                           {} if body is None and method in ("POST", "PUT")
                           else body))
        return asked[-1].reply

    site.install(terms(commit=3))
    program = Api(site, key=make_key(site)[0])
    held = program.post("/api/v1/licenses/checkout", {
        "product": PRODUCT, "version": "8.1.0", "user": "olaf"}).json()
    admin.ask("DELETE", "/api/v1/leases/%d" % held["lease"])
    # First: what was answered before it cannot be read any more.
    ask("person.erase", "POST", "subjects/erase", {"name": "olaf"})
    device = pending_device(site)
    document = terms(commit=3, product="another")
    ask("license.install", "POST", "licenses", installed(site, document))
    join = ask("join.create", "POST", "devices/tokens", {"uses": 3})
    ask("join.revoke", "DELETE", "devices/tokens/%d" % join["join"])
    key = ask("key.generate", "POST", "keys/generate", {
        "app_name": "build", "app_type": "ci_cd",
        "scopes": ["license:checkout", "license:return"]})
    name = key["key_id"]
    ask("key.restrict", "POST", "keys/%s/restrictions" % name,
        {"requests_per_hour": 1000})
    lease = ask("license.checkout", "POST", "licenses/checkout",
                {"product": "another", "version": "8.1.0"}, program)
    taken = ask("license.return", "POST", "licenses/return",
                {"id": lease["id"]}, program)
    expect(taken["id"] == lease["id"], taken)
    held = program.post("/api/v1/licenses/checkout", {
        "product": "another", "version": "8.1.0"}).json()
    ask("lease.release", "DELETE", "leases/%d" % held["lease"])
    key = ask("key.rotate", "POST", "keys/%s/rotate" % name)
    ask("key.revoke", "DELETE", "keys/" + name)
    ask("device.approve", "POST", "devices/%d/approve" % device)
    ask("device.revoke", "DELETE", "devices/%d" % device)
    ask("journal.checkpoint", "POST", "journal/checkpoint")
    ask("journal.prune", "POST", "journal/prune",
        {"before": "2020-01-01T00:00:00Z"})
    user = ask("user.create", "POST", "users",
               {"login": "twice", "role": "viewer"})["user"]["user"]
    ask("user.set", "PUT", "users/%d" % user, {"name": "Two Times"})
    ask("user.disable", "POST", "users/%d/disable" % user)
    ask("user.enable", "POST", "users/%d/enable" % user)
    ask("user.reset", "POST", "users/%d/reset" % user)
    ask("user.totp_reset", "DELETE", "users/%d/totp" % user)
    ask("user.remove", "DELETE", "users/%d" % user)
    secret = ask("totp.begin", "POST", "session/totp",
                 {"password": PASSWORD}, person)["secret"]
    codes = ask("totp.confirm", "POST", "session/totp/confirm",
                {"code": totp(secret)}, person)["recovery_codes"]
    ask("totp.off", "POST", "session/totp/off",
        {"password": PASSWORD, "code": codes[0]}, person)
    ask("password.change", "POST", "session/password",
        {"password": PASSWORD, "new_password": OTHER}, person)
    ask("tenant.create", "POST", "b2b/tenants", {
        "partnerName": "Second", "tenantId": "second",
        "licenseType": "custom"})
    ask("tenant.change", "PUT", "b2b/tenants/second", {"tier": "gold"})
    ask("tenant.delete", "DELETE", "b2b/tenants/second?confirm=second")
    ask("policy.put", "PUT", "policies", {"policy": {"rules": []}})
    channel = ask("channel.add", "POST", "alert-channels", {
        "name": "nobody", "kind": "webhook", "least": "info",
        "url": "https://192.0.2.1/alerts"})["channel"]
    ask("channel.test", "POST", "alert-channels/%d/test" % channel)
    bound = admin.post("/api/v1/keys/generate", {
        "app_name": "elsewhere", "app_type": "ci_cd",
        "scopes": ["admin:read"]}).json()
    admin.post("/api/v1/keys/%s/restrictions" % bound["key_id"],
               {"allowed_ip_ranges": ["192.0.2.0/24"]})
    admin.get("/api/v1/site", key=bound["api_key"])
    # 0 until it is in the journal.
    alert = wait_for(
        lambda: [item["alert"] for item in
                 admin.get("/api/v1/alerts").json()["items"]
                 if item["alert"]], "no alert")[0]
    ask("alert.acknowledge", "POST", "alerts/%d/acknowledge" % alert)
    delivery = wait_for(
        lambda: admin.get("/api/v1/outbox").json()["items"],
        "nothing is on its way")[0]["delivery"]
    ask("outbox.retry", "POST", "outbox/%s/retry" % delivery)
    ask("outbox.drop", "DELETE", "outbox/" + delivery)
    ask("channel.remove", "DELETE", "alert-channels/%d" % channel)
    ask("clock.correct", "POST", "site/clock/correct",
        {"time": admin.get("/api/v1/site").json()["time"],
         "reason": "it was off"})
    return asked


def check_again(asked, repeat):
    """What the second answer is."""
    answer = asked.again()
    secret = asked.name in ("join.create", "key.generate", "key.rotate",
                            "user.create", "user.reset", "totp.begin",
                            "channel.add",
                            "totp.confirm", "tenant.create")

    if asked.name == "license.return":
        expect(answer.status == 410, (asked.name, answer))
    elif repeat == "row":
        expect(answer.json()["lease"] == asked.reply["lease"]
               if answer.status == 201 else answer.code == "gone",
               (asked.name, answer))
    elif secret:
        expect(answer.status == 410 and answer.code == "gone" and
               answer.json()["hint"], (asked.name, answer))
    else:
        expect(answer.status == asked.answer.status and
               answer.json() == asked.reply, (asked.name, answer,
                                              asked.answer))


def every_operation_is_done_once_also_over_a_crash():
    with World() as world:
        site = Site(world, config=CONFIG)
        site.start()
        admin = Api(site)
        made = admin.post("/api/v1/users", {
            "login": "olga", "role": "owner", "password": PASSWORD})
        expect(made.status == 201, made)

        def log_in(password):
            done = Api(site, key="").post("/api/v1/session", {
                "login": "olga", "password": password})
            expect(done.status == 201, done)
            return done.json()["token"]

        person = Api(site, key=log_in(PASSWORD))
        asked = everything(site, admin, person)
        known = operations(admin)
        kinds = {one.name: one for one in asked}
        for name, (method, repeat) in known.items():
            expect(repeat != "once" or name in kinds or name in ELSEWHERE,
                   "%s is asked twice nowhere" % name)
        before = rows(site)
        for one in asked:
            check_again(one, known[one.name][1])
        expect(rows(site) == before,
               "a repeat did something: %s" % rows(site)[len(before):])
        site.kill()
        site.start()
        admin.close()
        person.close()
        person.key = log_in(OTHER)
        before = rows(site)
        for one in asked:
            one.api.close()
            check_again(one, known[one.name][1])
        expect(rows(site) == before, "a repeat after a crash did something: %s"
               % rows(site)[len(before):])
        expect("was not written" not in site.log(), site.log()[-2000:])
        site.verify()


def die_while(site, disk, ask):
    """The ledger dies when the next commit is on the disk, before anything
    else: whoever asked hears nothing of it."""
    disk.order(die=1)
    try:
        answer = ask()
    except OSError:
        answer = None
    wait_for(disk.obeyed, "the ledger did not die")
    site.kill()
    site.start(env=disk.env)
    return answer


def what_was_done_before_the_power_went_is_not_done_again():
    """Of each kind one: with its record, by the row it made, by nature."""
    if SLOW > 1:
        return "a sanitizer does not bear another library before it"
    with World() as world:
        site, disk = Site(world), Disk(world)
        site.start(env=disk.env)
        site.install(terms(commit=5, overage=0))
        text, _ = make_key(site)

        # Once: its record was in the same commit.
        def token(number):
            return lambda: Api(site).ask(
                "DELETE", "/api/v1/devices/tokens/1",
                headers={"Idempotency-Key": "token-%d" % number})

        expect(Api(site).post("/api/v1/devices/tokens").status == 201, "none")

        def revoked():
            page = Api(site).get("/api/v1/devices/tokens?all=true").json()
            return page["items"][0]["state"] == "revoked"

        def until_done(ask, done):
            """Should something else have been committed first, nothing was
            done, and it is tried again."""
            for number in range(20):
                answer = die_while(site, disk, ask(number))
                if done():
                    expect(answer is None or answer.status >= 500, answer)
                    return ask(number)()
            raise AssertionError("the ledger never died with it")

        again = until_done(token, revoked)
        expect(again.status == 200 and again.json()["join"] == 1, again)

        # Row: the retry gets the lease that is there.
        def checkout(number):
            def ask():
                with Program(site, text) as program:
                    answer = program.checkout("seat-%d" % number)
                    return answer
            return ask

        again = until_done(checkout, lambda: len(site.leases()) == 1)
        expect(again.status == 201 and len(site.leases()) == 1, again)
        expect(again.body["lease"] == site.leases()[0]["lease"], again)

        # By nature: done, its record is not there, and nothing is left to do.
        expect(site.cli("--json", "tenant", "create", "Gone", "--id",
                        "gone").status == 0, "no tenant")

        def tenants():
            page = Api(site).get("/api/v1/b2b/tenants").json()
            return [tenant["partnerName"] for tenant in page["tenants"]
                    if "partnerName" in tenant]

        def change(number):
            return lambda: Api(site).ask(
                "PUT", "/api/v1/b2b/tenants/gone",
                {"partnerName": "Renamed %d" % number},
                headers={"Idempotency-Key": "tenant-%d" % number})

        again = until_done(change, lambda: any(
            name.startswith("Renamed") for name in tenants()))
        expect(again.status == 200, again)
        expect(sum(name.startswith("Renamed") for name in tenants()) == 1,
               tenants())
        site.verify()


if __name__ == "__main__":
    sys.exit(main([
        every_operation_is_done_once_also_over_a_crash,
        what_was_done_before_the_power_went_is_not_done_again,
    ]))
