#!/usr/bin/python3
"""People: passwords, codes, sessions, roles and waits, over HTTP and by the
command line."""

import base64
import hashlib
import hmac
import json
import os
import ssl
import stat
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

from harness import (Site, World, binary, expect, main, run, wait_for)
from terminal import Terminal

PASSWORD = "green bottle hill"
ROLES = ("owner", "admin", "operator", "auditor", "viewer")


class Answer:
    def __init__(self, status, body, headers):
        self.status, self.headers = status, headers
        self.body = json.loads(body) if body else None
        self.code = (self.body or {}).get("code", "")


def ask(site, method, path, body=None, key=None, headers=None):
    context = ssl.create_default_context(cafile=site.ca)
    headers = dict(headers or {})
    if key is not None:
        headers["Authorization"] = "Bearer " + key
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(site.url + path, data=data,
                                     method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, context=context,
                                    timeout=30) as got:
            return Answer(got.status, got.read(), got.headers)
    except urllib.error.HTTPError as got:
        return Answer(got.code, got.read(), got.headers)


def good(answer, status=200):
    expect(answer.status == status, "%d %s" % (answer.status, answer.body))
    return answer.body


def refused(answer, status, code):
    expect((answer.status, answer.code) == (status, code),
           "%d %s" % (answer.status, answer.body))
    return answer.body


def totp(secret, off=0):
    step = int(time.time()) // 30 + off
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step),
                   hashlib.sha1).digest()
    at = mac[19] & 15
    code = (struct.unpack(">I", mac[at:at + 4])[0] & 0x7fffffff) % 1000000
    return "%06d" % code


def site_of(world, name="site"):
    site = Site(world, name=name, config="[login]\npassword_cost=interactive\n")
    site.start()
    return site


def create(site, login, role, key=None):
    return good(ask(site, "POST", "/api/v1/users",
                    {"login": login, "role": role, "password": PASSWORD},
                    key or site.key), 201)["user"]["user"]


def log_in(site, login, password=PASSWORD, **more):
    return ask(site, "POST", "/api/v1/session",
               dict(login=login, password=password, **more))


def token(site, login, **more):
    return good(log_in(site, login, **more), 201)["token"]


def rows(site, kind):
    shown = run(binary("leasehold"), "audit", "tail", "-n", "1000", "--json",
                env=site.env)
    expect(shown.status == 0, shown.err)
    return [line for line in shown.out.splitlines() if kind in line]


# --- the tests --------------------------------------------------------------

def password_that_was_made_up_is_good_for_a_change_only():
    with World() as world:
        site = site_of(world)
        made = good(ask(site, "POST", "/api/v1/users",
                        {"login": "Olga", "role": "owner"}, site.key), 201)
        session = good(log_in(site, "olga", made["password"]), 201)
        expect(session["change_password"], session)
        key = session["token"]
        expect(key.startswith("lhus_default_"), key)
        got = refused(ask(site, "GET", "/api/v1/users", key=key), 403,
                      "forbidden")
        expect("leasehold user password" in got["hint"], got)
        refused(ask(site, "GET", "/api/v1/site", key=key), 403, "forbidden")
        for bad in ("short", "passwordpassword", "olga-olga-olga-olga",
                    made["password"]):
            refused(ask(site, "POST", "/api/v1/session/password",
                        {"password": made["password"], "new_password": bad},
                        key), 400, "bad_request")
        refused(ask(site, "POST", "/api/v1/session/password",
                    {"password": "not this one", "new_password": PASSWORD},
                    key), 403, "forbidden")
        other = token(site, "olga", password=made["password"])
        good(ask(site, "POST", "/api/v1/session/password",
                 {"password": made["password"], "new_password": PASSWORD},
                 key))
        good(ask(site, "GET", "/api/v1/users", key=key))
        refused(ask(site, "GET", "/api/v1/session", key=other), 401,
                "unauthenticated")
        refused(log_in(site, "olga", made["password"]), 401,
                "unauthenticated")
        expect(not good(log_in(site, "OLGA"), 201).get("change_password"),
               "still to be changed")
        # Nothing of it lies in the open.
        for folder, _, names in os.walk(site.state):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    data = f.read()
                for secret in (PASSWORD, made["password"], "olga", key[13:],
                               "argon2id"):
                    expect(secret.encode() not in data,
                           "%r stands in %s" % (secret, name))


