#!/usr/bin/python3
"""Manual pages and bash completions against what the programs themselves say,
so that neither tells of what is not, nor is silent on what is."""

import glob
import os
import re
import shutil
import subprocess
import sys

from harness import (BUILD, PRODUCT, ROOT, Agent, Site, World, expect,
                     main, run, terms)

MAN = os.path.join(ROOT, "packaging", "man")
COMPLETIONS = os.path.join(ROOT, "packaging", "completions")
PAGES = {"leasehold": "leasehold.1", "leaseholdd": "leaseholdd.8",
         "leasehold-agent": "leasehold-agent.8",
         "leasehold-vendor": "leasehold-vendor.1"}


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as f:
        return f.read()


def facts():
    """What the programs say of themselves."""
    done = run("/usr/bin/python3", os.path.join(COMPLETIONS, "update"),
               BUILD, "--json")
    expect(done.status == 0, done.err)
    return done.json()


# --- manual pages -----------------------------------------------------------

def sections(page):
    """{heading: its lines} of a page, .Ss below its .Sh as `Sh/Ss`."""
    found, at, below = {}, "", ""
    for line in read("packaging", "man", page).splitlines():
        match = re.match(r"\.(Sh|Ss) (.*)", line)
        if match and match.group(1) == "Sh":
            at = below = match.group(2)
        elif match:
            below = at + "/" + match.group(2)
        else:
            found.setdefault(below, []).append(line)
    return found


def options_in(lines):
    """Options that are explained: `.It Fl -json` and `.It Fl n Ar N`."""
    found = set()
    for line in lines:
        match = re.match(r"\.It Fl (-?[a-z][a-z-]*)", line)
        if match:
            found.add("-" + match.group(1))
    return found


def command_of(heading):
    """`COMMANDS/leases release Ar LEASE` is `leases release`."""
    words = heading.split("/", 1)[1].split()
    own = []
    for word in words:
        if word in ("Ar", "Fl", "Op"):
            break
        own.append(word)
    return " ".join(own)


def every_command_and_option_is_in_the_manual():
    for program, said in facts().items():
        found = sections(PAGES[program])
        commands = {command_of(heading): lines
                    for heading, lines in found.items()
                    if heading.startswith("COMMANDS/")}
        wanted = {words: command for words, command
                  in said["commands"].items() if words}
        expect(set(commands) == set(wanted),
               "%s: only in the page: %s; only in --help: %s" % (
                   PAGES[program], sorted(set(commands) - set(wanted)),
                   sorted(set(wanted) - set(commands))))
        for words, command in wanted.items():
            options = {name for name, _, _ in command["options"]}
            told = options_in(commands[words])
            expect(told == options, "%s, %s: only in the page: %s; only in "
                   "--help: %s" % (PAGES[program], words,
                                   sorted(told - options),
                                   sorted(options - told)))
        everywhere = {name for name, _, _ in said["everywhere"]}
        everywhere |= {name for name, _, _
                       in said["commands"][""]["options"]}
        told = options_in(found["DESCRIPTION"])
        expect(told == everywhere, "%s: only in the page: %s; only in "
               "--help: %s" % (PAGES[program], sorted(told - everywhere),
                               sorted(everywhere - told)))


def every_variable_is_in_the_manual():
    source = "".join(read(path) for path in
                     glob.glob(os.path.join(ROOT, "agent", "cli", "*.c")))
    used = set(re.findall(r'"((?:LICENSE|LEASEHOLD)_[A-Z_]+|NO_COLOR)"',
                          source))
    told = set(re.findall(r"^\.It Ev (\S+)", read("packaging", "man",
                                                  "leasehold.1"), re.M))
    expect(used and used <= told | {"LEASEHOLD_VERSION"},
           sorted(used - told))
    for name in told:
        expect(name in source, "%s is read by nobody" % name)


def every_verdict_is_in_the_manual():
    causes = re.search(r"local_cause_names\[\] = \{(.*?)\}",
                       read("shared", "rpc", "local.c"), re.S).group(1)
    codes = set(re.findall(r'"([a-z_]+)"', causes))
    codes |= set(re.findall(r'sizeof\(verdict->code\),?\s*"([a-z_]+)"',
                            read("agent", "cli", "verdict.c")))
    told = set()
    for line in sections("leasehold.1")["COMMANDS/status"]:
        if line.startswith(".It Li "):
            told |= set(line[7:].replace(" ,", "").split())
    expect(len(codes) > 25 and told == codes, sorted(told ^ codes))


def every_setting_is_in_the_manual():
    for name in ("leaseholdd.ini", "agent.ini"):
        wanted, section = set(), ""
        for line in read("packaging", name + ".example").splitlines():
            match = re.match(r"\[(\w+)\]|#?([a-z_]+)=", line)
            if match and match.group(1):
                section = match.group(1)
            elif match:
                wanted.add((section, match.group(2)))
        told, section = set(), ""
        for line in read("packaging", "man", name + ".5").splitlines():
            match = re.match(r"\.Ss \[(\w+)\]|\.It Li (.*)", line)
            if match and match.group(1):
                section = match.group(1)
            elif match:
                told |= {(section, key) for key
                         in match.group(2).replace(" ,", "").split()}
        expect(wanted == told, "%s: %s" % (name, sorted(wanted ^ told)))


