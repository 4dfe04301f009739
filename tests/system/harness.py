"""Real sites, agents and applications for the system tests.

Everything lives in one temporary folder and on loopback; what was started is
ended by pid. As root the daemons drop to other users, as on a real box.
"""

import base64
import hashlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(
    os.environ.get("LEASEHOLD_BUILD", os.path.join(ROOT, "build", "release")))
SLOW = 4 if "asan" in BUILD or "tsan" in BUILD else 1
AS_ROOT = os.geteuid() == 0
PRODUCT = "davinci-configurator-se"


class Failure(Exception):
    """A test's expectation did not hold."""


def expect(condition, words):
    if not condition:
        raise Failure(words)


def wait_for(what, words, timeout=10.0, step=0.02):
    """The first true value of what(), or a Failure."""
    end = time.monotonic() + timeout * SLOW
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("waited %.0f s: %s" % (timeout * SLOW, words))
        time.sleep(step)


def free_port():
    """A port that stays free while a site restarts: none of those that the
    kernel gives to connections (ip_local_port_range), one of which could be
    at the far end of a thousand agents that come back."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        first, last = map(int, f.read().split())
    ports = [p for p in range(10240, 65536) if not first <= p <= last]
    while True:
        port = random.choice(ports or range(first, last))
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def cursor(letter, number):
    """A page's `next`, as a site would write it."""
    place = letter.encode() + number.to_bytes(7, "big")
    check = hashlib.blake2b(place, digest_size=16,
                            key=b"leasehold cursor").digest()[:4]
    return base64.urlsafe_b64encode(place + check).decode()


def binary(name):
    return os.path.join(BUILD, name)


def for_plain_programs():
    """Environment in which a program that was built without a sanitizer can
    load a library that was built with one."""
    mode = os.path.basename(BUILD)
    if mode not in ("asan", "tsan"):
        return {}
    return {"LD_PRELOAD": subprocess.check_output(
                ["gcc", "-print-file-name=lib%s.so" % mode],
                text=True).strip(),
            "ASAN_OPTIONS": "detect_leaks=0"}


class Result:
    def __init__(self, process):
        self.status = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    def json(self):
        return json.loads(self.out)


