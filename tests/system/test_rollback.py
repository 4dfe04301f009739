#!/usr/bin/python3
"""A store that is put back to an older copy: what the site notices by itself,
what agents show it, and how it goes on."""

import json
import os
import random
import sys
import time

from harness import (Agent, App, PRODUCT, Site, World, expect, main,
                     run, terms, wait_for)


def setting(world, commit=5, overage=5, ttl_s=60, grace_s=600):
    site = Site(world)
    site.start()
    site.install(terms(commit, overage, ttl_s=ttl_s, grace_s=grace_s))
    agent = Agent(world)
    agent.start()
    agent.enroll(site)
    return site, agent


def take(world, agent, name, extra=()):
    app = App(world, agent.socket, name=name, extra=extra)
    expect(app.wait(), app.errors())
    return app


def lease_of(app):
    return app.lease["lease"]


def held(site):
    return sorted(lease["lease"] for lease in site.leases())


def is_valid(app):
    """By its own last word; needs --watch."""
    said = [line for line in app.process_lines() if line]
    return bool(said) and said[-1].get("valid") is True


def moved_on(world):
    """A site of which a copy was taken, and which went on after it."""
    site, agent = setting(world)
    before = take(world, agent, "before")
    site.stop()
    copy = site.snapshot()
    site.start()
    agent.wait_connected()
    after = take(world, agent, "after")
    site.stop()
    return site, agent, copy, before, after


def refused(agent, code="rolled_back"):
    done = agent.cli("--json", "run", PRODUCT, "--version", "8.1.0", "--",
                     "true")
    return done.status == 3 and code in done.err


def acknowledge(site, reason="the disk failed; backup of Sunday"):
    done = site.cli("--json", "site", "acknowledge-rollback", "--reason",
                    reason)
    expect(done.status == 0, done.err)
    return done.json()


# --- noticed at the start ---------------------------------------------------


def a_store_put_back_grants_nothing_until_an_admin_says_so():
    with World() as world:
        site, agent, copy, before, after = moved_on(world)
        site.put_back(copy)
        site.start()
        shown = site.ready()
        expect(shown["rolled_back"], "not noticed: %s" % shown)
        expect("tick" in shown["rollback"], shown["rollback"])
        expect("ALERT: rolled back" in site.log() and
               "acknowledge-rollback" in site.log(), "the log does not say")
        words = site.cli("site", "show")
        expect("ROLLED BACK" in words.out and
               "leasehold site acknowledge-rollback --reason" in words.out,
               words.out)
        agent.wait_connected()
        expect(refused(agent), "a seat was granted")
        # Nothing else is changed either, and what it means is said.
        for words in (["join", "create"], ["device", "revoke", "device-1"],
                      ["leases", "release", "lease-1"]):
            done = site.cli(*words)
            expect(done.status == 3 and "acknowledge-rollback" in done.err,
                   "%s: %d %s" % (words, done.status, done.err))
        ready = run("curl", "-s", "--cacert", site.ca, site.url + "/readyz")
        expect("older copy" in ready.out, ready.out)
        # Both applications go on: one seat the site knows, one it does not.
        expect(before.process.poll() is None, before.errors())
        expect(after.process.poll() is None, after.errors())
        batch = site.ready()["batch"]
        time.sleep(2.5)
        expect(site.ready()["batch"] == batch, "the journal went on")
        # Stopped and started it is the same.
        site.stop()
        site.start()
        expect(site.ready()["rolled_back"], "a restart forgot it")


def an_acknowledgement_begins_a_generation():
    with World() as world:
        site, agent, copy, before, after = moved_on(world)
        site.put_back(copy)
        site.start()
        agent.wait_connected()
        done = site.cli("site", "acknowledge-rollback")
        expect(done.status == 2 and "--reason" in done.err, done.err)
        said = acknowledge(site)
        expect(said["generation"] == 2, said)
        shown = site.ready()
        expect(not shown.get("rolled_back") and shown["generation"] == 2,
               shown)
        # The device brings the lease of the lost branch, and it goes on.
        wait_for(lambda: held(site) == sorted([lease_of(before),
                                               lease_of(after)]),
                 "the leases: %s" % held(site), 15)
        new = take(world, agent, "new")
        expect(lease_of(new) > 10 ** 9, "lease-%d: a number that may have "
               "been given before" % lease_of(new))
        # It is returned as any other.
        after.stop()
        before.stop()
        wait_for(lambda: held(site) == [lease_of(new)], "returned", 10)
        # The audit passes, and names what is lost.
        found = site.verify()
        expect(found["generation"] == 2 and len(found["generations"]) == 1,
               found)
        fact = found["generations"][0]["fact"]
        expect(fact["lost"]["grants"] == 2 and fact["lost"]["batch"] >=
               found["generations"][0]["batch"] and
               fact["witnessed"] > fact["stored"], fact)
        words = site.cli("audit", "verify")
        expect("Generation 2 begins with batch" in words.out and
               "Abandoned: generation 1 to batch %d" % fact["lost"]["batch"]
               in words.out and "backup of Sunday" in words.out and
               "weaker than a TPM" in words.out, words.out)
        # Once more is a mistake.
        done = site.cli("site", "acknowledge-rollback", "--reason", "again")
        expect(done.status == 1 and "nothing to acknowledge" in done.err,
               done.err)
        # It is over: neither restarts nor old acquaintances stop it again.
        site.stop()
        site.start()
        agent.wait_connected()
        expect(not site.ready().get("rolled_back"), site.ready())
        new.stop()


