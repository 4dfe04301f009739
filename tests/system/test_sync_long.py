#!/usr/bin/python3
"""More usage than one message holds goes to the hub in several reports, one
after the other: in one file, and over the network."""

import json
import os
import sys

from by_key import Program, make_key
from harness import World, expect, main
from test_sync_bill import FORMS, Sides, span, today
from test_sync_online import Net

# Of a request between our processes and over HTTP, sealed: messages_sync.h.
FILE_MAX = 780000
USES = 500


def use(site):
    """Checkouts above commit; a key may make a hundred a minute."""
    left = USES
    while left > 0:
        with Program(site, make_key(site)[0]) as program:
            for _ in range(min(left, 90)):
                lease = program.take()
                expect(program.give_back(lease["id"]).status == 200, lease)
        left -= 90


def documents(path):
    """Lengths of the sealed documents of a file."""
    with open(path, "rb") as f:
        data = f.read()
    lengths, at = [], 0
    while at < len(data):
        length = 53 + int.from_bytes(data[at + 49:at + 53], "big")
        lengths.append(length)
        at += length
    expect(at == len(data), "the file is cut")
    return lengths


def many_checkouts_go_in_several_reports_of_one_file():
    with World() as world:
        first = today()
        sides = Sides(world)
        with Program(sides.site, make_key(sides.site)[0]) as base:
            base.take()  # the seat of the commitment
            use(sides.site)
        path = world.path("long.sync")
        sides.at(sides.site, "sync", "export", path)
        lengths = documents(path)
        expect(len(lengths) > 1 and max(lengths) <= FILE_MAX, lengths)
        done = sides.at(sides.hub, "--json", "hub", "import", path, "--out",
                        path + ".back")
        said = [json.loads(line) for line in done.out.splitlines()]
        expect([one["report"] for one in said] ==
               list(range(1, len(lengths) + 1)), said)
        expect(all(one["answer"] == "taken" for one in said), said)
        expect(sum(one["seats"] for one in said) == USES, said)
        expect(os.path.getsize(path + ".back") <= FILE_MAX, "the answer")
        sides.at(sides.site, "sync", "import", path + ".back")
        standing = sides.at(sides.site, "--json", "sync",
                            "status").json()["items"][0]
        expect(standing["acknowledged"] == len(lengths), standing)
        told = sides.same(span(first), forms=FORMS[:2])
        expect(told["licenses"][0]["overage_checkouts"] == USES, told)


def many_checkouts_go_in_several_reports_over_the_network():
    with World() as world:
        net = Net(world, seats=1)
        use(net.site)
        net.now()
        expect(net.seen()["seats"] == USES, net.seen())
        expect(net.seen()["sequence"] > 1, net.seen())
        expect(net.status()["acknowledged"] == net.seen()["sequence"],
               net.status())
        expect("refused" not in net.seen(), net.seen())


if __name__ == "__main__":
    sys.exit(main([many_checkouts_go_in_several_reports_of_one_file,
                  many_checkouts_go_in_several_reports_over_the_network]))
