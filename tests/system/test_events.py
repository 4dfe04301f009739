#!/usr/bin/python3
"""Server-sent events: what is journaled is told, once, in order, and goes on
where it was left."""

import json
import re
import socket
import sys
import time

from api import Api
from harness import (PRODUCT, Agent, Site, World, expect, main, terms,
                     wait_for)


class Stream:
    """A follower; `after`: its Last-Event-ID."""

    def __init__(self, site, after=None, path="/api/v1/events", key=None):
        self.api = Api(site, key=key, timeout=5)
        self.api._connect()
        headers = {"Authorization": "Bearer " + self.api.key}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        self.api.connection.request("GET", path, None, headers)
        self.answer = self.api.connection.getresponse()
        self.status = self.answer.status

    def next(self):
        """{id, event, data}, or None at the end."""
        event = {}
        while True:
            line = self.answer.readline().decode()
            if line == "":
                return None
            line = line.rstrip("\n")
            if line == "":
                if "id" in event:
                    event["id"] = int(event["id"])
                    event["data"] = json.loads(event["data"])
                    return event
                event = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value

    def until(self, kind):
        seen = []
        while True:
            event = self.next()
            expect(event is not None, "it ended before %s: %s" % (kind, seen))
            seen.append(event)
            if event["event"] == kind:
                return seen

    def close(self):
        self.api.close()


def what_happens_is_told_once_and_in_order():
    with World() as world:
        site = Site(world)
        site.start()
        follower = Stream(site)
        expect(follower.status == 200, follower.status)
        expect(follower.answer.headers["Content-Type"] == "text/event-stream",
               follower.answer.headers)
        site.install(terms())
        seen = follower.until("license.installed")
        expect(len(seen) == 1 and seen[0]["data"]["kind"] ==
               "license.installed", seen)
        agent = Agent(world)
        agent.start()
        agent.enroll(site)
        seen = follower.until("device.enrolled")
        # People are ids: no name of the device, no host. Whole words, for an
        # id has any letters of a short name somewhere.
        words = set(re.findall(r"[\w.-]+", json.dumps(seen)))
        expect(agent.name not in words and socket.gethostname() not in words,
               words)
        done = agent.cli("run", PRODUCT, "--version", "8.1.0", "--", "true")
        expect(done.status == 0, done.err)
        seen += follower.until("lease.ended")
        kinds = [event["event"] for event in seen]
        expect("lease.granted" in kinds, kinds)
        rows = [event["id"] for event in seen]
        expect(rows == sorted(set(rows)), rows)
        # From the beginning, and from the middle.
        again = Stream(site, after=0)
        first = again.next()
        expect(first["id"] == 1 and first["event"] == "genesis", first)
        whole = [first] + again.until("lease.ended")
        expect(whole[-len(seen):] == seen, (whole, seen))
        middle = Stream(site, path="/api/v1/events?after=%d" % rows[0])
        expect(middle.next()["id"] == rows[1], rows)
        for stream in (follower, again, middle):
            stream.close()


def a_stream_goes_on_after_a_restart():
    with World() as world:
        site = Site(world)
        site.start()
        follower = Stream(site)
        site.token()
        last = follower.until("join.created")[-1]["id"]
        site.stop()
        # Who asked for it stands behind it.
        for _ in range(2):
            event = follower.next()
            expect(event is None or event["event"] in ("act",
                                                       "subject.added"),
                   event)
            if event is None:
                break
        expect(event is None or follower.next() is None,
               "the stream does not end")
        site.start()
        site.token()
        again = Stream(site, after=last)
        seen = again.until("join.created")
        expect([event["id"] for event in seen if event["event"] ==
                "join.created"] != [last], seen)
        expect(seen[0]["id"] > last and "started" in
               [event["event"] for event in seen], seen)
        again.close()


def who_may_not_or_asks_for_nonsense_is_refused():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)
        for headers, status, field in (
                ({"Last-Event-ID": "x"}, 400, "Last-Event-ID"),
                ({"Last-Event-ID": "999999"}, 400, None),
                ({"Accept": "application/json"}, 406, None)):
            answer = api.get("/api/v1/events", headers=headers)
            expect(answer.status == status, answer)
            expect(answer.json().get("field") == field or field is None,
                   answer)
        answer = api.get("/api/v1/events", key="clsk_default_" + "A" * 43)
        expect(answer.status == 401, answer)
        answer = api.ask("HEAD", "/api/v1/events")
        expect(answer.status == 200 and answer.body == b"", answer)
        streams = [Stream(site) for _ in range(17)]
        expect([s.status for s in streams] == [200] * 16 + [429],
               [s.status for s in streams])
        for stream in streams:
            stream.close()

        # Places become free again.
        def there_is_room():
            stream = Stream(site)
            stream.close()
            return stream.status == 200
        wait_for(there_is_room, "no place is free again")


def a_revoked_key_follows_no_more():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)
        made = api.post("/api/v1/keys/generate",
                        {"app_name": "watch", "app_type": "ci_cd",
                         "scopes": ["admin:read"], "expires_in_days": 1})
        expect(made.status == 201, made)
        stream = Stream(site, key=made.json()["api_key"])
        expect(stream.status == 200, stream.status)
        done = api.ask("DELETE", "/api/v1/keys/" + made.json()["key_id"])
        expect(done.status == 200, done)
        while stream.next() is not None:
            pass
        again = Stream(site, key=made.json()["api_key"])
        expect(again.status == 401, again.status)


def one_who_does_not_read_holds_up_nobody():
    with World() as world:
        site = Site(world)
        site.start()
        deaf = Stream(site)
        good = Stream(site)
        expect(deaf.status == good.status == 200, "two streams")
        api = Api(site)
        began = time.monotonic()
        for _ in range(300):
            made = api.post("/api/v1/devices/tokens",
                            {"hosts": ["host-%d-%d" % (i, _)
                                       for i in range(8)]})
            expect(made.status == 201, made)
        count = 0
        while count < 300:
            count += good.next()["event"] == "join.created"
        expect(site.ready(), "after %.1f s" % (time.monotonic() - began))
        # It had them waiting, all in order.
        rows = []
        while len(rows) < 300:
            event = deaf.next()
            if event["event"] == "join.created":
                rows.append(event["id"])
        expect(rows == sorted(set(rows)), rows)
        good.close()
        deaf.close()


if __name__ == "__main__":
    sys.exit(main([
        what_happens_is_told_once_and_in_order,
        a_stream_goes_on_after_a_restart,
        who_may_not_or_asks_for_nonsense_is_refused,
        a_revoked_key_follows_no_more,
        one_who_does_not_read_holds_up_nobody,
    ]))
