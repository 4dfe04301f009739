#!/usr/bin/python3
"""A vendor's hub and a real site: from the CRM's order to a seat, and what
becomes of a license; with the programs and files that people would use."""

import json
import os
import sys
from datetime import date, timedelta

from api import Api
from by_key import Program, make_key
from harness import (Site, World, binary, expect, main, run, terms,
                     wait_for)


class Hub(Site):
    """A site with the other role, and the vendor's account that is used."""

    def __init__(self, world, name="hub", config=""):
        super().__init__(world, name, config,
                         hosts=("hub.localhost", "127.0.0.1"))
        with open(self.config) as f:
            text = f.read()
        with open(self.config, "w") as f:
            f.write(text.replace("[site]\n", "[site]\nrole=hub\n"))
        self.url = self.home = "https://127.0.0.1:%d" % self.port
        self.home_key = self.key

    def account(self, name):
        """A new account; from now on the CLI speaks for it."""
        self.url, self.key = self.home, self.home_key
        made = self.cli("--json", "tenant", "create", name.title(), "--id",
                        name)
        expect(made.status == 0, made.err)
        self.key = made.json()["tenant"]["apiSecret"]
        self.url = made.json()["tenant"]["dashboardUrl"]
        return Account(self)

    def vouch(self, world, days=365):
        """The vendor's root key vouches for the account's issuing key."""
        shown = self.cli("--json", "hub", "key")
        expect(shown.status == 0, shown.err)
        path = world.path("word.json")
        made = run(binary("leasehold-vendor"), "issuer", world.vendor,
                   "--key", shown.json()["public_key"], "--days", str(days),
                   "--out", path)
        expect(made.status == 0, made.err)
        done = self.cli("--json", "hub", "key", "install", path)
        expect(done.status == 0, done.err)
        expect(done.json()["vouched"], done.out)
        return path


class Account(Api):
    """What a CRM sees of an account: its host name and its key."""

    def __init__(self, hub):
        super().__init__(hub)
        self.host = hub.url.split("//")[1]

    def ask(self, method, path, body=None, headers=None, key=None):
        return super().ask(method, path, body,
                           dict({"Host": self.host}, **(headers or {})), key)


def order(opportunity="OPP-1", account="ACC-98765", name="Mercedes-Benz AG",
          tenant="mercedes", provision=True, **more):
    document = terms(**more)
    return {"crm_opportunity_id": opportunity,
            "customer": {"crm_account_id": account, "name": name,
                         "tenant_id": tenant,
                         "contact_email": "licenses@mercedes.example"},
            "product": document["product"],
            "entitlement": document["entitlement"],
            "contract": document["contract"],
            "terms": document["terms"],
            "auto_provision": provision}


def write(world, name, what):
    path = world.path(name)
    with open(path, "w") as f:
        f.write(what if isinstance(what, str) else json.dumps(what))
    return path


def setting(world, account="vector", config=""):
    hub = Hub(world, config=config)
    hub.start()
    api = hub.account(account)
    hub.vouch(world)
    return hub, api


def ids(year=None):
    """The first id of the series of order()."""
    start = date.today() - timedelta(days=30)
    return "lic-vector-mercedes-%d-001" % (year or start.year)


