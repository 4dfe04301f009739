#!/usr/bin/python3
"""HTTP as no client of ours would speak it, and readers that do not read."""

import sys
import threading
import time

from harness import SLOW, Agent, Site, World, expect, main, terms
from hostile import (HEAVY, ask_raw, context_of, expect_little_change, felt,
                     greet, has_ended, memory_kib, read_until)

OPENAPI = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"


def setting(world):
    site = Site(world)
    site.start()
    site.install(terms(commit=10, overage=0))
    agent = Agent(world)
    agent.start()
    agent.enroll(site)
    return site, agent


def statuses(answer):
    """The status of every answer that stands in these bytes."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]
            if part[:3].isdigit()]


def a_request_within_a_request_is_not_answered():
    """Two readings of one length are how requests are smuggled past a proxy:
    whatever is ambiguous ends the connection."""
    inner = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /api/v1/devices/tokens HTTP/1.1\r\nHost: x\r\n"
    json = b"Content-Type: application/json\r\n"
    chunk = b"0\r\n\r\n"
    cases = [
        ("both lengths", head + json + b"Content-Length: %d\r\n"
         b"Transfer-Encoding: chunked\r\n\r\n" % len(chunk + inner) + chunk +
         inner),
        ("chunked", head + json + b"Transfer-Encoding: chunked\r\n\r\n" +
         chunk + inner),
        ("chunked with a blank", head + json +
         b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n" + chunk +
         inner),
        ("chunked with a tab", head + json +
         b"Transfer-Encoding\t: chunked\r\nContent-Length: 5\r\n\r\n" + chunk +
         inner),
        ("a length with a blank", head + json +
         b"Content-Length : 5\r\nContent-Length: 2\r\n\r\n{}" + inner),
        ("chunked in capitals", head + json +
         b"TRANSFER-ENCODING: xchunked\r\nContent-Length: 5\r\n\r\n" + chunk +
         inner),
        ("two lengths", head + json + b"Content-Length: 0\r\n"
         b"Content-Length: %d\r\n\r\n" % len(inner) + inner),
        ("the same length twice", head + json + b"Content-Length: 2\r\n"
         b"Content-Length: 2\r\n\r\n{}" + inner),
        ("lengths in one line", head + json +
         b"Content-Length: 2, 2\r\n\r\n{}" + inner),
        ("a signed length", head + json + b"Content-Length: +2\r\n\r\n{}" +
         inner),
        ("a length below zero", head + json +
         b"Content-Length: -2\r\n\r\n{}" + inner),
        ("a length of words", head + json +
         b"Content-Length: two\r\n\r\n{}" + inner),
        ("a length in hexadecimal", head + json +
         b"Content-Length: 0x2\r\n\r\n{}" + inner),
        ("a length of 2^64", head + json +
         b"Content-Length: 18446744073709551618\r\n\r\n{}" + inner),
        ("a body of GET", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
         b"Content-Length: %d\r\n\r\n" % len(inner) + inner),
    ]
    with World() as world:
        site = Site(world)
        site.start()
        for name, request in cases:
            answer = ask_raw(site, request, 2)
            got = statuses(answer)
            # What comes after a refusal may be refused once more.
            expect(len(got) <= 2 and all(s >= 400 for s in got),
                   "%s: %s %r" % (name, got, answer[:300]))
        expect(site.ready(), "the site is gone")


class Drip(threading.Thread):
    """Twenty who write a byte of a request now and then."""

    def __init__(self, site):
        super().__init__(daemon=True)
        self.slow = [greet(site, "127.0.4.1") for _ in range(20)]
        for sock in self.slow[:10]:
            sock.sendall(b"G")
        self.ended = set()
        self.start()

    def run(self):
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "
        end = time.monotonic() + 25 * SLOW
        n = 1
        while len(self.ended) < 20 and time.monotonic() < end:
            for i, sock in enumerate(self.slow):
                try:
                    if i not in self.ended:
                        sock.settimeout(1)
                        sock.sendall(request[n:n + 1] or b"a")
                        if has_ended(sock):
                            self.ended.add(i)
                except OSError:
                    self.ended.add(i)
            n += 1
            time.sleep(0.25)


def heads_that_no_client_sends_are_refused():
    cases = [
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
        b"get /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://other.example/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n X: folded\r\n\r\n",
        b"GET /health\0z HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz?a=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 2000 +
        b"\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: " + b"h" * 3000 + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        bytes(range(256)) * 40,
        b"\x16\x03\x01\x02\x00\x01" + b"\0" * 600,
        b"POST /api/v1/devices/tokens HTTP/1.1\r\nHost: x\r\n"
        b"Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n",
    ]
    with World() as world:
        site = Site(world)
        site.start()
        drip = Drip(site)
        for request in cases:
            # Half a head is one that may still come: the other end waits.
            answer = ask_raw(site, request, 1)
            got = statuses(answer)
            expect(all(400 <= status < 500 or status == 200 and
                       b"/healthz" in request for status in got),
                   "%r: %r" % (request[:60], answer[:300]))
        expect(site.ready(), "the site is gone")
        drip.join()
        expect(len(drip.ended) == 20, "%d of 20 who dripped were cut off"
               % len(drip.ended))


def bodies_of_no_client_are_refused_with_words():
    deep = b"[" * 500000
    cases = [
        deep, deep + b"]" * 500000, b'{"a":' * 200000, b"9" * 1000000,
        b'{"uses":' + b"9" * 100000 + b"}", b'{"name":"\xff\xfe"}', b"\xff" * 99,
        b'{"uses":1,"uses":2}', b'"' + b"\\u0000" * 1000 + b'"', b"null",
        b'{"for_s": 1e400}', b'{"\\ud800": 1}', b" " * 1000000,
    ]
    with World() as world:
        site = Site(world)
        site.start()
        for body in cases:
            answer = ask_raw(
                site, b"POST /api/v1/devices/tokens HTTP/1.1\r\nHost: x\r\n"
                b"Authorization: Bearer %s\r\nConnection: close\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % (site.key.encode(), len(body)) + body, 10, "127.0.4.2")
            expect(statuses(answer) == [400], "%r: %r" % (body[:40],
                                                          answer[:300]))
            expect(b'"code":"bad_request"' in answer, answer[:300])
        expect(site.ready(), "the site is gone")


def who_asks_much_and_reads_nothing_costs_little():
    """Hundreds of large answers, and nobody takes them."""
    with World() as world:
        site, agent = setting(world)
        front = site.child("front")
        size = len(ask_raw(site, OPENAPI.replace(
            b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))
        expect(size > 10000, "the document is short: %d" % size)
        before = felt(world, agent)
        memory = memory_kib(front)
        context = context_of(site)
        readers = []
        for i in range(150):
            sock = greet(site, "127.0.4.%d" % (1 + i % 10), context)
            sock.sendall(OPENAPI * 100)
            readers.append(sock)
        during = felt(world, agent)
        grown = memory_kib(front) - memory
        # One answer waits for each of 150 readers, not a hundred; what of it
        # is on its way lies there twice.
        expect(grown < 150 * (size // 1024 + 128) * HEAVY,
               "the front grew by %d KiB" % grown)
        expect_little_change(before, during)
        # One who reads in the end gets whole answers.
        got = read_until(readers[0], b"\0no such thing\0", 1)
        expect(got.startswith(b"HTTP/1.1 200"), got[:100])
        for sock in readers:
            sock.close()
        expect(site.ready(), "the site is gone")


if __name__ == "__main__":
    sys.exit(main([
        a_request_within_a_request_is_not_answered,
        heads_that_no_client_sends_are_refused,
        bodies_of_no_client_are_refused_with_words,
        who_asks_much_and_reads_nothing_costs_little,
    ]))
