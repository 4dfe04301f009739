#!/usr/bin/python3
"""Who may join, who may hold seats, and who is shut out: tokens, approval,
revocation, and two machines with one key."""

import shutil
import socket
import sys
import time

from harness import (PRODUCT, SLOW, Agent, App, Site, World, expect, main,
                     terms, wait_for)

DONE, FAILED, USAGE, REFUSED = 0, 1, 2, 3


def site_of(world, **what):
    site = Site(world)
    site.start()
    site.install(terms(**what))
    return site


def agent_of(world, name="agent"):
    agent = Agent(world, name)
    agent.start()
    return agent


def enrolling_fails(agent, site, token, *words):
    """The refusal of an enrolment names the reason and the next command."""
    done = agent.cli("enroll", site.url, "--token", token)
    expect(done.status in (FAILED, REFUSED), "status %d: %s"
           % (done.status, done.out + done.err))
    for word in words:
        expect(word in done.err, "no %r in: %s" % (word, done.err))
    expect("leasehold " in done.err, "no next command: " + done.err)
    return done


def joins(site, *options):
    shown = site.cli("--json", "join", "list", *options)
    expect(shown.status == DONE, shown.err)
    return shown.json().get("items", [])


def device(site, number):
    shown = site.cli("--json", "device", "show", str(number))
    expect(shown.status == DONE, shown.err)
    return shown.json()


def devices(site, *options):
    shown = site.cli("--json", "device", "list", *options)
    expect(shown.status == DONE, shown.err)
    return shown.json().get("items", [])


def kinds(site):
    shown = site.cli("audit", "tail", "-n", "1000")
    expect(shown.status == DONE, shown.err)
    return [line.split()[3] for line in shown.out.splitlines()]


# --- tokens -----------------------------------------------------------------

def a_token_for_two_lets_two_in_and_no_third():
    with World() as world:
        site = site_of(world)
        token = site.token(uses=2)
        for name in ("one", "two"):
            agent_of(world, name).enroll(site, token)
        third = agent_of(world, "three")
        enrolling_fails(third, site, token, "gone: join:",
                        "good for 2 devices and is used up",
                        "leasehold join create")
        expect(joins(site) == [], "a used token is listed as open")
        used = joins(site, "--all")
        expect(len(used) == 1 and used[0]["state"] == "used" and
               used[0]["used"] == used[0]["uses"] == 2 and
               used[0]["approved"], used)
        # A power cut does not give a use back.
        site.kill()
        site.start()
        enrolling_fails(third, site, token, "used up")
        expect(len(devices(site)) == 2, devices(site))


def a_token_ends():
    with World() as world:
        site = site_of(world)
        token = site.token("--for", "1s")
        time.sleep(1.1)
        enrolling_fails(agent_of(world), site, token, "gone: join:",
                        "the token was good until")
        expect([j["state"] for j in joins(site, "--all")] == ["expired"],
               joins(site, "--all"))
        refused = site.cli("join", "create", "--for", "0s")
        expect(refused.status == USAGE and "--for" in refused.err,
               refused.err)
        refused = site.cli("join", "create", "--for", "366d")
        expect(refused.status == USAGE and "--for: 365d" in refused.err,
               refused.err)


def a_token_is_for_its_class():
    with World() as world:
        site = site_of(world)
        enrolling_fails(agent_of(world), site, site.token("--class", "vtpm"),
                        "class_not_allowed: class:",
                        "for devices of class vtpm, this one is software")
        wrong = site.cli("join", "create", "--class", "tmp")
        expect(wrong.status == USAGE and "did you mean 'tpm'" in wrong.err,
               wrong.err)


def a_token_is_for_its_hosts():
    with World() as world:
        site = site_of(world)
        agent = agent_of(world)
        host = socket.gethostname()
        token = site.token("--host", "nothing-*", "--host", "no?hing")
        enrolling_fails(agent, site, token,
                        "hostname_not_allowed: host:", host)
        shown = joins(site)[0]
        expect(shown["hosts"] == ["nothing-*", "no?hing"], shown)
        expect("nothing-*" in site.cli("join", "list").out, "hosts are shown")
        agent.enroll(site, site.token("--host", "nothing-*", "--host",
                                      host[:1].upper() + "*"))
        many = [word for i in range(17) for word in ("--host", "h%d" % i)]
        refused = site.cli("join", "create", *many)
        expect(refused.status == USAGE and "16" in refused.err, refused.err)


