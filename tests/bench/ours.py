"""A site under load: started on its own core, measured from outside."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "system"))
import harness
from by_key import Program
from harness import PRODUCT, Site, World, binary, expect, terms, wait_for

SEATS = 10000000  # the most that a license can have
TTL_S = 86400  # no lease ends by itself while something is measured
TICK = os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def busy_s():
    """Of all cores since the start."""
    with open("/proc/stat") as f:
        fields = [int(word) for word in f.readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) / TICK


def pss_kib(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))


def wakeups(pid):
    """Times that the threads of a process went to sleep by themselves."""
    count = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, task)) as f:
            count += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)",
                                   f.read(), re.M).group(1))
    return count


def median(values):
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else \
        (ordered[half - 1] + ordered[half]) / 2


class Pinned(World):
    """A world whose daemons run on the server's cores. The generator's keys are
    in memory: syncing thousands of them is nobody's time but its own."""

    def __init__(self, cpus):
        super().__init__()
        self.cpus = cpus
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else self.dir
        self.keys = tempfile.mkdtemp(
            prefix="leasehold-bench-%d-" % os.getpid(), dir=memory)

    def __exit__(self, kind, value, trace):
        super().__exit__(kind, value, trace)
        shutil.rmtree(self.keys, ignore_errors=True)

    def start(self, name, args, env=None):
        return super().start(name, ["taskset", "-c", self.cpus, *args], env)


