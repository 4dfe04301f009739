#!/usr/bin/python3
"""`leasehold status`: every cause of trouble that can be made with real
programs has its sentence, its next command and its exit status."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

from harness import (AS_ROOT, PRODUCT, Agent, App, Site, World, binary, expect,
                     main, run, stop_process, terms, wait_for)
from terminal import Terminal

LEASEHOLD = binary("leasehold")
WELL, NO_AGENT, REFUSED, UNREACHED = 0, 1, 3, 4


def verdict(agent):
    return agent.status().get("verdict", {})


def becomes(agent, code, status, *words, timeout=25):
    """Wait for a verdict; then what people read of it."""
    wait_for(lambda: verdict(agent).get("code") == code,
             "%s does not become %s" % (verdict(agent), code), timeout, 0.05)
    found = verdict(agent)
    expect(found["status"] == status and found["ok"] == (status == WELL),
           found)
    shown = agent.cli("status")
    lines = shown.out.splitlines()
    expect(lines[0].startswith("ok: " if status == WELL else "problem: "),
           shown.out)
    if verdict(agent).get("code") != code:
        return found  # it went on meanwhile
    expect(shown.status == status, "exit status %d: %s"
           % (shown.status, shown.out))
    expect(shown.err == "", shown.err)
    for word in words:
        expect(word in shown.out, "no %r in: %s" % (word, shown.out))
    if status != WELL:
        expect(found["meaning"] and found["next"], found)
        expect(lines[2].startswith("  next    "), shown.out)
    return found


def enrolled(world, config="", name="agent"):
    site = Site(world, config=config)
    site.start()
    agent = Agent(world, name)
    agent.start()
    agent.enroll(site)
    return site, agent


def move(agent, **changes):
    """The agent's enrolment as if it had been made elsewhere."""
    agent.stop()
    path = os.path.join(agent.state, "site.json")
    with open(path) as f:
        facts = json.load(f)
    facts.update(changes)
    with open(path, "w") as f:
        json.dump(facts, f)
    agent.start()


def no_agent_is_status_1():
    with World() as world:
        done = run(LEASEHOLD, "status", "--socket", world.path("none"))
        expect(done.status == NO_AGENT and done.out == "", done.out)
        expect("leasehold-agent" in done.err and "--socket" in done.err,
               done.err)
        # No unit is shipped: nobody is sent to look for one.
        for word in ("systemctl", "journalctl"):
            expect(word not in done.err, done.err)


def an_enrolled_workstation_is_well():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(grace_s=300))
        agent = Agent(world)
        agent.start()
        becomes(agent, "not_enrolled", REFUSED, "leasehold join create",
                "leasehold enroll URL --token TOKEN")
        agent.enroll(site)
        app = App(world, agent.socket)
        app.wait()
        becomes(agent, "ok", WELL, "site site is reached; 1 lease is held",
                site.url, "device-1", "class software", "reached since",
                "its certificate ends at", "lease-1", PRODUCT, "8.1.0",
                "commit", "app_tool", str(app.process.pid), "5 min")
        said = agent.status()
        held = said["held"][0]
        expect(held["count"] == 1 and held["grace_s"] == 300 and
               0 < held["left_s"] <= 60, held)
        expect(said["connected"] and said["site_name"] == "site" and
               said["certificate_end"] > "2026", said)
        expect(abs(said.get("clock_ahead_ms", 0)) < 30000, said)
        expect(said["waiting"] == [] and said["warnings"] == [], said)


def a_waiting_question_is_shown():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(commit=1, overage=0))
        agent = Agent(world)
        agent.start()
        agent.enroll(site)
        App(world, agent.socket).wait()
        waiter = world.start("waiter", [
            LEASEHOLD, "checkout", PRODUCT, "--version", "8.1.0", "--wait",
            "90s", "--socket", agent.socket])
        waits = wait_for(lambda: agent.status().get("waiting"),
                         "nobody waits")[0]
        expect(waits["product"] == PRODUCT and waits["pid"] == waiter.pid and
               0 < waits["left_s"] <= 90, waits)
        shown = wait_for(
            lambda: [line for line in agent.cli("status").out.splitlines()
                     if "place 1 of 1" in line], "no place is shown")
        expect(PRODUCT in shown[0] and str(waiter.pid) in shown[0], shown)
        listed = site.cli("leases")
        row = next(line for line in listed.out.splitlines()
                   if line.startswith(PRODUCT))
        expect(row.split()[1:10] == "1 of 1 1 of 1 0 of 0".split(), row)
        expect(row.split()[10] == "1", row)


