#!/usr/bin/python3
"""`leasehold leases` for the admin: who holds what, filtered, sorted, in
tables that hold, for spreadsheets, and watched."""

import csv
import io
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import unicodedata
from http.server import BaseHTTPRequestHandler, HTTPServer

from harness import (PRODUCT, Agent, Site, World, binary, cursor, expect,
                     free_port, main, run, terms, wait_for)
from terminal import Terminal

LEASEHOLD = binary("leasehold")
OTHER = "canoe"
DONE, FAILED, USAGE = range(3)


class Office:
    """A site with two products and one workstation; seats held for processes
    that do nothing."""

    def __init__(self, world):
        self.world = world
        self.site = Site(world)
        self.site.start()
        self.site.install(terms(commit=3, overage=2))
        self.site.install(terms(commit=50, overage=0, product=OTHER))
        self.agent = Agent(world)
        self.agent.start()
        self.agent.enroll(self.site)
        self.sleepers = {}

    def hold(self, user, product=PRODUCT):
        sleeper = self.world.start("sleep-%d" % len(self.world.started),
                                   ["sleep", "600"])
        done = self.agent.cli("--json", "checkout", product, "--version",
                              "8.1.0", "--user", user, "--pid", sleeper.pid)
        expect(done.status == DONE, done.err)
        lease = done.json()["lease"]
        self.sleepers[lease] = sleeper
        return lease

    def free(self, lease):
        sleeper = self.sleepers.pop(lease)
        sleeper.kill()
        sleeper.wait()
        wait_for(lambda: lease not in self.numbers(), "the seat stays")

    def list(self, *args):
        done = self.site.cli("leases", *args)
        expect(done.status == DONE, "%s: %s" % (args, done.err))
        return done.out

    def items(self, *args):
        return json.loads(self.list("--json", *args))["items"]

    def numbers(self, *args):
        return [item["lease"] for item in self.items(*args)]


