#!/usr/bin/python3
"""Maintenance of an appliance: a token that its owner signed opens a shell on
the console, once, for its minutes; everything else opens nothing."""

import json
import os
import struct
import sys
import time

from api import Api
from harness import (AS_ROOT, ROOT, Site, World, binary, expect, main, run,
                     wait_for)
from terminal import Terminal

SITE = "site-abcdefghijklm"
REASON = "the disk clicks, says Berta Braun"


class Box:
    def __init__(self, world, name="box", site=SITE):
        self.world = world
        self.site_id = site
        self.folder = world.path(name)
        self.keep = os.path.join(self.folder, "etc")
        self.state = os.path.join(self.folder, "state")
        self.open = os.path.join(self.folder, "open")
        self.site_file = os.path.join(self.folder, "site.json")
        for path in (self.folder, self.keep, self.state):
            os.mkdir(path)
        with open(self.site_file, "w") as file:
            json.dump({"site": site, "name": "Plant", "format": 1,
                       "created_at": "2026-11-22T05:20:00Z"}, file)

    @property
    def id(self):
        """It makes one when it looks for the first time."""
        if not os.path.exists(os.path.join(self.keep, "maintenance.json")):
            expect(self.take().status == 0, "no first look")
        with open(os.path.join(self.keep, "maintenance.json")) as file:
            return json.load(file)["box"]

    def take(self, token=None, owner=None, env=None, more=()):
        path = os.path.join(self.folder, "maintenance.token")
        if token is not None:
            with open(path, "w") as file:
                file.write(token)
        args = list(more) + (["--owner", owner] if owner else [])
        return run(binary("leasehold-box"), "maintenance", "--keep", self.keep,
                   "--site-file", self.site_file, "--state-dir", self.state,
                   "--open", self.open, *args,
                   *([path] if token is not None else []), env=env)

    def until(self):
        try:
            with open(os.path.join(self.open, "until")) as file:
                return int(file.read())
        except FileNotFoundError:
            return None

    def told(self):
        with open(os.path.join(self.state, "maintenance.json")) as file:
            return json.load(file)["events"][-1]

    def notice(self, name="maintenance"):
        with open(os.path.join(self.state, "notices", name)) as file:
            return file.read()

    def refuses(self, token, words):
        done = self.take(token)
        expect(done.status == 3, "%d: %s" % (done.status, done.err))
        expect(words in self.notice(), self.notice())
        expect(self.until() is None, "a shell is opened")


class Owner:
    def __init__(self, world, box, name="owner"):
        self.box = box
        self.key = world.path(name + ".key")
        self.public = world.path(name + ".pub")
        made = run(binary("leasehold"), "appliance", "maintenance", "key",
                   self.key)
        expect(made.status == 0, made.err)
        with open(self.public, "w") as file:
            file.write(made.out)

    def token(self, *more, site=None, box=None, minutes=5, env=None):
        done = run(binary("leasehold"), "appliance", "maintenance", "token",
                   "--owner", self.key, "--site", site or self.box.site_id,
                   "--box", box or self.box.id, "--minutes", str(minutes),
                   "--reason", REASON, *more, env=env)
        expect(done.status == 0, done.err)
        return done.out


def at(world, offset_s):
    """An environment whose wall clock is off by so much."""
    path = world.path("shift%d" % offset_s)
    with open(path, "wb") as file:
        file.write(struct.pack("=qq", offset_s * 1000, 0))
    return {"LD_PRELOAD": binary("tests/system/clock_shim.so"),
            "CLOCK_SHIM": path,
            # A sanitizer wants to be the first library.
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
            ":verify_asan_link_order=0"}


def ended(box):
    """As the unit of the shell says when it has ended."""
    done = box.take(more=["--ended"])
    expect(done.status == 0, done.err)
    expect(box.until() is None, "it can be opened again")


def restart(box):
    """What is left of the box's files after it was started again."""
    run("rm", "-r", box.state, box.open)
    os.mkdir(box.state)


def a_clock_turned_back_opens_nothing():
    with World() as world:
        box = Box(world)
        owner = Owner(world, box)
        expect(box.take(owner=owner.public).status == 0, "no owner")
        token = owner.token("--valid", "1h")
        # Two hours on the box notes the time, then somebody sets it back.
        expect(box.take(env=at(world, 7200)).status == 0, "not noted")
        box.refuses(token, "clock was turned back")
        # Nor does one that is signed for the box's own time.
        late = owner.token("--valid", "1h", env=at(world, 7200))
        box.refuses(late, "clock was turned back")
        done = box.take(late, env=at(world, 7200))
        expect(done.status == 0, done.err)


