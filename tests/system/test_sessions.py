#!/usr/bin/python3
"""Login sessions as an attacker looks at them: what outlives its session, what
is used twice, what a page of somebody else can do, how a role grows."""

import threading

from harness import World, expect, main
from test_events import Stream
from test_users import (PASSWORD, ROLES, ask, create, good, log_in, refused,
                        site_of, token, totp)

OTHER = "another bottle hill"


def follow(site, key):
    stream = Stream(site, key=key)
    stream.api.connection.sock.settimeout(120)
    expect(stream.status == 200, "no stream: %s" % stream.status)
    return stream


def ends(stream, words):
    try:
        while stream.next() is not None:
            pass
    except TimeoutError:
        expect(False, "the stream goes on after: " + words)
    stream.close()


def session_of(site, key):
    return good(ask(site, "GET", "/api/v1/session",
                    key=key))["session"]["session"]


def streams_end_with_their_session_whatever_ends_it():
    with World() as world:
        site = site_of(world)
        create(site, "boss", "owner")
        boss = token(site, "boss")
        user = create(site, "olga", "operator", boss)
        path = "/api/v1/users/%d" % user
        key = token(site, "olga")
        causes = [
            ("logout", "DELETE", "/api/v1/session", None, key),
            ("revoked", "DELETE", None, None, boss),
            ("second factor off", "DELETE", path + "/totp", None, boss),
            ("role", "PUT", path, {"role": "viewer"}, boss),
            ("erased", "POST", "/api/v1/subjects/erase", {"name": "olga"},
             boss),
        ]
        kept = follow(site, boss)
        for words, method, route, body, by in causes:
            if words != "logout":
                key = token(site, "olga")
            stream = follow(site, key)
            if words == "revoked":
                route = "/api/v1/sessions/%d" % session_of(site, key)
            good(ask(site, method, route, body, by))
            ends(stream, words)
            refused(ask(site, "GET", "/api/v1/session", key=key), 401,
                    "unauthenticated")
            again = Stream(site, key=key)
            expect(again.status == 401, "%s: %s" % (words, again.status))
            again.close()
        # Nobody else's ends.
        kept.until("erasure")
        kept.close()


def new_password_ends_all_sessions_but_the_one_that_asked():
    with World() as world:
        site = site_of(world)
        create(site, "olga", "owner")
        mine, other = token(site, "olga"), token(site, "olga")
        own, stream = follow(site, mine), follow(site, other)
        good(ask(site, "POST", "/api/v1/session/password",
                 {"password": PASSWORD, "new_password": OTHER}, mine))
        ends(stream, "another password")
        refused(ask(site, "GET", "/api/v1/session", key=other), 401,
                "unauthenticated")
        # Who asked goes on, and is told what comes next.
        own.until("user.changed")
        create(site, "anna", "viewer", mine)
        own.until("user.created")
        own.close()
        refused(log_in(site, "olga"), 401, "unauthenticated")
        # The same of a second factor that begins.
        other = token(site, "olga", password=OTHER)
        stream = follow(site, other)
        begun = good(ask(site, "POST", "/api/v1/session/totp",
                         {"password": OTHER}, mine))
        good(ask(site, "POST", "/api/v1/session/totp/confirm",
                 {"code": totp(begun["secret"])}, mine))
        ends(stream, "a second factor")
        good(ask(site, "GET", "/api/v1/session", key=mine))


def code_is_good_for_one_login_whoever_is_first():
    with World() as world:
        site = site_of(world)
        create(site, "olga", "owner")
        key = token(site, "olga")
        secret = good(ask(site, "POST", "/api/v1/session/totp",
                          {"password": PASSWORD}, key))["secret"]
        code = totp(secret)
        good(ask(site, "POST", "/api/v1/session/totp/confirm",
                 {"code": code}, key))
        # What confirmed it logs nobody in.
        refused(log_in(site, "olga", code=code), 401, "unauthenticated")
        code = totp(secret, 1)
        answers = []
        both = [threading.Thread(target=lambda: answers.append(
            log_in(site, "olga", code=code).status)) for _ in range(2)]
        for one in both:
            one.start()
        for one in both:
            one.join()
        expect(sorted(answers) == [201, 401], answers)
        # Nor afterwards, when nothing is left in memory.
        site.kill()
        site.start()
        refused(log_in(site, "olga", code=code), 401, "unauthenticated")


