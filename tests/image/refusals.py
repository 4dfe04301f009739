"""What does not start, and whose data stays shut."""

import os

from lab import (HERE, copy_sparse, flip, partition, place_in_erofs,
                 put_on_esp, variables)

from harness import Failure, expect, run
from plant import another, plant


def refused_by_firmware(box):
    """It goes on to its next way to start, of which there is none."""
    box.start()
    box.says(r"failed to load Boot0001 .*: (Access Denied|Security Violation)")
    text = box.serial()
    box.cut()
    expect("leasehold: slot" not in text and "EFI stub" not in text, text)


def an_unsigned_uki_is_refused():
    box = another("unsigned")
    put_on_esp(box.disk, plant.images.path("uki", "unsigned.efi"))
    refused_by_firmware(box)


def section(path, name):
    """(place in the file, bytes) of a section of an EFI program."""
    shown = run("objdump", "-h", path)
    for line in shown.out.splitlines():
        words = line.split()
        if len(words) > 5 and words[1] == name:
            return int(words[5], 16), int(words[2], 16)
    raise Failure("no section " + name)


def altered(box, name, change):
    """The signed UKI with a section changed, on the box's disk."""
    copy = box.path("altered.efi")
    copy_sparse(plant.images.path("uki.efi"), copy)
    change(copy, *section(copy, name))
    put_on_esp(box.disk, copy)


def an_altered_uki_is_refused():
    box = another("altered")
    altered(box, ".initrd", lambda path, at, size: flip(path, at + size // 2))
    refused_by_firmware(box)


def an_altered_command_line_is_refused():
    """The lock of the kernel taken off, in place."""
    def change(path, at, size):
        with open(path, "r+b") as f:
            f.seek(at)
            line = f.read(size)
            expect(b"lockdown=confidentiality" in line, line)
            f.seek(at)
            f.write(line.replace(b"lockdown=confidentiality",
                                 b"lockdown=none           "))
    box = another("line")
    altered(box, ".cmdline", change)
    refused_by_firmware(box)


def an_altered_root_is_refused():
    """One bit in the program that is process 1."""
    box = another("root")
    start, _ = partition(box.disk, "root-a")
    flip(box.disk, start + 100 +
         place_in_erofs(plant.images.path("root.erofs"),
                        "/usr/lib/systemd/systemd"))
    box.start()
    box.says(r"Kernel panic - not syncing: dm-verity device corrupted")
    text = box.serial()
    box.cut()
    expect("Welcome" not in text, text)


def another_root_is_refused():
    """Whole and in itself good, but not the one that the UKI names."""
    box = another("foreign")
    start, _ = partition(box.disk, "verity-a")
    flip(box.disk, start + 4096 + 100)
    box.start()
    box.says(r"REFUSED: no slot has the root that this UKI names")
    box.cut()


def without_secure_boot_it_does_not_start():
    box = another("insecure", disk=plant.box.disk, tpm=plant.box.tpm)
    variables(plant.images, box.firmware, "off")
    box.start()
    box.says(r"REFUSED: Secure Boot is off")
    box.cut()
    expect("slot" not in box.serial(), box.serial())


def data_stays_shut(box):
    box.start()
    box.says(r"REFUSED: the TPM does not open the data")
    box.says(r"Recovery key of this box")
    text = box.serial()
    box.cut()
    expect("shown once" not in text and
           "data partition is made" not in text, text)


def another_tpm_does_not_open_the_data():
    data_stays_shut(another("tpm-gone", disk=plant.box.disk,
                            firmware=plant.box.firmware))


def a_disk_that_moved_opens_with_its_recovery_key_alone():
    """Another machine of the same vendor, with a TPM of its own. Opened, the
    data is sealed to that machine."""
    box = another("thief", disk=plant.box.disk)
    box.start()
    box.says(r"REFUSED: the TPM does not open the data")
    box.says(r"Recovery key of this box")
    right = plant.shown["data recovery key"]
    wrong = right[::-1] if right != right[::-1] else right[1:]
    box.types(wrong + "\r")
    box.says(r"that key does not open it \(try 1 of 3\)")
    # As people type it.
    box.says(r"(?s)try 1 of 3.*Recovery key of this box")
    box.types(right.upper() + "\r")
    box.says(r"opened with the recovery key, and sealed to this box")
    expect(right not in box.serial().lower(), "the key is echoed")
    # What is sealed is sealed, whatever the power does then.
    box.cut()
    box.start()
    box.says(r"slot a, version ")
    # The site's key does not come along: a backup is for that.
    box.says(r"Failed to start.*leaseholdd\.service")
    expect("REFUSED" not in box.serial(), box.serial()[-600:])


def other_secure_boot_keys_do_not_open_the_data():
    """The whole machine is stolen, its firmware given other keys, and the
    vendor's own UKI signed with them."""
    keys = plant.world.path("thief-keys")
    made = run(os.path.join(HERE, "..", "..", "firmware", "keys-make"), keys)
    expect(made.status == 0, made.err)
    box = another("evil", disk=plant.box.disk, tpm=plant.box.tpm)
    variables(plant.images, box.firmware, keys=keys)
    signed = box.path("signed.efi")
    made = run("sbsign", "--key", keys + "/db.key", "--cert", keys + "/db.crt",
               "--output", signed, plant.images.path("uki", "unsigned.efi"))
    expect(made.status == 0, made.err)
    put_on_esp(box.disk, signed)
    data_stays_shut(box)


REFUSALS = [
    an_unsigned_uki_is_refused, an_altered_uki_is_refused,
    an_altered_command_line_is_refused, an_altered_root_is_refused,
    another_root_is_refused, without_secure_boot_it_does_not_start,
    another_tpm_does_not_open_the_data,
    a_disk_that_moved_opens_with_its_recovery_key_alone,
    other_secure_boot_keys_do_not_open_the_data,
]
