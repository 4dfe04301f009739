"""What the attacks share: the report, a client of a site that knows the
protocol and keeps none of its rules, and machines whose proofs it makes.

A test is one attack. Its docstring says what the attacker has, tries and gets,
each in one line or a few:

    Has: ...
    Tries: ...
    Gets: ...

Where he gains something, the test returns gains("..."), with what it measured.
Before a refusal is believed, the same test shows that the honest way works.
"""

import base64
import ctypes
import hashlib
import inspect
import json
import os
import re
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                ".."))

from harness import (AS_ROOT, PRODUCT, SLOW, Agent, App, Failure, Site, World,  # noqa
                     binary, expect, run, terms, wait_for)
import hostile  # noqa
from line import Line as LocalLine  # noqa
from tpms import Tpm, tpm_config  # noqa

# What every attack needs comes from here.
__all__ = ["AS_ROOT", "World", "wait_for", "LocalLine", "tpm_config"]

REFUSED = 3
LABEL = b"EXPORTER-leasehold-v1"
PARTS = ("Has", "Tries", "Gets")


# --- the report --------------------------------------------------------------

class Gains:
    """What an attacker has of it in the end, measured."""

    def __init__(self, words):
        self.words = words


def gains(words, *values):
    return Gains(words % values if values else words)


def parts_of(test):
    """{"Has": ..., "Tries": ..., "Gets": ...} out of its docstring."""
    text = inspect.getdoc(test) or ""
    found = re.split(r"^(%s): " % "|".join(PARTS), text, flags=re.M)[1:]
    parts = {name: " ".join(words.split())
             for name, words in zip(found[::2], found[1::2])}
    expect(tuple(parts) == PARTS,
           "its docstring does not say Has, Tries, Gets")
    return parts


def tell(test, result):
    parts = parts_of(test)
    if isinstance(result, Gains):
        parts["Gains"] = result.words
    for name, words in parts.items():
        print("    %-6s %s" % (name.lower() + ":", words))


def run_attack(test):
    name = test.__name__
    started = time.monotonic()
    try:
        parts_of(test)
        result = test()
        if isinstance(result, str):
            print("skip %s: %s" % (name, result))
        else:
            print("ok %s (%.1f s)" % (name, time.monotonic() - started))
            tell(test, result)
        failed = False
    except Exception as error:  # every failure is one line
        failed = True
        words = " / ".join(str(error).splitlines()[:3])
        print("not ok %s: %s: %s" % (name, type(error).__name__, words))
        if os.environ.get("TRACE"):
            raise
    sys.stdout.flush()
    return failed


def run_beside(tests):
    """All at once: they mostly wait. How many failed."""
    running = []
    for test in tests:
        out = tempfile.TemporaryFile("w+")
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.dup2(out.fileno(), 1)
            os._exit(1 if run_attack(test) else 0)
        running.append((pid, out))
    failed = 0
    for pid, out in running:
        _, status = os.waitpid(pid, 0)
        failed += status != 0
        out.seek(0)
        sys.stdout.write(out.read())
        out.close()
    return failed


def main(tests, together=()):
    """Run the attacks in order, those of `together` at once after them; the
    program's exit status."""
    only = sys.argv[1:]
    chosen, beside = ([t for t in ts if not only or t.__name__ in only]
                      for ts in (tests, together))
    failed = sum(run_attack(test) for test in chosen)
    return 1 if failed + run_beside(beside) else 0


# --- bytes -------------------------------------------------------------------

def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sha256(data):
    return b64(hashlib.sha256(data).digest())


def nonce():
    return b64(os.urandom(32))


def payload(token):
    """What a signed document says; nobody checks the signature here."""
    return json.loads(unb64(token.split(".")[2])[:-64])


# --- TLS with an exporter ----------------------------------------------------

def load_ssl():
    library = ctypes.CDLL("libssl.so.3")
    pointers = ("TLS_client_method", "TLS_server_method", "SSL_CTX_new",
                "SSL_new")
    for name in pointers:
        getattr(library, name).restype = ctypes.c_void_p
    return library


SSL = load_ssl()
WANT_READ, SYSCALL, ZERO_RETURN = 2, 5, 6


