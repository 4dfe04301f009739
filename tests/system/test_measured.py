#!/usr/bin/python3
"""What a hub says of the start of a site's machine: by a quote of its TPM in
each report, against the released images that the hub knows."""

import hashlib
import json
import os
import struct
import sys

from harness import Site, World, expect, main
from test_hub import ids, order, setting, write
from tpms import Tpm

ZERO = bytes(32)


def extended(value, word):
    """As Tpm.extend() does."""
    return hashlib.sha256(value + hashlib.sha256(word.encode()).digest()
                          ).digest()


def event(pcr, word):
    digest = hashlib.sha256(word.encode()).digest()
    return (struct.pack("<IIIH", pcr, 0x80000003, 1, 0x0b) + digest +
            struct.pack("<I", len(word)) + word.encode())


def event_log(*events):
    head = (b"Spec ID Event03\0" + bytes(8) +
            struct.pack("<IHHB", 1, 0x0b, 32, 0))
    return (struct.pack("<II", 0, 3) + bytes(20) +
            struct.pack("<I", len(head)) + head +
            b"".join(event(*e) for e in events))


class Plant:
    """A hub, and a site of its customer in a box with a TPM that a UKI was
    measured into."""

    def __init__(self, world, uki="uki 0.2.0", version="0.2.0", tpm=True):
        self.world = world
        self.reports = 0
        self.hub, self.api = setting(world)
        made = self.api.ask("POST", "/api/v1/licenses/generate", order())
        expect(made.status == 201, made)
        self.state = world.path("appliance")
        os.makedirs(self.state)
        if version:
            self.put("image.json", json.dumps(
                {"version": version, "build_id": "b1", "root_hash": "0" * 64,
                 "slot": "a"}).encode())
        self.tpm = Tpm(world) if tpm else None
        if tpm:
            self.tpm.extend(4, "boot " + uki)
            self.tpm.extend(11, uki)
        self.site = Site(world, tpm=self.tpm, config=(
            "[appliance]\nstate_dir=%s\n" % self.state))
        self.site.start()
        request = write(world, "plant.request", self.site.request())
        self.at(self.hub, "hub", "site", "add", request, "--customer",
                "ACC-98765")
        package = world.path("plant.lic")
        self.at(self.hub, "hub", "license", "package", ids(), package)
        self.at(self.site, "license", "install", package)

    def put(self, name, data):
        path = os.path.join(self.state, name)
        with open(path, "wb") as out:
            out.write(data)
        os.chmod(path, 0o644)

    def at(self, where, *args, status=0):
        done = where.cli(*args)
        expect(done.status == status, (args, done.status, done.out, done.err))
        return done

    def release(self, version="0.2.0", uki="uki 0.2.0", status=0):
        """As make image writes it."""
        document = {"version": version, "build_id": "b1", "pcrs": [
            {"pcr": 4, "sha256": extended(ZERO, "boot " + uki).hex()},
            {"pcr": 11, "sha256": extended(ZERO, uki).hex()}]}
        path = write(self.world, "image-measurements.json", document)
        return self.at(self.hub, "hub", "images", "add", path, status=status)

    def report(self):
        """One more, by file; what the hub makes of it."""
        self.reports += 1
        path = self.world.path("%d.sync" % self.reports)
        self.at(self.site, "sync", "export", path)
        said = self.at(self.hub, "--json", "hub", "import", path, "--out",
                       path + ".back").json()
        expect(said["answer"] == "taken", said)
        self.at(self.site, "sync", "import", path + ".back")
        return self.seen()

    def seen(self):
        return self.api.get("/api/v1/hub/sites").json()["items"][0]

    def previewed(self):
        done = self.at(self.site, "--json", "sync", "preview")
        return done.json()["report"].get("measured", {})


def released_image_is_genuine_and_one_extend_makes_it_altered():
    with World() as world:
        plant = Plant(world)
        expect("boot" not in plant.seen(), plant.seen())
        plant.release()
        seen = plant.report()
        expect(seen["boot"] == "genuine" and seen["image"] == "0.2.0", seen)
        expect("boot_reason" not in seen, seen)
        since = seen["boot_since"]
        expect(plant.report()["boot_since"] == since, "the same is no news")
        out = plant.at(plant.hub, "hub", "site", "list").out
        expect("genuine 0.2.0" in out, out)
        # Something else ran.
        plant.tpm.extend(11, "rootkit")
        seen = plant.report()
        expect(seen["boot"] == "altered" and seen["image"] == "0.2.0", seen)
        expect("PCR 11" in seen["boot_reason"], seen)
        # Also after the hub was started anew.
        plant.hub.stop()
        plant.hub.start()
        expect(plant.seen()["boot"] == "altered", plant.seen())


def image_that_nobody_released_is_unknown():
    with World() as world:
        plant = Plant(world, uki="uki of a friend", version="9.9.9")
        plant.release()
        seen = plant.report()
        expect(seen["boot"] == "unknown" and "image" not in seen, seen)
        # It says to be the released one: that is no stranger any more.
        plant.put("image.json", b'{"version":"0.2.0"}')
        seen = plant.report()
        expect(seen["boot"] == "altered" and seen["image"] == "0.2.0", seen)


def machine_without_a_tpm_is_unmeasured():
    with World() as world:
        plant = Plant(world, tpm=False)
        plant.release()
        seen = plant.report()
        expect(seen["boot"] == "unknown" and
               "unmeasured" in seen["boot_reason"], seen)


def event_log_is_told_by_its_digest_and_replayed():
    with World() as world:
        plant = Plant(world)
        expect("log" not in plant.previewed(), plant.previewed())
        log = event_log((4, "boot uki 0.2.0"))
        plant.put("eventlog", log)
        said = plant.previewed()
        expect(said["log"] == "replays" and said["image"] == "0.2.0", said)
        digest = said["log_digest"]
        # One event more than the TPM knows of.
        plant.put("eventlog", event_log((4, "boot uki 0.2.0"), (4, "x")))
        said = plant.previewed()
        expect(said["log"] == "contradicts" and said["log_digest"] != digest,
               said)
        plant.put("eventlog", log[:-1])
        expect(plant.previewed()["log"] == "unreadable", plant.previewed())


def images_are_known_until_they_are_removed():
    with World() as world:
        plant = Plant(world)
        plant.release()
        plant.release()  # the same again
        done = plant.release(uki="another", status=1)
        expect("other values" in done.err, done.err)
        out = plant.at(plant.hub, "hub", "images", "list").out
        expect("0.2.0" in out and "4 11" in out, out)
        expect(plant.report()["boot"] == "genuine", plant.seen())
        plant.at(plant.hub, "hub", "images", "remove", "0.2.0")
        plant.at(plant.hub, "hub", "images", "remove", "0.2.0", status=1)
        out = plant.at(plant.hub, "hub", "images", "list").out
        expect("No released image" in out, out)
        expect(plant.report()["boot"] == "unknown", plant.seen())
        plant.release(uki="another")
        expect(plant.report()["boot"] == "altered", plant.seen())


if __name__ == "__main__":
    sys.exit(main([
        released_image_is_genuine_and_one_extend_makes_it_altered,
        image_that_nobody_released_is_unknown,
        machine_without_a_tpm_is_unmeasured,
        event_log_is_told_by_its_digest_and_replayed,
        images_are_known_until_they_are_removed,
    ]))
