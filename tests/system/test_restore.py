#!/usr/bin/python3
"""A site, or one tenant of it, made anew out of a backup."""

import os
import subprocess
import sys
import time

from harness import (SLOW, App, Site, World, binary, expect, main, run,
                     wait_for)
from test_backup import backup, passphrase, restore, setting


# --- a whole site, made anew --------------------------------------------------


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

        def restore(state, timeout):
            began = time.monotonic()
            done = run(binary("leaseholdd"), "restore", path, "--state", state,
                       "--passphrase-file", passphrase(world),
                       timeout=timeout / SLOW)
            expect(done.status == 0, done.err)
            return time.monotonic() - began

        # Most of it is what makes a passphrase slow to guess; the last part
        # is where a folder takes its name.
        whole_s = restore(world.path("first"), 60 * SLOW)
        for part in (0.3, 0.6, 0.75, 0.9, 0.96, 1.0):
            state = world.path("s%d" % int(part * 100))
            try:
                restore(state, whole_s * part)
            except subprocess.TimeoutExpired:
                killed += 1
            whole = os.path.exists(os.path.join(state, "site.json"))
            expect(whole or not os.path.exists(state), "half a site")
            if not whole:
                restore(state, 60 * SLOW)
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


if __name__ == "__main__":
    sys.exit(main([
        a_lost_site_is_made_anew_and_goes_on_once_acknowledged,
        a_new_box_becomes_the_site_with_the_key_from_its_safe,
        another_sites_key_opens_no_backup,
        a_restore_that_is_killed_leaves_no_site,
        one_tenant_is_put_back_and_its_site_says_so,
    ]))
