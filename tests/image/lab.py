"""Boxes for the image's tests: a disk, the variables of a firmware, a TPM,
and a qemu that starts from them. No privileges are needed, and no KVM.

    box = Box(world, images, "box")
    box.start()
    box.says(r"site's? is made")
    box.cut()               # the power goes

QEMU in the environment: the command, when it is not qemu-system-x86_64.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))

from harness import (ROOT, Failure, binary, expect, free_port, run,  # noqa: E402
                     stop_process, wait_for)

OVMF = "/usr/share/OVMF/"
MIB = 1 << 20
# Of a start, on a machine that does ten other things.
START_S = int(os.environ.get("START_S", "420"))


class Images:
    """What `make image` left in a folder."""

    def __init__(self, folder, keys=None):
        self.folder = folder
        self.keys = keys or os.environ.get("KEYS") or self.path("keys")
        with open(self.path("image.json")) as f:
            self.identity = json.load(f)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    @property
    def disk(self):
        return self.path("leasehold.img")

    def glass(self):
        """The same image with a second serial line that does what it is told,
        as root: to look into a running box, which has no shell. Its root and
        UKI are built and signed as the image's are."""
        out = self.path("glass")
        made = run(os.path.join(HERE, "glass-build"), self.folder, out,
                   self.keys, timeout=300)
        expect(made.status == 0, "glass-build: " + made.out + made.err)
        return Images(out, self.keys)


def variables(images, target, *options, keys=None):
    """A firmware's variables with the keys of these images in them."""
    made = run(os.path.join(ROOT, "firmware", "ovmf-vars"),
               keys or images.keys, OVMF + "OVMF_VARS_4M.fd", target, *options)
    expect(made.status == 0, "ovmf-vars: " + made.err)


def copy_sparse(source, target):
    done = run("cp", "--sparse=always", source, target, timeout=300)
    expect(done.status == 0, "cp: " + done.err)


def put_on_esp(disk, source, target="::EFI/BOOT/BOOTX64.EFI"):
    """A file onto a disk's first partition."""
    done = run("mcopy", "-o", "-i", "%s@@1M" % disk, source, target,
               env={"MTOOLS_SKIP_CHECK": "1"})
    expect(done.status == 0, "mcopy: " + done.err)


def make_stick(path, *files, label="LEASEHOLD", mib=160):
    """A USB stick with these files, FAT as people have them."""
    if os.path.exists(path):
        os.unlink(path)
    with open(path, "wb") as f:
        f.truncate(mib * MIB)
    for command in (["mformat", "-i", path, "-F", "-v", label, "::"],
                    ["mcopy", "-i", path, *files, "::"]):
        if files or command[0] == "mformat":
            made = run(*command, timeout=300)
            expect(made.status == 0, "%s: %s" % (command[0], made.err))
    return path


def partition(disk, label):
    """(first byte, bytes) of a partition."""
    shown = run("sfdisk", "--json", disk)
    expect(shown.status == 0, "sfdisk: " + shown.err)
    for part in shown.json()["partitiontable"]["partitions"]:
        if part["name"] == label:
            return part["start"] * 512, part["size"] * 512
    raise Failure("no partition %s" % label)


def flip(path, at):
    """One bit, of the byte at this place."""
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))


def place_in_erofs(erofs, name):
    """Where in an erofs a file's first data lies."""
    shown = run("dump.erofs", "--path=" + name, "-e", erofs)
    found = re.search(r":\s*(\d+)\.\.\s*\d+\s*\|\s*\d+\s*$", shown.out,
                      re.M)
    expect(found, "dump.erofs: " + shown.out + shown.err)
    return int(found.group(1))


class Inside:
    """What a command inside a box came to."""

    def __init__(self, status, out):
        self.status = status
        self.out = out
        self.lines = out.splitlines()


