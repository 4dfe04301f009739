#!/usr/bin/python3
"""Attacks by who owns the site's box: older copies of its store, copies of its
disk, and licenses used where they do not belong."""

import os
import re
import shutil
import sys
import time

from attack import (PRODUCT, REFUSED, Agent, OwnAgent, Place, Site, Tpm, World, agent_of,
                    believed, binary, expect, gains, main, point_agent_at, run,
                    site_of, take, terms, wait_for)

SEATS = 3


def seats_taken(world, agent, name, at_most):
    """Applications that got a seat there, until one is refused."""
    apps = []
    while len(apps) < at_most:
        app, words = believed(world, agent.socket, "%s%d" % (name, len(apps)))
        if app is None:
            break
        apps.append(app)
    return apps


def held(site):
    """Leases there; None: it does not answer now."""
    shown = site.cli("--json", "leases")
    return len(shown.json().get("items", [])) if shown.status == 0 else None


def leave(apps):
    for app in apps:
        app.stop()


def box_with_tpm(world, kind):
    """A site on a box with a TPM, and an agent."""
    site = Site(world, tpm=Tpm(world, kind))
    site.first_tpm = site.tpm
    site.start()
    site.install(terms(SEATS, 0, grace_s=600))
    return site, agent_of(world, site)


def copy_and_move_on(world, site, agent, of_tpm=False):
    """A copy of all of the disk, and of the TPM if that is virtual, and seats
    that were taken after it; nobody runs any more."""
    site.stop()
    copy = site.snapshot()
    if of_tpm:
        site.tpm.stop()
        site.tpm.snapshot()
        site.tpm.start()
    site.start()
    agent.wait_connected()
    apps = seats_taken(world, agent, "held", SEATS + 1)
    expect(len(apps) == SEATS, "%d seats" % len(apps))
    agent.stop()
    site.stop()
    return copy, apps


def put_disk_back(site, copy):
    site.put_back(copy, parts=("system", "tenants", "keys"), witness=True)


def site_that_moved_on(world):
    """A site of SEATS seats, a copy of its store from before any was taken, and
    an agent that holds them all."""
    site = site_of(world, commit=SEATS, overage=0)
    agent = agent_of(world, site)
    world.token = site.token()
    site.stop()
    copy = site.snapshot()
    site.start()
    agent.wait_connected()
    apps = seats_taken(world, agent, "held", SEATS + 1)
    expect(len(apps) == SEATS, "%d seats" % len(apps))
    site.stop()
    return site, agent, copy, apps


def a_store_put_back_while_leases_moved_on_grants_nothing():
    """Has: the box, and last week's copy of its store: in it all seats are
    free, while they are taken.
    Tries: to run the site from the copy, and to give the seats a second time.
    Gets: nothing: the store stands behind the site's own counter, and the site
    grants no seat until an admin says why, which its journal keeps for ever.
    Applications that run go on.
    """
    with World() as world:
        site, agent, copy, apps = site_that_moved_on(world)
        site.put_back(copy)
        site.start()
        expect(site.ready()["rolled_back"], "not noticed")
        stranger = Agent(world, "stranger")
        stranger.start()
        done = stranger.cli("enroll", site.url, "--token", world.token)
        expect(done.status == REFUSED and "rolled_back" in done.err, done.err)
        done = site.cli("join", "create")
        expect(done.status == REFUSED and "acknowledge-rollback" in done.err,
               done.err)
        agent.wait_connected()
        app, words = believed(world, agent.socket, "again")
        expect(app is None and "rolled back" in words, words)
        expect(all(a.process.poll() is None for a in apps), "one has ended")
        # Acknowledged, it counts what the devices bring: no seat is free.
        done = site.cli("site", "acknowledge-rollback", "--reason",
                        "to have the seats twice")
        expect(done.status == 0, done.err)
        wait_for(lambda: held(site) == SEATS, "the leases do not come back",
                 15)
        app, words = believed(world, agent.socket, "later")
        expect(app is None, "a seat beyond the license")
        found = site.verify()
        expect(found["generations"][0]["fact"]["lost"]["grants"] >= SEATS,
               found)


