#!/usr/bin/python3
"""API keys: made, bound to hosts, addresses, certificates, applications, hours
and rates, rotated and revoked; each refusal has its own code and its row."""

import datetime
import hashlib
import http.client
import json
import os
import ssl
import subprocess

from harness import (AS_ROOT, PRODUCT, Site, World, binary, expect, main, run,
                     terms, wait_for)

DONE, FAILED, USAGE, REFUSED = range(4)
PRINT = hashlib.sha256(b"configurator 8.1").hexdigest()
OTHER_PRINT = hashlib.sha256(b"another program").hexdigest()
ALL_DAYS = "mon,tue,wed,thu,fri,sat,sun"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        text = response.read()
        self.body = json.loads(text) if text else None

    @property
    def code(self):
        return self.body.get("code") if self.body else None


class Caller:
    """Somebody with a key, on one connection."""

    def __init__(self, site, key, certificate=None, host="localhost",
                 **headers):
        context = ssl.create_default_context(cafile=site.ca)
        context.check_hostname = False
        if certificate is not None:
            context.load_cert_chain(*certificate)
        self.connection = http.client.HTTPSConnection(
            "127.0.0.1", site.port, context=context, timeout=20)
        self.host = "%s:%d" % (host, site.port)
        self.key = key
        self.headers = {name.replace("_", "-"): value
                        for name, value in headers.items()}

    def ask(self, method, path, body=None, **headers):
        sent = {"Authorization": "Bearer " + self.key, "Host": self.host}
        sent.update(self.headers)
        sent.update({name.replace("_", "-"): value
                     for name, value in headers.items()})
        text = None
        if body is not None:
            text = json.dumps(body)
            sent["Content-Type"] = "application/json"
        self.connection.request(method, "/api/v1" + path, text, sent)
        return Answer(self.connection.getresponse())

    def make(self, **more):
        body = {"app_name": "Configurator", "app_type": "ci_cd",
                "scopes": ["admin:read"]}
        body.update(more)
        made = self.ask("POST", "/keys/generate", body)
        expect(made.status == 201, "generate: %s" % made.body)
        return made.body

    def bind(self, key_id, **restrictions):
        done = self.ask("POST", "/keys/%s/restrictions" % key_id,
                        restrictions)
        expect(done.status == 200, "restrictions: %s" % done.body)
        return done.body["restrictions"]


def expect_code(answer, status, code):
    expect((answer.status, answer.code) == (status, code),
           "%s %s is not %s %s" % (answer.status, answer.body, status, code))


def expect_fine(answer):
    expect(answer.status == 200, "refused: %s" % answer.body)


def rows(site, kind):
    """Facts of a kind, out of the journal."""
    shown = site.cli("--json", "audit", "tail", "-n", "100")
    expect(shown.status == 0, shown.err)
    lines = [json.loads(line) for line in shown.out.splitlines()]
    return [line["fact"] for line in lines if line["kind"] == kind]


