"""What is measured: a function per group of rows of DESIGN 15."""

import http.client
import json
import os
import re
import ssl
import subprocess
import tempfile
import time

import month
from harness import PRODUCT, Agent, App, Site, binary, expect, wait_for
from ours import (SEATS, BenchSite, Generator, Pinned, cpu_s, median, pss_kib,
                  wakeups)
from peers import Nginx, Packages, Postgres, Redis

COUNTS = (64, 512, 2000)
MAIN = 512  # the count that the targets are about


def fdatasync_us(folder, seconds=1.0):
    """What the disk takes to keep 4 KiB, each time: sorted microseconds."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as f:
        f.write(bytes(4096) * 256)
        os.fsync(f.fileno())
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.perf_counter()
            os.pwrite(f.fileno(), os.urandom(4096), len(took) % 256 * 4096)
            os.fdatasync(f.fileno())
            took.append((time.perf_counter() - began) * 1e6)
    return sorted(took)


def measure_disk(bench):
    """Beside every round, for the disk is not the same all the time."""
    took = fdatasync_us(bench.folder, 1.0 if bench.seconds > 2 else 0.5)
    bench.disk_p50_us.append(took[len(took) // 2])
    bench.disk_rate.append(len(took) / sum(took) * 1e6)


def spread(values, more=""):
    """A note: from the least to the most of the rounds, and what else."""
    notes = ["%.2f to %.2f" % (min(values), max(values))] \
        if len(values) > 1 else []
    return "; ".join(notes + ([more] if more else []))


# --- durable checkouts, beside the peers -------------------------------------

def load(bench, site, agents, connections, *extra, **options):
    result = site.load(bench.generator, agents, connections, *extra,
                       **options)
    bench.others.append(result["others"])
    return result


def ours_once(bench, connections, *extra):
    with Pinned(bench.server) as world:
        return load(bench, BenchSite(world), "agents", connections, *extra)


def peer_once(bench, peer, connections, *extra):
    peer.start()
    try:
        with Generator(bench.generator, "peer_bench", "--peer", peer.name,
                       "--port", peer.port, "--connections", connections,
                       *peer.options, *extra) as generator:
            expect(generator.line(90) == "begin",
                   peer.name + " does not begin")
            result = json.loads(generator.line(90))
            expect(result["refused"] == 0, peer.name + " refused")
            return result
    finally:
        peer.stop()


def show_once(bench, name, result):
    cpu = ", ".join("%s %.1f us" % item for item in
                    sorted(result.get("cpu_us", {}).items()))
    bench.say("  %-9s %5d connections: %7.0f/s, p50 %.2f ms, p99 %.2f ms; "
              "generator at %.0f %%%s" % (
                  name, result["connections"], result["per_second"],
                  result["p50_us"] / 1e3, result["p99_us"] / 1e3,
                  result["generator_cpu"] * 100, "; CPU: " + cpu if cpu
                  else ""))
    ledger = result.get("ledger")
    if ledger:
        bench.say("            ledger, us a checkout: %s; %.1f checkouts a "
                  "commit" % (", ".join("%s %.1f" % item for item in
                                        ledger["us"].items()),
                              ledger["commands"] / max(ledger["commits"], 1)))


def checkouts(bench):
    packages = Packages(bench.folder)
    peers = []
    extra = ["--seconds", bench.seconds, "--warm-up", bench.seconds / 5]
    rates = {(name, n): [] for name in ("ours", "redis", "postgres")
             for n in COUNTS}
    try:
        peers.append(Redis(packages, bench.folder, bench.server))
        peers.append(Postgres(packages, bench.folder, bench.server))
        bench.conditions.update({p.name: p.version for p in peers})
        for number in range(bench.rounds):
            bench.say("round %d of %d" % (number + 1, bench.rounds))
            for n in COUNTS:
                measure_disk(bench)
                result = ours_once(bench, n, *extra)
                show_once(bench, "ours", result)
                rates["ours", n].append(result["per_second"])
                if n == MAIN:
                    bench.commits.append(result["ledger"]["commits"]
                                         / result["ledger"]["commands"])
                    bench.peaks.append(result["per_second"])
                for peer in peers:
                    result = peer_once(bench, peer, n, *extra)
                    show_once(bench, peer.name, result)
                    rates[peer.name, n].append(result["per_second"])
    finally:
        for peer in peers:
            peer.close()
    for peer, target in (("redis", 0.7), ("postgres", 10)):
        for n in COUNTS:
            ratios = [a / b for a, b in zip(rates["ours", n], rates[peer, n])]
            note = spread(ratios, "%.0f/s against %.0f/s" % (
                median(rates["ours", n]), median(rates[peer, n])))
            bench.add("checkouts_over_%s_%d" % (peer, n), median(ratios),
                      ">=", target if n == MAIN else None, "ratio", note)
            if peer == "redis" and n == MAIN:
                bench.add("checkouts_over_redis_%d_goal" % n, median(ratios),
                          ">=", 1.0, "ratio", "")
    bench.add("commits_per_checkout_%d" % MAIN, median(bench.commits), "<=",
              1 / 50, "commits", "1/%.0f" % (1 / median(bench.commits)))


# --- the same by API key, over HTTP -------------------------------------------

ANSWER_BYTES = 2048  # about what a checkout is answered with


def serve_file(bench, nginx, site, *extra):
    nginx.start(site, ANSWER_BYTES)
    try:
        with Generator(bench.generator, "http_bench", "--port", nginx.port,
                       "--ca", site.ca, "--connections", MAIN, "--path",
                       nginx.path, *extra) as generator:
            expect(generator.line(90) == "begin", "nginx does not begin")
            before = cpu_s(nginx.process.pid)
            result = json.loads(generator.line(90))
            result["cpu_us"] = {"nginx": (cpu_s(nginx.process.pid) - before)
                                * 1e6 / max(result["done"], 1)}
            expect(result["refused"] == 0, "nginx refused")
            return result
    finally:
        nginx.stop()


def over_http(bench):
    """One site each round, for all three."""
    nginx = Nginx(Packages(bench.folder), bench.folder, bench.server)
    bench.conditions[nginx.name] = nginx.version
    extra = ["--seconds", bench.seconds, "--warm-up", bench.seconds / 5]
    rates = {"http": [], "websocket": [], "nginx": []}
    for _ in range(bench.rounds):
        with Pinned(bench.server) as world:
            site = BenchSite(world)
            keys = site.make_keys(MAIN)
            measure_disk(bench)
            results = {
                "websocket": load(bench, site, "agents", MAIN, *extra),
                "http": site.load_http(bench.generator, keys, MAIN, *extra),
                "nginx": serve_file(bench, nginx, site, *extra),
            }
        bench.others.append(results["http"]["others"])
        for name, result in results.items():
            show_once(bench, name, result)
            rates[name].append(result["per_second"])
    for peer, note in (("websocket", "the same checkouts by agents"),
                       ("nginx", "a file of %d bytes from nginx, one process"
                        % ANSWER_BYTES)):
        ratios = [a / b for a, b in zip(rates["http"], rates[peer])]
        bench.add("http_checkouts_over_%s_%d" % (peer, MAIN), median(ratios),
                  ">=", None, "ratio", spread(
                      ratios, "%.0f/s against %.0f/s: %s" % (
                          median(rates["http"]), median(rates[peer]), note)))


# --- latency ---------------------------------------------------------------------

def latency(bench):
    if not bench.peaks:
        result = ours_once(bench, MAIN, "--seconds", bench.seconds)
        show_once(bench, "ours", result)
        bench.peaks.append(result["per_second"])
    rate = median(bench.peaks) / 2
    p99, p50 = [], []
    for _ in range(bench.rounds):
        measure_disk(bench)
        result = ours_once(bench, MAIN, "--rate", rate, "--seconds",
                           bench.seconds * 2, "--warm-up", 1)
        show_once(bench, "ours", result)
        p99.append(result["p99_us"] / 1e3)
        p50.append(result["p50_us"] / 1e3)
    limit = max(5.0, 10 * median(bench.disk_p50_us) / 1e3)
    bench.add("checkout_p99_at_half_peak", median(p99), "<=", limit, "ms",
              spread(p99, "p50 %.2f ms, open loop, %.0f/s on %d connections"
                     % (median(p50), rate, MAIN)))


# --- cost against size -----------------------------------------------------------

def ledger_us(result):
    return sum(result["ledger"]["us"].values())


def compare(bench, name, cases, note):
    """Interleaved rounds of two sites: (label, site, agents folder)."""
    extra = ["--return", "--seconds", bench.seconds, "--warm-up", 1]
    work, time_ = [], []
    for _ in range(bench.rounds):
        results = []
        for label, site, agents in cases:
            results.append(load(bench, site, agents, MAIN, *extra))
            show_once(bench, label, results[-1])
        small, large = results
        work.append(ledger_us(large) / ledger_us(small))
        time_.append(small["per_second"] / large["per_second"])
    bench.add("cost_%s_ledger" % name, median(work), "<=", 1.3, "ratio",
              spread(work, "time in the ledger's writer " + note))
    bench.add("cost_%s" % name, median(time_), "<=", 1.3, "ratio",
              spread(time_, "time of a checkout and its return " + note))


def leases(bench):
    with Pinned(bench.server) as world:
        small = BenchSite(world, "small")
        large = BenchSite(world, "large")
        small.fill(bench.generator, "small-agents", MAIN, 1000)
        began = time.monotonic()
        large.fill(bench.generator, "large-agents", MAIN, bench.many)
        bench.say("  %d leases after %.0f s" % (bench.many,
                                               time.monotonic() - began))
        compare(bench, "%d_leases_over_1000" % bench.many,
                (("1000", small, "small-agents"),
                 (str(bench.many), large, "large-agents")),
                "with so many leases held")


# --- idle agents -------------------------------------------------------------------

def hold_idle(bench, site, loads, n, before):
    """So many idle agents in all; what one of them takes of memory."""
    more = n - sum(count for _, count in loads)
    began = time.monotonic()
    loads.append((site.idle(bench.generator, "idle-%d" % n, more), more))
    took = time.monotonic() - began
    time.sleep(1)
    value = (site.pss() - before) / n
    bench.say("  %d agents enrolled and logged in within %.1f s; %.1f KiB each"
              % (more, took, value))
    bench.add("idle_agent_%d" % n, value, "<=", 25, "KiB",
              "PSS of the daemon, one front")


def idle(bench):
    with Pinned(bench.server) as world:
        small = BenchSite(world, "small")
        large = BenchSite(world, "large")
        before = large.pss()
        loads = []
        try:
            hold_idle(bench, large, loads, 2000, before)
            hold_idle(bench, large, loads, 10000, before)
            compare(bench, "10000_idle_agents",
                    (("512", small, "small-agents"),
                     ("+10000", large, "large-agents")),
                    "with 10,000 idle agents connected, over none")
        finally:
            for generator, _ in loads:
                generator.close()


# --- devices that prove who they are -------------------------------------------

LOGIN_CLASSES = ("software", "vtpm")
AGENTS = 1000  # that come in one moment
MODEST = 500  # checkouts a second beside them
MODEST_AGENTS = 64


def show_work(bench, what, result):
    bench.say("  %s: %.0f/s, p50 %.2f ms, p99 %.2f ms; generator at %.0f %%; "
              "CPU: %s" % (what, result["per_second"], result["p50_us"] / 1e3,
                           result["p99_us"] / 1e3,
                           result["generator_cpu"] * 100,
                           ", ".join("%s %.0f us" % item for item in sorted(
                               result["cpu_us"].items()))))


def cpu_note(results):
    names = sorted(results[0]["cpu_us"])
    return "CPU " + ", ".join("%s %.0f us" % (
        name, median([r["cpu_us"].get(name, 0) for r in results]))
        for name in names)


def log_in(bench, class_):
    """A new site each time: it bounds how often one device may come."""
    results = []
    for _ in range(bench.rounds):
        with Pinned(bench.server) as world:
            results.append(BenchSite(world).logins(
                bench.generator, "agents", AGENTS, "--seconds",
                bench.seconds, "--warm-up", bench.seconds / 5, class_=class_))
        bench.others.append(results[-1]["others"])
        show_work(bench, "logins, class " + class_, results[-1])
    bench.add("logins_" + class_, median([r["per_second"] for r in results]),
              ">=", None, "/s", spread(
                  [r["per_second"] for r in results],
                  "TLS handshake and proof,64 at once; "
                  + cpu_note(results)))


def borrow(bench, class_):
    results = []
    for _ in range(bench.rounds):
        with Pinned(bench.server) as world:
            site = BenchSite(world, classes=[class_])
            results.append(load(bench, site, "agents", MAIN, "--borrow",
                                "--seconds", bench.seconds, "--warm-up",
                                bench.seconds / 5, class_=class_))
        show_work(bench, "borrows, class " + class_, results[-1])
    bench.add("borrows_" + class_, median([r["per_second"] for r in results]),
              ">=", None, "/s", spread(
                  [r["per_second"] for r in results],
                  "each taken and given back by proof, %d connections; "
                  % MAIN + cpu_note(results)))


def checkouts_while_logins(bench):
    """Both generators on one core: that of checkouts goes first."""
    extra = ["--rate", MODEST, "--share-core", "--return", "--warm-up", 1,
             "--seconds", bench.seconds]
    alone, beside, logins = [], [], []
    with Pinned(bench.server) as world:
        site = BenchSite(world)
        load(bench, site, "agents", MODEST_AGENTS, *extra)
        for number in range(bench.rounds):
            alone.append(load(bench, site, "agents", MODEST_AGENTS, *extra))
            show_once(bench, "alone", alone[-1])
            waves = site.waves(bench.generator, "waves-%d" % number, AGENTS)
            try:
                beside.append(site.load(bench.generator, "agents",
                                        MODEST_AGENTS, *extra))
                waves.process.stdin.close()
                waves.process.stdin = None
                logins.append(json.loads(waves.line(60))["per_second"])
            finally:
                waves.close()
            show_once(bench, "beside", beside[-1])
    ratios = [b["p99_us"] / a["p99_us"] for a, b in zip(alone, beside)]
    bench.add("checkout_p99_while_logins", median(ratios), "<=", 1.5, "ratio",
              spread(ratios, "%.2f ms while %d agents log in at once, again "
                     "and again (%.0f/s), over %.2f ms alone; %d checkouts/s"
                     % (median([b["p99_us"] for b in beside]) / 1e3, AGENTS,
                        median(logins),
                        median([a["p99_us"] for a in alone]) / 1e3, MODEST)))


def keys(bench):
    """An API key's hash and every restriction at its largest, a request."""
    took = []
    for _ in range(bench.rounds):
        done = subprocess.run(
            ["taskset", "-c", bench.generator,
             binary("tests/bench/key_bench")],
            capture_output=True, text=True, timeout=60)
        expect(done.stdout != "", done.stderr)
        took.append(float(re.search(r"([\d.]+) us", done.stdout).group(1)))
    bench.add("key_check", median(took), "<=", 5.0, "us",
              "key check and all restrictions, a request")


