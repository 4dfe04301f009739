#!/usr/bin/python3
"""The API driven from its own description: random requests that fit it and
some that do not. Never a 5xx, never a crash, every answer as described.

SEED= repeats a run; SECONDS= makes it longer."""

import json
import os
import random
import sys
import time
import urllib.parse

from api import Api
from harness import Failure, Site, World, children, expect, main, terms
from schema import Misfit, Schemas, seed_of

SECONDS = float(os.environ.get("SECONDS") or 8)
# Streams do not end; passwords and copies of the site take their time.
SELDOM = {"event.follow": 0, "session.create": 0.02, "user.create": 0.2,
          "user.reset": 0.1, "password.change": 0.1, "backup.begin": 0.05,
          "backup.read": 0.1, "export.begin": 0.05, "tenant.export": 0.05,
          "restore.begin": 0.05, "tenant.create": 0.1, "tenant.delete": 0.1}
# What would take the key away that asks, or the tenant that it asks for.
OWN = {"site.key.revoke": ("1", "key-1", "admin-1"),
       "tenant.change": ("default",), "tenant.delete": ("default",)}
# So many copies at once, and no more: that is said with a 503.
FEW = ("backup.begin", "export.begin", "tenant.export", "restore.begin")


class Driver:
    def __init__(self, site, seed):
        self.rng = random.Random(seed)
        self.api = Api(site)
        self.document = self.api.get("/api/v1/openapi.json").json()
        self.schemas = Schemas(self.document)
        self.operations = [
            (method.upper(), path, op)
            for path, methods in self.document["paths"].items()
            for method, op in methods.items()]
        self.seen = {}  # numbers and texts that answers held, by name
        self.counts = {}

    # --- requests ----------------------------------------------------------

    def value_for(self, name, schema):
        known = self.seen.get(name.removesuffix("_id"))
        if known and self.rng.random() < 0.7:
            return self.rng.choice(known)
        return self.schemas.make(self.rng, schema)

    def parameters(self, op, path):
        query = []
        headers = {}
        for parameter in op.get("parameters", ()):
            parameter = self.schemas.resolve(parameter)
            name, schema = parameter["name"], parameter["schema"]
            if parameter["in"] == "path":
                value = urllib.parse.quote(
                    str(self.value_for(name, schema)), safe="") or "1"
                path = path.replace("{%s}" % name, value)
            elif parameter["in"] == "header":
                if self.rng.random() < 0.2:
                    headers[name] = "key-%d" % self.rng.randint(1, 20)
            elif parameter["required"] or self.rng.random() < 0.4:
                if name == "after":
                    continue
                value = self.schemas.make(self.rng, schema)
                if isinstance(value, bool):
                    value = str(value).lower()
                query.append((name, str(value)))
        return path, query, headers

    def body_of(self, op):
        content = op.get("requestBody")
        if content is None:
            return None, None
        schema = content["content"]["application/json"]["schema"]
        return self.schemas.make(self.rng, schema), schema

    def spoil(self, path, query, body, schema, op):
        """Make the request one that must be refused."""
        rng = self.rng
        ways = ["unknown query", "doubled query", "odd path"]
        if schema is not None:
            ways = ["body", "body", "body", "raw body", "type"]
        way = rng.choice(ways)
        headers = {"Content-Type": "application/json"} if schema else {}
        data = json.dumps(body) if schema is not None else None
        if way == "body":
            data = json.dumps(self.schemas.spoil(rng, body, schema))
        elif way == "raw body":
            data = rng.choice(("{", "[" * 3000, '{"a":1,"a":1}', "\xff",
                               data + data, data[:-1], '{"":' * 40, "nul",
                               data + "\0", "{'a': 1}", '{"a":01}',
                               "{\"\\ud800\":1}"))
        elif way == "type":
            headers["Content-Type"] = rng.choice(
                ("text/plain", "application/jsonx", "text/json", "*/*"))
        elif way == "unknown query":
            query = query + [(rng.choice(("x", "limit ", "a[]", "%00")), "1")]
        elif way == "doubled query":
            query = query + [("limit", "1"), ("limit", "1")]
        else:
            path = rng.choice((path + "/", path + "/x/%2e%2e/%2e", path + "%7f",
                               path + "%2500", "/api/v2" + path))
        return path, query, headers, data

    # --- answers -----------------------------------------------------------

    def remember(self, value):
        if isinstance(value, list):
            for item in value[:20]:
                self.remember(item)
        if not isinstance(value, dict):
            return
        for name, member in value.items():
            if isinstance(member, (dict, list)):
                self.remember(member)
            elif isinstance(member, (int, str)) and \
                    not isinstance(member, bool) and member != "":
                known = self.seen.setdefault(name.removesuffix("_id"), [])
                if member not in known:
                    known.append(member)
                del known[:-10]

    def judge(self, op, answer, spoiled, what):
        few = op.get("operationId") in FEW and answer.status == 503 and \
            "Retry-After" in answer.headers
        expect(answer.status < 500 or few, "%s: %r" % (what, answer))
        expect(not spoiled or answer.status >= 400,
               "%s: taken, and it was none: %r" % (what, answer))
        expect(answer.headers.get("X-Content-Type-Options") == "nosniff" and
               answer.headers.get("Cache-Control") == "no-store",
               "%s: %s" % (what, answer.headers))
        kind = answer.headers.get("Content-Type", "")
        responses = op["responses"]
        response = self.schemas.resolve(
            responses.get(str(answer.status)) or responses["default"])
        if answer.status < 300:
            expect(str(answer.status) in responses,
                   "%s: %d is not described" % (what, answer.status))
        content = response["content"]
        expect(kind in content, "%s: %s is not described" % (what, kind))
        if not kind.endswith("json"):
            return
        value = answer.json()
        try:
            self.schemas.check(value, content[kind]["schema"])
        except Misfit as misfit:
            expect(False, "%s: %d %s\n%r" % (what, answer.status, misfit,
                                             answer))
        if answer.status < 300 and op["operationId"] != "openapi":
            self.remember(value)

    def step(self):
        method, path, op = self.rng.choice(self.operations)
        name = op["operationId"]
        if self.rng.random() >= SELDOM.get(name, 1):
            return
        body, schema = self.body_of(op)
        path, query, headers = self.parameters(op, path)
        if urllib.parse.unquote(path).rsplit("/", 1)[1] in OWN.get(name, ()):
            return
        spoiled = self.rng.random() < 0.35
        if spoiled:
            path, query, more, data = self.spoil(path, query, body, schema,
                                                 op)
            headers.update(more)
        else:
            data = json.dumps(body) if schema is not None else None
            if data is not None:
                headers["Content-Type"] = "application/json"
        if query:
            path += "?" + urllib.parse.urlencode(
                query, quote_via=urllib.parse.quote)
        if self.rng.random() < 0.98:
            headers["Authorization"] = "Bearer " + self.api.key
        if isinstance(data, str):
            data = data.encode("latin-1", "replace") \
                if data == "\xff" else data.encode()
        if data is None and method in ("POST", "PUT"):
            data = b""
        what = "%s %s %s" % (method, path, data and data[:300])
        try:
            answer = self.api.raw(method, path, data, headers)
        except Exception as why:
            raise Failure("%s: %r" % (what, why)) from why
        odd = path.count("?") == 0 and spoiled and schema is None
        if odd and answer.status in (404, 400):
            op = {"responses": {"default": {"$ref":
                  "#/components/responses/problem"}}}
        self.judge(op, answer, spoiled, what)
        if answer.status == 401 and "Authorization" in headers and \
                name != "session.create":
            said = self.api.get("/api/v1/site")
            expect(said.status in (200, 429),
                   "%s: took our own key away: %r" % (what, said))
        key = (name, answer.status)
        self.counts[key] = self.counts.get(key, 0) + 1


def every_answer_is_as_described():
    seed = seed_of(os.environ)
    print("# seed %d" % seed)
    with World() as world:
        site = Site(world)
        site.start()
        for name in ("one", "two"):
            site.install(terms(product=name))
        site.token()
        before = children(site.process.pid)
        driver = Driver(site, seed)
        end = time.monotonic() + SECONDS
        steps = 0
        try:
            while time.monotonic() < end:
                driver.step()
                steps += 1
        except Exception:
            print("# seed %d, step %d" % (seed, steps))
            raise
        expect(children(site.process.pid) == before, "a process has ended")
        site.verify()
        done = {name for name, status in driver.counts if status < 300}
        print("# %d requests, %d of %d operations answered with success"
              % (steps, len(done), len(driver.operations)))
        expect(steps > 40, "only %d requests" % steps)
        if os.environ.get("TELL"):
            for (name, status), n in sorted(driver.counts.items()):
                print("# %-28s %d %6d" % (name, status, n))


if __name__ == "__main__":
    sys.exit(main([
        every_answer_is_as_described,
    ]))
