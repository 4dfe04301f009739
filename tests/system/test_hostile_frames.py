#!/usr/bin/python3
"""WebSocket frames and upgrades as no program of ours would send them."""

import os
import sys

from harness import Agent, App, Site, World, expect, main, terms
from hostile import (BINARY, HEAVY, CLOSE, HELLO, PING, PONG, PROTOCOL, TEXT, UPGRADE,
                     Socket, ask_raw, expect_little_change, felt, frame,
                     memory_kib)

CONTINUATION = 0


def setting(world):
    site = Site(world)
    site.start()
    site.install(terms(commit=10, overage=0))
    agent = Agent(world)
    agent.start()
    agent.enroll(site)
    return site, agent


def upgrades_are_refused_with_a_status():
    with World() as world:
        site = Site(world)
        site.start()
        end = b"\r\n"
        cases = [
            (UPGRADE + end, b"400"),
            (UPGRADE + b"Sec-WebSocket-Protocol: chat\r\n" + end, b"400"),
            (UPGRADE + b"Sec-WebSocket-Protocol: http\r\n" + end, b"400"),
            (UPGRADE + PROTOCOL + b"Origin: https://evil.example\r\n" + end,
             b"403"),
            (UPGRADE + PROTOCOL + b"Origin: null\r\n" + end, b"403"),
            (UPGRADE.replace(b"/agent/v1", b"/agent/v2") + PROTOCOL + end,
             b"404"),
            (UPGRADE.replace(b"Version: 13", b"Version: 8") + PROTOCOL + end,
             b"426"),
            (UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short") +
             PROTOCOL + end, b"400"),
            (UPGRADE.replace(b"websocket", b"h2c") + PROTOCOL + end, b"400"),
        ]
        for request, status in cases:
            answer = ask_raw(site, request)
            expect(answer.startswith(b"HTTP/1.1 " + status),
                   "%r: %r" % (request, answer[:80]))
        expect(site.ready(), "the site is gone")


def one_byte_frames_make_a_message():
    with World() as world:
        site = Site(world)
        site.start()
        message = HELLO % 7
        with Socket(site) as stranger:
            stranger.send(frame(TEXT, message[:1], fin=False))
            for i in range(1, len(message) - 1):
                stranger.send(frame(CONTINUATION, message[i:i + 1],
                                    fin=False))
                if i % 10 == 0:
                    # Empty ones and pings may stand between.
                    stranger.send(frame(CONTINUATION, b"", fin=False) +
                                  frame(PING, b"x"))
            stranger.send(frame(CONTINUATION, message[-1:]))
            answer = stranger.read_text()
            expect(answer["id"] == 7 and "result" in answer, answer)
        # And one frame in single bytes on the way.
        with Socket(site) as stranger:
            for byte in frame(TEXT, message):
                stranger.send(bytes([byte]))
            expect(stranger.read_text()["id"] == 7, "no answer")


def frames_that_break_the_protocol_end_the_connection():
    with World() as world:
        site = Site(world)
        site.start()
        cases = [
            ("a huge frame", frame(TEXT, b"x" * 1000, length=1 << 40), 1009),
            ("a frame of 2^63", frame(TEXT, b"x", length=1 << 63), None),
            ("a long message", frame(TEXT, b"x" * 70000), 1009),
            ("a binary message", frame(BINARY, b"x"), 1003),
            ("an opcode of nobody", frame(3, b"x"), None),
            ("a control opcode of nobody", frame(11, b"x"), None),
            ("reserved bits", frame(TEXT, b"{}", reserved=4), None),
            ("a long ping", frame(PING, b"x" * 126), None),
            ("a close in pieces", frame(CLOSE, b"", fin=False), None),
            ("a ping in pieces", frame(PING, b"x", fin=False), None),
            ("a continuation of nothing", frame(CONTINUATION, b"x"), None),
            ("a message within a message",
             frame(TEXT, b"x", fin=False) + frame(TEXT, b"x"), None),
        ]
        for name, data, code in cases:
            with Socket(site) as stranger:
                stranger.send(data)
                got = stranger.close_code()
                expect(code is None or got == code,
                       "%s: closed with %d" % (name, got))
        # It may end without being fed to the last byte.
        with Socket(site) as stranger:
            piece = frame(CONTINUATION, b"y" * 1000, fin=False)
            sent = stranger.send(frame(TEXT, b"y", fin=False))
            for _ in range(1000):
                sent = sent and stranger.send(piece)
            expect(stranger.close_code() == 1009, "endless continuation")
        expect(site.ready(), "the site is gone")