def a_key_is_shown_once_with_what_a_program_needs():
    with World() as world:
        site = Site(world)
        site.start()
        admin = Caller(site, site.key)
        made = admin.make(
            scopes=["license:checkout", "license:return"],
            expires_in_days=90, allowed_hostnames=["build-7"],
            metadata={"hostname": "build-7", "department": "R&D",
                      "contact": "ci@plant.example"})
        url = "https://localhost:%d" % site.port
        key = made["api_key"]
        expect(key.startswith("clsk_default_") and len(key) == 56, key)
        expect(made["key_id"].startswith("key-"), made)
        expect(made["tenant_url"] == url, made)
        expect(made["scopes"] == ["license:checkout", "license:return"], made)
        expect(made["integration_snippet"] == {
            "environment_variables": {"LICENSE_SERVER_URL": url,
                                      "LICENSE_API_KEY": key},
            "config_file": {"license_server": {"url": url, "api_key": key}},
        }, made["integration_snippet"])
        begin = datetime.datetime.fromisoformat(
            made["created_at"].replace("Z", "+00:00"))
        end = datetime.datetime.fromisoformat(
            made["expires_at"].replace("Z", "+00:00"))
        expect(end - begin == datetime.timedelta(days=90), made)

        shown = admin.ask("GET", "/keys/" + made["key_id"])
        expect_fine(shown)
        expect(shown.body["key"]["app_name"] == "Configurator", shown.body)
        expect(shown.body["key"]["metadata"]["department"] == "R&D",
               shown.body)
        expect(shown.body["restrictions"]["allowed_hostnames"] == ["build-7"],
               shown.body)
        expect(key not in json.dumps(shown.body), "the key is shown again")
        listed = admin.ask("GET", "/keys")
        expect([item["key_id"] for item in listed.body["items"]] ==
               [made["key_id"]], listed.body)
        # Neither the key nor what it is bound to lies there in the clear.
        site.stop()
        stored = open(os.path.join(site.state, "tenants", "default", "ledger",
                                   "data.mdb"), "rb").read()
        for secret in (key, key[-43:], "ci@plant.example", "build-7"):
            expect(secret.encode() not in stored,
                   "%s lies in the store in the clear" % secret)


def nobody_gives_more_than_he_has():
    with World() as world:
        site = Site(world)
        site.start()
        admin = Caller(site, site.key)
        helper = Caller(site, admin.make(
            scopes=["admin:keys", "admin:read"])["api_key"])
        helper.make(scopes=["license:checkout", "admin:read"])
        for scope in ("admin:users", "admin:*", "site:admin"):
            refused = helper.ask("POST", "/keys/generate", {
                "app_name": "x", "app_type": "desktop",
                "scopes": ["admin:read", scope]})
            expect_code(refused, 403, "forbidden")
            expect(refused.body["field"] == "scopes[1]", refused.body)
        expect_code(admin.ask("POST", "/keys/generate", {
            "app_name": "x", "app_type": "desktop",
            "scopes": ["site:admin"]}), 403, "forbidden")
        refused = admin.ask("POST", "/keys/generate", {
            "app_name": "x", "app_type": "desktop", "scopes": ["all"]})
        expect_code(refused, 400, "bad_request")
        # Nor takes it over: a new secret of a key that may more.
        greater = admin.make(scopes=["admin:*"])
        expect_code(helper.ask("POST", "/keys/%s/rotate" % greater["key_id"],
                               {}), 403, "forbidden")
        expect_code(helper.ask(
            "POST", "/keys/%s/restrictions" % greater["key_id"],
            {"clear": ["allowed_ip_ranges"]}), 403, "forbidden")
        # And a key does what its scopes say, no more.
        reader = Caller(site, admin.make(scopes=["admin:read"])["api_key"])
        expect_fine(reader.ask("GET", "/site"))
        expect_code(reader.ask("GET", "/keys"), 403, "forbidden")
        expect_code(helper.ask("POST", "/site/clock/confirm"), 403,
                    "forbidden")