def every_role_may_what_it_may_and_no_more():
    reads = [("GET", "/api/v1/site"), ("GET", "/api/v1/leases"),
             ("GET", "/api/v1/devices"), ("GET", "/api/v1/queue"),
             ("GET", "/api/v1/borrows"), ("GET", "/api/v1/licenses")]
    operates = [("POST", "/api/v1/devices/tokens"),
                ("DELETE", "/api/v1/leases/77"),
                ("DELETE", "/api/v1/queue/77"),
                ("DELETE", "/api/v1/borrows/77")]
    audits = [("GET", "/api/v1/journal/batches")]
    people = [("GET", "/api/v1/users")]
    site_only = [("POST", "/api/v1/site/clock/confirm"),
                 ("POST", "/api/v1/site/rollback/acknowledge")]
    may = {"owner": reads + operates + audits + people,
           "admin": reads + operates + audits + people,
           "operator": reads + operates, "auditor": reads + audits,
           "viewer": reads}
    with World() as world:
        site = site_of(world)
        for role in ROLES:
            create(site, "the-" + role, role)
            key = token(site, "the-" + role)
            for route in reads + operates + audits + people + site_only:
                body = {} if route[0] == "POST" else None
                if route[1].endswith("acknowledge"):
                    body = {"reason": "none"}
                answer = ask(site, *route, body=body, key=key)
                allowed = answer.code != "forbidden"
                expect(allowed == (route in may[role]),
                       "%s %s: %d %s" % (role, route, answer.status,
                                         answer.body))


def change_of_role_state_or_password_ends_sessions_at_once():
    with World() as world:
        site = site_of(world)
        create(site, "boss", "owner")
        boss = token(site, "boss")
        user = create(site, "olga", "operator", boss)
        path = "/api/v1/users/%d" % user
        changes = [("PUT", path, {"role": "viewer"}),
                   ("POST", path + "/reset", None),
                   ("DELETE", path + "/totp", None),
                   ("POST", path + "/disable", None)]
        for method, route, body in changes:
            key = token(site, "olga")
            page = token(site, "olga")
            good(ask(site, "GET", "/api/v1/session", key=key))
            reply = good(ask(site, method, route, body, boss))
            for old in (key, page):
                refused(ask(site, "GET", "/api/v1/session", key=old), 401,
                        "unauthenticated")
            if route.endswith("/reset"):
                key = token(site, "olga", password=reply["password"])
                good(ask(site, "POST", "/api/v1/session/password",
                         {"password": reply["password"],
                          "new_password": PASSWORD}, key))
        refused(log_in(site, "olga"), 401, "unauthenticated")
        good(ask(site, "POST", path + "/enable", None, boss))
        key = token(site, "olga")
        # His name is no reason.
        good(ask(site, "PUT", path, {"name": "Olga Ott"}, boss))
        shown = good(ask(site, "GET", "/api/v1/session", key=key))
        expect(shown["user"]["name"] == "Olga Ott", shown)
        good(ask(site, "DELETE", path, None, boss))
        refused(ask(site, "GET", "/api/v1/session", key=key), 401,
                "unauthenticated")
        # The last owner stays.
        refused(ask(site, "DELETE", "/api/v1/users/1", None, site.key), 409,
                "conflict")
        refused(ask(site, "PUT", "/api/v1/users/1", {"role": "admin"}, boss),
                409, "conflict")


def sessions_are_listed_and_ended_and_do_not_survive_a_restart():
    with World() as world:
        site = site_of(world)
        create(site, "boss", "owner")
        user = create(site, "olga", "viewer")
        boss, one, two = (token(site, who) for who in ("boss", "olga", "olga"))
        items = good(ask(site, "GET", "/api/v1/sessions", key=one))["items"]
        expect([i.get("current", False) for i in items] == [True, False],
               items)
        refused(ask(site, "GET", "/api/v1/sessions?user=1", key=one), 403,
                "forbidden")
        mine = good(ask(site, "GET", "/api/v1/session", key=boss))
        refused(ask(site, "DELETE", "/api/v1/sessions/%d" %
                    mine["session"]["session"], key=one), 404, "not_found")
        good(ask(site, "DELETE", "/api/v1/sessions/%d" % items[1]["session"],
                 key=one))
        refused(ask(site, "GET", "/api/v1/session", key=two), 401,
                "unauthenticated")
        of_olga = good(ask(site, "GET", "/api/v1/sessions?user=%d" % user,
                           key=boss))["items"]
        expect(len(of_olga) == 1, of_olga)
        good(ask(site, "DELETE", "/api/v1/session", key=one))
        refused(ask(site, "GET", "/api/v1/session", key=one), 401,
                "unauthenticated")
        site.stop()
        site.start()
        refused(ask(site, "GET", "/api/v1/session", key=boss), 401,
                "unauthenticated")
        token(site, "boss")


