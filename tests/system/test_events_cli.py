#!/usr/bin/python3
"""`leasehold events`: the journal as a program follows it."""

import json
import os
import subprocess
import sys

from harness import Site, World, binary, expect, main, run, terms, wait_for


def told(text):
    return [json.loads(line) for line in text.splitlines()]


def what_there_is_is_told():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        done = site.cli("events", "--json")
        expect(done.status == 0, done.err)
        every = told(done.out)
        ids = [event["id"] for event in every]
        expect(len(ids) > 1 and ids == sorted(set(ids)), ids)
        # The fact, and behind it who asked for it.
        kinds = [event["event"] for event in every]
        fact = kinds.index("license.installed")
        expect(kinds[-1] == "act" and fact > 0 and
               every[fact]["data"]["row"] == ids[fact], every)
        # From one on, and from the last: nothing.
        some = site.cli("events", "--json", "--since", ids[fact - 1])
        expect(told(some.out) == every[fact:], some.out)
        none = site.cli("events", "--since", ids[-1])
        expect(none.status == 0 and
               "license.install" not in none.out, none.out + none.err)
        plain = site.cli("events", "--since", ids[fact - 1])
        expect(plain.out.startswith("%d  license.installed  {" % ids[fact]),
               plain.out)


def what_is_wrong_is_said_by_its_status():
    with World() as world:
        site = Site(world)
        site.start()
        for args in (("--since", "x"), ("--since",), ("more",)):
            done = site.cli("events", *args)
            expect(done.status == 2, (args, done.status, done.err))
        refused = run(binary("leasehold"), "events", "--follow",
                      env=dict(site.env, LICENSE_API_KEY="clsk_default_no"))
        expect(refused.status == 3, (refused.status, refused.err))
        site.stop()
        away = site.cli("events", "--follow")
        expect(away.status == 4, (away.status, away.err))


def a_follower_goes_on_after_a_crash():
    with World() as world:
        site = Site(world)
        site.start()
        path = world.path("events.jsonl")
        with open(path, "w") as out:
            process = subprocess.Popen(
                [binary("leasehold"), "events", "--json", "--follow",
                 "--since", "0"], env=dict(os.environ, **site.env),
                stdout=out)
        world.started.append(process)

        def seen():
            with open(path) as f:
                return [json.loads(line) for line in f
                        if line.endswith("\n")]

        def installed():
            return [event["event"] for event in seen()].count(
                "license.installed")

        site.install(terms(product="one"))
        wait_for(lambda: installed() == 1, "the first", 20)
        site.kill()
        site.start()
        site.install(terms(product="two"))
        wait_for(lambda: installed() == 2, "the second", 60)
        expect(process.poll() is None, "it ended")
        process.terminate()
        process.wait()
        ids = [event["id"] for event in seen()]
        expect(ids == sorted(set(ids)), "told twice, or out of order")
        # Nothing is missing between them.
        every = [event["id"] for event in
                 told(site.cli("events", "--json").out)]
        expect(every[:len(ids)] == ids, "a gap")


if __name__ == "__main__":
    sys.exit(main([
        what_there_is_is_told,
        what_is_wrong_is_said_by_its_status,
        a_follower_goes_on_after_a_crash,
    ]))
