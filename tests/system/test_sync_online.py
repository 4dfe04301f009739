#!/usr/bin/python3
"""Reports of a real site to a real hub, over the network: what a file would
have brought, and all that goes wrong on the way."""

import base64
import datetime
import http.server
import json
import socket
import ssl
import sys
import threading
import urllib.error
import urllib.request

from api import Api
from harness import Agent, App, Site, World, expect, main, terms, wait_for
from receiver import make_certificates
from test_hub import ids, order, setting, write
from test_rollback import acknowledge


def at(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class Way:
    """What stands between site and hub on loopback: it can be cut, swallow
    answers, or hang. A partition needs no root."""

    def __init__(self, port):
        self.target = port
        self.mode = "open"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs = []
        self.lock = threading.Lock()
        self.accepted = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.accepted += 1
                mode = self.mode
                self.pairs.append(near)
            if mode == "cut":
                near.close()
            elif mode != "hang":
                self.join(near)

    def join(self, near):
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            near.close()
            return
        with self.lock:
            self.pairs.append(far)
        for a, b, back in ((near, far, False), (far, near, True)):
            threading.Thread(target=self.pump, args=(a, b, back),
                             daemon=True).start()

    def pump(self, a, b, back):
        """An answer that is swallowed ends the connection."""
        handshake = 0
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                # The handshake of TLS is the first flight; the answer is
                # what comes after a report went.
                if back and self.mode == "swallow":
                    handshake += 1
                    if handshake > 1:
                        break
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def set(self, mode):
        """From now on, also for what is open."""
        with self.lock:
            self.mode = mode
            pairs, self.pairs = self.pairs, []
        if mode != "swallow":
            for s in pairs:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()


class Net:
    """A hub, a way to it, and a site of its customer with overage in use."""

    def __init__(self, world, seats=3, interval=0, more="", tell=True,
                 sync=None, ca=None):
        self.world = world
        self.hub, self.api = setting(world)
        self.way = Way(self.hub.port)
        self.address = "https://127.0.0.1:%d" % self.way.port
        document = order(commit=1, overage=9)
        if tell:
            document["sync"] = dict({"reports": True, "hub": self.address},
                                    **(sync or {}))
        made = self.api.ask("POST", "/api/v1/licenses/generate", document)
        expect(made.status == 201, made)
        self.site = Site(world, config="[courier]\nallow=127.0.0.0/8\n"
                         "[sync]\ninterval_s=%d\nca=%s\nretry_s=1\n"
                         "retry_most_s=2\n%s" % (interval, ca or self.hub.ca, more))
        self.site.start()
        request = write(world, "plant.request", self.site.request())
        self.at(self.hub, "hub", "site", "add", request, "--customer",
                "ACC-98765")
        package = world.path("plant.lic")
        self.at(self.hub, "hub", "license", "package", ids(), package)
        self.at(self.site, "license", "install", package)
        self.agent = Agent(world)
        self.agent.start()
        self.agent.enroll(self.site)
        self.apps = [self.seat() for _ in range(seats)]

    def at(self, where, *args, status=0):
        done = where.cli(*args)
        expect(done.status == status, (args, done.status, done.out, done.err))
        return done

    def seat(self):
        app = App(self.world, self.agent.socket)
        app.wait()
        expect(app.lease, app.errors())
        return app

    def api_of_site(self, method, path, body):
        return Api(self.site).ask(method, path, body).json()

    def now(self, status=0):
        return self.at(self.site, "sync", "now", status=status)

    def status(self):
        done = self.at(self.site, "--json", "sync", "status")
        return done.json()["items"][0]

    def seen(self):
        """The site, as the hub has it."""
        return self.api.get("/api/v1/hub/sites").json()["items"][0]

    def until(self, what, why, timeout=60):
        return wait_for(lambda: what(self.status()), why, timeout)


def a_report_goes_and_its_receipt_comes_by_itself():
    with World() as world:
        net = Net(world, interval=1)
        net.until(lambda s: s["acknowledged"] > 0, "nothing was taken")
        wait_for(lambda: net.seen().get("seats", 0) == 2, "not all seats came")
        net.apps.append(net.seat())
        wait_for(lambda: net.seen().get("seats", 0) == 3, "the new seat did not come")
        shown = net.status()
        expect(shown["hub"] == net.address, shown)
        expect("failed" not in shown or shown["failed"] == "", shown)


def now_means_now_and_changes_come_back():
    with World() as world:
        net = Net(world)
        out = net.now().out
        expect("taken up to report" in out, out)
        expect(net.seen().get("seats", 0) == 2, net.seen())
        before = net.status()["acknowledged"]
        net.at(net.hub, "hub", "license", "suspend", ids())
        net.now()
        expect(net.status()["acknowledged"] > before, net.status())
        shown = net.at(net.site, "license", "list").out
        expect("suspended" in shown, shown)



def while_the_hub_is_away_seats_are_given_and_nothing_is_lost():
    with World() as world:
        net = Net(world, interval=1)
        net.until(lambda s: s["acknowledged"] > 0, "nothing was taken")
        net.way.set("cut")
        net.until(lambda s: s.get("failures", 0) >= 3, "no try failed")
        alerts = net.at(net.site, "alerts", "list").out
        expect("hub came to nothing" in alerts, alerts)
        shown = net.at(net.site, "sync", "status").out
        expect("in a row" in shown and "next try" in shown, shown)
        net.apps.append(net.seat())
        # A restart in the middle of it.
        net.site.stop()
        net.site.start()
        net.agent.wait_connected()
        net.apps.append(net.seat())
        net.way.set("open")
        wait_for(lambda: net.seen().get("seats", 0) == 4, "seats are missing", 60)
        net.until(lambda s: s.get("failures", 0) == 0, "it goes on failing")
        expect(net.seen().get("refused", 0) == 0, net.seen())


def no_grant_waits_for_a_hub_that_hangs():
    with World() as world:
        net = Net(world, more="timeout_s=600\n")
        net.way.set("hang")
        started = net.api_of_site("POST", "/api/v1/sync/now", {})
        expect(started["vendors"] == 1, started)
        wait_for(lambda: net.way.accepted > 0, "the hub is not asked")
        # As many as are given while it is under way: all of them.
        for _ in range(3):
            net.apps.append(net.seat())
        expect(net.status().get("under_way"), net.status())
        net.way.set("open")
        net.until(lambda s: not s.get("under_way"), "it hangs for good")
        net.now()
        expect(net.seen().get("seats", 0) == 5, net.seen())


def an_answer_that_was_lost_counts_nothing_twice():
    with World() as world:
        net = Net(world)
        net.way.set("swallow")
        done = net.now(status=1)
        expect("stays in the journal" in done.err, done.err)
        wait_for(lambda: net.seen().get("sequence") == 1, "it did not come")
        expect(net.status()["acknowledged"] == 0, net.status())
        net.apps.append(net.seat())
        net.way.set("open")
        net.now()
        expect(net.seen().get("seats", 0) == 3, net.seen())
        expect(net.status()["acknowledged"] == 2, net.status())
        expect(net.seen().get("refused", 0) == 0, net.seen())


def a_hub_that_was_put_back_hears_it_all_again_by_itself():
    with World() as world:
        net = Net(world, interval=1)
        net.until(lambda s: s["acknowledged"] > 0, "nothing was taken")
        net.hub.stop()
        copy = net.hub.snapshot()
        net.hub.start()
        before = net.seen().get("seats", 0)
        for _ in range(2):
            at = net.status()["acknowledged"]
            net.apps.append(net.seat())
            net.until(lambda s: s["acknowledged"] > at, "nothing more")
        expect(net.seen()["seats"] == before + 2, net.seen())
        net.hub.stop()
        net.hub.put_back(copy)
        net.hub.start()
        # Nothing is taken there before an admin says so, nor is it lost.
        net.until(lambda s: s.get("failures", 0) >= 1, "it did not try")
        account = net.hub.url, net.hub.key
        net.hub.url, net.hub.key = net.hub.home, net.hub.home_key
        acknowledge(net.hub)
        net.hub.url, net.hub.key = account
        net.until(lambda s: s.get("again_at") and not s.get("failures"),
                  "the site does not go on")
        wait_for(lambda: net.seen().get("seats", 0) == before + 2,
                 "seats are missing", 60)
        expect("is reported again" in net.site.log(), "nobody says so")


def the_hub_knows_who_speaks():
    with World() as world:
        net = Net(world)
        path = world.path("one.sync")
        net.at(net.site, "sync", "export", path)
        with open(path, "rb") as f:
            report = base64.urlsafe_b64encode(
                f.read()).decode().rstrip("=")
        mine = make_certificates(world, "stranger")[1:]
        words = "v4.public.AAAA"
        for certificate, vendor, line, status, code in (
                (None, "vector", words, 401, "unauthenticated"),
                (mine, "vector", words, 400, "bad_request"),
                (mine, "nobody", words, 404, "not_found"),
                (None, None, words, 404, "not_found")):
            said, problem = post(net.hub, certificate, vendor,
                                 {"line": line, "file": report})
            expect(said == status and problem["code"] == code,
                   (certificate, vendor, said, problem))
        # Nothing of it was counted, and the site's own goes through.
        expect(net.seen().get("sequence", 0) == 0, net.seen())
        net.now()
        expect(net.seen()["sequence"] == 1, net.seen())


class Thief(http.server.BaseHTTPRequestHandler):
    """Passes for a hub with the certificate that the site trusts, and keeps
    what comes."""

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        self.server.kept = json.loads(self.rfile.read(size))
        answer = b'{"hello":"world"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Busy(Thief):
    """A hub that has taken enough for now."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = (b'{"type":"urn:leasehold:problem:rate_limited","title":"",'
                  b'"status":429,"code":"rate_limited","detail":"enough"}')
        self.send_response(429)
        self.send_header("Retry-After", "1200")
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def serve(world, kind):
    """What passes for a hub; its CA, certificate and key."""
    ca, certificate, key = make_certificates(world, "thief")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, ca, certificate, key


def a_hub_that_asks_to_wait_is_waited_for_and_nobody_is_told():
    with World() as world:
        server, ca, _, _ = serve(world, Busy)
        net = Net(world, tell=False, ca=ca, interval=1,
                  more="hub=https://127.0.0.1:%d\n" % server.server_port)
        status = net.until(lambda s: s.get("failed") and s, "it did not try")
        expect("rate_limited: enough" in status["failed"] and
               not status.get("failures"), status)
        left = at(status["next_try_at"]) - at(status["tried_at"])
        expect(1190 < left.total_seconds() < 1300, status)
        shown = net.at(net.site, "sync", "status").out
        expect("waits         as the hub asked" in shown, shown)
        alerts = net.at(net.site, "alerts", "list").out
        expect("came to nothing" not in alerts, alerts)
        server.shutdown()
        server.server_close()


def what_is_taken_from_a_site_is_of_no_use_to_another():
    with World() as world:
        server, ca, certificate, key = serve(world, Thief)
        net = Net(world, tell=False, ca=ca,
                  more="hub=https://127.0.0.1:%d\n" % server.server_port)
        # An answer that is none of a hub's changes nothing.
        done = net.now(status=1)
        expect("not as a hub does" in done.err, done.err)
        expect(net.status()["acknowledged"] == 0, net.status())
        kept = server.kept
        for change, certificate, status, code in (
                ({}, (certificate, key), 403, "certificate_not_allowed"),
                ({}, None, 401, "unauthenticated"),
                ({"line": kept["line"][:-60] + "A" * 60}, (certificate, key),
                 403, "certificate_not_allowed")):
            said, problem = post(net.hub, certificate, "vector",
                                 dict(kept, **change))
            expect(said == status and problem["code"] == code,
                   (change, said, problem))
        expect(net.seen().get("sequence", 0) == 0, net.seen())
        server.shutdown()
        server.server_close()


def a_hub_of_another_authority_gets_nothing():
    with World() as world:
        ca = make_certificates(world, "other")[0]
        net = Net(world, more="", ca=ca)
        done = net.now(status=1)
        expect("certificate" in done.err, done.err)
        expect(net.seen().get("sequence", 0) == 0, net.seen())


def a_site_that_the_hub_does_not_know_is_told_so():
    with World() as world:
        net = Net(world)
        other = Site(world, "other", config="[sync]\nhub=%s\nca=%s\n" % (
            net.address, net.hub.ca))
        other.start()
        other.install(terms(commit=1, overage=9))
        done = other.cli("sync", "now")
        expect(done.status == 1 and "not_found" in done.err, done.err)


def without_a_hub_it_goes_by_file():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        done = site.cli("sync", "now")
        expect(done.status == 1 and "sync export" in done.err, done.err)


def post(hub, certificate, vendor, body):
    """(status, answer) of a report that a stranger brings."""
    context = ssl.create_default_context(cafile=hub.ca)
    if certificate is not None:
        context.load_cert_chain(*certificate)
    headers = {"Content-Type": "application/json"}
    if vendor is not None:
        headers["X-Vendor-ID"] = vendor
    asked = urllib.request.Request(hub.home + "/api/v1/sync/report",
                                   json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(asked, context=context,
                                    timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


if __name__ == "__main__":
    sys.exit(main([
        a_report_goes_and_its_receipt_comes_by_itself,
        now_means_now_and_changes_come_back,
        while_the_hub_is_away_seats_are_given_and_nothing_is_lost,
        no_grant_waits_for_a_hub_that_hangs,
        an_answer_that_was_lost_counts_nothing_twice,
        a_hub_that_was_put_back_hears_it_all_again_by_itself,
        the_hub_knows_who_speaks,
        a_hub_that_asks_to_wait_is_waited_for_and_nobody_is_told,
        what_is_taken_from_a_site_is_of_no_use_to_another,
        a_hub_of_another_authority_gets_nothing,
        a_site_that_the_hub_does_not_know_is_told_so,
        without_a_hub_it_goes_by_file,
    ]))
