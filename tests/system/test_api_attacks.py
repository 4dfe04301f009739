#!/usr/bin/python3
"""Attacks on the HTTP API, made out of its own description, so that no route is
forgotten: without a credential, with every role, with paths and words that mean
something else to somebody else."""

import posixpath
import random
import re
import statistics
import time
import urllib.parse

from api import Api
from harness import (SLOW, Failure, Site, World, expect, main, terms,
                     wait_for)
from hostile import ask_raw, read_until, greet
from schema import Schemas

ROLES = {
    "owner": {"admin:read", "admin:licenses", "admin:leases", "admin:devices",
              "admin:keys", "admin:users", "admin:subjects", "admin:audit",
              "usage:read", "user:self"},
    "operator": {"user:self", "admin:read", "usage:read", "admin:devices",
                 "admin:leases"},
    "auditor": {"user:self", "admin:read", "usage:read", "admin:audit"},
    "viewer": {"user:self", "admin:read", "usage:read"},
}
ROLES["admin"] = ROLES["owner"]
# These end what the matrix goes by, or never answer: looked at one by one.
LAST = {"session.end", "password.change"}
STREAMS = {"event.follow"}
# Each takes the time of a password, whatever is said.
PASSWORDS = {"session.create"}


class Routes:
    """Every operation of the document that is of this place, and a request
    that fits it."""

    def __init__(self, api, elsewhere="hub"):
        self.document = api.get("/api/v1/openapi.json").json()
        self.schemas = Schemas(self.document)
        self.rng = random.Random(7)
        self.all = []
        for path, methods in self.document["paths"].items():
            for method, op in methods.items():
                scopes = [scope for need in op["security"]
                          for names in need.values() for scope in names]
                expect(len(scopes) <= 1, "%s needs %s" % (path, scopes))
                if op["x-leasehold-place"] == elsewhere:
                    continue  # here it does not exist
                self.all.append((method.upper(), path, op,
                                 scopes[0] if scopes else None))
        self.all.sort(key=lambda r: r[2]["operationId"] in LAST)
        expect(len(self.all) > 50, "%d operations" % len(self.all))

    def request(self, path, op):
        query = []
        for parameter in op.get("parameters", ()):
            parameter = self.schemas.resolve(parameter)
            if parameter["in"] == "path":
                schema = self.schemas.resolve(parameter["schema"])
                value = "999999" if schema.get("type") == "integer" else \
                    str(self.schemas.make(self.rng, schema))
                if not re.fullmatch(r"[A-Za-z0-9_-]+", value):
                    value = "none-such"
                # So many bytes: a character may be of four.
                value = value.ljust(4 * schema.get("minLength", 0), "0")
                value = value[:schema.get("maxLength")]
                path = path.replace("{%s}" % parameter["name"], value)
            elif parameter["in"] == "query" and parameter.get("required"):
                schema = self.schemas.resolve(parameter["schema"])
                # So many bytes: a character may be of four.
                value = "x" * max(1, 4 * schema.get("minLength", 0))
                if schema.get("format") == "date":
                    value = "2026-01-31"
                query.append("%s=%s" % (parameter["name"],
                                        value[:schema.get("maxLength")]))
        body = None
        if "requestBody" in op:
            schema = op["requestBody"]["content"]["application/json"]["schema"]
            # What need not be there may break rules that no schema says.
            needed = self.schemas.resolve(schema).get("required", ())
            body = {name: value for name, value in
                    self.schemas.make(self.rng, schema).items()
                    if name in needed}
        return path + ("?" + "&".join(query) if query else ""), body


def log_in(api, login, password, change=None):
    answer = api.ask("POST", "/api/v1/session",
                     {"login": login, "password": password}, key="")
    expect(answer.status == 201, answer)
    token = answer.json()["token"]
    if change:
        done = api.ask("POST", "/api/v1/session/password",
                       {"password": password, "new_password": change},
                       key=token)
        if done.status == 400:
            fields = done.json()
            raise Failure("password.change: %s" % fields)
        expect(done.status == 200, done)
    return token


