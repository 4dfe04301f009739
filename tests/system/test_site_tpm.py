#!/usr/bin/python3
"""A site whose box has a TPM: its counter is in it and its key sealed to it.
What that holds against, and what happens when the TPM is gone."""

import glob
import os
import shutil
import stat
import sys

from harness import Agent, App, Site, World, expect, main, run, terms, wait_for
from tpms import Tpm


def setting(world, tpm=None, commit=5):
    site = Site(world, tpm=tpm)
    site.start()
    site.install(terms(commit, 5, ttl_s=60, grace_s=600))
    agent = Agent(world)
    agent.start()
    agent.enroll(site)
    return site, agent


def take(world, agent, name):
    app = App(world, agent.socket, name=name)
    expect(app.wait(), app.errors())
    return app


def key_file(site, name="site.key"):
    return os.path.join(site.state, "keys", name)


def fails_to_start(site, *words):
    """Its exit is awaited, or that it tries again and again."""
    before = len(site.log()) if os.path.exists(
        site.world.path(site.name + ".log")) else 0
    site.start(wait=False)
    wait_for(lambda: all(w in site.log()[before:] for w in words),
             "the log does not say %s: %s" % (words, site.log()[before:]))
    expect(site.ready() is None, "it started")
    site.stop()


# --- the counter --------------------------------------------------------------


def the_counter_is_in_the_tpm():
    with World() as world:
        tpm = Tpm(world)
        site, agent = setting(world, tpm)
        shown = site.ready()
        expect(shown["witness"] == "tpm", shown)
        words = site.cli("site", "show").out
        expect("witnessed by the box's TPM" in words, words)
        expect(not os.listdir(site.witness), "a file counts too")
        take(world, agent, "app")
        ticks = shown["ticks"]
        for _ in range(3):
            site.kill()
            site.start()
        expect(site.ready()["ticks"] > ticks and
               not site.ready().get("rolled_back"), site.ready())
        found = site.verify()
        expect(found["generation"] == 1, found)


def everything_put_back_is_noticed_by_the_tpm_alone():
    """Store, keys and witness folder: all of the disk. No agent has come yet.
    """
    with World() as world:
        tpm = Tpm(world)
        site, agent = setting(world, tpm)
        site.stop()
        agent.stop()
        copy = site.snapshot()
        site.start()
        site.token()
        site.stop()
        site.put_back(copy, parts=("system", "tenants", "keys"),
                      witness=True)
        site.start()
        shown = site.ready()
        expect(shown["rolled_back"] and "older copy" in shown["rollback"],
               shown)
        done = site.cli("--json", "site", "acknowledge-rollback", "--reason",
                        "disk")
        expect(done.status == 0, done.err)
        expect(done.json()["generation"] == 2, done.out)
        site.stop()
        site.start()
        expect(not site.ready().get("rolled_back"), site.ready())
        site.verify()


def a_virtual_tpm_put_back_with_its_disk_shows_nothing():
    """What the attacker gains on a virtual machine, measured: the counter sees
    nothing; the first agent that comes does."""
    with World() as world:
        tpm = Tpm(world, "virtual")
        site, agent = setting(world, tpm)
        agent.stop()
        site.stop()
        tpm.stop()
        tpm.snapshot()
        copy = site.snapshot()
        tpm.start()
        site.start()
        agent.start()
        agent.wait_connected()
        take(world, agent, "lost")
        agent.process.kill()
        agent.process.wait()
        site.stop()
        site.put_back(copy, parts=("system", "tenants", "keys"),
                      witness=True)
        tpm.stop()
        tpm.restore()
        site.start()
        expect(not site.ready().get("rolled_back"),
               "the counter saw it: say so in the README")
        agent.start()
        wait_for(lambda: site.ready().get("rolled_back"),
                 "the agent's evidence does not stop the site", 15)


def a_site_that_counted_in_a_file_moves_to_the_tpm():
    with World() as world:
        site, agent = setting(world)
        expect(site.ready()["witness"] == "file", site.ready())
        words = site.cli("site", "show").out
        expect("weaker than a TPM" in words, words)
        ticks = site.ready()["ticks"]
        site.stop()
        old = site.snapshot()
        tpm = Tpm(world)
        site.use_tpm(tpm)
        site.start()
        shown = site.ready()
        expect(shown["witness"] == "tpm" and shown["ticks"] >= ticks and
               not shown.get("rolled_back"), shown)
        expect("moved from the file" in site.log(), "the log does not say")
        expect(not os.listdir(site.witness), "the file is still there")
        agent.wait_connected()
        take(world, agent, "app")
        site.stop()
        # The store of before, without the file that was removed.
        site.put_back(old)
        site.start()
        expect(site.ready()["rolled_back"], site.ready())


