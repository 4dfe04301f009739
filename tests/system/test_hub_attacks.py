#!/usr/bin/python3
"""A hub's routes, made out of its own description, so that none is forgotten:
asked without a key, with another vendor's name, with another account's key; and
what of it stands in the audit."""

import random
import sys

from harness import World, expect, main, wait_for
from schema import Schemas
from test_api_attacks import Routes, STREAMS, patient, refused
from test_hub import order, setting


def credit():
    return {"credit_id": "CN-1", "customer_crm_id": "ACC-98765",
            "period": "2026-01", "amount": 10, "currency": "EUR",
            "reason": "outage"}


# Rules that no schema says.
KNOWN = {"hub.generate": order, "billing.credit.add": credit}


class Plain(random.Random):
    """The middle of everything: only members that must be there."""

    def random(self):
        return 0.5


class PlainSchemas(Schemas):
    @staticmethod
    def make_text(rng, schema):
        if "x-maxBytes" not in schema or "format" in schema:
            return Schemas.make_text(rng, schema)
        # So many bytes at least: a character may be of four.
        return "X" * min(schema["maxLength"],
                         max(1, 4 * schema.get("minLength", 0)))


def of_hubs(api):
    """Operation and request of each route that a site does not have, but those
    that anybody may ask for."""
    maker = Routes(api, "site")
    maker.rng, maker.schemas = Plain(), PlainSchemas(maker.document)
    routes = [(method, *maker.request(path, op), op["operationId"])
              for method, path, op, scope in maker.all
              if op["x-leasehold-place"] == "hub" and scope is not None and
              op["operationId"] not in STREAMS]
    expect(len(routes) > 20, "%d operations" % len(routes))
    return [(method, url, KNOWN[name]() if name in KNOWN else body, name)
            for method, url, body, name in routes]


def entries(hub, *args):
    found = hub.cli("--json", "audit", "search", "--all", *args)
    expect(found.status == 0, found.err)
    return found.json()["items"]


def nobody_without_a_key_learns_anything_of_a_hub():
    with World() as world:
        hub, api = setting(world)
        for method, url, body, name in of_hubs(api):
            patient(lambda: api.ask(method, url, body, key=""), 401,
                    "unauthenticated", name)
        expect(hub.ready(), "the hub is gone")


def a_key_works_for_no_vendor_but_its_own():
    with World() as world:
        hub, api = setting(world)
        told = set()
        for method, url, body, name in of_hubs(api):
            for vendor in ("etas", "vecto", "vector2", "VECTOR"):
                answer = api.ask(method, url, body,
                                 headers={"X-Vendor-ID": vendor})
                refused(answer, 403, "forbidden", name)
                expect("X-Vendor-ID" in answer.json()["detail"], answer)
            if method != "GET":
                told.add(name)
            # Its own name changes nothing; what is asked for is another matter.
            if method == "GET":
                own = api.ask(method, url, body,
                              headers={"X-Vendor-ID": "vector"})
                none = api.ask(method, url, body)
                expect(own.status == none.status and
                       own.status not in (401, 403), (name, own))
        expect(len(told) > 10, told)
        # Each of them stands in the audit, by name.
        wait_for(lambda: not told - {entry["event"] for entry in
                                     entries(hub, "--result", "forbidden")},
                 "not every refusal is told")


def what_sites_have_too_is_of_one_vendor_at_a_hub():
    """A statement, an export, a user: there for both roles, and here a
    vendor's."""
    days = "start_date=2026-01-01&end_date=2026-01-31"
    with World() as world:
        hub, api = setting(world)
        for path in ("/api/v1/billing/statement?period=2026-01",
                     "/api/v1/billing/overage?" + days,
                     "/api/v1/billing/evidence?period=2026-01&license=lic-1",
                     "/api/v1/users", "/api/v1/keys", "/api/v1/audit",
                     "/api/v1/alerts", "/api/v1/usage/stats"):
            answer = api.get(path, headers={"X-Vendor-ID": "etas"})
            refused(answer, 403, "forbidden", path)
            expect("X-Vendor-ID" in answer.json()["detail"], answer)
            own = api.get(path, headers={"X-Vendor-ID": "vector"})
            expect(own.status == api.get(path).status and
                   own.status not in (401, 403), (path, own))


def another_accounts_key_opens_no_route_of_a_hub():
    with World() as world:
        hub, api = setting(world)
        other = hub.account("etas")
        for method, url, body, name in of_hubs(api):
            patient(lambda: api.ask(method, url, body, key=other.key), 403,
                    "wrong_tenant", name)


if __name__ == "__main__":
    sys.exit(main([
        nobody_without_a_key_learns_anything_of_a_hub,
        a_key_works_for_no_vendor_but_its_own,
        what_sites_have_too_is_of_one_vendor_at_a_hub,
        another_accounts_key_opens_no_route_of_a_hub,
    ]))