def nobody_listens():
    with World() as world:
        site, agent = enrolled(world)
        site.stop()
        becomes(agent, "connection_refused", UNREACHED, "nothing listens",
                "leaseholdd --check-config", "not reached since")
        site.start()
        becomes(agent, "ok", WELL)


def the_name_leads_nowhere():
    with World() as world:
        site, agent = enrolled(world)
        host = "leasehold.invalid"
        move(agent, host=host, url="https://%s:%d" % (host, site.port))
        becomes(agent, "name_not_found", UNREACHED, "getent hosts " + host)


def there_is_no_way():
    with World() as world:
        if not AS_ROOT or run("unshare", "-n", "true").status != 0:
            return "needs root and network namespaces"
        _, agent = enrolled(world)
        agent.stop()
        agent.process = world.start("apart", [
            "unshare", "-n", binary("leasehold-agent"), "--config",
            agent.config])
        becomes(agent, "no_route", UNREACHED, "no way to 127.0.0.1",
                "ip route get")


class Listener:
    """Somebody else on the site's port."""

    def __init__(self, port, answer):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.socket.listen(16)
        self.answer = answer
        self.kept = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                conn = self.socket.accept()[0]
            except OSError:
                return
            if self.answer is None:
                self.kept.append(conn)
                continue
            conn.recv(4096)
            conn.sendall(self.answer)
            conn.close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for conn in self.kept:
            conn.close()