def code_is_asked_for_once_it_was_confirmed():
    with World() as world:
        site = site_of(world)
        user = create(site, "olga", "owner")
        key = token(site, "olga")
        begun = good(ask(site, "POST", "/api/v1/session/totp",
                         {"password": PASSWORD}, key))
        expect(begun["uri"].startswith("otpauth://totp/site:olga?secret=" +
                                       begun["secret"]), begun)
        token(site, "olga")  # not confirmed: not asked for
        refused(ask(site, "POST", "/api/v1/session/totp/confirm",
                    {"code": "000000"}, key), 400, "bad_request")
        done = good(ask(site, "POST", "/api/v1/session/totp/confirm",
                        {"code": totp(begun["secret"])}, key))
        codes = done["recovery_codes"]
        expect(len(set(codes)) == 10, codes)
        missing = refused(log_in(site, "olga"), 401, "unauthenticated")
        expect(missing["field"] == "code", missing)
        refused(log_in(site, "olga", code="123456"), 401, "unauthenticated")
        now = totp(begun["secret"], 1)
        key = token(site, "olga", code=now)
        refused(log_in(site, "olga", code=now), 401, "unauthenticated")
        left = good(log_in(site, "olga", code=codes[0].upper()), 201)
        expect(left["recovery_codes"] == 9, left)
        refused(log_in(site, "olga", code=codes[0]), 401, "unauthenticated")
        good(ask(site, "DELETE", "/api/v1/users/%d/totp" % user,
                 key=site.key))
        token(site, "olga")
        expect(any("totp_set" in row for row in rows(site, "user.changed")),
               "no row tells of it")


def is_locked_out(site, login, until):
    """Refused; or the wait is over, on a machine that took so long."""
    answer = log_in(site, login)
    if answer.status == 201:
        expect(time.monotonic() >= until, "the wait is forgotten")
        return None
    return refused(answer, 429, "locked_out")


def wrong_passwords_cost_waits_that_a_restart_does_not_forget():
    with World() as world:
        site = site_of(world)
        create(site, "olga", "owner")
        wait = None
        for _ in range(40):
            began, asked = time.monotonic(), time.time()
            answer = log_in(site, "olga", "a wrong password")
            if answer.status != 429:
                counted = asked
                continue
            wait = int(answer.headers["Retry-After"])
            if wait >= 4:
                break
            time.sleep(wait)
        expect(wait is not None and wait >= 4, "nobody waits: %s" % wait)
        # Seconds are rounded up.
        until = began + wait - 1
        got = is_locked_out(site, "olga", until)
        expect(got is None or got["retry_after_s"] <= wait, got)
        # Another from the same address goes on.
        create(site, "anna", "viewer")
        token(site, "anna")
        waits = os.path.join(site.state, "system", "waits")
        wait_for(lambda: os.path.exists(waits) and
                 os.stat(waits).st_mtime >= counted, "the waits are not kept")
        time.sleep(1.2)  # what came last is written once a second
        site.kill()
        site.start()
        is_locked_out(site, "olga", until)
        # An admin helps at once.
        made = good(ask(site, "POST", "/api/v1/users/1/reset", None,
                        site.key))
        token(site, "olga", password=made["password"])


def page_has_a_cookie_that_no_other_site_can_use():
    with World() as world:
        site = site_of(world)
        create(site, "olga", "owner")
        answer = log_in(site, "olga", cookie=True)
        expect("token" not in good(answer, 201), answer.body)
        cookie = answer.headers["Set-Cookie"]
        for word in ("__Host-leasehold=lhus_default_", "; Path=/", "; Secure",
                     "; HttpOnly", "; SameSite=Strict"):
            expect(word in cookie, cookie)
        expect("Domain" not in cookie, cookie)
        pair = cookie.split(";")[0]
        page = {"Cookie": "theme=dark; " + pair + "; x=y"}
        good(ask(site, "GET", "/api/v1/users", headers=page))
        change = ("PUT", "/api/v1/users/1", {"name": "Olga Ott"})
        refused(ask(site, *change, headers=page), 403, "forbidden")
        refused(ask(site, *change, headers=dict(page, **{
            "X-Leasehold-Page": "0"})), 403, "forbidden")
        ours = dict(page, **{"X-Leasehold-Page": "1"})
        good(ask(site, *change, headers=ours))
        refused(ask(site, "GET", "/api/v1/users", headers={
            "Cookie": pair + "; __Host-leasehold=other"}), 400, "bad_request")
        refused(ask(site, "GET", "/api/v1/users", headers={
            "Cookie": "x__Host-leasehold=" + pair.split("=")[1]}), 401,
            "unauthenticated")
        # A key that is sent goes before the cookie.
        refused(ask(site, "GET", "/api/v1/users", key="lhus_default_x",
                    headers=page), 401, "unauthenticated")
        ended = ask(site, "DELETE", "/api/v1/session", headers=ours)
        good(ended)
        expect("Max-Age=0" in ended.headers["Set-Cookie"],
               ended.headers["Set-Cookie"])
        refused(ask(site, "GET", "/api/v1/users", headers=page), 401,
                "unauthenticated")