class Generator:
    """A load generator on its own core; begins with "begin" or "ready". One
    that yields takes what others leave of the core."""

    def __init__(self, cpus, program, *args, yields=False):
        idle = ["chrt", "--idle", "0"] if yields else []
        self.process = subprocess.Popen(
            [*idle, "taskset", "-c", cpus, binary("tests/bench/" + program),
             *[str(a) for a in args]], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def line(self, timeout):
        """The next line it says."""
        previous = signal.signal(signal.SIGALRM, self.too_slow)
        signal.setitimer(signal.ITIMER_REAL, timeout)
        try:
            line = self.process.stdout.readline()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        if not line:
            raise harness.Failure("the load generator failed: "
                                  + self.process.stderr.read()[-400:])
        return line.strip()

    def too_slow(self, number, frame):
        raise harness.Failure("the load generator is too slow")

    def wait(self, timeout):
        self.process.stdin.close()
        self.process.stdin = None
        return self.process.wait(timeout)


class Timing:
    """The ledger's own account (SIGUSR1): totals of one tenant, in us."""

    def __init__(self, site):
        log = site.world.path(site.name + ".log")
        at = os.path.getsize(log)
        os.kill(site.child("ledger"), signal.SIGUSR1)

        def said():
            with open(log, errors="replace") as f:
                f.seek(at)
                return re.search(r"timing tenant=.*\n", f.read())
        fields = dict(re.findall(r"(\w+)=([\d.]+)",
                                 wait_for(said, "no timing is logged").group()))
        self.commits = int(fields["commits"])
        self.commands = int(fields["commands"])
        self.us = {name: float(fields[name]) * self.commands for name in
                   ("decide", "fold", "tree", "sign", "commit")}

    def since(self, before):
        commands = max(self.commands - before.commands, 1)
        return {
            "commits": self.commits - before.commits,
            "commands": commands,
            "us": {name: (total - before.us[name]) / commands
                   for name, total in self.us.items()},
        }


class BenchSite(Site):
    """A site with one license that never refuses."""

    def __init__(self, world, name="site", seats=SEATS, classes=None):
        super().__init__(world, name)
        self.start()
        document = terms(commit=seats, overage=0, ttl_s=TTL_S)
        if classes:
            document["terms"]["borrow_classes"] = classes
            document["terms"]["borrow_max_s"] = 86400
        self.install(document)

    @property
    def daemons(self):
        return {name: pid for name, pids in
                harness.children(self.process.pid).items() for pid in pids}

    def pss(self):
        return sum(pss_kib(pid) for pid in
                   [self.process.pid, *self.daemons.values()])

    def options(self, agents, connections, class_="software"):
        """Devices that are known in the folder log in, others enroll."""
        folder = os.path.join(self.world.keys, agents)
        options = ["--port", self.port, "--ca", self.ca, "--product", PRODUCT,
                   "--folder", folder, "--connections", connections]
        if not os.path.exists(os.path.join(folder, str(connections - 1))):
            options += ["--join", self.token("--class", class_,
                                             uses=connections)]
        return options + (["--vtpm"] if class_ == "vtpm" else [])

    def load(self, cpus, agents, connections, *extra, timeout=90,
             program="load_bench", class_="software"):
        """One measurement; what it cost each process is added."""
        with Generator(cpus, program,
                       *self.options(agents, connections, class_),
                       *extra) as load:
            return self.measure(load, timeout)

    def measure(self, load, timeout):
        expect(load.line(timeout) == "begin", "it does not begin")
        pids = self.daemons
        cpu = {name: cpu_s(pid) for name, pid in pids.items()}
        before = Timing(self)
        busy = busy_s() - cpu_s(load.process.pid) - sum(cpu.values())
        result = json.loads(load.line(timeout))
        took = {name: cpu_s(pid) - cpu[name] for name, pid in pids.items()}
        # What others did on this machine meanwhile, in cores.
        result["others"] = (
            busy_s() - cpu_s(load.process.pid) - sum(cpu.values())
            - sum(took.values()) - busy) / result["seconds"]
        result["cpu_us"] = {name: s * 1e6 / max(result["done"], 1)
                            for name, s in took.items()}
        result["ledger"] = Timing(self).since(before)
        expect(result["refused"] == 0, "checkouts were refused")
        return result

    def make_keys(self, n):
        """A file of so many keys that no rate bounds: each holds its seats as
        a device does, and one may hold 4,096."""
        path = self.world.path(self.name + "-keys")
        bounds = {"checkouts_per_minute": 1000000,
                  "requests_per_hour": 1000000}
        keys = []
        with Program(self, self.key) as admin:
            for number in range(n):
                made = admin.ask("POST", "/api/v1/keys/generate", {
                    "app_name": "bench-%d" % number, "app_type": "ci_cd",
                    "scopes": ["license:checkout", "license:return"]})
                expect(made.status == 201, "keys/generate: %r" % made)
                freed = admin.ask(
                    "POST", "/api/v1/keys/%s/restrictions"
                    % made.body["key_id"], bounds)
                expect(freed.status == 200, "restrictions: %r" % freed)
                keys.append(made.body["api_key"])
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write("\n".join(keys) + "\n")
        return path

    def load_http(self, cpus, keys, connections, *extra, timeout=90):
        """Checkouts by key over HTTP: one measurement."""
        body = json.dumps({"product": PRODUCT, "version": "8.1.0",
                           "user": "alice", "hostname": "ws-0"})
        with Generator(cpus, "http_bench", "--port", self.port, "--ca",
                       self.ca, "--connections", connections, "--keys", keys,
                       "--path", "/api/v1/licenses/checkout", "--body", body,
                       *extra) as load:
            return self.measure(load, timeout)

    def fill(self, cpus, agents, connections, total, timeout=240):
        with Generator(cpus, "load_bench", *self.options(agents, connections),
                       "--total", total) as load:
            load.line(timeout)
            load.line(timeout)

    def logins(self, *args, **options):
        """So many devices that log in and hang up, as `load`."""
        return self.load(*args, program="login_bench", **options)

    def waves(self, cpus, agents, connections, timeout=240):
        """So many devices that log in all at once, again and again, until
        closed; with what others leave of the core."""
        waves = Generator(cpus, "login_bench",
                          *self.options(agents, connections), "--waves",
                          "--until-eof", yields=True)
        try:
            expect(waves.line(timeout) == "begin", "they do not begin")
        except BaseException:
            waves.close()
            raise
        return waves

    def idle(self, cpus, agents, connections, timeout=240):
        """Agents that are logged in and say nothing, until closed."""
        load = Generator(cpus, "load_bench",
                         *self.options(agents, connections), "--idle")
        try:
            expect(load.line(timeout) == "ready", "they do not log in")
        except BaseException:
            load.close()
            raise
        return load
