#!/usr/bin/python3
"""leaseholdd, leasehold-agent and leasehold-vendor as people meet them: help,
mistakes, exit statuses. (`leasehold` itself: test_cli.py.)"""

import os
import sys

from harness import Site, World, binary, expect, main, run

DAEMON = binary("leaseholdd")
AGENT = binary("leasehold-agent")
VENDOR = binary("leasehold-vendor")
DONE, FAILED, USAGE = range(3)


def refused(done, status, *words):
    expect(done.status == status,
           "status %d: %s%s" % (done.status, done.out, done.err))
    expect(done.out == "", "on standard output: " + done.out)
    for word in words:
        expect(word in done.err, "no %r in: %s" % (word, done.err))


def every_program_says_its_version_and_its_help():
    for program in (DAEMON, AGENT, VENDOR, binary("leasehold")):
        name = os.path.basename(program)
        done = run(program, "--version")
        expect(done.status == DONE and done.out.split()[0] == name and
               done.out.split()[1][0].isdigit() and done.err == "",
               done.out + done.err)
        done = run(program, "--help")
        expect(done.status == DONE and done.err == "" and
               "Exit status: 0 done" in done.out, done.out + done.err)
        done = run(program, "--hlep")
        expect(done.status == USAGE and done.out == "" and
               "--help" in done.err, done.out + done.err)


def words_of_the_daemon_have_help():
    for word in ("init", "request", "certificate", "key"):
        for args in ((word, "--help"), ("help", word), ("--help", word)):
            done = run(DAEMON, *args)
            expect(done.status == DONE and done.err == "", done.err)
            expect(done.out.startswith("leaseholdd %s [OPTION]..." % word) and
                   "Example:\n  leaseholdd " + word in done.out, done.out)


def mistakes_are_named_with_what_was_meant():
    refused(run(DAEMON, "inti"), USAGE, "'inti'", "'init'")
    refused(run(DAEMON, "xyzzy"), USAGE, "'xyzzy'", "leaseholdd --help")
    refused(run(DAEMON, "help", "kye"), USAGE, "'key'")
    refused(run(DAEMON, "key", "--listen", "x"), USAGE,
            "--listen is no option of key", "leaseholdd key --help")
    refused(run(DAEMON, "--name", "x"), USAGE, "--name is no option")
    refused(run(DAEMON, "request", "x"), USAGE, "a word too many")
    refused(run(DAEMON, "init", "--name", "x"), USAGE, "--host")
    refused(run(AGENT, "start"), USAGE, "takes no arguments")
    refused(run(VENDOR, "isue", "x"), USAGE, "did you mean issue?")
    refused(run(VENDOR, "init", "x", "--nam", "y"), USAGE, "--name")


def settings_are_checked_without_starting():
    with World() as world:
        for program, good, bad in (
                (DAEMON, "[listen]\nport=7443\n", "[listen]\nprot=7443\n"),
                (AGENT, "[agent]\nlog=warn\n", "[agent]\nlgo=warn\n")):
            path = world.path("some.ini")
            with open(path, "w") as f:
                f.write(good)
            done = run(program, "--check-config", "--config", path)
            expect(done.status == DONE and "is good" in done.out,
                   done.out + done.err)
            with open(path, "w") as f:
                f.write(bad)
            done = run(program, "--check-config", "--config", path)
            refused(done, USAGE, path + ":2")
            refused(run(program, "--check-config", "--config", path + "x"),
                    USAGE, path + "x")


def the_daemon_answers_in_json():
    with World() as world:
        site = Site(world)
        owner = ["--state", site.state]
        made = run(DAEMON, "key", *owner, "--name", "night \"shift\"",
                   "--json")
        expect(made.status == DONE, made.err)
        key = made.json()
        expect(key["name"] == "night \"shift\"" and
               key["admin_key"].startswith("clsk_"), key)
        asked = run(DAEMON, "request", *owner, "--json")
        plain = run(DAEMON, "request", *owner)
        expect(asked.json()["request"].startswith("v4.public.") and
               plain.out.startswith("v4.public."), asked.out)
        made = run(DAEMON, "certificate", *owner, "--host", "127.0.0.1",
                   "--json")
        expect(made.json()["state"] == site.state, made.out)
        site.start()
        env = dict(site.env, LICENSE_API_KEY=key["admin_key"])
        shown = run(binary("leasehold"), "site", "show", env=env)
        expect(shown.status == DONE, shown.err)


if __name__ == "__main__":
    sys.exit(main([
        every_program_says_its_version_and_its_help,
        words_of_the_daemon_have_help,
        mistakes_are_named_with_what_was_meant,
        settings_are_checked_without_starting,
        the_daemon_answers_in_json,
    ]))
