"""What is in the image: tests that start no box."""

import json
import os
import re
import stat
import subprocess

from lab import HERE

from harness import expect, run
from plant import plant


def files():
    """(path in the root, lstat) of everything."""
    top = plant.images.path("root")
    for folder, folders, names in os.walk(top):
        for name in folders + names:
            path = os.path.join(folder, name)
            yield path[len(top):], os.lstat(path)


def the_root_is_within_its_budget():
    for name, what in (("root.erofs", "root"), ("uki.efi", "UKI"),
                       ("leasehold.img", "disk")):
        found = os.stat(plant.images.path(name))
        plant.measured["%s, MB" % what] = round(found.st_size / 1e6)
        plant.measured["%s on disk, MB" % what] = round(found.st_blocks * 512 / 1e6)
    size = os.path.getsize(plant.images.path("root.erofs"))
    expect(size <= 200 * 1000 * 1000, "%d bytes of root" % size)


def no_file_is_setuid_or_writable_by_all():
    for path, found in files():
        if stat.S_ISLNK(found.st_mode):
            continue
        expect(not found.st_mode & (stat.S_ISUID | stat.S_ISGID),
               "%s is setuid or setgid" % path)
        open_to_all = found.st_mode & stat.S_IWOTH
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        expect(not open_to_all or sticky, "%s is writable by all" % path)
        expect(found.st_uid == 0, "%s belongs to %d" % (path, found.st_uid))


def no_file_has_capabilities():
    for path, found in files():
        if stat.S_ISREG(found.st_mode):
            have = os.listxattr(plant.images.path("root") + path)
            expect("security.capability" not in have, path)


def there_is_no_compiler_and_no_interpreter():
    """But sh, which the units' scripts need: they are in the root, which
    nobody writes."""
    unwanted = re.compile(
        r"^(perl|python|ruby|lua|tcl|node|php|gawk|mawk|awk|bash|zsh|busybox|"
        r"gcc|cc|c\+\+|g\+\+|clang|tcc|as|ld|make|gdb|strace|apt|apt-get|dpkg|"
        r"curl|wget|nc|ncat|socat|ssh|sshd|scp|telnet|ftp|vi|vim|nano|ed|su|"
        r"sudo|doas|login|agetty|getty|sulogin)[0-9.-]*$")
    for path, found in files():
        folder, name = os.path.split(path)
        if folder.endswith("bin") and not stat.S_ISDIR(found.st_mode):
            expect(not unwanted.match(name), path)
        expect(not name.startswith(("libpython", "libperl", "libruby")), path)
    shells = [path for path, _ in files() if os.path.split(path)[1] in
              ("sh", "dash")]
    expect(sorted(shells) == ["/usr/bin/dash", "/usr/bin/sh"], shells)


def every_program_finds_its_libraries():
    top = plant.images.path("root")
    for path, found in files():
        if not stat.S_ISREG(found.st_mode) or not found.st_mode & 0o111:
            continue
        with open(top + path, "rb") as f:
            if f.read(4) != b"\x7fELF":
                continue
        listed = run("chroot", top, "/lib64/ld-linux-x86-64.so.2", "--list",
                     path)
        if "statically linked" in listed.out + listed.err:
            continue
        expect("not found" not in listed.out + listed.err,
               "%s: %s%s" % (path, listed.out, listed.err))


# What a unit of ours may be exposed to, as systemd-analyze counts: 1.5, and more
# where its job needs it. README.md of the firmware says why.
EXPOSED = {
    "leasehold-watchdog": 1.8,
    "leasehold-boot-entries": 1.6,
    "leasehold-update": 2.0,
    "leasehold-confirm": 2.9,
    "leasehold-first-boot": 3.0,
    "emergency": 3.2,
    "leasehold-data": 5.2,
    "leasehold-shell": 9.6,
}


def no_unit_of_ours_is_exposed_more_than_its_job_needs():
    top = plant.images.path("root")
    units = sorted(name[:-len(".service")]
                   for name in os.listdir(top + "/usr/lib/systemd/system")
                   if re.match(r"(leasehold.*|emergency)\.service$", name))
    expect(set(EXPOSED) < set(units), units)
    for unit in units:
        name = unit + ("tty1" if unit.endswith("@") else "") + ".service"
        done = run("systemd-analyze", "security", "--offline=true",
                   "--no-pager", "--root=" + top, name)
        found = re.search(r"exposure level for \S+: ([0-9.]+) ", done.out)
        expect(done.status == 0 and found, done.out[-200:] + done.err)
        expect(float(found.group(1)) <= EXPOSED.get(unit, 1.5),
               "%s is exposed %s" % (unit, found.group(1)))
        expect(not re.search("(?i)unknown|ignoring", done.err), done.err)


