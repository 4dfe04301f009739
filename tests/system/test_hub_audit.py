#!/usr/bin/python3
"""What is done at a hub stands in its audit: every route of it is asked with
success, by the list that the hub's own description gives, and each that changes
something is told, with who asked and from where, as on a site."""

import sys
from datetime import date, timedelta

import test_hub_register
from harness import World, expect, main, wait_for
from test_hub import ids, order, setting
from test_sync_credit import month
from test_sync_online import Net

CUSTOMER = "ACC-98765"
LICENSE = "/api/v1/hub/licenses/" + ids()
IMAGE = {"version": "0.2.0", "pcrs": [{"pcr": 11, "sha256": "11" * 32}]}


def of_a_hub(api):
    """{operation: does it only look?} of what a site does not have."""
    document = api.get("/api/v1/openapi.json").json()
    return {op["operationId"]: method == "get"
            for methods in document["paths"].values()
            for method, op in methods.items()
            if op["x-leasehold-place"] == "hub"}


def look(api):
    """Every question, answered; their names."""
    asked = {
        "hub.package": "/api/v1/licenses/%s/package" % ids(),
        "hub.license.list": "/api/v1/hub/licenses",
        "hub.license.show": LICENSE,
        "hub.statistics": "/api/v1/hub/statistics",
        "hub.analytics": "/api/v1/analytics/usage?period=" + month(),
        "customer.search": "/api/v1/customers/search?name=benz",
        "customer.list": "/api/v1/customers",
        "customer.show": "/api/v1/customers/" + CUSTOMER,
        "hub.site.list": "/api/v1/hub/sites",
        "hub.key.show": "/api/v1/hub/key",
        "hub.image.list": "/api/v1/hub/images",
        "billing.invoice.list": "/api/v1/billing/invoices",
        "billing.credit.list": "/api/v1/billing/credits?customer_crm_id=" +
                               CUSTOMER,
    }
    site = api.get("/api/v1/hub/sites").json()["items"][0]["site"]
    asked["hub.site.show"] = "/api/v1/hub/sites/" + site
    for name, path in asked.items():
        answer = api.get(path)
        expect(answer.status == 200, (name, answer))
    return set(asked)


def change(api):
    """What an admin or the CRM changes; the names of it. Setting up a hub and
    its site asked for some already, through the CLI."""
    until = str(date.today() + timedelta(days=700))
    later = ids()[:-1] + "2"
    customer = {"name": "Audi AG", "contact_email": "it@audi.example"}
    asked = [
        ("hub.license.renew", "POST", LICENSE + "/renew",
         {"end_date": until}),
        ("hub.license.suspend", "POST", LICENSE + "/suspend", {}),
        ("hub.license.resume", "POST", LICENSE + "/resume", {}),
        ("hub.generate", "POST", "/api/v1/licenses/generate",
         order("OPP-2", provision=False)),
        ("hub.provision", "POST", "/api/v1/licenses/provision",
         {"license_id": later}),
        ("hub.license.cancel", "POST", "/api/v1/hub/licenses/%s/cancel" %
         later, {"reason": "unpaid"}),
        ("customer.add", "POST", "/api/v1/customers",
         dict(customer, crm_account_id="ACC-2")),
        ("customer.set", "PUT", "/api/v1/customers/ACC-2",
         dict(customer, plan="startup")),
        ("hub.key.make", "POST", "/api/v1/hub/key", {}),
        ("hub.image.add", "POST", "/api/v1/hub/images", IMAGE),
        ("hub.image.remove", "DELETE", "/api/v1/hub/images/0.2.0", None),
        ("billing.credit.add", "POST", "/api/v1/billing/credits",
         {"credit_id": "CN-1", "customer_crm_id": CUSTOMER,
          "period": month(2), "amount": 10, "currency": "EUR",
          "reason": "outage"}),
    ]
    for name, method, path, body in asked:
        answer = api.ask(method, path, body)
        expect(answer.status in (200, 201), (name, answer))
    return {name for name, *_ in asked}


