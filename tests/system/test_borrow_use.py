#!/usr/bin/python3
"""Borrowing from end to end: people and applications take seats along, run
without the site, and give them back with a proof."""

import json
import os
import re
import sys
import time
from contextlib import contextmanager

from api import Api
from harness import (PRODUCT, ROOT, Agent, App, Site, World, binary,
                     expect, for_plain_programs, main, run, terms, wait_for)
from tpms import Tpm, tpm_config

DAY_MS = 86400 * 1000
GONE = -27


def lending(commit=3, **borrow):
    document = terms(commit=commit, overage=0)
    document["terms"].update(borrow)
    return document


@contextmanager
def borrower(commit=3, tpm="hardware", **borrow):
    """A site that lends, and a workstation with a TPM (or None)."""
    with World() as world:
        site = Site(world, config=tpm_config(world))
        site.start()
        site.install(lending(commit, **borrow))
        agent = Agent(world, tpm=Tpm(world, tpm) if tpm else None)
        agent.start()
        agent.enroll(site, site.token("--class", "tpm" if tpm else
                                      "software"))
        yield world, site, agent


def take(agent, *options, length="2d"):
    done = agent.cli("--json", "borrow", "take", PRODUCT, "--version", "8.1.0",
                     "--for", length, *options)
    expect(done.status == 0, "borrow take: " + done.err)
    return done.json()


def borrows(agent):
    done = agent.cli("--json", "borrow", "list")
    expect(done.status == 0, done.err)
    return done.json()["items"]


def on_loan(site):
    done = site.cli("--json", "borrow", "list", "--site")
    expect(done.status == 0, done.err)
    return done.json()["items"]


def lost(app, timeout=15):
    """What the application is told when its seat is lost."""
    end = time.monotonic() + timeout
    for line in app.process.stdout:
        said = json.loads(line)
        if said.get("event") == "lost":
            return said
        expect(time.monotonic() < end, "the seat is not lost: " + line)
    return None


# --- applications -----------------------------------------------------------

def applications_run_offline_on_borrowed_seats():
    with borrower() as (world, site, agent):
        lent = take(agent, "--count", "2")
        expect(lent["count"] == 2 and lent["type"] == "commit" and
               lent["state"] == "lent", lent)
        site.stop()
        apps = [App(world, agent.socket, name="app%d" % n) for n in range(2)]
        for app in apps:
            seat = app.wait()
            expect(seat is not None, app.errors())
            expect(seat["lease"] == lent["lease"] and seat["borrowed"] and
                   seat["count"] == 1, seat)
            expect(3500 * 1000 < seat["left_ms"] <= 3600 * 1000, seat)
            expect(abs(seat["until_ms"] / 1000 - time.time() - 2 * 86400)
                   < 60, seat)
        third = App(world, agent.socket, name="third")
        expect(third.wait() is None, "a third of two seats")
        expect("2 borrowed seats" in third.errors(), third.errors())
        expect([b["used"] for b in borrows(agent)] == [2], borrows(agent))
        apps[0].kill()
        wait_for(lambda: borrows(agent)[0]["used"] == 1,
                 "a killed application's seat is not free")
        again = App(world, agent.socket, name="again")
        expect(again.wait() is not None, again.errors())


def online_seats_are_not_borrowed():
    with borrower() as (world, site, agent):
        app = App(world, agent.socket)
        seat = app.wait()
        expect(seat is not None and not seat["borrowed"] and
               seat["until_ms"] == 0, seat)


def a_license_of_another_version_is_not_taken_offline():
    with borrower() as (world, site, agent):
        take(agent)
        site.stop()
        newer = App(world, agent.socket, version="8.9.1", name="newer")
        seat = newer.wait()
        expect(seat is not None and seat["borrowed"], newer.errors())
        newer.stop()
        older = App(world, agent.socket, version="7.1", name="older")
        expect(older.wait() is None, "a version that is not covered")


