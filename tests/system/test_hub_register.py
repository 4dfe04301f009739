#!/usr/bin/python3
"""Registration at a hub: a domain is proved by a record in the DNS, asked of a
resolver that lies, says nothing, or does not fit its answer into a packet."""

import socket
import struct
import sys
import threading

from harness import World, expect, main, wait_for
from test_hub import Hub, order

DOMAIN = "mercedes.example"


class Resolver:
    """A DNS server on loopback; `mode` says how it answers."""

    def __init__(self):
        self.records = {}  # name: [text]
        self.mode = "true"
        self.asked = []
        self.udp, self.tcp = self.bind()
        self.port = self.udp.getsockname()[1]
        self.tcp.listen(8)
        for run in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=run, daemon=True).start()

    @staticmethod
    def bind():
        while True:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", 0))
            tcp = socket.socket()
            try:
                tcp.bind(udp.getsockname())
                return udp, tcp
            except OSError:
                udp.close()
                tcp.close()

    @staticmethod
    def name_of(query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        return ".".join(labels), query[12:at + 5]

    def answer(self, query, tcp):
        name, question = self.name_of(query)
        self.asked.append((name, "tcp" if tcp else "udp"))
        texts = self.records.get(name.lower(), [])
        flags, ident = 0x8180, query[:2]
        if self.mode == "truncated" and not tcp:
            return ident + struct.pack(">HHHHH", flags | 0x0200, 1, 0, 0,
                                       0) + question
        if self.mode == "failing":
            return ident + struct.pack(">HHHHH", flags | 2, 1, 0, 0,
                                       0) + question
        if self.mode == "other id":
            ident = bytes([query[0] ^ 1, query[1]])
        if self.mode == "other question":
            question = question.replace(b"mercedes", b"mercedez")
        if not texts and self.mode == "true":
            flags |= 3
        body = b""
        for text in texts:
            # In pieces of at most 20 bytes: together they are the text.
            data = b"".join(bytes([len(text[i:i + 20])]) +
                            text[i:i + 20].encode()
                            for i in range(0, len(text), 20))
            if self.mode == "overlong":
                data = b"\xff" + data
            size = 9999 if self.mode == "beyond" else len(data)
            body += struct.pack(">HHHIH", 0xc00c, 16, 1, 60, size) + data
        count = 200 if self.mode == "miscounted" else len(texts)
        return ident + struct.pack(">HHHHH", flags, 1, count, 0,
                                   0) + question + body

    def serve_udp(self):
        while True:
            query, peer = self.udp.recvfrom(4096)
            if self.mode == "silent":
                self.asked.append((self.name_of(query)[0], "udp"))
                continue
            self.udp.sendto(self.answer(query, False), peer)

    def serve_tcp(self):
        while True:
            peer, _ = self.tcp.accept()
            with peer:
                size = struct.unpack(">H", peer.recv(2))[0]
                out = self.answer(peer.recv(size), True)
                peer.sendall(struct.pack(">H", len(out)) + out)


def body(tenant="mercedes", domain=DOMAIN):
    return {"company": {"name": "Mercedes-Benz AG", "domain": domain,
                        "country": "DE", "tax_id": "DE-812526315"},
            "tenant": {"id": tenant, "region": "eu", "plan": "startup"},
            "admin": {"email": "it@mercedes.example", "name": "Ada Admin"}}


def setting(world):
    resolver = Resolver()
    hub = Hub(world, config="[courier]\ndns=127.0.0.1:%d\ntimeout_s=2\n" %
              resolver.port)
    hub.start()
    return resolver, hub, hub.account("vector")


def begin(api, **more):
    made = api.ask("POST", "/api/v1/tenants/register", body(**more))
    expect(made.status == 201, made)
    answer = made.json()
    return answer, {"tenant_id": answer["tenant_id"],
                    "verification_token": answer["verification_token"]}


def verify(api, asked):
    return api.ask("POST", "/api/v1/tenants/verify", asked)


def until(api, asked, status):
    """A slow machine's resolver may be late: then nobody could say."""
    def answered():
        answer = verify(api, asked)
        expect(answer.status in (status, 503), answer)
        return answer if answer.status == status else None
    return wait_for(answered, "no answer of the resolver", 60)


def a_domain_that_says_so_is_a_customer():
    with World() as world:
        resolver, hub, api = setting(world)
        answer, asked = begin(api)
        record = answer["verification"]["dns_record"]
        expect(answer["status"] == "pending_verification" and
               answer["verification"]["method"] == "dns" and
               record["type"] == "TXT" and
               record["name"] == "_leasehold." + DOMAIN and
               asked["verification_token"] in record["value"] and
               len(answer["next_steps"]) == 2, answer)
        # Again is the same; the name is taken for others.
        expect(begin(api)[0] == answer, "another answer")
        taken = api.ask("POST", "/api/v1/tenants/register",
                        body(domain="evil.example"))
        expect(taken.status == 409, taken)
        # Who is not verified gets no license.
        hub.vouch(world)
        early = api.ask("POST", "/api/v1/licenses/generate",
                        order(account="CUST-00001"))
        expect(early.status == 403, early)
        none = until(api, asked, 404)
        expect(record["name"] in none.json()["detail"], none)
        resolver.records[record["name"]] = ["v=spf1 -all", record["value"]]
        wrong = verify(api, dict(asked, verification_token="00" * 16))
        expect(wrong.status == 403, wrong)
        done = until(api, asked, 200)
        expect(done.json()["status"] == "verified" and
               done.json()["crm_id"] == "CUST-00001", done)
        # Verified is verified, whatever the DNS says later.
        del resolver.records[record["name"]]
        expect(verify(api, asked).json() == done.json(), "not the same")
        made = api.ask("POST", "/api/v1/licenses/generate",
                       order(account="CUST-00001"))
        expect(made.status == 201, made)
        shown = api.get("/api/v1/customers/CUST-00001").json()
        expect(shown["status"] == "active" and shown["domain"] == DOMAIN and
               shown["plan"] == "startup" and
               shown["contact_name"] == "Ada Admin", shown)
        hub.verify()


def a_resolver_that_lies_proves_nothing():
    with World() as world:
        resolver, _, api = setting(world)
        answer, asked = begin(api)
        record = answer["verification"]["dns_record"]
        resolver.records[record["name"]] = [record["value"]]
        for mode, status in (("failing", 503), ("other id", 503),
                             ("other question", 503), ("overlong", 404),
                             ("beyond", 503), ("silent", 503)):
            resolver.mode = mode
            until(api, asked, status)
        resolver.mode = "true"
        resolver.records[record["name"]] = [record["value"] + "0",
                                            record["value"][:-1]]
        until(api, asked, 404)  # a part is not the whole
        # What does not fit is asked over TCP.
        resolver.records[record["name"]] = [record["value"]]
        resolver.mode = "truncated"
        until(api, asked, 200)
        expect(resolver.asked[-1] == (record["name"], "tcp"),
               resolver.asked[-1])


def what_is_no_domain_is_refused():
    with World() as world:
        _, _, api = setting(world)
        for domain in ("localhost", "a..b", "-a.example", "a b.example",
                       "x" * 64 + ".example"):
            refused = api.ask("POST", "/api/v1/tenants/register",
                              body(domain=domain))
            expect(refused.status == 400 and
                   refused.json()["field"] == "company.domain",
                   (domain, refused))
        refused = api.ask("POST", "/api/v1/tenants/register",
                          body(tenant="Mer cedes"))
        expect(refused.status == 400, refused)
        none = verify(api, {"tenant_id": "nobody",
                            "verification_token": "00"})
        expect(none.status == 404, none)


if __name__ == "__main__":
    sys.exit(main([
        a_domain_that_says_so_is_a_customer,
        a_resolver_that_lies_proves_nothing,
        what_is_no_domain_is_refused,
    ], together=True))