class Tls:
    """One end of a TLS connection, with its exporter, which Python's own ssl
    does not tell. `certificate`: (chain, key), of a server. Who is at the
    other end is not looked at."""

    def __init__(self, sock, certificate=None):
        self.sock = sock
        server = certificate is not None
        method = SSL.TLS_server_method() if server else SSL.TLS_client_method()
        self.context = ctypes.c_void_p(SSL.SSL_CTX_new(ctypes.c_void_p(
            method)))
        if server:
            chain, key = (os.fsencode(path) for path in certificate)
            expect(SSL.SSL_CTX_use_certificate_chain_file(
                self.context, chain) == 1 and
                SSL.SSL_CTX_use_PrivateKey_file(self.context, key, 1) == 1,
                "no certificate")
        self.ssl = ctypes.c_void_p(SSL.SSL_new(self.context))
        self.timeout = 10 * SLOW
        self._wait(self.timeout)
        SSL.SSL_set_fd(self.ssl, sock.fileno())
        done = SSL.SSL_accept(self.ssl) if server else SSL.SSL_connect(
            self.ssl)
        if done != 1:
            raise ConnectionError("no TLS")

    def _wait(self, seconds):
        """Blocking, as OpenSSL's own calls on the socket are."""
        whole = int(seconds)
        self.sock.setblocking(True)
        self.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO,
            struct.pack("ll", whole, max(1, int((seconds - whole) * 1e6))))

    def settimeout(self, seconds):
        self.timeout = seconds
        self._wait(max(seconds or 0, 0.001))

    def exporter(self):
        out = ctypes.create_string_buffer(32)
        done = SSL.SSL_export_keying_material(
            self.ssl, out, ctypes.c_size_t(32), LABEL,
            ctypes.c_size_t(len(LABEL)), None, ctypes.c_size_t(0), 0)
        expect(done == 1, "no exporter")
        return out.raw

    def recv(self, size):
        out = ctypes.create_string_buffer(size)
        n = SSL.SSL_read(self.ssl, out, size)
        if n > 0:
            return out.raw[:n]
        if SSL.SSL_get_error(self.ssl, n) == WANT_READ:
            raise TimeoutError("nothing came")
        return b""

    def sendall(self, data):
        if SSL.SSL_write(self.ssl, data, len(data)) != len(data):
            raise ConnectionError("it has hung up")

    def pending(self):
        return SSL.SSL_pending(self.ssl) > 0

    def fileno(self):
        return self.sock.fileno()

    def close(self):
        if self.ssl:
            SSL.SSL_free(self.ssl)
            SSL.SSL_CTX_free(self.context)
            self.ssl = None
            self.sock.close()


# --- the protocol ------------------------------------------------------------

class Refusal(Exception):
    """What the site answered instead."""

    def __init__(self, problem):
        super().__init__("%s: %s" % (problem.get("code"),
                                     problem.get("detail")))
        self.code = problem.get("code")
        self.detail = problem.get("detail", "")


class Line(hostile.Socket):
    """A WebSocket to a site (or to whatever listens on a port), by hand."""

    def __init__(self, site):
        super().__init__(site, sock=Tls(hostile.dial(site)))
        self.exporter = b64(self.sock.exporter())
        self.id = 0
        self.notices = []

    def ask(self, method, **params):
        self.id += 1
        self.say(json.dumps({"jsonrpc": "2.0", "id": self.id,
                             "method": method, "params": params}).encode())
        while True:
            said = self.read_text()
            if said.get("id") != self.id:
                self.notices.append(said)
                continue
            if "error" in said:
                raise Refusal(said["error"]["data"])
            return said["result"]

    def hello(self, device=0):
        """The site's answer; its nonce is for one proof."""
        self.said = self.ask("session.hello", protocol=1, software="attacker",
                             device=device)
        return self.said


def refused(code, call, /, *args, **params):
    """It must be refused with this code; the words."""
    try:
        said = call(*args, **params)
    except Refusal as refusal:
        expect(refusal.code == code, "refused with %s" % refusal)
        return refusal.detail
    raise Failure("it was not refused: %s" % (said,))


def tool(work, **words):
    """One thing done by attack_tool."""
    done = run(binary("tests/system/attack_tool"), work, *[
        "%s=%s" % (name, value) for name, value in words.items()
        if value is not None])
    expect(done.status == 0, "attack_tool %s: %s" % (work, done.err))
    return json.loads(done.out)