def a_token_that_leaked_is_revoked():
    with World() as world:
        site = site_of(world)
        token = site.token(uses=10)
        first = agent_of(world, "first")
        first.enroll(site, token)
        number = joins(site)[0]["join"]
        done = site.cli("join", "revoke", "join-%d" % number)
        expect(done.status == DONE, done.err)
        enrolling_fails(agent_of(world, "second"), site, token,
                        "gone: join:", "(join-%d) was revoked" % number)
        expect(first.status()["connected"], "who came with it stays")
        expect(joins(site) == [], joins(site))
        expect(joins(site, "--all")[0]["state"] == "revoked", "its state")
        # Once more is no mistake, and no second fact.
        expect(site.cli("join", "revoke", str(number)).status == DONE,
               "revoked again")
        expect(kinds(site).count("join.revoked") == 1, kinds(site))
        refused = site.cli("join", "revoke", "join-99")
        expect(refused.status == FAILED and "no join-99" in refused.err and
               "leasehold join list --all" in refused.err, refused.err)


# --- approval ---------------------------------------------------------------

def a_device_waits_for_an_admin_and_its_application_with_it():
    with World() as world:
        site = site_of(world)
        agent = agent_of(world)
        done = agent.cli("enroll", site.url, "--token",
                         site.token(approve=False))
        expect(done.status == DONE and "leasehold device approve 1" in
               done.out, done.out + done.err)
        agent.wait_connected()
        said = agent.status()
        expect(said["pending"] and said["verdict"]["code"] == "pending" and
               said["verdict"]["status"] == REFUSED, said)
        shown = agent.cli("status")
        for word in ("this device waits for an admin's approval",
                     "leasehold device approve device-1"):
            expect(word in shown.out, shown.out)

        # Who does not want to wait is told at once.
        began = time.monotonic()
        refused = agent.cli("checkout", PRODUCT, "--version", "8.1.0")
        expect(refused.status == REFUSED and
               "forbidden: device-1 waits for an admin's approval" in
               refused.err and "leasehold device approve 1" in refused.err,
               refused.err)
        expect(time.monotonic() - began < 5 * SLOW, "it was not told at once")
        app = App(world, agent.socket, extra=["--wait", "60"])
        wait_for(lambda: [w for w in agent.status().get("waiting", [])
                          if w["waits"] != "agent"], "it waits")
        waiting = agent.status()["waiting"][0]
        expect(waiting["waits"] == "admin", waiting)
        expect(site.leases() == [], "no lease of a pending device")

        expect(site.ready()["devices_pending"] == 1, site.ready())
        expect("1 wait" in site.cli("site", "show").out, "the admin sees it")
        (found,) = devices(site, "--state", "pending")
        expect(found["device"] == 1 and found["connected"] and
               found["address"] == "127.0.0.1" and
               found["software"].startswith("leasehold-agent ") and
               found["seen_at"], found)
        expect(devices(site, "--state", "approved") == [], "none is approved")
        done = site.cli("device", "approve", "1", "device-1")
        expect(done.status == DONE, done.err)
        lease = app.wait()
        expect(lease and lease["lease"] == 1, app.errors())
        expect(site.leases()[0]["device"] == 1, site.leases())
        wait_for(lambda: agent.status()["verdict"]["code"] == "ok",
                 agent.status())
        expect("pending" not in agent.status() or
               not agent.status()["pending"], agent.status())
        found = device(site, "device-1")
        expect(found["state"] == "approved" and found["decided_at"] and
               found["leases"] == 1, found)
        expect(kinds(site).count("device.approved") == 1, kinds(site))
        # It stays so, whoever restarts.
        agent.stop()
        site.kill()
        site.start()
        agent.start()
        agent.wait_connected()
        expect(not agent.status().get("pending"), agent.status())
        site.verify()


def a_pending_device_may_be_turned_down_or_let_in_by_a_token():
    with World() as world:
        site = site_of(world)
        token = site.token(approve=False)
        down, up = agent_of(world, "down"), agent_of(world, "up")
        down.enroll(site, token)
        up.enroll(site, token)
        expect(len(devices(site, "--state", "pending")) == 2, devices(site))
        done = site.cli("device", "revoke", "1", "--reason", "not one of us")
        expect(done.status == DONE, done.err)
        wait_for(lambda: "not one of us" in down.status().get("trouble", ""),
                 down.status())
        refused = site.cli("device", "approve", "1", "2")
        expect(refused.status == REFUSED and
               "device-1 was revoked, and its key stays out" in refused.err,
               refused.err)
        # The others of one command were still let in.
        wait_for(lambda: not up.status().get("pending"), up.status())
        # A token that approves lets in who waited.
        again = agent_of(world, "again")
        again.enroll(site, token)
        expect(again.status()["pending"], again.status())
        again.enroll(site, site.token())
        expect(not again.status().get("pending"), again.status())
        expect(device(site, 3)["state"] == "approved", device(site, 3))
        # And one that does not takes nothing from who was let in.
        again.enroll(site, site.token(approve=False))
        expect(not again.status().get("pending"), again.status())


# --- revocation -------------------------------------------------------------