def every_call_and_error_of_the_library_is_in_the_manual():
    header = read("agent", "lib", "leasehold.h")
    page = read("packaging", "man", "libleasehold.3")
    calls = set(re.findall(r"^LH_API [^(;]*?\b(lh_\w+)\(", header, re.M))
    errors = set(re.findall(r"\b(LH_E_\w+) =", header))
    expect(len(calls) > 12 and len(errors) > 15, (calls, errors))
    told = set(re.findall(r"^\.(?:Fn|Fo) (lh_\w+)", page, re.M))
    expect(told == calls, sorted(told ^ calls))
    told = set(re.findall(r"^\.It Dv (LH_E_\w+)", page, re.M))
    expect(told == errors, sorted(told ^ errors))


def the_pages_are_well_formed():
    if shutil.which("mandoc") is None:
        return "needs mandoc"
    for page in sorted(os.listdir(MAN)):
        done = run("mandoc", "-T", "lint", "-W", "warning",
                   os.path.join(MAN, page))
        expect(done.out == "", done.out)
        shown = run("mandoc", "-T", "utf8", os.path.join(MAN, page))
        expect(shown.status == 0 and len(shown.out) > 1000, page)
        for line in read("packaging", "man", page).splitlines():
            for other, number in re.findall(r"^\.Xr (\S+) (\d)", line):
                expect(os.path.exists(os.path.join(
                    MAN, "%s.%s" % (other, number))) or other == "fork",
                       "%s refers to %s(%s)" % (page, other, number))


# --- completions ------------------------------------------------------------

def the_completions_are_of_these_programs():
    done = run("/usr/bin/python3", os.path.join(COMPLETIONS, "update"),
               BUILD, "--check")
    expect(done.status == 0, done.out + done.err)


COMPLETE = r"""
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
function=$(complete -p "${COMP_WORDS[0]}" | sed 's/.*-F \([^ ]*\).*/\1/')
"$function" 2>&1
printf '%s\n' "${COMPREPLY[@]}"
"""


def complete(*words, env=None, cwd=None):
    """What Tab offers behind these words, the last of them begun."""
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-u", "-c", COMPLETE, "complete",
         os.path.join(COMPLETIONS, words[0]), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
        env=dict(os.environ, **(env or {})), stdin=subprocess.DEVNULL)
    expect(done.returncode == 0 and done.stderr == "", done.stderr)
    return sorted(set(done.stdout.split()))


def every_command_and_option_is_completed():
    for program, said in facts().items():
        everywhere = [name for name, _, _ in said["everywhere"]]
        for words, command in said["commands"].items():
            parts = words.split()
            if parts:
                expect(parts[-1] in complete(program, *parts[:-1],
                                             parts[-1][:2]), words)
            offered = complete(program, *parts, "-")
            names = [name.rstrip("=") for name in offered]
            wanted = [name for name, _, _ in command["options"]] + everywhere
            expect(sorted(set(wanted)) == sorted(set(names)),
                   "%s %s: %s" % (program, words, offered))


def what_follows_is_completed_by_its_kind():
    with World() as world:
        for name in ("davinci.lic", "davinci.txt"):
            open(world.path(name), "w").close()
        os.mkdir(world.path("davinci"))
        at = {"cwd": world.dir}
        files = ["davinci", "davinci.lic", "davinci.txt"]
        L = "leasehold"
        for words, like in (
                ((L, "st"), ["status"]),
                ((L, "leases", "r"), ["release"]),
                ((L, "--json", "lic"), ["license"]),
                ((L, "--server", "https", "lic"), ["license"]),
                ((L, "leases", "--sort", "p"), ["product"]),
                ((L, "leases", "--sort", "=", "p"), ["product"]),
                ((L, "leases", "--sort", "="),
                 ["host", "left", "product", "since", "user"]),
                ((L, "leases", "--rev"), ["--reverse"]),
                ((L, "license", "install", "dav"), files),
                ((L, "site", "request", "--state", "dav"), ["davinci"]),
                ((L, "site", "request", "--out", "dav"), files),
                ((L, "help", "que"), ["queue"]),
                ((L, "help", "license", "sh"), ["show"]),
                ((L, "run", "davinci", "--", "tru"), ["true", "truncate"]),
                ((L, "run", "davinci", "--", "cat", "davinci."),
                 ["davinci.lic", "davinci.txt"]),
                (("leaseholdd", "cert"), ["certificate"]),
                (("leaseholdd", "--state", "dav"), ["davinci"]),
                (("leasehold-agent", "--check"), ["--check-config"]),
                (("leasehold-vendor", "issue", "dav"), ["davinci"]),
                (("leasehold-vendor", "show", "dav"), files)):
            found = complete(*words, **at)
            if words[2:4] == ("davinci", "--") and words[-1] == "tru":
                found = [name for name in found if name in like]
            expect(found == like, "%s: %s" % (words, found))


