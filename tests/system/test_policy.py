#!/usr/bin/python3
"""A policy from the command line to the seats: applied, enforced, kept."""

import json
import os
import sys
import threading

from api import Api
from by_key import Program, make_key
from harness import (PRODUCT, Agent, App, Site, World, expect, main, terms,
                     wait_for)


def setting(world, **kw):
    site = Site(world)
    site.start()
    site.install(terms(**kw))
    key, number = make_key(site)
    return site, key, number


def write(world, name="policy.json", **document):
    path = os.path.join(world.dir, name)
    with open(path, "w") as file:
        json.dump(document, file)
    return path


def apply(site, world, *extra, **document):
    done = site.cli("policy", "apply", write(world, **document), *extra)
    expect(done.status == 0, done.err)
    return done


def refused(program, code, rule=None, status=409, **body):
    answer = program.checkout(**body)
    expect(answer.status == status and answer.code == code, answer)
    if rule is not None:
        expect("the rule is " + rule in answer.body["hint"], answer)


# --- seats ----------------------------------------------------------------------

def each_kind_of_rule_refuses_with_its_code_and_name():
    with World() as world:
        site, key, number = setting(world, commit=4, overage=0)
        rules = [
            {"name": "no-eve", "kind": "exclude", "users": ["eve"]},
            {"name": "one-each", "kind": "max", "each": "user", "seats": 1},
            {"name": "kept", "kind": "reserve", "product": PRODUCT,
             "groups": ["designers"], "seats": 2},
            {"name": "no-net", "kind": "exclude", "product": PRODUCT,
             "addresses": ["127.0.0.9"]},
        ]
        groups = [{"name": "designers", "users": ["ann", "bob"]}]
        apply(site, world, groups=groups, rules=rules)
        with Program(site, key) as program:
            refused(program, "excluded", "no-eve", 403, user="eve")
            carl = program.take(user="carl")
            refused(program, "policy_max", "one-each", user="carl")
            program.take(user="dora")
            refused(program, "reserved", "kept", user="frank")
            program.take(user="ann")
            program.take(user="bob")
            program.give_back(carl["id"])
            program.take(user="frank")
            refused(program, "no_seats", user="gina")
        with Program(site, key, address="127.0.0.9") as program:
            refused(program, "excluded", "no-net", 403, user="hans")
        apply(site, world, rules=[{"name": "keys", "kind": "exclude",
                                   "devices": ["key-%d" % number]}])
        with Program(site, key) as program:
            refused(program, "excluded", "keys", 403, user="ann")
        # Whoever had a seat has it.
        expect(len(site.leases()) == 4, site.leases())
        site.verify()


def what_is_held_counts_after_a_kill():
    with World() as world:
        site, key, _ = setting(world, commit=4, overage=0)
        apply(site, world, rules=[{"name": "r", "kind": "max", "seats": 2,
                                   "users": ["ann", "bob"]}])
        with Program(site, key) as program:
            lease = program.take(user="ann")
            program.take(user="bob")
        site.kill()
        site.start()
        with Program(site, key) as program:
            refused(program, "policy_max", "r", user="ann")
            program.take(user="carl")
            program.give_back(lease["id"])
            program.take(user="ann")
        shown = site.cli("policy", "show")
        expect(shown.status == 0 and "version   1 (in force)" in shown.out and
               "seats 2" in shown.out, shown.out)


def who_waits_is_served_by_a_change():
    with World() as world:
        site, key, _ = setting(world, commit=2, overage=0)
        apply(site, world, rules=[{"name": "r", "kind": "max", "seats": 1,
                                   "each": "user"}])
        got = []
        with Program(site, key) as holder, Program(site, key) as waiter, \
                Program(site, key) as other:
            holder.take(user="ann")
            waiter.begin_checkout("job-1", user="ann", wait_s=600)
            thread = threading.Thread(
                target=lambda: got.append(waiter.hear()))
            thread.start()
            wait_for(lambda: json.loads(site.cli(
                "--json", "queue", "list").out).get("items"), "it waits")
            # It does not hold up those behind it.
            lease = other.take(user="bob")
            other.give_back(lease["id"])
            apply(site, world)
            thread.join(60)
            expect(got and got[0].status in (201, 202), got)
            if got[0].status == 202:
                wait_for(lambda: waiter.checkout(
                    "job-1", user="ann", wait_s=600).status == 201,
                    "the seat")


# --- a trial, and what is taken ---------------------------------------------------

