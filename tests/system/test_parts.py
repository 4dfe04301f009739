#!/usr/bin/python3
"""Ledger, fronts and courier as programs of their own, as units start them."""

import os
import pwd
import signal
import socket
import ssl
import stat
import sys

from harness import (AS_ROOT, Agent, App, Site, World, binary, children,
                     expect, main, run, stop_process, terms, wait_for)
from receiver import Receiver, make_certificates

USERS = {"ledger": "daemon", "front": "nobody", "courier": "nobody"}


class Parts(Site):
    """A site that is started in three parts; `part`: their processes."""

    def __init__(self, world, config="", fronts=2):
        run_dir = world.path("run")
        super().__init__(world, config="run_dir=%s\nfronts=%d\n%s" %
                         (run_dir, fronts, config))
        self.fronts = fronts
        self.part = {}
        self.folder = {"ledger": run_dir}
        for part in USERS:
            self.folder.setdefault(part, world.path("run-" + part))
            os.mkdir(self.folder[part])
            os.chmod(self.folder[part], 0o711)
            if AS_ROOT:
                user = pwd.getpwnam(USERS[part])
                os.chown(self.folder[part], user.pw_uid, user.pw_gid)

    def hand_over(self, part):
        return run(binary("leaseholdd"), "hand-over", "--part", part,
                   "--config", self.config,
                   env={"RUNTIME_DIRECTORY": self.folder[part]})

    def start_part(self, part):
        done = self.hand_over(part)
        expect(done.status == 0, done.err)
        self.part[part] = self.world.start(
            "site-" + part, [binary("leaseholdd"), "--part", part, "--config",
                             self.config],
            {"RUNTIME_DIRECTORY": self.folder[part]})

    def start(self, wait=True, env=None):
        for part in USERS:
            self.start_part(part)
        if wait:
            self.wait_ready()

    def said(self, part):
        with open(self.world.path("site-%s.log" % part),
                  errors="replace") as f:
            return f.read()


def uids(pid):
    with open("/proc/%d/status" % pid) as f:
        return {word for line in f if line.startswith("Uid:")
                for word in line.split()[1:]}


def three_programs_are_one_site():
    with World() as world:
        site = Parts(world)
        site.start()
        site.install(terms())
        agent = Agent(world)
        agent.start()
        agent.enroll(site)
        app = App(world, agent.socket)
        lease = app.wait()["lease"]
        for part, names in (("ledger", {"ledger": 1}),
                            ("front", {"front": site.fronts}),
                            ("courier", {"courier": 1})):
            found = children(site.part[part].pid)
            expect({name: len(pids) for name, pids in found.items()} == names,
                   "%s: %s" % (part, found))
            if AS_ROOT:
                uid = str(pwd.getpwnam(USERS[part]).pw_uid)
                for pid in [site.part[part].pid, *sum(found.values(), [])]:
                    expect(uids(pid) == {uid}, "%s: %s" % (part, uids(pid)))

        # Any process may die, and its part with it; each comes again alone.
        os.kill(children(site.part["front"].pid)["front"][0], signal.SIGKILL)
        agent.wait_connected()
        old = children(site.part["ledger"].pid)["ledger"][0]
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: children(site.part["ledger"].pid).get(
            "ledger", [old]) != [old], "the ledger does not come back")
        site.wait_ready()
        agent.wait_connected()
        site.part["front"].kill()
        site.part["front"].wait()
        site.start_part("front")
        site.wait_ready()
        agent.wait_connected()
        expect([held["lease"] for held in site.leases()] == [lease], "lost")

        # As units stop: the ledger last.
        app.process.kill()
        for part in reversed(list(USERS)):
            status = stop_process(site.part[part], 60)
            expect(status == 0, "%s: status %d" % (part, status))
            expect("sandbox refused" not in site.said(part), part)
        expect(not [name for name in os.listdir(site.folder["ledger"])
                    if stat.S_ISSOCK(os.lstat(os.path.join(
                        site.folder["ledger"], name)).st_mode)], "doors left")


def the_courier_has_what_only_root_reads():
    with World() as world:
        certificates = make_certificates(world)
        os.chmod(certificates[0], 0o600)
        with Receiver(certificates) as receiver:
            site = Parts(world, "[courier]\nca=%s\nallow=127.0.0.0/8 ::1\n" %
                         certificates[0], fronts=1)
            site.start()
            channel = site.cli("--json", "alerts", "channel", "add", "ops",
                               receiver.url())
            expect(channel.status == 0, channel.err)
            test = site.cli("alerts", "channel", "test",
                            str(channel.json()["channel"]))
            expect(test.status == 0, test.err)
            receiver.wait(2)
            # It is not there for a while, and what is told then comes later.
            stop_process(site.part["courier"])
            test = site.cli("alerts", "channel", "test",
                            str(channel.json()["channel"]))
            expect(test.status == 0, test.err)
            site.start_part("courier")
            receiver.wait(4)


