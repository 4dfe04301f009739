#!/usr/bin/python3
"""Attacks with clocks on a borrowed seat: the workstation's wall clock, the
TPM's own, its resets, and a virtual TPM that is put back with its disk."""

import json
import struct
import sys
import time

from attack import (SLOW, Failure, OwnAgent, Place, World, believed, binary, expect,
                    gains, main, refused, run, site_of, tpm_config)
from harness import for_plain_programs  # its folder is attack's to find

HOUR = 3600
RESET_S = 2 ** 22 / 1000
DAY_MS = 86400 * 1000


class Shim:
    """Another time for a process: clock_shim.c."""

    def __init__(self, world, name):
        self.path = world.path(name + ".clock")
        self.env = {"LD_PRELOAD": binary("tests/system/clock_shim.so"),
                    "CLOCK_SHIM": self.path}
        with open(self.path, "wb") as f:
            f.write(bytes(16))

    def set(self, wall_ms=0, steady_ms=0):
        with open(self.path, "r+b") as f:
            f.write(struct.pack("=qq", wall_ms, steady_ms))


class Borrowed:
    """A place with a borrowed seat and an agent of the attacker's own."""

    def __init__(self, world, kind="hardware", length_s=HOUR):
        self.world = world
        self.site = site_of(world, commit=1, overage=0, borrow=("tpm", "vtpm"),
                            config=tpm_config(world))
        self.place = Place(world, self.site, "place", kind)
        self.machine, self.tpm = self.place.machine, self.place.tpm
        self.line = self.place.line()
        self.length_s = length_s
        self.shim = Shim(world, "app")
        self.names = 0

    def borrow(self):
        self.machine.borrow(self.line, self.length_s)
        self.evidence = self.machine.evidence(self.line)[-1]
        self.began = time.monotonic()
        self.agent = OwnAgent(self.world, self.evidence,
                              self.world.path("license-1.lic"), self.machine,
                              "own%d" % self.names)

    def app(self):
        """(application or None, words); with the other time."""
        self.names += 1
        return believed(self.world, self.agent.socket, "app%d" % self.names,
                        extra=["--watch"], env=self.shim.env)

    def runs(self):
        app, words = self.app()
        expect(app is not None, words)
        return app

    def expect_refused(self, *words):
        app, said = self.app()
        expect(app is None, "believed")
        expect(any(word in said for word in words), said)


def left_s(app):
    """What it says that is left of its seat."""
    while True:
        said = json.loads(app.process.stdout.readline() or "{}")
        if said.get("event") == "valid":
            return said["left_ms"] / 1000 if said["valid"] else 0
        expect(said, "it has ended: " + app.errors())


def ended_after(app, most_s):
    """Seconds until it is not valid any more."""
    began = time.monotonic()
    while time.monotonic() - began < most_s:
        line = app.process.stdout.readline()
        if not line or not json.loads(line).get("valid"):
            return time.monotonic() - began
    raise Failure("it still runs after %d s" % most_s)


def a_wall_clock_set_back_gives_no_time():
    """Has: a workstation of his own, with a borrowed seat.
    Tries: to set its wall clock back: before he first uses the seat, while an
    application runs on it, and when it is over.
    Gets: nothing: the ticket counts the TPM's powered-on time; a clock that
    stands more than an hour before the borrow is refused outright.
    """
    with World() as world:
        there = Borrowed(world, length_s=7 * SLOW)
        there.borrow()
        there.shim.set(wall_ms=-DAY_MS)
        there.expect_refused("clock stands before")
        there.shim.set(wall_ms=-50 * 60 * 1000)
        before = there.runs()  # within what clocks may differ
        there.shim.set()
        app = there.runs()
        expect(left_s(app) <= there.length_s, "more than was borrowed")
        there.shim.set(wall_ms=-50 * 60 * 1000)
        for each in (app, before):
            ended_after(each, there.length_s + 3)
        used = time.monotonic() - there.began
        expect(used <= there.length_s + 2 * SLOW, "it ran for %.1f s" % used)
        time.sleep(max(0, there.began + there.length_s - time.monotonic()))
        there.expect_refused("are over")
        there.shim.set()
        there.expect_refused("are over")
        return gains("0 s: all had ended %.1f s after a borrow of %d s "
                     "(looked at each second)", used, there.length_s)


def each_reset_costs_time():
    """Has: a workstation with a TPM, and a seat borrowed for three hours.
    Tries: to cut the power again and again, so that the TPM's clock loses what
    it had not saved; and to leave it off for a while.
    Gets: less: each reset is charged with the longest time that it can hide.
    While the power is off no time passes, and none is used.
    """
    with World() as world:
        there = Borrowed(world, length_s=3 * HOUR)
        there.borrow()
        app = there.runs()
        whole = left_s(app)
        app.stop()
        left = []
        for resets in (1, 2):
            there.tpm.restart()
            app = there.runs()
            left.append(left_s(app))
            app.stop()
        # No more than an hour is given at once.
        expect(whole <= HOUR and left[0] <= HOUR, "%s %s" % (whole, left))
        expect(abs(left[1] - (3 * HOUR - 2 * RESET_S)) < 60, left)
        now = read_clock(there.tpm)
        there.tpm.kill()
        time.sleep(2)
        there.tpm.start()
        expect(read_clock(there.tpm) - now < 1500, "time went on without power")
        there.expect_refused("are over")
        return gains("0 s: each power cut costs him %d minutes of the borrow",
                     round(RESET_S / 60))