def a_trial_names_whom_it_touches_and_changes_nothing():
    with World() as world:
        site, key, _ = setting(world, commit=3, overage=0)
        with Program(site, key) as program, Program(site, key) as waiter:
            program.take(user="ann")
            second = program.take(user="ann")
            program.take(user="bob")
            waiter.begin_checkout("job-1", user="eve", wait_s=600)
            wait_for(lambda: json.loads(site.cli(
                "--json", "queue", "list").out).get("items"), "it waits")
            path = write(world, rules=[
                {"name": "one", "kind": "max", "each": "user", "seats": 1},
                {"name": "no-eve", "kind": "exclude", "users": ["eve"]}])
            done = site.cli("--json", "policy", "check", path)
            expect(done.status == 0, done.err)
            impact = json.loads(done.out)
            expect(impact["leases"] == 3 and impact["touched"] == 1, impact)
            item = impact["items"][0]
            expect("lease-%d" % item["lease"] == second["id"] and
                   item["code"] == "policy_max" and item["rule"] == "one" and
                   item["user"] == "ann", item)
            expect(impact["waiting_touched"] == 1 and
                   impact["waiters"][0]["code"] == "excluded", impact)
            shown = site.cli("policy", "check", path)
            expect("1 of 3" in shown.out, shown.out)
            expect("There is no policy" in site.cli("policy", "show").out,
                   "it changed something")
            expect(len(site.leases()) == 3, site.leases())
            bad = site.cli("policy", "check", write(world, rules=[
                {"name": "r", "kind": "max"}]))
            expect(bad.status == 1 and "rules[0].seats" in bad.err, bad.err)


def what_is_revoked_ends_after_its_grace_and_not_before():
    with World() as world:
        site, key, _ = setting(world, commit=3, overage=0)
        with Program(site, key) as program:
            ann = program.take(user="ann")
            program.take(user="bob")
            path = write(world, rules=[{"name": "no-ann", "kind": "exclude",
                                        "users": ["ann"]}])
            alone = site.cli("policy", "apply", path, "--revoke")
            expect(alone.status == 2 and "--grace" in alone.err, alone.err)
            done = site.cli("policy", "apply", path, "--revoke", "--grace",
                            "1h")
            expect(done.status == 0 and "1 of 2" in done.out, done)
            expect(program.renew(ann["id"]).status == 200, "it is renewed")
            expect(len(site.leases()) == 2, site.leases())
            done = site.cli("policy", "apply", path, "--revoke", "--grace",
                            "1s")
            expect(done.status == 0, done.err)
            wait_for(lambda: [v["user"] for v in site.leases()] == ["bob"],
                     "ann's lease ends", 60)
            gone = program.renew(ann["id"])
            expect(gone.status == 410, gone)
        site.verify()


# --- what agents are told ---------------------------------------------------------

def a_change_is_told_to_agents_and_shown():
    with World() as world:
        site, _, _ = setting(world)
        agent = Agent(world)
        agent.start()
        agent.enroll(site)
        expect("policy" not in agent.status(), agent.status())
        apply(site, world, comment="first")
        wait_for(lambda: agent.status().get("policy") == 1, "it is told")
        apply(site, world, comment="second")
        wait_for(lambda: agent.status().get("policy") == 2, "and again")
        shown = agent.cli("status")
        expect("version 2 of its policy since" in shown.out, shown.out)
        with open(world.path("agent.log"), errors="replace") as file:
            expect("version 2 of the site's policy" in file.read(), "no log")


def lost(app):
    """What the application is told when its seat is taken."""
    while True:
        line = app.process.stdout.readline()
        expect(line, "the application ended")
        said = json.loads(line)
        if said.get("event") == "lost":
            return said


def what_is_revoked_is_told_to_agent_and_application():
    with World() as world:
        site, _, _ = setting(world, commit=3, overage=0)
        site.install(terms(product="other", commit=3, overage=0))
        agent = Agent(world)
        agent.start()
        agent.enroll(site)
        app = App(world, agent.socket)
        lease = app.wait()["lease"]
        other = App(world, agent.socket, name="other", product="other")
        kept = other.wait()["lease"]
        user = site.leases()[0]["user"]
        path = write(world, rules=[{"name": "nobody", "kind": "exclude",
                                    "product": PRODUCT, "users": [user]}])
        done = site.cli("policy", "apply", path, "--revoke", "--grace", "1s")
        expect(done.status == 0 and "1 of 2" in done.out, done)
        expect(lost(app)["lease"] == lease, "another was told")
        wait_for(lambda: [held["lease"] for held in
                          agent.status()["held"]] == [kept],
                 "the agent holds it no more")
        wait_for(lambda: [held["product"] for held in site.leases()] ==
                 ["other"], "the site has it back")
        again = App(world, agent.socket, name="again")
        expect(again.wait() is None and
               "the rule is nobody" in again.errors(), again.errors())
        site.verify()


