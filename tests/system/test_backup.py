#!/usr/bin/python3
"""Backups while the site runs, what is found wrong with a file, and a site made
anew out of one."""

import json
import os
import subprocess
import sys
import tarfile

from harness import (Agent, App, PRODUCT, Site, World, binary, expect, main, run, terms,
                     wait_for)

WORD = "correct horse battery"


def passphrase(world, word=WORD):
    path = world.path("passphrase")
    if not os.path.exists(path):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
            out.write(word + "\n")
    return path


def setting(world):
    site = Site(world)
    site.start()
    site.install(terms(5, 5))
    agent = Agent(world)
    agent.start()
    agent.enroll(site)
    app = App(world, agent.socket)
    expect(app.wait(), app.errors())
    return site, agent, app


def backup(world, site, name="site.backup", *options, ok=True):
    path = world.path(name)
    done = site.cli("backup", path, "--passphrase-file", passphrase(world),
                    *options)
    expect(not ok or done.status == 0, done.err)
    return path if ok else done


def verify(world, site, path, *options):
    return site.cli("backup", "verify", path, "--passphrase-file",
                    passphrase(world), *options)


# --- making and checking ------------------------------------------------------


def a_running_site_is_copied_and_its_journal_holds():
    with World() as world:
        site, agent, app = setting(world)
        path = backup(world, site)
        # It goes on.
        expect(len(site.leases()) == 1, site.leases())
        shown = site.cli("--json", "backup", "show", path).json()
        expect(shown["whole"] and shown["site"] == site.ready()["site"], shown)
        expect([t["tenant"] for t in shown["tenants"]] == ["default"], shown)
        found = site.cli("--json", "backup", "verify", path,
                         "--passphrase-file", passphrase(world)).json()
        expect(found["rows"] == shown["tenants"][0]["rows"], (found, shown))
        expect(found["rows"] > 3, found)
        words = verify(world, site, path)
        expect(words.status == 0 and "every signature" in words.out, words.out)
        expect(os.stat(path).st_mode & 0o777 == 0o600, "its mode")
        # Nothing that was granted is lost to a second look.
        again = backup(world, site, "site.backup", ok=False)
        expect(again.status == 1 and "there already" in again.err, again.err)


def one_tenant_is_copied_alone():
    with World() as world:
        site, agent, app = setting(world)
        path = backup(world, site, "one.backup", "--tenant", "default")
        shown = site.cli("--json", "backup", "show", path).json()
        expect(not shown["whole"], shown)
        expect(verify(world, site, path).status == 0, "does not hold")
        none = backup(world, site, "none.backup", "--tenant", "nobody",
                      ok=False)
        expect(none.status == 1 and "no tenant 'nobody'" in none.err, none.err)
        expect(not os.path.exists(world.path("none.backup")), "left behind")
        expect(not os.path.exists(world.path("none.backup.partial")),
               "left behind")


# --- a damaged file -----------------------------------------------------------