def each_restriction_refuses_with_its_own_code():
    with World() as world:
        site = Site(world)
        site.start()
        admin = Caller(site, site.key)

        def bound(**restrictions):
            made = admin.make()
            admin.bind(made["key_id"], **restrictions)
            return Caller(site, made["api_key"])

        def look(caller, **headers):
            return caller.ask("GET", "/site", **headers)

        caller = bound(allowed_hostnames=["build-7", "*.plant.example"])
        expect_code(look(caller), 403, "hostname_not_allowed")
        expect_code(look(caller, X_Hostname="build-8"), 403,
                    "hostname_not_allowed")
        expect_code(look(caller, X_Hostname="plant.example"), 403,
                    "hostname_not_allowed")
        expect_fine(look(caller, X_Hostname="BUILD-7"))
        expect_fine(look(caller, X_Hostname="a.b.plant.example"))

        expect_code(look(bound(allowed_ip_ranges=["192.0.2.0/24", "::/0"])),
                    403, "ip_not_allowed")
        expect_fine(look(bound(allowed_ip_ranges=["127.0.0.0/8"])))
        expect_fine(look(bound(allowed_ip_ranges=["::ffff:127.0.0.1"])))

        expect_code(look(bound(require_mtls=True)), 403,
                    "certificate_not_allowed")

        caller = bound(fingerprint_mode="enforce", allowed_fingerprints=[
            {"fingerprint": PRINT, "lib_version": "2.1"}])
        expect_code(look(caller), 403, "fingerprint_blocked")
        expect_code(look(caller, X_App_Fingerprint=OTHER_PRINT), 403,
                    "fingerprint_blocked")
        expect_code(look(caller, X_App_Fingerprint=PRINT,
                         X_Lib_Version="2.0"), 403, "fingerprint_blocked")
        expect_fine(look(caller, X_App_Fingerprint=PRINT,
                         X_Lib_Version="2.1"))
        caller = bound(blocked_fingerprints=[OTHER_PRINT])
        expect_code(look(caller, X_App_Fingerprint=OTHER_PRINT), 403,
                    "fingerprint_blocked")
        expect_fine(look(caller))

        # Two hours that are not now, in a zone that is not UTC.
        there = (datetime.datetime.now(datetime.timezone.utc) +
                 datetime.timedelta(hours=9 + 10))
        caller = bound(working_hours={
            "days": ALL_DAYS, "from": there.strftime("%H:00"),
            "to": (there + datetime.timedelta(hours=2)).strftime("%H:00"),
            "zone": "Asia/Tokyo"})
        expect_code(look(caller), 403, "outside_hours")
        expect_fine(look(bound(working_hours={
            "days": ALL_DAYS, "from": "00:00", "to": "24:00",
            "zone": "Asia/Tokyo"})))

        caller = bound(requests_per_hour=3)
        for left in (2, 1, 0):
            answer = look(caller)
            expect_fine(answer)
            expect(answer.headers["RateLimit-Limit"] == "3" and
                   answer.headers["RateLimit-Remaining"] == str(left),
                   str(answer.headers))
        answer = look(caller)
        expect_code(answer, 429, "rate_limited")
        expect(1100 < int(answer.headers["Retry-After"]) <= 1200,
               str(answer.headers))
        expect(answer.headers["RateLimit-Remaining"] == "0",
               str(answer.headers))

        # Every one alone passes when all are met, and each still refuses.
        caller = bound(allowed_hostnames=["build-7"],
                       allowed_ip_ranges=["127.0.0.1/32"],
                       fingerprint_mode="enforce",
                       allowed_fingerprints=[{"fingerprint": PRINT}],
                       requests_per_hour=2,
                       working_hours={"days": "mon-sun", "from": "00:00",
                                      "to": "24:00"})
        right = {"X_Hostname": "build-7", "X_App_Fingerprint": PRINT}
        expect_fine(look(caller, **right))
        expect_code(look(caller, X_App_Fingerprint=PRINT), 403,
                    "hostname_not_allowed")
        expect_code(look(caller, X_Hostname="build-7"), 403,
                    "fingerprint_blocked")
        # What was refused was not counted.
        expect_fine(look(caller, **right))
        expect_code(look(caller, **right), 429, "rate_limited")
        # The site's own key has no rates, and an admin can lift all.
        expect("RateLimit-Limit" not in admin.ask("GET", "/site").headers,
               "the site's key has a rate")


