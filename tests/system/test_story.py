#!/usr/bin/python3
"""The whole story of a customer, end to end: a tenant, its license, a key that
is bound to host, address, certificate, application, hours and rate, a checkout
that passes all of it, each check failing by itself with its own code, and the
row of every one, read back with the command line."""

import base64
import datetime
import hashlib
import json
import subprocess
import sys

from by_key import Program
from harness import (PRODUCT, Site, World, binary, expect, main, run, terms, wait_for)

TENANT = "mercedes"
HOST = "mercedes.site.localhost"
BUILD_HOST = "build-7"
PRINT = hashlib.sha256(b"configurator 8.1").hexdigest()
OTHER_PRINT = hashlib.sha256(b"another program").hexdigest()
EVERY_DAY = {"days": "mon-sun", "from": "00:00", "to": "24:00"}
RIGHT = {"Host": HOST, "X-Hostname": BUILD_HOST, "X-App-Fingerprint": PRINT,
         "X-Lib-Version": "2.1"}


def make_certificates(world):
    """A CA of clients and two certificates of it: name -> (cert, key)."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, cwd=world.path(),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes"]
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.crt",
            "-days", "2", "-subj", "/CN=clients of the plant")
    made = {}
    for name in (BUILD_HOST, "build-8"):
        openssl("req", *new_key, "-keyout", name + ".key", "-out",
                name + ".csr", "-subj", "/CN=" + name)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt",
                "-CAkey", "ca.key", "-CAcreateserial", "-out", name + ".crt",
                "-days", "2")
        made[name] = (world.path(name + ".crt"), world.path(name + ".key"))
    return world.path("ca.crt"), made


class Tenant:
    """The customer's admin, with the key that he was given."""

    def __init__(self, site, key):
        self.site, self.key = site, key
        self.world = site.world

    def ask(self, method, path, body=None, status=200):
        with Program(self.site, self.key, {"Host": HOST}) as admin:
            answer = admin.ask(method, path, body)
        expect(answer.status == status, "%s %s: %r" % (method, path, answer))
        return answer.body

    def request(self):
        """The activation request, for the vendor."""
        return self.ask("GET", "/api/v1/site/request")["request"] + "\n"

    def install(self, document):
        with open(self.world.issue(self, document)) as f:
            return self.ask("POST", "/api/v1/licenses", json.load(f), 201)

    def make_key(self, restrictions=None, **more):
        made = self.ask("POST", "/api/v1/keys/generate", dict({
            "app_name": "Configurator", "app_type": "ci_cd",
            "scopes": ["license:checkout", "license:return"],
            "expires_in_days": 90,
            "metadata": {"hostname": BUILD_HOST, "department": "R&D",
                         "contact": "ci@plant.example"}}, **more), 201)
        if restrictions:
            self.ask("POST", "/api/v1/keys/%s/restrictions" % made["key_id"],
                     restrictions)
        return made["api_key"], int(made["key_id"].split("-")[1])

    def rows(self, kind):
        """Rows of a kind, as the command line reads them."""
        shown = run(binary("leasehold"), "--json", "audit", "tail", "-n",
                    "1000", env={
                        "LICENSE_SERVER_URL": "https://%s:%d" % (
                            HOST, self.site.port),
                        "LICENSE_API_KEY": self.key,
                        "LICENSE_CA_FILE": self.site.ca})
        expect(shown.status == 0, "audit tail: " + shown.err)
        rows = [json.loads(line) for line in shown.out.splitlines()]
        return [row["fact"] for row in rows if row["kind"] == kind]

    def subject(self, subject):
        return self.ask("GET", "/api/v1/subjects/" + subject)["value"]


def setting(world):
    """The site with its customer, and the client certificates."""
    ca, certificates = make_certificates(world)
    site = Site(world, config="[tls]\nclient_ca=%s\n" % ca,
                hosts=("site.localhost", "127.0.0.1"))
    site.start()
    with Program(site, site.key) as admin:
        made = admin.ask("POST", "/api/v1/b2b/tenants", {
            "partnerName": "Mercedes-Benz AG", "tenantId": TENANT,
            "licenseType": "api-access", "tier": "professional",
            "contactInfo": {"name": "Erika Muster",
                            "email": "erika@mercedes.example"}})
    expect(made.status == 201, "b2b/tenants: %r" % made)
    tenant = Tenant(site, made.body["tenant"]["apiSecret"])
    tenant.install(terms(commit=1, overage=1))
    return site, tenant, certificates


def bind_everything(tenant):
    """Seven layers on one key."""
    return tenant.make_key({
        "allowed_ip_ranges": ["127.0.0.1/32", "2001:db8::/32"],
        "client_cert_cn": BUILD_HOST,
        "fingerprint_mode": "enforce",
        "allowed_fingerprints": [{"fingerprint": PRINT,
                                  "lib_version": "2.1"}],
        "checkouts_per_minute": 100, "requests_per_hour": 1000,
        "working_hours": EVERY_DAY},
        allowed_hostnames=[BUILD_HOST], require_mtls=True)


def without(name):
    return {key: value for key, value in RIGHT.items() if key != name}