# --- by hand ------------------------------------------------------------------

def with_lines(args, env, *lines):
    """A command that reads secrets from descriptor 3."""
    reads, writes = os.pipe()
    os.write(writes, ("".join(line + "\n" for line in lines)).encode())
    os.close(writes)
    full = dict(os.environ, LEASEHOLD_CONFIG="/dev/null", **env)
    done = subprocess.run([binary("leasehold"), *args, "--password-fd",
                           str(reads)], pass_fds=(reads,), env=full,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60,
                          check=False)
    os.close(reads)
    return done


def command_line_logs_in_and_acts_as_that_user():
    with World() as world:
        site = site_of(world)
        made = site.cli("user", "create", "olga", "--role", "owner", "--json")
        expect(made.status == 0, made.err)
        first = made.json()["password"]
        env = {"LICENSE_SERVER_URL": site.url, "LICENSE_CA_FILE": site.ca,
               "XDG_STATE_HOME": world.path("state"), "LICENSE_API_KEY": ""}
        kept = world.path("state", "leasehold", "session")

        def mine(*args):
            return run(binary("leasehold"), *args, env=env)

        expect(mine("user", "list").status == 2, "without a key")
        wrong = with_lines(["login", "olga"], env, "not the password")
        expect(wrong.returncode == 3 and "is wrong" in wrong.stderr,
               wrong.stderr)
        expect(not os.path.exists(kept), "a session of nobody")
        done = with_lines(["login", "olga"], env, first)
        expect(done.returncode == 0, done.stderr)
        expect("leasehold user password" in done.stdout, done.stdout)
        expect(stat.S_IMODE(os.stat(kept).st_mode) == 0o600, "mode")
        done = with_lines(["user", "password"], env, first, PASSWORD)
        expect(done.returncode == 0, done.stderr)
        expect("olga" in mine("user", "whoami").out, "who?")
        expect(mine("user", "create", "v", "--role", "viewer").status == 0,
               "create")
        expect(mine("user", "set", "v", "--role", "auditor").status == 0,
               "set")
        expect("auditor" in mine("user", "show", "v").out, "show")
        for args in (["disable", "v"], ["enable", "v"], ["reset", "v"],
                     ["totp", "reset", "v"], ["sessions"], ["sessions", "v"],
                     ["list"], ["remove", "v"]):
            done = mine("user", *args)
            expect(done.status == 0, "%s: %s" % (args, done.err))
        gone = mine("user", "show", "v")
        expect(gone.status == 1 and "leasehold user list" in gone.err,
               gone.err)
        # A key that is given goes before it; another site is not told.
        both = run(binary("leasehold"), "user", "list",
                   env=dict(env, LICENSE_API_KEY="clsk_default_x"))
        expect(both.status == 3, both.err)
        other = run(binary("leasehold"), "user", "list",
                    env=dict(env, LICENSE_SERVER_URL="https://127.0.0.1:1"))
        expect(other.status == 2, other.err)
        os.chmod(kept, 0o644)
        loose = mine("user", "list")
        expect(loose.status == 2 and "others can read" in loose.err,
               loose.err)
        os.chmod(kept, 0o600)
        expect(mine("logout").status == 0 and not os.path.exists(kept),
               "logout")
        expect(mine("logout").status == 1, "twice")


def password_is_not_shown_at_the_terminal():
    with World() as world:
        site = site_of(world)
        create(site, "olga", "owner")
        env = {"LICENSE_SERVER_URL": site.url, "LICENSE_CA_FILE": site.ca,
               "XDG_STATE_HOME": world.path("state"), "LICENSE_API_KEY": ""}
        with Terminal([binary("leasehold"), "login", "olga"], env=env) as seen:
            seen.wait("Password")
            seen.type(PASSWORD + "\n")
            seen.wait("Logged in")
            expect(PASSWORD not in seen.raw, seen.raw)


if __name__ == "__main__":
    sys.exit(main([
        password_that_was_made_up_is_good_for_a_change_only,
        every_role_may_what_it_may_and_no_more,
        change_of_role_state_or_password_ends_sessions_at_once,
        sessions_are_listed_and_ended_and_do_not_survive_a_restart,
        code_is_asked_for_once_it_was_confirmed,
        wrong_passwords_cost_waits_that_a_restart_does_not_forget,
        page_has_a_cookie_that_no_other_site_can_use,
        command_line_logs_in_and_acts_as_that_user,
        password_is_not_shown_at_the_terminal,
    ], together=True))
