#!/usr/bin/python3
"""Updates of a real box: qemu, OVMF with Secure Boot, a TPM, two slots, RAUC.

    tests/image/test_update.py build/image [TEST...]

One box goes through all of it, in this order, with a lease that an application
holds from the first start to the last; it is started anew whenever it restarts
itself. What must be destroyed to be seen is done to copies of that box. Some by
name: after the first, which sets the box up, and those that they go on from.
"""

import os
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from lab import (MIB, ROOT, START_S, Box, Images, copy_sparse, flip,  # noqa: E402
                 make_stick, partition, place_in_erofs, put_on_esp)

from harness import (Agent, App, Failure, World, binary, expect,  # noqa: E402
                     run, run_test, terms, wait_for)

# Versions to go to: (level, what is the matter with it).
VERSIONS = {"0.2.0": (1, "newer"), "0.3.0": (1, "broken"),
            "0.4.0": (2, "newer")}

measured = {}


class Bundles:
    """Versions of the image by their number, made when they are wanted."""

    def __init__(self, images):
        self.images = images

    def path(self, version, *parts):
        return self.images.path("variants", version, *parts)

    def __getitem__(self, version):
        level, matter = VERSIONS[version]
        bundle = self.path(version, "update.raucb")
        newest = os.path.getmtime(self.images.path("root.erofs"))
        if not os.path.exists(bundle) or os.path.getmtime(bundle) < newest:
            more = {"": [], "broken": ["broken"],
                    "newer": ["newer", binary("tests/system/leaseholdd_newer")]}
            made = run(os.path.join(ROOT, "firmware", "variant-build"),
                       self.images.folder, self.path(version),
                       self.images.keys, version, str(level), *more[matter],
                       timeout=600)
            expect(made.status == 0, "variant %s: %s" % (version, made.err))
        return bundle


class Life:
    """A box that is turned on again whenever it went off by itself."""

    def __init__(self, box):
        self.box = box
        self.offs = 0

    def status(self):
        shown = self.box.cli("--json", "appliance", "status")
        return shown.json() if shown.status == 0 else None

    def on(self, timeout=START_S):
        """Its status, once it answers."""
        def look():
            if not self.box.runs():
                self.offs += self.box.qemu is not None
                self.box.cut()
                self.box.start()
            return self.status()
        return wait_for(look, "the box does not answer", timeout, 0.5)

    def until(self, what, words, timeout=2 * START_S):
        def look():
            status = self.on(timeout)
            return status if what(status) else None
        try:
            return wait_for(look, words, timeout, 0.5)
        except Failure as failure:
            raise Failure("%s: %s; console: %s" % (
                failure, self.status(), self.box.serial()[-600:])) from None

    def ended(self, version, phase):
        """The last update is the one to this version, and ended so."""
        return self.until(
            lambda s: s.get("last", {}).get("phase") == phase and
            s["last"].get("version", "") == version and
            (s.get("confirmed") or phase == "failed"),
            "%r is never %s" % (version, phase))["last"]

    def off(self):
        """It goes off by itself, and stays off."""
        wait_for(lambda: not self.box.runs(), "it does not restart",
                 2 * START_S, 0.5)
        self.box.cut()

    def rows(self, kind):
        done = self.box.cli("--json", "audit", "tail", "-n", "1000")
        expect(done.status == 0, done.err)
        return [line for line in done.out.splitlines()
                if '"%s"' % kind in line]

    def holds(self, lease):
        """The lease, and a journal that is whole."""
        held = self.box.leases()
        expect(any(one["lease"] == lease for one in held), held)
        done = self.box.cli("--json", "audit", "verify")
        expect(done.status == 0, done.err)


