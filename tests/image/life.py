"""The life of one box: its first start, an agent, a scan, a power cut, a second
start."""

import base64
import json
import os
import re
import subprocess
import threading
import time

from lab import MIB, Box, make_stick
from wire import ACK, SYN, V4, V6, Wire

from by_key import Program, make_key
from harness import (PRODUCT, Agent, App, Failure, World, expect,
                     wait_for)
from plant import another, borrowing, everything, plant
from tpms import Tpm


def a_new_box_starts_to_its_service_over_tls():
    plant.world = plant.world or World()
    box = plant.box = Box(plant.world, plant.images, "box")
    box.start()
    shown = box.read_console()
    box.says(r"slot a, version ")
    box.fetch_ca(shown["CA fingerprint"])
    site = box.wait_ready()
    plant.measured["first start to its service, s"] = round(
        time.monotonic() - box.began)
    expect(site["witness"] == "tpm", site)
    expect(site["site"] == shown["site"], (site, shown))
    expect(re.match(r"([a-z]{8}-){7}[a-z]{8}$", shown["data recovery key"]),
           "no recovery key")
    plant.shown = shown


def an_agent_enrolls_checks_out_and_borrows():
    world, box = plant.world, plant.box
    box.install(borrowing())
    plant.agent = Agent(world, tpm=Tpm(world, "none"))
    plant.agent.start()
    plant.agent.enroll(box, box.token())
    plant.app = App(world, plant.agent.socket)
    expect(plant.app.wait(120), plant.app.errors())
    done = plant.agent.cli("--json", "borrow", "take", PRODUCT, "--version",
                           "8.1.0", "--for", "2d", timeout=120)
    expect(done.status == 0, "borrow: " + done.err)
    plant.borrow = done.json()["lease"]
    held = [lease["lease"] for lease in box.leases()]
    expect(plant.app.lease["lease"] in held, held)


def what_it_quotes_is_what_was_built():
    """PCR 11 of the report's quote: by it a hub says `genuine`."""
    with open(plant.images.path("image-measurements.json")) as f:
        known = {one["pcr"]: one["sha256"] for one in json.load(f)["pcrs"]}
    done = plant.box.cli("--json", "sync", "preview")
    expect(done.status == 0, done.err)
    told = json.loads(done.out)
    told = told.get("report", told)["measured"]
    pcrs = base64.urlsafe_b64decode(told["quote"]["pcrs"] + "==")
    expect(pcrs[-32:].hex() == known[11], (pcrs.hex(), known))
    expect(told["log"] == "replays", told)


def no_port_answers_but_the_service_s():
    """Every port of TCP and UDP, over IPv4 and IPv6: silence, and no word
    that a port is shut."""
    wire = Wire(plant.box)
    try:
        wire.plug()
        for ip in (V4, V6):
            found = wire.scan(ip, "TCP")
            expect(found == {("TCP", 7443): SYN | ACK},
                   "%s: %s" % (ip.name, sorted(found.items())[:20]))
            found = wire.scan(ip, "UDP")
            expect(not found, "%s: %s" % (ip.name, sorted(found)[:20]))
    finally:
        wire.close()


def a_resting_box_needs_little_memory():
    stats = plant.box.memory()
    total, free = stats["stat-total-memory"], stats["stat-available-memory"]
    plant.measured["memory at rest, MiB"] = round((total - free) / MIB)
    expect(total - free < 400 * MIB, stats)


def a_power_cut_in_a_commit_loses_no_lease():
    """Programs take seats without a pause, and the power goes."""
    box = plant.box
    key, _ = make_key(box)
    plant.acked = []
    cut = threading.Event()

    def take_seats():
        try:
            with Program(box, key) as program:
                while not cut.is_set():
                    lease = program.take()
                    plant.acked.append(lease["lease"])
        except (OSError, Failure, ValueError, subprocess.SubprocessError):
            expect(cut.is_set(), "a checkout failed before the power did")
        except Exception:  # http.client: half an answer
            if not cut.is_set():
                raise

    takers = [threading.Thread(target=take_seats) for _ in range(4)]
    for taker in takers:
        taker.start()
    try:
        wait_for(lambda: len(plant.acked) >= 40, "no seats", 120)
    finally:
        cut.set()
        box.cut()
        for taker in takers:
            taker.join()
    plant.measured["leases before the power cut"] = len(plant.acked)


