"""A data partition that is full, and one that grows."""

import os
import re
import subprocess

from lab import MIB, partition

from by_key import Program, make_key
from harness import expect, run
from plant import another, borrowing, everything, plant


def a_full_data_partition_refuses_and_loses_nothing():
    """Reads go on, also after a start; a larger disk is taken at the next
    one."""
    box = another("full")
    start, _ = partition(box.disk, "data")
    small_disk(box.disk, start, 48)
    box.start()
    box.fetch_ca(box.read_console()["CA fingerprint"])
    box.wait_ready()
    box.install(borrowing())
    key, _ = make_key(box)
    held, number = [], 0
    with Program(box, box.key) as admin, Program(box, key) as program:
        while True:  # bounded by the disk: each is a store of its own
            number += 1
            answer = admin.ask("POST", "/api/v1/b2b/tenants",
                               {"partnerName": "Filler %d" % number,
                                "tenantId": "filler-%d" % number,
                                "licenseType": "custom"})
            if answer.status != 201:
                break
            expect(number < 2000, "the disk is not full")
        expect(answer.status == 503 and answer.code == "unavailable", answer)
        while True:
            answer = program.checkout()
            if answer.status != 201:
                break
            held.append(answer.body["lease"])
            expect(len(held) < 450, "a full disk takes everything")
        expect(answer.status == 503 and answer.code == "unavailable", answer)
        expect(set(held) <= {lease["lease"] for lease in everything(box)},
               "a read does not show them")
    plant.measured["tenants until 48 MiB were full"] = number - 1
    box.cut()
    box.start()
    box.wait_ready()
    found = {lease["lease"] for lease in everything(box)}
    expect(set(held) <= found, "lost: %s" % (set(held) - found))
    box.cut()
    grown_disk(box.disk, 64 + 48 + 32)
    box.start()
    box.wait_ready()
    found = {lease["lease"] for lease in everything(box)}
    expect(set(held) <= found, "lost: %s" % (set(held) - found))
    key, _ = make_key(box)
    with Program(box, key) as program:
        program.take()
    box.cut()


def small_disk(disk, start, mib):
    """A new disk whose data partition is this small, and ends the disk."""
    end = start + mib * MIB
    shown = run("sfdisk", "--dump", disk).out
    lines = []
    for line in shown.splitlines():
        if line.startswith("last-lba:"):
            continue
        if 'name="data"' in line:
            line = re.sub(r"size= *\d+", "size=%d" % (mib * MIB // 512), line)
        lines.append(line)
    os.truncate(disk, end + MIB)
    made = subprocess.run(["sfdisk", "--quiet", "--wipe", "never", disk],
                          input="\n".join(lines) + "\n", text=True,
                          capture_output=True)
    expect(made.returncode == 0, made.stderr)
    expect(partition(disk, "data") == (start, mib * MIB), lines)


def grown_disk(disk, mib):
    os.truncate(disk, os.path.getsize(disk) + mib * MIB)


FULL = [a_full_data_partition_refuses_and_loses_nothing]