def the_order_of_a_crm_becomes_a_seat_at_a_site():
    with World() as world:
        hub, api = setting(world)
        made = api.ask("POST", "/api/v1/licenses/generate", order(),
                       headers={"X-Vendor-ID": "vector"})
        expect(made.status == 201, made)
        answer = made.json()
        expect(answer == {"license_id": ids(), "crm_opportunity_id": "OPP-1",
                          "status": "awaiting_site",
                          "customer_tenant": "mercedes"}, answer)
        none = api.get("/api/v1/licenses/%s/package" % ids())
        expect(none.status == 404 and "request" in none.json()["detail"],
               none)
        # The site asks, and what waited for it is issued.
        site = Site(world)
        site.start()
        request = write(world, "halle4.request", site.request())
        bound = hub.cli("--json", "hub", "site", "add", request, "--customer",
                        "ACC-98765")
        expect(bound.status == 0, bound.err)
        expect(bound.json()["issued"] == [ids()], bound.out)
        # The same words: the same license, as it is by now.
        again = api.ask("POST", "/api/v1/licenses/generate", order())
        expect(again.json()["status"] == "provisioned" and
               again.json()["license_id"] == ids(), again)
        package = world.path("mercedes.lic")
        got = hub.cli("hub", "license", "package", ids(), package)
        expect(got.status == 0, got.err)
        raw = api.get(again.json()["package_url"])
        with open(package) as f:
            expect(json.load(f) == raw.json(), "two packages differ")
        done = site.cli("--json", "license", "install", package)
        expect(done.status == 0, done.err)
        expect(done.json()["license_id"] == ids(), done.out)
        expect(done.json()["vendor"]["id"] == "vector", done.out)
        key, _ = make_key(site)
        with Program(site, key) as program:
            lease = program.take(user="anna")
            expect(lease["type"] == "commit", lease)
        # Renewed: the next serial, with a later end, for the same place.
        until = str(date.today() + timedelta(days=700))
        renewed = hub.cli("--json", "hub", "license", "renew", ids(),
                          "--until", until)
        expect(renewed.status == 0 and renewed.json()["serial"] == 2,
               renewed.err + renewed.out)
        expect(hub.cli("hub", "license", "package", ids(),
                       package).status == 0, "no package")
        done = site.cli("--json", "license", "install", package)
        expect(done.status == 0 and done.json()["serial"] == 2, done.err)
        expect(done.json()["contract"]["end_date"] == until, done.out)
        hub.verify()
        site.verify()


def one_opportunity_is_one_license():
    with World() as world:
        _, api = setting(world)
        path = "/api/v1/licenses/generate"
        first = api.ask("POST", path, order())
        again = api.ask("POST", path, order())
        expect(first.status == again.status == 201 and
               first.json() == again.json(), (first, again))
        other = api.ask("POST", path, order(commit=6))
        expect(other.status == 409 and other.code == "conflict", other)
        next_one = api.ask("POST", path, order("OPP-2", commit=6))
        expect(next_one.json()["license_id"] == ids()[:-1] + "2", next_one)
        # The customer is one, and was found by the CRM's id.
        found = api.get("/api/v1/customers/search?crm_account_id=ACC-98765")
        customer = found.json()["customer"]
        expect(found.json()["found"] and
               customer["platform_customer_id"] == "CUST-00001" and
               customer["company_name"] == "Mercedes-Benz AG" and
               customer["tenant_id"] == "mercedes" and
               customer["status"] == "active", found)
        expect(api.get("/api/v1/customers/search?name=benz").json()["found"],
               "not by name")
        expect(not api.get("/api/v1/customers/search?tenant_id=x")
               .json()["found"], "found nobody")
        bad = order("OPP-3")
        bad["entitlement"]["total_licenses"] = 3
        wrong = api.ask("POST", path, bad)
        expect(wrong.status == 400 and
               wrong.json()["field"].startswith("entitlement"), wrong)


def accounts_do_not_see_each_other():
    with World() as world:
        hub, api = setting(world)
        api.ask("POST", "/api/v1/licenses/generate", order())
        other = hub.account("simulink")
        for path in ("/api/v1/hub/licenses/" + ids(),
                     "/api/v1/licenses/%s/package" % ids(),
                     "/api/v1/customers/ACC-98765"):
            gone = other.get(path)
            expect(gone.status == 404, (path, gone))
        seen = other.get("/api/v1/hub/licenses")
        expect(seen.json() == {"items": []}, seen)
        mixed = other.get("/api/v1/hub/licenses",
                          headers={"X-Vendor-ID": "vector"})
        expect(mixed.status == 403 and "simulink" in mixed.json()["detail"],
               mixed)
        # Without a word of its own root key it issues nothing.
        made = other.ask("POST", "/api/v1/licenses/generate", order())
        expect(made.status == 409 and "hub key" in made.json()["hint"], made)
        # And the word of another vendor's root key is none.
        refused = other.ask("PUT", "/api/v1/hub/key",
                            json.load(open(world.path("word.json"))))
        expect(refused.status == 400 and "vector" in
               refused.json()["detail"], refused)