def the_newest_copy_put_in_place_again_needs_no_acknowledgement():
    with World() as world:
        site, agent, copy, before, after = moved_on(world)
        newest = site.snapshot("newest")
        site.put_back(copy)
        site.start()
        expect(site.ready()["rolled_back"], "not noticed")
        agent.wait_connected()
        site.stop()
        site.put_back(newest)
        site.start()
        expect(not site.ready().get("rolled_back"), site.ready())
        agent.wait_connected()
        wait_for(lambda: held(site) == sorted([lease_of(before),
                                               lease_of(after)]),
                 "the leases: %s" % held(site), 15)
        take(world, agent, "more")


def each_store_is_noticed_by_itself():
    for part, words in (("tenants", "tenant default"), ("system", "tick")):
        with World() as world:
            site, agent, copy, before, after = moved_on(world)
            site.put_back(copy, parts=(part,))
            site.start()
            shown = site.ready()
            expect(shown["rolled_back"] and words in shown["rollback"],
                   "%s: %s" % (part, shown))
            expect(acknowledge(site)["generation"] == 2, part)
            agent.wait_connected()
            wait_for(lambda: not refused(agent), "it goes on", 10)
            site.verify()


def a_lost_or_older_witness_is_named():
    with World() as world:
        site, agent, copy, before, after = moved_on(world)
        file = os.path.join(site.witness, os.listdir(site.witness)[0])
        with open(file) as f:
            line = f.read().split()
        os.unlink(file)
        site.start()
        shown = site.ready()
        expect(shown["rolled_back"] and "missing" in shown["rollback"], shown)
        acknowledge(site, "somebody cleared the folder")
        agent.wait_connected()
        wait_for(lambda: not refused(agent), "it goes on", 10)
        site.stop()
        # Put back by more than one, by whoever: named, too.
        line[-1] = "1"
        with open(file, "w") as f:
            f.write(" ".join(line) + "\n")
        site.start()
        shown = site.ready()
        expect(shown["rolled_back"] and file in shown["rollback"], shown)


# --- noticed by what others have seen ---------------------------------------


def what_a_file_cannot_show_an_agent_does():
    """Everything put back, the witness included: the file shows nothing. The
    first agent that comes has the site's own signature."""
    with World() as world:
        site, agent, copy, before, after = moved_on(world)
        stranger = Agent(world, "stranger")
        site.put_back(copy, witness=True)
        site.start()
        # Until it comes, nobody knows: said plainly, and tested.
        wait_for(lambda: site.ready().get("rolled_back"),
                 "the agent's evidence does not stop the site", 15)
        shown = site.ready()
        expect("default" in shown["rollback"], shown)
        agent.wait_connected()
        expect(refused(agent), "a seat was granted")
        # It is kept: a restart, with nobody there, still knows.
        agent.stop()
        site.stop()
        site.start()
        expect(site.ready()["rolled_back"], "a restart forgot it")
        agent.start()
        acknowledge(site)
        agent.wait_connected()
        wait_for(lambda: not refused(agent), "it goes on", 15)
        # What was seen of the lost branch does not stop it a second time.
        site.stop()
        site.start()
        agent.wait_connected()
        time.sleep(1)
        expect(not site.ready().get("rolled_back"), site.ready())
        stranger.start()
        stranger.enroll(site)
        found = site.verify()
        expect(found["generations"][0]["fact"]["lost"]["batch"] > 0, found)