def certificate(site):
    with socket.create_connection(("127.0.0.1", site.port), 30) as plain:
        context = ssl.create_default_context(cafile=site.ca)
        with context.wrap_socket(plain,
                                 server_hostname="127.0.0.1") as stream:
            return stream.getpeercert(True)


def a_new_certificate_is_handed_over_and_taken():
    with World() as world:
        site = Parts(world)
        site.start()
        before = certificate(site)
        made = run(binary("leaseholdd"), "certificate", "--state", site.state,
                   "--host", "127.0.0.1", "--host", "localhost")
        expect(made.status == 0 and "systemctl reload" in made.out, made.err)
        done = site.hand_over("front")
        expect(done.status == 0, done.err)
        site.part["front"].send_signal(signal.SIGHUP)
        wait_for(lambda: certificate(site) != before, "it stays the old one")


def only_its_user_is_let_in_at_a_door():
    if not AS_ROOT:
        print("# one user: nobody else can knock")
        return
    with World() as world:
        site = Parts(world, fronts=1)
        site.start()
        for door in ("front.0", "courier"):
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.settimeout(30)
                stranger.connect(os.path.join(site.folder["ledger"], door))
                expect(stranger.recv(1) == b"", "root is let in")
        expect(site.said("ledger").count("is none of ours") == 2, "silence")
        site.wait_ready()


def what_is_handed_over_is_for_one_user_and_goes_nowhere_else():
    with World() as world:
        secret, other = world.path("password"), world.path("other")
        for path in (secret, other):
            with open(path, "w") as f:
                f.write("%s\n" % path)
            os.chmod(path, 0o600)
        mail = ("[mail]\nserver=127.0.0.1:1\nfrom=a@site.example\nuser=a\n"
                "password_file=%s\n" % secret)
        site = Parts(world, mail)
        folder = site.folder["courier"]
        copy = os.path.join(folder, "mail-password")
        # What the folder's user may have put there.
        os.symlink(other, copy)
        os.symlink(other, os.path.join(folder, ".mail-password.new"))
        done = site.hand_over("courier")
        expect(done.status == 0, done.err)
        with open(other) as f:
            expect(f.read() == other + "\n", "written through a link")
        found = os.lstat(copy)
        expect(stat.S_ISREG(found.st_mode) and
               stat.S_IMODE(found.st_mode) == 0o400, oct(found.st_mode))
        if AS_ROOT:
            expect(found.st_uid == pwd.getpwnam("nobody").pw_uid,
                   "of %d" % found.st_uid)
        with open(copy) as f:
            expect(f.read() == secret + "\n", "another text")
        expect(os.listdir(folder) == ["mail-password"], os.listdir(folder))

        # What the settings name no more is gone.
        with open(site.config) as f:
            text = f.read()
        with open(site.config, "w") as f:
            f.write(text.replace(mail, ""))
        done = site.hand_over("courier")
        expect(done.status == 0, done.err)
        expect(os.listdir(folder) == [], os.listdir(folder))

        # A file that is not there is named.
        with open(site.config, "w") as f:
            f.write(text.replace(secret, secret + ".no"))
        done = site.hand_over("courier")
        expect(done.status == 1 and "[mail] password_file" in done.err and
               secret + ".no" in done.err, done.err)
        expect(run(binary("leaseholdd"), "hand-over").status == 2, "to nobody")


def fronts_without_a_ledger_say_so_and_wait():
    with World() as world:
        site = Parts(world)
        site.start_part("front")
        wait_for(lambda: "no ledger at" in site.said("front"), "silence")
        expect(site.part["front"].poll() is None, "it has ended")
        site.start_part("ledger")
        site.wait_ready(30)


if __name__ == "__main__":
    sys.exit(main([
        three_programs_are_one_site,
        the_courier_has_what_only_root_reads,
        a_new_certificate_is_handed_over_and_taken,
        only_its_user_is_let_in_at_a_door,
        what_is_handed_over_is_for_one_user_and_goes_nowhere_else,
        fronts_without_a_ledger_say_so_and_wait,
    ]))