def session_is_made_by_the_site_alone():
    """No fixation: what a client brings is not taken for his new session."""
    with World() as world:
        site = site_of(world)
        create(site, "mallory", "viewer")
        create(site, "olga", "owner")
        evil = good(log_in(site, "mallory"), 201)["token"]
        made_up = "lhus_default_" + "A" * 43
        seen = {evil, made_up}
        for planted in (evil, made_up):
            headers = {"Cookie": "__Host-leasehold=" + planted,
                       "X-Leasehold-Page": "1"}
            answer = ask(site, "POST", "/api/v1/session",
                         {"login": "olga", "password": PASSWORD,
                          "cookie": True}, headers=headers)
            good(answer, 201)
            value = answer.headers["Set-Cookie"].split(";")[0].split("=")[1]
            expect(value not in seen, "a session was taken over")
            seen.add(value)
        shown = good(ask(site, "GET", "/api/v1/session", key=evil))
        expect(shown["user"]["login"] == "mallory", shown)
        refused(ask(site, "GET", "/api/v1/session", key=made_up), 401,
                "unauthenticated")


def another_page_logs_nobody_in():
    """What a form of another site can send: no JSON, no header of ours."""
    with World() as world:
        site = site_of(world)
        create(site, "mallory", "viewer")
        body = {"login": "mallory", "password": PASSWORD, "cookie": True}
        for kind in ("text/plain", "application/x-www-form-urlencoded",
                     "multipart/form-data; boundary=x", "",
                     "text/plain; application/json"):
            answer = ask(site, "POST", "/api/v1/session", body, headers={
                "Content-Type": kind, "Origin": "https://evil.example"})
            expect(answer.status in (400, 415) and
                   answer.headers["Set-Cookie"] is None,
                   "%r: %d" % (kind, answer.status))
        # JSON needs the site's word first, which it does not give.
        for method in ("OPTIONS", "POST"):
            answer = ask(site, method, "/api/v1/session",
                         body if method == "POST" else None, headers={
                             "Origin": "https://evil.example",
                             "Access-Control-Request-Method": "POST",
                             "Access-Control-Request-Headers":
                             "content-type,x-leasehold-page"})
            for name in answer.headers.keys():
                expect(not name.lower().startswith("access-control"), name)


def nobody_lifts_himself():
    with World() as world:
        site = site_of(world)
        boss = create(site, "boss", "owner")
        for role in ROLES[1:]:
            user = create(site, "the-" + role, role)
            key = token(site, "the-" + role)
            path = "/api/v1/users/%d" % user
            for higher in ROLES[:ROLES.index(role)]:
                for change in ({"role": higher},
                               {"role": higher, "name": "N"}):
                    refused(ask(site, "PUT", path, change, key), 403,
                            "forbidden")
                refused(ask(site, "POST", "/api/v1/users",
                            {"login": "x-" + role, "role": higher,
                             "password": PASSWORD}, key), 403, "forbidden")
            refused(ask(site, "PUT", "/api/v1/users/%d" % boss,
                        {"mail": "mine@evil.example"}, key), 403, "forbidden")
            # A key is no way around, nor is a field that is none of his.
            made = ask(site, "POST", "/api/v1/keys/generate",
                       {"app_name": "x", "app_type": "ci_cd",
                        "scopes": ["admin:*"]}, key)
            if role == "admin":
                program = good(made, 201)["api_key"]
                for method, route, body in (
                        ("PUT", path, {"role": "owner"}),
                        ("POST", "/api/v1/users/%d/reset" % boss, None),
                        ("POST", "/api/v1/users/%d/disable" % boss, None)):
                    refused(ask(site, method, route, body, program), 403,
                            "forbidden")
            else:
                refused(made, 403, "forbidden")
            for extra in ({"scopes": ["admin:*"]}, {"source": "local"},
                          {"state": "active"}, {"epoch": 1}):
                answer = ask(site, "PUT", path, dict(extra, name="N"), key)
                expect(answer.status in (400, 403), answer.body)
            shown = good(ask(site, "GET", "/api/v1/session", key=key))
            expect(shown["user"]["role"] == role, shown)


if __name__ == "__main__":
    main([streams_end_with_their_session_whatever_ends_it,
          new_password_ends_all_sessions_but_the_one_that_asked,
          code_is_good_for_one_login_whoever_is_first,
          session_is_made_by_the_site_alone,
          another_page_logs_nobody_in,
          nobody_lifts_himself])
