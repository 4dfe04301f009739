#!/usr/bin/python3
"""Backups while the site runs, what is found wrong with a file, and what a tenant
takes along."""

import json
import os
import sys
import tarfile

from harness import Agent, App, Site, World, binary, expect, main, run, terms

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


def restore(world, site, path, *options, state=None):
    args = [binary("leaseholdd"), "restore", path, "--state",
            world.path(state) if state else site.state, "--passphrase-file",
            passphrase(world), *options]
    if os.geteuid() == 0:
        args += ["--user", "daemon"]
    return run(*args)


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


if __name__ == "__main__":
    sys.exit(main([
        a_running_site_is_copied_and_its_journal_holds,
        one_tenant_is_copied_alone,
        each_fault_of_a_file_is_one_clear_error,
        a_tenant_takes_everything_along,
    ]))