class Box:
    """One machine. What is not given is made: a new disk of the image, a
    firmware with its keys, a TPM of its own."""

    def __init__(self, world, images, name, disk=None, firmware=None,
                 tpm=None):
        self.world = world
        self.images = images
        self.name = name
        self.folder = world.path(name)
        os.makedirs(self.folder)
        self.disk = disk or self.path("disk")
        self.firmware = firmware or self.path("vars")
        self.tpm = tpm or self.path("tpm")
        self.port = free_port()
        self.url = "https://127.0.0.1:%d" % self.port
        self.key = None
        self.ca = self.path("ca.pem")
        self.starts = 0
        self.asked = 0
        self.qemu = None
        if disk is None:
            copy_sparse(images.disk, self.disk)
        if firmware is None:
            variables(images, self.firmware)
        if tpm is None:
            os.mkdir(self.tpm)
            made = run("swtpm_setup", "--tpm2", "--tpmstate", self.tpm,
                       "--pcr-banks", "sha256", "--create-ek-cert=no",
                       "--overwrite")
            # Where it knows no such option there is nothing to make.
            if made.status != 0:
                shutil.rmtree(self.tpm)
                os.mkdir(self.tpm)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    @property
    def serial_path(self):
        return self.path("serial-%d.log" % self.starts)

    def serial(self):
        try:
            with open(self.serial_path, errors="replace") as f:
                return f.read().replace("\r", "")
        except FileNotFoundError:
            return ""

    # --- power ---------------------------------------------------------------

    def start(self, memory=1024, chip=True):
        """With a watchdog's chip, or without one."""
        self.starts += 1
        control = self.path("tpm.sock")
        for name in (control, self.path("qmp"), self.path("wire"),
                     self.path("typing"), self.path("glass")):
            if os.path.exists(name):
                os.unlink(name)
        self.swtpm = self.world.start(self.name + "-tpm", [
            "swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.tpm,
            "--ctrl", "type=unixio,path=" + control, "--terminate"])
        wait_for(lambda: os.path.exists(control), "swtpm does not start")
        args = shlex.split(os.environ.get("QEMU", "qemu-system-x86_64")) + [
            "-machine", "q35,smm=on", "-accel", "tcg,thread=multi",
            "-cpu", "max", "-smp", "2", "-m", str(memory),
            "-nodefaults", "-display", "none", "-no-reboot",
            "-chardev", "socket,id=typing,server=on,wait=off,path=%s,"
            "logfile=%s" % (self.path("typing"), self.serial_path),
            "-serial", "chardev:typing",
            "-chardev", "socket,id=glass,server=on,wait=off,path=" +
            self.path("glass"), "-serial", "chardev:glass",
            "-qmp", "unix:%s,server=on,wait=off" % self.path("qmp"),
            "-global", "driver=cfi.pflash01,property=secure,value=on",
            "-global", "ICH9-LPC.disable_s3=1",
            "-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" +
            OVMF + "OVMF_CODE_4M.secboot.fd",
            "-drive", "if=pflash,format=raw,unit=1,file=" + self.firmware,
            "-chardev", "socket,id=tpm,path=" + control,
            "-tpmdev", "emulator,id=tpm,chardev=tpm",
            "-device", "tpm-crb,tpmdev=tpm",
            "-drive", "if=none,id=disk,format=raw,cache=writethrough,file=" +
            self.disk, "-device", "virtio-blk-pci,drive=disk",
            "-netdev", "user,id=lan,hostfwd=tcp:127.0.0.1:%d-:7443" %
            self.port, "-device", "virtio-net-pci,netdev=lan,romfile=",
            "-netdev", "dgram,id=wire,local.type=unix,local.path=%s,"
            "remote.type=unix,remote.path=%s" %
            (self.path("wire"), self.path("wire.host")),
            "-device", "virtio-net-pci,netdev=wire,romfile=,"
            "mac=52:54:00:1e:a5:e4",
            "-device", "qemu-xhci,id=usb",
            "-device", "virtio-rng-pci", "-device", "virtio-balloon-pci,"
            "id=balloon", "-action", "watchdog=reset"]
        if chip:
            args += ["-device", "i6300esb"]
        self.qemu = self.world.start(self.name + "-qemu", args)
        wait_for(lambda: os.path.exists(self.serial_path) or not self.runs(),
                 "qemu does not start", 900)
        expect(self.runs(), "qemu ended: see %s-qemu.log" % self.name)
        self.began = time.monotonic()

    def cut(self):
        """The power goes: no process gets to say a word."""
        if self.qemu is not None:
            self.qemu.kill()
            self.qemu.wait()
            stop_process(self.swtpm)
            self.qemu = None

    def runs(self):
        return self.qemu is not None and self.qemu.poll() is None

    def says(self, pattern, timeout=START_S):
        """What the console says, awaited."""
        def look():
            found = re.search(pattern, self.serial())
            if found is None and not self.runs():
                found = re.search(pattern, self.serial())
                expect(found, "the box went off without saying %r: %s" %
                       (pattern, self.serial()[-600:]))
            return found
        try:
            return wait_for(look, "console: %r" % pattern, timeout, 0.2)
        except Failure as failure:
            raise Failure("%s; it said: %s" %
                          (failure, self.serial()[-600:])) from None

    def types(self, text):
        """On the console's keys."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(self.path("typing"))
            s.sendall(text.encode())
            # What it echoes is read until it has taken all; a page that is
            # drawn again and again never falls silent.
            s.settimeout(2)
            end = time.monotonic() + 10
            try:
                while time.monotonic() < end and s.recv(4096):
                    pass
            except TimeoutError:
                pass

    def inside(self, command, timeout=120):
        """What a command says inside; of boxes of Images.glass() alone."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path("glass"))
            s.settimeout(5)
            end, said, number = time.monotonic() + timeout, b"", None
            # Asked again until the line's other end is there. A number is
            # never used twice, so that no late answer is taken for another.
            while True:
                if number is None or b"<%d<\n" % number not in said:
                    self.asked += 1
                    number = self.asked
                    s.sendall(b"\n%d %s\n" % (number, command.encode()))
                try:
                    while not re.search(rb">%d \d+>\n" % number, said):
                        more = s.recv(65536)
                        expect(more, "the box went off: %r" % said[-300:])
                        said += more
                except TimeoutError:
                    pass
                found = re.search(rb"<%d<\n(.*)\n>%d (\d+)>\n" %
                                  (number, number), said, re.S)
                if found:
                    return Inside(int(found.group(2)),
                                  found.group(1).decode(errors="replace"))
                expect(time.monotonic() < end and self.runs(),
                       "no answer inside to %r: %r" % (command, said[-300:]))

    def ask(self, command, **arguments):
        """One question to qemu."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(self.path("qmp"))
            with s.makefile("rw") as f:
                f.readline()
                for line in ({"execute": "qmp_capabilities"},
                             {"execute": command, "arguments": arguments}):
                    f.write(json.dumps(line) + "\n")
                    f.flush()
                    while True:
                        answer = json.loads(f.readline())
                        if "return" in answer or "error" in answer:
                            break
        expect("return" in answer, "%s: %s" % (command, answer))
        return answer["return"]

    def plug(self, stick):
        """A USB stick is put in; it stays until it is pulled or the power
        goes."""
        self.ask("blockdev-add", **{
            "node-name": "stick", "driver": "raw", "read-only": True,
            "file": {"driver": "file", "filename": stick}})
        self.ask("device_add", driver="usb-storage", id="stick",
                 drive="stick", bus="usb.0", removable=True)

    def pull(self):
        self.ask("device_del", id="stick")

        def gone():
            try:
                self.ask("blockdev-del", **{"node-name": "stick"})
            except Failure as failure:
                expect("in use" in str(failure), str(failure))
                return False
            return True
        wait_for(gone, "the stick stays in", 60)

    def memory(self):
        """What the guest says of its memory, in bytes, when it has said it
        anew."""
        place = "/machine/peripheral/balloon"
        self.ask("qom-set", path=place,
                 property="guest-stats-polling-interval", value=1)

        def stats():
            said = self.ask("qom-get", path=place, property="guest-stats")
            return said["stats"] if said["last-update"] else None
        return wait_for(stats, "no word of the guest's memory", 60, 0.5)

    # --- as harness.Site -------------------------------------------------------

    def read_console(self):
        """What the first start shows once."""
        shown = {}
        self.says(r"to a safe\.")
        for name in ("site", "CA fingerprint", "admin key",
                     "site recovery key", "data recovery key"):
            found = re.search(r"^  %s +(\S+)$" % name, self.serial(), re.M)
            expect(found, "the console does not show the " + name)
            shown[name] = found.group(1)
        self.key = shown["admin key"]
        return shown

    def fetch_ca(self, fingerprint):
        """The CA of the certificate that is shown, if it is the console's."""
        def chain():
            try:
                made = subprocess.run(
                    ["openssl", "s_client", "-showcerts", "-connect",
                     "127.0.0.1:%d" % self.port], stdin=subprocess.DEVNULL,
                    capture_output=True, text=True, timeout=60)
            except subprocess.TimeoutExpired:
                return None
            return re.findall(r"-----BEGIN CERT.*?END CERTIFICATE-----\n",
                              made.stdout, re.S)
        for pem in wait_for(chain, "no TLS", START_S, 1):
            digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
            if digest == fingerprint:
                with open(self.ca, "w") as f:
                    f.write(pem)
                return
        raise Failure("no certificate is the console's %s" % fingerprint)

    @property
    def env(self):
        return {"LICENSE_SERVER_URL": self.url, "LICENSE_API_KEY": self.key,
                "LICENSE_CA_FILE": self.ca}

    def cli(self, *args, timeout=120):
        return run(binary("leasehold"), *args, env=self.env, timeout=timeout)

    def request(self):
        made = self.cli("site", "request")
        expect(made.status == 0, "site request: " + made.err)
        return made.out

    def ready(self):
        if not self.runs():
            raise Failure("the box is off: " + self.serial()[-3000:])
        shown = self.cli("--json", "site", "show")
        return shown.json() if shown.status == 0 else None

    def wait_ready(self, timeout=START_S):
        try:
            return wait_for(self.ready, "the box's site does not answer",
                            timeout, 0.5)
        except Failure as failure:
            raise Failure("%s; it said: %s" %
                          (failure, self.serial()[-600:])) from None

    def install(self, document, *options):
        path = self.world.issue(self, document, extra=options)
        done = self.cli("--json", "license", "install", path)
        expect(done.status == 0, "license install: " + done.err)
        return done.json()

    def token(self, *options):
        made = self.cli("join", "create", "--uses", "10", "--approve",
                        *options)
        expect(made.status == 0, "join create: " + made.err)
        return made.out.strip()

    def leases(self):
        shown = self.cli("--json", "leases")
        expect(shown.status == 0, "leases: " + shown.err)
        return shown.json().get("items", [])