def policy(bench):
    """The core's checkout under 100 rules and 10,000 members, over without:
    side by side, so that what else the machine does is in both."""
    ratios, took = [], []
    for _ in range(bench.rounds):
        pair = []
        for more in ([], ["--rules", "100", "--members", "10000"]):
            done = subprocess.run(
                ["taskset", "-c", bench.generator,
                 binary("tests/bench/ledger_bench"), "--devices", "512",
                 "--seconds", "2", *more],
                capture_output=True, text=True, timeout=120)
            expect(done.returncode == 0, done.stderr)
            pair.append(json.loads(done.stdout)["checkout_us"])
        ratios.append(pair[1] / pair[0])
        took.append(pair)
    bench.add("core_under_policy", median(ratios), "<=", None, "ratio",
              spread(ratios, "the core alone, without network, TLS and disk: "
                     "%.1f us a checkout under 100 rules and 10,000 members, "
                     "over %.1f us without"
                     % (median([p[1] for p in took]),
                        median([p[0] for p in took]))))
    whole_under_policy(bench)


def hundred_rules(members):
    """As ledger_bench's: all are looked at, and none refuses anybody."""
    kinds = ("include", "exclude", "include", "exclude", "max", "borrow",
             "max", "reserve", "queue", "exclude")
    rules = []
    for i in range(100):
        kind = kinds[i % 10]
        rule = {"name": "rule-%d" % i, "kind": kind, "product": PRODUCT,
                "groups": ["strangers" if kind == "exclude" else "holders"]}
        if kind in ("max", "borrow"):
            rule["seats"] = SEATS
        if kind == "max" and i % 10 == 4:
            rule["each"] = "user"
        if kind == "reserve":
            rule["seats"] = 1
        if kind == "queue":
            rule["length"] = 100
        rules.append(rule)
    return {"groups": [
        {"name": "holders", "users": ["user-%d" % i for i in range(members)]},
        {"name": "strangers", "users": ["nobody"]}], "rules": rules}


