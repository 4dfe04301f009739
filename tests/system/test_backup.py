#!/usr/bin/python3
"""Backups while the site runs, what is found wrong with a file, and a site made
anew out of one."""

import json
import os
import sys

from harness import (Agent, App, PRODUCT, Site, World, binary, expect, free_port,
                     main, run, terms, wait_for)

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


if __name__ == "__main__":
    sys.exit(main([a_running_site_is_copied_and_its_journal_holds,
                   one_tenant_is_copied_alone]))
