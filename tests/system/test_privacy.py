#!/usr/bin/python3
"""One person's data: exported whole, erased for good, and the journal does not
notice."""

import glob
import os

from api import Api
from harness import (PRODUCT, Agent, Site, World, expect, main, terms,
                     wait_for)

DONE, FAILED = range(2)
NAME = "Anneliese.Quandt-Oe"


class Office:
    """A site, a workstation, and seats held for processes that do nothing."""

    def __init__(self, world):
        self.world = world
        self.site = Site(world)
        self.site.start()
        self.site.install(terms(commit=20, overage=0))
        self.agent = Agent(world)
        self.agent.start()
        self.agent.enroll(self.site)

    def hold(self, user):
        sleeper = self.world.start("sleep-%d" % len(self.world.started),
                                   ["sleep", "600"])
        done = self.agent.cli("--json", "checkout", PRODUCT, "--version",
                              "8.1.0", "--user", user, "--pid", sleeper.pid)
        expect(done.status == DONE, done.err)
        lease = done.json()["lease"]

        def free():
            sleeper.kill()
            sleeper.wait()
            wait_for(lambda: all(l["lease"] != lease
                                 for l in self.site.leases()),
                     "the seat stays")
        return lease, free

    def person(self, *args):
        return self.site.cli("--json", "person", *args)


def key_of(office):
    paths = glob.glob(office.world.path("**", "people.key"), recursive=True)
    expect(len(paths) >= 1, "there is no people.key")
    with open(paths[0], "rb") as f:
        return os.path.dirname(paths[0]), f.read()


def store_bytes(folder):
    found = b""
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            found += f.read()
    return found


def a_person_is_exported_and_erased():
    with World() as world:
        export_and_erase(world)


def export_and_erase(world):
    office = Office(world)
    site = office.site
    _, free_bob = office.hold("bob")
    lease, free = office.hold(NAME)

    data = office.person("export", NAME)
    expect(data.status == DONE, data.err)
    data = data.json()
    expect([s["value"] for s in data["subjects"]] == [NAME], data["subjects"])
    expect([l["lease"] for l in data["leases"]] == [lease], data["leases"])
    kinds = [r["kind"] for r in data["rows"]]
    expect(kinds == ["subject.added", "lease.granted"], kinds)
    subject = data["subjects"][0]["subject"]
    expect(data["rows"][1]["fact"]["user"] == subject, data["rows"][1])

    refused = site.cli("person", "erase", NAME)
    expect(refused.status == FAILED, refused.err)
    expect("lease-%d" % lease in refused.err and "--force" in refused.err,
           refused.err)
    free()

    folder, key = key_of(office)
    old = key[8:40]
    expect(old in store_bytes(folder), "the search finds nothing at all")
    erased = office.person("erase", NAME)
    expect(erased.status == DONE, erased.err)
    erased = erased.json()
    expect(erased["wiped"] and "ackup" in erased["remains"], erased)
    expect([s["subject"] for s in erased["subjects"]] == [subject], erased)

    everything = store_bytes(folder)
    expect(NAME.encode() not in everything, "the name stands in the store")
    expect(old not in everything, "its key stands in the store")
    expect(office.person("find", NAME, "--mentions").json()["items"] == [],
           "it is found")
    expect(site.cli("person", "erase", NAME).status != DONE, "erased twice")
    # The others stay, and the journal holds.
    expect([l["user"] for l in site.leases()] == ["bob"], site.leases())
    expect(site.verify()["rows"] > 0, "the journal does not hold")
    site.stop()
    site.start()
    expect(site.verify()["rows"] > 0, "not after a restart")
    expect(old not in store_bytes(folder), "its key is back")

    # Somebody of that name comes back, and is somebody else.
    office.agent.wait_connected()
    again, free = office.hold(NAME)
    found = office.person("find", NAME).json()["items"]
    expect(len(found) == 1 and found[0]["subject"] != subject, found)
    forced = office.person("erase", NAME, "--force")
    expect(forced.status == DONE, forced.err)
    shown = [l["user"] for l in site.leases() if l["lease"] == again]
    expect(shown == ["erased"], shown)
    table = site.cli("leases").out
    expect("erased" in table and NAME not in table, table)

    # The site's word, without the site.
    listed = office.person("erasures").json()["items"]
    expect([e["erasure"] for e in listed] == [1, 2], listed)
    expect(listed[0]["document"] == erased["document"], listed)
    key = site.cli("--json", "site", "show").json()["site_key"]
    public = "k4.public." + key.rstrip("=").translate(
        str.maketrans("+/", "-_"))
    site.stop()
    path = world.path("erasure.txt")
    with open(path, "w") as f:
        f.write(erased["document"] + "\n")
    said = site.cli("--json", "person", "verify", path, "--site-key", public)
    expect(said.status == DONE, said.err)
    expect([s["subject"] for s in said.json()["subjects"]] == [subject],
           said.out)
    with open(path, "w") as f:
        f.write(erased["document"].replace("v4.public.e", "v4.public.f"))
    said = site.cli("person", "verify", path, "--site-key", public)
    expect(said.status == FAILED, "a changed document holds: " + said.out)
    expect(NAME not in site.log(), "the name stands in the log")


