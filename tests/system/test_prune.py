#!/usr/bin/python3
"""Old batches are given up: seats that are held, agents with old headers,
audits, streams and copies go on, also when it is cut short."""

import os
import struct
import sys

from api import Api
from by_key import Program, make_key
from harness import (Agent, App, Site, World, binary, expect,
                     main, run, terms, wait_for)
from test_audit import search, token_of
from test_backup import backup, passphrase, restore

DAY_MS = 86400 * 1000


class Past:
    """All that is started within is so many days behind (clock_shim.c)."""

    def __init__(self, world, days):
        path = world.path("past.clock")
        with open(path, "wb") as f:
            f.write(struct.pack("=qq", -days * DAY_MS, 0))
        self.env = {"LD_PRELOAD": binary("tests/system/clock_shim.so"),
                    "CLOCK_SHIM": path,
                    # A sanitizer wants to be the first library.
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
                    ":verify_asan_link_order=0"}

    def __enter__(self):
        self.before = {name: os.environ.get(name) for name in self.env}
        os.environ.update(self.env)

    def __exit__(self, *error):
        for name, value in self.before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def seats(site, key, n, again=0):
    """So many come and go."""
    with Program(site, key) as program:
        for i in range(n):
            lease = program.checkout(user="user-%d" % (again + i))
            expect(lease.status == 201, lease)
            ended = program.ask("POST", "/api/v1/licenses/return",
                                {"id": lease.body["id"]})
            expect(ended.status == 200, ended)


def grown(world, config="", n=30, document=None, after=None):
    """A site whose journal began three days ago; started, today."""
    with Past(world, 3):
        site = Site(world, config=config)
        site.start()
        site.install(document or terms())
        site.api_key = make_key(site)[0]
        held = after(site) if after is not None else None
        seats(site, site.api_key, n)
        expect(site.stop() == 0, "it stops in order")
    site.start()
    # Three days passed while it was off.
    api = Api(site)
    answer = api.post("/api/v1/site/clock/confirm", {})
    expect(answer.status == 200, answer)
    api.close()
    return (site, held) if after is not None else site


def shown(site):
    done = site.cli("--json", "journal", "show")
    expect(done.status == 0, done.err)
    return done.json()


def swept(site):
    view = shown(site)
    return None if view.get("sweeping") else view


def prune(site, *args):
    done = site.cli("--json", "journal", "prune", "--before", "1d", *args)
    expect(done.status == 0, done.err)
    return done.json()


def verify_file(path, key):
    return run(binary("leasehold"), "--json", "audit", "verify", path,
               "--site-key", key)


def agent_and_app(site):
    agent = Agent(site.world)
    agent.start()
    agent.enroll(site)
    app = App(site.world, agent.socket)
    expect(app.wait(), app.errors())
    return agent, app


def what_is_held_and_who_looks_goes_on():
    with World() as world:
        site, (agent, app) = grown(world, after=agent_and_app)
        agent.wait_connected()
        seats(site, site.api_key, 2)
        # What was searched before is found afterwards too.
        entries = search(site, "--event", "lease.granted", "--all")
        expect(len(entries) == 33, len(entries))
        all_of_it = shown(site)
        expect(all_of_it.get("begins", 0) == 0, all_of_it)
        plan = prune(site, "--dry-run")
        expect(not plan["done"] and plan["batches"] > 50 and
               plan["kept"] >= 1, plan)
        expect(shown(site).get("begins", 0) == 0, "a dry run gives up")
        missing = site.cli("journal", "prune", "--before", "1d")
        expect(missing.status == 2 and "--no-archive" in missing.err,
               missing.err)
        path = world.path("old.jsonl")
        done = prune(site, "--archive", path)
        expect(done["done"] and done["begins"] == plan["begins"] and
               done["head"] == plan["head"], (done, plan))
        view = wait_for(lambda: swept(site), "it is not removed")
        expect(view["begins"] == plan["begins"] and
               view["batches"] > view["begins"], view)
        # The archive joins what is left.
        public = token_of(site)
        proved = verify_file(path, public)
        expect(proved.status == 0, proved.err)
        proved = proved.json()
        expect(proved["from_genesis"] and
               proved["batches"] == view["begins"] and
               bytes.fromhex(proved["head"]) == head_of(view), proved)
        # What is left holds, and says what it proves.
        found = site.verify()
        expect(found["begins"] == view["begins"] and
               found["batches"] == shown(site)["batches"] - view["begins"],
               found)
        words = site.cli("audit", "verify").out
        expect("was given up" in words and proved["head"] in words, words)
        expect(search(site, "--event", "lease.granted", "--all") == entries,
               "entries went")
        late = world.path("late.jsonl")
        expect(site.cli("audit", "export", late).status == 0, "no export")
        proved = verify_file(late, public)
        expect(proved.status == 0, proved.err)
        expect(not proved.json()["from_genesis"] and
               proved.json()["begins"] == view["begins"], proved.out)
        # Nobody who reads from before is led astray.
        api = Api(site)
        for path in ("journal/batches", "journal/batches?from=%d"
                     % (view["begins"] - 1)):
            answer = api.get("/api/v1/" + path)
            expect(answer.status == 410 and
                   str(view["begins"]) in answer.json()["detail"], answer)
        headers = {"Authorization": "Bearer " + site.key,
                   "Last-Event-ID": "3"}
        answer = api.raw("GET", "/api/v1/events", None, headers)
        expect(answer.status == 410 and
               str(view["first_row"]) in answer.json()["detail"], answer)
        api.close()
        # What is searched is made anew from where it begins.
        made = site.cli("--json", "audit", "rebuild")
        expect(made.status == 0, made.err)
        expect(made.json()["given_up_to"] == view["first_row"] - 1, made.out)
        # The seat is still held, and the agent has its old header.
        expect(len(site.leases()) == 1, site.leases())
        expect(app.process.poll() is None, app.errors())
        site.kill()
        site.start()
        agent.wait_connected()
        other = App(world, agent.socket, "other")
        expect(other.wait(), other.errors())
        expect(len(site.leases()) == 2, site.leases())
        expect(app.process.poll() is None, app.errors())
        site.verify()
        # The row names who did it.
        item = site.cli("--json", "audit", "search", "--event",
                        "journal.prune").json()["items"][0]
        expect(item["actor"] == "admin-1" and item["result"] == "done", item)