class Story(Life):
    def __init__(self, world, images):
        super().__init__(Box(world, images, "box"))
        self.world = world
        self.images = images
        self.bundles = Bundles(images)
        self.box.start()
        self.box.fetch_ca(self.box.read_console()["CA fingerprint"])
        self.box.wait_ready()
        # Longer than a restart under emulation.
        self.box.install(terms(5, 5, ttl_s=3600))
        self.agent = Agent(world)
        self.agent.start()
        self.agent.enroll(self.box)
        self.app = App(world, self.agent.socket)
        expect(self.app.wait(60), self.app.errors())
        self.lease = self.app.lease["lease"]
        self.later = None

    def has_all(self):
        """The lease that was granted first, its application, the journal."""
        self.holds(self.lease)
        expect(self.app.process.poll() is None, self.app.errors())

    def stick(self, *files):
        """A stick with these is in the box."""
        self.box.plug(make_stick(self.world.path("stick"), *files))

    def update_from_stick(self, version):
        self.stick(self.bundles[version])
        done = self.box.cli("appliance", "update", "--usb", "--no-wait")
        expect(done.status == 0, done.err)

    def small(self, name, version, level, keys):
        """A bundle that only differs from a real one in what it carries: a
        few megabytes of nothing that starts."""
        folder = self.world.path(name)
        os.mkdir(folder)
        for part, size in (("root.erofs", 4 * MIB), ("root.verity", MIB),
                           ("uki.efi", MIB)):
            with open(os.path.join(folder, part), "wb") as f:
                f.write(os.urandom(size))
        with open(os.path.join(folder, "level"), "w") as f:
            f.write("%d\n" % level)
        with open(os.path.join(folder, "image.json"), "w") as f:
            f.write('{"version":"%s","build_id":"test"}\n' % version)
        out = os.path.join(folder, "update.raucb")
        made = run(os.path.join(ROOT, "firmware", "bundle-build"), folder,
                   keys, out)
        expect(made.status == 0, made.err)
        return out

    def copy(self, name):
        """The same machine once more, while it is off: disk, firmware, TPM.
        What becomes of the copy, neither it nor its agent hears."""
        parts = {}
        os.makedirs(self.world.path(name + ".parts"))
        for part in ("disk", "firmware", "tpm"):
            parts[part] = self.world.path(name + ".parts", part)
            source = getattr(self.box, part)
            if os.path.isdir(source):
                shutil.copytree(source, parts[part])
            else:
                copy_sparse(source, parts[part])
        box = Box(self.world, self.images, name, **parts)
        box.key = self.box.key
        shutil.copy(self.box.ca, box.ca)
        return Life(box)


def corrupt(disk, slot, erofs):
    """One bit in the program that is process 1, of what a slot holds."""
    at, _ = partition(disk, "root-" + slot)
    flip(disk, at + place_in_erofs(erofs, "/usr/lib/systemd/systemd") + 100)


PANIC = r"Kernel panic - not syncing: dm-verity device corrupted"