def nobody_can_log_in():
    with open(plant.images.path("root", "etc", "shadow")) as f:
        for line in f:
            name, word = line.split(":")[:2]
            expect(word[:1] in ("!", "*"), "%s has a password" % name)
    with open(plant.images.path("root", "etc", "passwd")) as f:
        for line in f:
            expect(line.strip().endswith("/nologin"), line)
    for path, _ in files():
        expect("getty" not in path, path)
        expect(not re.search(r"(ssh|rescue|debug-shell)\S*\.(service|socket)$",
                             path), path)


def no_private_key_is_in_the_image():
    top = plant.images.path("root")
    secret = []
    for name in os.listdir(plant.images.keys):
        if name.endswith(".key"):
            with open(os.path.join(plant.images.keys, name)) as f:
                secret.append(f.read().splitlines()[1].encode())
    expect(len(secret) >= 5, "%d keys" % len(secret))
    places = [top + path for path, found in files()
              if stat.S_ISREG(found.st_mode)]
    for path in places + [plant.images.path("uki.efi"),
                          plant.images.path("initramfs", "init")]:
        with open(path, "rb") as f:
            data = f.read()
        for line in secret:
            expect(line not in data, "a private key is in " + path)
        # GnuTLS carries keys that it tests itself with.
        expect(b"PRIVATE KEY-----" not in data or data[:4] == b"\x7fELF",
               path)


def the_list_of_packages_is_complete():
    """SPDX: each package with a version; each library of Debian that the
    daemon loads is one of them."""
    with open(plant.images.path("sbom.spdx.json")) as f:
        sbom = json.load(f)
    expect(sbom["spdxVersion"] == "SPDX-2.3", sbom["spdxVersion"])
    names = {}
    for package in sbom["packages"]:
        expect(package["versionInfo"], package)
        expect(package["name"] not in names, package["name"])
        names[package["name"]] = package
    ids = [p["SPDXID"] for p in sbom["packages"]]
    expect(len(set(ids)) == len(ids), "two with one id")
    related = {r["relatedSpdxElement"] for r in sbom["relationships"]}
    expect(related == set(ids), related ^ set(ids))
    with open(plant.images.path("packages.all")) as f:
        came = {line.split("\t")[0] for line in f}
    with open(os.path.join(HERE, "..", "..", "firmware",
                           "packages-drop")) as f:
        gone = {line.strip() for line in f}
    expect(came - gone == set(names) - {"leasehold", "leasehold-appliance"},
           (came - gone) ^ set(names))
    for wanted in ("systemd", "libc6", "libsodium23", "libwebsockets17"):
        expect(wanted in names, wanted)
    expect(any(n.startswith("linux-image-6") for n in names), "no kernel")
    # Nothing lies in the root that no package, and not we, brought.
    known = set()
    for name in names:
        for deb in os.listdir(plant.images.path("debs")):
            if deb.startswith(name + "_"):
                listed = subprocess.run(
                    "dpkg-deb --fsys-tarfile '%s' | tar -t" %
                    plant.images.path("debs", deb), shell=True,
                    capture_output=True, text=True, check=True)
                known.update(re.sub(r"^\.?/(bin|sbin|lib|lib64)/", r"/usr/\1/",
                                    "/" + line.lstrip("./"))
                             for line in listed.stdout.splitlines())
    elf = []
    for path, found in files():
        if not stat.S_ISREG(found.st_mode):
            continue
        with open(plant.images.path("root") + path, "rb") as f:
            if f.read(4) == b"\x7fELF" and path not in known:
                elf.append(path)
    ours = [path for path in elf
            if re.match(r"/usr/s?bin/(leasehold|leaseholdd|leasehold-[a-z]+)$",
                        path)]
    expect("/usr/sbin/leaseholdd" in ours, elf)
    expect(sorted(elf) == sorted(ours), "of no package: %s" % elf)


STATIC = [
    the_root_is_within_its_budget, no_file_is_setuid_or_writable_by_all,
    no_file_has_capabilities, there_is_no_compiler_and_no_interpreter,
    every_program_finds_its_libraries,
    no_unit_of_ours_is_exposed_more_than_its_job_needs, nobody_can_log_in,
    no_private_key_is_in_the_image, the_list_of_packages_is_complete,
]