def what_is_of_a_hub_is_not_of_a_site():
    with World() as world:
        hub, api = setting(world)
        site = Site(world)
        site.start()
        at_site = Api(site)
        for path in ("/api/v1/hub/licenses", "/api/v1/customers",
                     "/api/v1/hub/key"):
            none = at_site.get(path)
            expect(none.status == 404 and "hub" in none.json()["detail"],
                   (path, none))
        for path in ("/api/v1/leases", "/api/v1/licenses",
                     "/api/v1/policies", "/api/v1/devices/tokens"):
            none = api.get(path)
            expect(none.status == 404 and "hub" in none.json()["detail"],
                   (path, none))
        # A site gives nobody what is of a hub.
        made = at_site.ask("POST", "/api/v1/keys/generate",
                           {"app_name": "crm", "app_type": "cloud_service",
                            "scopes": ["vendor:admin"]})
        expect(made.status == 403, made)
        made = api.ask("POST", "/api/v1/keys/generate",
                       {"app_name": "crm", "app_type": "cloud_service",
                        "scopes": ["vendor:admin"]})
        expect(made.status == 201, made)
        crm = made.json()["api_key"]
        seen = api.get("/api/v1/hub/statistics", key=crm)
        expect(seen.status == 200 and seen.json()["licenses"] == 0, seen)
        none = api.get("/api/v1/users", key=crm)
        expect(none.status == 403, none)


def a_license_is_suspended_resumed_and_cancelled():
    with World() as world:
        hub, api = setting(world)
        api.ask("POST", "/api/v1/licenses/generate", order(provision=False))
        base = "/api/v1/hub/licenses/%s/" % ids()
        early = api.ask("POST", base + "suspend", {})
        expect(early.status == 409, early)
        site = Site(world)
        write(world, "r.request", site.request())
        bound = hub.cli("--json", "hub", "site", "add",
                        world.path("r.request"), "--customer", "ACC-98765")
        # It waits to be provisioned, not for the site.
        expect(bound.status == 0 and "issued" not in bound.json(), bound.out)
        done = api.ask("POST", "/api/v1/licenses/provision",
                       {"license_id": ids(),
                        "customer": {"crm_account_id": "ACC-98765"}})
        expect(done.json()["status"] == "provisioned" and
               "provisioned_at" in done.json() and
               done.json()["customer_notified"] is False, done)
        for verb, status in (("suspend", "suspended"),
                             ("suspend", "suspended"),
                             ("resume", "provisioned"),
                             ("cancel", "cancelled")):
            done = api.ask("POST", base + verb, {"reason": "unpaid"})
            expect(done.status == 200 and done.json()["status"] == status,
                   (verb, done))
        # The second suspension changed nothing.
        expect(done.json()["revisions"] == 3, done)
        over = api.ask("POST", base + "resume", {})
        expect(over.status == 409, over)
        gone = api.get("/api/v1/licenses/%s/package" % ids())
        expect(gone.status == 410, gone)
        figures = api.get("/api/v1/hub/statistics").json()
        expect(figures["cancelled"] == 1 and figures["provisioned"] == 0 and
               figures["sites"] == 1, figures)
        # Who did it is told as on a site; words of admins lie sealed.
        told = wait_for(lambda: api.get(
            "/api/v1/audit?event=hub.license.cancel").json()["items"],
            "who cancelled it is not told")
        expect(len(told) == 1 and told[0]["result"] == "done" and
               told[0]["ip_address"] == "127.0.0.1", told)
        hub.stop()
        hub.start()
        expect(api.get(base[:-1]).json()["status"] == "cancelled",
               "forgotten over a restart")
        hub.verify()


