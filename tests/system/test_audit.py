#!/usr/bin/python3
"""Who did what: searched by everything that an entry says, made anew, kept for
as long as is said, and a person who was erased is in it no more."""

import json
import os
import re
import sys

from api import Api
from by_key import Program
from harness import (PRODUCT, Site, World, binary, expect, main, run,
                     terms, wait_for)
from test_api_attacks import Routes


def search(site, *args):
    found = site.cli("--json", "audit", "search", *args)
    expect(found.status == 0, found.err)
    return found.json()["items"]


def make_key(site, *args):
    made = site.cli("--json", "key", "create", "build", "--scope",
                    "license:checkout", "--scope", "license:return", *args)
    expect(made.status == 0, made.err)
    return made.json()


def a_seat_is_found_by_everything_that_is_known_of_it():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        key = make_key(site)
        with Program(site, key["api_key"],
                     {"X-Hostname": "build-7.example",
                      "X-App-Fingerprint": "ab" * 32}) as program:
            lease = program.checkout(user="olga")
            expect(lease.status == 201, lease)
            program.ask("POST", "/api/v1/licenses/return",
                        {"id": lease.body["id"]})
        seat = search(site, "--event", "lease.granted")
        expect(len(seat) == 1, seat)
        seat = seat[0]
        expect(seat["tenant_id"] == "default" and
               seat["product"] == PRODUCT and seat["user"] == "olga" and
               seat["hostname"] == "build-7.example" and
               seat["api_key_id"] == key["key_id"] and
               seat["fingerprint"] == "ab" * 32 and
               seat["result"] == "granted" and
               seat["ip_address"] == "127.0.0.1" and
               seat["actor"] == key["key_id"], seat)
        for filters in (["--user", "olga"], ["--hostname", "build-7.example"],
                        ["--key-id", key["key_id"]], ["--product", PRODUCT],
                        ["--fingerprint", "ab" * 32],
                        ["--address", "127.0.0.1"],
                        ["--address", "127.0.0.0/8"],
                        ["--actor", key["key_id"]],
                        ["--result", "granted", "--from", "1h"]):
            found = search(site, *filters)
            expect(seat in found, (filters, found))
        for filters in (["--user", "olg"], ["--hostname", "build-8.example"],
                        ["--key-id", "key-99"], ["--product", "other"],
                        ["--user", "olga", "--result", "refused"],
                        ["--user", "olga", "--address", "10.0.0.0/8"],
                        ["--user", "olga", "--to", "2020-01-01"]):
            expect(search(site, *filters) == [], filters)
        # Its end says whose it was.
        ends = search(site, "--user", "olga", "--event", "lease.ended")
        expect(len(ends) == 1 and ends[0]["result"] == "returned", ends)
        order = search(site, "--oldest-first", "--user", "olga")
        expect([e["event"] for e in order] == ["lease.granted",
                                               "lease.ended"], order)
        text = site.cli("audit", "search", "--user", "olga")
        expect("lease.granted" in text.out and "build-7.example" in text.out,
               text.out)


def wrong_questions_are_refused_with_the_field():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)
        headers = {"Authorization": "Bearer " + site.key}
        for query, field in (("ip_address=10.0.0.0%2F33", "ip_address"),
                             ("actor=somebody", "actor"),
                             ("device_id=9", "device_id"),
                             ("fingerprint=abc", "fingerprint"),
                             ("usr=olga", "usr")):
            answer = api.raw("GET", "/api/v1/audit?" + query, None, headers)
            expect(answer.status == 400 and field in answer.json()["detail"] +
                   answer.json().get("field", ""), (query, answer))
        api.close()


def a_key_without_the_scope_sees_nothing():
    with World() as world:
        site = Site(world)
        site.start()
        made = site.cli("--json", "key", "create", "reader", "--scope",
                        "admin:read")
        expect(made.status == 0, made.err)
        with Program(site, made.json()["api_key"]) as program:
            for path in ("/api/v1/audit", "/api/v1/audit/state"):
                answer = program.ask("GET", path)
                expect(answer.status == 403, (path, answer))
            answer = program.ask("POST", "/api/v1/audit/rebuild", {})
            expect(answer.status == 403, answer)