def an_early_return_ends_the_application_s_seat():
    with borrower() as (world, site, agent):
        lent = take(agent)
        app = App(world, agent.socket, extra=["--watch"])
        expect(app.wait()["borrowed"], app.errors())
        done = agent.cli("borrow", "return", "borrow-%d" % lent["lease"])
        expect(done.status == 0 and "free at the site" in done.out,
               done.out + done.err)
        said = lost(app)
        expect(said and said["error"] == GONE, said)
        expect(borrows(agent) == [] and on_loan(site) == [], borrows(agent))
        site.verify()


def an_extension_reaches_a_running_application():
    with borrower() as (world, site, agent):
        lent = take(agent, length="30")
        app = App(world, agent.socket, extra=["--watch"])
        seat = app.wait()
        expect(seat["left_ms"] <= 30000, seat)
        done = agent.cli("--json", "borrow", "extend",
                         "borrow-%d" % lent["lease"], "--for", "1d")
        expect(done.status == 0, done.err)
        expect(done.json()["length_s"] == 86400, done.out)
        end = time.monotonic() + 29
        for line in app.process.stdout:
            said = json.loads(line)
            expect(said.get("valid"), said)
            if said["left_ms"] > 60000:
                expect(said["until_ms"] > seat["until_ms"], said)
                break
            expect(time.monotonic() < end, "the extension is not heard of")


def the_end_of_a_borrow_is_the_end_of_its_seats():
    with borrower() as (world, site, agent):
        take(agent, length="4s")
        site.stop()
        app = App(world, agent.socket, extra=["--watch"])
        expect(app.wait() is not None, app.errors())
        said = lost(app)
        expect(said and said["error"] == GONE, said)
        late = App(world, agent.socket, name="late")
        expect(late.wait() is None, "a seat after the end")


# --- people -----------------------------------------------------------------

def what_is_borrowed_is_shown():
    with borrower() as (world, site, agent):
        expect("borrowed nothing" in agent.cli("borrow", "list").out, "empty")
        expect("Nothing is on loan" in
               site.cli("borrow", "list", "--site").out, "empty")
        done = agent.cli("borrow", "take", PRODUCT, "--version", "8.1.0",
                         "--for", "7d")
        expect(done.status == 0 and "Borrowed: borrow-" in done.out and
               "borrow return borrow-" in done.out, done.out + done.err)
        number = re.search(r"borrow-(\d+)", done.out).group(1)
        for text in (agent.cli("borrow", "list").out,
                     site.cli("borrow", "list", "--site").out):
            expect("borrow-" + number in text and PRODUCT in text and
                   "lent" in text and "6 d 23 h" in text, text)
        status = agent.cli("status")
        expect(status.status == 0 and "borrow-" + number in status.out,
               status.out)
        held = agent.status()
        expect([b["lease"] for b in held["borrowed"]] == [int(number)], held)
        for text in (agent.cli("borrow", "list", "--csv").out,
                     site.cli("borrow", "list", "--site", "--csv").out):
            head, row = text.splitlines()
            expect(head.startswith("borrow,product,") and
                   row.startswith(number + "," + PRODUCT) and
                   len(head.split(",")) == len(row.split(",")), text)
        for sorting in ((), ("--sort", "user")):
            text = site.cli("leases", *sorting).out
            expect("borrow-" + number in text and "lease-" not in text, text)
        [view] = on_loan(site)
        expect(view["class"] == "tpm" and view["state"] == "lent", view)
        for option, found in (("--device=device-%d" % view["device"], 1),
                              ("--device=99", 0), ("--product=other", 0),
                              ("--product=" + PRODUCT, 1)):
            done = site.cli("--json", "borrow", "list", "--site", option)
            expect(len(done.json()["items"]) == found, option)