def leases_of_this_machine_are_completed():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        agent = Agent(world)
        agent.start()
        agent.enroll(site)
        env = dict(agent.env, PATH=BUILD + ":" + os.environ["PATH"],
                   LEASEHOLD_CONFIG="/dev/null")
        expect(complete("leasehold", "return", "", env=env) == [], "none yet")
        for _ in range(2):
            sleeper = world.start("sleep", ["sleep", "300"])
            done = agent.cli("checkout", PRODUCT, "--version", "8.1.0",
                             "--pid", sleeper.pid)
            expect(done.status == 0, done.err)
        found = complete("leasehold", "return", "l", env=env)
        expect(found == ["lease-1", "lease-2"], found)
        # Without an agent there is silence, not an error.
        env["LEASEHOLD_SOCKET"] = world.path("none")
        expect(complete("leasehold", "return", "l", env=env) == [], "noise")


# --- installed --------------------------------------------------------------

def make_install_puts_them_where_they_are_found():
    with World() as world:
        done = subprocess.run(
            ["make", "-s", "install-manual", "DESTDIR=" + world.dir,
             "PREFIX=/usr"], cwd=ROOT, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        expect(done.returncode == 0, done.stdout)
        for page in os.listdir(MAN):
            path = world.path("usr/share/man/man" + page[-1], page)
            expect(os.path.exists(path), path)
        for program in PAGES:
            path = world.path("usr/share/bash-completion/completions",
                              program)
            expect(os.path.exists(path), path)


def make_install_puts_the_services_where_they_are_found():
    with World() as world:
        install = ["make", "-s", "install-service", "DESTDIR=" + world.dir,
                   "PREFIX=/opt/lh"]
        done = subprocess.run(install, cwd=ROOT, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        expect(done.returncode == 0, done.stdout)
        at = os.path.join(world.dir, "opt", "lh")
        made = set()
        for name in glob.glob(os.path.join(at, "lib/sysusers.d/*.conf")):
            made |= set(re.findall(r"^u (\S+)", read(name), re.M))
        for name, start, ini in (
                ("leaseholdd", "/opt/lh/sbin/leaseholdd --part ledger%s",
                 "leaseholdd.ini"),
                ("leasehold-front", "/opt/lh/sbin/leaseholdd --part front%s",
                 "leaseholdd.ini"),
                ("leasehold-courier",
                 "/opt/lh/sbin/leaseholdd --part courier%s", "leaseholdd.ini"),
                ("leasehold-agent",
                 "/opt/lh/sbin/leasehold-agent%s --part keeper", "agent.ini"),
                ("leasehold-uplink",
                 "/opt/lh/sbin/leasehold-agent%s --part uplink", "agent.ini")):
            unit = read(at, "lib/systemd/system", name + ".service")
            line = start % (" --config /opt/lh/etc/leasehold/" + ini)
            expect("\nExecStart=%s\n" % line in unit and
                   not re.search("@[A-Z]+@", unit), unit)
            # Whoever it is, it is not root.
            expect(re.search(r"^User=leasehold", unit, re.M) and
                   "ExecStart=!" not in unit, unit)
            path = os.path.join(at, "etc/leasehold", ini)
            users = set(re.findall(r"^(?:\w+_)?user=(leasehold.*)$",
                                   read(path), re.M))
            expect(len(users) > 1 and users <= made, (users, made))
        # What an admin has changed stays.
        with open(path, "w", encoding="utf-8") as f:
            f.write("# mine\n")
        subprocess.run(install, cwd=ROOT, check=True)
        expect(read(path) == "# mine\n", "settings were overwritten")
        done = run("sh", os.path.join(at, "sbin/leasehold-setup"), "--help")
        expect(done.status == 0 and "--key-file" in done.out, done.err)


def the_setup_page_and_its_help_agree():
    wanted = set(re.findall(r"^\t  (--[a-z-]+)",
                            read("packaging", "leasehold-setup"), re.M))
    told = options_in(sections("leasehold-setup.8")["DESCRIPTION"])
    expect(len(wanted) > 4 and told == wanted, sorted(told ^ wanted))


if __name__ == "__main__":
    sys.exit(main([
        every_command_and_option_is_in_the_manual,
        every_variable_is_in_the_manual,
        every_verdict_is_in_the_manual,
        every_setting_is_in_the_manual,
        every_call_and_error_of_the_library_is_in_the_manual,
        the_pages_are_well_formed,
        the_completions_are_of_these_programs,
        every_command_and_option_is_completed,
        what_follows_is_completed_by_its_kind,
        leases_of_this_machine_are_completed,
        make_install_puts_them_where_they_are_found,
        make_install_puts_the_services_where_they_are_found,
        the_setup_page_and_its_help_agree,
    ]))
