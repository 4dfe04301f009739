#!/usr/bin/python3
"""The Python package against a real site and agent; and on its own, where
there is no library. The programs themselves are in python_cases.py."""

import ctypes
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(__file__))
from harness import (BUILD, ROOT, SLOW, Agent, Failure, Site,  # noqa: E402
                     World, binary, expect, for_plain_programs, main,
                     terms, wait_for)

PACKAGE = os.path.join(ROOT, "agent", "lib", "python")
HEADER = os.path.join(ROOT, "agent", "lib", "leasehold.h")
CASES = os.path.join(ROOT, "tests", "system", "python_cases.py")
PYTHON = "/usr/bin/python3"
sys.path.insert(0, PACKAGE)


def environment(**more):
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(("LICENSE_", "LEASEHOLD_"))}
    env.update(PYTHONPATH=PACKAGE, PYTHONDONTWRITEBYTECODE="1",
               PYTHONUNBUFFERED="1", PYTHONFAULTHANDLER="1",
               LEASEHOLD_LIBRARY=binary("libleasehold.so.1"))
    env.update(for_plain_programs())
    env.update(more)
    return env


class Case:
    """A program of python_cases.py, and the talk with it."""

    def __init__(self, name, options=(), **env):
        self.name = name
        self.err = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [PYTHON, *options, CASES, name], env=environment(**env),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err,
            text=True, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def errors(self):
        self.err.flush()
        self.err.seek(0)
        return self.err.read()

    def hear(self, *words):
        """What it says next, after the words expected."""
        line = self.process.stdout.readline().split()
        expect(line[:1 + len(words)] == ["say", *words], "%s said %s: %s" % (
            self.name, line, self.errors()[-600:]))
        return line[1 + len(words):]

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self, status=0):
        try:
            self.process.wait(90 * SLOW)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGABRT)  # faulthandler tells
            self.process.wait()
        expect(self.process.returncode == status, "%s: status %s: %s" % (
            self.name, self.process.returncode, self.errors()[-900:]))
        return self.errors()


class Setting:
    """One site and agent for all cases: two committed seats of the product
    and one of overage; one seat of `plain`; one of `features`, and four of
    its feature."""

    def __init__(self):
        self.world = World()
        try:
            self.start()
        except BaseException:
            self.world.__exit__(*sys.exc_info())
            raise

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

    def case(self, name, options=()):
        return Case(name, options, LEASEHOLD_SOCKET=self.agent.socket,
                    CASE_KEY=self.world.vendor_key,
                    CASE_STATE=self.world.path("state"))

    def run(self, name, quiet=True, options=()):
        """A case that needs no talk; all its seats are back soon."""
        with self.case(name, options) as case:
            errors = case.end()
        expect(not quiet or errors == "", "%s: %s" % (name, errors[-900:]))
        self.wait_free()

    def wait_free(self, timeout=5):
        wait_for(lambda: not self.site.leases(), "seats come back", timeout)


@functools.lru_cache(maxsize=None)
def setting():
    return Setting()


# --- a seat -----------------------------------------------------------------


def with_holds_a_seat_to_the_end_of_its_block():
    here = setting()
    with here.case("context") as case:
        lease, = case.hear("held")
        leases = here.site.leases()
        expect([x["lease"] for x in leases] == [int(lease)], leases)
        case.go_on()
        case.hear("returned")
        expect(here.site.leases() == [], "not returned at the end of with")
        case.go_on()
        expect(case.end() == "", case.errors())


def every_refusal_is_an_exception_of_its_own():
    setting().run("refusals")
    setting().run("no_overage")


def features_and_several_seats_are_one_lease():
    setting().run("several")


def a_wrong_vendor_key_believes_nothing():
    setting().run("wrong_key")


def an_absent_agent_is_named():
    setting().run("no_agent")


def leases_and_clients_are_not_copied():
    setting().run("not_copied")


# --- threads, forks ---------------------------------------------------------


def twenty_threads_share_a_client():
    setting().run("pool")


def a_lease_is_returned_once_whoever_is_first():
    setting().run("races", options=("-X", "dev", "-W", "ignore"))


def a_child_of_fork_has_nothing_of_its_parent():
    setting().run("fork")


def forks_may_come_while_other_threads_take_seats():
    if os.path.basename(BUILD) in ("asan", "tsan"):
        return "the sanitizer's own malloc does not survive such forks"
    setting().run("fork_in_a_storm")


