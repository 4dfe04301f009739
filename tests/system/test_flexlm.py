#!/usr/bin/python3
"""Options files of FlexNet: each report as it stands beside its file, and each
file imported, applied and kept to by a real site."""

import glob
import json
import os
import sys

from by_key import Program, make_key
from harness import ROOT, Site, World, binary, expect, main, run, terms

DATA = os.path.join(ROOT, "tests", "data", "flexlm")
NAMES = sorted(os.path.basename(path)[:-4]
               for path in glob.glob(os.path.join(DATA, "*.opt")))


def data(name, end):
    with open(os.path.join(DATA, name + end), encoding="utf-8") as file:
        return file.read()


def steps(name):
    """The words of each step of a file, without those that are options."""
    found = [line.split(" ") for line in data(name, ".steps").splitlines()
             if line and line[0] != "#"]
    return [words for words in found
            if words[0] not in ("product", "feature", "all")]


def options(name):
    """What the command needs to know, as its steps say it."""
    found, every = [], []
    for line in data(name, ".steps").splitlines():
        word, _, rest = line.partition(" ")
        if word == "all":
            every.append(rest)
        elif word in ("product", "feature"):
            found += ["--" + word, rest]
    return found + (["--all", ",".join(every)] if every else [])


def command(*args):
    return run(binary("leasehold"), *args)


def an_import(name, *more):
    return command("policy", "import-flexlm",
                   os.path.join(DATA, name + ".opt"), *options(name), *more)


# --- what it says -----------------------------------------------------------------

def each_file_has_the_report_that_stands_beside_it():
    expect(len(NAMES) >= 10, NAMES)
    for name in NAMES:
        done = an_import(name)
        expect(done.status == 0, done.err)
        expect(done.err == data(name, ".report"),
               "%s:\n%s" % (name, done.err))
        json.loads(done.out)


def json_holds_the_same_policy_and_a_remark_for_each_line():
    for name in NAMES:
        plain, whole = an_import(name), run(
            binary("leasehold"), "--json", "policy", "import-flexlm",
            os.path.join(DATA, name + ".opt"), *options(name))
        expect(whole.status == 0 and whole.err == "", whole.err)
        made = json.loads(whole.out)
        expect(made["policy"] == json.loads(plain.out), name)
        report = made["report"]
        counts = [report[key] for key in
                  ("taken", "not_needed", "without_effect", "differs",
                   "no_equal", "wrong")]
        expect(sum(counts) == len(report["lines"]), report)
        for line in report["lines"]:
            expect(line["status"] == "taken" or line["reason"], line)


def strict_writes_only_what_is_exact():
    with World() as world:
        out = os.path.join(world.dir, "policy.json")
        done = an_import("limits", "--strict", "--out", out)
        expect(done.status == 1 and "nothing is written" in done.err, done.err)
        expect(done.out == "" and not os.path.exists(out), done.out)
        done = an_import("package", "--strict", "--out", out)
        expect(done.status == 0 and "policy apply" in done.out, done)
        with open(out) as file:
            expect(json.load(file)["rules"], "rules")
        # Names of people stand in it.
        expect(os.stat(out).st_mode & 0o077 == 0, oct(os.stat(out).st_mode))


def what_is_wrong_with_the_command_is_said():
    path = os.path.join(DATA, "simple.opt")
    for args, status, words in (
            (["/nonexistent.opt"], 1, "cannot be read"),
            ([path, "--feature", "weaver"], 2, "NAME=PRODUCT"),
            ([path, "--feature", "f:NO=1=p"], 2, "no keyword"),
            ([path, "--features", "/nonexistent"], 1, "cannot be read"),
            ([path, "--product", ""], 2, "--product"),
            ([path, "--all", ","], 2, "--all"),
            ([path, "--out", "/nonexistent/x"], 1, "cannot be written"),
            ([], 2, "policy import-flexlm")):
        done = command("policy", "import-flexlm", *args)
        expect(done.status == status and words in done.err,
               "%r: %d %s" % (args, done.status, done.err))