def a_second_start_opens_its_data_and_has_every_lease():
    box = plant.box
    box.start()
    box.wait_ready()
    plant.measured["later start to its service, s"] = round(
        time.monotonic() - box.began)
    key, _ = make_key(box)
    with Program(box, key) as program:
        program.take()
    plant.measured["later start to the first grant, s"] = round(
        time.monotonic() - box.began)
    expect("REFUSED" not in box.serial(), box.serial()[-600:])
    expect("shown once" not in box.serial(), "the site was made again")
    held = {lease["lease"] for lease in everything(box)}
    lost = [lease for lease in plant.acked + [plant.app.lease["lease"]]
            if lease not in held]
    expect(not lost, "lost: %s" % lost)
    lent = box.cli("--json", "borrow", "list", "--site")
    expect(plant.borrow in [b["lease"] for b in lent.json()["items"]],
           lent.out)
    plant.agent.wait_connected(300)
    verified = box.cli("--json", "audit", "verify", timeout=300)
    expect(verified.status == 0, verified.err)
    # The page on the console, which the first start left to its keys.
    box.says(r"State +ready", 120)
    box.says(r"Seats +\d+ of 400 held", 120)


def another_box_goes_on_out_of_its_backup():
    """The drill of leasehold-disaster(7), with nothing but what an admin has
    at his desk: a backup, its passphrase, the site's recovery key."""
    world, old = plant.world, plant.box
    folder = world.path("stick-of-heir")
    os.mkdir(folder)
    files = {name: os.path.join(folder, "site." + name)
             for name in ("backup", "passphrase", "recovery")}
    for name, text in (("passphrase", "correct horse battery"),
                       ("recovery", plant.shown["site recovery key"])):
        with open(os.open(files[name], os.O_WRONLY | os.O_CREAT, 0o600),
                  "w") as out:
            out.write(text + "\n")
    done = old.cli("backup", files["backup"], "--passphrase-file",
                   files["passphrase"])
    expect(done.status == 0, done.err)
    shown = old.cli("--json", "backup", "show", files["backup"]).json()
    expect(shown["heir"] and shown["box"], shown)
    held = {lease["lease"] for lease in everything(old)}
    key = old.ready()["site_key"]
    old.cut()

    box = another("heir")
    # At the same address: so the workstations find it.
    box.port, box.url, box.key, box.ca = old.port, old.url, old.key, old.ca
    box.start()
    box.plug(make_stick(world.path("heir.stick"), *files.values()))
    box.says(r"goes on as another one's site")
    expect(plant.shown["site"] in box.serial(), "which site")
    ready = box.wait_ready()
    expect(ready["rolled_back"], ready)
    plant.measured["a new box, from power on to its backup's service, s"] = (
        round(time.monotonic() - box.began))
    expect(ready["site_key"] != key and len(ready["succession"]) == 1, ready)
    done = box.cli("site", "acknowledge-rollback", "--reason", "it burnt")
    expect(done.status == 0, done.err)
    plant.agent.wait_connected(120)
    found = {lease["lease"] for lease in everything(box)}
    expect(held <= found, "lost: %s" % (held - found))
    early, _ = make_key(box)
    with Program(box, early) as program:
        answer = program.checkout()
        expect(answer.status != 201, "it grants before its vendor knows it")
    # Its vendor issues the license anew, to the new key.
    listed = box.cli("--json", "license", "list").json()["items"]
    box.install(borrowing(), "--license-id", listed[0]["license_id"],
                "--serial", "2")
    with Program(box, early) as program:
        program.take()
    # An admin at the same desk makes its next backup.
    done = box.cli("backup", files["backup"] + ".2", "--passphrase-file",
                   files["passphrase"])
    expect(done.status == 0, done.err)


LIFE = [
    a_new_box_starts_to_its_service_over_tls,
    an_agent_enrolls_checks_out_and_borrows,
    what_it_quotes_is_what_was_built, no_port_answers_but_the_service_s,
    a_resting_box_needs_little_memory,
    a_power_cut_in_a_commit_loses_no_lease,
    a_second_start_opens_its_data_and_has_every_lease,
    another_box_goes_on_out_of_its_backup,
]