def a_token_is_over_at_its_end():
    with World() as world:
        box = Box(world)
        owner = Owner(world, box)
        expect(box.take(owner=owner.public).status == 0, "no owner")
        token = owner.token("--valid", "1h")
        done = box.take(token, env=at(world, 3700))
        expect(done.status == 3 and box.until() is None, done.err)
        expect("is over" in box.notice(), box.notice())
        expect(box.told()["step"] == "refused", box.told())


def the_owners_token_opens_a_shell_once():
    with World() as world:
        box = Box(world)
        owner = Owner(world, box)
        expect(box.take(owner=owner.public).status == 0, "no owner")
        token = owner.token()
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000
        done = box.take(token)
        expect(done.status == 0, done.err)
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000
        expect(before + 300000 <= box.until() <= after + 300000,
               "until %s" % box.until())
        told = box.told()
        expect(told["step"] == "opened" and told["minutes"] == 5 and
               told["reason"] == REASON and
               told["owner"].startswith("k4.pid."), told)
        expect("root shell is open" in box.notice(), box.notice())
        mode = os.stat(box.open).st_mode & 0o777
        expect(mode == 0o700, oct(mode))
        # The same on the stick, and another one meanwhile.
        expect(box.take(token).status == 3, "twice")
        expect(box.take(owner.token()).status == 3, "two at once")
        ended(box)
        expect(box.told()["step"] == "ended", box.told())
        expect("left before" in box.told()["reason"], box.told())
        box.refuses(token, "was used already")
        expect(box.take(owner.token()).status == 0, "not another one")


def a_restart_ends_it_and_what_was_used_stays_used():
    with World() as world:
        box = Box(world)
        owner = Owner(world, box)
        token = owner.token()
        expect(box.take(token, owner=owner.public).status == 0, "not opened")
        restart(box)
        expect(box.take().status == 0, "no look at start")
        expect(box.told()["step"] == "ended", box.told())
        expect("started again" in box.told()["reason"], box.told())
        box.refuses(token, "was used already")
        # Nothing opens while it cannot be known.
        with open(os.path.join(box.keep, "maintenance.json"), "w") as file:
            file.write("{")
        box.refuses(token, "cannot be judged")


def strangers_tokens_open_nothing():
    with World() as world:
        box = Box(world)
        owner = Owner(world, box)
        other = Owner(world, box, "other")
        box.refuses(owner.token(), "another key")  # nobody owns it yet
        expect(box.take(owner=owner.public).status == 0, "no owner")
        box.refuses(other.token(), "another key")
        box.refuses(owner.token(site="site-zzzzzzzzzzzzz"), "another box")
        # The same site on another machine.
        box.refuses(owner.token(box="box-" + "0" * 20), "another box")
        token = owner.token()
        for bad in ("", "x", "v4.public.", token[:-5], "x" * 5000,
                    token.replace("v4.public.", "v4.public.A", 1)):
            box.refuses(bad, "no token that an owner signed")
        done = box.take(token)
        expect(done.status == 0, done.err)


def what_is_no_plain_file_is_no_token():
    with World() as world:
        box = Box(world)
        owner = Owner(world, box)
        expect(box.take(owner=owner.public).status == 0, "no owner")
        token = owner.token()
        good = world.path("good")
        with open(good, "w") as file:
            file.write(token)
        path = os.path.join(box.folder, "maintenance.token")

        def refused():
            done = run(binary("leasehold-box"), "maintenance", "--keep",
                       box.keep, "--site-file", box.site_file, "--state-dir",
                       box.state, "--open", box.open, "--take", path)
            expect(done.status == 3 and box.until() is None, done.err)
        os.symlink(good, path)
        refused()
        expect(not os.path.lexists(path) and os.path.exists(good),
               "what it pointed to is gone, or it is not")
        os.mkfifo(path)
        refused()
        expect(not os.path.lexists(path), "it is still there")
        # Nor does root write where a link leads.
        os.unlink(os.path.join(box.state, "maintenance.json"))
        os.symlink(good, os.path.join(box.state, "maintenance.json"))
        expect(box.take().status == 0, "no look")
        with open(good) as file:
            expect(file.read() == token, "it was written through a link")


def the_first_owner_stays():
    with World() as world:
        box = Box(world)
        owner = Owner(world, box)
        other = Owner(world, box, "other")
        expect(box.take(owner=owner.public).status == 0, "no owner")
        expect(box.take(owner=owner.public).status == 0, "not twice")
        expect("this is " + box.id in box.notice("owner"),
               box.notice("owner"))
        expect(box.take(owner=other.public).status == 3, "a second owner")
        expect("another owner" in box.notice("owner"), box.notice("owner"))
        box.refuses(other.token(), "another key")
        expect(box.take(owner.token()).status == 0, "not the first one's")