def back_to_a_file_takes_an_acknowledgement():
    with World() as world:
        tpm = Tpm(world)
        site = Site(world, tpm=None)
        key = world.path("safe")
        run("cp", "-a", key_file(site), key)
        site.use_tpm(tpm)
        site.start()
        site.stop()
        site.use_tpm(None)
        fails_to_start(site, "sealed to a TPM", "tpm=")
        # The admin has the copy of the key in a safe.
        run("cp", "-a", key, key_file(site))
        os.unlink(key_file(site, "site.key.sealed"))
        site.start()
        shown = site.ready()
        expect(shown["rolled_back"] and "in the box's TPM" in
               shown["rollback"], shown)
        done = site.cli("site", "acknowledge-rollback", "--reason", "no TPM")
        expect(done.status == 0, done.err)
        expect(site.ready()["witness"] == "file" and
               not site.ready().get("rolled_back"), site.ready())
        site.stop()
        site.start()
        expect(not site.ready().get("rolled_back"), site.ready())


# --- the key ------------------------------------------------------------------


def the_site_key_is_sealed_and_its_file_is_gone():
    with World() as world:
        tpm = Tpm(world)
        site = Site(world)
        with open(key_file(site), "rb") as f:
            secret = f.read().strip()
        site.use_tpm(tpm)
        site.start()
        public = site.ready()["site_key"]
        expect(not os.path.exists(key_file(site)), "the plain key is there")
        mode = os.stat(key_file(site, "site.key.sealed")).st_mode
        expect(stat.S_IMODE(mode) == 0o600, oct(mode))
        for path in glob.glob(site.state + "/**", recursive=True):
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    expect(secret[10:] not in f.read(), path)
        site.stop()
        site.start()
        expect(site.ready()["site_key"] == public, "another key")
        # A request for the vendor says so, and comes from the running site.
        done = site.cli("site", "request")
        expect(done.status == 0, done.err)
        done = run("/bin/sh", "-c", "exec \"$0\" request --state \"$1\"",
                   os.path.join(os.environ["LEASEHOLD_BUILD"], "leaseholdd"),
                   site.state)
        expect(done.status == 1 and "leasehold site request" in done.err,
               done.err)


def the_disk_in_another_box_does_not_start():
    with World() as world:
        tpm, other = Tpm(world), Tpm(world)
        site, agent = setting(world, tpm)
        site.stop()
        site.use_tpm(other)
        fails_to_start(site, "stands in another box", "safe")
        # Nor does the sealed key alone.
        shutil.move(key_file(site, "tpm"), world.path("aside"))
        fails_to_start(site, "does not open in this box", "leaseholdd init")
        # In its own box all is as it was.
        shutil.rmtree(key_file(site, "tpm"), ignore_errors=True)
        shutil.move(world.path("aside"), key_file(site, "tpm"))
        site.use_tpm(tpm)
        site.start()
        agent.wait_connected()
        take(world, agent, "app")
        expect(not site.ready().get("rolled_back"), site.ready())


def a_site_waits_for_its_tpm():
    with World() as world:
        tpm = Tpm(world)
        site, agent = setting(world, tpm)
        site.stop()
        tpm.kill()
        site.start(wait=False)
        wait_for(lambda: "does not start without its TPM" in site.log(),
                 "the log does not say")
        expect(site.ready() is None, "it started")
        tpm.start()
        site.wait_ready(30)
        agent.wait_connected()
        take(world, agent, "app")


def a_tpm_that_goes_away_while_the_site_runs():
    """Seats go on; what rests on the counter waits."""
    with World() as world:
        tpm = Tpm(world)
        site, agent = setting(world, tpm)
        tpm.kill()
        # The last tick is not so long ago that another one is due.
        site.install(terms(3, 0, product="second"))
        wait_for(lambda: "counter cannot go on" in site.log(),
                 "nobody notices", 40)
        take(world, agent, "app")
        path = world.issue(site, terms(3, 0, product="third"))
        done = site.cli("license", "install", path)
        expect(done.status == 4 and "TPM" in done.err,
               "%d %s" % (done.status, done.err))
        tpm.start()
        wait_for(lambda: "third" in site.cli("license", "list").out and
                 site.cli("license", "install", path).status != 4,
                 "it does not recover", 20)
        expect(not site.ready().get("rolled_back"), site.ready())


if __name__ == "__main__":
    sys.exit(main([
        the_counter_is_in_the_tpm,
        everything_put_back_is_noticed_by_the_tpm_alone,
        a_virtual_tpm_put_back_with_its_disk_shows_nothing,
        a_site_that_counted_in_a_file_moves_to_the_tpm,
        back_to_a_file_takes_an_acknowledgement,
        the_site_key_is_sealed_and_its_file_is_gone,
        the_disk_in_another_box_does_not_start,
        a_site_waits_for_its_tpm,
        a_tpm_that_goes_away_while_the_site_runs,
    ]))