def tests_of(world, images):
    story = []

    def the_first_start_is_confirmed_and_has_a_floor():
        story.append(Story(world, images))
        status = story[0].until(lambda s: s.get("confirmed"), "not confirmed")
        expect(status["slot"] == "A" and status.get("floor") == 1 and
               status.get("level") == 1 and not status["warnings"], status)

    def a_bundle_of_another_vendor_is_refused():
        s = story[0]
        keys = world.path("other-keys")
        made = run(os.path.join(ROOT, "firmware", "keys-make"), keys)
        expect(made.status == 0, made.err)
        forged = s.small("forged", "0.2.0", 1, keys)
        done = s.box.cli("appliance", "update", forged, timeout=900)
        expect(done.status == 1 and "not signed by the vendor" in done.err,
               (done.out, done.err))
        expect(s.status()["slot"] == "A", s.status())

    def an_altered_bundle_is_refused():
        """Its signature is good; what it carries was altered, and the digest
        that it is sent with fits."""
        s = story[0]
        altered = s.small("altered", "0.2.0", 1, images.keys)
        flip(altered, 2 * MIB)
        done = s.box.cli("appliance", "update", altered, timeout=900)
        expect(done.status == 1 and "could not be written" in done.err,
               (done.out, done.err))
        expect(s.status()["slot"] == "A", s.status())

    def a_version_below_the_floor_is_refused():
        s = story[0]
        old = s.small("old", "0.0.9", 0, images.keys)
        done = s.box.cli("appliance", "update", old, timeout=900)
        expect(done.status == 1 and "below 1 is refused" in done.err,
               (done.out, done.err))
        expect("below 1 is refused" in s.rows("update.failed")[-1],
               s.rows("update.failed"))

    def a_stick_has_to_name_what_is_meant():
        s = story[0]

        def asked():
            return s.box.cli("appliance", "update", "--usb", timeout=900)
        done = asked()
        expect(done.status == 1 and "no stick labelled" in done.err,
               (done.out, done.err))
        before = s.status()["last"]
        s.stick(world.path("old", "update.raucb"),
                world.path("old", "level"))
        done = asked()
        expect(done.status == 1 and "below 1 is refused" in done.err,
               (done.out, done.err))
        s.box.pull()
        two = world.path("two.raucb")
        shutil.copy(world.path("old", "update.raucb"), two)
        s.stick(world.path("old", "update.raucb"), two)
        done = asked()
        expect(done.status == 1 and "has to have one file" in done.err,
               (done.out, done.err))
        s.box.pull()
        expect(s.status()["last"]["update"] == before["update"] + 2,
               s.status())

    def power_cut_while_it_is_written_leaves_the_old_version():
        s = story[0]
        # A stick in the box is no reason to install anything.
        before = s.status()["last"]["update"]
        began = time.monotonic()
        s.update_from_stick("0.2.0")
        last = s.until(lambda st: st["last"]["phase"] == "installing" and
                       st["last"].get("percent", 0) >= 20,
                       "it is never written")["last"]
        measured["read from a stick and checked, s"] = round(
            time.monotonic() - began)
        expect(last["update"] == before + 1 and last.get("usb"), last)
        s.box.cut()
        last = s.ended("0.2.0", "failed")
        expect(s.status()["slot"] == "A", s.status())
        expect("restarted while it was written" in last["reason"], last)
        s.has_all()

    def an_update_keeps_data_and_leases():
        s = story[0]
        began = time.monotonic()
        done = s.box.cli("appliance", "update", s.bundles["0.2.0"],
                         "--no-wait", timeout=900)
        expect(done.status == 0, done.err)
        sent = time.monotonic()
        s.until(lambda st: st["last"]["phase"] in
                ("restarting", "trying", "done") or not s.box.runs(),
                "it is never written")
        written = time.monotonic()
        s.ended("0.2.0", "done")
        status = s.status()
        expect(status["slot"] == "B" and status["version"] == "0.2.0" and
               status.get("confirmed"), status)
        measured["bundle, MB"] = round(
            os.path.getsize(s.bundles["0.2.0"]) / 1e6)
        measured["update: sent, s"] = round(sent - began)
        measured["update: checked and written, s"] = round(written - sent)
        measured["update: until it was confirmed, s"] = round(
            time.monotonic() - began)
        s.has_all()
        expect(len(s.rows("update.finished")) == 1, "its row")
        # And again, after a cold start: by the firmware's own order. Slot A has
        # a version that does not know the format of this one's stores.
        s.box.cut()
        s.until(lambda st: st.get("confirmed"), "not confirmed")
        status = s.status()
        expect(status["slot"] == "B" and status["store_format"] == 1, status)
        s.has_all()
        # By the new version, for what comes next.
        s.later = App(world, s.agent.socket)
        expect(s.later.wait(60), s.later.errors())

    def a_confirmed_slot_that_breaks_gives_way_to_the_older_version():
        """Of a copy of the box, whose new version granted a seat."""
        s = story[0]
        s.box.cut()
        copy = s.copy("broken")
        corrupt(copy.box.disk, "b", s.bundles.path("0.2.0", "root.erofs"))
        copy.box.start()
        copy.box.says(PANIC)
        status = copy.until(lambda st: st.get("confirmed"), "not confirmed")
        # The start before may count: it was cut before the site was well.
        expect(copy.offs in (2, 3), "%d starts failed" % copy.offs)
        expect(status["slot"] == "A" and status["version"] == "0.1.0" and
               status["store_format"] == 1, status)
        expect(any("slot B with version 0.2.0 does not start" in one["text"]
                   for one in status["warnings"]), status)
        copy.holds(s.lease)
        copy.holds(s.later.lease["lease"])
        copy.box.cut()
        expect(s.on()["slot"] == "B", s.status())

    def a_daemon_that_is_not_well_falls_back():
        s = story[0]
        s.update_from_stick("0.3.0")
        last = s.ended("0.3.0", "fell_back")
        expect("not well" in last["reason"] and last["slot"] == "A", last)
        status = s.status()
        expect(status["slot"] == "B" and status["version"] == "0.2.0" and
               status.get("confirmed"), status)
        expect(len(s.rows("update.fell_back")) == 1, "its row")
        s.has_all()

    def a_corrupted_slot_falls_back():
        """0.4.0 is written and not started yet; of a copy of the box its slot
        is damaged."""
        s = story[0]
        s.update_from_stick("0.4.0")
        s.off()
        copy = s.copy("damaged")
        corrupt(copy.box.disk, "a", s.bundles.path("0.4.0", "root.erofs"))
        copy.box.start()
        copy.box.says(PANIC)
        last = copy.ended("0.4.0", "fell_back")
        status = copy.status()
        expect(status["slot"] == "B" and status["version"] == "0.2.0" and
               status.get("floor") == 1 and status.get("confirmed"), status)
        expect(last["slot"] == "A", last)
        copy.holds(s.lease)
        copy.box.cut()

    def the_floor_rises_only_with_what_is_confirmed():
        """The same 0.4.0, undamaged: up to here the floor was 1. From then on
        the other slot's version does not start, and stores may go on."""
        s = story[0]
        s.ended("0.4.0", "done")
        status = s.until(lambda st: st.get("floor") == 2, "the floor stays")
        expect(status["slot"] == "A" and status["version"] == "0.4.0", status)
        s.has_all()

    def an_old_image_that_was_signed_does_not_open_the_data():
        s = story[0]
        s.box.cut()
        # Slot B still holds it, signature and all: it is made the first.
        for name in ("Linux/leasehold-A.efi", "BOOT/BOOTX64.EFI"):
            put_on_esp(s.box.disk, s.bundles.path("0.2.0", "uki.efi"),
                       "::EFI/" + name)
        s.box.start()
        s.box.says("leasehold: slot b, version 0.2.0")
        s.box.says(r"REFUSED: an image that is too old")
        s.box.says(r"level is 1, and below 2 is refused")
        s.box.says(r"this box could not start")
        expect(s.status() is None, "it answers all the same")
        s.box.cut()
        put_on_esp(s.box.disk, s.bundles.path("0.4.0", "uki.efi"),
                   "::EFI/Linux/leasehold-A.efi")
        status = s.on()
        expect(status["version"] == "0.4.0" and
               status["store_format"] == 2, status)
        s.has_all()

    return [
        the_first_start_is_confirmed_and_has_a_floor,
        a_bundle_of_another_vendor_is_refused,
        an_altered_bundle_is_refused,
        a_version_below_the_floor_is_refused,
        a_stick_has_to_name_what_is_meant,
        power_cut_while_it_is_written_leaves_the_old_version,
        an_update_keeps_data_and_leases,
        a_confirmed_slot_that_breaks_gives_way_to_the_older_version,
        a_daemon_that_is_not_well_falls_back,
        a_corrupted_slot_falls_back,
        the_floor_rises_only_with_what_is_confirmed,
        an_old_image_that_was_signed_does_not_open_the_data,
    ]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    images = Images(os.path.abspath(sys.argv[1]))
    if sys.argv[2:] == ["--prepare"]:
        for version in VERSIONS:
            print(Bundles(images)[version])
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    with World() as world:
        # Each goes on where the last one ended: the first failure is the end.
        chosen = tests_of(world, images)
        chosen = [test for test in chosen if test is chosen[0] or
                  not sys.argv[2:] or test.__name__ in sys.argv[2:]]
        failed = any(run_test(test) for test in chosen)
        if failed:
            world.show_logs()
    measured["all tests of updates, s"] = round(time.monotonic() - began)
    for what, value in measured.items():
        print("measured: %s: %s" % (what, value))
    print("updates: %s" % ("failed" if failed else "all passed"))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