def head_of(view):
    import base64
    text = view["head"]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def it_goes_on_where_it_was_killed():
    with World() as world:
        site = grown(world, n=60)
        # The newest batch is of today.
        seats(site, site.api_key, 1, again=90)
        for i in range(3):
            done = prune(site, "--no-archive")
            site.kill()
            site.start()
            view = wait_for(lambda: swept(site), "it is not removed")
            if i == 0:
                expect(done["done"], done)
            else:
                expect(not done["done"], "twice")
            expect(view["begins"] > 100, view)
            site.verify()
        seats(site, site.api_key, 3, again=100)
        expect(site.stop() == 0, "it stops")
        site.start()
        site.verify()


def a_copy_of_it_is_checked_and_put_back():
    with World() as world:
        site = grown(world)
        prune(site, "--no-archive")
        view = wait_for(lambda: swept(site), "it is not removed")
        seats(site, site.api_key, 2, again=200)
        path = backup(world, site, "site.backup", "--state", site.state)
        checked = site.cli("--json", "backup", "verify", path,
                           "--passphrase-file", passphrase(world))
        expect(checked.status == 0, checked.err)
        head = site.verify()["head"]
        expect(site.stop() == 0, "it stops")
        os.rename(site.state, site.state + ".old")
        os.rename(site.witness, site.witness + ".old")
        done = restore(world, site, path)
        expect(done.status == 0, done.err)
        site.start()
        done = site.cli("site", "acknowledge-rollback", "--reason",
                        "a new box")
        expect(done.status == 0, done.err)
        found = site.verify()
        expect(found["begins"] == view["begins"], found)
        expect(head != found["head"], "it goes on")
        again = shown(site)
        expect(again["state_hash"] == view["state_hash"], again)


def what_is_old_goes_by_itself():
    with World() as world:
        site = grown(world, config="[journal]\nkeep_days=2\n")
        expect(site.stop() == 0, "it stops")
        site.start()
        view = wait_for(lambda: shown(site).get("begins") and swept(site),
                        "nothing goes")
        expect(view["keep_days"] == 2 and view["begins"] > 50, view)
        site.verify()
        kept = site.cli("--json", "audit", "search", "--event", "pruned")
        expect(kept.json()["items"][0]["actor"] == "site", kept.out)


def what_is_not_billed_stays():
    with World() as world:
        document = dict(terms(), sync={"reports": True})
        site = grown(world, document=document, n=3)
        refused = site.cli("journal", "prune", "--before", "1d",
                           "--no-archive")
        expect(refused.status != 0 and "receipt" in refused.err, refused.err)
        expect(shown(site).get("begins", 0) == 0, "it went")


def who_may_read_the_journal_may_not_give_it_up():
    with World() as world:
        site = grown(world, n=3)
        key = make_key(site, "admin:audit")[0]
        with Program(site, key) as program:
            answer = program.ask("GET", "/api/v1/journal")
            expect(answer.status == 200, answer)
            answer = program.ask("POST", "/api/v1/journal/prune",
                                 {"before": "2020-01-01T00:00:00Z"})
            expect(answer.status == 403, answer)
        # What is of the last day stays, whatever is asked.
        done = site.cli("--json", "journal", "prune", "--before",
                        "2100-01-01", "--no-archive")
        expect(done.status == 0 and done.json()["done"], done.out)
        begins = done.json()["begins"]
        expect(begins < shown(site)["batches"] - 1, done.out)
        done = site.cli("--json", "journal", "prune", "--before",
                        "2100-01-01", "--no-archive")
        expect(not done.json()["done"], done.out)


TESTS = [what_is_held_and_who_looks_goes_on,
         it_goes_on_where_it_was_killed,
         a_copy_of_it_is_checked_and_put_back,
         what_is_old_goes_by_itself,
         what_is_not_billed_stays,
         who_may_read_the_journal_may_not_give_it_up]


if __name__ == "__main__":
    sys.exit(main(TESTS))
