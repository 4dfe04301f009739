#!/usr/bin/python3
"""The C++ header and the examples: built as a customer would build them, from
an installed prefix, and run against a real site and agent. The C++ programs
are in seat_cases.cpp; AddressSanitizer watches them."""

import functools
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(__file__))
from harness import (BUILD, ROOT, SLOW, Agent, Failure, Site,  # noqa: E402
                     World, binary, expect, main, terms, wait_for)
from test_library import Prefix  # noqa: E402

LIB = os.path.join(ROOT, "agent", "lib")
EXAMPLES = os.path.join(LIB, "examples")
CASES = os.path.join(ROOT, "tests", "system", "seat_cases.cpp")
# A library under sanitizers wants programs of the same compiler and runtime.
MODE = os.path.basename(BUILD)
SANITIZED = MODE in ("asan", "tsan")
ADDRESS = ["-g", "-O1", "-fsanitize=address,undefined",
           "-fno-sanitize-recover=undefined"]
SANITIZE = (["-fsanitize=thread"] if MODE == "tsan"
            else ADDRESS if SANITIZED else [])
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow",
          "-Wsign-conversion", "-Werror"]
CPP = STRICT + ["-Wold-style-cast", "-Woverloaded-virtual",
                "-Wnon-virtual-dtor"]


def output(*args, status=0, env=None):
    done = subprocess.run(args, stdout=subprocess.PIPE, timeout=180 * SLOW,
                          stderr=subprocess.STDOUT, text=True, env=env,
                          stdin=subprocess.DEVNULL)
    expect(done.returncode == status, "%s: status %d: %s" % (
        " ".join(args[:3]), done.returncode, done.stdout[-900:]))
    return done.stdout


class Setting:
    """An installed prefix; a site and an agent: two committed seats of the
    product and one of overage, one seat of `plain`; one of `features`, and
    four of its feature."""

    def __init__(self):
        self.prefix = Prefix().__enter__()
        self.flags = self.prefix.flags
        self.world = World()
        try:
            self.start()
        except BaseException:
            self.end(*sys.exc_info())
            raise

    def end(self, *failure):
        self.prefix.__exit__()
        self.world.__exit__(*(failure or (None, None, None)))

    def start(self):
        self.site = Site(self.world)
        self.site.start()
        self.site.install(terms(commit=2, overage=1))
        self.site.install(terms(commit=1, overage=0, product="plain"))
        document = terms(commit=1, overage=0, product="features")
        document["features"] = [
            {"id": "gpu", "total_licenses": 4, "commit_qty": 4,
             "max_overage": 0, "overage_per_use": 1.00, "currency": "EUR"}]
        self.site.install(document)
        self.agent = Agent(self.world)
        self.agent.start()
        self.agent.enroll(self.site)

    @property
    def env(self):
        env = dict(os.environ, LD_LIBRARY_PATH=self.prefix.lib,
                   LEASEHOLD_SOCKET=self.agent.socket,
                   CASE_KEY=self.world.vendor_key, HOME=self.world.dir,
                   ASAN_OPTIONS="detect_leaks=1",
                   UBSAN_OPTIONS="print_stacktrace=1")
        env.pop("XDG_STATE_HOME", None)
        return env

    def build(self, name, compiler, source, *flags):
        program = self.world.path(name)
        output(compiler, *flags, "-o", program, source,
               *self.flags("--cflags", "--libs"))
        return program

    def wait_free(self):
        wait_for(lambda: not self.site.leases(), "seats come back", 5)


@functools.lru_cache(maxsize=None)
def setting():
    return Setting()


@functools.lru_cache(maxsize=None)
def cases():
    """seat_cases under AddressSanitizer, with leaks told at its end."""
    return setting().build(
        "seat_cases", "g++", CASES, "-std=c++17", *CPP,
        *(SANITIZE or ADDRESS))