def a_wrong_restriction_is_refused_by_its_field():
    with World() as world:
        site = Site(world)
        site.start()
        admin = Caller(site, site.key)
        key_id = admin.make()["key_id"]
        for field, restrictions in (
                ("allowed_ip_ranges[1]", {"allowed_ip_ranges":
                                          ["10.0.0.0/8", "10.0.0.7/8"]}),
                ("allowed_ip_ranges[0]", {"allowed_ip_ranges":
                                          ["10.0.0.0/33"]}),
                ("allowed_hostnames[0]", {"allowed_hostnames": ["*"]}),
                ("client_cert_sha256", {"client_cert_sha256": "00ff"}),
                ("allowed_fingerprints[0]", {"allowed_fingerprints": [
                    {"fingerprint": "x" * 64}]}),
                ("working_hours.zone", {"working_hours": {
                    "days": "mon-fri", "from": "07:00", "to": "19:00",
                    "zone": "Europe/Atlantis"}}),
                ("working_hours.zone", {"working_hours": {
                    "days": "mon-fri", "from": "07:00", "to": "19:00",
                    "zone": "../../etc/passwd"}}),
                ("working_hours.days", {"working_hours": {
                    "days": "mon-foo", "from": "07:00", "to": "19:00"}}),
                ("working_hours.to", {"working_hours": {
                    "days": "mon", "from": "07:00", "to": "24:01"}}),
                ("clear[0]", {"clear": ["everything"]})):
            refused = admin.ask("POST", "/keys/%s/restrictions" % key_id,
                                restrictions)
            expect_code(refused, 400, "bad_request")
            expect(refused.body.get("field") == field,
                   "%s: %s" % (field, refused.body))
        shown = admin.ask("GET", "/keys/" + key_id)
        expect("restrictions" not in shown.body, shown.body)
        # What is not named stays; what is cleared goes.
        admin.bind(key_id, allowed_ip_ranges=["10.0.0.0/8"],
                   requests_per_hour=5)
        now = admin.bind(key_id, clear=["requests_per_hour"],
                         allowed_hostnames=["a"])
        expect(now == {"allowed_hostnames": ["a"],
                       "allowed_ip_ranges": ["10.0.0.0/8"]}, now)
        expect_code(admin.ask("POST", "/keys/key-999/restrictions", {}),
                    404, "not_found")


def a_rotated_key_overlaps_and_a_revoked_one_ends_at_once():
    with World() as world:
        site = Site(world)
        site.start()
        admin = Caller(site, site.key)
        made = admin.make()
        first = Caller(site, made["api_key"])
        expect_fine(first.ask("GET", "/site"))
        rotated = admin.ask("POST", "/keys/%s/rotate" % made["key_id"],
                            {"overlap_hours": 2})
        expect_fine(rotated)
        expect(rotated.body["key_id"] == made["key_id"], rotated.body)
        expect("previous_until" in rotated.body, rotated.body)
        second = Caller(site, rotated.body["api_key"])
        expect_fine(second.ask("GET", "/site"))
        expect_fine(first.ask("GET", "/site"))
        # The third ends the first, and the second when it is told to.
        rotated = admin.ask("POST", "/keys/%s/rotate" % made["key_id"],
                            {"at_once": True})
        third = Caller(site, rotated.body["api_key"])
        expect_fine(third.ask("GET", "/site"))
        expect_code(first.ask("GET", "/site"), 401, "unauthenticated")
        expect_code(second.ask("GET", "/site"), 401, "unauthenticated")

        gone = admin.ask("DELETE", "/keys/%s" % made["key_id"])
        expect_fine(gone)
        refused = third.ask("GET", "/site")
        expect_code(refused, 401, "unauthenticated")
        expect("revoked" in refused.body["detail"], refused.body)
        expect_code(admin.ask("POST", "/keys/%s/rotate" % made["key_id"], {}),
                    410, "gone")
        expect(admin.ask("GET", "/keys").body["items"] == [],
               "a revoked key is listed")
        everything = admin.ask("GET", "/keys?all=true").body["items"]
        expect([item["state"] for item in everything] == ["revoked"],
               str(everything))
        site.stop()
        site.start()
        expect_code(Caller(site, third.key).ask("GET", "/site"), 401,
                    "unauthenticated")