def messages_that_are_no_requests_are_answered_with_words():
    with World() as world:
        site = Site(world)
        site.start()
        deep = b"[" * 30000
        cases = [
            b"", b"{", b"null", b"[]", b"7", b"\xff\xfe", b"\"\xc3\x28\"",
            b"{\"jsonrpc\":\"2.0\",\"id\":1}", deep,
            deep + b"]" * 30000,
            b'{"jsonrpc":"2.0","id":1,"method":"session.hello","params":' +
            b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
            b'{"jsonrpc":"2.0","id":1,"method":"session.hello","params":{"x":'
            + b"9" * 60000 + b"}}",
            b'{"jsonrpc":"2.0","id":1,"id":2,"method":"session.hello"}',
            b'{"jsonrpc":"2.0","id":1e5,"method":"session.hello"}',
            b'{"jsonrpc":"2.0","id":1,"method":"\\u0000"}',
            b'{"jsonrpc":"2.0","id":1,"method":"server.draining"}',
        ]
        for message in cases:
            with Socket(site) as stranger:
                stranger.say(message)
                stranger.say(HELLO % 99)
                answers = []
                while not answers or answers[-1].get("id") != 99:
                    answers.append(stranger.read_text())
                expect("result" in answers[-1], answers)
                expect(all("error" in a for a in answers[:-1]), answers)
                expect(len(answers) == 2 or message == b"",
                       "%r: %s" % (message[:40], answers))
        # A frame without a mask is one that libwebsockets takes: it does no
        # harm, and nobody else's browser can send it (no Origin gets in).
        with Socket(site) as stranger:
            stranger.send(frame(TEXT, HELLO % 5, mask=False))
            expect(stranger.read_text()["id"] == 5, "no answer")


def floods_are_bounded():
    """Pings, empty pieces and questions without end, whose answers nobody
    reads."""
    with World() as world:
        site, agent = setting(world)
        front = site.child("front")
        before = felt(world, agent)
        memory = memory_kib(front)
        floods = [
            frame(PING, b"p" * 125) * 200,
            frame(CONTINUATION, b"", fin=False) * 2000,
            frame(PONG, b"p" * 125) * 200,
        ]
        pids = []
        for n, flood in enumerate(floods * 2):
            pid = os.fork()
            if pid == 0:
                try:
                    with Socket(site, "127.0.3.%d" % (1 + n)) as stranger:
                        if flood[0] & 15 == CONTINUATION:
                            stranger.send(frame(TEXT, b"x", fin=False))
                        while stranger.send(flood):
                            pass
                finally:
                    os._exit(0)
            pids.append(pid)
        during = felt(world, agent, 3)
        for pid in pids:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
            os.waitpid(pid, 0)
        grown = memory_kib(front) - memory
        expect(grown < 40000 * HEAVY, "the front grew by %d KiB" % grown)
        expect_little_change(before, during)
        expect(App(world, agent.socket).wait(), "a seat after it all")


if __name__ == "__main__":
    sys.exit(main([
        upgrades_are_refused_with_a_status,
        one_byte_frames_make_a_message,
        frames_that_break_the_protocol_end_the_connection,
        messages_that_are_no_requests_are_answered_with_words,
        floods_are_bounded,
    ]))
