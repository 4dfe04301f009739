"""What runs in a box, asked from inside; and a box that hangs."""

import os
import re
import time

from lab import Box
from wire import ACK, RST, SYN, V4, V6, Wire

from harness import World, expect, wait_for
from plant import plant


def a_box_with_a_window_starts():
    """The same image with a unit more, for who asks from inside."""
    plant.world = plant.world or World()
    plant.glass = Box(plant.world, plant.images.glass(), "glass")
    plant.others.append(plant.glass)
    plant.glass.start()
    plant.glass.fetch_ca(plant.glass.read_console()["CA fingerprint"])
    plant.glass.wait_ready()
    # Until the start is over, what it starts is still coming and going.
    wait_for(lambda: not plant.glass.inside(
        "systemctl list-jobs --no-legend").out.strip(),
        "the start does not end", 1200, 1)
    failed = plant.glass.inside("systemctl --failed --no-legend --plain")
    expect(not failed.out.strip(), failed.out)


# systemd-networkd asks for addresses; the firewall lets answers in alone.
DHCP = {("udp", "68"), ("udp", "546")}


def no_process_listens_but_the_daemon():
    heard = plant.glass.inside("ss -H -l -n -p -t -u -w")
    expect(heard.status == 0, heard.out)
    services = []
    for line in heard.lines:
        words = line.split()
        who = re.search(r'users:\(\("([^"]+)"', line)
        kind, port = words[0], words[4].rsplit(":", 1)[1]
        if who and who.group(1) == "systemd-network":
            expect((kind, port) in DHCP or words[4].endswith(":ipv6-icmp") or
                   words[4].endswith(":58"), line)
            continue
        expect(kind == "tcp" and port == "7443", line)
        services.append(line)
    expect(services, heard.out)
    owner = plant.glass.inside("ss -H -l -n -p -t sport = 7443")
    pids = set(re.findall(r"pid=(\d+)", owner.out))
    expect(pids, owner.out)
    for pid in pids:
        shown = plant.glass.inside("readlink /proc/%s/exe" % pid)
        expect(shown.out.strip() == "/usr/sbin/leaseholdd", shown.out)


RUNS = {
    "systemd", "systemd-journald", "systemd-udevd", "systemd-networkd",
    "dbus-daemon", "leaseholdd", "leasehold-console", "rauc",
}


def nothing_runs_but_what_is_known():
    """Kernel threads have no program."""
    shown = plant.glass.inside(
        "for at in /proc/[0-9]*; do program=$(readlink $at/exe) && "
        "[ ${at#/proc/} != $$ ] && echo $program $(tr '\\0' ' ' "
        "<$at/cmdline); done")
    found = {}
    for line in shown.lines:
        program, *words = line.split()
        found.setdefault(os.path.basename(program), []).append(words)
    # udevd is udevadm by another name; dash is the window itself.
    found.pop("dash", None)
    found.pop("readlink", None)
    expect("udevadm" not in found or
           all("udevd" in words[0] for words in found["udevadm"]), found)
    found.pop("udevadm", None)
    expect("leaseholdd" in found and "systemd" in found, found)
    expect(set(found) <= RUNS, set(found) - RUNS)
    locked = plant.glass.inside("cat /sys/kernel/security/lockdown")
    expect("[confidentiality]" in locked.out, locked.out)


def nothing_that_was_made_since_is_open_to_all():
    """As of the root's files, of all that a running box has made; and what
    can be written there cannot be run, but as the kernel's devices."""
    shown = plant.glass.inside(
        "$busybox find / \\( -path /proc -o -path /sys \\) -prune -o "
        "\\( -type f -o -type d \\) \\( -perm -4000 -o -perm -2000 -type f "
        "-o -perm -2 ! -perm -1000 \\) -print", timeout=300)
    expect(shown.status == 0, shown.out)
    expect(not shown.out.strip(), shown.out)
    for line in plant.glass.inside("cat /proc/self/mounts").lines:
        _, place, kind, options = line.split()[:4]
        options = options.split(",")
        if place in ("/", "/dev", "/dev/shm", "/dev/pts", "/run"):
            expect(place != "/" or "ro" in options, line)
            continue
        if kind in ("tmpfs", "ext4", "vfat", "ramfs") and "rw" in options:
            expect({"nosuid", "nodev", "noexec"} <= set(options), line)