def pages_go_on_to_the_end():
    with World() as world:
        site = Site(world)
        site.start()
        for i in range(7):
            site.token()
        whole = search(site, "--event", "join.created", "--all")
        expect(len(whole) == 7, whole)
        some = site.cli("audit", "search", "--event", "join.created",
                        "-n", "3")
        expect("there are more" in some.err, some.err)
        api = Api(site)
        headers = {"Authorization": "Bearer " + site.key}
        seen, after = [], ""
        while True:
            answer = api.raw("GET", "/api/v1/audit?event=join.created&limit=2"
                             + after, None, headers)
            expect(answer.status == 200, answer)
            seen += answer.json()["items"]
            if "next" not in answer.json():
                break
            after = "&after=" + answer.json()["next"]
        expect([e["row"] for e in seen] == [e["row"] for e in whole],
               (seen, whole))
        api.close()


def it_is_made_anew_and_after_kill_nothing_is_missing_or_twice():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        for i in range(3):
            site.token()
        before = search(site, "--all")

        def kept():
            return [entry for entry in search(site, "--all")
                    if entry["row"] <= before[0]["row"]]

        rebuilt = site.cli("audit", "rebuild")
        expect(rebuilt.status == 0 and "100 %" in rebuilt.err, rebuilt.err)
        expect(kept() == before, "another answer after the rebuild")
        site.kill()
        site.start()
        expect(kept() == before, (kept(), before))
        # Thrown away while the site is stopped, it comes back by itself.
        site.stop()
        folder = os.path.join(site.state, "tenants", "default", "audit")
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        site.start()
        expect(kept() == before, (kept(), before))


def a_copy_that_is_put_back_makes_it_anew():
    with World() as world:
        site = Site(world)
        site.start()
        site.token()
        site.stop()
        copy = site.snapshot()
        site.start()
        site.token()
        expect(len(search(site, "--event", "join.created")) == 2, "not two")
        site.stop()
        # The ledger is older than its projection, which is not in the copy.
        site.put_back(copy, parts=("system", "tenants/default/ledger"))
        site.start()
        expect(len(search(site, "--event", "join.created")) == 1,
               "it shows what is not in the journal")


def a_person_who_was_erased_is_not_found():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        key = make_key(site)
        with Program(site, key["api_key"]) as program:
            lease = program.checkout(user="olga")
            program.ask("POST", "/api/v1/licenses/return",
                        {"id": lease.body["id"]})
        expect(len(search(site, "--user", "olga")) == 2, "not two")
        erased = site.cli("person", "erase", "olga")
        expect(erased.status == 0, erased.err)
        expect(search(site, "--user", "olga") == [], "she is found")
        seats = search(site, "--event", "lease.granted")
        expect(len(seats) == 1 and seats[0]["user"] == "erased", seats)
        rebuilt = site.cli("audit", "rebuild")
        expect(rebuilt.status == 0, rebuilt.err)
        expect(search(site, "--user", "olga") == [], "she is back")
        expect(search(site, "--event", "lease.granted")[0]["user"] ==
               "erased", "her name is back")


def every_operation_that_changes_something_says_who_was_refused():
    with World() as world:
        site = Site(world)
        site.start()
        made = site.cli("--json", "key", "create", "poor", "--scope",
                        "usage:read")
        expect(made.status == 0, made.err)
        key = made.json()
        api = Api(site)
        routes = Routes(api)
        refused = []
        # A key that may take no seat is a refusal of the key, with a count.
        seats = set()
        with Program(site, key["api_key"]) as program:
            for method, path, op, scope in routes.all:
                if method == "GET" or scope is None:
                    continue
                path, body = routes.request(path, op)
                got = program.ask(method, path, body)
                if got.status == 400:
                    continue  # what was made up fits the schema alone
                expect(got.status == 403, (method, path, got))
                refused.append(op["operationId"])
                if scope == "license:checkout":
                    seats.add(op["operationId"])
        expect(len(refused) > 30, refused)
        # What changes nothing is journaled right after its answer.
        wait_for(lambda: set(refused) - {
            entry["event"] for entry in search(site, "--result", "forbidden",
                                               "--all")} == seats,
                 "not every refusal is told")
        found = search(site, "--result", "forbidden", "--event",
                       "device.revoke")
        expect(len(found) == 1 and found[0]["actor"] == key["key_id"] and
               found[0]["ip_address"] == "127.0.0.1", found)
        site.stop()
        site.start()
        denied = search(site, "--event", "key.denied", "--key-id",
                        key["key_id"], "--result", "forbidden")
        expect(sum(entry.get("count", 1) for entry in denied) >= len(refused),
               denied)
        api.close()