def a_child_that_exits_takes_nothing_from_its_parent():
    here = setting()
    with here.case("fork_and_exit") as case:
        case.hear("held")
        expect(len(here.site.leases()) == 1, "the child returned the seat")
        case.go_on()
        case.end()
    here.wait_free()


def process_pools_work_forked_and_spawned():
    setting().run("multi")


# --- what is not returned ---------------------------------------------------


def a_dropped_lease_goes_back_with_a_warning():
    here = setting()
    with here.case("collected") as case:
        for _ in range(2):
            case.hear("dropped")
            here.wait_free(2)
            case.go_on()
        case.end()


def a_dropped_client_leaves_nothing():
    setting().run("collected_client")


def the_end_of_the_program_gives_seats_back():
    here = setting()
    here.run("left_at_exit", options=("-X", "dev"))
    with here.case("killed_by_exception") as case:
        expect("RuntimeError: as intended" in case.end(1), "another end")
    here.wait_free(1)


# --- waits and losses -------------------------------------------------------


def a_wait_gets_the_seat_that_comes_free():
    setting().run("wait_and_get")
    setting().run("wait_in_vain")


def a_wait_can_be_left():
    setting().run("wait_cancelled")


def the_end_of_the_program_ends_waits():
    here = setting()
    with here.case("left_waiting", options=("-X", "dev")) as case:
        started = time.monotonic()
        case.end()
        took = time.monotonic() - started
        expect(took < 20 * SLOW, "it took %.1f s" % took)
    here.wait_free()


def ctrl_c_leaves_the_queue():
    here = setting()
    with here.case("interrupted") as case:
        case.hear("place")
        case.process.send_signal(signal.SIGINT)
        words = case.process.stdout.readline().split()
        while words[:2] == ["say", "place"]:
            words = case.process.stdout.readline().split()
        expect(words == ["say", "interrupted"], "%s %s" % (
            words, case.errors()[-600:]))
        case.go_on()
        case.end()
    here.wait_free()


def a_signal_handler_may_give_everything_back():
    setting().run("handled")


def on_lost_hears_that_an_admin_took_a_lease():
    here = setting()
    with here.case("lost") as case:
        for _ in range(3):
            lease, = case.hear("release")
            done = here.site.cli("leases", "release", "lease-" + lease)
            expect(done.status == 0, done.err)
        case.end()
    with here.case("lost_unheard") as case:
        for _ in range(2):
            lease, = case.hear("release")
            here.site.cli("leases", "release", "lease-" + lease)
        expect(case.end() == "", case.errors())
    here.wait_free()


def an_unreachable_site_is_named():
    """The last: it stops the site."""
    here = setting()
    here.site.stop()
    wait_for(lambda: not here.agent.status().get("connected"),
             "the agent notices")
    with here.case("no_site") as case:
        case.end()


# --- without a site ---------------------------------------------------------


def python(program, **env):
    done = subprocess.run(
        [PYTHON, "-c", program], env=environment(**env), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=60 * SLOW)
    expect(done.returncode == 0, done.stderr[-900:])
    return done.stdout


TRY = """
import leasehold
try:
    leasehold.LicenseClient("k4.public.x")
except leasehold.LibraryError as error:
    print(error)
"""


def a_missing_library_is_named():
    said = python(TRY, LEASEHOLD_LIBRARY="/nonexistent/libleasehold.so.1")
    expect("/nonexistent/libleasehold.so.1" in said, said)
    expect("LEASEHOLD_LIBRARY" in said, said)
    # Importing needs none: a program may say it in its own words.
    python("import leasehold; leasehold.LicenseClient",
           LEASEHOLD_LIBRARY="/nonexistent")


def compile_library(folder, version, functions=""):
    source = os.path.join(folder, "other.c")
    with open(source, "w") as f:
        f.write('const char *lh_version(void);\nconst char *lh_version(void) '
                '{ return "%s"; }\n%s' % (version, functions))
    made = os.path.join(folder, "other-%s.so" % version)
    subprocess.check_call(["gcc", "-shared", "-fPIC", "-o", made, source])
    return made


