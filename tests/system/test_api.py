#!/usr/bin/python3
"""The HTTP API as programs see it: retries, pages, forms and headers."""

import sys
import threading

from api import Api
from harness import Site, World, cursor, expect, main, terms


def key(text):
    return {"Idempotency-Key": text}


def tokens(api):
    """Numbers of all enrolment tokens."""
    page = api.get("/api/v1/devices/tokens?all=true").json()
    return [item["join"] for item in page["items"]]


def a_retry_gets_the_same_answer_and_does_nothing():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)
        made = api.post("/api/v1/devices/tokens", {"uses": 3},
                        headers=key("one"))
        expect(made.status == 201 and made.json()["token"], made)
        # What is shown once is not kept: the repeat says so.
        again = api.post("/api/v1/devices/tokens", {"uses": 3},
                         headers=key("one"))
        expect(again.status == 410 and again.code == "gone", again)
        other = api.post("/api/v1/devices/tokens", {"uses": 4},
                         headers=key("one"))
        expect(other.status == 409 and other.code == "conflict", other)
        expect(tokens(api) == [1], tokens(api))
        # An answer without secrets is the same again.
        path = "/api/v1/devices/tokens/1"
        first = api.ask("DELETE", path, headers=key("two"))
        expect(first.status == 200, first)
        plain = api.ask("DELETE", path)
        second = api.ask("DELETE", path, headers=key("two"))
        expect(second.status == 200 and second.body == first.body,
               (second, plain))
        # Another operation is another request.
        other = api.post("/api/v1/journal/checkpoint", headers=key("two"))
        expect(other.code == "conflict", other)
        point = api.post("/api/v1/journal/checkpoint", headers=key("three"))
        expect(point.status == 200, point)
        site.kill()
        site.start()
        api.close()
        for path, name, body in (
                ("/api/v1/journal/checkpoint", "three", point.body),):
            again = api.post(path, headers=key(name))
            expect(again.status == 200 and again.body == body, again)
        again = api.ask("DELETE", "/api/v1/devices/tokens/1",
                        headers=key("two"))
        expect(again.status == 200 and again.body == first.body, again)
        again = api.post("/api/v1/devices/tokens", {"uses": 3},
                         headers=key("one"))
        expect(again.status == 410, again)
        # A refusal did nothing and is decided anew.
        path = "/api/v1/devices/tokens/2"
        expect(api.ask("DELETE", path, headers=key("four")).status == 404,
               "no such token yet")
        api.post("/api/v1/devices/tokens")
        expect(api.ask("DELETE", path, headers=key("four")).status == 200,
               "now there is one")
        site.verify()


def a_key_is_used_once_however_many_ask_at_once():
    with World() as world:
        site = Site(world)
        site.start()
        answers = []

        def ask():
            answers.append(Api(site).post("/api/v1/devices/tokens",
                                          {"uses": 3}, headers=key("x")))
        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        got = sorted(answer.status for answer in answers)
        expect(got.count(201) == 1 and set(got) <= {201, 409, 410}, got)
        expect(tokens(Api(site)) == [1], "more than one token")


def the_oldest_keys_make_room():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)
        api.post("/api/v1/devices/tokens")
        path = "/api/v1/devices/tokens/1"
        first = api.ask("DELETE", path, headers=key("k0"))
        expect(first.status == 200, first)
        api.post("/api/v1/journal/checkpoint", headers=key("k"))
        for i in range(1, 1001):
            done = api.ask("DELETE", path, headers=key("k%d" % i))
            expect(done.status == 200, done)
        # The first was forgotten: the key is free for something else.
        done = api.post("/api/v1/devices/tokens", headers=key("k0"))
        expect(done.status == 201, done)
        done = api.post("/api/v1/devices/tokens", headers=key("k1000"))
        expect(done.code == "conflict", done)


def pages_join_without_a_gap_while_things_change():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)
        for i in range(7):
            site.install(terms(product="product-%d" % i))
        seen, place = [], ""
        while True:
            page = api.get("/api/v1/licenses?limit=3" + place).json()
            seen += [item["license"] for item in page["items"]]
            if "next" not in page:
                break
            if len(seen) == 3:
                site.install(terms(product="product-late"))
            place = "&after=" + page["next"]
        expect(seen == list(range(1, 9)), seen)
        bad = api.get("/api/v1/licenses?after=" + cursor("L", 3))
        expect(bad.status == 400 and bad.json()["field"] == "after", bad)
        whole = api.get("/api/v1/licenses").json()
        expect(len(whole["items"]) == 8 and "next" not in whole, "at the end")


if __name__ == "__main__":
    sys.exit(main([
        a_retry_gets_the_same_answer_and_does_nothing,
        a_key_is_used_once_however_many_ask_at_once,
        the_oldest_keys_make_room,
        pages_join_without_a_gap_while_things_change,
    ]))