class Machine:
    """What makes proofs: an agent's folder, and its TPM where it has one."""

    def __init__(self, folder, tcti=None, device=0, site=None,
                 tenant="default", p256=None):
        self.folder = folder
        self.p256 = p256  # its TPM's other endorsement key
        self.tcti = tcti
        self.device = device
        self.site = site  # its id
        self.tenant = tenant

    @property
    def where(self):
        return {"folder": self.folder, "tcti": self.tcti, "site": self.site,
                "tenant": self.tenant, "p256": self.p256}

    def proof(self, purpose, **words):
        full = {**self.where, "device": self.device, **words}
        return tool("proof", purpose=purpose, **full)

    def show(self):
        return tool("show", **self.where)

    def login_proof(self, line, **words):
        """Over a line on which hello was said."""
        full = {"nonce": line.said["nonce"], "exporter": line.exporter,
                **words}
        return self.proof("login", **full)

    def login(self, line, **words):
        said = line.hello(self.device)
        self.site, self.tenant = said["site"], said["tenant"]
        return line.ask("session.prove", proof=self.login_proof(line, **words))

    def enroll_request(self, line, token, name="attacker", **what):
        """What an agent says to enroll; `what` replaces members of it."""
        said = line.hello()
        self.site, self.tenant = said["site"], said["tenant"]
        shown = self.show()
        request = {
            "join": token, "class": "tpm" if self.tcti else "software",
            "name": name, "host": name, "public_key": shown["public_key"],
            "proof": self.proof("enroll", nonce=said["nonce"], device=0,
                                exporter=line.exporter,
                                digest=sha256(token.encode()))}
        if self.tcti:
            request["material"] = {key: shown[key] for key in
                                   ("ek", "certificate") if shown[key]}
        return {**request, **what}

    def activate(self, line, reply):
        """Answer the challenge for the TPM that was shown."""
        answer = tool("answer", **self.where, **reply["challenge"])
        return line.ask("device.activate", secret=answer["secret"])

    def enroll(self, line, token, **what):
        reply = line.ask("device.enroll",
                         **self.enroll_request(line, token, **what))
        if "challenge" in reply:
            reply = self.activate(line, reply)
        self.device = reply["device"]
        return reply

    # --- borrowing ---

    def raise_counter(self, to):
        tool("raise", to=to, **self.where)

    def take_request(self, line, length_s=3600, **ask):
        """A borrow.take over a nonce of this line; `ask`: see checkout."""
        over = line.ask("borrow.challenge")["nonce"]
        request = {"ask": checkout_question(nonce=over, **ask),
                   "length_s": length_s}
        return self.sign_request(line, "take", request, over)

    def sign_request(self, line, of, request, over):
        empty = {"class": "software", "counter": 1, "clock_ms": 0,
                 "resets": 0, "signature": b64(bytes(64))}
        digest = tool("digest", of=of,
                      json=json.dumps({**request, "proof": empty}))["digest"]
        return {**request, "proof": self.proof(
            "borrow", nonce=over, exporter=line.exporter, digest=digest)}

    def borrow(self, line, length_s=3600, **ask):
        return line.ask("borrow.take",
                        **self.take_request(line, length_s, **ask))

    def extend(self, line, lease, length_s=3600):
        over = line.ask("borrow.challenge")["nonce"]
        return line.ask("borrow.extend", **self.sign_request(
            line, "extend", {"lease": lease, "length_s": length_s,
                             "nonce": over}, over))

    def evidence(self, line):
        """Its tickets, with all that stands behind them."""
        return line.ask("borrow.list").get("items", [])

    def return_proof(self, **words):
        over = nonce()
        return {"nonce": over, "proof": self.proof("return", nonce=over,
                                                   **words)}

    def give_back(self, line):
        """The whole of an honest early return of everything."""
        said = line.ask("borrow.prepare", all=True, **self.return_proof())
        if said.get("epoch"):
            while self.show()["counter"] < said["epoch"]:
                self.raise_counter(self.show()["counter"] + 1)
        return line.ask("borrow.return", **self.return_proof())


def class_of(kind):
    return {"software": "software", "hardware": "tpm"}.get(kind, "vtpm")


def token_for(site, kind):
    return site.token("--class", class_of(kind))


class Place:
    """A machine: its own folder, and a TPM of a kind (tpms.py) or none."""

    def __init__(self, world, site, name, kind="software", enroll=True):
        self.tpm = None if kind == "software" else Tpm(
            world, kind, name=name + "-tpm")
        self.site = site
        self.kind = kind
        self.machine = Machine(world.path(name, "identity"),
                               self.tpm.tcti if self.tpm else None)
        os.makedirs(world.path(name), exist_ok=True)
        if enroll:
            self.machine.enroll(Line(site), token_for(site, kind), name=name)

    def line(self):
        """A session of it."""
        line = Line(self.site)
        self.machine.login(line)
        return line


def machine_of(agent):
    """The folder and the TPM of an agent that does not run now."""
    with open(os.path.join(agent.state, "site.json")) as f:
        known = json.load(f)
    tpm = getattr(agent, "tpm", None)
    return Machine(os.path.join(agent.state, known.get("identity") or
                                "identity"),
                   getattr(tpm, "tcti", tpm), known["device"],
                   known["site"], known["tenant"])


def point_agent_at(agent, port):
    """Its traffic goes there from now on, as by a forged name or route."""
    path = os.path.join(agent.state, "site.json")
    with open(path) as f:
        known = json.load(f)
    known["port"] = port
    known["url"] = "https://127.0.0.1:%d" % port
    with open(path, "w") as f:
        json.dump(known, f)


def checkout_question(**what):
    return {"request": b64(os.urandom(16)), "product": PRODUCT,
            "version": "8.1.0", "count": 1, "user": "mallory",
            "host": "anywhere", "nonce": nonce(), **what}