def a_whole_box_put_back_is_told_by_who_was_there():
    """Has: the box, and a copy of all of it, with the file that holds its
    counter (a site without a TPM).
    Tries: as before; now nothing on the box is newer than the copy.
    Gets: seats for devices that were not there in between, until the first
    comes that was: it shows the site its own signature, and all grants stop.
    """
    with World() as world:
        site, agent, copy, apps = site_that_moved_on(world)
        stop_agents = [agent]
        for each in stop_agents:
            each.stop()
        site.put_back(copy, witness=True)
        site.start()
        expect(not site.ready().get("rolled_back"), "noticed by itself")
        stranger = agent_of(world, site, "stranger")
        twice = seats_taken(world, stranger, "twice", SEATS + 1)
        began = time.monotonic()
        agent.start()
        wait_for(lambda: site.ready().get("rolled_back"),
                 "the agent's evidence does not stop the site", 15)
        took = time.monotonic() - began
        leave(twice[:1])
        app, words = believed(world, stranger.socket, "more")
        expect(app is None and "rolled back" in words, words)
        return gains("%d of %d seats a second time, until a device that was "
                     "there connects; then %.1f s", len(twice), SEATS, took)


def a_borrow_of_a_store_that_was_put_back_is_known_again():
    """Has: the box, and a copy of its store from before two seats were
    borrowed, one by an honest workstation, one by his own.
    Tries: to put the copy back, to acknowledge it as an accident, and to give
    both seats to somebody else while the tickets are good.
    Gets: the one that his own workstation keeps silent about, to the end of
    its ticket. The honest one shows its ticket, and the site counts the seat
    again. The journal names what was lost, with the admin's reason.
    """
    with World() as world:
        site = site_of(world, commit=2, overage=0, borrow=["software"])
        place = Place(world, site, "place")
        honest = agent_of(world, site, "honest")
        stranger = agent_of(world, site, "stranger")
        site.stop()
        copy = site.snapshot()
        site.start()
        honest.wait_connected()
        done = honest.cli("borrow", "take", PRODUCT, "--version", "8.1.0",
                          "--for", "1h")
        expect(done.status == 0, done.err)
        line = place.line()
        place.machine.borrow(line)
        evidence, = place.machine.evidence(line)
        stranger.wait_connected()
        expect(not seats_taken(world, stranger, "lent", 1), "not lent")
        site.stop()
        site.put_back(copy)
        site.start()
        expect(site.ready()["rolled_back"], "not noticed")
        stranger.wait_connected()
        app, words = believed(world, stranger.socket, "before")
        expect(app is None and "rolled back" in words, words)
        done = site.cli("site", "acknowledge-rollback", "--reason", "accident")
        expect(done.status == 0, done.err)
        wait_for(lambda: held(site) == 1, "the honest borrow does not come "
                 "back", 20)
        stranger.wait_connected()
        twice = seats_taken(world, stranger, "again", 3)
        own = OwnAgent(world, evidence, world.path("license-1.lic"),
                       place.machine)
        take(world, own.socket, "own")
        take(world, honest.socket, "honest-app")
        expect(len(twice) == 1, "%d seats" % len(twice))
        fact = site.verify()["generations"][0]["fact"]
        expect(fact["lost"]["batch"] > 0, fact)
        return gains("%d seat of 2 a second time, to the end of the ticket of "
                     "a device that does not show it, after an acknowledged "
                     "rollback", len(twice))


def a_box_with_a_tpm_that_is_put_back_notices_by_itself():
    """Has: a box with a TPM, and a copy of its whole disk: store, keys and
    all.
    Tries: to run the site from it, with no device there that could tell.
    Gets: nothing: the counter in the TPM stands above what the disk says.
    """
    with World() as world:
        site, agent = box_with_tpm(world, "hardware")
        copy, apps = copy_and_move_on(world, site, agent)
        put_disk_back(site, copy)
        site.start()
        shown = site.ready()
        expect(shown["rolled_back"] and shown["witness"] == "tpm", shown)
        agent.start()
        agent.wait_connected()
        app, words = believed(world, agent.socket, "again")
        expect(app is None and "rolled back" in words, words)