def others_answer_there():
    with World() as world:
        site, agent = enrolled(world)
        site.stop()
        listener = Listener(site.port, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        becomes(agent, "not_a_site", UNREACHED, "speaks no TLS",
                "curl -k " + site.url)
        listener.close()
        listener = Listener(site.port, None)
        becomes(agent, "no_answer", UNREACHED, "firewall", timeout=60)
        listener.close()


def another_site_has_another_ca():
    with World() as world:
        site, agent = enrolled(world)
        site.stop()
        other = Site(world, "other")
        with open(other.config) as f:
            config = f.read()
        with open(other.config, "w") as f:
            f.write(config.replace(str(other.port), str(site.port)))
        other.start(wait=False)
        becomes(agent, "certificate_unknown", UNREACHED,
                "Another machine answers", "leasehold join create",
                "leasehold enroll %s" % site.url)


def forge(site, days, names):
    """A certificate of the site's own CA, with these days and names."""
    tls = os.path.join(site.state, "tls")
    at = site.world.path("forged")
    os.makedirs(at, exist_ok=True)
    with open(os.path.join(at, "ext"), "w") as f:
        f.write("subjectAltName=%s\nextendedKeyUsage=serverAuth\n"
                "basicConstraints=CA:FALSE\n" % names)
    for words in (["ecparam", "-genkey", "-name", "prime256v1", "-noout",
                   "-out", "key"],
                  ["req", "-new", "-key", "key", "-subj", "/CN=x", "-out",
                   "csr"],
                  ["x509", "-req", "-in", "csr", "-CA", tls + "/ca.pem",
                   "-CAkey", tls + "/ca.key", "-CAcreateserial", "-CAserial",
                   "serial", "-days", str(days), "-extfile", "ext", "-out",
                   "pem"]):
        done = run("openssl", *words, cwd=at)
        expect(done.status == 0, done.err)
    with open(tls + "/server.pem", "w") as f:
        f.write(open(at + "/pem").read() + open(tls + "/ca.pem").read())
    shutil.copyfile(at + "/key", tls + "/server.key")


def certificates_are_told_apart():
    with World() as world:
        site, agent = enrolled(world)
        site.stop()
        forge(site, -1, "IP:127.0.0.1")
        site.start(wait=False)
        becomes(agent, "certificate_expired", UNREACHED, "has expired",
                "date -u", "leaseholdd certificate --host 127.0.0.1")
        site.stop()
        forge(site, 90, "DNS:other.example")
        site.start(wait=False)
        becomes(agent, "certificate_name", UNREACHED,
                "is not for 127.0.0.1", "leaseholdd certificate")
        site.stop()
        forge(site, 5, "IP:127.0.0.1")
        site.start()
        becomes(agent, "ok", WELL, "warning: the site's certificate ends in",
                "leaseholdd certificate")
        # What the hint says is true.
        made = run(binary("leaseholdd"), "certificate", "--state",
                   site.state, "--host", "127.0.0.1")
        expect(made.status == 0, made.err)
        site.process.send_signal(signal.SIGHUP)
        agent.stop()
        agent.start()
        wait_for(lambda: agent.status().get("warnings") == [] and
                 verdict(agent).get("ok"), "the warning stays")


def a_site_that_was_put_back_is_named():
    with World() as world:
        site, agent = enrolled(world)
        site.stop()
        copy = site.snapshot()
        site.start()
        site.install(terms())
        agent.wait_connected()
        app = App(world, agent.socket)
        app.wait()
        app.stop()
        site.stop()
        agent.stop()
        site.put_back(copy)
        site.start()
        agent.start()
        found = becomes(agent, "rolled_back", REFUSED, "was seen",
                        "leasehold site show")
        expect("batch" in found["summary"], found)


def a_device_that_the_site_shut_out_is_told():
    with World() as world:
        site, agent = enrolled(world)
        done = site.cli("device", "revoke", "device-1", "--reason",
                        "was stolen")
        expect(done.status == 0, done.err)
        becomes(agent, "device_revoked", REFUSED, "needs a new key",
                "was stolen",
                "leasehold enroll " + site.url)
        # What it says to do works, and nothing less does.
        again = agent.cli("enroll", site.url, "--token", site.token())
        expect(again.status == REFUSED and "--new-key" in again.err,
               again.err)
        again = agent.cli("enroll", site.url, "--token", site.token(),
                          "--new-key")
        expect(again.status == WELL, again.err)
        becomes(agent, "ok", WELL, "device-2")


def a_device_that_waits_for_approval_is_told():
    with World() as world:
        site = Site(world)
        site.start()
        agent = Agent(world)
        agent.start()
        token = site.cli("join", "create").out.strip()
        done = agent.cli("enroll", site.url, "--token", token)
        expect(done.status == 0, done.err)
        found = becomes(agent, "pending", REFUSED,
                        "waits for an admin's approval")
        words = found["next"].split(": ")[1].split()
        expect(words[:3] == ["leasehold", "device", "approve"], found)
        done = site.cli(*words[1:])  # as it says
        expect(done.status == 0, done.err)
        becomes(agent, "ok", WELL)


def a_device_that_the_site_forgot_is_told():
    with World() as world:
        site = Site(world)
        site.start()
        site.stop()
        run("cp", "-a", site.state, world.path("copy"))
        site.start()
        agent = Agent(world)
        agent.start()
        agent.enroll(site)
        site.stop()
        run("rm", "-rf", site.state)
        run("cp", "-a", world.path("copy"), site.state)
        site.start()
        becomes(agent, "unknown_device", REFUSED, "knows no device",
                "leasehold enroll " + site.url)


def a_copied_key_is_noticed():
    with World() as world:
        _, agent = enrolled(world)
        agent.stop()
        copy = Agent(world, "copy")
        run("cp", "-a", agent.state, copy.state)
        agent.start()
        agent.wait_connected()
        copy.start()
        wait_for(lambda: verdict(copy).get("code") in
                 ("bad_proof", "session_replaced") or
                 verdict(agent).get("code") in
                 ("bad_proof", "session_replaced"), "nobody notices", 30)
        told = agent if not verdict(agent).get("ok") else copy
        shown = told.cli("status")
        expect(shown.status == REFUSED or verdict(told).get("ok"), shown.out)


def a_missing_uplink_is_told():
    with World() as world:
        _, agent = enrolled(world)
        uplink = agent.child("uplink")
        agent.process.send_signal(signal.SIGSTOP)
        os.kill(uplink, signal.SIGKILL)
        try:
            becomes(agent, "no_uplink", UNREACHED, "starts it again")
        finally:
            agent.process.send_signal(signal.SIGCONT)
        becomes(agent, "ok", WELL)


def a_full_disk_of_the_site_is_told():
    with World() as world:
        if not AS_ROOT:
            return "needs root for a small file system"
        small = world.path("small")
        os.mkdir(small)
        if run("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs",
               small).status != 0:
            return "no file system can be mounted here"
        try:
            full_disk(world, small)
        finally:
            for process in reversed(world.started):
                stop_process(process)
            run("umount", small)


def full_disk(world, small):
    site = Site(world)
    run("cp", "-a", site.state, small)
    with open(site.config) as f:
        config = f.read()
    with open(site.config, "w") as f:
        f.write(config.replace("state=" + site.state,
                               "state=%s/site" % small))
    site.state = small + "/site"
    site.start()
    site.install(terms())
    agent = Agent(world)
    agent.start()
    agent.enroll(site)
    filler = os.open(os.path.join(site.state, "filler"),
                     os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(filler, b"x" * 4096)
    except OSError:
        os.close(filler)
    apps = []

    def refused_one():
        apps.append(App(world, agent.socket, name="full%d" % len(apps)))
        apps[-1].wait()
        return verdict(agent).get("code") == "site_fault"
    wait_for(refused_one, "the disk does not fill", 30)
    becomes(agent, "site_fault", UNREACHED, "cannot write", "df -h")
    os.unlink(os.path.join(site.state, "filler"))

    def granted_one():
        apps.append(App(world, agent.socket, name="room%d" % len(apps)))
        apps[-1].wait()
        return verdict(agent).get("ok")
    wait_for(granted_one, "the site does not recover", 30, 0.2)


def it_is_watched_in_place():
    with World() as world:
        site, agent = enrolled(world)
        site.install(terms())
        with Terminal([LEASEHOLD, "status", "--watch", "1", "--socket",
                       agent.socket], rows=30, columns=100) as term:
            term.wait("0 leases are held")
            expect("\033[?1049h" in term.raw, "no screen of its own")
            app = App(world, agent.socket)
            app.wait()
            term.wait("1 lease is held")
            expect("lease-1" in term.screen(), term.screen())
            site.stop()
            term.wait("problem: the site is not reached")
            term.resize(12, 60)
            term.wait("more lines do not fit")
            expect(all(len(line) <= 60 for line in
                       term.screen().splitlines()), term.screen())
            term.type("q")
            expect(term.wait_end() == UNREACHED, "status %s" % term.status)
            expect(term.raw.endswith("\033[?1049l"), repr(term.raw[-40:]))
            expect(term.is_sane(), "the terminal is left without echo")


def it_repeats_without_a_terminal():
    with World() as world:
        _, agent = enrolled(world)
        process = subprocess.Popen(
            [LEASEHOLD, "status", "--watch=1", "--socket", agent.socket],
            stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        lines = []
        while sum(line.startswith("ok: ") for line in lines) < 2:
            lines.append(process.stdout.readline())
            expect(lines[-1] != "", lines)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        expect(process.wait(10) == WELL, process.returncode)
        expect("\033" not in "".join(lines), lines)
        # And ends when nobody reads.
        process = subprocess.Popen(
            [LEASEHOLD, "status", "--watch=1", "--socket", agent.socket],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        process.stdout.readline()
        process.stdout.close()
        process.wait(20)


def tones_are_for_terminals_that_want_them():
    with World() as world:
        _, agent = enrolled(world)
        args = [LEASEHOLD, "status", "--socket", agent.socket]
        expect("\033" not in run(*args).out, "tones in a pipe")
        for env, toned in (({}, True), ({"NO_COLOR": "1"}, False),
                           ({"TERM": "dumb"}, False)):
            with Terminal(args, env=env) as term:
                expect(term.wait_end() == WELL, term.raw)
                expect(("\033[32m" in term.raw) == toned,
                       "%s: %r" % (env, term.raw))


if __name__ == "__main__":
    sys.exit(main([
        no_agent_is_status_1,
        an_enrolled_workstation_is_well,
        a_waiting_question_is_shown,
        nobody_listens,
        the_name_leads_nowhere,
        there_is_no_way,
        others_answer_there,
        another_site_has_another_ca,
        certificates_are_told_apart,
        a_site_that_was_put_back_is_named,
        a_device_that_the_site_shut_out_is_told,
        a_device_that_waits_for_approval_is_told,
        a_device_that_the_site_forgot_is_told,
        a_copied_key_is_noticed,
        a_missing_uplink_is_told,
        a_full_disk_of_the_site_is_told,
        it_is_watched_in_place,
        it_repeats_without_a_terminal,
        tones_are_for_terminals_that_want_them,
    ]))