def a_revoked_device_is_told_why_and_keeps_still():
    with World() as world:
        site = site_of(world, grace_s=300)
        agent = agent_of(world)
        agent.enroll(site)
        app = App(world, agent.socket)
        expect(app.wait(), app.errors())
        reason = "stolen in Böblingen: " + "x" * 80
        done = site.cli("device", "revoke", "device-1", "--reason", reason)
        expect(done.status == DONE, done.err)
        wait_for(lambda: "revoked this device" in app.errors(),
                 "the application is not told")
        said = wait_for(lambda: agent.status() if not
                        agent.status()["connected"] else None, "shut out")
        expect(said["verdict"]["code"] == "device_revoked" and
               "stolen in Böblingen" in said["trouble"], said)
        expect(site.leases() == [], site.leases())
        # It does not ask again and again.
        expect(said["retry_s"] >= 400, said)
        time.sleep(3)
        expect(agent.status()["retry_s"] >= 397, agent.status())
        began = time.monotonic()
        refused = agent.cli("checkout", PRODUCT, "--wait", "20s")
        expect(refused.status == REFUSED and
               "device_revoked" in refused.err and
               "stolen in Böblingen" in refused.err, refused.err)
        expect(time.monotonic() - began < 5 * SLOW, "it was not told at once")
        # The whole reason after a restart: the site says it at login.
        agent.stop()
        agent.start()
        said = wait_for(lambda: agent.status() if reason in
                        agent.status().get("trouble", "") else None,
                        "the whole reason")
        expect(said["retry_s"] >= 400, said)
        shown = device(site, 1)
        expect(shown["state"] == "revoked" and shown["reason"] == reason and
               not shown["connected"], shown)
        # The journal holds no words of people.
        tail = site.cli("--json", "audit", "tail", "-n", "1000")
        expect("device.revoked" in tail.out and "stolen" not in tail.out,
               tail.out)
        refused = site.cli("device", "revoke", "device-99")
        expect(refused.status == FAILED and "no device-99" in refused.err,
               refused.err)


# --- one key ----------------------------------------------------------------

def sessions(site):
    return site.ready()["sessions"]


def two_machines_with_one_key_do_not_fight():
    with World() as world:
        site = site_of(world)
        first = agent_of(world, "first")
        first.enroll(site)
        app = App(world, first.socket)
        expect(app.wait(), app.errors())
        shutil.copytree(first.state, world.path("second"),
                        ignore=shutil.ignore_patterns("*.lock", "leases"))
        # The copy has made a proof more than the original when it comes.
        second = Agent(world, "second")
        second.start()
        second.wait_connected()
        said = wait_for(lambda: first.status() if not
                        first.status()["connected"] else None,
                        "the first is not thrown out")
        expect(said["verdict"]["code"] == "session_replaced" and
               "this device connected from elsewhere (127.0.0.1)" in
               said["trouble"], said)
        expect(said["retry_s"] >= 25, said)
        # Neither applications nor time make it fight.
        began = time.monotonic()
        refused = first.cli("checkout", PRODUCT, "--version", "8.1.0")
        expect(refused.status == REFUSED and "elsewhere" in refused.err,
               "%d: %s" % (refused.status, refused.err))
        expect(time.monotonic() - began < 5 * SLOW, "it was not told at once")
        since = device(site, 1)["connected_at"]
        time.sleep(4)
        expect(device(site, 1)["connected_at"] == since and
               sessions(site) == 1, "they fight: %s" % device(site, 1))
        expect(second.status()["connected"], second.status())
        # What is advised makes two devices of them.
        first.cli("return", "--all")
        done = second.cli("enroll", site.url, "--token", site.token(),
                          "--new-key")
        expect(done.status == DONE and "device-2" in done.out,
               done.out + done.err)
        # Its next proofs would stumble over those of the copy for a while; a
        # site that was restarted has not seen them.
        first.stop()
        site.stop()
        site.start()
        first.start()
        first.wait_connected()
        second.wait_connected()
        expect(sessions(site) == 2, site.ready())


def one_device_logs_in_so_often_and_no_more():
    with World() as world:
        site = site_of(world)
        agent = agent_of(world)
        agent.enroll(site)
        said = agent.status()
        for _ in range(60):
            if "logs in more often" in said.get("trouble", ""):
                break
            agent.process.kill()
            agent.process.wait()
            agent.start()
            said = wait_for(lambda: agent.status() if
                            agent.status()["connected"] or
                            agent.status().get("trouble") else None,
                            "it does not log in")
        expect("device-1 logs in more often" in said.get("trouble", ""), said)
        # And it comes back by itself.
        agent.wait_connected(60)


if __name__ == "__main__":
    sys.exit(main([
        a_token_for_two_lets_two_in_and_no_third,
        a_token_ends,
        a_token_is_for_its_class,
        a_token_is_for_its_hosts,
        a_token_that_leaked_is_revoked,
        a_device_waits_for_an_admin_and_its_application_with_it,
        a_pending_device_may_be_turned_down_or_let_in_by_a_token,
        a_revoked_device_is_told_why_and_keeps_still,
        two_machines_with_one_key_do_not_fight,
        one_device_logs_in_so_often_and_no_more,
    ]))