def time_of(box):
    return box.inside("systemctl is-active systemd-timesyncd").out.strip()


def no_network_time_unless_a_file_asks_for_it():
    """An air-gapped box has none, and asks for none."""
    box = plant.glass
    expect(time_of(box) == "inactive", time_of(box))
    wire = Wire(box)
    try:
        wire.plug()
        expect(time_of(box) == "inactive", "an address turned it on")
        expect(wire.asked_time == 0, "asked unasked")
        box.inside("echo 192.0.2.1 >/data/etc/ntp")
        wire.until(lambda: wire.asked_time, "nobody asks for the time")

        def synchronized():
            wire.hear()
            return box.inside("ls /run/systemd/timesync/synchronized").status \
                == 0
        wait_for(synchronized, "the time is not taken", 180, 1)
        box.inside("rm /data/etc/ntp")
        wait_for(lambda: time_of(box) == "inactive", "it goes on", 180, 1)
    finally:
        wire.close()


def without_its_firewall_a_scan_hears_of_shut_ports():
    """That a scan hears nothing says something."""
    box = plant.glass
    wire = Wire(box)
    try:
        wire.plug()
        expect(box.inside("nft flush ruleset").status == 0, "nft")
        for ip in (V4, V6):
            found = wire.scan(ip, "TCP", range(7440, 7446))
            expect(found.pop(("TCP", 7443), 0) == SYN | ACK and found and
                   set(found.values()) == {RST | ACK}, (ip.name, found))
            found = wire.scan(ip, "UDP", range(7440, 7446))
            expect("refused" in {kind for kind, _ in found},
                   (ip.name, found))
    finally:
        wire.close()
        box.inside("nft -f /usr/lib/leasehold/firewall.nft")


def a_frozen_daemon_is_started_again():
    """It does not answer its watchdog: systemd ends and starts it."""
    box = plant.glass
    main = "systemctl show --property=MainPID --value leaseholdd"
    before = box.inside(main).out.strip()
    expect(before.isdigit() and before != "0", before)
    began = time.monotonic()
    box.inside("kill -STOP " + before)
    wait_for(lambda: box.inside(main).out.strip() not in (before, "0"),
             "it stays frozen", 400, 1)
    box.wait_ready()
    plant.measured["frozen daemon to its service, s"] = round(
        time.monotonic() - began)


def hang(box, chip):
    """Process 1 stops, and with it what feeds the watchdog."""
    identity = box.inside("cat /sys/class/watchdog/watchdog0/identity")
    expect(identity.out.strip() == chip, identity.out)
    fed = box.inside("cat /sys/class/watchdog/watchdog0/state")
    expect(fed.out.strip() == "active", fed.out)
    began = time.monotonic()
    box.inside("(sleep 1; kill -SEGV 1) >/dev/null 2>&1 &")
    wait_for(lambda: not box.runs(), "it hangs and stays", 600, 0.2)
    plant.measured["hang to reset, %s, s" % chip] = round(
        time.monotonic() - began)
    text = box.serial()
    box.cut()
    expect("systemd-shutdown" not in text, text[-600:])


def a_hung_box_is_reset_by_its_watchdog():
    hang(plant.glass, "i6300ESB timer")


def without_a_chip_the_kernel_s_watchdog_does():
    """And what hung starts again with its data."""
    plant.glass.start(chip=False)
    plant.glass.wait_ready()
    hang(plant.glass, "Software Watchdog")


INSIDE = [
    a_box_with_a_window_starts, no_process_listens_but_the_daemon,
    nothing_runs_but_what_is_known,
    nothing_that_was_made_since_is_open_to_all,
    no_network_time_unless_a_file_asks_for_it,
    without_its_firewall_a_scan_hears_of_shut_ports,
    a_frozen_daemon_is_started_again, a_hung_box_is_reset_by_its_watchdog,
    without_a_chip_the_kernel_s_watchdog_does,
]
