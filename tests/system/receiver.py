"""Receivers of alerts on loopback: an HTTPS server that can misbehave, a mail
server with STARTTLS and a login, a socket of the system's log."""

import hashlib
import hmac
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading

from harness import expect, wait_for


def make_certificates(world, name="receiver"):
    """(CA, certificate, key) for localhost and 127.0.0.1."""
    def path(what):
        return world.path("%s-%s" % (name, what))

    def quiet(*args):
        subprocess.run(args, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes"]
    with open(path("ext"), "w", encoding="ascii") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    quiet("openssl", "req", "-x509", *new_key, "-keyout", path("ca.key"),
          "-out", path("ca.pem"), "-days", "2", "-subj", "/CN=receivers")
    quiet("openssl", "req", *new_key, "-keyout", path("key.pem"), "-out",
          path("req.pem"), "-subj", "/CN=localhost")
    quiet("openssl", "x509", "-req", "-in", path("req.pem"), "-CA",
          path("ca.pem"), "-CAkey", path("ca.key"), "-set_serial", "7",
          "-days", "2", "-extfile", path("ext"), "-out", path("cert.pem"))
    return path("ca.pem"), path("cert.pem"), path("key.pem")


class Received:
    def __init__(self, path, headers, body):
        self.path = path
        self.headers = headers
        self.body = body
        self.event = json.loads(body) if body else {}

    @property
    def id(self):
        return self.headers["Leasehold-Delivery"]

    def check(self, secret):
        """The signature is of this body, by this secret."""
        parts = dict(part.split("=", 1) for part in
                     self.headers["Leasehold-Signature"].split(","))
        good = hmac.new(secret.encode(),
                        parts["t"].encode() + b"." + self.body,
                        hashlib.sha256).hexdigest()
        expect(hmac.compare_digest(good, parts["v1"]), parts)
        # An alert has the id of its delivery; an invoice's body is the vendor's
        # own, and news for a CRM have an id that is the same for all.
        if "alert" in self.event:
            expect(self.event["id"] == self.id, self.event)


class Receiver:
    """`behave`: what it does with a request: ok, error, hang, redirect,
    huge."""

    def __init__(self, certificates, port=0):
        self.received = []
        self.behave = "ok"
        self.go_on = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers.get("Content-Length", "0"))
                receiver.received.append(Received(
                    self.path, self.headers, self.rfile.read(length)))
                receiver.answer(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler,
                             bind_and_activate=False)
        self.server.allow_reuse_address = True
        self.server.server_bind()
        self.server.server_activate()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates[1], certificates[2])
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True,
            do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.05})
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, handler):
        if self.behave == "hang":
            self.go_on.wait(60)
            return
        status = {"error": 500, "redirect": 302}.get(self.behave, 200)
        size = 10 << 20 if self.behave == "huge" else 2
        handler.send_response(status)
        if status == 302:
            handler.send_header("Location", "https://localhost:%d/else" %
                                self.port)
        handler.send_header("Content-Length", str(size))
        handler.end_headers()
        handler.wfile.write(b"x" * size)

    def url(self, host="localhost"):
        return "https://%s:%d/hook" % (host, self.port)

    def wait(self, n):
        return wait_for(lambda: self.received if len(self.received) >= n
                        else None, "not %d requests" % n, timeout=30)

    def told(self):
        """[(event, kind, about)] of each delivery, once, in the order in
        which they came first."""
        seen, out = set(), []
        for one in list(self.received):
            if one.id not in seen:
                seen.add(one.id)
                out.append((one.event["event"], one.event["alert"]["kind"],
                            one.event["alert"]["about"]))
        return out


class SystemLog:
    def __init__(self, world):
        self.path = world.path("log.socket")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.socket.settimeout(30)

    def line(self):
        return self.socket.recv(65536)

    def close(self):
        self.socket.close()
