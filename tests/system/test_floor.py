#!/usr/bin/python3
"""The version floor of the appliance: firmware's own script against a TPM."""

import os
import shutil
import sys

from harness import World, expect, main, run
from tpms import Tpm

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(HERE, "..", "..", "firmware", "root", "usr", "lib",
                      "leasehold", "floor")
INDEX = "0x01804c46"
KIND = "ownerread|authread|ownerwrite|no_da"


class Floor:
    """The script with this TPM, and a folder in place of /data/system."""

    def __init__(self, world):
        tpm = Tpm(world, "none")
        self.env = {"TPM2TOOLS_TCTI": tpm.tcti}
        self.folder = world.path("system")
        self.script = world.path("floor")
        os.mkdir(self.folder)
        with open(SCRIPT) as f:
            text = f.read()
        for old, new in (("=device:/dev/tpmrm0", "=" + tpm.tcti),
                         ("/data/system", self.folder)):
            expect(old in text, "the script has no " + old)
            text = text.replace(old, new)
        with open(self.script, "w") as out:
            out.write(text)

    def ask(self, *words):
        return run("sh", self.script, *words)

    def level(self):
        done = self.ask("read")
        expect(done.status == 0, done.err)
        return int(done.out)

    def tpm(self, *words):
        done = run(*words, env=self.env)
        expect(done.status == 0, done.err)


def a_floor_rises_and_never_falls():
    with World() as world:
        floor = Floor(world)
        expect(floor.ask("check", "9").status != 0, "there is none yet")
        expect(floor.ask("make", "2").status == 0, "not made")
        expect(floor.level() == 2, floor.level())
        expect(floor.ask("raise", "4").status == 0, "not raised")
        expect(floor.ask("raise", "3").status == 0, "no word")
        expect(floor.level() == 4, floor.level())
        old = floor.ask("check", "3")
        expect(old.status != 0 and "below 4 is refused" in old.err, old.err)
        expect(floor.ask("check", "4").status == 0, "refused")
        # A number that is a mistake would close the box for ever.
        expect(floor.ask("raise", "100000").status != 0, "raised")
        expect(floor.level() == 4, floor.level())


def a_counter_that_is_gone_or_anew_lets_nothing_older_in():
    with World() as world:
        floor = Floor(world)
        floor.ask("make", "1")
        floor.ask("raise", "3")
        floor.tpm("tpm2_nvundefine", "-C", "o", INDEX)
        expect(floor.ask("check", "9").status != 0, "it is not there")
        floor.tpm("tpm2_nvdefine", "-C", "o", "-s", "8", "-a",
                  KIND + "|nt=counter", INDEX)
        floor.tpm("tpm2_nvincrement", "-C", "o", INDEX)
        expect(floor.level() > 3, floor.level())
        expect(floor.ask("check", "3").status != 0, "let in")


def an_index_of_another_kind_is_found_out():
    with World() as world:
        floor = Floor(world)
        floor.ask("make", "1")
        floor.ask("raise", "3")
        floor.tpm("tpm2_nvundefine", "-C", "o", INDEX)
        floor.tpm("tpm2_nvdefine", "-C", "o", "-s", "8", "-a", KIND, INDEX)
        path = world.path("value")
        with open(path, "wb") as out:
            out.write((1).to_bytes(8, "big"))
        floor.tpm("tpm2_nvwrite", "-C", "o", INDEX, "-i", path)
        for level in ("1", "3", "9"):
            done = floor.ask("check", level)
            expect(done.status != 0 and "not the one of this box" in done.err,
                   done.err)


def what_data_remembers_is_whole_or_refused():
    with World() as world:
        floor = Floor(world)
        floor.ask("make", "1")
        kept = os.path.join(floor.folder, "floor")
        shutil.copy(kept, kept + ".good")
        for text in ("", "x", "1", "1 1", "999999 1 000b00"):
            with open(kept, "w") as out:
                out.write(text)
            expect(floor.ask("check", "9").status != 0, repr(text))
        os.rename(kept + ".good", kept)
        expect(floor.level() == 1, floor.level())


if __name__ == "__main__":
    sys.exit(main([
        a_floor_rises_and_never_falls,
        a_counter_that_is_gone_or_anew_lets_nothing_older_in,
        an_index_of_another_kind_is_found_out,
        what_data_remembers_is_whole_or_refused,
    ]))