def person(api, login, role):
    """A user who may do what his role says, and his session."""
    made = api.post("/api/v1/users", {"login": login, "role": role})
    expect(made.status == 201, made)
    password = "nobody would guess this %d" % len(login)
    return log_in(api, login, made.json()["password"], password)


def refused(answer, status, code, words):
    expect(answer.status == status and answer.code == code,
           "%s: %r" % (words, answer))


def patient(ask, status, code, words):
    """Strangers are asked to wait after a few in a second."""
    answer = wait_for(lambda: (lambda a: a if a.status != 429 else None)(ask()),
                      words + ": too many requests", 10, 0.2)
    refused(answer, status, code, words)


def without_a_credential_every_route_is_closed():
    bad = ["clsk_default_" + "A" * 43, "lhus_default_" + "A" * 43, "x",
           "clsk_" + "A" * 900, "clsk_nobody_" + "B" * 43]
    with World() as world:
        site = Site(world)
        site.start()
        admin = Api(site)
        routes = Routes(admin)
        api = Api(site, key="")
        nowhere = set()
        for method, path, op, scope in routes.all:
            if scope is None or op["operationId"] in STREAMS:
                continue
            url, body = routes.request(path, op)
            if method == "GET" and "{" not in path and \
                    admin.get(url).status == 404:
                nowhere.add(path)  # it is there for nobody
                continue
            patient(lambda: api.ask(method, url, body), 401,
                    "unauthenticated", method + " " + path)
        # A credential that is none: the same words as for no route at all.
        for i, (method, path, op, scope) in enumerate(routes.all):
            if scope is None or op["operationId"] in STREAMS or \
                    path in nowhere:
                continue
            url, body = routes.request(path, op)
            answer = api.ask(method, url, body, key=bad[i % len(bad)])
            expect(answer.status in (400, 401, 429, 431),
                   "%s %s: %r" % (method, path, answer))
        # How many of those were answered by the rate is the machine's matter.
        for key in bad:
            if len(key) < 100:
                patient(lambda: api.ask("GET", "/api/v1/site", None, key=key),
                        401, "unauthenticated", key)
        expect(site.ready(), "the site is gone")


def a_role_may_what_its_scopes_say_and_nothing_else():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        api = Api(site, timeout=60)
        routes = Routes(api)
        there = {op["operationId"] for method, path, op, _ in routes.all
                 if method == "GET" and "{" not in path and
                 op["operationId"] not in STREAMS and
                 api.get(routes.request(path, op)[0]).status != 404}
        expect(len(there) > 10, there)
        person(api, "spare", "owner")
        for role, scopes in ROLES.items():
            token = person(api, "a-" + role, role)
            mine = Api(site, key=token, timeout=60)
            for method, path, op, scope in routes.all:
                name = op["operationId"]
                if scope is None or name in STREAMS:
                    continue
                if method == "GET" and "{" not in path and \
                        name not in there:
                    continue
                if scope in scopes and (name in LAST or scope == "user:self"):
                    continue
                url, body = routes.request(path, op)
                # What is allowed need not be done to be seen.
                if scope in scopes and method != "GET":
                    body = {"no such field": 1}
                    if method == "DELETE":
                        continue
                try:
                    answer = mine.ask(method, url, body)
                except TimeoutError:
                    raise Failure("no answer: %s %s" % (method, url))
                words = "%s: %s %s" % (role, method, path)
                if scope in scopes:
                    expect(answer.status not in (401, 403), "%s: %r"
                           % (words, answer))
                else:
                    refused(answer, 403, "forbidden", words)
            expect(mine.get("/api/v1/session").status == 200, role)