def checkout_shows_a_borrowed_seat_for_what_it_is():
    with borrower() as (world, site, agent):
        lent = take(agent, "--count", "3")
        site.stop()
        shown = agent.cli("run", PRODUCT, "--version", "8.1.0", "--",
                          binary("leasehold"), "--json", "status")
        held = json.loads(shown.out)["held"]
        expect([h["lease"] for h in held] == [lent["lease"]] and
               held[0]["borrowed"], held)
        holder = world.start("holder", ["/bin/sleep", "30"])
        done = agent.cli("checkout", PRODUCT, "--version", "8.1.0", "--count",
                         "2", "--pid", str(holder.pid))
        expect(done.status == 0 and "2 of 3 borrowed seats" in done.out,
               done.out + done.err)
        text = agent.cli("status").out
        expect("borrow-%d" % lent["lease"] in text, text)
        expect(borrows(agent)[0]["used"] == 2, borrows(agent))


def refused(status, words, done):
    expect(done.status == status, "%d: %s" % (done.status, done.err))
    for word in words:
        expect(word in done.err, "no '%s' in: %s" % (word, done.err))


def refusals_say_what_why_and_what_to_type():
    with borrower(borrow_max_s=3 * 86400, borrow_seats=2) as (
            world, site, agent):
        def ask(*args):
            return agent.cli("borrow", "take", PRODUCT, *args)

        version = ("--version", "8.1.0")
        refused(3, ["--version V"], ask("--for", "1d"))
        refused(3, ["borrow", "259200 s"], ask("--for", "4d", *version))
        refused(3, ["at most 2"], ask("--for", "1d", "--count", "3",
                                      *version))
        refused(3, ["no-such"], agent.cli("borrow", "take", "no-such",
                                          "--for", "1d"))
        refused(2, ["--for 7d"], ask())
        refused(2, ["--for", "366d"], ask("--for", "400d"))
        refused(2, ["--count"], ask("--for", "1d", "--count", "0"))
        refused(2, ["--version"], ask("--for", "1d", "--version", "x"))
        refused(2, ["usage"], agent.cli("borrow", "return"))
        refused(2, ["BORROW"], agent.cli("borrow", "return", "lent-1"))
        refused(2, ["--for 3d"], agent.cli("borrow", "extend", "1"))
        refused(1, ["borrow-99"], agent.cli("borrow", "return", "99"))
        refused(1, ["is no return"],
                site.cli("borrow", "deliver", "/dev/null"))
        refused(1, ["cannot be read"],
                site.cli("borrow", "deliver", "/nonexistent"))
        refused(1, ["borrow-99"], site.cli("borrow", "write-off", "99"))
        lent = take(agent, length="1d")
        refused(3, ["259200 s"],
                agent.cli("borrow", "extend", "lease-%d" % lent["lease"],
                          "--for", "4d"))
        site.stop()
        refused(4, ["leasehold status"], ask("--for", "1d", *version))
        agent.stop()
        refused(4, ["no agent answers"], ask("--for", "1d", *version))


def a_class_that_may_not_borrow_is_named():
    with borrower(tpm=None) as (world, site, agent):
        done = agent.cli("borrow", "take", PRODUCT, "--version", "8.1.0",
                         "--for", "1d")
        refused(3, ["class software", "it lends to: tpm"], done)
    with borrower(tpm=None, borrow_classes=["software"]) as (
            world, site, agent):
        take(agent)
        site.stop()
        app = App(world, agent.socket)
        expect(app.wait()["borrowed"], app.errors())


# --- giving back without the site -------------------------------------------