def another_library_is_refused_by_its_version():
    with tempfile.TemporaryDirectory() as folder:
        for version in ("0.0.9", "1.0.0", "rubbish"):
            said = python(TRY, LEASEHOLD_LIBRARY=compile_library(
                folder, version))
            expect("is version " + version in said, said)
        said = python(TRY, LEASEHOLD_LIBRARY=compile_library(folder, "0.1.0"))
        expect("it has no lh_client_new()" in said, said)
    said = python(TRY, LEASEHOLD_LIBRARY="libc.so.6")
    expect("it has no lh_version()" in said, said)


def header_enum(name):
    with open(HEADER) as f:
        text = f.read()
    body = re.search(r"enum %s \{(.*?)\}" % name, text, re.S).group(1)
    return {key: int(value) for key, value in re.findall(
        r"\b(LH_\w+) = (-?\d+)", body)}


def the_codes_are_those_of_the_header():
    from leasehold import _errors
    codes = header_enum("lh_error")
    expect(codes.pop("LH_OK") == 0 and len(codes) >= 20, codes)
    expect({"LH_E_" + code.name: code.value for code in _errors.ErrorCode}
           == codes, "leasehold.ErrorCode is not enum lh_error")
    expect(set(_errors.EXCEPTIONS) == set(_errors.ErrorCode),
           "a code without an exception")
    kinds = list(_errors.EXCEPTIONS.values())
    expect(len(set(kinds)) == len(kinds), "an exception for two codes")
    import leasehold
    for kind in kinds:
        expect(getattr(leasehold, kind.__name__) is kind, kind)
    unknown = _errors.make_error(-99, "of a newer library")
    expect(type(unknown) is leasehold.LicenseError, unknown)
    expect(header_enum("lh_seat_type") == {
        "LH_SEAT_COMMIT": 0, "LH_SEAT_OVERAGE": 1}, "seat types")
    expect(header_enum("lh_borrow_state") == {
        "LH_BORROW_LENT": 0, "LH_BORROW_RETURNING": 1,
        "LH_BORROW_UNPROVEN": 2}, "states of a borrow")
    expect(header_enum("lh_usage_kind") == {
        "LH_USAGE_COUNTER": 0, "LH_USAGE_GAUGE": 1}, "kinds of a metric")


def structs_of(native):
    return (("lh_options", native.Options), ("lh_request", native.Request),
            ("lh_borrow", native.Borrow),
            ("lh_borrow_request", native.BorrowRequest),
            ("lh_usage", native.Usage))


def the_structs_are_those_of_the_compiler():
    from leasehold import _native
    lines = []
    for name, struct in structs_of(_native):
        lines.append('printf("%s %%zu\\n", sizeof(struct %s));'
                     % (name, name))
        lines += ['printf("%s.%s %%zu %%zu\\n", offsetof(struct %s, %s), '
                  'sizeof(((struct %s *)0)->%s));' % (
                      name, field, name, field, name, field)
                  for field, _ in struct._fields_]
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "layout.c")
        with open(source, "w") as f:
            f.write('#include "%s"\n#include <stddef.h>\n#include <stdio.h>\n'
                    'int main(void) {\n%s\nreturn 0; }\n' % (
                        HEADER, "\n".join(lines)))
        program = os.path.join(folder, "layout")
        subprocess.check_call(["gcc", "-o", program, source])
        told = subprocess.check_output([program], text=True).splitlines()
    ours = []
    for name, struct in structs_of(_native):
        ours.append("%s %d" % (name, ctypes.sizeof(struct)))
        ours += ["%s.%s %d %d" % (name, field, getattr(struct, field).offset,
                                  getattr(struct, field).size)
                 for field, _ in struct._fields_]
    expect(told == ours, "%s is not %s" % (ours, told))


def the_versions_agree():
    import leasehold
    with open(os.path.join(ROOT, "Makefile")) as f:
        version = re.search(r"^VERSION := (\S+)", f.read(), re.M).group(1)
    with open(os.path.join(PACKAGE, "pyproject.toml")) as f:
        project = re.search(r'^version = "(.*)"', f.read(), re.M).group(1)
    expect(leasehold.__version__ == version == project,
           "%s %s %s" % (leasehold.__version__, version, project))


