#!/usr/bin/python3
"""Root's runner of updates on an appliance: firmware's own script, with what it
calls on a box played by scripts. What the daemon asks for is a stranger's word."""

import json
import os
import signal
import subprocess
import sys

from harness import World, expect, main, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, "..", "..", "firmware", "root", "usr", "lib",
                       "leasehold")
GOOD = "signed by the vendor"
RAUC = """
case $1 in
info)
	grep -q '%s' "$3" || { echo "no signature" >&2; exit 1; }
	echo "RAUC_MF_VERSION='2.0'"
	echo "RAUC_MF_BUILD='abc level 5'"
	;;
install)
	echo "  50%% half of it"
	[ ! -e "$SLOW" ] || sleep 60
	echo "Installing succeeded"
	;;
esac
""" % GOOD


class Runner:
    def __init__(self, world):
        self.world = world
        self.folders = {name: world.path(name)
                        for name in ("update", "run", "system", "lib", "bin")}
        for path in self.folders.values():
            os.mkdir(path)
        self.at = self.folders["update"]
        for name in ("in", "out", "work"):
            os.mkdir(os.path.join(self.at, name))
        os.makedirs(os.path.join(self.folders["run"], "appliance"))
        self.write("run", "appliance/image.json", '{"slot":"a"}\n')
        for name, text in (("level", "5\n"), ("version", "1.0\n"),
                           ("build_id", "old\n")):
            self.write("lib", name, text)
        for name in ("update", "update-common"):
            with open(os.path.join(SCRIPTS, name)) as f:
                text = f.read()
            for old, new in (("/usr/lib/leasehold", "lib"),
                             ("/data/update", "update"),
                             ("/data/system", "system"),
                             ("/run/leasehold", "run")):
                text = text.replace(old, self.folders[new])
            self.write("lib", name, text)
        self.program("lib", "floor", "echo 1\n")
        self.program("lib", "say", "cat >/dev/null </dev/null\n")
        self.program("bin", "rauc", RAUC)
        # A box that restarts ends what runs.
        self.program("bin", "systemctl", "echo \"$@\" >>'%s'\n"
                     "kill -TERM $PPID\n" % world.path("systemctl"))
        self.env = dict(os.environ, SLOW=world.path("slow"),
                        PATH=self.folders["bin"] + ":" + os.environ["PATH"])

    def write(self, folder, name, text):
        with open(os.path.join(self.folders[folder], name), "w") as out:
            out.write(text)

    def program(self, folder, name, text):
        self.write(folder, name, "#!/bin/sh\n" + text)
        os.chmod(os.path.join(self.folders[folder], name), 0o755)

    def ask(self, number, bundle=GOOD):
        self.write("update", "in/bundle", bundle)
        self.write("update", "in/request.json",
                   json.dumps({"update": number, "digest": "00"},
                              separators=(",", ":")))

    def begin(self):
        return subprocess.Popen(
            ["/bin/sh", os.path.join(self.folders["lib"], "update")],
            env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True)

    def run(self):
        process = self.begin()
        _, err = process.communicate(timeout=60)
        expect(not os.path.exists(os.path.join(self.at, "in",
                                               "request.json")),
               "it is asked for still: " + err)
        return err

    def told(self):
        path = os.path.join(self.at, "out", "state.json")
        try:
            with open(path) as f:
                return json.load(f)
        except FileNotFoundError:
            return {"phase": ""}

    def restarts(self):
        try:
            with open(self.world.path("systemctl")) as f:
                return f.read().count("reboot")
        except FileNotFoundError:
            return 0


def what_is_asked_for_is_installed_once():
    with World() as world:
        runner = Runner(world)
        runner.ask(3)
        err = runner.run()
        told = runner.told()
        expect(told["phase"] == "restarting" and told["update"] == 3 and
               told["version"] == "2.0" and told["slot"] == "B", (told, err))
        expect(runner.restarts() == 1, "not started")
        runner.ask(3)
        runner.run()
        expect(runner.restarts() == 1, "installed twice")


def a_number_that_a_daemon_made_up_shuts_nothing_out():
    with World() as world:
        runner = Runner(world)
        runner.ask(999999999999999, bundle="nobody's")
        runner.run()
        told = runner.told()
        expect(told["phase"] == "failed" and "not signed" in told["reason"],
               told)
        runner.ask(4)
        err = runner.run()
        expect(runner.told()["phase"] == "restarting", (runner.told(), err))


def what_is_no_number_is_no_request():
    with World() as world:
        runner = Runner(world)
        for number in (0, -1, "7", 10 ** 15, [1], None):
            runner.ask(number)
            runner.run()
            expect(runner.told()["phase"] == "", (number, runner.told()))
        runner.write("update", "in/request.json", '{"update":007}')
        runner.run()
        expect(runner.told()["phase"] == "", runner.told())


def one_that_is_ended_says_so():
    """As by a service manager when its time is over."""
    with World() as world:
        runner = Runner(world)
        with open(world.path("slow"), "w"):
            pass
        runner.ask(3)
        process = runner.begin()
        try:
            wait_for(lambda: runner.told().get("percent") == 50,
                     "not begun", 20)
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=30)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        told = runner.told()
        expect(told["phase"] == "failed" and "too long" in told["reason"],
               told)
        os.unlink(world.path("slow"))
        runner.ask(4)
        runner.run()
        expect(runner.told()["phase"] == "restarting", runner.told())


def what_lies_where_a_bundle_belongs_is_not_followed():
    with World() as world:
        runner = Runner(world)
        secret = world.path("secret")
        with open(secret, "w") as out:
            out.write(GOOD)
        runner.ask(3)
        bundle = os.path.join(runner.at, "in", "bundle")
        os.unlink(bundle)
        os.symlink(secret, bundle)
        runner.run()
        expect(runner.told()["phase"] == "failed", runner.told())
        expect(os.path.exists(secret), "removed")
        expect(not os.listdir(os.path.join(runner.at, "work")) or
               "bundle.raucb" not in os.listdir(
                   os.path.join(runner.at, "work")), "kept")


if __name__ == "__main__":
    sys.exit(main([
        what_is_asked_for_is_installed_once,
        a_number_that_a_daemon_made_up_shuts_nothing_out,
        what_is_no_number_is_no_request,
        one_that_is_ended_says_so,
        what_lies_where_a_bundle_belongs_is_not_followed,
    ]))