class Case:
    """A program of seat_cases.cpp, and the talk with it."""

    def __init__(self, name, program=None):
        self.here = setting()
        self.name = name
        self.err = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [program or cases(), name], env=self.here.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def hear(self, *words):
        line = self.process.stdout.readline().split()
        expect(line[:1 + len(words)] == ["say", *words], "%s said %s: %s" % (
            self.name, line, self.errors()))
        return line[1 + len(words):]

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def errors(self):
        self.err.flush()
        self.err.seek(0)
        return self.err.read()[-1500:]

    def end(self):
        try:
            status = self.process.wait(60 * SLOW)
        except subprocess.TimeoutExpired:
            raise Failure("%s does not end" % self.name) from None
        expect(status == 0 and self.errors() == "", "%s: status %s: %s" % (
            self.name, status, self.errors()))
        self.here.wait_free()


def run(*names):
    for name in names:
        with Case(name) as case:
            case.end()


# --- the header -------------------------------------------------------------


def the_header_stands_alone_under_both_compilers():
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "alone.cpp")
        other = os.path.join(folder, "other.cpp")
        with open(source, "w") as f:
            f.write("#include <leasehold.hpp>\n#include <leasehold.hpp>\n"
                    "int other();\nint main() { return other(); }\n")
        with open(other, "w") as f:  # nothing is defined twice
            f.write("#include <leasehold.hpp>\nint other();\nint other()\n"
                    "{ return leasehold::library_version().empty(); }\n")
        for compiler in ("g++", "clang++"):
            for std in ("c++17", "c++20"):
                output(compiler, "-std=" + std, *CPP, "-fsyntax-only",
                       "-I", LIB, source)
        program = os.path.join(folder, "program")
        output("g++", "-std=c++17", *SANITIZE, "-o", program, source, other,
               *setting().flags("--cflags", "--libs"))
        output(program, env=setting().env)


def the_header_says_what_it_cannot_do_without():
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "old.cpp")
        with open(source, "w") as f:
            f.write("#include <leasehold.hpp>\n")
        for flag, words in (("-std=c++14", "wants C++17"),
                            ("-fno-exceptions", "leasehold.hpp throws")):
            said = output("g++", flag, "-fsyntax-only", "-I", LIB, source,
                          status=1)
            expect(words in said, said)


# --- seats ------------------------------------------------------------------


def a_seat_goes_back_at_the_end_of_its_scope():
    with Case("scope") as case:
        lease, = case.hear("held")
        leases = setting().site.leases()
        expect([str(x["lease"]) for x in leases] == [lease], leases)
        case.go_on()
        case.hear("returned")
        expect(setting().site.leases() == [], "it is still held")
        case.go_on()
        case.end()


def an_exception_on_its_way_gives_the_seat_back():
    with Case("unwinding") as case:
        case.hear("free")
        expect(setting().site.leases() == [], "it is still held")
        case.go_on()
        case.end()


def a_seat_that_was_moved_from_is_empty():
    with Case("moved") as case:
        lease, = case.hear("held")
        leases = setting().site.leases()
        expect([str(x["lease"]) for x in leases] == [lease], leases)
        case.go_on()
        case.hear("free")
        expect(setting().site.leases() == [], "it is still held")
        case.go_on()
        case.end()


def seats_live_in_containers():
    run("container")


def a_seat_outlives_the_client_it_came_from():
    with Case("outlives") as case:
        case.hear("held")
        expect(len(setting().site.leases()) == 1, "it went with the client")
        case.go_on()
        case.end()


def every_refusal_is_an_exception_of_its_own():
    run("refusals")


def features_and_several_seats_are_one_lease():
    run("several")


def arguments_are_taken_whole_or_refused():
    run("arguments")


def twenty_threads_share_a_client():
    run("threads")


def a_child_of_fork_has_nothing_of_its_parent():
    run("forks")


def manual_beats_renew():
    run("manual")


def a_wait_gets_its_turn_or_is_left():
    run("waits")


def release(lease):
    done = setting().site.cli("leases", "release", "lease-%s" % lease)
    expect(done.status == 0, done.err)


def lost_hears_that_an_admin_took_a_seat():
    with Case("lost") as case:
        for _ in range(2):
            lease, = case.hear("release")
            case.go_on()
            release(lease)
        case.end()


def lost_may_let_go_of_everything():
    with Case("lost_and_gone") as case:
        case.hear("any")
        case.go_on()
        release(setting().site.leases()[0]["lease"])
        case.hear("free")
        setting().wait_free()
        case.go_on()
        case.end()