def bounds_are_told_to_the_owner():
    with World() as world:
        box = Box(world)
        owner = Owner(world, box)
        for args in (["--minutes", "241"], ["--minutes", "0"],
                     ["--minutes", "5", "--valid", "25h"]):
            done = run(binary("leasehold"), "appliance", "maintenance",
                       "token", "--owner", owner.key, "--site", SITE, "--box",
                       box.id, "--reason", "x", *args)
            expect(done.status == 2 and done.out == "", done.err)
            expect("needed" not in done.err, done.err)


def start_shell(box, program="/bin/sh"):
    return Terminal([binary("leasehold-box"), "shell", "--open", box.open,
                     "--shell", program])


def open_for(box, left_ms):
    os.makedirs(box.open, 0o700, exist_ok=True)
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000
    with open(os.path.join(box.open, "until"), "w") as file:
        file.write("%d\n" % (now + left_ms))


def says(terminal, words):
    def look():
        terminal.read()
        return words in terminal.raw
    wait_for(look, "the terminal does not show %r" % words, 30)


def the_shell_ends_by_itself_at_the_time():
    with World() as world:
        box = Box(world)
        open_for(box, 20000)
        with start_shell(box) as terminal:
            says(terminal, "Maintenance of this box")
            terminal.type("trap '' HUP TERM; sleep 600\n")
            expect(terminal.process.wait(timeout=120) == 0, "it fails")
            expect(box.until() is None, "it could be opened again")


def a_shell_that_is_left_closes():
    with World() as world:
        box = Box(world)
        open_for(box, 240 * 60000 - 1000)
        with start_shell(box) as terminal:
            says(terminal, "Maintenance of this box")
            terminal.type("echo $((6*7))\n")
            says(terminal, "42")
            terminal.type("exit\n")
            expect(terminal.process.wait(timeout=60) == 0, "it fails")
        with start_shell(box) as terminal:
            expect(terminal.process.wait(timeout=60) == 3, "it opens again")


def no_shell_without_a_time_that_fits():
    with World() as world:
        box = Box(world)
        for left in (-1000, 241 * 60000 + 600000):
            open_for(box, left)
            with start_shell(box) as terminal:
                expect(terminal.process.wait(timeout=60) == 3, "it opens")
            expect(box.until() is None, "it waits for another try")


# --- with a site that hands tokens on, and journals ---------------------------

class Whole(Box):
    """A site with [appliance]; `unit` does what root's path unit does."""

    def __init__(self, world):
        super().__init__(world, "whole")
        if AS_ROOT:
            import pwd
            os.chown(self.state, 0, pwd.getpwnam("daemon").pw_gid)
        os.chmod(self.state, 0o1775)
        self.site = Site(world, config="[appliance]\nstate_dir=%s\n" %
                         self.state)
        self.site.start()
        self.api = Api(self.site)
        self.site_id = self.api.get("/api/v1/site").json()["site"]
        with open(self.site_file, "w") as file:
            json.dump({"site": self.site_id}, file)
        self.token_path = os.path.join(self.state, "maintenance.token")

    def ask(self, token):
        return self.api.post("/api/v1/appliance/maintenance",
                             {"token": token.strip()})

    def unit(self):
        wait_for(lambda: os.path.exists(self.token_path), "nobody asked")
        return self.take(more=["--take", self.token_path])

    def show(self):
        answer = self.api.get("/api/v1/appliance/maintenance")
        expect(answer.status == 200, answer)
        return answer.json()

    def rows(self):
        done = self.site.cli("--json", "audit", "tail", "-n", "1000")
        expect(done.status == 0, done.err)
        return [line for line in done.out.splitlines()
                if '"maintenance.opened"' in line or
                '"maintenance.refused"' in line or
                '"maintenance.ended"' in line]

    def kinds(self):
        return [kind for row in self.rows()
                for kind in ("opened", "refused", "ended")
                if '"maintenance.%s"' % kind in row]