def revocation_takes_the_seats_of_a_key():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(commit=2, overage=0))
        admin = Caller(site, site.key)
        made = admin.make(scopes=["license:checkout", "license:return"])
        program = Caller(site, made["api_key"], X_Hostname="build-7")
        taken = program.ask("POST", "/licenses/checkout", {
            "product": PRODUCT, "version": "8.1.0", "user": "alice"})
        expect(taken.status in (200, 201), "checkout: %s" % taken.body)
        expect(len(site.leases()) == 1, "no lease")
        expect_fine(admin.ask("DELETE", "/keys/" + made["key_id"]))
        wait_for(lambda: site.leases() == [], "the key's lease stays")
        expect_code(program.ask("POST", "/licenses/renew",
                                {"ids": [taken.body["id"]]}), 401,
                    "unauthenticated")


def a_restart_does_not_fill_the_buckets():
    with World() as world:
        site = Site(world)
        site.start()
        admin = Caller(site, site.key)
        made = admin.make()
        admin.bind(made["key_id"], requests_per_hour=4)
        caller = Caller(site, made["api_key"])
        for _ in range(3):
            expect_fine(caller.ask("GET", "/site"))
        used = admin.ask("GET", "/keys/" + made["key_id"])
        last = used.body["key"]["last_used_at"]
        site.stop()
        site.start()
        caller, admin = Caller(site, made["api_key"]), Caller(site, site.key)
        used = admin.ask("GET", "/keys/" + made["key_id"])
        expect(used.body["key"]["last_used_at"] == last, used.body)
        expect_fine(caller.ask("GET", "/site"))
        expect_code(caller.ask("GET", "/site"), 429, "rate_limited")


def an_application_is_learned_and_then_enforced():
    with World() as world:
        site = Site(world)
        site.start()
        admin = Caller(site, site.key)
        made = admin.make()
        admin.bind(made["key_id"], fingerprint_mode="learn")
        caller = Caller(site, made["api_key"])
        expect_fine(caller.ask("GET", "/site", X_App_Fingerprint=PRINT,
                               X_Lib_Version="2.1"))

        def known():
            shown = admin.ask("GET", "/keys/" + made["key_id"])
            return shown.body["restrictions"].get("allowed_fingerprints")

        wait_for(lambda: known() == [{"fingerprint": PRINT,
                                      "lib_version": "2.1"}],
                 "the application is not learned")
        expect("ALERT: %s" % made["key_id"] in site.log(), "no alert")
        admin.bind(made["key_id"], fingerprint_mode="enforce")
        expect_fine(caller.ask("GET", "/site", X_App_Fingerprint=PRINT,
                               X_Lib_Version="2.1"))
        expect_code(caller.ask("GET", "/site",
                               X_App_Fingerprint=OTHER_PRINT), 403,
                    "fingerprint_blocked")