def a_return_travels_as_a_file():
    with borrower() as (world, site, agent):
        first = take(agent)
        take(agent)
        app = App(world, agent.socket, extra=["--watch"])
        expect(app.wait()["borrowed"], app.errors())
        site.stop()
        path = world.path("returned.json")
        one = agent.cli("borrow", "return", "borrow-%d" % first["lease"],
                        "--offline", path)
        refused(1, ["all 2 borrows", "--all"], one)
        done = agent.cli("borrow", "return", "--all", "--offline", path)
        expect(done.status == 0 and "2 borrows returned" in done.out and
               "borrow deliver " + path in done.out, done.out + done.err)
        expect(lost(app)["error"] == GONE, "the seat is not lost")
        late = App(world, agent.socket, name="late")
        expect(late.wait() is None, "a seat of what was given back")
        agent.stop()
        site.start()
        expect(len(on_loan(site)) == 2, "freed without a proof")
        with open(path) as f:
            kept = f.read()
        with open(path, "w") as f:
            f.write(re.sub(r'"counter": (\d+)', lambda m: '"counter": %d' % (
                int(m.group(1)) + 1), kept))
        refused(1, ["does not hold", "--offline FILE"], site.cli("borrow", "deliver", path))
        with open(path, "w") as f:
            f.write(kept)
        done = site.cli("borrow", "deliver", path)
        expect(done.status == 0 and "2 borrows of device-" in done.out,
               done.out + done.err)
        expect(on_loan(site) == [], on_loan(site))
        done = site.cli("borrow", "deliver", path)
        expect(done.status == 0 and "was known" in done.out, done.out)
        agent.start()
        agent.wait_connected()
        wait_for(lambda: borrows(agent) == [], "the agent has not settled")
        take(agent)
        site.verify()


def a_file_that_cannot_be_written_returns_nothing():
    with borrower() as (world, site, agent):
        take(agent)
        done = agent.cli("borrow", "return", "--all", "--offline",
                         "/nonexistent/file")
        refused(1, ["nothing was returned"], done)
        expect(len(borrows(agent)) == 1, borrows(agent))


def a_lost_device_s_borrow_is_written_off():
    with borrower() as (world, site, agent):
        first = take(agent)
        agent.stop()
        done = site.cli("borrow", "write-off", "borrow-%d" % first["lease"])
        expect(done.status == 0 and "stay taken until" in done.out,
               done.out + done.err)
        expect(on_loan(site) == [], on_loan(site))
        agent.start()
        agent.wait_connected()

        def taken():
            done = agent.cli("--json", "borrow", "take", PRODUCT, "--version",
                             "8.1.0", "--for", "1d")
            return done.json() if done.status == 0 else None

        # It proves the return by itself, and borrows again.
        expect(wait_for(taken, "it does not borrow again"), "nothing")
        site.verify()


# --- programs ---------------------------------------------------------------

TRY = """
import sys
from datetime import timedelta
from leasehold import *
client = LicenseClient(sys.argv[1], product=sys.argv[2], version="8.1.0",
                       socket_path=sys.argv[3], state_folder="")
assert client.borrows() == []
lent = client.borrow(timedelta(days=2), count=2)
assert (lent.count, lent.used, lent.type, lent.state, lent.feature) == (
    2, 0, "commit", "lent", None), lent
assert lent.until - lent.taken_at == lent.length == timedelta(days=2), lent
with client.checkout() as lease:
    assert lease.valid and lease.borrowed and lease.id == lent.id, lease
    assert lease.borrowed_until == lent.until, lease.borrowed_until
    assert [b.used for b in client.borrows()] == [1]
longer = client.extend_borrow(lent, timedelta(days=3))
assert longer.id == lent.id and longer.until > lent.until, longer
for call in (lambda: client.borrow(timedelta(days=300)),
             lambda: client.extend_borrow(lent, 86400 * 300)):
    try:
        call()
        raise SystemExit("not refused")
    except RefusedError as error:
        assert "at most" in error.detail, error
for call in (lambda: client.borrow(0), lambda: client.borrow(1, count=0),
             lambda: client.return_borrow(0)):
    try:
        call()
        raise SystemExit("not refused")
    except InvalidArgumentError:
        pass
lease = client.checkout()
assert client.return_borrow(lent) is True
try:
    client.return_borrow(lent.id)
    raise SystemExit("returned twice")
except RefusedError:
    pass
assert client.borrows() == []
assert client.return_borrow() is True
client.close()
print("done")
"""