def checkout(line, **what):
    return line.ask("lease.checkout", **checkout_question(**what))


# --- between an application and its agent -----------------------------------

class PatchedAgent(threading.Thread):
    """An agent that somebody changed: applications connect to it, and what
    passes between them and the true agent goes through his two functions: each
    gets a message and returns it, another, or None for none.

    question(message, say): from the application; say(m) answers it.
    answer(message, asked): from the true agent, to this question.
    """

    def __init__(self, world, agent, name="patched"):
        super().__init__(daemon=True)
        self.agent = agent
        self.socket = world.path(name + ".sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket)
        self.listener.listen(16)
        self.start()

    def question(self, message, say):
        return message

    def answer(self, message, asked):
        return message

    def run(self):
        while True:
            app, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(app,),
                             daemon=True).start()

    @staticmethod
    def lines(sock):
        kept = b""
        while True:
            try:
                more = sock.recv(65536)
            except OSError:
                return
            if not more:
                return
            kept += more
            while b"\n" in kept:
                line, kept = kept.split(b"\n", 1)
                yield json.loads(line)

    @staticmethod
    def send(sock, message):
        try:
            sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass

    def serve(self, app):
        true = socket.socket(socket.AF_UNIX)
        true.connect(self.agent.socket)
        asked = {}
        send = self.send

        def from_app():
            for message in self.lines(app):
                asked[message.get("id")] = message
                message = self.question(message, lambda m: send(app, m))
                if message is not None:
                    send(true, message)
            true.close()

        threading.Thread(target=from_app, daemon=True).start()
        for message in self.lines(true):
            message = self.answer(message, asked.get(message.get("id")))
            if message is not None:
                send(app, message)
        app.close()


class OwnAgent(PatchedAgent):
    """An agent of the attacker's own, which needs no site: it has a ticket,
    with all that stands behind it, and answers whoever asks for the product
    with that and a proof of `machine` over his nonce."""

    def __init__(self, world, evidence, license, machine, name="own"):
        self.evidence = evidence
        with open(license) as f:
            self.license = json.load(f)
        self.machine = machine
        self.proofs = []
        super().__init__(world, None, name)

    def prove(self, nonce_):
        proof = self.machine.proof("borrow", nonce=nonce_, digest=sha256(
            unb64(self.evidence["row"])))
        self.proofs.append(proof)
        return proof

    def change(self, reply):
        """What he makes of it."""
        return reply

    def ticket(self, nonce_):
        return self.change({
            **{key: self.evidence[key] for key in
               ("lease", "row_number", "row", "path", "header")
               if key in self.evidence},
            "issuer": self.license["issuer"],
            "license": self.license["license"],
            "device": self.machine.device, "proof": self.prove(nonce_)})

    def serve(self, app):
        for message in self.lines(app):
            params = message.get("params", {})
            result = {}
            try:
                if message.get("method") == "lease.checkout":
                    result = self.ticket(params["nonce"])
                elif message.get("method") == "agent.status":
                    result = {"software": "leasehold-agent 0.1.0", "site":
                              self.machine.site, "tenant": "default",
                              "device": self.machine.device,
                              "class": "software", "connected": False,
                              "since": "2026-01-01T00:00:00.000Z",
                              "leases": 0}
                elif message.get("method") == "lease.renew":
                    result = {"ticket": self.ticket(params["nonce"])}
            except (Failure, OSError):
                app.close()  # his TPM does not answer
                return
            self.send(app, {"jsonrpc": "2.0", "id": message["id"],
                            "result": result})


# --- an admin's own client ---------------------------------------------------

def http(site, method, path, body=None, key=None):
    """(status, JSON) of the site's API, with its admin's key."""
    context = ssl.create_default_context(cafile=site.ca)
    request = urllib.request.Request(
        site.url + path, method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + (key or site.key),
                 "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, context=context,
                                    timeout=10 * SLOW) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


# --- settings ----------------------------------------------------------------

def site_of(world, name="site", config="", borrow=None, **what):
    """A site with a license of these terms. `borrow`: more of them, for those
    who borrow: the classes that may."""
    site = Site(world, name, config)
    site.start()
    what.setdefault("grace_s", 600)
    document = terms(**what)
    if borrow:
        document["terms"]["borrow_classes"] = list(borrow)
    site.install(document)
    return site


def agent_of(world, site, name="agent", **what):
    agent = Agent(world, name, **what)
    agent.start()
    agent.enroll(site)
    return agent


def take(world, socket_path, name="app", **what):
    app = App(world, socket_path, name=name, **what)
    expect(app.wait(), app.errors())
    return app


def believed(world, socket_path, name="app", **what):
    """Does an application take what it is told there? (app, or its words)"""
    app = App(world, socket_path, name=name, **what)
    return (app, "") if app.wait() else (None, app.errors())
