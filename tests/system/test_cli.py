#!/usr/bin/python3
"""`leasehold` as people and scripts meet it: help, mistakes, exit statuses."""

import json
import os
import sys

from harness import (PRODUCT, Agent, World, Site, binary, expect, free_port,
                     main, run, terms)

LEASEHOLD = binary("leasehold")
DONE, FAILED, USAGE, REFUSED, UNREACHABLE = range(5)


def cli(*args, env=None):
    return run(LEASEHOLD, *args, env=env)


def commands():
    """[words] of every command, out of the help itself."""
    shown = cli("--help")
    expect(shown.status == DONE, "status %d" % shown.status)
    found = []
    for line in shown.out.splitlines():
        if line.startswith("  leasehold "):
            found.append(line[len("  leasehold "):].split("  ")[0].split())
    return found


def refused(done, status, *words):
    expect(done.status == status,
           "status %d: %s%s" % (done.status, done.out, done.err))
    expect(done.out == "", "on standard output: " + done.out)
    for word in words:
        expect(word in done.err, "no %r in: %s" % (word, done.err))


def help_of_every_command_shows_an_example():
    found = commands()
    expect(len(found) >= 19, found)
    for words in found:
        shown = cli(*words, "--help")
        name = " ".join(words)
        expect(shown.status == DONE, "%s: %d" % (name, shown.status))
        expect(shown.err == "", shown.err)
        at = shown.out.find("\nExample:\n  leasehold " + name)
        expect(at > 0, "%s has no example: %s" % (name, shown.out))
    bare = cli()
    refused(bare, USAGE, "leasehold checkout")


def misspelt_words_are_named_with_the_closest():
    refused(cli("chekout", PRODUCT), USAGE, "'chekout'", "'checkout'")
    refused(cli("license"), USAGE, "license install", "license show")
    refused(cli("license", "lst"), USAGE, "'license list'", "license show")
    refused(cli("leases", "relese"), USAGE, "'leases release'")
    refused(cli("help", "leases", "relese"), USAGE, "'leases release'")
    refused(cli("xyzzy"), USAGE, "--help")
    for args in (["status", "--jsn"],
                 ["checkout", PRODUCT, "--verion", "1"],
                 ["leases", "--prodct", "x"],
                 ["audit", "tail", "--folow"]):
        refused(cli(*args), USAGE, next(a for a in args if a[:2] == "--"),
                "usage: leasehold " + args[0])


def help_comes_before_or_after_the_command():
    for args in (["help", "leases"], ["leases", "--help"],
                 ["--help", "leases"], ["leases", "-h"]):
        shown = cli(*args)
        expect(shown.status == DONE and shown.err == "" and
               shown.out.startswith("leasehold leases [OPTION]..."),
               shown.out + shown.err)
    expect(cli("help").out == cli("--help").out, "two texts")


def what_follows_two_dashes_is_no_option():
    refused(cli("leases", "release", "--", "--json"), USAGE,
            "LEASE: '--json'")
    with World() as world:
        done = run(LEASEHOLD, "license", "install", "--", "--product",
                   cwd=world.dir)
        refused(done, FAILED, "--product cannot be read")


def missing_and_wrong_values_are_usage():
    for args in (["checkout", PRODUCT, "--version"], ["leases", "--product"],
                 ["status", "--socket"], ["join", "create", "--uses"]):
        refused(cli(*args), USAGE, args[-1] + " needs a value")
    for args, words in (
            (["checkout"], "usage: leasehold checkout"),
            (["checkout", PRODUCT, "--wait", "soon"], "soon"),
            (["checkout", PRODUCT, "--pid", "0"], "--pid"),
            (["run", PRODUCT], "needs a command"),
            (["return"], "usage: leasehold return"),
            (["join", "create", "--uses", "-1"], "--uses"),
            (["leases", "release", "lease-x"], "LEASE"),
            (["leases", "release"], "usage: leasehold leases release"),
            (["audit", "tail", "-n", "0"], "-n")):
        refused(cli(*args), USAGE, words)


def nothing_configured_says_what_to_type():
    done = cli("leases")
    refused(done, USAGE, "--server", "LICENSE_SERVER_URL", "leasehold status")
    done = cli("leases", env={"LICENSE_SERVER_URL": "https://127.0.0.1:1"})
    refused(done, USAGE, "LICENSE_API_KEY", "leasehold site init",
            "leasehold status")


def what_cannot_be_reached_is_status_4():
    with World() as world:
        url = "https://127.0.0.1:%d" % free_port()
        env = {"LICENSE_SERVER_URL": url, "LICENSE_API_KEY": "clsk_x"}
        refused(cli("leases", env=env), UNREACHABLE, url, "unavailable")
        nobody = world.path("nobody.sock")
        for args in (["checkout", PRODUCT], ["return", "--all"],
                     ["run", PRODUCT, "--", "true"]):
            done = cli(*args, env={"LEASEHOLD_SOCKET": nobody})
            refused(done, UNREACHABLE, nobody, "leasehold-agent")
        # Its 4 is the site that is not reached.
        refused(cli("status", env={"LEASEHOLD_SOCKET": nobody}), FAILED,
                nobody, "leasehold-agent")