def whole_under_policy(bench):
    """The same through the daemon. One site, one after the other: a rate that
    somebody else's work held down says nothing, so the best of each counts."""
    rates = {"with": [], "without": []}
    extra = ["--seconds", bench.seconds, "--warm-up", bench.seconds / 5]
    for number in range(bench.rounds):
        with Pinned(bench.server) as world:
            site = BenchSite(world)
            document = {"with": hundred_rules(10000), "without": {}}
            # Neither is always the first.
            for name in sorted(document, reverse=number % 2 == 0):
                path = world.path("policy.json")
                with open(path, "w") as f:
                    json.dump(document[name], f)
                done = site.cli("policy", "apply", path)
                expect(done.status == 0, done.err)
                measure_disk(bench)
                result = load(bench, site, "agents", MAIN, *extra)
                show_once(bench, name + " policy", result)
                rates[name].append(result["per_second"])
    bench.add("checkout_under_policy_%d" % MAIN,
              max(rates["without"]) / max(rates["with"]), "<=", 1.2, "ratio",
              "100 rules and 10,000 members of groups: %.0f/s, and %.0f/s "
              "without; best of %d pairs"
              % (max(rates["with"]), max(rates["without"]), bench.rounds))


def logins(bench):
    for class_ in LOGIN_CLASSES:
        log_in(bench, class_)
    for class_ in LOGIN_CLASSES:
        borrow(bench, class_)
    checkouts_while_logins(bench)