def contracts_near_their_end_go_on_by_themselves():
    with World() as world:
        hub, api = setting(world)
        site = Site(world)
        request = write(world, "r.request", site.request())
        today = date.today()
        ends = {"OPP-1": today + timedelta(days=20),
                "OPP-2": today + timedelta(days=60)}
        for opportunity, end in ends.items():
            made = api.ask("POST", "/api/v1/licenses/generate", order(
                opportunity, start=end - timedelta(days=364), end=end))
            expect(made.status == 201, made)
        hub.cli("hub", "site", "add", request, "--customer", "ACC-98765")
        # The clock of the hub renews the one, and leaves the other.
        hub.stop()
        hub.start()

        def renewed():
            items = api.get("/api/v1/hub/licenses").json()["items"]
            return {i["crm_opportunity_id"]: i for i in items
                    if i["serial"] == 2}
        found = wait_for(renewed, "nothing renews by itself", 30)
        expect(list(found) == ["OPP-1"], found)
        end = found["OPP-1"]["contract"]["end_date"]
        expect(end > str(ends["OPP-1"] + timedelta(days=300)), end)
        hub.verify()


def what_ends_soon_is_listed_and_counted():
    with World() as world:
        hub, api = setting(world)
        # Midnight may come in between: no contract ends at an edge.
        today = date.today()
        for days in (5, 20, 60, 300):
            end = today + timedelta(days=days)
            body = order("OPP-%d" % days, end=end, commit=days,
                         start=end - timedelta(days=364))
            body["contract"]["auto_renew"] = False
            made = api.ask("POST", "/api/v1/licenses/generate", body)
            expect(made.status == 201, made)

        def ending(within):
            page = api.get("/api/v1/hub/licenses?expiring_days=%d&limit=1"
                           % within).json()
            seen = page["items"]
            while "next" in page:
                page = api.get("/api/v1/hub/licenses?expiring_days=%d&limit=1"
                               "&after=%s" % (within, page["next"])).json()
                seen += page["items"]
            return [i["crm_opportunity_id"] for i in seen]

        # What no site has is not in force, and cannot end.
        expect(ending(3650) == [], ending(3650))
        figures = api.get("/api/v1/hub/statistics").json()
        expect(figures["awaiting_site"] == 4 and
               figures["expiring_30_days"] == 0, figures)
        request = write(world, "r.request", Site(world).request())
        bound = hub.cli("hub", "site", "add", request, "--customer",
                        "ACC-98765")
        expect(bound.status == 0, bound.err)
        for within, found in ((2, []), (10, ["OPP-5"]),
                              (30, ["OPP-5", "OPP-20"]),
                              (90, ["OPP-5", "OPP-20", "OPP-60"])):
            expect(ending(within) == found, (within, ending(within)))
        for what, licenses, soon, seats in (
                (None, 4, 2, 385), ("suspend", 3, 1, 380)):
            if what is not None:  # the one that ends first
                done = api.ask("POST", "/api/v1/hub/licenses/%s/%s" % (
                    api.get("/api/v1/hub/licenses?expiring_days=10").json()
                    ["items"][0]["license_id"], what), {"reason": "unpaid"})
                expect(done.status == 200, done)
            figures = api.get("/api/v1/hub/statistics").json()
            expect(figures["provisioned"] == licenses and
                   figures["expiring_30_days"] == soon and
                   figures["commit_seats"] == seats and
                   figures["customers"] == figures["sites"] == 1 and
                   figures["fees"] == [{"currency": "EUR",
                                        "commit_fee_monthly":
                                        5000 * licenses}], figures)
        expect(ending(30) == ["OPP-20"], ending(30))