def another_tenants_key_opens_no_route():
    """Two tenants, the same numbers in both; every route of the document with
    the key of the one, at the host of the other and at its own."""
    with World() as world:
        site = Site(world)
        site.start()
        admin = Api(site, timeout=60)
        routes = Routes(admin)
        keys = {}
        for name in ("alpha", "beta"):
            made = admin.post("/api/v1/b2b/tenants", {
                "partnerName": name, "licenseType": "custom",
                "contactInfo": {"name": "marker-" + name,
                                "email": "a@%s.example" % name},
                "tenantId": name, "hosts": [name + ".example"]})
            expect(made.status == 201, made)
            keys[name] = made.json()["tenant"]["apiSecret"]
            its = {"key": keys[name], "headers": {"Host": name + ".example"}}
            for n in range(3):
                answer = admin.post("/api/v1/devices/tokens",
                                    {"hosts": ["marker-%s-%d" % (name, n)]},
                                    **its)
                expect(answer.status == 201, answer)
            answer = admin.post("/api/v1/users", {
                "login": "marker-" + name, "role": "viewer"}, **its)
            expect(answer.status == 201, answer)
        mine = Api(site, key=keys["alpha"], timeout=60)
        theirs = b"marker-beta"
        seen = malformed = 0
        for method, path, op, scope in routes.all:
            name = op["operationId"]
            if scope is None or name in STREAMS:
                continue
            # What is malformed goes no further than the front: not that.
            for _ in range(40):
                url, body = routes.request(path, op)
                url = url.replace("999999", "1").replace("none-such", "beta")
                answer = mine.ask(method, url, body,
                                  headers={"Host": "beta.example"})
                if answer.status != 400:
                    break
            malformed += answer.status == 400
            if answer.status == 404 and admin.ask(method, url,
                                                  body).status == 404 \
                    and "{" not in path:
                continue  # it is there for nobody
            if answer.status == 400:
                continue
            words = "%s %s" % (method, url)
            expect(answer.status in (401, 403), "%s at beta: %r"
                   % (words, answer))
            expect(answer.code in ("wrong_tenant", "unauthenticated"),
                   "%s at beta: %r" % (words, answer))
            if method == "DELETE" or scope == "user:self":
                continue
            answer = mine.ask(method, url, body,
                              headers={"Host": "alpha.example"})
            expect(theirs not in answer.body and
                   b"beta.example" not in answer.body,
                   "%s at alpha leaks: %r" % (words, answer))
            expect(answer.status < 500 or answer.status == 503,
                   "%s at alpha: %r" % (words, answer))
            if scope.startswith("site:"):
                expect(answer.status == 403, "%s: %r" % (words, answer))
            seen += b"marker-alpha" in answer.body
        expect(malformed <= 6, "%d routes were not tried" % malformed)
        expect(seen >= 2, "alpha saw nothing of its own: %d" % seen)
        # And beta is as it was.
        its = {"key": keys["beta"], "headers": {"Host": "beta.example"}}
        answer = admin.get("/api/v1/devices/tokens", **its)
        expect(answer.body.count(theirs) == 3, answer)
        expect(theirs in admin.get("/api/v1/users", **its).body,
               "a user of beta is gone")


def a_role_gives_no_more_than_it_has():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site, timeout=60)
        owner = api.post("/api/v1/users", {"login": "boss", "role": "owner"})
        boss = owner.json()["user"]["user"]
        admin = Api(site, key=person(api, "chief", "admin"))
        refused(admin.post("/api/v1/users", {"login": "more",
                                             "role": "owner"}),
                403, "forbidden", "an admin makes an owner")
        for method, path, body in (
                ("PUT", "/api/v1/users/%d" % boss, {"role": "viewer"}),
                ("DELETE", "/api/v1/users/%d" % boss, None),
                ("POST", "/api/v1/users/%d/disable" % boss, {}),
                ("POST", "/api/v1/users/%d/reset" % boss, {}),
                ("DELETE", "/api/v1/users/%d/totp" % boss, None),
                # By the way round: as a person who is erased.
                ("POST", "/api/v1/subjects/erase", {"name": "boss"})):
            refused(admin.ask(method, path, body), 403, "forbidden",
                    "%s %s of an owner by an admin" % (method, path))
        expect(api.get("/api/v1/users/%d" % boss).json()["state"] == "active",
               "he is gone")