def hosts_go_when_asked_for():
    with World() as world:
        erase_hosts(world)


def erase_hosts(world):
    office = Office(world)
    device = office.site.cli("--json", "device", "list").json()["items"][0]
    name = device["host"] or device["name"]
    found = office.person("find", name, "--hosts").json()["items"]
    expect(found, "nothing is found of %s" % name)
    expect(office.person("find", name).json()["items"] == [],
           "hosts are found unasked")
    done = office.person("erase", name, "--hosts")
    expect(done.status == DONE, done.err)
    device = office.site.cli("--json", "device", "list").json()["items"][0]
    expect(device["host"] == "erased", device)
    # The device goes on all the same.
    _, free = office.hold("carol")
    free()


def keys_sessions_and_the_contact_are_his_too():
    """What names him beside the seats: exported, and gone with him."""
    mail = "a.quandt@plant.example"
    with World() as world:
        site = Site(world, config="[login]\npassword_cost=interactive\n")
        site.start()
        api = Api(site, timeout=60)
        user = api.post("/api/v1/users", {
            "login": "quandt", "name": NAME, "mail": mail, "role": "viewer",
            "password": "green bottle hill"}).json()["user"]["user"]
        logged = api.ask("POST", "/api/v1/session", {
            "login": "quandt", "password": "green bottle hill"}, key="")
        expect(logged.status == 201, logged)
        token = logged.json()["token"]
        for contact in ("%s <%s>" % (NAME, mail), "bob"):
            made = api.post("/api/v1/keys/generate", {
                "app_name": "tool", "app_type": "ci_cd",
                "scopes": ["admin:read"], "metadata": {"contact": contact}})
            expect(made.status == 201, made)
        done = api.ask("PUT", "/api/v1/b2b/tenants/default", {
            "contactInfo": {"name": NAME, "email": mail, "phone": "555-7"}})
        expect(done.status == 200, done)

        def whole(name):
            done = site.cli("--json", "person", "export", name)
            expect(done.status == DONE, done.err)
            return done.json()

        for name in (NAME, mail):
            data = whole(name)
            kinds = sorted(d["kind"] for d in data["documents"])
            expect(kinds == ["contact", "key", "user"], data)
            contact = [d for d in data["documents"]
                       if d["kind"] == "contact"][0]
            expect(contact["document"]["phone"] == "555-7", contact)
            expect([s["user"] for s in data["sessions"]] == [user], data)
            expect(data["sessions"][0]["address"] == "127.0.0.1", data)
        shown = site.cli("person", "export", NAME)
        for word in ("session-", "key-", "contact", "user-%d" % user):
            expect(word in shown.out, shown.out)
        expect(token not in shown.out, "an export shows a secret")

        # A key that his account may not use goes on; its contact does not.
        done = site.cli("--json", "person", "erase", mail)
        expect(done.status == DONE, done.err)
        done = done.json()
        expect((len(done["users"]), done["keys"], done["contacts"]) ==
               (1, 1, 1), done)
        for again in (mail, NAME):
            data = whole(again)
            expect(data["documents"] == [] and data["sessions"] == [], data)
        items = api.get("/api/v1/keys").json()["items"]
        expect([k["metadata"]["contact"] for k in items
                if k["app_name"] == "tool"] == ["erased", "bob"], items)
        tenant = api.get("/api/v1/b2b/tenants/default").body.decode()
        expect(mail not in tenant and "555-7" not in tenant, tenant)
        expect(api.ask("GET", "/api/v1/session", key=token).status == 401,
               "his session goes on")
        refused = site.cli("person", "erase", mail)
        expect(refused.status == FAILED, "erased twice")
        expect(site.verify()["rows"] > 0, "the journal does not hold")
        site.kill()
        site.start()
        expect(site.verify()["rows"] > 0, "not after a crash")
        for folder, _, names in os.walk(site.state):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    data = f.read()
                for word in (mail, NAME, "555-7"):
                    expect(word.encode() not in data,
                           "%s stands in %s" % (word, name))
        for word in (mail, NAME):
            expect(word not in site.log(), "%s stands in the log" % word)


def a_refused_erasure_leaves_the_contact():
    with World() as world:
        site = Site(world, config="[login]\npassword_cost=interactive\n")
        site.start()
        api = Api(site, timeout=60)
        made = api.post("/api/v1/users", {
            "login": "boss", "name": NAME, "role": "owner",
            "password": "green bottle hill"})
        expect(made.status == 201, made)
        done = api.ask("PUT", "/api/v1/b2b/tenants/default", {
            "contactInfo": {"name": NAME}})
        expect(done.status == 200, done)
        # The last owner stays, so all of him does.
        refused = site.cli("person", "erase", NAME)
        expect(refused.status == FAILED and "last owner" in refused.err,
               refused.err)
        data = site.cli("--json", "person", "export", NAME).json()
        expect(sorted(d["kind"] for d in data["documents"]) ==
               ["contact", "user"], data)


if __name__ == "__main__":
    main([a_person_is_exported_and_erased, hosts_go_when_asked_for,
          keys_sessions_and_the_contact_are_his_too,
          a_refused_erasure_leaves_the_contact])
