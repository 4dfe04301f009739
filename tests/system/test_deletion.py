#!/usr/bin/python3
"""A tenant deleted for good, its certificate, and who may take what along."""

import json
import os
import sys

from harness import PRODUCT, Site, World, binary, expect, main, run, terms
from test_backup import backup, verify


# --- deletion -----------------------------------------------------------------


def call(site, method, path, body=None, key=None, host=None):
    """One HTTP request as a program makes it: status, answer."""
    args = ["curl", "-s", "--cacert", site.ca, "-X", method, "-w",
            "\n%{http_code}", "-H", "Authorization: Bearer " + (key or site.key)]
    if body is not None:
        args += ["-H", "Content-Type: application/json", "-d",
                 json.dumps(body)]
    if host is not None:
        args += ["-H", "Host: " + host]
    done = run(*args, site.url + path)
    text, _, status = done.out.rpartition("\n")
    return int(status), json.loads(text) if text else None


def with_tenant(world, name="mercedes"):
    site = Site(world)
    site.start()
    status, made = call(site, "POST", "/api/v1/b2b/tenants", {
        "partnerName": "Mercedes", "tenantId": name, "licenseType": "custom",
        "tier": "enterprise", "contactInfo": {
            "name": "Ada", "email": "ada@example.com"}})
    expect(status in (200, 201), "%s %s" % (status, made))
    return site, made["tenant"]


def a_tenant_is_deleted_for_good_with_a_certificate():
    with World() as world:
        site, made = with_tenant(world)
        files = [os.path.join(site.state, "keys", "mercedes.key"),
                 os.path.join(site.state, "tenants", "mercedes")]
        expect(all(os.path.exists(f) for f in files), "its files")
        for words, status in ((["mercedes"], 2),
                              (["mercedes", "--confirm", "merced"], 2),
                              (["default", "--confirm", "default"], 3),
                              (["nobody", "--confirm", "nobody"], 1)):
            done = site.cli("tenant", "delete", *words)
            expect(done.status == status, "%s: %s" % (words, done.err))
        out = world.path("mercedes.deleted")
        done = site.cli("tenant", "delete", "mercedes", "--confirm",
                        "mercedes", "--reason", "contract ended", "--out", out)
        expect(done.status == 0 and "for good" in done.out, done.err)
        expect(not any(os.path.exists(f) for f in files), "files are left")
        status, gone = call(site, "GET", "/api/v1/b2b/tenants/mercedes")
        expect(status == 404, gone)
        listed = site.cli("--json", "tenant", "certificate", "mercedes").json()
        item, = listed["items"]
        expect(item["tenant"] == "mercedes" and
               item["reason"] == "contract ended", item)
        # Without any site; and a changed one is found.
        checked = run(binary("leasehold"), "tenant", "certificate", "check",
                      out)
        expect(checked.status == 0 and item["site"] in checked.out, checked.err)
        with open(out) as f:
            text = f.read()
        with open(out, "w") as f:
            f.write(text.replace(text[200], "A" if text[200] != "A" else "B",
                                 1))
        bad = run(binary("leasehold"), "tenant", "certificate", "check", out)
        expect(bad.status == 1, bad.out)
        # After a restart too; and the name is free again.
        site.stop()
        site.start()
        listed = site.cli("--json", "tenant", "certificate").json()
        expect(len(listed["items"]) == 1, listed)
        again = site.cli("tenant", "certificate", "nobody")
        expect(again.status == 1, again.out)


class AsTenant:
    """A tenant of a site, for World.issue."""

    def __init__(self, site, made):
        self.site, self.key = site, made["apiSecret"]
        self.host = "mercedes.localhost:%d" % site.port

    def call(self, method, path, body=None):
        return call(self.site, method, path, body, self.key, self.host)

    def request(self):
        status, answer = self.call("GET", "/api/v1/site/request")
        expect(status == 200, answer)
        return answer["request"]


def a_tenant_whose_seats_are_held_is_deleted_by_force_alone():
    with World() as world:
        site, made = with_tenant(world)
        tenant = AsTenant(site, made)
        with open(world.issue(tenant, terms(5, 5))) as f:
            status, answer = tenant.call("POST", "/api/v1/licenses",
                                         json.load(f))
        expect(status == 201, answer)
        status, key = tenant.call("POST", "/api/v1/keys/generate", {
            "app_name": "ci", "app_type": "ci_cd",
            "scopes": ["license:checkout", "license:return"]})
        expect(status in (200, 201), key)
        status, seat = call(site, "POST", "/api/v1/licenses/checkout",
                            {"product": PRODUCT, "version": "8.1.0",
                             "user": "ada"}, key["api_key"], tenant.host)
        expect(status in (200, 201), seat)
        # Its own admin takes his own along, and nobody else's.
        status, own = tenant.call("POST", "/api/v1/exports", {})
        expect(status == 201 and own["tenant"] == "mercedes", own)
        path = "/api/v1/exports/%d" % own["part"]
        status, piece = tenant.call("GET", path)
        expect(status == 200 and len(piece["data"]) > 1000, piece)
        status, refused = call(site, "GET", path)
        expect(status == 404, refused)
        for method, other in (("POST", "/api/v1/b2b/tenants/default/export"),
                              ("POST", "/api/v1/backups"),
                              ("GET", "/api/v1/b2b/certificates")):
            status, refused = tenant.call(method, other, {}
                                          if method == "POST" else None)
            expect(status == 403, (other, status, refused))
        done = site.cli("tenant", "delete", "mercedes", "--confirm",
                        "mercedes")
        expect(done.status == 1 and "1 leases" in done.err and
               "--force" in done.err, done.err)
        status, leases = tenant.call("GET", "/api/v1/leases")
        expect(status == 200 and len(leases["items"]) == 1, leases)
        done = site.cli("--json", "tenant", "delete", "mercedes", "--confirm",
                        "mercedes", "--force", "--reason", "court order")
        expect(done.status == 0, done.err)
        said = done.json()["certificate"]
        expect(said["leases"] == 1 and said["reason"] == "court order", said)
        status, gone = tenant.call("GET", "/api/v1/leases")
        expect(status in (401, 403, 404), (status, gone))


def two_tenants_are_copied_and_force_needs_a_reason():
    with World() as world:
        site, made = with_tenant(world)
        path = backup(world, site)
        shown = site.cli("--json", "backup", "show", path).json()
        expect(sorted(t["tenant"] for t in shown["tenants"]) ==
               ["default", "mercedes"], shown)
        expect(verify(world, site, path).status == 0, "does not hold")
        done = site.cli("tenant", "export", "mercedes", world.path("m.tar"))
        expect(done.status == 0, done.err)
        done = site.cli("tenant", "delete", "mercedes", "--confirm",
                        "mercedes", "--force")
        expect(done.status == 1 and "reason" in done.err, done.err)
        done = site.cli("--json", "tenant", "delete", "mercedes", "--confirm",
                        "mercedes", "--force", "--reason", "court order")
        expect(done.status == 0, done.err)
        expect(done.json()["certificate"]["reason"] == "court order", done.out)


if __name__ == "__main__":
    sys.exit(main([
        a_tenant_is_deleted_for_good_with_a_certificate,
        a_tenant_whose_seats_are_held_is_deleted_by_force_alone,
        two_tenants_are_copied_and_force_needs_a_reason,
    ]))