def an_erased_person_has_no_session():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site, timeout=60)
        his = Api(site, key=person(api, "leaver", "viewer"))
        expect(his.get("/api/v1/session").status == 200, "not logged in")
        done = api.post("/api/v1/subjects/erase", {"name": "leaver"})
        expect(done.status == 200 and len(done.json()["users"]) == 1, done)
        refused(his.get("/api/v1/session"), 401, "unauthenticated",
                "his session goes on")
        answer = api.ask("POST", "/api/v1/session", {
            "login": "leaver", "password": "nobody would guess this 6"}, key="")
        expect(answer.status == 401, answer)
        expect("leaver" not in api.get("/api/v1/users").body.decode(),
               "he is listed")


def paths_mean_one_thing():
    """What is no route as it is written is none, however it is written."""
    head = b"GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n" \
           b"Connection: close\r\n\r\n"
    paths = [b"/api/v1/../v1/site", b"/api/v1/./site", b"/api/v1//site",
             b"//api/v1/site", b"/api/v1/site/", b"/api/v1/%73ite/..",
             b"/api/v1/%2e%2e/v1/site", b"/api/v1/..%2fv1%2fsite",
             b"/api%2fv1%2fsite", b"/api/v1/leases/..%2fsite",
             b"/api/v1/leases/%2e%2e%2fsite", b"/api/v1/leases/..%5csite",
             b"/api/v1\\site", b"/api/v1/leases/1;x", b"/api/v1/site;/x",
             b"/api/v1/site%00", b"/api/v1/site%0d%0aX:y", b"/API/v1/site",
             b"/api/v1/users/1%2freset", b"/api/v1/leases/1%2F",
             b"/etc/passwd", b"/../../../../etc/passwd",
             b"/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
             b"/api/v1/exports/..%2f..%2fkeys%2fsite.key",
             b"/api/v1/backups/..%2f..%2fkeys", b"/metrics/../healthz",
             b"/healthz/../api/v1/site", b"/.well-known/../healthz",
             b"/api/v1/site%3fa=b", b"/api/v1/leases/%31%30%20",
             b"/api/v1/leases/0x1", b"/api/v1/leases/+1",
             b"/api/v1/leases/1e0", b"/api/v1/leases/01",
             b"/api/v1/leases/-1", b"/api/v1/leases/99999999999999999999"]
    with World() as world:
        site = Site(world)
        site.start()
        for path in paths:
            plain = urllib.parse.unquote_to_bytes(path.split(b"?")[0])
            means = posixpath.normpath(plain.decode("latin-1"))
            means = means.replace("//", "/")
            for key in (site.key, "none"):
                answer = ask_raw(site, head % (path, key.encode()), 5,
                                 "127.0.6.%d" % (1 + len(path) % 9))
                status = int(answer[9:12] or 0)
                # Hung up on; or refused. Dots and slashes may be taken away; then it is that route,
                # and as closed as that.
                fine = not answer or 400 <= status < 500 or status == 200 and (
                    means == "/healthz" or
                    means == "/api/v1/site" and key == site.key)
                expect(fine, "%r: %r" % (path, answer[:200]))
                expect(b"root:" not in answer and (
                    status != 200 or b'"site_key"' in answer or
                    means == "/healthz"), "%r: %r" % (path, answer[:300]))
        expect(site.ready(), "the site is gone")