# --- many tenants ----------------------------------------------------------------

TENANTS = 1000


def ask(site, connection, method, path, key, host, body=None):
    """A plain HTTP call over a connection that is kept."""
    connection.request(method, path,
                       None if body is None else json.dumps(body),
                       {"Host": host, "Authorization": "Bearer " + key,
                        "Content-Type": "application/json"})
    answer = connection.getresponse()
    said = json.loads(answer.read())
    expect(answer.status in (200, 201), said)
    return said


def ledger_costs(site):
    """Of the ledger: PSS in KiB, descriptors, and mapped GiB."""
    pid = site.child("ledger")
    with open("/proc/%d/status" % pid) as f:
        size = int(re.search(r"^VmSize:\s+(\d+)", f.read(), re.M).group(1))
    return (pss_kib(pid), len(os.listdir("/proc/%d/fd" % pid)),
            size / (1 << 20))


def connect(site):
    context = ssl.create_default_context(cafile=site.ca)
    return http.client.HTTPSConnection("127.0.0.1", site.port,
                                       context=context)


def started_s(site):
    began = time.monotonic()
    site.start(wait=False)
    while site.cli("--json", "site", "show").status != 0:
        pass
    return time.monotonic() - began


def touch(bench, site, keys):
    """One commit of each tenant: a token is made. Seconds for each."""
    took = []
    connection = connect(site)
    for name, key in keys.items():
        began = time.perf_counter()
        ask(site, connection, "POST", "/api/v1/devices/tokens", key,
            name + ".site.localhost", {"uses": 1, "valid_s": 3600})
        took.append(time.perf_counter() - began)
    return took


