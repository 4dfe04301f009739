#!/usr/bin/python3
"""The daemon itself: configuration, ports, stores, signals, the open plane."""

import http.client
import json
import os
import signal
import socket
import ssl
import sys
import time

from harness import (Agent, App, World, Site, binary, expect, free_port, main,
                     run, terms, wait_for)


def a_misspelt_key_is_named():
    with World() as world:
        site = Site(world, config="[limits]\nconections=5\n")
        done = run(binary("leaseholdd"), "--config", site.config)
        expect(done.status == 2, "status %d" % done.status)
        expect("conections" in done.err and "connections" in done.err,
               done.err)
        with open(site.config) as f:
            line = f.read().splitlines().index("conections=5") + 1
        expect(":%d" % line in done.err, done.err)


def a_port_in_use_is_said():
    with World() as world:
        site = Site(world)
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", site.port))
            taken.listen()
            done = run(binary("leaseholdd"), "--config", site.config)
        expect(done.status == 1, "status %d" % done.status)
        expect(str(site.port) in done.err and "in use" in done.err, done.err)


def two_daemons_on_one_store():
    with World() as world:
        site = Site(world)
        site.start()
        config = world.path("second.ini")
        with open(site.config) as f, open(config, "w") as g:
            g.write(f.read().replace("port=%d" % site.port, "port=%d" % free_port()))
        done = run(binary("leaseholdd"), "--config", config)
        expect(done.status == 1, "status %d" % done.status)
        expect("another" in done.err, done.err)
        expect(site.ready(), "the first was disturbed")


def init_twice_is_refused():
    with World() as world:
        site = Site(world)
        again = run(binary("leasehold"), "site", "init", "--state",
                    site.state, "--name", "x", "--host", "127.0.0.1")
        expect(again.status == 1, "status %d" % again.status)
        expect(site.state in again.err, again.err)


def wait_for_words(path, words):
    def there():
        with open(path, errors="replace") as f:
            return words in f.read()
    wait_for(there, "the log says %r" % words)


def https(site, method, path, body=None, headers=None, key=None):
    context = ssl.create_default_context(cafile=site.ca)
    connection = http.client.HTTPSConnection("127.0.0.1", site.port,
                                             context=context, timeout=10)
    all_headers = {"Authorization": "Bearer " + (key or site.key)}
    all_headers.update(headers or {})
    connection.request(method, path, body, all_headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


def the_api_refuses_by_default():
    with World() as world:
        site = Site(world)
        site.start()
        answer, data = https(site, "GET", "/healthz")
        expect(answer.status == 200, data)
        answer, data = https(site, "GET", "/readyz")
        expect(answer.status == 200, data)
        answer, data = https(site, "GET", "/api/v1/openapi.json")
        document = json.loads(data)
        expect(document["openapi"].startswith("3.1"), data[:100])
        expect("/api/v1/leases/{lease}" in document["paths"], "paths")
        for key in ("clsk_default_" + "A" * 43, "rubbish", site.key[:-1],
                    site.key + "A"):
            answer, data = https(site, "GET", "/api/v1/site", key=key)
            problem = json.loads(data)
            expect(answer.status == 401, "%s: %s" % (key, data))
            expect(problem["code"] == "unauthenticated", problem)
            expect(answer.headers["Content-Type"].startswith(
                "application/problem+json"), "content type")
        cases = [
            ("GET", "/api/v1/nothing", None, 404),
            ("PUT", "/api/v1/leases", None, 405),
            ("GET", "/api/v1/leases/x", None, 400),
            ("GET", "/api/v1/leases/99", None, 404),
            ("GET", "/api/v1/leases?limt=1", None, 400),
            ("GET", "/api/v1/leases?limit=1&limit=2", None, 400),
            ("GET", "/../etc/passwd", None, 404),
            ("POST", "/api/v1/devices/tokens", "{", 400),
            ("POST", "/api/v1/devices/tokens", '{"uses": -1}', 400),
            ("POST", "/api/v1/devices/tokens", '{"uses": 1e6}', 400),
            ("POST", "/api/v1/devices/tokens", '{"use": 1}', 400),
            ("POST", "/api/v1/devices/tokens", "[" * 5000, 400),
        ]
        for method, path, body, status in cases:
            answer, data = https(
                site, method, path, body,
                {"Content-Type": "application/json"} if body else {})
            expect(answer.status in (status, 410 if status == 404 else status),
                   "%s %s: %d %s" % (method, path, answer.status, data[:200]))
        answer, data = https(site, "POST", "/api/v1/devices/tokens", "{}",
                             {"Content-Type": "text/plain"})
        expect(answer.status == 415, answer.status)
        expect(site.ready(), "the site is gone")


def plain_bytes_get_no_plain_answer():
    with World() as world:
        site = Site(world)
        site.start()
        with socket.create_connection(("127.0.0.1", site.port), 5) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            s.settimeout(5)
            try:
                answer = s.recv(4096)
            except (ConnectionResetError, socket.timeout):
                answer = b""
            expect(b"HTTP" not in answer, answer)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname = False
        old.verify_mode = ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            with socket.create_connection(("127.0.0.1", site.port), 5) as s:
                old.wrap_socket(s)
            raise AssertionError("TLS 1.2 was spoken")
        except (ssl.SSLError, ConnectionResetError):
            pass


def sigterm_drains_and_stops_clean():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        expect(site.stop() == 0, "its exit status")
        site.start()
        tail = site.cli("--json", "audit", "tail", "-n", "1")
        rows = [json.loads(line) for line in tail.out.splitlines()]
        started = [r for r in rows if r["kind"] == "site.started"
                   or r["kind"] == "started"]
        expect(started and started[-1]["fact"].get("clean") is True, rows)
        site.kill()
        site.start()
        tail = site.cli("--json", "audit", "tail", "-n", "1")
        rows = [json.loads(line) for line in tail.out.splitlines()]
        expect(rows[-1]["fact"].get("clean") is not True, rows)


def sighup_keeps_everything_running():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        agent = Agent(world)
        agent.start()
        agent.enroll(site)
        app = App(world, agent.socket)
        lease = app.wait()["lease"]
        site.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        site.wait_ready()
        agent.wait_connected()
        expect([l["lease"] for l in site.leases()] == [lease], "lease lost")


def processes_hold_no_more_than_they_should():
    if os.geteuid() != 0:
        return "needs root: as a user there is nothing to drop"
    with World() as world:
        site = Site(world)
        site.start()
        for name, uid in (("ledger", 1), ("front", 65534)):
            with open("/proc/%d/status" % site.child(name)) as f:
                status = dict(line.split(":", 1) for line in f)
            expect(set(status["Uid"].split()) == {str(uid)},
                   name + status["Uid"])
            expect(status["NoNewPrivs"].strip() == "1", name)
            expect(int(status["CapEff"], 16) == 0, name + status["CapEff"])
            expect(status["Seccomp"].strip() == "2", name)
            expect(status["Groups"].split() in ([], [str(uid)]),
                   name + status["Groups"])


if __name__ == "__main__":
    sys.exit(main([
        a_misspelt_key_is_named,
        a_port_in_use_is_said,
        two_daemons_on_one_store,
        init_twice_is_refused,
        the_api_refuses_by_default,
        plain_bytes_get_no_plain_answer,
        sigterm_drains_and_stops_clean,
        sighup_keeps_everything_running,
        processes_hold_no_more_than_they_should,
    ]))
