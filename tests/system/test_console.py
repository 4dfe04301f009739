#!/usr/bin/python3
"""The console of an appliance: the page that a person before the box sees, made
from what a real daemon says, on a terminal that types back."""

import json
import os
import re
import socket
import subprocess
import sys
import time

from harness import (AS_ROOT, Agent, Site, World, binary, expect, main, run,
                     terms, wait_for)
from terminal import Terminal

MOVES = re.compile(r"\033\[(\d+);1H|\033\[([KJ])|\033\[[?0-9;]*[a-zA-Z]"
                   r"|([^\033]+)")


class Box:
    """A site that is told to be an appliance, and its folder."""

    def __init__(self, world, name="site"):
        self.world = world
        self.folder = world.path(name + "-appliance")
        os.makedirs(self.folder, 0o775)
        if AS_ROOT:
            import pwd
            os.chown(self.folder, 0, pwd.getpwnam("daemon").pw_gid)
            os.chmod(self.folder, 0o775)
        self.site = Site(world, name, config="[appliance]\nstate_dir=%s\n" %
                         self.folder)

    def status(self):
        try:
            with open(os.path.join(self.folder, "status.json")) as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def page(self):
        done = run(binary("leasehold-console"), "--once", "--state-dir",
                   self.folder, "--image-dir", self.folder)
        expect(done.status == 0, done.err)
        return done.out

    def await_page(self, words):
        return wait_for(lambda: words in self.page() and self.page(),
                        "the page does not say %r:\n%s" %
                        (words, self.page()))

    def terminal(self):
        return Terminal([binary("leasehold-console"), "--state-dir",
                         self.folder, "--image-dir", self.folder], rows=25)


def screen(terminal):
    """The rows as they stand."""
    terminal.read()
    rows, at = {}, 0
    for match in MOVES.finditer(terminal.raw):
        row, erase, text = match.groups()
        if row:
            at = int(row)
            rows[at] = ""
        elif erase is None and text:
            expect("\n" not in text and "\r" not in text, repr(text))
            rows[at] = rows.get(at, "") + text
    expect(max(rows, default=0) <= 24, "it draws below the page")
    return "\n".join(rows[row] for row in sorted(rows))


def shows(terminal, words):
    return wait_for(lambda: words in screen(terminal) and screen(terminal),
                    "the screen does not show %r" % words)


def fill_notices(box):
    """More than a screen of them, and of the worst kind."""
    notices = os.path.join(box.folder, "notices")
    os.mkdir(notices)
    for i in range(16):
        with open(os.path.join(notices, "n%02d" % i), "w") as file:
            file.write("notice %d " % i + "\033[2J\a\x9b" * 20 + "w " * 60)


def the_page_follows_the_daemon():
    with World() as world:
        box = Box(world)
        expect("the service does not run yet" in box.page(), box.page())
        box.site.start()
        page = box.await_page("ready")
        expect(box.site.facts["site"] in page, page)
        expect("Licenses   none" in page, page)
        mode = os.stat(os.path.join(box.folder, "status.json")).st_mode
        expect(mode & 0o777 == 0o644, oct(mode))
        box.site.install(terms(commit=5, overage=15))
        agent = Agent(world)
        agent.start()
        agent.enroll(box.site)
        box.await_page("Licenses   1")
        box.await_page("0 of 5 held")
        box.await_page("1 of 1 workstations connected")
        sleeper = subprocess.Popen(["sleep", "600"])
        world.started.append(sleeper)
        taken = agent.cli("checkout", "davinci-configurator-se", "--version",
                          "8.1.0", "--pid", str(sleeper.pid))
        expect(taken.status == 0, taken.err)
        box.await_page("1 of 5 held")
        box.site.stop()
        expect("stopping" in box.page(), box.page())


def no_secret_and_no_name_is_in_the_file():
    with World() as world:
        box = Box(world)
        box.site.start()
        agent = Agent(world)
        agent.start()
        agent.enroll(box.site)
        wait_for(lambda: (box.status() or {}).get("devices") == 1,
                 "no device in the status")
        with open(os.path.join(box.folder, "status.json")) as file:
            text = file.read()
        host = socket.gethostname()
        for hidden in [box.site.key, "clsk_", "default"] + (
                [host] if len(host) > 8 else []):
            expect(hidden not in text, "%r stands in %s" % (hidden, text))


def the_screen_is_drawn_and_page_up_turns_it():
    with World() as world:
        box = Box(world)
        box.site.start()
        box.await_page("ready")
        fill_notices(box)
        with box.terminal() as terminal:
            shows(terminal, "-- 1 of ")
            first = screen(terminal)
            terminal.type("q\x03\x1a\x04\x1c\x13exit\r\n" * 5)
            expect(terminal.process.poll() is None, "a key ended it")
            terminal.type("\033[5~")
            wait_for(lambda: "-- 2 of " in screen(terminal),
                     "page up does nothing")
            expect(screen(terminal) != first, "the same again")
            expect("exit" not in terminal.raw, "it echoes")
            expect("\a" not in terminal.raw, "it rings")
            terminal.process.terminate()
            expect(terminal.process.wait(timeout=30) == 0,
                   "it ends with %s" % terminal.process.returncode)