def tenants(bench):
    """A thousand of them: quiet, then all open, over one alone."""
    with Pinned(bench.server) as world:
        site = Site(world, hosts=("site.localhost", "127.0.0.1"),
                    config="[tenants]\nidle_s=5\n")
        alone = started_s(site)
        before = ledger_costs(site)
        connection, keys = connect(site), {}
        began = time.monotonic()
        for i in range(TENANTS):
            made = ask(site, connection, "POST", "/api/v1/b2b/tenants",
                       site.key, "site.localhost",
                       {"partnerName": "T%d" % i, "licenseType": "custom"})
            keys[made["tenant"]["tenantId"]] = made["tenant"]["apiSecret"]
        each_ms = (time.monotonic() - began) * 1e3 / TENANTS
        bench.say("  made in %.1f ms each" % each_ms)
        quiet = ledger_costs(site)
        bench.add("tenants_quiet_kib", (quiet[0] - before[0]) / TENANTS, "<=",
                  4, "KiB", "each, of the ledger's memory; descriptors %d to "
                  "%d, maps %.0f to %.0f GiB; made in %.1f ms each"
                  % (before[1], quiet[1], before[2], quiet[2], each_ms))
        opened = touch(bench, site, keys)
        again = touch(bench, site, keys)
        first, one = dict(list(keys.items())[:1]), []
        for _ in range(100):
            one += touch(bench, site, first)
        full = ledger_costs(site)
        bench.add("tenants_open_kib", (full[0] - quiet[0]) / TENANTS, "<=",
                  100, "KiB", "each, while it is open, pages of its file "
                  "among them; %.1f descriptors and %.0f GiB of addresses "
                  "each"
                  % ((full[1] - quiet[1]) / TENANTS,
                     (full[2] - quiet[2]) / TENANTS))
        bench.add("tenants_commit", median(again) / median(one), "<=", 1.5,
                  "ratio", "a commit with %d open, %.2f ms, over the same "
                  "tenant again and again: a tick of the counter comes in "
                  "between, with a row for each; the first use, with its "
                  "opening, %.2f ms" % (TENANTS, median(again) * 1e3,
                               median(opened) * 1e3))
        site.kill()
        took = started_s(site)
        bench.add("tenants_restart_open", took, "<=", 15, "s",
                  "after a kill -9 with all open; %.2f s with one" % alone)
        wait_for(lambda: ledger_costs(site)[1] < before[1] + 40,
                 "they do not close", 180, 1)
        site.stop()
        took = started_s(site)
        bench.add("tenants_restart_quiet", took, "<=", 1, "s",
                  "all quiet, to the first answer; %.2f s with one" % alone)