def done_in(api):
    """{operation: entry} of what the audit says was done, of a hub's."""
    found, path = {}, "/api/v1/audit?result=done&limit=100"
    page = api.get(path).json()
    for _ in range(100):
        for entry in page["items"]:
            found.setdefault(entry["event"], entry)
        if "next" not in page:
            break
        page = api.get(path + "&after=" + page["next"]).json()
    return found


def told(api, names):
    """Each of them stands there: the entries."""
    wait_for(lambda: not names - set(done_in(api)),
             "not all is told of %s" % sorted(names), 60, 0.2)
    found = done_in(api)
    for name in names:
        entry = found[name]
        expect(entry["ip_address"] == "127.0.0.1" and entry["actor"] and
               entry["timestamp"], (name, entry))
    return found


def what_is_done_at_a_hub_is_told():
    with World() as world:
        # A company that registers, and proves its domain.
        resolver, _, api = test_hub_register.setting(world)
        changes = {name for name, looks in of_a_hub(api).items() if not looks}
        answer, asked = test_hub_register.begin(api)
        record = answer["verification"]["dns_record"]
        resolver.records[record["name"]] = [record["value"]]
        test_hub_register.until(api, asked, 200)
        proved = {"customer.register", "customer.verify"}
        told(api, proved)
    with World() as world:
        # A site that reports over the network, and by file.
        net = Net(world)
        net.now()
        path = world.path("by-file.sync")
        net.at(net.site, "sync", "export", path)
        net.at(net.hub, "hub", "import", path, "--out", path + ".back")
        set_up = {"hub.key.install", "hub.generate", "hub.site.add",
                  "sync.report", "hub.report.import"}
        asked = set_up | change(net.api)
        # One needs a month that is over (test_invoices), one a second box
        # (test_disaster).
        proved |= {"billing.invoice.add", "hub.reissue"}
        expect(asked | proved == changes, "without a case here: %s" %
               sorted(changes ^ (asked | proved)))
        found = told(net.api, asked)
        # A site speaks for itself, all else is the admin's.
        for name in asked:
            expect((found[name]["actor"] == "site") == (name == "sync.report"),
                   found[name])
        net.hub.stop()
        net.hub.start()
        told(net.api, asked)
        net.hub.verify()


def who_only_looks_at_a_hub_leaves_no_row():
    """As on a site: looks at people's data are told, others are not."""
    with World() as world:
        net = Net(world, seats=0)
        looks = look(net.api)
        questions = {name for name, is_look in of_a_hub(net.api).items()
                     if is_look}
        expect(looks == questions, "without a case here: %s" %
               sorted(looks ^ questions))
        # What is told later stands behind all that was asked before.
        expect(net.api.ask("POST", LICENSE + "/suspend", {}).status == 200,
               "not suspended")
        found = told(net.api, {"hub.license.suspend"})
        expect(not looks & set(found), looks & set(found))


def who_asks_a_hub_by_a_key_is_told_by_it():
    with World() as world:
        _, api = setting(world)
        made = api.ask("POST", "/api/v1/keys/generate",
                       {"app_name": "crm", "app_type": "cloud_service",
                        "scopes": ["vendor:admin"]})
        expect(made.status == 201, made)
        done = api.ask("POST", "/api/v1/licenses/generate", order(),
                       key=made.json()["api_key"])
        expect(done.status == 201, done)
        entry = told(api, {"hub.generate"})["hub.generate"]
        expect(entry["actor"] == made.json()["key_id"], entry)


if __name__ == "__main__":
    sys.exit(main([
        what_is_done_at_a_hub_is_told,
        who_only_looks_at_a_hub_leaves_no_row,
        who_asks_a_hub_by_a_key_is_told_by_it,
    ], together=True))