def rows(text, first):
    """Lines of the table whose head begins with `first`, as cells."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(first))
    found = []
    for line in lines[at + 1:]:
        if not line.strip():
            break
        found.append(line)
    return lines[at], found


def columns(text):
    """As a terminal counts them."""
    return sum(0 if unicodedata.combining(c) else
               2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in text)


def seats_are_totalled_by_product():
    with World() as world:
        office = Office(world)
        empty = office.list()
        expect("No seat is held." in empty and PRODUCT in empty, empty)
        for user in ("alice", "bob", "carol", "dave"):
            office.hold(user)
        office.hold("alice", OTHER)
        text = office.list()
        expect(text.startswith("site site (site-") and
               "5 leases, 1 of 1 devices connected" in text, text)
        _, products = rows(text, "PRODUCT")
        expect([line.split() for line in products] == [
            (PRODUCT + " 4 of 5 3 of 3 1 of 2 0 active").split(),
            (OTHER + " 1 of 50 1 of 50 0 of 0 0 active").split()], products)
        head, leases = rows(text, "LEASE")
        expect(len(leases) == 5 and "FEATURE" not in head, text)
        expect("overage" in leases[3] and "dave" in leases[3], leases)
        said = json.loads(office.list("--json"))
        use = said["products"][0]
        expect((use["used_commit"], use["commit"], use["used_overage"],
                use["overage"], use["waiting"]) == (3, 3, 1, 2, 0), use)
        expect(said["leases"] == 5 and len(said["items"]) == 5, said)
        item = said["items"][3]
        expect(item["connected"] and 0 < item["left_s"] <= 71, item)


def filters_narrow_it():
    with World() as world:
        office = Office(world)
        one, two = office.hold("alice"), office.hold("bob")
        three = office.hold("alice", OTHER)
        host = office.items()[0]["host"]
        for args, like in (
                (["--user", "alice"], [one, three]),
                (["--product", OTHER], [three]),
                (["--user", "alice", "--product", PRODUCT], [one]),
                (["--host", host], [one, two, three]),
                (["--host", "elsewhere"], []),
                (["--device", "device-1"], [one, two, three]),
                (["--device", "2"], []),
                (["--feature", "x"], [])):
            found = office.numbers(*args)
            expect(found == like, "%s: %s" % (args, found))
        expect("No seat that fits is held." in office.list("--user", "eve"),
               "an empty answer")
        for args in (["--device", "x"], ["--sort", "color"], ["--watch", "0"],
                     ["--csv", "--json"], ["extra"], ["--user"],
                     ["--user", "u" * 64]):
            done = office.site.cli("leases", *args)
            expect(done.status == USAGE and done.out == "" and done.err,
                   "%s: %s" % (args, done.out + done.err))


def it_is_sorted_by_what_is_named():
    with World() as world:
        office = Office(world)
        one, two = office.hold("carol"), office.hold("alice", OTHER)
        three, four = office.hold("bob"), office.hold("alice")
        for args, like in (
                ([], [one, two, three, four]),
                (["--reverse"], [four, three, two, one]),
                (["--sort", "since"], [one, two, three, four]),
                (["--sort", "user"], [two, four, three, one]),
                (["--sort", "user", "--reverse"], [one, three, four, two]),
                (["--sort=product"], [two, one, three, four]),
                (["--sort", "host"], [one, two, three, four])):
            expect(office.numbers(*args) == like,
                   "%s: %s" % (args, office.numbers(*args)))
            table = rows(office.list(*args), "LEASE")[1]
            expect([int(line.split()[0][6:]) for line in table] == like,
                   table)
        left = [item["left_s"] for item in office.items("--sort", "left")]
        expect(left == sorted(left), left)


def names_of_the_whole_world_keep_the_columns():
    with World() as world:
        office = Office(world)
        names = ("\u4e2d\u6587\u540d\u5b57", "J\u00fcrgen", "cafe\u0301",
                 "\u202eecila", "bob\u200b", "x")
        for name in names[:5]:
            office.hold(name, OTHER)
        office.hold(names[5])
        text = office.list()
        head, leases = rows(text, "LEASE")
        at = columns(head[:head.index("HOST")])
        for line, name in zip(leases, names):
            host = office.items()[0]["host"]
            where = line.index(" %s " % host) + 1
            expect(columns(line[:where]) == at, "%r: %d" % (line, at))
        # Nothing turns the direction of text, or hides.
        expect("\u202e" not in text and "\\u{202e}ecila" in text, text)
        expect("\u200b" not in text and "bob\\u{200b}" in text, text)
        # Programs get what was claimed.
        expect([item["user"] for item in office.items()] == list(names),
               office.items())


def a_name_of_a_device_steers_nothing():
    with World() as world:
        site = Site(world)
        site.start()
        agent = Agent(world)
        agent.start()
        name = "\u202eesuoh\u200b"
        done = agent.cli("enroll", site.url, "--token", site.token(),
                         "--name", name)
        expect(done.status == DONE, done.err)
        agent.wait_connected()
        for done in (agent.cli("status"), site.cli("device", "list"),
                     site.cli("device", "show", "1"),
                     site.cli("audit", "tail")):
            expect(done.status == DONE, done.err)
            expect("\u202e" not in done.out and "\u200b" not in done.out,
                   repr(done.out))
        expect("\\u{202e}esuoh\\u{200b}" in agent.cli("status").out,
               agent.cli("status").out)
        expect(agent.status()["name"] == name, agent.status())


def control_characters_are_refused_at_the_door():
    with World() as world:
        office = Office(world)
        for name in ("\033[2J", "a\rb", "a\u009bm"):
            done = office.agent.cli("checkout", PRODUCT, "--version", "8.1.0",
                                    "--user", name, "--pid", os.getpid())
            expect(done.status != DONE, "%r is taken" % name)
            for text in (done.out, done.err):
                expect("\033" not in text and "\u009b" not in text,
                       repr(text))


def csv_is_for_spreadsheets():
    with World() as world:
        office = Office(world)
        for name in ("alice", "=1+1", "a,b \"c\"", "@x"):
            office.hold(name, OTHER)
        # Not by text mode, which would hide the ends of lines.
        text = subprocess.run(
            [LEASEHOLD, "leases", "--csv"], stdout=subprocess.PIPE,
            env=dict(os.environ, **office.site.env)).stdout.decode()
        table = list(csv.DictReader(io.StringIO(text, newline="")))
        expect([row["user"] for row in table]
               == ["alice", "'=1+1", "a,b \"c\"", "'@x"], table)
        expect(table[0]["product"] == OTHER and table[0]["seats"] == "1" and
               table[0]["connected"] == "yes" and
               table[0]["since"].endswith("Z"), table[0])
        expect(text.count("\r\n") == 5 and
               text.replace("\r\n", "").count("\n") == 0, repr(text))


class Liar(BaseHTTPRequestHandler):
    """A site that says what no site of ours would."""
    answers = {}

    def do_GET(self):
        body = json.dumps(self.answers[self.path.split("?")[0]]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def a_lying_site_does_not_reach_the_terminal():
    with World() as world:
        site = Site(world)  # for its certificates
        port = free_port()
        server = HTTPServer(("127.0.0.1", port), Liar)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls = os.path.join(site.state, "tls")
        context.load_cert_chain(tls + "/server.pem", tls + "/server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        env = dict(site.env, LICENSE_SERVER_URL="https://127.0.0.1:%d" % port)
        lease = {"lease": 1, "product": "p", "version": "1", "count": 1,
                 "type": "commit", "slot": 0, "license": 1, "device": 1,
                 "granted_at": "2026-01-01T00:00:00.000Z", "ttl_s": 60,
                 "grace_s": 0}
        about = {"site": "site-1", "name": "site", "tenant": "default",
                 "software": "x", "site_key": "A" * 43, "generation": 1,
                 "batch": 1, "rows": 1, "time": "2026-01-01T00:00:00.000Z",
                 "leases": 1, "devices": 1, "sessions": 1, "licenses": 0,
                 "clock_held": False, "waiting": 0,
                 "clock_wall": "2026-01-01T00:00:00.000Z",
                 "witness": "file", "ticks": 1}
        Liar.answers = {"/api/v1/site": about,
                        "/api/v1/licenses": {"items": []},
                        "/api/v1/queue": {"items": []},
                        "/api/v1/leases": {"items": [
                            dict(lease, user="\u202e\u2066x")]}}
        good = run(LEASEHOLD, "leases", env=env)
        if "not understood" in good.err:  # the record has grown
            expect(False, good.err)
        expect(good.status == DONE and "\\u{202e}\\u{2066}x" in good.out,
               good.out + good.err)
        for answers in (
                {"/api/v1/leases": {"items": [dict(lease, user="\033[2J")]}},
                {"/api/v1/leases": {"items": [dict(lease,
                                                   host="\u009b2J")]}},
                {"/api/v1/site": dict(about, name="\033]0;x\a")},
                {"/api/v1/leases": {"items": [], "next": cursor("L", 7),
                                    "\033[2J": 1}}):
            before = dict(Liar.answers)
            Liar.answers.update(answers)
            done = run(LEASEHOLD, "leases", env=env)
            Liar.answers = before
            expect(done.status == FAILED, done.out)
            for text in (done.out, done.err):
                expect("\033" not in text and "\a" not in text and
                       "\u009b" not in text, repr(text))
        # A page that names itself as the next one ends.
        Liar.answers["/api/v1/leases"] = {"items": [lease],
                                             "next": cursor("L", 1)}
        done = run(LEASEHOLD, "leases", env=env)
        expect(done.status == FAILED and "in circles" in done.err, done.err)
        server.shutdown()


def it_is_watched_in_place():
    with World() as world:
        office = Office(world)
        first = office.hold("alice")
        with Terminal([LEASEHOLD, "leases", "--watch", "1"], rows=14,
                      columns=110, env=office.site.env) as term:
            term.wait("lease-%d" % first)
            expect("\033[1m" not in term.raw, "old ones are news")
            second = office.hold("bob")
            term.wait("lease-%d" % second)
            # What is new stands out, once: the lease and its product.
            fresh = [part for part in term.raw.split("\033[1m")[1:]]
            expect(any(part.startswith("lease-%d" % second)
                       for part in fresh), fresh)
            expect(not any(part.startswith("lease-%d" % first)
                           for part in fresh), fresh)
            expect(any(part.startswith(PRODUCT) for part in fresh), fresh)
            office.free(first)
            wait_for(lambda: term.read() and "lease-%d " % first
                     not in term.screen(), "the freed one stays")
            term.resize(14, 40)
            wait_for(lambda: term.read() and all(
                len(line) <= 40 for line in term.screen().splitlines()),
                "the narrow screen is not drawn")
            for i in range(12):
                office.hold("user-%d" % i, OTHER)
            term.wait("do not fit")
            expect(len(term.screen().splitlines()) <= 14, term.screen())
            office.site.stop()
            term.wait("unavailable")
            office.site.start()
            wait_for(lambda: term.read() and "unavailable"
                     not in term.screen(), "it does not come back")
            term.type("\003")  # Ctrl-C
            expect(term.wait_end() == DONE, "status %s" % term.status)
            expect(term.raw.endswith("\033[?1049l"), repr(term.raw[-40:]))
            expect(term.is_sane(), "the terminal is left without echo")


def a_dead_site_does_not_hold_the_screen():
    with World() as world:
        office = Office(world)
        with Terminal([LEASEHOLD, "leases", "--watch", "1"],
                      env=office.site.env) as term:
            term.wait("No seat is held")
            os.kill(office.site.child("front"), signal.SIGSTOP)
            try:
                wait_for(lambda: term.read(1.5) or True, "")
                term.type("q")
                expect(term.wait_end(10) is not None,
                       "q is not heard while the site is waited for")
            finally:
                os.kill(office.site.child("front"), signal.SIGCONT)


def tables_fit_the_terminal():
    with World() as world:
        office = Office(world)
        office.hold("a-user-with-a-rather-long-name@example.com")
        wide = len(rows(office.list(), "LEASE")[0])
        with Terminal([LEASEHOLD, "leases"], rows=24, columns=118,
                      env=office.site.env) as term:
            expect(term.wait_end() == DONE, term.raw)
            lines = term.raw.replace("\r", "").splitlines()
            expect(wide > 118 and all(columns(line) <= 118
                                      for line in lines), lines)
            expect("\u2026" in term.raw, term.raw)
        expect("a-user-with-a-rather-long-name@example.com" in office.list(),
               "cut in a pipe")


if __name__ == "__main__":
    sys.exit(main([
        seats_are_totalled_by_product,
        filters_narrow_it,
        it_is_sorted_by_what_is_named,
        names_of_the_whole_world_keep_the_columns,
        a_name_of_a_device_steers_nothing,
        control_characters_are_refused_at_the_door,
        csv_is_for_spreadsheets,
        a_lying_site_does_not_reach_the_terminal,
        it_is_watched_in_place,
        a_dead_site_does_not_hold_the_screen,
        tables_fit_the_terminal,
    ]))