def what_admins_do_and_look_at_is_told_with_their_address():
    with World() as world:
        site = Site(world)
        site.start()
        site.token()
        expect(site.cli("join", "revoke", "1").status == 0, "not revoked")
        expect(site.cli("person", "find", "olga").status == 0, "not looked")
        with Program(site, site.key) as program:
            made = program.ask("POST", "/api/v1/backups", {})
            expect(made.status == 201, made)
        for event in ("join.create", "join.revoke", "person.find",
                      "backup.begin", "audit.search"):
            found = wait_for(lambda: search(site, "--event", event), event)
            expect( found[0]["result"] == "done" and
                   found[0]["actor"].startswith("admin-") and
                   found[0]["ip_address"] == "127.0.0.1", (event, found))
        # The fact and who asked for it stand side by side.
        rows = [entry["event"] for entry in
                search(site, "--oldest-first", "--all")]
        at = rows.index("join.revoked")
        expect(rows[at + 1] == "join.revoke", rows)


def a_flood_of_refusals_is_a_few_rows_with_a_count():
    with World() as world:
        site = Site(world)
        site.start()
        made = site.cli("--json", "key", "create", "poor", "--scope",
                        "usage:read")
        with Program(site, made.json()["api_key"]) as program:
            for i in range(200):
                got = program.ask("DELETE", "/api/v1/devices/%d" % (i + 1))
                expect(got.status == 403, got)
        site.stop()
        site.start()
        found = search(site, "--event", "device.revoke")
        total = sum(entry.get("count", 1) for entry in found)
        expect(total == 200, found)
        # Two for each minute that it took.
        expect(len(found) < 50, len(found))


def what_names_steer_is_shown_as_text():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        key = make_key(site)
        turned = "ol\u202ega"
        with Program(site, key["api_key"]) as program:
            for wrong in ("ol\nga", "\x1b[31molga", "olga\x9b2J"):
                got = program.checkout(user=wrong)
                expect(got.status == 400, (wrong, got))
            got = program.checkout(user=turned)
            expect(got.status == 201, got)
        found = site.cli("audit", "search", "--event", "lease.granted")
        expect("\u202e" not in found.out and "u{202e}" in found.out,
               found.out)
        for line in site.log().splitlines():
            expect("\x1b" not in line and "\u202e" not in line, line)


def verify(path, *args):
    """Without a site: nothing of it is in the environment."""
    return run(binary("leasehold"), "--json", "audit", "verify", path, *args)


def an_export_is_proved_without_the_site():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        key = make_key(site)
        with Program(site, key["api_key"]) as program:
            lease = program.checkout(user="olga")
            program.ask("POST", "/api/v1/licenses/return",
                        {"id": lease.body["id"]})
        other = Site(world, "other")
        other.start()
        whole = world.path("whole.jsonl")
        made = site.cli("audit", "export", whole)
        expect(made.status == 0, made.err)
        some = world.path("some.jsonl")
        made = site.cli("audit", "export", some, "--user", "olga")
        expect(made.status == 0, made.err)
        table = world.path("some.csv")
        made = site.cli("audit", "export", table, "--user", "olga",
                        "--format", "csv")
        expect(made.status == 0, made.err)
        again = site.cli("audit", "export", table, "--format", "csv")
        expect(again.status == 1, "an export is written over")
        public = token_of(site)
        site.stop()
        with open(table) as f:
            lines = f.read().splitlines()
        expect(len(lines) == 3 and "olga" in lines[1], lines)
        proved = verify(whole, "--site-key", public)
        expect(proved.status == 0, proved.err)
        expect(proved.json()["complete"] and proved.json()["from_genesis"]
               and proved.json()["entries"] > 5, proved.out)
        proved = verify(some)
        expect(proved.status == 0 and proved.json()["entries"] == 2 and
               not proved.json()["complete"], proved.out + proved.err)
        wrong = verify(whole, "--site-key", token_of(other))
        expect(wrong.status == 1, "another site's key proves it")
        nothing_passes_that_was_changed(world, whole, public)