def each_fault_of_a_file_is_one_clear_error():
    with World() as world:
        site, agent, app = setting(world)
        path = backup(world, site)
        with open(path, "rb") as f:
            whole = f.read()

        def changed(data, words, status=1, made_of=False):
            bad = world.path("bad.backup")
            with open(bad, "wb") as f:
                f.write(data)
            done = verify(world, site, bad)
            expect(done.status == status and words in done.err,
                   "%s: %s" % (words, done.err))
            if not made_of:
                return
            # And nothing is made of it either.
            made = restore(world, site, bad, "--site-key",
                           os.path.join(site.state, "keys", "site.key"),
                           "--host", "127.0.0.1", state="other")
            expect(made.status == 1, made.out)
            expect(not os.path.exists(world.path("other")) and
                   not os.path.exists(world.path("other.new")), "left behind")

        changed(whole[:-100], "cut off", made_of=True)
        changed(whole[:len(whole) // 2], "cut off")
        middle = len(whole) * 3 // 4
        changed(whole[:middle] + bytes([whole[middle] ^ 1]) +
                whole[middle + 1:], "was changed")
        changed(whole + b"x", "behind its end")
        changed(b"PK" + whole, "no backup")
        name = whole.index(b'"tenant":"default"')
        changed(whole[:name + 11] + b"x" + whole[name + 12:],
                "is not named in the file's header", made_of=True)
        wrong = world.path("wrong")
        with open(os.open(wrong, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
            out.write("another horse\n")
        done = site.cli("backup", "verify", path, "--passphrase-file", wrong)
        expect(done.status == 1 and "another passphrase" in done.err, done.err)
        loose = world.path("loose")
        with open(loose, "w") as out:
            out.write(WORD)
        os.chmod(loose, 0o644)
        done = site.cli("backup", "verify", path, "--passphrase-file", loose)
        expect(done.status == 1 and "chmod 600" in done.err, done.err)


# --- a whole site, made anew --------------------------------------------------


def restore(world, site, path, *options, state=None):
    args = [binary("leaseholdd"), "restore", path, "--state",
            world.path(state) if state else site.state, "--passphrase-file",
            passphrase(world), *options]
    if os.geteuid() == 0:
        args += ["--user", "daemon"]
    return run(*args)


def lose(site):
    """The site's folder is gone; its witness is not."""
    os.rename(site.state, site.state + ".lost")


def a_lost_site_is_made_anew_and_goes_on_once_acknowledged():
    with World() as world:
        site, agent, app = setting(world)
        path = backup(world, site, "site.backup", "--state", site.state)
        expect(site.cli("--json", "backup", "show", path).json()["keys"],
               "its keys")
        later = App(world, agent.socket, name="later")
        expect(later.wait(), later.errors())
        site.stop()
        lose(site)
        made = restore(world, site, path)
        expect(made.status == 0 and "acknowledge-rollback" in made.out,
               made.err)
        site.start()
        shown = site.ready()
        expect(shown["rolled_back"], shown)
        done = site.cli("site", "acknowledge-rollback", "--reason", "fire")
        expect(done.status == 0, done.err)
        # The admin's key, the CA, the device and its lease are the same; the
        # lease that came after the copy is adopted.
        agent.wait_connected()
        wait_for(lambda: len(site.leases()) == 2, "leases: %s" % site.leases())
        expect(site.verify()["generation"] == 2, "generation")
        again = App(world, agent.socket, name="again")
        expect(again.wait(), again.errors())


def a_new_box_becomes_the_site_with_the_key_from_its_safe():
    with World() as world:
        site, agent, app = setting(world)
        path = backup(world, site)
        key = world.path("safe.key")
        expect(run("cp", "-a", os.path.join(site.state, "keys", "site.key"),
                   key).status == 0, "cp")
        site.stop()
        lose(site)
        os.rename(site.witness, site.witness + ".lost")
        for options, words in (([], "--site-key"),
                               (["--site-key", key], "--host")):
            done = restore(world, site, path, *options)
            expect(done.status == 1 and words in done.err, done.err)
            expect(not os.path.exists(site.state), "something was made")
        done = restore(world, site, path, "--site-key", key, "--host",
                       "127.0.0.1")
        expect(done.status == 0 and "new CA" in done.err, done.err)
        site.start()
        expect(site.ready()["rolled_back"], "a box that nobody vouches for")
        done = site.cli("site", "acknowledge-rollback", "--reason", "fire")
        expect(done.status == 0, done.err)
        expect(len(site.leases()) == 1, site.leases())
        # Where a site is already, nothing is made.
        done = restore(world, site, path, "--site-key", key, "--host",
                       "127.0.0.1")
        expect(done.status == 1 and "there already" in done.err, done.err)


def another_sites_key_opens_no_backup():
    with World() as world:
        site = Site(world)
        site.start()
        path = backup(world, site)
        other = Site(world, "other")
        done = restore(world, site, path, "--site-key",
                       os.path.join(other.state, "keys", "site.key"), "--host",
                       "127.0.0.1", state="third")
        expect(done.status == 1 and "not that of" in done.err, done.err)
        expect(not os.path.exists(world.path("third")), "something was made")


def a_restore_that_is_killed_leaves_no_site():
    with World() as world:
        site, agent, app = setting(world)
        path = backup(world, site, "site.backup", "--state", site.state)
        killed = 0
        for delay in (0.3, 0.6, 0.75, 0.9, 1.0, 1.1):
            state = world.path("s%d" % int(delay * 100))
            try:
                run(binary("leaseholdd"), "restore", path, "--state", state,
                    "--passphrase-file", passphrase(world), timeout=delay)
            except subprocess.TimeoutExpired:
                killed += 1
            whole = os.path.exists(os.path.join(state, "site.json"))
            expect(whole or not os.path.exists(state), "half a site")
            if not whole:
                done = run(binary("leaseholdd"), "restore", path, "--state",
                           state, "--passphrase-file", passphrase(world))
                expect(done.status == 0, done.err)
            expect(not os.path.exists(state + ".new"), "left behind")
        expect(killed > 0, "nothing was killed")


# --- one tenant, put back ----------------------------------------------------


def one_tenant_is_put_back_and_its_site_says_so():
    with World() as world:
        site, agent, app = setting(world)
        path = backup(world, site, "one.backup", "--tenant", "default")
        later = App(world, agent.socket, name="later")
        expect(later.wait(), later.errors())

        def put_back(*options):
            return run(binary("leaseholdd"), "restore", path, "--state",
                       site.state, "--passphrase-file", passphrase(world),
                       *options)

        running = put_back("--tenant", "default")
        expect(running.status == 1, running.out)
        site.stop()
        whole = put_back()
        expect(whole.status == 1 and "--tenant" in whole.err, whole.err)
        nobody = put_back("--tenant", "nobody")
        expect(nobody.status == 1 and "no tenant nobody" in nobody.err,
               nobody.err)
        other = Site(world, "other")
        wrong = run(binary("leaseholdd"), "restore", path, "--state",
                    other.state, "--passphrase-file", passphrase(world),
                    "--tenant", "default")
        expect(wrong.status == 1 and "is a backup of" in wrong.err, wrong.err)
        # None of that changed anything.
        site.start()
        agent.wait_connected()
        wait_for(lambda: len(site.leases()) == 2, "leases")
        site.stop()
        done = put_back("--tenant", "default")
        expect(done.status == 0, done.err)
        expect(sorted(os.listdir(os.path.join(site.state, "tenants"))) ==
               ["default"], "left behind")
        site.start()
        shown = site.ready()
        expect(shown["rolled_back"] and "tenant default" in shown["rollback"],
               shown)
        done = site.cli("site", "acknowledge-rollback", "--reason", "a mistake")
        expect(done.status == 0, done.err)
        agent.wait_connected()
        wait_for(lambda: len(site.leases()) == 2, "the lost one is adopted")
        expect(site.verify()["generation"] == 2, "generation")


# --- export -------------------------------------------------------------------


def a_tenant_takes_everything_along():
    with World() as world:
        site, agent, app = setting(world)
        path = world.path("default.tar")
        done = site.cli("tenant", "export", "default", path)
        expect(done.status == 0, done.err)
        expect(os.stat(path).st_mode & 0o777 == 0o600, "its mode")
        with tarfile.open(path) as tar:
            names = tar.getnames()

            def lines(name):
                text = tar.extractfile(name + ".jsonl").read().decode()
                return [json.loads(line) for line in text.splitlines()]

            about, = lines("about")
            expect(about["tenant"] == "default", about)
            expect(len(lines("licenses")) == 1, names)
            expect(len(lines("leases")) == 1, lines("leases"))
            expect(len(lines("devices")) == 1, lines("devices"))
            expect(len(lines("tokens")) == 1, "a token that is used up")
            people = {s["value"] for s in lines("subjects")}
            expect(lines("leases")[0]["user"] in people, people)
            batches = [n for n in names if n.startswith("journal/")]
            expect(len(batches) == about["batch"] + 1, names)
            whole = b"".join(tar.extractfile(n).read() for n in names)
            expect(b"v4.public" in whole, "signed headers")
            expect(site.key.encode() not in whole, "a secret")
            expect(b"README" not in whole and "README" in names, names)
        # One's own, and one that is nobody's.
        own = site.cli("tenant", "export", "--own", world.path("own.tar"))
        expect(own.status == 0, own.err)
        none = site.cli("tenant", "export", "nobody", world.path("none.tar"))
        expect(none.status == 1 and "no tenant" in none.err, none.err)
        expect(not os.path.exists(world.path("none.tar")), "left behind")
        # A file that is there stays.
        again = site.cli("tenant", "export", "default", path)
        expect(again.status == 1 and "there already" in again.err, again.err)


# --- deletion -----------------------------------------------------------------


def call(site, method, path, body=None, key=None, host=None):
    """One HTTP request as a program makes it: status, answer."""
    args = ["curl", "-s", "--cacert", site.ca, "-X", method, "-w",
            "\n%{http_code}", "-H", "Authorization: Bearer " + (key or site.key)]
    if body is not None:
        args += ["-H", "Content-Type: application/json", "-d",
                 json.dumps(body)]
    if host is not None:
        args += ["-H", "Host: " + host]
    done = run(*args, site.url + path)
    text, _, status = done.out.rpartition("\n")
    return int(status), json.loads(text) if text else None


def with_tenant(world, name="mercedes"):
    site = Site(world)
    site.start()
    status, made = call(site, "POST", "/api/v1/b2b/tenants", {
        "partnerName": "Mercedes", "tenantId": name, "licenseType": "custom",
        "tier": "enterprise", "contactInfo": {
            "name": "Ada", "email": "ada@example.com"}})
    expect(status in (200, 201), "%s %s" % (status, made))
    return site, made["tenant"]


def a_tenant_is_deleted_for_good_with_a_certificate():
    with World() as world:
        site, made = with_tenant(world)
        files = [os.path.join(site.state, "keys", "mercedes.key"),
                 os.path.join(site.state, "tenants", "mercedes")]
        expect(all(os.path.exists(f) for f in files), "its files")
        for words, status in ((["mercedes"], 2),
                              (["mercedes", "--confirm", "merced"], 2),
                              (["default", "--confirm", "default"], 3),
                              (["nobody", "--confirm", "nobody"], 1)):
            done = site.cli("tenant", "delete", *words)
            expect(done.status == status, "%s: %s" % (words, done.err))
        out = world.path("mercedes.deleted")
        done = site.cli("tenant", "delete", "mercedes", "--confirm",
                        "mercedes", "--reason", "contract ended", "--out", out)
        expect(done.status == 0 and "for good" in done.out, done.err)
        expect(not any(os.path.exists(f) for f in files), "files are left")
        status, gone = call(site, "GET", "/api/v1/b2b/tenants/mercedes")
        expect(status == 404, gone)
        listed = site.cli("--json", "tenant", "certificate", "mercedes").json()
        item, = listed["items"]
        expect(item["tenant"] == "mercedes" and
               item["reason"] == "contract ended", item)
        # Without any site; and a changed one is found.
        checked = run(binary("leasehold"), "tenant", "certificate", "check",
                      out)
        expect(checked.status == 0 and item["site"] in checked.out, checked.err)
        with open(out) as f:
            text = f.read()
        with open(out, "w") as f:
            f.write(text.replace(text[200], "A" if text[200] != "A" else "B",
                                 1))
        bad = run(binary("leasehold"), "tenant", "certificate", "check", out)
        expect(bad.status == 1, bad.out)
        # After a restart too; and the name is free again.
        site.stop()
        site.start()
        listed = site.cli("--json", "tenant", "certificate").json()
        expect(len(listed["items"]) == 1, listed)
        again = site.cli("tenant", "certificate", "nobody")
        expect(again.status == 1, again.out)


class AsTenant:
    """A tenant of a site, for World.issue."""

    def __init__(self, site, made):
        self.site, self.key = site, made["apiSecret"]
        self.host = "mercedes.localhost:%d" % site.port

    def call(self, method, path, body=None):
        return call(self.site, method, path, body, self.key, self.host)

    def request(self):
        status, answer = self.call("GET", "/api/v1/site/request")
        expect(status == 200, answer)
        return answer["request"]


def a_tenant_whose_seats_are_held_is_deleted_by_force_alone():
    with World() as world:
        site, made = with_tenant(world)
        tenant = AsTenant(site, made)
        with open(world.issue(tenant, terms(5, 5))) as f:
            status, answer = tenant.call("POST", "/api/v1/licenses",
                                         json.load(f))
        expect(status == 201, answer)
        status, key = tenant.call("POST", "/api/v1/keys/generate", {
            "app_name": "ci", "app_type": "ci_cd",
            "scopes": ["license:checkout", "license:return"]})
        expect(status in (200, 201), key)
        status, seat = call(site, "POST", "/api/v1/licenses/checkout",
                            {"product": PRODUCT, "version": "8.1.0",
                             "user": "ada"}, key["api_key"], tenant.host)
        expect(status in (200, 201), seat)
        # Its own admin takes his own along, and nobody else's.
        status, own = tenant.call("POST", "/api/v1/exports", {})
        expect(status == 201 and own["tenant"] == "mercedes", own)
        path = "/api/v1/exports/%d" % own["part"]
        status, piece = tenant.call("GET", path)
        expect(status == 200 and len(piece["data"]) > 1000, piece)
        status, refused = call(site, "GET", path)
        expect(status == 404, refused)
        for method, other in (("POST", "/api/v1/b2b/tenants/default/export"),
                              ("POST", "/api/v1/backups"),
                              ("GET", "/api/v1/b2b/certificates")):
            status, refused = tenant.call(method, other, {}
                                          if method == "POST" else None)
            expect(status == 403, (other, status, refused))
        done = site.cli("tenant", "delete", "mercedes", "--confirm",
                        "mercedes")
        expect(done.status == 1 and "1 leases" in done.err and
               "--force" in done.err, done.err)
        status, leases = tenant.call("GET", "/api/v1/leases")
        expect(status == 200 and len(leases["items"]) == 1, leases)
        done = site.cli("--json", "tenant", "delete", "mercedes", "--confirm",
                        "mercedes", "--force", "--reason", "court order")
        expect(done.status == 0, done.err)
        said = done.json()["certificate"]
        expect(said["leases"] == 1 and said["reason"] == "court order", said)
        status, gone = tenant.call("GET", "/api/v1/leases")
        expect(status in (401, 403, 404), (status, gone))


def two_tenants_are_copied_and_force_needs_a_reason():
    with World() as world:
        site, made = with_tenant(world)
        path = backup(world, site)
        shown = site.cli("--json", "backup", "show", path).json()
        expect(sorted(t["tenant"] for t in shown["tenants"]) ==
               ["default", "mercedes"], shown)
        expect(verify(world, site, path).status == 0, "does not hold")
        done = site.cli("tenant", "export", "mercedes", world.path("m.tar"))
        expect(done.status == 0, done.err)
        done = site.cli("tenant", "delete", "mercedes", "--confirm",
                        "mercedes", "--force")
        expect(done.status == 1 and "reason" in done.err, done.err)
        done = site.cli("--json", "tenant", "delete", "mercedes", "--confirm",
                        "mercedes", "--force", "--reason", "court order")
        expect(done.status == 0, done.err)
        expect(done.json()["certificate"]["reason"] == "court order", done.out)


if __name__ == "__main__":
    only = sys.argv[1:]
    tests = [
        a_running_site_is_copied_and_its_journal_holds,
        one_tenant_is_copied_alone,
        each_fault_of_a_file_is_one_clear_error,
        a_lost_site_is_made_anew_and_goes_on_once_acknowledged,
        a_new_box_becomes_the_site_with_the_key_from_its_safe,
        another_sites_key_opens_no_backup,
        a_restore_that_is_killed_leaves_no_site,
        one_tenant_is_put_back_and_its_site_says_so,
        a_tenant_takes_everything_along,
        a_tenant_is_deleted_for_good_with_a_certificate,
        a_tenant_whose_seats_are_held_is_deleted_by_force_alone,
        two_tenants_are_copied_and_force_needs_a_reason,
    ]
    sys.exit(main([t for t in tests if not only or t.__name__ in only]))