def what_is_shown_once_stays_until_page_up():
    with World() as world:
        box = Box(world)
        with open(os.path.join(box.folder, "hold"), "w"):
            pass
        with box.terminal() as terminal:
            terminal.type("x\r\n")
            box.page()  # takes as long as the other would
            terminal.type("\033[6~")
            terminal.read(1)
            # What came before it was raw is echoed by the terminal itself.
            expect("LEASEHOLD" not in terminal.raw, repr(terminal.raw))
            expect("\033[2J" not in terminal.raw, repr(terminal.raw))

            def wiped():
                terminal.type("\033[5~")
                terminal.read(0.2)
                return "\033[2J\033[3J" in terminal.raw
            wait_for(wiped, "Page Up does not go on")
            terminal.raw = terminal.raw.split("\033[3J", 1)[1]
            shows(terminal, "the service does not run yet")


def typing_does_not_flood_the_line():
    with World() as world:
        box = Box(world)
        fill_notices(box)
        with box.terminal() as terminal:
            shows(terminal, "-- 1 of ")
            before, began = len(terminal.raw), time.monotonic()
            for _ in range(400):
                terminal.type("\033[5~x")
                terminal.read(0.001)
            # Five screens a second at the most, each of less than 8 KiB,
            # and one on its way at either end.
            most = (2 + 5 * (time.monotonic() - began)) * 8192
            expect(len(terminal.raw) - before < most,
                   "%d bytes" % (len(terminal.raw) - before))


def what_is_no_file_is_as_none():
    with World() as world:
        box = Box(world)
        notices = os.path.join(box.folder, "notices")
        os.mkdir(notices)
        os.mkfifo(os.path.join(notices, "fifo"))
        os.symlink("/etc/passwd", os.path.join(notices, "link"))
        os.mkfifo(os.path.join(box.folder, "status.json"))
        page = box.page()
        expect("cannot be read" in page, page)
        expect("root:" not in page, page)
        os.unlink(os.path.join(box.folder, "status.json"))
        for text in ("", "{", "[]", '{"time":1}', "\0" * 40, "x" * 40000):
            with open(os.path.join(box.folder, "status.json"), "w") as file:
                file.write(text)
            expect("cannot be read" in box.page(), box.page())


def a_network_file_is_kept_or_its_mistake_shown():
    with World() as world:
        box = Box(world)
        to = world.path("etc")
        os.mkdir(to)
        ini = world.path("network.ini")
        unit = os.path.join(to, "network", "10-leasehold.network")

        def take(text, *more):
            with open(ini, "w") as file:
                file.write(text)
            return run(binary("leasehold-box"), "network", "--to", to,
                       "--state-dir", box.folder, *more, ini)

        good = "[network]\naddress=10.0.0.2/24\ngateway=10.0.0.1\n"
        done = take(good + "ntp=a.example\n", "--check")
        expect(done.status == 0 and not os.path.exists(unit), done.err)
        done = take(good + "ntp=a.example\n")
        expect(done.status == 0, done.err)
        with open(unit) as file:
            kept = file.read()
        expect("\nAddress=10.0.0.2/24\n" in kept, kept)
        with open(os.path.join(to, "ntp")) as file:
            expect(file.read() == "a.example\n", "other time servers")
        done = take("[network]\naddress=10.0.0.2\n")
        expect(done.status == 3, "%d %s" % (done.status, done.err))
        expect("10.0.0.2" in box.page() and "stays as it was" in box.page(),
               box.page())
        with open(unit) as file:
            expect(file.read() == kept, "it changed")
        done = take(good)
        expect(done.status == 0, done.err)
        expect("stays as it was" not in box.page(), box.page())
        expect(not os.path.exists(os.path.join(to, "ntp")), "ntp is there")
        os.unlink(ini)
        done = run(binary("leasehold-box"), "network", "--to", to,
                   "--state-dir", box.folder, ini)
        expect(done.status == 0 and os.path.exists(unit), done.err)


TESTS = [the_page_follows_the_daemon, no_secret_and_no_name_is_in_the_file,
         the_screen_is_drawn_and_page_up_turns_it,
         what_is_shown_once_stays_until_page_up,
         typing_does_not_flood_the_line, what_is_no_file_is_as_none,
         a_network_file_is_kept_or_its_mistake_shown]

if __name__ == "__main__":
    sys.exit(main(TESTS, together=True))