def a_virtual_box_put_back_with_its_tpm_shows_nothing():
    """Has: the hypervisor of a virtual box: a snapshot of its disk and of its
    virtual TPM, from before the seats were taken.
    Tries: to put both back, and to give the seats a second time.
    Gets: what the owner of a box without a TPM gets: seats for devices that
    were not there in between, until the first comes that was.
    """
    with World() as world:
        site, agent = box_with_tpm(world, "virtual")
        copy, apps = copy_and_move_on(world, site, agent, of_tpm=True)
        put_disk_back(site, copy)
        site.tpm.stop()
        site.tpm.restore()
        site.start()
        expect(not site.ready().get("rolled_back"), "noticed: say so")
        stranger = agent_of(world, site, "stranger")
        twice = seats_taken(world, stranger, "twice", SEATS + 1)
        expect(len(twice) == SEATS, "%d seats" % len(twice))
        agent.start()
        wait_for(lambda: site.ready().get("rolled_back"),
                 "the agent's evidence does not stop the site", 15)
        return gains("%d of %d seats a second time, until a device that was "
                     "there connects", len(twice), SEATS)


def a_disk_in_another_box_signs_nothing():
    """Has: a copy of the whole disk of a box with a TPM, and another box with
    a TPM of its own.
    Tries: to run the site there: as it is, with the sealed key alone, and with
    a new key and the old license.
    Gets: nothing: the key is sealed to the first box's TPM, and the license
    names that key.
    """
    with World() as world:
        site, agent = box_with_tpm(world, "hardware")
        other = Tpm(world, "hardware")
        agent.stop()
        site.stop()
        keys = os.path.join(site.state, "keys")
        expect(not os.path.exists(os.path.join(keys, "site.key")),
               "the key lies there open")
        site.use_tpm(other)

        def fails(words):
            before = len(site.log())
            site.start(wait=False)
            wait_for(lambda: words in site.log()[before:],
                     "the log: " + site.log()[before:])
            expect(site.ready() is None, "it runs")
            site.stop()

        fails("stands in another box")
        shutil.move(os.path.join(keys, "tpm"), world.path("aside"))
        fails("does not open in this box")
        twin = Site(world, "twin", tpm=other)
        twin.start()
        done = twin.cli("license", "install", world.path("license-1.lic"))
        expect(done.status != 0 and "site" in done.err, done.err)
        shutil.rmtree(os.path.join(keys, "tpm"), ignore_errors=True)
        shutil.move(world.path("aside"), os.path.join(keys, "tpm"))
        site.use_tpm(site.first_tpm)
        site.start()  # the honest way
        agent.start()
        agent.wait_connected()
        take(world, agent.socket, "honest")


def a_copied_box_is_two_until_one_workstation_meets_both():
    """Has: a copy of the whole disk of a box that keeps its key in a file.
    Tries: to run both: each has the license, and gives all its seats.
    Gets: the seats twice, for workstations that are kept apart. The first
    application or agent that meets both refuses the other one's answers, and
    stops that site's grants with the first one's signature.
    """
    with World() as world:
        site = site_of(world, commit=SEATS, overage=0)
        agent = agent_of(world, site)
        site.stop()
        twin = Site(world, "twin")
        for part in (twin.state, twin.witness):
            shutil.rmtree(part, ignore_errors=True)
        for source, target in ((site.state, twin.state),
                               (site.witness, twin.witness)):
            done = run("cp", "-a", source, target)
            expect(done.status == 0, done.err)
        twin.key, twin.ca = site.key, os.path.join(twin.state, "tls",
                                                   "ca.pem")
        site.start()
        twin.start()
        agent.wait_connected()
        other = agent_of(world, twin, "other")
        ours = seats_taken(world, agent, "ours", SEATS + 1)
        theirs = seats_taken(world, other, "theirs", SEATS + 1)
        total = len(ours) + len(theirs)
        expect(not site.ready().get("rolled_back") and
               not twin.ready().get("rolled_back"), "noticed already")
        leave(ours[:1])
        leave(theirs[:1])
        # An application that was at one and asks the other.
        app, words = believed(world, other.socket, "ours0")
        expect(app is None and "does not stand there now" in words, words)
        # An agent that is led from one to the other.
        agent.stop()
        point_agent_at(agent, twin.port)
        agent.start()
        wait_for(lambda: twin.ready().get("rolled_back"),
                 "the twin goes on: %s" % agent.status(), 15)
        app, words = believed(world, other.socket, "fresh")
        expect(app is None and "rolled back" in words, words)
        return gains("%d seats of %d licensed, while no workstation meets "
                     "both boxes", total, SEATS)