# --- restart -----------------------------------------------------------------------

def restart(bench):
    took = []
    with Pinned(bench.server) as world:
        site = BenchSite(world)
        site.fill(bench.generator, "agents", MAIN, bench.some)
        site.load(bench.generator, "first", 1, "--seconds", 0.2)
        for _ in range(max(bench.rounds, 3)):
            site.kill()
            with Generator(bench.generator, "load_bench", "--first",
                           *site.options("first", 1)) as generator:
                time.sleep(0.2)
                began = time.clock_gettime(time.CLOCK_BOOTTIME)
                site.start(wait=False)
                granted = json.loads(generator.line(60))["granted_us"] / 1e6
                took.append(granted - began)
                bench.say("  first grant after %.3f s" % took[-1])
            expect(site.wait_ready()["leases"] >= bench.some,
                   "leases were lost")
    bench.add("restart_%d_leases" % bench.some, median(took), "<=", 1.0, "s",
              spread(took, "kill -9 of all, to the first grant"))


# --- the agent and the library -----------------------------------------------------

def agent_pids(agent):
    pids = [agent.child("keeper"), agent.child("uplink")]
    return pids


def agent_added(bench, site, agent):
    """Medians of a checkout through the agent less that of a bare client."""
    added, direct_ms = [], []
    with Generator(bench.generator, "load_bench",
                   *site.options("direct", 1), "--seconds", 0.2) as generator:
        generator.wait(30)  # enrolled
    for _ in range(max(bench.rounds, 3)):
        with Generator(bench.generator, "load_bench",
                       *site.options("direct", 1), "--return", "--seconds",
                       bench.seconds / 2) as generator:
            generator.line(30)
            direct = json.loads(generator.line(60))
        with Generator(bench.generator, "agent_bench", "--vendor-key",
                       site.world.vendor_key, "--socket", agent.socket,
                       "--product", PRODUCT, "--seconds",
                       bench.seconds / 2) as generator:
            generator.line(30)
            through = json.loads(generator.line(60))
        added.append((through["p50_us"] - direct["p50_us"]) / 1e3)
        direct_ms.append(direct["p50_us"] / 1e3)
        bench.say("  checkout: %.3f ms through the agent, %.3f ms without" % (
            through["p50_us"] / 1e3, direct["p50_us"] / 1e3))
    bench.add("agent_added", median(added), "<=", 1.0, "ms",
              spread(added, "over the site's own %.2f ms, medians"
                     % median(direct_ms)))