def an_admin_opens_it_and_the_journal_has_it_once():
    with World() as world:
        box = Whole(world)
        owner = Owner(world, box)
        other = Owner(world, box, "other")
        expect(box.take(owner=owner.public).status == 0, "no owner")
        shown = box.show()
        expect(shown["box"] == box.id and shown["owner"] and
               not shown.get("open"), shown)
        token = owner.token()
        answer = box.ask(token)
        expect(answer.status == 202 and answer.json()["asked"], answer)
        # The same once more, and another one before root has looked.
        expect(box.ask(token).status == 202, "not the same")
        answer = box.ask(other.token())
        expect(answer.status == 409, answer)
        expect(box.unit().status == 0, box.notice())
        shown = box.show()
        expect(shown["open"] and shown["until"] and not shown.get("asked"),
               shown)
        wait_for(lambda: box.kinds() == ["opened"], "not journaled")
        ended(box)
        wait_for(lambda: box.kinds() == ["opened", "ended"], "no end")
        for bad, words in ((token, "used already"),
                           (other.token(), "another key"),
                           ("v4.public.AAAA", "no token")):
            before = len(box.kinds())
            expect(box.ask(bad).status == 202, "not handed on")
            expect(box.unit().status == 3 and box.until() is None, words)
            expect(words in box.told()["reason"], box.told())
            wait_for(lambda: len(box.kinds()) == before + 1, words)
        expect(box.kinds() == ["opened", "ended"] + ["refused"] * 3,
               box.kinds())
        box.site.kill()
        box.site.start()
        # Two things while it was away.
        box.site.stop()
        held = run("grep", "-rlc", "Berta", os.path.join(
            box.site.state, "tenants"))
        expect(held.status == 1, "a name stands in clear: " + held.out)
        with open(box.token_path, "w") as file:
            file.write(owner.token())
        expect(box.unit().status == 0, box.notice())
        restart_open = os.path.join(box.open, "open")
        os.unlink(restart_open)
        os.unlink(os.path.join(box.open, "until"))
        expect(box.take().status == 0, "no look at start")
        box.site.start()
        wait_for(lambda: box.kinds() == ["opened", "ended"] +
                 ["refused"] * 3 + ["opened", "ended"], "not all")
        done = box.site.cli("audit", "verify")
        expect(done.status == 0, done.err + done.out)


def only_an_admin_of_the_site_asks():
    with World() as world:
        box = Whole(world)
        owner = Owner(world, box)
        token = owner.token().strip()
        expect(Api(box.site, key="").post(
            "/api/v1/appliance/maintenance",
            {"token": token}).status == 401, "anybody")
        key = box.api.post("/api/v1/keys/generate", {
            "app_name": "ci", "app_type": "ci_cd",
            "scopes": ["admin:read"]}).json()["api_key"]
        for method, body in (("POST", {"token": token}), ("GET", None)):
            answer = Api(box.site, key=key).ask(
                method, "/api/v1/appliance/maintenance", body)
            expect(answer.status == 403, answer)
        for bad in ("a b", "a\nb", "\u00e4", "x" * 2049, ""):
            answer = box.api.post("/api/v1/appliance/maintenance",
                                  {"token": bad})
            expect(answer.status in (400, 413, 422), (bad[:5], answer))
        expect(not os.path.exists(box.token_path), "it was handed on")
        # The commands of a person.
        path = world.path("token")
        with open(path, "w") as file:
            file.write(token + "\n")
        done = box.site.cli("appliance", "maintenance", "open", path)
        expect(done.status == 0 and "looks at it" in done.out, done.err)
        done = box.site.cli("appliance", "maintenance", "show")
        expect(done.status == 0 and "Nothing is open" in done.out and
               "being looked at" in done.out, done.out)


def root_does_not_write_where_the_daemon_s_links_lead():
    with World() as world:
        state, kept = world.path("state"), world.path("kept")
        os.mkdir(state)
        with open(kept, "w") as file:
            file.write("secret")
        os.chmod(kept, 0o600)
        for name in ("box.new", "box.json"):
            os.symlink(kept, os.path.join(state, name))
        done = run("sh", "-euc", ". %s; box=%s here=%s slot_here=A "
                   "slot_other=B mine=x level=1; tell_box words" %
                   (os.path.join(ROOT, "firmware/root/usr/lib/leasehold/"
                                 "update-common"), state, state))
        expect(done.status == 0, done.err)
        with open(kept) as file:
            expect(file.read() == "secret", "it was written through a link")
        expect(os.stat(kept).st_mode & 0o777 == 0o600, "its mode is another")
        with open(os.path.join(state, "box.json")) as file:
            expect(json.load(file)["warning"] == "words", "not told")


def a_site_without_a_box_has_no_maintenance():
    with World() as world:
        site = Site(world)
        site.start()
        answer = Api(site).get("/api/v1/appliance/maintenance")
        expect(answer.status == 404 and "no appliance" in
               json.dumps(answer.json()), answer)


if __name__ == "__main__":
    sys.exit(main([
        the_owners_token_opens_a_shell_once,
        a_restart_ends_it_and_what_was_used_stays_used,
        strangers_tokens_open_nothing,
        what_is_no_plain_file_is_no_token,
        the_first_owner_stays,
        a_clock_turned_back_opens_nothing,
        a_token_is_over_at_its_end,
        bounds_are_told_to_the_owner,
        the_shell_ends_by_itself_at_the_time,
        a_shell_that_is_left_closes,
        no_shell_without_a_time_that_fits,
        an_admin_opens_it_and_the_journal_has_it_once,
        only_an_admin_of_the_site_asks,
        root_does_not_write_where_the_daemon_s_links_lead,
        a_site_without_a_box_has_no_maintenance,
    ], together=True))