def contacts_lie_sealed():
    with World() as world:
        hub, api = setting(world)
        api.ask("POST", "/api/v1/licenses/generate", order())
        shown = api.get("/api/v1/customers/ACC-98765").json()
        expect(shown["contact_email"] == "licenses@mercedes.example", shown)
        done = hub.cli("hub", "customer", "set", "ACC-98765", "--contact",
                       "Anneliese Quandt", "--plan", "free")
        expect(done.status == 0 and "Quandt" in done.out, done.err)
        secret = json.load(open(world.path("word.json")))
        expect(secret["issuer"].startswith("v4.public."), secret)
        hub.stop()
        for folder, _, names in os.walk(hub.state):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    data = file.read()
                expect(b"Quandt" not in data and
                       b"licenses@mercedes" not in data, name)


def who_is_erased_is_no_customers_contact_any_more():
    with World() as world:
        hub, api = setting(world)
        api.ask("POST", "/api/v1/licenses/generate", order())
        api.ask("POST", "/api/v1/licenses/generate",
                order("OPP-2", "ACC-2", "Audi AG", "audi"))
        done = hub.cli("hub", "customer", "set", "ACC-2", "--contact",
                       "Anneliese Quandt", "--email", "aq@audi.example")
        expect(done.status == 0, done.err)
        done = hub.cli("--json", "person", "export", "anneliese quandt")
        expect(done.status == 0, done.err)
        expect("aq@audi.example" in done.out and "ACC-2" in done.out and
               "ACC-98765" not in done.out, done.out)
        done = hub.cli("--json", "person", "erase", "Anneliese Quandt")
        expect(done.status == 0 and done.json()["contacts"], done)
        for _ in range(2):
            shown = api.get("/api/v1/customers/ACC-2").json()
            expect(shown["name"] == "Audi AG" and
                   "contact_email" not in shown and
                   "contact_name" not in shown, shown)
            other = api.get("/api/v1/customers/ACC-98765").json()
            expect(other["contact_email"] == "licenses@mercedes.example",
                   other)
            hub.kill()
            hub.start()
        again = hub.cli("person", "erase", "aq@audi.example")
        expect(again.status == 1 and "nothing here is known" in again.err,
               again)


def a_plan_bounds_what_is_ordered():
    with World() as world:
        hub, api = setting(world)
        hub.cli("hub", "customer", "add", "ACC-98765", "--name",
                "Mercedes-Benz AG", "--tenant", "mercedes", "--plan", "free")
        for n in range(10):
            made = api.ask("POST", "/api/v1/licenses/generate",
                           order("OPP-%d" % n))
            expect(made.status == 201, made)
        more = api.ask("POST", "/api/v1/licenses/generate", order("OPP-x"))
        expect(more.code == "quota_exceeded", more)
        page = api.get("/api/v1/hub/licenses?crm_account_id=ACC-98765"
                       "&limit=4").json()
        seen = [i["license_id"] for i in page["items"]]
        while "next" in page:
            page = api.get("/api/v1/hub/licenses?crm_account_id=ACC-98765"
                           "&limit=4&after=" + page["next"]).json()
            seen += [i["license_id"] for i in page["items"]]
        expect(len(seen) == len(set(seen)) == 10, seen)
        hub.cli("hub", "customer", "set", "ACC-98765", "--suspend")
        none = api.ask("POST", "/api/v1/licenses/generate", order("OPP-y"))
        expect(none.status == 403 and none.code == "tenant_suspended", none)


if __name__ == "__main__":
    sys.exit(main([
        the_order_of_a_crm_becomes_a_seat_at_a_site,
        one_opportunity_is_one_license,
        accounts_do_not_see_each_other,
        what_is_of_a_hub_is_not_of_a_site,
        a_license_is_suspended_resumed_and_cancelled,
        contracts_near_their_end_go_on_by_themselves,
        what_ends_soon_is_listed_and_counted,
        contacts_lie_sealed,
        who_is_erased_is_no_customers_contact_any_more,
        a_plan_bounds_what_is_ordered,
    ], together=True))