def what_ends_a_borrow_is_done_once():
    with borrower() as (world, site, agent):
        api = Api(site)

        def twice(method, path, body=None):
            first, again = (
                api.ask(method, path, body, {"Idempotency-Key": method})
                for _ in range(2))
            expect(first.status == 200 and again.status == 200 and
                   again.body == first.body, (first, again))

        take(agent)
        path = world.path("returned.json")
        done = agent.cli("borrow", "return", "--all", "--offline", path)
        expect(done.status == 0, done.err)
        with open(path) as f:
            twice("POST", "/api/v1/borrows/returns", json.load(f))
        lease = take(agent)["lease"]
        agent.stop()
        twice("DELETE", "/api/v1/borrows/%d" % lease)
        expect("was not written" not in site.log(), site.log())


def python_borrows():
    with borrower() as (world, site, agent):
        done = run(sys.executable, "-W", "error", "-c", TRY, world.vendor_key,
                   PRODUCT, agent.socket, env={
                       **for_plain_programs(),
                       "PYTHONPATH": os.path.join(ROOT, "agent/lib/python"),
                       "PYTHONDONTWRITEBYTECODE": "1",
                       "LEASEHOLD_LIBRARY": binary("libleasehold.so.1")})
        expect(done.status == 0 and done.out == "done\n", done.out + done.err)
        expect(on_loan(site) == [], on_loan(site))


CPP = r"""
#include "leasehold.hpp"
#include <cstdio>
using namespace std::chrono_literals;
#define must(what) do { if (!(what)) { std::printf("not so: %s\n", #what); \
	return 1; } } while (0)
int
main(int, char **argv)
{
	leasehold::Options options;
	options.vendor_key = argv[1];
	options.socket_path = argv[3];
	options.state_folder = "";
	leasehold::Client client(options);
	leasehold::BorrowRequest request;
	request.product = argv[2];
	request.version = "8.1.0";
	request.count = 2;
	request.length = 48h;
	leasehold::Borrow lent = client.borrow(request);
	must(lent.count == 2 && lent.until - lent.taken_at == 48h);
	must(lent.state == leasehold::BorrowState::lent);
	must(client.borrows().size() == 1);
	{
		leasehold::Seat seat = client.checkout(argv[2], "8.1.0");
		must(seat.valid() && seat.borrowed() && seat.id() == lent.id);
		must(seat.borrowed_until() == lent.until);
		must(client.borrows()[0].used == 1);
	}
	must(client.extend_borrow(lent.id, 72h).until > lent.until);
	request.length = 8000h;
	try {
		client.borrow(request);
		return 1;
	} catch (const leasehold::RefusedError &) {
	}
	must(client.return_borrow(lent.id));
	must(client.borrows().empty());
	must(!leasehold::Seat().borrowed());
	std::puts("done");
}
"""


def cpp_borrows():
    with borrower() as (world, site, agent):
        source = world.path("borrow.cpp")
        with open(source, "w") as f:
            f.write(CPP)
        program = world.path("borrow")
        done = run("g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I",
                   os.path.join(ROOT, "agent/lib"), "-o", program, source,
                   binary("libleasehold.so.1"), timeout=120)
        expect(done.status == 0, done.err)
        done = run(program, world.vendor_key, PRODUCT, agent.socket,
                   env={**for_plain_programs(),
                        "LD_LIBRARY_PATH": os.path.dirname(
                            binary("libleasehold.so.1"))})
        expect(done.status == 0 and done.out == "done\n", done.out + done.err)


TESTS = [
    applications_run_offline_on_borrowed_seats,
    online_seats_are_not_borrowed,
    a_license_of_another_version_is_not_taken_offline,
    an_early_return_ends_the_application_s_seat,
    an_extension_reaches_a_running_application,
    the_end_of_a_borrow_is_the_end_of_its_seats,
    what_is_borrowed_is_shown,
    checkout_shows_a_borrowed_seat_for_what_it_is,
    refusals_say_what_why_and_what_to_type,
    a_class_that_may_not_borrow_is_named,
    a_return_travels_as_a_file,
    a_file_that_cannot_be_written_returns_nothing,
    a_lost_device_s_borrow_is_written_off,
    what_ends_a_borrow_is_done_once,
    python_borrows,
    cpp_borrows,
]

if __name__ == "__main__":
    sys.exit(main(TESTS))