def errors_are_json_when_asked():
    with World() as world:
        url = "https://127.0.0.1:%d" % free_port()
        site = Site(world)
        site.start()
        cases = (
            (["leases"], {"LICENSE_SERVER_URL": url,
                          "LICENSE_API_KEY": "clsk_x"},
             UNREACHABLE, "unavailable"),
            (["status"], {"LEASEHOLD_SOCKET": world.path("nobody.sock")},
             FAILED, "unavailable"),
            (["leases"], dict(site.env, LICENSE_API_KEY="clsk_default_"
                              + "A" * 43), REFUSED, "unauthenticated"),
            (["leases", "release", "lease-99"], site.env, FAILED,
             "not_found"),
        )
        for args, env, status, code in cases:
            done = cli("--json", *args, env=env)
            expect(done.status == status, "%s: status %d: %s"
                   % (args, done.status, done.err))
            expect(done.out == "", done.out)
            problem = json.loads(done.err)
            expect(problem["code"] == code and problem["detail"], problem)


def refusals_are_status_3():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(commit=1, overage=0))
        agent = Agent(world)
        agent.start()
        agent.enroll(site)
        wrong = dict(site.env, LICENSE_API_KEY=site.key[:-1])
        refused(cli("leases", env=wrong), REFUSED, "unauthenticated")
        refused(agent.cli("checkout", PRODUCT, "--version", "7.0.0"), REFUSED,
                "version_not_covered")
        refused(agent.cli("checkout", "other"), REFUSED, "not_entitled")
        done = agent.cli("run", PRODUCT, "--version", "8.1.0", "--",
                         LEASEHOLD, "checkout", PRODUCT, "--version", "8.1.0",
                         "--socket", agent.socket)
        refused(done, REFUSED, "no_seats")


def another_ca_is_status_4_with_the_hint():
    with World() as world:
        site, other = Site(world), Site(world, "other")
        site.start()
        for ca in (other.ca, world.path("missing.pem")):
            done = cli("leases", env=dict(site.env, LICENSE_CA_FILE=ca))
            refused(done, UNREACHABLE, "--ca FILE", "LICENSE_CA_FILE")
        env = dict(site.env)
        del env["LICENSE_CA_FILE"]
        refused(cli("leases", env=env), UNREACHABLE, "LICENSE_CA_FILE")


def write(path, text, mode=0o600):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def config_files_are_read_and_checked():
    with World() as world:
        site = Site(world)
        site.start()
        config = world.path("cli.ini")
        env = {"LEASEHOLD_CONFIG": config}
        write(config, "[server]\nulr=https://127.0.0.1:1\n")
        refused(cli("leases", env=env), USAGE, config + ":2", "ulr", "url")
        refused(cli("leases", env={"LEASEHOLD_CONFIG": config + ".missing"}),
                USAGE, config + ".missing")
        text = "[server]\nurl=%s\nkey=%s\nca_file=%s\n" % (
            site.url, site.key, site.ca)
        write(config, text)
        done = cli("leases", env=env)
        expect(done.status == DONE and done.err == "", done.err)
        expect("No seat is held" in done.out, done.out)
        for mode in (0o640, 0o604):
            write(config, text, mode)
            done = cli("leases", env=env)
            expect(done.status == DONE, done.err)
            expect("chmod 600 " + config in done.err, done.err)
            expect(site.key not in done.err, "the key is shown")
            done = cli("--json", "leases", env=env)
            expect(done.status == DONE and done.err == "", done.err)
        write(config, "[server]\nurl=%s\n" % site.url, 0o644)
        done = cli("leases", env=dict(site.env, LEASEHOLD_CONFIG=config))
        expect(done.status == DONE and done.err == "", done.err)


def the_journal_is_shown_and_checked():
    with World() as world:
        site, other = Site(world), Site(world, "other")
        site.start()
        site.install(terms())
        site.token()
        tail = site.cli("audit", "tail")
        expect(tail.status == DONE, tail.err)
        kinds = [line.split()[3] for line in tail.out.splitlines()]
        listed = site.cli("--json", "audit", "tail")
        rows = [json.loads(line) for line in listed.out.splitlines()]
        expect(kinds == [row["kind"] for row in rows], kinds)
        expect([row["row"] for row in rows]
               == list(range(1, len(rows) + 1)), rows)
        expect(kinds[0] == "genesis", kinds)
        for kind in ("started", "license.installed", "join.created"):
            expect(kind in kinds, kinds)
        last = site.cli("audit", "tail", "-n", "1")
        expect(tail.out.endswith(last.out) and last.out != tail.out, last.out)
        key = site.cli("site", "show").out.split("k4.public.")[1].split()[0]
        good = site.cli("audit", "verify", "--site-key", "k4.public." + key)
        expect(good.status == DONE and "journal holds" in good.out, good.err)
        other.start()
        key = other.cli("site", "show").out.split("k4.public.")[1].split()[0]
        bad = site.cli("audit", "verify", "--site-key", "k4.public." + key)
        refused(bad, FAILED, "the journal does not hold")
        refused(site.cli("audit", "verify", "--site-key", "k4.public.x"),
                USAGE, "--site-key")


if __name__ == "__main__":
    sys.exit(main([
        help_of_every_command_shows_an_example,
        misspelt_words_are_named_with_the_closest,
        help_comes_before_or_after_the_command,
        what_follows_two_dashes_is_no_option,
        missing_and_wrong_values_are_usage,
        nothing_configured_says_what_to_type,
        what_cannot_be_reached_is_status_4,
        errors_are_json_when_asked,
        refusals_are_status_3,
        another_ca_is_status_4_with_the_hint,
        config_files_are_read_and_checked,
        the_journal_is_shown_and_checked,
    ]))
