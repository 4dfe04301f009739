#!/usr/bin/python3
"""Tenants of one site: each with its host name, keys, agents and store."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import ssl

from api import Api
from harness import (Agent, App, Site, World, binary, expect, main, run,
                     terms, wait_for)

HOSTS = ("site.localhost", "127.0.0.1")
IDLE = "[tenants]\nidle_s=1\n"


class Tenant:
    """One of a site's, as its own admin sees it; used like a Site."""

    def __init__(self, site, name, *options):
        made = site.cli("--json", "tenant", "create", name.title(), "--id",
                        name, *options)
        expect(made.status == 0, "tenant create: " + made.err)
        facts = made.json()["tenant"]
        self.site = site
        self.name = name
        self.id = facts["_id"]
        self.key = facts["apiSecret"]
        self.look = facts["apiKey"]
        self.url = facts["dashboardUrl"]

    def cli(self, *args, key=None, url=None):
        return run(binary("leasehold"), *args,
                   env={"LICENSE_SERVER_URL": url or self.url,
                        "LICENSE_API_KEY": key or self.key,
                        "LICENSE_CA_FILE": self.site.ca})

    def request(self):
        made = self.cli("site", "request")
        expect(made.status == 0, "site request: " + made.err)
        return made.out

    def shown(self):
        shown = self.site.cli("--json", "tenant", "show", self.name)
        expect(shown.status == 0, "tenant show: " + shown.err)
        return shown.json()["tenant"]

    def is_open(self):
        return self.shown()["open"]

    install = Site.install
    token = Site.token
    leases = Site.leases
    verify = Site.verify

    @property
    def world(self):
        return self.site.world


def site_of(world, config="", start=True):
    site = Site(world, config=config, hosts=HOSTS)
    if start:
        site.start()
    return site


def code_of(done):
    return done.err.split(":")[1].strip() if ":" in done.err else done.err


def agent_of(tenant):
    agent = Agent(tenant.world, "agent-" + tenant.name)
    agent.start()
    agent.enroll(tenant)
    return agent


