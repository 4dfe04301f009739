#!/usr/bin/python3
"""Attacks by who is merely near: a web page in a user's browser, and another
user of the same machine."""

import json
import os
import subprocess
import sys

from attack import (AS_ROOT, SLOW, World, agent_of, checkout_question, expect,
                    hostile, main, nonce, site_of, take)

NOBODY = 65534


def http_status(answer):
    return answer.split(b"\r\n", 1)[0].decode(errors="replace")


def a_web_page_opens_no_socket_to_the_site():
    """Has: a web page in the browser of somebody who can reach the site, or
    who is logged in to it.
    Tries: to open the agents' WebSocket from the page, and to have the browser
    post to the site's API for it.
    Gets: nothing: an Origin header is refused before the upgrade; no answer
    lets a page of another origin read it, and without a key there is none.
    """
    with World() as world:
        site = site_of(world)
        plain = hostile.ask_raw(site, hostile.UPGRADE + hostile.PROTOCOL +
                                b"\r\n", 1)
        expect(http_status(plain).startswith("HTTP/1.1 101"), plain[:80])
        for origin in ("https://evil.example", "null", site.url,
                       "https://localhost"):
            answer = hostile.ask_raw(
                site, hostile.UPGRADE + hostile.PROTOCOL +
                b"Origin: " + origin.encode() + b"\r\n\r\n", 2)
            expect(b"101" not in answer.split(b"\r\n")[0],
                   "Origin %r: %s" % (origin, http_status(answer)))
        # What a form or fetch() may send without being asked first.
        body = b'{"uses":1000}'
        for method, path in ((b"POST", b"/api/v1/joins"),
                             (b"OPTIONS", b"/api/v1/joins"),
                             (b"GET", b"/api/v1/leases")):
            answer = hostile.ask_raw(site, (
                b"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Origin: https://evil.example\r\nContent-Type: text/plain\r\n"
                b"Content-Length: %d\r\n\r\n%s") % (method, path, len(body),
                                                     body), 2)
            expect(answer[9:12] in (b"401", b"403", b"404", b"405", b"400",
                                    b"415"), http_status(answer))
            expect(b"access-control-allow" not in answer.lower(),
                   "a page may read it: %r" % answer[:300])
        expect(not site.cli("--json", "join", "list").json().get("items"),
               "a token was made")


# Run as another user: says each line of its input to the socket, and prints
# what comes back.
SPEAKER = r"""
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(float(sys.argv[2]))
s.connect(sys.argv[1])
f = s.makefile("rwb")
for line in sys.stdin.buffer:
    f.write(line)
    f.flush()
    try:
        sys.stdout.buffer.write(f.readline())
    except OSError:
        sys.stdout.buffer.write(b"{}\n")
    sys.stdout.buffer.flush()
"""


def speak_as(uid, agent, questions):
    """The answers to {method: params} in order, asked by that user."""
    lines = "".join(json.dumps({
        "jsonrpc": "2.0", "id": i + 1, "method": method, "params": params})
        + "\n" for i, (method, params) in enumerate(questions))
    done = subprocess.run(
        ["/usr/bin/python3", "-c", SPEAKER, agent.socket, str(10 * SLOW)],
        input=lines, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, user=uid, group=uid, extra_groups=[], cwd="/")
    expect(done.returncode == 0, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def code(answer):
    return answer.get("error", {}).get("data", {}).get("code")


def another_user_of_the_machine_gets_at_nothing():
    """Has: an account of his own on a workstation, and all that can be known
    of another user's lease: its number, its row, the process that holds it.
    Tries: on the agent's socket, to see the lease, renew it, take it over,
    give it back, take a seat in the name of the other's process, give back
    everybody's, and enroll the machine elsewhere.
    Gets: the seats that anybody of the machine may ask for; of others' not
    even that they are there.
    """
    if not AS_ROOT:
        return "needs root, to be two users: sudo make attacks"
    with World() as world:
        site = site_of(world)
        agent = agent_of(world, site)
        app = take(world, agent.socket)
        number = app.lease["lease"]
        with open(os.path.join(agent.state, "leases", "%d.json" % number)) as f:
            kept = json.load(f)
        evidence = {name: kept[name] for name in ("lease", "row_number",
                                                  "row", "header")}
        evidence["path"] = kept.get("path", "")
        ask = {key: value for key, value in checkout_question().items()
               if key in ("request", "product", "version", "nonce")}
        own = {key: value for key, value in checkout_question().items()
               if key in ("request", "product", "version", "nonce")}
        questions = [
            ("lease.list", {}),
            ("lease.renew", {"lease": number, "nonce": nonce()}),
            ("lease.attach", evidence),
            ("lease.return", {"lease": number}),
            ("lease.checkout", {**ask, "pid": app.process.pid}),
            ("lease.return", {"all": True}),
            ("agent.enroll", {"url": site.url, "join": site.token(),
                              "name": "mine"}),
            ("lease.checkout", own),
        ]
        said = speak_as(NOBODY, agent, questions)
        expect(not said[0]["result"].get("items"), said[0])
        for answer in said[1:4]:
            expect(code(answer) == "gone", answer)
        expect(code(said[4]) == "forbidden", said[4])
        expect(said[5]["result"].get("count", 0) == 0, said[5])
        expect(code(said[6]) == "forbidden", said[6])
        # The honest way: a seat of his own, which went with his process.
        expect(said[7]["result"]["lease"] != number, said[7])
        expect([l["lease"] for l in site.leases()][:1] == [number] and
               app.process.poll() is None, "the lease was touched")
        # The same, said by its owner, is heard.
        mine = speak_as(0, agent, [("lease.list", {}), questions[3]])
        expect(mine[0]["result"]["items"][0]["lease"] == number, mine[0])
        expect(mine[1]["result"]["count"] == 1, mine[1])


if __name__ == "__main__":
    sys.exit(main([], together=[
        a_web_page_opens_no_socket_to_the_site,
        another_user_of_the_machine_gets_at_nothing,
    ]))