def read_clock(tpm):
    done = run("tpm2_readclock", env={"TPM2TOOLS_TCTI": tpm.tcti})
    expect(done.status == 0, done.err)
    for line in done.out.splitlines():
        if line.strip().startswith("clock:"):
            return int(line.split(":")[1])
    raise Failure("no clock: " + done.out)


def a_tpm_does_not_go_back():
    """Has: the machine with the owner's and the lockout's rights on its TPM,
    and a borrowed seat.
    Tries: to set the TPM's clock back; to clear the TPM, which puts its clock
    and its resets to zero, and to go on with the ticket.
    Gets: nothing: a TPM sets its clock forward only, and clearing it ends the
    key that the ticket names.
    """
    with World() as world:
        there = Borrowed(world)
        there.borrow()
        there.runs().stop()
        env = {"TPM2TOOLS_TCTI": there.tpm.tcti, "TSS2_LOG": "all+none"}
        now = read_clock(there.tpm)
        done = run("tpm2_setclock", str(max(now - 1000, 1)), env=env)
        expect(done.status != 0, "its clock was set back")
        done = run("tpm2_setclock", str(now + 60000), env=env)
        expect(done.status == 0, done.err)  # forward works: less is left
        there.runs().stop()
        done = run("tpm2_clear", env=env)
        expect(done.status == 0, done.err)
        expect(read_clock(there.tpm) < now, "clearing kept the clock")
        done = run(binary("tests/system/attack_tool"), "proof",
                   "purpose=borrow", "device=%d" % there.machine.device,
                   "digest=" + "A" * 43, *["%s=%s" % item for item in
                                           there.machine.where.items()])
        expect(done.status != 0, "it proves after it was cleared")


def a_slowed_tpm_clock_gains_a_little():
    """Has: the machine with the owner's rights on its TPM.
    Tries: to adjust the rate of the TPM's clock as slow as it goes
    (TPM2_ClockRateAdjust), and to borrow.
    Gets: the time that a TPM may be wrong by: the wall clock's window ends the
    ticket all the same, unless he sets that back too.
    """
    with World() as world:
        there = Borrowed(world)
        env = {"TPM2TOOLS_TCTI": there.tpm.tcti, "TSS2_LOG": "all+none"}

        def rate(seconds=3):
            first, began = read_clock(there.tpm), time.monotonic()
            time.sleep(seconds)
            return (read_clock(there.tpm) - first) / 1000 / (
                time.monotonic() - began)

        honest = rate()
        expect(0.9 < honest < 1.1, "%.2f" % honest)
        for _ in range(20):
            done = run("tpm2_clockrateadjust", "sss", env=env)
            expect(done.status == 0, done.err)
        slow = rate()
        expect(0.5 < slow <= 1.05, "%.2f" % slow)
        return gains("%d %% of the borrow's length on this TPM (swtpm); a "
                     "maker says of his own how far it goes, at most 33 %% "
                     "by the specification", round(100 * (1 / slow - 1)))


def a_virtual_tpm_put_back_with_its_disk_goes_on():
    """Has: the hypervisor of a virtual machine with a virtual TPM, of a
    license that lends to such, and a snapshot of both from just after a borrow.
    Tries: to give the seat back early and to put the snapshot back; and to put
    it back whenever the borrow is over, with the wall clock.
    Gets: the seat as often as he likes, offline: that is why only hardware may
    borrow unless the vendor says otherwise. The site lends him nothing more:
    the number that he proves was passed.
    """
    with World() as world:
        there = Borrowed(world, "virtual", length_s=2 * HOUR)
        there.borrow()
        there.tpm.snapshot()
        expect(there.machine.give_back(there.line)["ended"] == 1, "returned")
        expect(not there.site.leases(), there.site.leases())
        there.expect_refused("given back")  # the honest way
        left = []
        for _ in range(3):
            there.tpm.restore()
            there.shim.set(wall_ms=-int(1000 * (time.monotonic() -
                                                there.began)))
            app = there.runs()
            left.append(left_s(app))
            app.stop()
        expect(max(left) - min(left) < 60, left)
        line = there.place.line()
        words = refused("bad_proof", there.machine.borrow, line)
        expect("it has proved 2" in words, words)
        return gains("%d minutes of a borrow of 120, after its seat was given "
                     "back, and again each time the snapshot is put back (%d "
                     "times here; each start is charged %d minutes); class "
                     "vtpm alone", round(left[0] / 60), len(left),
                     round(RESET_S / 60))


def shimmed(test):
    """Another clock does not fit below a sanitizer's runtime, which reads the
    time before any library is set up."""
    if not for_plain_programs():
        return test

    def skipped():
        return "a process cannot have another clock under a sanitizer"
    skipped.__name__, skipped.__doc__ = test.__name__, test.__doc__
    return skipped


if __name__ == "__main__":
    sys.exit(main([], together=[
        shimmed(a_wall_clock_set_back_gives_no_time),
        shimmed(each_reset_costs_time),
        shimmed(a_tpm_does_not_go_back),
        a_slowed_tpm_clock_gains_a_little,
        shimmed(a_virtual_tpm_put_back_with_its_disk_goes_on),
    ]))