# --- the document ---------------------------------------------------------------

def versions_are_shown_exported_and_not_overwritten():
    with World() as world:
        site, _, _ = setting(world)
        none = site.cli("policy", "show")
        expect(none.status == 0 and "There is no policy" in none.out,
               none.out)
        first = {"comment": "first", "rules": [
            {"name": "r", "kind": "exclude", "users": ["eve"]}]}
        done = apply(site, world, **first)
        expect("keeps it" in done.out, done.out)
        apply(site, world, "--follows", "1", comment="second")
        late = site.cli("policy", "apply", write(world), "--follows", "1")
        expect(late.status == 1 and "version 2 is in force" in late.err,
               late.err)
        old = site.cli("policy", "export", "--version", "1")
        expect(json.loads(old.out) == first, old.out)
        new = json.loads(site.cli("policy", "export").out)
        expect(new == {"comment": "second"}, new)
        history = site.cli("--json", "policy", "history")
        items = json.loads(history.out)["items"]
        expect([v["version"] for v in items] == [2, 1] and
               [v.get("in_force", False) for v in items] == [True, False],
               items)
        gone = site.cli("policy", "show", "--version", "3")
        expect(gone.status == 1 and "no version 3" in gone.err, gone.err)
        site.verify()


def what_is_wrong_is_named_on_every_way_in():
    with World() as world:
        site, key, _ = setting(world)
        path = write(world, rules=[{"name": "r", "kind": "max"}])
        done = site.cli("policy", "apply", path)
        expect(done.status == 1 and "rules[0].seats" in done.err, done.err)
        done = site.cli("policy", "apply", write(world, rulez=[]))
        expect(done.status == 1 and "rulez" in done.err, done.err)
        api = Api(site)
        answer = api.ask("PUT", "/api/v1/policies", {"policy": {"rules": [
            {"name": "r", "kind": "reserve", "seats": 1, "product": "p"}]}})
        expect(answer.status == 400 and answer.json()["field"] ==
               "policy.rules[0].groups", answer)
        for method, path in (("PUT", "/api/v1/policies"),
                             ("GET", "/api/v1/policies"),
                             ("GET", "/api/v1/policies/versions")):
            answer = api.ask(method, path, {} if method == "PUT" else None,
                             key=key)
            expect(answer.status == 403, "%s %s: %r" % (method, path, answer))
        expect(api.get("/api/v1/policies").json()["summary"]["version"] == 0,
               "a policy is in force")
        api.close()


def ten_thousand_members_are_a_policy():
    with World() as world:
        site, key, _ = setting(world, commit=2, overage=0)
        users = ["user-%05d" % i for i in range(10000)]
        apply(site, world, groups=[{"name": "g", "users": users}],
              rules=[{"name": "r%d" % i, "kind": "include", "groups": ["g"]}
                     for i in range(100)])
        with Program(site, key) as program:
            program.take(user=users[9999])
            refused(program, "excluded", "r", 403, user="user-10000")
        exported = json.loads(site.cli("policy", "export").out)
        expect(exported["groups"][0]["users"] == users, "members differ")


def names_lie_sealed_and_go_with_the_person():
    with World() as world:
        site, _, _ = setting(world)
        apply(site, world, rules=[{"name": "r", "kind": "exclude",
                                   "users": ["Anneliese.Quandt"]}])
        site.stop()
        for folder, _, names in os.walk(site.state):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    expect(b"Quandt" not in file.read(), name)
        site.start()
        done = site.cli("person", "erase", "Anneliese.Quandt")
        expect(done.status == 0, done.err)
        shown = site.cli("policy", "export")
        expect("Quandt" not in shown.out and "(erased)" in shown.out,
               shown.out)


if __name__ == "__main__":
    sys.exit(main([
        each_kind_of_rule_refuses_with_its_code_and_name,
        what_is_held_counts_after_a_kill,
        who_waits_is_served_by_a_change,
        a_trial_names_whom_it_touches_and_changes_nothing,
        what_is_revoked_ends_after_its_grace_and_not_before,
        a_change_is_told_to_agents_and_shown,
        what_is_revoked_is_told_to_agent_and_application,
        versions_are_shown_exported_and_not_overwritten,
        what_is_wrong_is_named_on_every_way_in,
        ten_thousand_members_are_a_policy,
        names_lie_sealed_and_go_with_the_person,
    ], together=True))