def run(*args, env=None, timeout=60, cwd=None):
    full = dict(os.environ)
    for name in list(full):
        if name.startswith(("LICENSE_", "LEASEHOLD_SOCKET")):
            del full[name]
    full["LEASEHOLD_CONFIG"] = "/dev/null"
    full.update(env or {})
    return Result(subprocess.run(
        [str(a) for a in args], env=full, timeout=timeout * SLOW, cwd=cwd,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace"))


def children(pid):
    """{process name: [pids]} below a parent (from /proc)."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry) as f:
                stat = f.read()
        except OSError:
            continue
        name = stat[stat.index("(") + 1:stat.rindex(")")]
        fields = stat[stat.rindex(")") + 2:].split()
        if int(fields[1]) == pid and fields[0] != "Z":
            found.setdefault(name, []).append(int(entry))
    return found


def terms(commit=5, overage=15, start=None, end=None, version=">=8.0.0",
          product=PRODUCT, ttl_s=60, grace_s=0):
    today = date.today()
    return {
        "product": {"id": product, "name": "DaVinci Configurator SE",
                    "version": version},
        "entitlement": {
            "total_licenses": commit + overage, "commit_qty": commit,
            "max_overage": overage,
            "pricing": {"commit_fee_monthly": 5000.00,
                        "overage_per_use": 500.00, "currency": "EUR"}},
        "contract": {
            "start_date": str(start or today - timedelta(days=30)),
            "end_date": str(end or today + timedelta(days=335)),
            "auto_renew": True, "billing_cycle": "monthly"},
        "terms": {"ttl_s": ttl_s, "grace_s": grace_s},
    }


class World:
    """A temporary folder, a vendor, and everything that was started."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="leasehold-test-")
        os.chmod(self.dir, 0o755)
        self.started = []
        self._vendor = None
        self.issued = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in reversed(self.started):
            stop_process(process)
        if kind is not None:
            self.show_logs()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def show_logs(self):
        for name in sorted(os.listdir(self.dir)):
            if name.endswith(".log"):
                with open(self.path(name), errors="replace") as f:
                    tail = f.read().splitlines()[-15:]
                for line in tail:
                    print("# %s: %s" % (name, line))

    def start(self, name, args, env=None):
        full = dict(os.environ)
        full.pop("LEASEHOLD_SOCKET", None)
        full.update(env or {})
        log = open(self.path(name + ".log"), "a")
        process = subprocess.Popen(
            [str(a) for a in args], stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, env=full)
        log.close()
        self.started.append(process)
        return process

    @property
    def vendor(self):
        if self._vendor is None:
            self._vendor = self.path("vendor")
            made = run(binary("leasehold-vendor"), "init", self._vendor,
                       "--name", "Vector Informatik", "--id", "vector")
            expect(made.status == 0, "vendor init: " + made.err)
            made = run(binary("leasehold-vendor"), "issuer", self._vendor)
            expect(made.status == 0, "vendor issuer: " + made.err)
        return self._vendor

    @property
    def vendor_key(self):
        with open(os.path.join(self.vendor, "root.pub")) as f:
            return f.read().strip()

    def issue(self, site, document, name=None, extra=()):
        """Issue `document` for a site; the license file's path."""
        self.issued += 1
        name = name or "license-%d" % self.issued
        with open(self.path(name + ".json"), "w") as f:
            f.write(document if isinstance(document, str)
                    else json.dumps(document))
        request = self.path(name + ".request")
        with open(request, "w") as f:
            f.write(site.request())
        out = self.path(name + ".lic")
        made = run(binary("leasehold-vendor"), "issue", self.vendor,
                   "--request", request, "--terms",
                   self.path(name + ".json"), "--out", out, *extra)
        expect(made.status == 0, "vendor issue: " + made.err)
        return out


def stop_process(process, wait_s=15):
    if process.poll() is not None:
        return process.returncode
    process.terminate()
    try:
        return process.wait(wait_s * SLOW)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


class Disk:
    """A disk that obeys: see disk_shim.c. One for each site that has it."""

    def __init__(self, world, name="disk"):
        self.path = world.path(name)
        with open(self.path, "wb") as f:
            f.write(b"\0\0")
        os.chmod(self.path, 0o666)
        self.env = {"LD_PRELOAD": binary("tests/system/disk_shim.so"),
                    "DISK_SHIM": self.path}

    def order(self, fail=0, die=0):
        with open(self.path, "r+b") as f:
            f.write(bytes((fail, die)))

    def obeyed(self):
        with open(self.path, "rb") as f:
            return f.read() == b"\0\0"


class Site:
    """A site's folder and its daemon; `tpm`: its box's TPM (tpms.py)."""

    def __init__(self, world, name="site", config="", tpm=None,
                 hosts=("127.0.0.1", "localhost")):
        self.world = world
        self.name = name
        self.state = world.path(name)
        self.port = free_port()
        self.url = "https://%s:%d" % (hosts[0], self.port)
        self.process = None
        self.config = world.path(name + ".ini")
        self.more = config
        self.use_tpm(tpm)
        args = [binary("leasehold"), "site", "init", "--state", self.state,
                "--name", name]
        for host in hosts:
            args += ["--host", host]
        if AS_ROOT:
            args += ["--user", "daemon"]
        made = run(*args, "--json")
        expect(made.status == 0, "site init: " + made.err)
        self.facts = made.json()
        self.key = self.facts["admin_key"]
        self.ca = os.path.join(self.state, "tls", "ca.pem")

    def use_tpm(self, tpm, pcrs=""):
        """Write the configuration, for the next start."""
        self.tpm = tpm
        with open(self.config, "w") as f:
            f.write("[site]\nstate=%s\n" % self.state)
            if tpm is not None:
                tpm.open_to_all()
                f.write("tpm=%s\n" % tpm.tcti)
            if pcrs != "":
                f.write("tpm_pcrs=%s\n" % pcrs)
            f.write("[listen]\naddress=127.0.0.1\nport=%d\n" % self.port)
            f.write("[process]\n")
            if AS_ROOT:
                f.write("user=daemon\nfront_user=nobody\n")
            f.write(self.more)

    @property
    def env(self):
        return {"LICENSE_SERVER_URL": self.url, "LICENSE_API_KEY": self.key,
                "LICENSE_CA_FILE": self.ca}

    def cli(self, *args, timeout=60):
        return run(binary("leasehold"), *args, env=self.env, timeout=timeout)

    def request(self):
        if os.path.exists(os.path.join(self.state, "keys", "site.key")):
            made = run(binary("leaseholdd"), "request", "--state",
                       self.state)
        else:  # sealed: only the running site has it
            made = self.cli("site", "request")
        expect(made.status == 0, "site request: " + made.err)
        return made.out

    def start(self, wait=True, env=None):
        self.process = self.world.start(
            self.name, [binary("leaseholdd"), "--config", self.config], env)
        if wait:
            self.wait_ready()

    def ready(self):
        shown = self.cli("--json", "site", "show")
        return shown.json() if shown.status == 0 else None

    def wait_ready(self, timeout=10):
        return wait_for(self.ready, "the site does not answer", timeout)

    def stop(self):
        status = stop_process(self.process)
        self.process = None
        return status

    def kill(self):
        """Every process of the daemon at once, as a power cut would."""
        family = [pid for pids in children(self.process.pid).values()
                  for pid in pids]
        self.process.kill()
        for pid in family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it died with its parent
        self.process.wait()

    @property
    def witness(self):
        """The folder of the site's own counter, outside of its state."""
        return self.state + ".witness"

    def snapshot(self, name="copy"):
        """A copy of all that a stopped site keeps, witness included."""
        copy = self.world.path("%s.%s" % (self.name, name))
        for source, target in ((self.state, "state"),
                               (self.witness, "witness")):
            os.makedirs(copy, exist_ok=True)
            done = run("cp", "-a", source, os.path.join(copy, target))
            expect(done.status == 0, "snapshot: " + done.err)
        return copy

    def put_back(self, copy, parts=("system", "tenants"), witness=False):
        """Put parts of a stopped site's state back to what they were."""
        pairs = [(os.path.join(copy, "state", part),
                  os.path.join(self.state, part)) for part in parts]
        if witness:
            pairs.append((os.path.join(copy, "witness"), self.witness))
        for source, target in pairs:
            shutil.rmtree(target)
            done = run("cp", "-a", source, target)
            expect(done.status == 0, "put back: " + done.err)

    def log(self):
        with open(self.world.path(self.name + ".log"),
                  errors="replace") as f:
            return f.read()

    def child(self, name):
        return wait_for(lambda: children(self.process.pid).get(name),
                        "no process %s" % name)[0]

    def install(self, document):
        path = self.world.issue(self, document)
        done = self.cli("--json", "license", "install", path)
        expect(done.status == 0, "license install: " + done.err)
        return done.json()

    def token(self, *options, uses=1000, approve=True):
        made = self.cli("join", "create", "--uses", uses, *options,
                        *(["--approve"] if approve else []))
        expect(made.status == 0, "join create: " + made.err)
        return made.out.strip()

    def leases(self):
        shown = self.cli("--json", "leases")
        expect(shown.status == 0, "leases: " + shown.err)
        return shown.json().get("items", [])

    def verify(self):
        done = self.cli("--json", "audit", "verify")
        expect(done.status == 0, "audit verify: " + done.err)
        return done.json()


class Agent:
    """A workstation's agent; `tpm`: its TPM (tpms.py), or the text of its
    setting."""

    def __init__(self, world, name="agent", tpm=None, config=""):
        self.world = world
        self.name = name
        self.state = world.path(name)
        self.socket = world.path(name + ".sock")
        self.config = world.path(name + ".ini")
        self.more = config
        self.process = None
        self.use_tpm(tpm)

    def use_tpm(self, tpm):
        """Write the configuration, for the next start."""
        self.tpm = tpm
        with open(self.config, "w") as f:
            f.write("[agent]\nstate=%s\nsocket=%s\n"
                    % (self.state, self.socket))
            if tpm is not None:
                f.write("tpm=%s\n" % getattr(tpm, "tcti", tpm))
            f.write(self.more)

    @property
    def env(self):
        return {"LEASEHOLD_SOCKET": self.socket}

    def cli(self, *args, timeout=60):
        return run(binary("leasehold"), *args, env=self.env, timeout=timeout)

    def start(self):
        self.process = self.world.start(
            self.name, [binary("leasehold-agent"), "--config", self.config])
        wait_for(self.status, "the agent does not answer")

    def status(self):
        """What it says of itself, whatever the exit status; {}: nothing."""
        shown = self.cli("--json", "status")
        return shown.json() if shown.out else {}

    def enroll(self, site, token=None):
        done = self.cli("--json", "enroll", site.url, "--token",
                        token or site.token(), "--name", self.name)
        expect(done.status == 0, "enroll: " + done.err)
        self.wait_connected()
        return done.json()

    def wait_connected(self, timeout=15):
        wait_for(lambda: self.status().get("connected"),
                 "the agent does not connect", timeout, 0.05)

    def stop(self):
        return stop_process(self.process)

    def child(self, name):
        return wait_for(lambda: children(self.process.pid).get(name),
                        "no process %s" % name)[0]


class App:
    """An application that links libleasehold (tests/system/app_tool.c)."""

    def __init__(self, world, socket_path, name="app", version="8.1.0",
                 product=PRODUCT, state=None, vendor_key=None, extra=(),
                 env=None):
        self.log = world.path("%s-%d.log" % (name, random.getrandbits(32)))
        self.socket = socket_path
        self.state = state or world.path(name + "-state")
        args = [binary("tests/system/app_tool"), "--vendor-key",
                vendor_key or world.vendor_key, "--socket", socket_path,
                "--product", product, "--version", version, "--state",
                self.state, *extra]
        self.err = open(self.log, "w+")
        self.process = subprocess.Popen(
            args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.err, text=True, env={**os.environ, **(env or {})})
        world.started.append(self.process)
        self.lease = None

    def wait(self, timeout=20):
        """The lease's facts, or None when it was refused (see status)."""
        poll = select.poll()  # select() takes no descriptor above 1023
        poll.register(self.process.stdout, select.POLLIN)
        expect(poll.poll(timeout * SLOW * 1000),
               "the application says nothing")
        line = self.process.stdout.readline()
        if line:
            self.lease = json.loads(line)
            return self.lease
        self.process.wait(timeout * SLOW)
        return None

    @property
    def status(self):
        return self.process.wait(20 * SLOW)

    def errors(self):
        self.err.flush()
        with open(self.log, errors="replace") as f:
            return f.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        return stop_process(self.process)


def run_test(test):
    """Run one, print its line; True when it failed."""
    name = test.__name__
    started = time.monotonic()
    failed = False
    try:
        result = test()
        if isinstance(result, str):
            print("skip %s: %s" % (name, result))
        else:
            print("ok %s (%.1f s)" % (name, time.monotonic() - started))
    except Exception as error:  # every failure is one line
        failed = True
        said = str(error).splitlines()
        words = " / ".join(said if len(said) < 4 else said[:1] + said[-2:])
        print("not ok %s: %s: %s" % (name, type(error).__name__, words))
    sys.stdout.flush()
    return failed


def run_together(tests):
    """All at once, each in a process of its own: for those that mostly wait.
    How many failed."""
    running = []
    for test in tests:
        out = tempfile.TemporaryFile("w+")
        pid = os.fork()
        if pid == 0:
            os.dup2(out.fileno(), 1)
            os._exit(1 if run_test(test) else 0)
        running.append((pid, out))
    failed = 0
    for pid, out in running:
        _, status = os.waitpid(pid, 0)
        failed += status != 0
        out.seek(0)
        sys.stdout.write(out.read())
        out.close()
    return failed


def main(tests, together=False):
    """Run the functions in order, a line each; the program's exit status."""
    only = sys.argv[1:]
    tests = [t for t in tests if not only or t.__name__ in only]
    sys.stdout.flush()
    if together:
        failed = run_together(tests)
    else:
        failed = sum(run_test(test) for test in tests)
    return 1 if failed else 0