def agent(bench):
    with Pinned(bench.server) as world:
        site = BenchSite(world)
        agent = Agent(world)
        agent.start()
        agent.enroll(site)
        App(world, agent.socket).wait()
        time.sleep(2)
        pids = agent_pids(agent)
        before = sum(wakeups(pid) for pid in pids)
        began = time.monotonic()
        time.sleep(bench.watch_s)
        rate = ((sum(wakeups(pid) for pid in pids) - before)
                / (time.monotonic() - began) * 60)
        pss = sum(pss_kib(pid) for pid in pids) / 1024
        bench.add("agent_memory", pss, "<=", 10, "MiB",
                  "PSS of keeper and uplink, one application with a seat")
        bench.add("agent_wakeups", rate, "<=", 30, "a minute",
                  "timers of 10, 15 and 30 s and their answers; over %d s"
                  % bench.watch_s)
        agent_added(bench, site, agent)


def library(bench):
    done = subprocess.run(
        ["taskset", "-c", bench.generator, binary("tests/bench/seat_bench")],
        capture_output=True, text=True, timeout=60)
    expect(done.returncode == 0, done.stderr)
    ns = float(re.search(r"([\d.]+) ns", done.stdout).group(1))
    bench.add("lh_seat_valid", ns / 1000, "<=", 1.0, "us", "")


GROUPS = {
    "checkouts": checkouts,
    "http": over_http,
    "latency": latency,
    "leases": leases,
    "idle": idle,
    "logins": logins,
    "tenants": tenants,
    "keys": keys,
    "policy": policy,
    "restart": restart,
    "agent": agent,
    "library": library,
    "month": month.measure,
}
