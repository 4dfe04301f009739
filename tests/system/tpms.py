"""TPMs for system tests: swtpm processes and the makers who certify them.

    with World() as world:
        site = Site(world, config=tpm_config(world))
        tpm = Tpm(world, "hardware")
        agent = Agent(world, tpm=tpm)

What a TPM is to a site that believes the lists of tpm_config():

    hardware  certified by a maker that is listed as one of chips: class tpm
    virtual   certified by a maker that is listed as one of programs: vtpm
    unlisted  certified by a CA of the bundle that no list names: vtpm
    unknown   certified by a CA that the site never heard of: vtpm
    none      has no certificate: vtpm

A swtpm that is missing fails the test.
"""

import os
import shutil
import socket
import subprocess

from harness import SLOW, Failure, binary, expect, run, wait_for

KINDS = ("hardware", "virtual", "unlisted", "unknown", "none")
STATE = "tpm2-00.permall"


def makers(world):
    """The folder of the site's two files, bundle.pem and issuers.txt."""
    folder = world.path("makers")
    if os.path.isdir(folder):
        return folder
    os.mkdir(folder)
    os.chmod(folder, 0o755)
    stranger = world.path("stranger")
    os.mkdir(stranger)
    for where, name, *word in ((folder, "hardware", "hardware"),
                               (folder, "virtual", "virtual"),
                               (folder, "unlisted"), (stranger, "unknown")):
        made = run(binary("tests/system/tpm_tool"), "maker", where, name,
                   *word)
        expect(made.status == 0, "maker %s: %s" % (name, made.err))
    for name in ("bundle.pem", "issuers.txt"):
        os.chmod(os.path.join(folder, name), 0o644)
    return folder


def tpm_config(world, more=""):
    """What a site's file needs to tell these TPMs apart."""
    folder = makers(world)
    return ("[devices]\ntpm_ca=%s/bundle.pem\ntpm_issuers=%s/issuers.txt\n%s"
            % (folder, folder, more))


class Tpm:
    """One swtpm, with its state in a folder of its own."""

    def __init__(self, world, kind="hardware", name=None, key="rsa"):
        """`key`: of which endorsement key the maker certifies, rsa or p256.
        """
        expect(kind in KINDS, "no such kind of TPM: %s" % kind)
        world.tpms = getattr(world, "tpms", 0) + 1
        self.world = world
        self.kind = kind
        self.name = name or "tpm-%d" % world.tpms
        self.dir = world.path(self.name)
        self.process = None
        self.key = key
        self.open = False  # to other users
        os.mkdir(self.dir, 0o700)
        self.start()
        if kind != "none":
            self.certify(kind)

    @property
    def socket(self):
        return os.path.join(self.dir, "sock")

    @property
    def tcti(self):
        """As in agent.ini: tpm=..."""
        return "swtpm:path=" + self.socket

    def certify(self, maker):
        """The maker certifies the endorsement key; the TPM keeps it."""
        folder = makers(self.world)
        if maker == "unknown":
            folder = self.world.path("stranger")
        done = run(binary("tests/system/tpm_tool"), "certify", folder, maker,
                   self.tcti, self.key)
        expect(done.status == 0, "certify: " + done.err)

    def extend(self, pcr, word):
        """As what starts a machine does, before it runs the word."""
        done = run(binary("tests/system/tpm_tool"), "extend", self.tcti,
                   str(pcr), word)
        expect(done.status == 0, "extend: " + done.err)

    def open_to_all(self):
        """For a site, whose ledger runs as another user."""
        self.open = True
        for path, mode in ((self.dir, 0o755), (self.socket, 0o777),
                           (self.socket + ".ctrl", 0o777)):
            os.chmod(path, mode)

    def answers(self):
        if self.process.poll() is not None:
            raise Failure("swtpm does not run (package swtpm): see %s.log"
                          % self.name)
        for path in (self.socket, self.socket + ".ctrl"):
            with socket.socket(socket.AF_UNIX) as s:
                try:
                    s.connect(path)
                except OSError:
                    return False
        return True

    def start(self):
        for path in (self.socket, self.socket + ".ctrl"):
            if os.path.exists(path):
                os.unlink(path)  # of a process that was killed
        try:
            self.process = self.world.start(self.name, [
                "swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.dir,
                "--server", "type=unixio,path=" + self.socket,
                "--ctrl", "type=unixio,path=%s.ctrl" % self.socket,
                "--flags", "not-need-init,startup-clear"])
        except FileNotFoundError:
            raise Failure("there is no swtpm (package swtpm)")
        wait_for(self.answers, "swtpm does not answer")
        if self.open:
            self.open_to_all()

    def stop(self):
        """In order, as a machine that is shut down."""
        done = subprocess.run(
            ["swtpm_ioctl", "--unix", self.socket + ".ctrl", "-s"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        expect(done.returncode == 0, "swtpm_ioctl: " + done.stderr)
        self.process.wait(10 * SLOW)

    def kill(self):
        """As by a power cut."""
        self.process.kill()
        self.process.wait()

    def restart(self):
        """A reset: resetCount goes up, the counters stay."""
        self.kill()
        self.start()

    def snapshot(self, name="saved"):
        """Keep a copy of its state, as a hypervisor does of a virtual one."""
        shutil.copy(os.path.join(self.dir, STATE),
                    os.path.join(self.dir, name))

    def restore(self, name="saved"):
        """Put it back, and start it: what a chip does not let anybody do."""
        if self.process.poll() is None:
            self.kill()
        shutil.copy(os.path.join(self.dir, name),
                    os.path.join(self.dir, STATE))
        self.start()