def single_failures(site, key, certificates):
    """Everything is right but one thing: (code, answer)."""
    def checkout(headers=RIGHT, certificate=BUILD_HOST, **more):
        with Program(site, key, headers, certificate=certificates.get(
                certificate), **more) as program:
            return program.checkout()

    return [
        ("wrong_tenant", checkout(dict(RIGHT, Host="site.localhost"))),
        ("hostname_not_allowed", checkout(dict(RIGHT, **{
            "X-Hostname": "build-8"}))),
        ("hostname_not_allowed", checkout(without("X-Hostname"))),
        ("ip_not_allowed", checkout(address="127.0.0.9")),
        ("certificate_not_allowed", checkout(certificate=None)),
        ("certificate_not_allowed", checkout(certificate="build-8")),
        ("fingerprint_blocked", checkout(dict(RIGHT, **{
            "X-App-Fingerprint": OTHER_PRINT}))),
        ("fingerprint_blocked", checkout(dict(RIGHT, **{
            "X-Lib-Version": "1.0"}))),
    ]


def a_customer_from_the_first_day_to_the_audit():
    with World() as world:
        site, tenant, certificates = setting(world)
        key, number = bind_everything(tenant)
        expect(key.startswith("clsk_%s_" % TENANT), key)
        right = {"headers": RIGHT, "certificate": certificates[BUILD_HOST]}

        # All of it is met: a seat, from there, for them.
        with Program(site, key, **right) as program:
            lease = program.take(user="erika")
            overage = program.take(user="erika")
            expect(overage["type"] == "overage" and
                   overage["overage_cost"] == 500.00, overage)
            refused = program.checkout(user="erika")
            expect(refused.code == "overage_exhausted", refused)
            expect(program.renew(lease["id"]).status == 200, "renewal")
            expect(program.give_back(overage["id"]).status == 200, "return")

        # One thing is wrong, each time another.
        codes = ["overage_exhausted"]
        for code, answer in single_failures(site, key, certificates):
            expect(answer.code == code and answer.status == 403,
                   "%s: %r" % (code, answer))
            codes.append(code)
        others = refused_for_themselves(site, tenant, codes)

        # Every one has its row. Those of a minute are one, with a count; a
        # stop journals them at once.
        site.stop()
        site.start()
        wait_for(lambda: tenant.rows("started"), "the journal")
        check_denials(tenant, number, others, codes)
        check_grants(tenant, number, lease)


def refused_for_themselves(site, tenant, codes):
    """Keys that something about themselves is wrong with."""
    def checkout(key):
        with Program(site, key, RIGHT) as program:
            return program.checkout()

    key, hours = tenant.make_key({"working_hours": {
        "days": "mon-sun", "from": "00:00", "to": "00:01",
        "zone": far_zone()}})
    answer = checkout(key)
    expect(answer.status == 403 and answer.code == "outside_hours", answer)
    codes.append("outside_hours")

    key, slow = tenant.make_key({"checkouts_per_minute": 1})
    with Program(site, key, RIGHT) as program:
        lease = program.take()
        program.give_back(lease["id"])
        answer = program.checkout()
    expect(answer.status == 429 and answer.code == "rate_limited" and
           int(answer.headers["Retry-After"]) >= 1, answer)
    codes.append("rate_limited")

    key, narrow = tenant.make_key(scopes=["license:return"])
    answer = checkout(key)
    expect(answer.status == 403 and answer.code == "forbidden", answer)
    codes.append("forbidden")

    key, gone = tenant.make_key()
    tenant.ask("DELETE", "/api/v1/keys/key-%d" % gone)
    answer = checkout(key)
    expect(answer.status == 401 and answer.code == "unauthenticated", answer)
    codes.append("device_revoked")  # what its row says
    return [hours, slow, narrow, gone]


def far_zone():
    """A zone where it is not midnight now."""
    hour = datetime.datetime.now(datetime.timezone.utc).hour
    return "UTC" if 2 <= hour <= 21 else "Asia/Tokyo"


def check_denials(tenant, number, others, codes):
    rows = tenant.rows("key.denied")
    for code in set(codes):
        found = [row["denied"] for row in rows
                 if row["denied"]["code"] == code and
                 row["denied"]["device"] in [number, *others]]
        expect(sum(denied["count"] for denied in found) ==
               codes.count(code), "%s: %s" % (code, rows))

    def one(code):
        return next(row for row in rows if row["denied"]["code"] == code and
                    row["denied"]["device"] == number)
    # Who, for whom, from where, with what.
    expect(tenant.subject(one("ip_not_allowed")["address"]) == "127.0.0.9",
           one("ip_not_allowed"))
    full = one("overage_exhausted")
    expect(full["denied"]["product"] == PRODUCT and
           tenant.subject(full["user"]) == "erika" and
           tenant.subject(full["host"]) == BUILD_HOST, full)
    blocked = base64.urlsafe_b64decode(
        one("fingerprint_blocked")["fingerprint"] + "=").hex()
    expect(blocked == OTHER_PRINT, blocked)


def check_grants(tenant, number, lease):
    """The rows name nobody; the tenant's admin may ask who it was."""
    granted = [row for row in tenant.rows("lease.granted")
               if row["device"] == number]
    expect([row["type"] for row in granted] == ["commit", "overage"], granted)
    first = granted[0]
    expect(first["lease"] == lease["lease"] and
           first["product"] == lease["product"], first)
    expect("erika" not in json.dumps(granted), granted)
    expect(tenant.subject(first["user"]) == "erika", first)
    expect(tenant.subject(first["host"]) == BUILD_HOST, first)
    expect(granted[1]["overage"] == 1, granted[1])
    ended = tenant.rows("lease.ended")
    expect([row["lease"] for row in ended if row["lease"] == lease["lease"]]
           == [], ended)
    created = [row for row in tenant.rows("key.created")
               if row["device"] == number]
    expect(len(created) == 1 and created[0]["app_type"] == "ci_cd", created)


if __name__ == "__main__":
    sys.exit(main([a_customer_from_the_first_day_to_the_audit]))