def license_id(path):
    shown = run(binary("leasehold-vendor"), "show", path, "--json")
    expect(shown.status == 0, shown.err)
    return re.search(r'"license_id": ?"([^"]+)"', shown.out).group(1)


def a_suspended_license_runs_on_where_nobody_tells_the_box():
    """Has: a license that its vendor has withdrawn, with an edition of one
    seat in its place, and the box.
    Tries: not to install the new edition; and to install the old one again
    after it.
    Gets: the old edition, to the end of its contract, on a box that is not
    told; nothing on one that was: editions only go up.
    """
    with World() as world:
        site = site_of(world, commit=SEATS, overage=0)
        old = world.path("license-1.lic")
        new = world.issue(site, terms(commit=1, overage=0), "withdrawn",
                          ["--license-id", license_id(old), "--serial", "9"])
        agent = agent_of(world, site)
        apps = seats_taken(world, agent, "untold", SEATS + 1)
        untold = len(apps)
        leave(apps)
        wait_for(lambda: not site.leases(), "all are returned")
        done = site.cli("--json", "license", "install", new)
        expect(done.status == 0, done.err)
        done = site.cli("--json", "license", "install", old)
        expect(done.status != 0 and "serial 9" in done.err, done.err)
        told = len(seats_taken(world, agent, "told", SEATS + 1))
        expect((untold, told) == (SEATS, 1), "%d, %d" % (untold, told))
        return gains("%d seats instead of %d on a box that is not told, to the "
                     "last day of the contract that the old edition names",
                     untold, told)


def a_license_is_for_one_box_and_one_tenant():
    """Has: a true license, and a second box; or a request of the first box for
    a second tenant.
    Tries: to install the license in the second box; a license for another
    tenant; the same license twice; the smaller edition that it replaced; and
    another license of the product beside it.
    Gets: nothing: a license names site, site key and tenant, and a product has
    one license whose editions only go up.
    """
    with World() as world:
        site = site_of(world)
        second = Site(world, "second")
        second.start()
        path = world.issue(site, terms(product="other-product"), "one")

        def install(where, file):
            return where.cli("--json", "license", "install", file)

        done = install(second, path)
        expect(done.status != 0 and "site" in done.err, done.err)
        # Of this box, this key, and another tenant.
        made = run(binary("tests/system/attack_tool"), "request",
                   "state=" + site.state, "tenant=second")
        expect(made.status == 0, made.err)
        request, elsewhere = world.path("second.request"), world.path("t.lic")
        with open(request, "w") as f:
            f.write(made.out)
        made = run(binary("leasehold-vendor"), "issue", world.vendor,
                   "--request", request, "--terms", world.path("one.json"),
                   "--out", elsewhere)
        expect(made.status == 0, made.err)
        done = install(site, elsewhere)
        expect(done.status != 0 and "tenant" in done.err, done.err)
        done = install(site, path)
        expect(done.status == 0, "the honest way: " + done.err)
        done = install(site, path)
        expect(done.status != 0 and "installed already" in done.err, done.err)
        done = install(site, world.issue(site, terms(product="other-product"),
                                         "beside"))
        expect(done.status != 0 and "higher serial" in done.err, done.err)
        # A smaller edition of the same, and back.
        smaller = world.issue(site, terms(commit=1, overage=0,
                                          product="other-product"), "smaller",
                              ["--license-id", license_id(path), "--serial",
                               "7"])
        done = install(site, smaller)
        expect(done.status == 0, done.err)
        done = install(site, path)
        expect(done.status != 0 and "serial 7" in done.err, done.err)
        shown = site.cli("--json", "license", "list").json()
        expect(len(shown.get("items", [])) == 2, shown)


if __name__ == "__main__":
    sys.exit(main([], together=[
        a_store_put_back_while_leases_moved_on_grants_nothing,
        a_whole_box_put_back_is_told_by_who_was_there,
        a_copied_box_is_two_until_one_workstation_meets_both,
        a_borrow_of_a_store_that_was_put_back_is_known_again,
        a_box_with_a_tpm_that_is_put_back_notices_by_itself,
        a_virtual_box_put_back_with_its_tpm_shows_nothing,
        a_disk_in_another_box_signs_nothing,
        a_suspended_license_runs_on_where_nobody_tells_the_box,
        a_license_is_for_one_box_and_one_tenant,
    ]))
