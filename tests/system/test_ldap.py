#!/usr/bin/python3
"""Logins that a directory judges: slapd, TLS, groups, attacks, and servers that
are down, hang or are somebody else."""

import os
import signal
import socket
import sys
import threading
import time

from api import Api
from directory import Directory, SUFFIX, group_dn, person_dn
from harness import Site, World, expect, main, wait_for
from test_sessions import ends, follow
from test_users import ask, create, good, log_in, refused, token

PEOPLE = {"dora": "what dora says", "emil": "what emil says",
          "fritz": "what fritz says", "nobody": "what nobody says"}
GROUPS = {"admins": "dora", "viewers": "emil", "operators": "fritz"}
LOGIN = "[login]\npassword_cost=interactive\n"


def directory_of(world):
    directory = Directory(world, PEOPLE, GROUPS)
    directory.start()
    return directory


def site_with(world, settings, name="site"):
    site = Site(world, name=name, config=LOGIN + settings)
    site.start()
    return site


def role_of(answer):
    return good(answer, 201)["session"]["role"]


def groups_give_roles_and_wrong_passwords_nothing():
    with World() as world:
        directory = directory_of(world)
        site = site_with(world, directory.searching())
        expect(role_of(log_in(site, "Dora", PEOPLE["dora"])) == "admin",
               "dora")
        expect(role_of(log_in(site, "emil", PEOPLE["emil"])) == "viewer",
               "emil")
        for login, password in (("dora", PEOPLE["emil"]), ("dora", " "),
                                ("dora", PEOPLE["dora"] + "x"),
                                ("unknown", "what unknown says")):
            refused(log_in(site, login, password), 401, "unauthenticated")
        # Empty: slapd would take it for anonymous and say yes.
        refused(log_in(site, "emil", ""), 400, "bad_request")
        no_role = refused(log_in(site, "nobody", PEOPLE["nobody"]), 403,
                          "forbidden")
        expect("groups" in no_role["detail"], no_role)
        key = token(site, "dora", password=PEOPLE["dora"])
        users = good(ask(site, "GET", "/api/v1/users", key=key))["items"]
        expect([(u["login"], u["source"], u["role"], u["name"], u["mail"])
                for u in users] == [
                    ("dora", "directory", "admin", "Dora Ott",
                     "dora@example.com"),
                    ("emil", "directory", "viewer", "Emil Ott",
                     "emil@example.com")], users)
        # What the directory says next time counts.
        viewer = token(site, "emil", password=PEOPLE["emil"])
        stream = follow(site, viewer)
        directory.change("dn: %s\nchangetype: modify\nadd: member\nmember: "
                         "%s\n" % (group_dn("operators"), person_dn("emil")))
        expect(role_of(log_in(site, "emil", PEOPLE["emil"])) == "operator",
               "emil again")
        refused(ask(site, "GET", "/api/v1/session", key=viewer), 401,
                "unauthenticated")
        ends(stream, "another role by the directory")
        refused(ask(site, "POST", "/api/v1/users/%d/reset" %
                    users[1]["user"], key=site.key), 409, "conflict")
        good(ask(site, "POST", "/api/v1/users/%d/disable" % users[1]["user"],
                 key=key))
        refused(log_in(site, "emil", PEOPLE["emil"]), 401, "unauthenticated")
        # A code can be had as well.
        begun = good(ask(site, "POST", "/api/v1/session/totp",
                         {"password": PEOPLE["dora"]}, key))
        expect(":dora?" in begun["uri"], begun)
        # Out of all groups: what he may from before, he may no more.
        stream = follow(site, key)
        directory.change("dn: %s\nchangetype: delete\n" %
                         group_dn("admins"))
        refused(log_in(site, "dora", PEOPLE["emil"]), 401, "unauthenticated")
        good(ask(site, "GET", "/api/v1/session", key=key))
        refused(log_in(site, "dora", PEOPLE["dora"]), 403, "forbidden")
        ends(stream, "no role by the directory")
        refused(ask(site, "GET", "/api/v1/session", key=key), 401,
                "unauthenticated")


def refusal_does_not_tell_whose_a_login_is():
    """Ours, the directory's, nobody's: one hash each, and no answer before a
    directory could have given it."""
    with World() as world:
        directory = directory_of(world)
        site = site_with(world, directory.searching())
        create(site, "olga", "viewer")
        api = Api(site)

        def hashed():
            text = api.get("/metrics").body.decode()
            return int(text.split("\nleasehold_passwords_hashed_total ")[1]
                       .split("\n")[0])

        token(site, "emil", password=PEOPLE["emil"])
        for login in ("olga", "emil", "dora", "unknown", "no login"):
            before, began = hashed(), time.monotonic()
            refused(log_in(site, login, "a wrong password"), 401,
                    "unauthenticated")
            took = time.monotonic() - began
            expect(hashed() - before == 1, "%s: %d hashes" %
                   (login, hashed() - before))
            expect(took >= 0.25, "%s: told after %f s" % (login, took))
        # Who is let in by either costs the same.
        for login, password in (("olga", None), ("dora", PEOPLE["dora"])):
            before = hashed()
            good(log_in(site, login, password) if password else
                 log_in(site, login), 201)
            expect(hashed() - before == 1, login)