def call(site, method, path, key, host, body=None):
    """Status and JSON of a plain HTTP call with a Host of our choice."""
    context = ssl.create_default_context(cafile=site.ca)
    request = urllib.request.Request(
        "https://127.0.0.1:%d%s" % (site.port, path), method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Host": host, "Authorization": "Bearer " + key,
                 "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def two_tenants_never_see_each_other():
    with World() as world:
        site = site_of(world)
        mercedes = Tenant(site, "mercedes")
        bosch = Tenant(site, "bosch")
        expect(mercedes.id != bosch.id, (mercedes.id, bosch.id))
        apps = []
        for tenant in (mercedes, bosch):
            tenant.install(terms(commit=1, overage=0))
            agent = agent_of(tenant)
            app = App(world, agent.socket, name="app-" + tenant.name)
            expect(app.wait() is not None, app.errors())
            apps.append((app, agent))
        # A seat each, though each has only one.
        for tenant in (mercedes, bosch):
            devices = tenant.cli("--json", "device", "list").json()["items"]
            expect([d["name"] for d in devices] == ["agent-" + tenant.name],
                   devices)
            expect(len(tenant.leases()) == 1, tenant.leases())
            tenant.verify()
        expect(site.leases() == [], "the site's own tenant holds nothing")
        # The first key may look, and no more.
        looked = mercedes.cli("--json", "leases", key=mercedes.look)
        expect(looked.status == 0, looked.err)
        refused = mercedes.cli("leases", "release", "lease-1",
                               key=mercedes.look)
        expect("license" in refused.err or "forbidden" in refused.err,
               refused.err)
        # No admin of a tenant is one of the site.
        refused = mercedes.cli("tenant", "list")
        expect("forbidden" in refused.err, refused.err)


def host_and_credential_must_name_the_same_tenant():
    with World() as world:
        site = site_of(world)
        mercedes = Tenant(site, "mercedes", "--host", "lic.mercedes.test")
        bosch = Tenant(site, "bosch")
        path = "/api/v1/leases"
        for host, key, want in (
                ("mercedes.site.localhost", mercedes.key, 200),
                ("MERCEDES.site.localhost.", mercedes.key, 200),
                ("lic.mercedes.test:7443", mercedes.key, 200),
                ("mercedes.site.localhost", bosch.key, 403),
                ("mercedes.site.localhost", site.key, 403),
                ("site.localhost", mercedes.key, 403),
                ("elsewhere.test", mercedes.key, 403),
                ("elsewhere.test", site.key, 200),
                ("site.localhost", site.key, 200)):
            status, said = call(site, "GET", path, key, host)
            expect(status == want, (host, status, said))
            expect(status == 200 or said["code"] == "wrong_tenant", said)
        # A token of another tenant enrolls nobody.
        agent = Agent(world)
        agent.start()
        token = bosch.token()
        done = agent.cli("enroll", mercedes.url, "--token", token)
        expect(done.status != 0 and "bad_proof" in done.err, done.err)
        expect(mercedes.cli("--json", "device", "list").json()
               .get("items", []) == [], "it enrolled")
        # A host name is one tenant's, and not one of the site's own.
        refused = site.cli("tenant", "set", "bosch", "--host",
                           "lic.mercedes.test")
        expect("conflict" in refused.err, refused.err)
        refused = site.cli("tenant", "set", "bosch", "--host",
                           "mercedes.site.localhost")
        expect("bad_request" in refused.err, refused.err)


def an_unknown_or_malformed_tenant_is_refused_by_name():
    with World() as world:
        site = site_of(world)
        shown = site.cli("tenant", "show", "nobody")
        expect("'nobody'" in shown.err, shown.err)
        made = site.cli("tenant", "create", "X", "--id", "../evil")
        expect("bad_request" in made.err, made.err)
        made = site.cli("--json", "tenant", "create", "Jörg & Söhne \"AG\"")
        expect(made.json()["tenant"]["tenantId"] == "j-rg-s-hne-ag",
               made.out)
        made = site.cli("--json", "tenant", "create", "Jörg & Söhne \"AG\"")
        expect(made.json()["tenant"]["tenantId"] == "j-rg-s-hne-ag-2",
               made.out)
        made = site.cli("tenant", "create", "Y", "--id", "default")
        expect("conflict" in made.err, made.err)
        names = [t["tenantId"] for t in
                 site.cli("--json", "tenant", "list").json()["items"]]
        expect(names == ["default", "j-rg-s-hne-ag", "j-rg-s-hne-ag-2"],
               names)


def a_suspended_tenant_looks_and_takes_nothing():
    with World() as world:
        site = site_of(world)
        mercedes = Tenant(site, "mercedes")
        bosch = Tenant(site, "bosch")
        for tenant in (mercedes, bosch):
            tenant.install(terms())
        agent, other = agent_of(mercedes), agent_of(bosch)
        done = site.cli("tenant", "suspend", "mercedes", "--reason",
                        "unpaid since May")
        expect("suspended" in done.out, done.err)
        wait_for(lambda: "unpaid since May" in
                 agent.status().get("trouble", ""),
                 "the agent is not told")
        shown = mercedes.cli("--json", "license", "list")
        expect(shown.status == 0, shown.err)
        refused = mercedes.cli("join", "create")
        expect("tenant_suspended" in refused.err, refused.err)
        expect(other.status()["connected"], "the other tenant was hit")
        # It stays so over a restart.
        site.stop()
        site.start()
        refused = mercedes.cli("join", "create")
        expect("tenant_suspended" in refused.err, refused.err)
        done = site.cli("tenant", "resume", "mercedes")
        expect("goes on" in done.out, done.err)
        agent.wait_connected(60)
        app = App(world, agent.socket)
        expect(app.wait() is not None, app.errors())


def a_restart_keeps_what_each_tenant_holds():
    with World() as world:
        site = site_of(world, IDLE)
        tenants = [Tenant(site, name) for name in ("mercedes", "bosch")]
        held = []
        for tenant in tenants:
            tenant.install(terms())
            agent = agent_of(tenant)
            app = App(world, agent.socket, name="app-" + tenant.name)
            expect(app.wait() is not None, app.errors())
            held.append((tenant, agent, app))
        site.kill()
        site.start()
        for tenant, agent, _ in held:
            agent.wait_connected(60)
            wait_for(lambda t=tenant: len(t.leases()) == 1,
                     "the lease is gone")
            expect(tenant.is_open(), "it closed, and has a lease")
            tenant.verify()


def a_quiet_tenant_closes_and_opens_by_itself():
    with World() as world:
        site = site_of(world, IDLE)
        mercedes = Tenant(site, "mercedes")
        expect(not mercedes.is_open(), "nobody has asked anything of it")
        mercedes.install(terms())
        expect(mercedes.is_open(), "it was used")
        wait_for(lambda: not mercedes.is_open(), "it does not close", 60, 0.2)
        # A stop and a start leave it closed.
        site.stop()
        site.start()
        expect(not mercedes.is_open(), "the start opened it")
        # Many at once open it once, and all are answered.
        asking = [subprocess.Popen(
            [binary("leasehold"), "--json", "license", "list"],
            env={**os.environ, "LICENSE_SERVER_URL": mercedes.url,
                 "LICENSE_API_KEY": mercedes.key,
                 "LICENSE_CA_FILE": site.ca, "LEASEHOLD_CONFIG": "/dev/null"},
            stdout=subprocess.PIPE, text=True) for _ in range(12)]
        for process in asking:
            said = json.loads(process.communicate()[0])
            expect(len(said["items"]) == 1, said)
        mercedes.verify()


def a_crash_at_any_time_loses_no_tenant():
    """Killed again and again while tenants open and close."""
    with World() as world:
        site = site_of(world, IDLE)
        tenants = [Tenant(site, "tenant-%d" % i) for i in range(4)]
        for turn in range(4):
            for tenant in tenants[:turn + 1]:
                made = tenant.cli("join", "create", "--uses", "1")
                expect(made.status == 0, made.err)
            if turn % 2 == 1:
                wait_for(lambda: not all(t.is_open() for t in tenants),
                         "none closes", 60, 0.1)
            site.kill()
            site.start()
        for i, tenant in enumerate(tenants):
            listed = tenant.cli("--json", "join", "list").json()["items"]
            expect(len(listed) == 4 - i, (tenant.name, listed))
            tenant.verify()
        expect("rolled back" not in site.log(), "a crash looked like more")


def a_quiet_tenant_that_is_put_back_is_found_when_it_opens():
    with World() as world:
        site = site_of(world, IDLE)
        mercedes = Tenant(site, "mercedes")
        mercedes.token()
        site.stop()
        copy = site.snapshot()
        site.start()
        mercedes.token()
        wait_for(lambda: not mercedes.is_open(), "it does not close", 60, 0.2)
        site.stop()
        folder = os.path.join("tenants", "mercedes")
        site.put_back(copy, parts=(folder,))
        site.start()
        expect(not site.ready().get("rolled_back"), "nobody opened it yet")
        listed = mercedes.cli("--json", "join", "list")
        expect(listed.status == 0, listed.err)
        expect(site.ready().get("rolled_back"), site.ready())
        refused = mercedes.cli("join", "create")
        expect("rolled_back" in refused.err, refused.err)
        # The next start knows without anybody opening it.
        site.stop()
        site.start()
        expect(site.ready().get("rolled_back"), site.ready())
        done = site.cli("site", "acknowledge-rollback", "--reason", "test")
        expect(done.status == 0, done.err)
        mercedes.token()
        mercedes.verify()


def what_a_tenant_does_is_counted_and_limited():
    with World() as world:
        site = site_of(world)
        mercedes = Tenant(site, "mercedes", "--calls-per-day", "6")
        # A stranger's calls are not the tenant's.
        stranger = Api(site, "")
        for i in range(8):
            refused = stranger.raw(
                "POST", "/api/v1/session",
                json.dumps({"login": "nobody%d" % i, "password": "x" * 12}),
                {"Host": mercedes.url.split("/")[2],
                 "Content-Type": "application/json"})
            expect(refused.status in (401, 429), refused)
        stranger.close()
        for _ in range(6):
            shown = mercedes.cli("license", "list")
            expect(shown.status == 0, shown.err)
        refused = mercedes.cli("license", "list")
        expect("quota_exceeded" in refused.err, refused.err)
        usage = site.cli("--json", "tenant", "usage", "mercedes")
        report = usage.json()["usageReport"]
        expect(report["summary"]["totalApiCalls"] == 7, report)
        expect(float(report["summary"]["errorRate"]) == 0.1429, report)
        expect(len(report["dailyBreakdown"]) == 1, report)
        # It is still known after a restart.
        site.stop()
        site.start()
        refused = mercedes.cli("license", "list")
        expect("quota_exceeded" in refused.err, refused.err)
        done = site.cli("tenant", "set", "mercedes", "--calls-per-day",
                        "1000")
        expect(done.status == 0, done.err)
        expect(mercedes.cli("license", "list").status == 0, "still refused")
        refused = site.cli("tenant", "usage", "mercedes", "--period", "x,y")
        expect("bad_request" in refused.err, refused.err)


if __name__ == "__main__":
    sys.exit(main([
        two_tenants_never_see_each_other,
        host_and_credential_must_name_the_same_tenant,
        an_unknown_or_malformed_tenant_is_refused_by_name,
        a_suspended_tenant_looks_and_takes_nothing,
        a_restart_keeps_what_each_tenant_holds,
        a_quiet_tenant_closes_and_opens_by_itself,
        a_crash_at_any_time_loses_no_tenant,
        a_quiet_tenant_that_is_put_back_is_found_when_it_opens,
        what_a_tenant_does_is_counted_and_limited,
    ], together=True))