def a_file_says_what_features_are_called_here():
    with World() as world:
        path = os.path.join(world.dir, "features")
        with open(path, "w") as file:
            file.write("# ours\n\n  weaver=loom/shuttle \nother=p\n")
        done = command("policy", "import-flexlm",
                       os.path.join(DATA, "simple.opt"), "--features", path)
        expect(done.status == 0, done.err)
        for rule in json.loads(done.out)["rules"]:
            expect((rule["product"], rule["feature"]) == ("loom", "shuttle"),
                   rule)
        with open(path, "w") as file:
            file.write("weaver\n")
        done = command("policy", "import-flexlm",
                       os.path.join(DATA, "simple.opt"), "--features", path)
        expect(done.status == 2 and path in done.err, done.err)


# --- what a site makes of it ---------------------------------------------------------

def ask(program, what, user, host):
    product, _, feature = what.partition("/")
    body = {"product": product, "version": "8.1.0", "user": user}
    if feature:
        body["feature"] = feature
    return program.ask("POST", "/api/v1/licenses/checkout", body,
                       X_Hostname=host)


def take(program, words, held):
    _, seat, user, host, address, what, verdict = words
    expect(address == "-", words)
    answer = ask(program, what, user, host)
    got = "granted" if answer.status == 201 else answer.code
    expect(got == verdict, "%s: %r" % (" ".join(words), answer))
    if answer.status == 201:
        held[seat] = answer.body["id"]


def follow(site, world, name):
    """Import, apply, and do what its steps say."""
    out = os.path.join(world.dir, name + ".json")
    done = an_import(name, "--out", out)
    expect(done.status == 0, done.err)
    seats = [words for words in steps(name) if words[0] == "pool"]
    for _, product, commit in seats:
        site.install(terms(product=product, commit=int(commit), overage=0))
    done = site.cli("policy", "apply", out)
    expect(done.status == 0, done.err)
    key, _ = make_key(site)
    held = {}
    with Program(site, key) as program:
        for words in steps(name):
            if words[0] == "take":
                take(program, words, held)
            elif words[0] == "give":
                program.give_back(held.pop(words[1]))
            else:
                expect(words[0] == "pool", words)


def on_a_site(*names):
    with World() as world:
        site = Site(world)
        site.start()
        for name in names:
            follow(site, world, name)
        site.verify()


def a_site_reserves_and_excludes_as_the_file_says():
    on_a_site("simple", "case")


def a_site_bounds_as_the_file_says():
    on_a_site("limits")


def a_site_lets_in_as_the_file_says():
    on_a_site("include", "untidy")


def a_check_names_whom_it_touches_and_what_has_no_license():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(product="weaver", commit=6, overage=0))
        key, _ = make_key(site)
        path = os.path.join(world.dir, "x.opt")
        with open(path, "w") as file:
            file.write("EXCLUDE weaver USER mallory\nEXCLUDE loom USER x\n")
        with Program(site, key) as program:
            expect(ask(program, "weaver", "mallory", "w").status == 201,
                   "before")
            done = site.cli("policy", "import-flexlm", path, "--check")
            expect(done.status == 0 and "1 of 1" in done.out and
                   "mallory" in done.out, done)
            expect("no license here has loom" in done.err and
                   "no license here has weaver" not in done.err, done.err)
            whole = site.cli("--json", "policy", "import-flexlm", path,
                             "--check")
            expect(json.loads(whole.out)["impact"]["touched"] == 1, whole.out)
            # It was a trial.
            expect(ask(program, "weaver", "mallory", "w").status == 201,
                   "after")
        site.stop()
        done = site.cli("policy", "import-flexlm", path, "--check")
        expect(done.status == 4, done)


if __name__ == "__main__":
    sys.exit(main([
        each_file_has_the_report_that_stands_beside_it,
        json_holds_the_same_policy_and_a_remark_for_each_line,
        strict_writes_only_what_is_exact,
        what_is_wrong_with_the_command_is_said,
        a_file_says_what_features_are_called_here,
        a_site_reserves_and_excludes_as_the_file_says,
        a_site_bounds_as_the_file_says,
        a_site_lets_in_as_the_file_says,
        a_check_names_whom_it_touches_and_what_has_no_license,
    ], together=True))