def token_of(site):
    """The site's public key, as its admin sees it."""
    shown = site.cli("site", "show")
    expect(shown.status == 0, shown.err)
    return re.search(r"k4\.public\.\S+", shown.out).group(0)


def nothing_passes_that_was_changed(world, path, public):
    with open(path) as f:
        lines = f.read().splitlines()
    entries = [i for i, line in enumerate(lines) if '"entry"' in line]
    batches = [i for i, line in enumerate(lines) if '"blob"' in line]

    def changed(what, new):
        forged = world.path("forged.jsonl")
        with open(forged, "w") as f:
            f.write("\n".join(new) + "\n")
        proved = verify(forged, "--site-key", public)
        expect(proved.status == 1, (what, proved.out))

    changed("an entry is gone", lines[:entries[0]] + lines[entries[0] + 1:])
    changed("a batch is gone", lines[:batches[1]] + lines[batches[1] + 1:])
    changed("the end is gone", lines[:-1])
    granted = next(i for i in entries if "lease.granted" in lines[i])
    for old, new in (("granted", "no_seats"), ("key-", "device-"),
                     ('"lease":1', '"lease":2')):
        expect(old in lines[granted], lines[granted])
        changed(new, lines[:granted] +
                [lines[granted].replace(old, new)] + lines[granted + 1:])
    blob = json.loads(lines[batches[2]])["blob"]
    bent = blob[:-9] + ("A" if blob[-9] != "A" else "B") + blob[-8:]
    changed("a row is another one",
            [line.replace(blob, bent) for line in lines])
    swapped = list(lines)
    swapped[entries[0]], swapped[entries[-1]] = (lines[entries[-1]],
                                                 lines[entries[0]])
    changed("entries change places", swapped)


def an_export_from_the_middle_begins_with_a_checkpoint():
    with World() as world:
        site = Site(world)
        site.start()
        for i in range(5):
            site.token()
        middle = search(site, "--event", "join.created")[2]["timestamp"]
        path = world.path("late.jsonl")
        made = site.cli("audit", "export", path, "--from", middle)
        expect(made.status == 0, made.err)
        public = token_of(site)
        site.stop()
        proved = verify(path, "--site-key", public)
        expect(proved.status == 0, proved.err)
        expect(not proved.json()["from_genesis"] and
               proved.json()["complete"], proved.out)
        with open(path) as f:
            lines = f.read().splitlines()
        at = next(i for i, line in enumerate(lines) if "frontier" in line)
        frontier = json.loads(lines[at])["frontier"]
        bent = ("A" if frontier[0] != "A" else "B") + frontier[1:]
        lines[at] = lines[at].replace(frontier, bent)
        forged = world.path("forged.jsonl")
        with open(forged, "w") as f:
            f.write("\n".join(lines) + "\n")
        expect(verify(forged, "--site-key", public).status == 1,
               "another past passes")


TESTS = [an_export_is_proved_without_the_site,
         an_export_from_the_middle_begins_with_a_checkpoint,
         every_operation_that_changes_something_says_who_was_refused,
         what_admins_do_and_look_at_is_told_with_their_address,
         a_flood_of_refusals_is_a_few_rows_with_a_count,
         what_names_steer_is_shown_as_text,
         a_seat_is_found_by_everything_that_is_known_of_it,
         wrong_questions_are_refused_with_the_field,
         a_key_without_the_scope_sees_nothing,
         pages_go_on_to_the_end,
         it_is_made_anew_and_after_kill_nothing_is_missing_or_twice,
         a_copy_that_is_put_back_makes_it_anew,
         a_person_who_was_erased_is_not_found]

if __name__ == "__main__":
    sys.exit(main(TESTS))