def the_other_compiler_makes_the_same():
    if SANITIZED:
        return "the library's sanitizer is gcc's"
    program = setting().build("seat_cases_clang", "clang++", CASES,
                              "-std=c++20", "-O2", *CPP)
    for name in ("container", "arguments", "forks"):
        with Case(name, program) as case:
            case.end()


# --- the examples -----------------------------------------------------------


def check_example(*command, env=None):
    """An example holds a seat, and says how it was refused one."""
    here = setting()
    env = env or here.env
    said = output(*command, here.world.vendor_key, "plain", "8.1.0", env=env)
    expect("holding lease " in said and "(commit)" in said, said)
    expect("step 2, " in said, said)
    here.wait_free()
    holder = here.world.start("holder", [
        binary("tests/system/app_tool"), "--vendor-key",
        here.world.vendor_key, "--socket", here.agent.socket, "--product",
        "plain", "--version", "8.1.0", "--state", "", "--hold",
        str(2 * SLOW)])
    wait_for(here.site.leases, "somebody holds the seat")
    said = output(*command, here.world.vendor_key, "plain", "8.1.0", status=3,
                  env=env)
    expect("leasehold leases" in said, said)  # what to type
    said = output(*command, here.world.vendor_key, "plain", "8.1.0", "60",
                  env=env)
    expect("number 1 of 1 in the queue" in said, said)
    expect("holding lease " in said, said)
    holder.wait()
    said = output(*command, here.world.vendor_key, "other", "1", status=1,
                  env=env)
    expect(said.strip(), "it says nothing")
    here.wait_free()


def the_c_example_works():
    # On another system than ours: no extensions but POSIX.
    program = setting().build(
        "hold_c", "gcc", os.path.join(EXAMPLES, "hold.c"), "-std=c99",
        "-D_POSIX_C_SOURCE=200809L", *STRICT, *(SANITIZE or ADDRESS))
    check_example(program)


def the_cpp_example_works():
    program = setting().build(
        "hold_cpp", "g++", os.path.join(EXAMPLES, "hold.cpp"), "-std=c++17",
        *CPP, *(SANITIZE or ADDRESS))
    check_example(program)


def the_cpp_example_links_statically():
    program = setting().world.path("hold_static")
    output("g++", "-std=c++17", *SANITIZE, "-I", LIB, "-o", program,
           os.path.join(EXAMPLES, "hold.cpp"), binary("libleasehold.a"),
           *[flag for flag in setting().flags("--static", "--libs")
             if flag not in ("-lleasehold", "-L" + setting().prefix.lib)])
    expect("libleasehold" not in output("readelf", "-d", program),
           "not static")
    output(program, setting().world.vendor_key, "plain", "8.1.0",
           env=setting().env)
    setting().wait_free()


def the_python_example_works():
    from test_python import PACKAGE, PYTHON, environment
    env = environment(LEASEHOLD_SOCKET=setting().agent.socket,
                      HOME=setting().world.dir, PYTHONPATH=PACKAGE)
    check_example(PYTHON, "-W", "error", os.path.join(EXAMPLES, "hold.py"),
                  env=env)


if __name__ == "__main__":
    status = 1
    try:
        status = main([
            the_header_stands_alone_under_both_compilers,
            the_header_says_what_it_cannot_do_without,
            a_seat_goes_back_at_the_end_of_its_scope,
            an_exception_on_its_way_gives_the_seat_back,
            a_seat_that_was_moved_from_is_empty,
            seats_live_in_containers,
            a_seat_outlives_the_client_it_came_from,
            every_refusal_is_an_exception_of_its_own,
            features_and_several_seats_are_one_lease,
            arguments_are_taken_whole_or_refused,
            twenty_threads_share_a_client,
            a_child_of_fork_has_nothing_of_its_parent,
            manual_beats_renew,
            a_wait_gets_its_turn_or_is_left,
            lost_hears_that_an_admin_took_a_seat,
            lost_may_let_go_of_everything,
            the_other_compiler_makes_the_same,
            the_c_example_works,
            the_cpp_example_works,
            the_cpp_example_links_statically,
            the_python_example_works,
        ])
    finally:
        if setting.cache_info().currsize:
            setting().end(*((Failure, None, None) if status else ()))
    sys.exit(status)