def an_abandoned_branch_stops_nothing():
    """Two agents saw the lost branch; the second comes only after the
    acknowledgement."""
    with World() as world:
        site, agent = setting(world)
        late = Agent(world, "late")
        late.start()
        late.enroll(site)
        site.stop()
        copy = site.snapshot()
        site.start()
        agent.wait_connected()
        late.wait_connected()
        app = take(world, late, "late-app")
        late.process.kill()
        late.process.wait()
        for pid in (late.name,):
            pass
        site.stop()
        site.put_back(copy)
        site.start()
        acknowledge(site)
        expect(not site.ready().get("rolled_back"), "not acknowledged")
        late.start()
        late.wait_connected()
        time.sleep(1)
        shown = site.ready()
        expect(not shown.get("rolled_back") and shown["generation"] == 2,
               shown)
        expect(late.status().get("rollback", "") == "", late.status())
        wait_for(lambda: lease_of(app) in held(site),
                 "its lease is not adopted: %s" % held(site), 15)


def a_claim_without_a_signature_stops_nothing():
    """known.json of an agent, forged: more was seen than ever was. The site
    refuses that agent's word and grants to others."""
    with World() as world:
        site, agent = setting(world)
        liar = Agent(world, "liar")
        liar.start()
        liar.enroll(site)
        liar.stop()
        known = os.path.join(liar.state, "known.json")
        with open(known) as f:
            said = json.load(f)
        said["known"]["batch"] += 1000
        said["seen_batch"] += 1000
        with open(known, "w") as f:
            json.dump(said, f)
        liar.start()
        wait_for(lambda: liar.status().get("rollback"), "it says so", 10)
        time.sleep(1)
        expect(not site.ready().get("rolled_back"), site.ready())
        take(world, agent, "app")


# --- adoption ---------------------------------------------------------------


def a_seat_that_is_given_again_is_billed_once():
    """All seats were taken on both branches. The applications of the lost one
    keep theirs, of the type that they had; the money is that of the grants."""
    with World() as world:
        site, agent = setting(world, commit=1, overage=1)
        site.stop()
        copy = site.snapshot()
        site.start()
        agent.wait_connected()
        lost = [take(world, agent, "lost%d" % i) for i in range(2)]
        expect(sorted(a.lease["type"] for a in lost) == ["commit", "overage"],
               "types")
        other = Agent(world, "other")
        site.stop()
        agent.process.send_signal(19)  # cannot come yet
        for pid in [p for ps in __import__("harness").children(
                agent.process.pid).values() for p in ps]:
            os.kill(pid, 19)
        site.put_back(copy)
        site.start()
        acknowledge(site)
        other.start()
        other.enroll(site)
        fresh = [take(world, other, "fresh%d" % i) for i in range(2)]
        for pid in [p for ps in __import__("harness").children(
                agent.process.pid).values() for p in ps]:
            os.kill(pid, 18)
        agent.process.send_signal(18)
        wait_for(lambda: held(site) == sorted(map(lease_of, lost + fresh)),
                 "four leases: %s" % held(site), 30)
        shown = site.cli("--json", "license", "show", "license-1").json()
        expect(shown["used_commit"] == 2 and shown["used_overage"] == 2 and
               shown["overage_checkouts"] == 2, shown)
        expect(refused(other, "overage_exhausted"), "a fifth seat")
        for app in lost:
            app.stop()
        wait_for(lambda: held(site) == sorted(map(lease_of, fresh)),
                 "returned", 10)
        site.verify()


# --- crashes ----------------------------------------------------------------


def no_crash_is_taken_for_a_rollback():
    """kill -9 at any moment, most of them near a start, where ticks are."""
    rounds = int(os.environ.get("ROUNDS", "100"))
    seed = int(os.environ.get("SEED", random.getrandbits(32)))
    dice = random.Random(seed)
    with World() as world:
        site, agent = setting(world)
        for number in range(rounds):
            site.kill()
            site.start(wait=False)
            if dice.random() < 0.25:
                site.wait_ready()
            time.sleep(dice.random() ** 2 * 0.4)
        site.wait_ready()
        words = "seed %d" % seed
        expect("rolled back" not in site.log(), words)
        expect(not site.ready().get("rolled_back"), words)
        agent.wait_connected(30)
        take(world, agent, "app")
        expect(site.verify()["generation"] == 1, words)
        # And the counter went on all the while.
        expect(site.ready()["ticks"] > 10, "%s: %s" % (words, site.ready()))


if __name__ == "__main__":
    sys.exit(main([
        a_store_put_back_grants_nothing_until_an_admin_says_so,
        an_acknowledgement_begins_a_generation,
        the_newest_copy_put_in_place_again_needs_no_acknowledgement,
        each_store_is_noticed_by_itself,
        a_lost_or_older_witness_is_named,
        what_a_file_cannot_show_an_agent_does,
        an_abandoned_branch_stops_nothing,
        a_claim_without_a_signature_stops_nothing,
        a_seat_that_is_given_again_is_billed_once,
        no_crash_is_taken_for_a_rollback,
    ]))
