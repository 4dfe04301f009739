#!/usr/bin/python3
"""One person's data: exported whole, erased for good, and the journal does not
notice."""

import glob
import os

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


if __name__ == "__main__":
    main([a_person_is_exported_and_erased, hosts_go_when_asked_for])