def the_package_is_typed():
    """mypy --strict, the package and a program that uses it."""
    if not shutil.which("mypy"):
        return "no mypy here (apt-get install mypy)"
    with tempfile.TemporaryDirectory() as folder:
        for version in ("3.9", "3.11"):
            done = subprocess.run(
                ["mypy", "--strict", "--python-version", version,
                 "--cache-dir", folder, "-p", "leasehold"],
                cwd=PACKAGE, text=True, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=120 * SLOW)
            expect(done.returncode == 0, done.stdout[-900:])
        user = os.path.join(folder, "user.py")
        with open(user, "w") as f:
            f.write("from leasehold import LicenseClient\n"
                    "with LicenseClient('k').checkout(user='a') as lease:\n"
                    "    reveal_type(lease.time_left)\n"
                    "    lease.count + 'x'\n")
        done = subprocess.run(
            ["mypy", "--strict", "--cache-dir", folder, user],
            env=dict(os.environ, MYPYPATH=PACKAGE), cwd=folder, text=True,
            stdout=subprocess.PIPE, timeout=120 * SLOW)
        expect("datetime.timedelta" in done.stdout, done.stdout)
        expect(done.stdout.count("error:") == 1 and "operator" in done.stdout,
               done.stdout)


def every_part_of_the_package_is_told():
    """Public names have docstrings."""
    import inspect

    import leasehold
    for name in leasehold.__all__:
        thing = getattr(leasehold, name)
        if not inspect.isclass(thing):
            continue
        expect(thing.__doc__ and thing.__module__.startswith("leasehold"),
               name)
        for key, member in vars(thing).items():
            if not key.startswith("_") and (
                    inspect.isfunction(member) or isinstance(member, property)):
                expect(member.__doc__, "%s.%s" % (name, key))


def the_wheel_holds_the_package():
    """What pip would install, without a compiler and without the net."""
    probe = subprocess.run(
        [PYTHON, "-c", "import setuptools, wheel, pip"],
        stderr=subprocess.DEVNULL)
    if probe.returncode != 0:
        return "no python3-pip, python3-setuptools and python3-wheel here"
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "source")
        shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns(
            "__pycache__", ".mypy_cache"))
        done = subprocess.run(
            [PYTHON, "-m", "pip", "install", "--quiet", "--no-index",
             "--no-deps", "--no-build-isolation", "--no-compile",
             "--disable-pip-version-check", "--root-user-action=ignore",
             "--target", os.path.join(folder, "to"), source],
            env=environment(PATH="/usr/bin:/bin", CC="/bin/false"),
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=120 * SLOW)
        expect(done.returncode == 0, done.stdout[-900:])
        to = os.path.join(folder, "to")
        expect(os.path.exists(os.path.join(to, "leasehold", "py.typed")),
               os.listdir(to))
        said = python("import leasehold; print(leasehold.__file__)",
                      PYTHONPATH=to)
        expect(said.startswith(to), said)


if __name__ == "__main__":
    status = 1
    try:
        status = main([
            with_holds_a_seat_to_the_end_of_its_block,
            every_refusal_is_an_exception_of_its_own,
            features_and_several_seats_are_one_lease,
            a_wrong_vendor_key_believes_nothing,
            an_absent_agent_is_named,
            leases_and_clients_are_not_copied,
            twenty_threads_share_a_client,
            a_lease_is_returned_once_whoever_is_first,
            a_child_of_fork_has_nothing_of_its_parent,
            forks_may_come_while_other_threads_take_seats,
            a_child_that_exits_takes_nothing_from_its_parent,
            process_pools_work_forked_and_spawned,
            a_dropped_lease_goes_back_with_a_warning,
            a_dropped_client_leaves_nothing,
            the_end_of_the_program_gives_seats_back,
            a_wait_gets_the_seat_that_comes_free,
            a_wait_can_be_left,
            the_end_of_the_program_ends_waits,
            ctrl_c_leaves_the_queue,
            a_signal_handler_may_give_everything_back,
            on_lost_hears_that_an_admin_took_a_lease,
            an_unreachable_site_is_named,
            a_missing_library_is_named,
            another_library_is_refused_by_its_version,
            the_codes_are_those_of_the_header,
            the_structs_are_those_of_the_compiler,
            the_versions_agree,
            the_package_is_typed,
            every_part_of_the_package_is_told,
            the_wheel_holds_the_package,
        ])
    finally:
        if setting.cache_info().currsize:
            setting().world.__exit__(*(
                (Failure, None, None) if status else (None, None, None)))
    sys.exit(status)