def nobody_writes_lines_into_the_log():
    mark = "FORGED"
    evil = "x\r\n2026-11-22T00:00:00Z ledger error ALERT: %s\x1b[2J" % mark
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)
        for ask in (
                lambda: api.ask("POST", "/api/v1/session",
                                {"login": evil[:60], "password": evil}, key=""),
                lambda: api.post("/api/v1/users",
                                 {"login": evil[:60], "role": "viewer"}),
                lambda: api.post("/api/v1/subjects/erase", {"name": evil}),
                lambda: api.post("/api/v1/subjects/export",
                                 {"name": evil, "cursor": evil[:20]}),
                lambda: api.post("/api/v1/devices/tokens",
                                 {"hosts": [evil]}),
                lambda: api.post("/api/v1/site/clock/correct",
                                 {"time": "2020-01-01T00:00:00Z",
                                  "reason": evil}),
                lambda: api.post("/api/v1/licenses", {"license": evil})):
            answer = ask()
            expect(answer.status < 500, answer)
        for raw in (b"GET /api/v1/%0d%0aFORGED HTTP/1.1\r\nHost: x\r\n"
                    b"Connection: close\r\n\r\n",
                    b"GET /healthz HTTP/1.1\r\nHost: FORGED\x1b[2J\r\n"
                    b"Connection: close\r\n\r\n",
                    b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: "
                    b"1\nFORGED\r\nConnection: close\r\n\r\n",
                    b"GET /healthz HTTP/1.1\nHost: x\nX-FORGED: y\n\n"):
            ask_raw(site, raw, 3, "127.0.6.2")
        expect(site.ready(), "the site is gone")
        site.stop()
        for line in site.log().splitlines():
            # A sanitizer has its own manner.
            if SLOW > 1 and line.startswith("=="):
                continue
            expect(not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", line),
                   "control bytes in the log: %r" % line)
            expect(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z \w+ \w+ \w+", line) and
                   not line.startswith("2026-11-22T00:00:00Z ledger"),
                   "a line that nobody of ours wrote: %r" % line)


def who_writes_a_body_slowly_holds_up_nobody():
    """Bodies that come byte by byte, from one who may ask: how long they may
    take is check_net_http's, here it is what others feel."""
    with World() as world:
        site = Site(world)
        site.start()
        head = (b"POST /api/v1/users HTTP/1.1\r\nHost: x\r\n"
                b"Authorization: Bearer %s\r\n"
                b"Content-Type: application/json\r\n"
                b"Content-Length: 60000\r\n\r\n" % site.key.encode())
        socks = [greet(site, "127.0.6.%d" % (10 + i % 4)) for i in range(40)]
        api = Api(site)
        for sock in socks:
            sock.sendall(head + b"{")
        for _ in range(8):
            for sock in socks:
                sock.sendall(b" ")
            began = time.monotonic()
            expect(api.get("/api/v1/site").status == 200, "nobody is served")
            expect(time.monotonic() - began < 2 * SLOW, "others wait")
        for sock in socks:
            sock.close()
        expect(api.get("/api/v1/users").json()["items"] == [],
               "half a request was done")


def a_key_is_not_found_letter_by_letter():
    """A wrong key takes as long when its beginning is right: it is looked up
    by a hash. Medians, taken in turns, of many addresses."""
    with World() as world:
        site = Site(world)
        site.start()
        right = site.key
        near = right[:-1] + ("A" if right[-1] != "A" else "B")
        far = right.rsplit("_", 1)[0] + "_" + "z" * len(
            right.rsplit("_", 1)[1])
        took = {near: [], far: []}
        for host in range(1, 41):
            with greet(site, "127.0.7.%d" % host) as sock:
                for i in range(8):
                    key = (near, far)[(i + host) % 2]
                    request = (b"GET /api/v1/site HTTP/1.1\r\nHost: x\r\n"
                               b"Authorization: Bearer %s\r\n\r\n"
                               % key.encode())
                    began = time.perf_counter()
                    sock.sendall(request)
                    got = read_until(sock, b"}")
                    spent = time.perf_counter() - began
                    if got.startswith(b"HTTP/1.1 401") and i > 1:
                        took[key].append(spent)
        expect(min(map(len, took.values())) > 50,
               "%s answers" % [len(t) for t in took.values()])
        a, b = (statistics.median(t) for t in took.values())
        # Whole letters compared one by one would be nanoseconds; this catches
        # a slow check that only a nearly right key gets to.
        expect(0.5 < a / b < 2, "medians of %.0f and %.0f us"
               % (a * 1e6, b * 1e6))


if __name__ == "__main__":
    main([without_a_credential_every_route_is_closed,
          a_role_may_what_its_scopes_say_and_nothing_else,
          another_tenants_key_opens_no_route,
          a_role_gives_no_more_than_it_has, an_erased_person_has_no_session,
          paths_mean_one_thing, nobody_writes_lines_into_the_log,
          who_writes_a_body_slowly_holds_up_nobody, a_key_is_not_found_letter_by_letter],
         together=True)