def make_certificates(world):
    """A CA of clients, and two of its certificates: (cert, key) paths."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, cwd=world.path(),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes"]
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.crt",
            "-days", "2", "-subj", "/CN=clients of the plant")
    openssl("req", "-x509", *new_key, "-keyout", "evil.key", "-out",
            "evil.crt", "-days", "2", "-subj", "/CN=build-7")
    made = {"evil": (world.path("evil.crt"), world.path("evil.key"))}
    for name in ("build-7", "build-8"):
        openssl("req", *new_key, "-keyout", name + ".key", "-out",
                name + ".csr", "-subj", "/CN=" + name)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt",
                "-CAkey", "ca.key", "-CAcreateserial", "-out", name + ".crt",
                "-days", "2")
        made[name] = (world.path(name + ".crt"), world.path(name + ".key"))
    return world.path("ca.crt"), made


def sha256_of(certificate):
    with open(certificate) as f:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(f.read())).hexdigest()


def a_key_is_bound_to_a_client_certificate():
    with World() as world:
        ca, made = make_certificates(world)
        site = Site(world, config="[tls]\nclient_ca=%s\n" % ca)
        site.start()
        admin = Caller(site, site.key)
        any_one = admin.make(require_mtls=True)["api_key"]
        named = admin.make(client_cert_cn="build-7")["api_key"]
        pinned = admin.make()
        admin.bind(pinned["key_id"],
                   client_cert_sha256=sha256_of(made["build-8"][0]))
        pinned = pinned["api_key"]
        for key, fine in ((any_one, ("build-7", "build-8")),
                          (named, ("build-7",)), (pinned, ("build-8",))):
            expect_code(Caller(site, key).ask("GET", "/site"), 403,
                        "certificate_not_allowed")
            for name in ("build-7", "build-8"):
                answer = Caller(site, key, made[name]).ask("GET", "/site")
                if name in fine:
                    expect_fine(answer)
                else:
                    expect_code(answer, 403, "certificate_not_allowed")
        # Of another CA, with the right name: not even a connection.
        try:
            answer = Caller(site, named, made["evil"]).ask("GET", "/site")
            expect(False, "a strange certificate got %s" % answer.status)
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            pass
        # Workstations show none, and nobody asks them to.
        expect(site.cli("site", "show").status == DONE, "the CLI is shut out")


def refusals_of_a_key_are_rows_with_what_they_came_with():
    with World() as world:
        site = Site(world)
        site.start()
        admin = Caller(site, site.key)
        made = admin.make()
        admin.bind(made["key_id"], allowed_hostnames=["build-7"],
                   allowed_ip_ranges=["127.0.0.0/8"])
        caller = Caller(site, made["api_key"])
        for _ in range(3):
            expect_code(caller.ask("GET", "/site", X_Hostname="build-8",
                                   X_App_Fingerprint=PRINT), 403,
                        "hostname_not_allowed")
        expect_code(caller.ask("GET", "/keys", X_Hostname="build-7"), 403,
                    "forbidden")
        site.stop()  # the minute's refusals are journaled
        site.start()
        denied = rows(site, "key.denied")
        counts = {}
        for row in denied:
            code = row["denied"]["code"]
            counts[code] = counts.get(code, 0) + row["denied"]["count"]
        expect(counts == {"hostname_not_allowed": 3, "forbidden": 1},
               str(denied))
        expect(all(row.get("address") and row.get("host")
                   for row in denied), str(denied))
        shown = json.dumps(denied)
        expect("build-8" not in shown and "127.0.0.1" not in shown,
               "a row names a host or an address")
        site.verify()


def keys_of_the_site_are_listed_and_ended():
    with World() as world:
        site = Site(world)
        site.start()
        more = run(binary("leaseholdd"), "key", "--state", site.state,
                   "--name", "night shift")
        expect(more.status == 0, more.err)
        night = Caller(site, more.out.split()[-1])
        expect_fine(night.ask("GET", "/site"))
        admin = Caller(site, site.key)
        listed = admin.ask("GET", "/site/keys").body["items"]
        expect([item["key_id"] for item in listed] == ["admin-1", "admin-2"],
               str(listed))
        expect(listed[1]["name"] == "night shift", str(listed))
        expect_fine(admin.ask("DELETE", "/site/keys/admin-2"))
        expect_code(night.ask("GET", "/site"), 401, "unauthenticated")
        # The last one stays, or nobody could work here.
        expect_code(admin.ask("DELETE", "/site/keys/admin-1"), 409,
                    "conflict")
        expect_code(admin.ask("DELETE", "/site/keys/admin-9"), 404,
                    "not_found")
        expect_fine(admin.ask("GET", "/site"))
        tenant = Caller(site, admin.make(scopes=["admin:*"])["api_key"])
        expect_code(tenant.ask("GET", "/site/keys"), 403, "forbidden")


def a_link_in_the_ledger_s_folder_leads_root_nowhere():
    """A daemon that was taken over waits for root to make a key."""
    with World() as world:
        site = Site(world)
        if not AS_ROOT:
            return
        target = world.path("made-by-root")
        store = os.path.join(site.state, "system", "data.mdb")
        os.rename(store, store + ".away")
        os.symlink(target, store)
        done = run(binary("leaseholdd"), "key", "--state", site.state,
                   "--name", "trap")
        expect(done.status == 1 and done.out == "", done.out)
        expect(not os.path.exists(target), "root followed a link")
        os.unlink(store)
        os.rename(store + ".away", store)
        # Nor is what only root may read read for the ledger.
        secret = world.path("roots")
        key = os.path.join(site.state, "keys", "site.key")
        os.rename(key, secret)
        os.chown(secret, 0, 0)
        os.symlink(secret, key)
        done = run(binary("leaseholdd"), "request", "--state", site.state)
        expect(done.status == 1 and done.out == "", done.out)


def the_command_line_makes_binds_and_ends_keys():
    with World() as world:
        site = Site(world)
        site.start()
        made = site.cli("--json", "key", "create", "Configurator", "--type",
                        "desktop", "--scope", "admin:read", "--for", "30",
                        "--host", "build-7")
        expect(made.status == DONE, made.err)
        made = made.json()
        key_id = made["key_id"]
        caller = Caller(site, made["api_key"], X_Hostname="build-7")
        expect_fine(caller.ask("GET", "/site"))
        bound = site.cli("key", "restrict", key_id, "--address",
                         "192.0.2.0/24", "--address", "2001:db8::/32",
                         "--hours", "mon-fri 07:00-19:00 Europe/Berlin")
        expect(bound.status == DONE, bound.err)
        expect_code(caller.ask("GET", "/site"), 403, "ip_not_allowed")
        shown = site.cli("key", "show", key_id)
        expect(shown.status == DONE and "2001:db8::/32" in shown.out and
               "Europe/Berlin" in shown.out, shown.out + shown.err)
        wrong = site.cli("key", "restrict", key_id, "--address", "192.0.2.1/8")
        expect(wrong.status == FAILED and "allowed_ip_ranges" in wrong.err,
               wrong.err)
        freed = site.cli("key", "restrict", key_id, "--clear",
                         "allowed_ip_ranges", "--clear", "working_hours")
        expect(freed.status == DONE, freed.err)
        expect_fine(caller.ask("GET", "/site"))
        rotated = site.cli("--json", "key", "rotate", key_id, "--overlap", "1")
        expect(rotated.status == DONE, rotated.err)
        expect(key_id in site.cli("key", "list").out, "it is not listed")
        expect("admin-1" in site.cli("key", "list", "--site").out,
               "the site's are not listed")
        ended = site.cli("key", "revoke", key_id, "--reason", "it leaked")
        expect(ended.status == DONE, ended.err)
        expect(key_id not in site.cli("key", "list").out, "it is listed")
        expect(key_id in site.cli("key", "list", "--all").out, "it is gone")


if __name__ == "__main__":
    raise SystemExit(main([
        a_key_is_shown_once_with_what_a_program_needs,
        nobody_gives_more_than_he_has,
        each_restriction_refuses_with_its_own_code,
        a_wrong_restriction_is_refused_by_its_field,
        a_rotated_key_overlaps_and_a_revoked_one_ends_at_once,
        revocation_takes_the_seats_of_a_key,
        a_restart_does_not_fill_the_buckets,
        an_application_is_learned_and_then_enforced,
        a_key_is_bound_to_a_client_certificate,
        refusals_of_a_key_are_rows_with_what_they_came_with,
        keys_of_the_site_are_listed_and_ended,
        a_link_in_the_ledger_s_folder_leads_root_nowhere,
        the_command_line_makes_binds_and_ends_keys,
    ], together=True))