def local_users_are_not_asked_about_and_names_are_no_patterns():
    with World() as world:
        directory = directory_of(world)
        directory.change("dn: uid=olga,ou=people,%s\nchangetype: add\n"
                         "objectClass: inetOrgPerson\nuid: olga\ncn: O\n"
                         "sn: O\nuserPassword: from the directory\n" % SUFFIX)
        directory.change("dn: %s\nchangetype: modify\nadd: member\nmember: "
                         "%s\n" % (group_dn("admins"), person_dn("olga")))
        site = site_with(world, directory.searching())
        create(site, "olga", "viewer")
        refused(log_in(site, "olga", "from the directory"), 401,
                "unauthenticated")
        expect(role_of(log_in(site, "olga")) == "viewer", "olga")
        for login in ("*", "d*", "dora)(uid=*", "*)(|(uid=*", "dora,ou=people",
                      "dora\\2a", "\u0000dora", "dora\n", "uid=dora"):
            answer = log_in(site, login, PEOPLE["dora"])
            expect(answer.status in (400, 401, 429),
                   "%r: %d %s" % (login, answer.status, answer.body))


def template_and_start_tls_do_without_a_service_account():
    with World() as world:
        directory = directory_of(world)
        site = site_with(world, directory.settings(
            url=directory.plain_url,
            bind_dn="uid={login},ou=people," + SUFFIX))
        expect(role_of(log_in(site, "dora", PEOPLE["dora"])) == "admin",
               "dora")
        refused(log_in(site, "dora", "wrong"), 401, "unauthenticated")
        refused(log_in(site, "a+b", "wrong"), 401, "unauthenticated")


def who_is_not_the_directory_is_told_no_password():
    """Another name, another CA, no TLS at all: nothing is sent."""
    with World() as world:
        directory = directory_of(world)
        other = Directory(world, {}, {}, name="other")
        by_name = directory.secret_url.replace("127.0.0.1", "localhost")
        heard = []
        listener = socket.create_server(("127.0.0.1", 0))

        def listen():
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                heard.append(peer.recv(4096))
                peer.close()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        plain = "ldap://127.0.0.1:%d" % listener.getsockname()[1]
        for n, settings in enumerate((
                directory.searching(url=by_name),
                directory.searching(ca=other.ca),
                directory.searching(url=plain))):
            site = site_with(world, settings, name="site%d" % n)
            refused(log_in(site, "dora", PEOPLE["dora"]), 503, "unavailable")
            site.stop()
        listener.close()
        expect(heard and all(b"says" not in data for data in heard),
               "a password was sent: %r" % heard)


def directory_that_is_down_or_hangs_stops_nobody_else():
    with World() as world:
        directory = directory_of(world)
        silent = socket.create_server(("127.0.0.1", 0), backlog=64)
        url = "ldaps://localhost:%d" % silent.getsockname()[1]
        site = site_with(world, directory.searching(url=url, timeout_s=30))
        create(site, "olga", "owner")
        answers = []
        hanging = [threading.Thread(target=lambda: answers.append(
            log_in(site, "dora", PEOPLE["dora"]))) for _ in range(3)]
        for thread in hanging:
            thread.start()
        asked, _ = silent.accept()
        token(site, "olga")
        expect(not answers, "a local login had to wait")
        asked.close()
        silent.close()
        for thread in hanging:
            thread.join()
        expect(len(answers) == 3, answers)
        for answer in answers:
            refused(answer, 503, "unavailable")
        token(site, "olga")
        # It was no guess: nobody has to wait for it.
        for _ in range(8):
            refused(log_in(site, "dora", PEOPLE["dora"]), 503, "unavailable")


def directory_that_hangs_is_not_waited_for_for_ever():
    with World() as world:
        directory = directory_of(world)
        with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
            url = "ldaps://localhost:%d" % silent.getsockname()[1]
            site = site_with(world, directory.searching(url=url, timeout_s=1))
            refused(log_in(site, "dora", PEOPLE["dora"]), 503, "unavailable")


def courier_that_dies_is_replaced():
    with World() as world:
        directory = directory_of(world)
        site = site_with(world, directory.searching())
        token(site, "dora", password=PEOPLE["dora"])
        before = site.child("courier")
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: log_in(site, "dora", PEOPLE["dora"]).status == 201,
                 "no login after the courier died")
        expect(site.child("courier") != before, "the same process")
        expect(site.stop() == 0, "status")


def configuration_that_does_not_go_together_is_named():
    with World() as world:
        directory = Directory(world, {}, {})
        for more, word in (({"ca": None}, "ca:"),
                           ({"url": "http://x"}, "url:"),
                           ({"service_dn": None}, "service_dn"),
                           ({"filter": "(uid=x)"}, "{login}"),
                           ({"bind_dn": "uid={login}"}, "either"),
                           ({"admin_group": "", "operator_group": "",
                             "viewer_group": ""}, "group")):
            settings = dict(base="x", service_dn="cn=x", url="ldaps://x",
                            service_password_file=directory.secret)
            settings.update(more)
            site = Site(world, name="s" + word.strip(":{}"),
                        config=directory.settings(**settings))
            site.start(wait=False)
            expect(site.process.wait(timeout=20) == 2, more)
            expect(word in site.log(), site.log())


if __name__ == "__main__":
    sys.exit(main([
        groups_give_roles_and_wrong_passwords_nothing,
        refusal_does_not_tell_whose_a_login_is,
        local_users_are_not_asked_about_and_names_are_no_patterns,
        template_and_start_tls_do_without_a_service_account,
        who_is_not_the_directory_is_told_no_password,
        directory_that_is_down_or_hangs_stops_nobody_else,
        directory_that_hangs_is_not_waited_for_for_ever,
        courier_that_dies_is_replaced,
        configuration_that_does_not_go_together_is_named,
    ], together=True))
