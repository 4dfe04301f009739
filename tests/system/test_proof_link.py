#!/usr/bin/python3
"""Who checks proofs needs no TPM: nothing of tss2 in the objects that verify,
in the library that applications link, nor in the programs that people use."""

import os
import re
import subprocess
import sys

BUILD = os.environ["LEASEHOLD_BUILD"]
VERIFIERS = ["proof", "verify", "template", "p256", "endorse", "challenge",
             "trust", "certificate"]
DEVICE = ["tpm_link", "tpm_keys", "tpm_counter"]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout


def of_tss2(path):
    """Symbols of tss2 that an object leaves open."""
    return [line.split()[-1] for line in run("nm", "-u", path).splitlines()
            if line.split()[-1].startswith(("Esys_", "Tss2_"))]


def object_of(name):
    return os.path.join(BUILD, "shared", "proof", name + ".o")


def what_verifies_asks_for_no_tss2():
    for name in VERIFIERS:
        found = of_tss2(object_of(name))
        assert not found, "%s.o wants %s" % (name, ", ".join(found))


def what_has_a_tpm_asks_for_it():
    """So that the test above can fail."""
    for name in DEVICE:
        assert of_tss2(object_of(name)), name


def libraries(name):
    return [line for line in run("readelf", "-d", os.path.join(BUILD, name))
            .splitlines() if "NEEDED" in line]


def library_and_cli_load_no_tss2():
    for name in ("libleasehold.so.1", "leasehold", "leasehold-vendor"):
        needed = libraries(name)
        assert needed, name
        assert not any("tss2" in line for line in needed), needed


def library_needs_what_pkg_config_says():
    """And that is all that an application has to bring."""
    needed = set(re.findall(r"\[lib(\w+)\.so", " ".join(
        libraries("libleasehold.so.1"))))
    with open(os.path.join(BUILD, "leasehold.pc"), encoding="utf-8") as f:
        private = re.search(r"^Libs\.private: (.*)$", f.read(), re.M).group(1)
    told = {word[2:] for word in private.split() if word.startswith("-l")}
    # Whoever builds with a sanitizer brings that himself.
    needed -= {"c", "asan", "tsan", "ubsan"}
    assert needed == told, (needed, told)


def agent_loads_no_more_of_tss2_than_it_uses():
    needed = libraries("leasehold-agent")
    assert any("tss2-esys" in line for line in needed), needed
    # It looks for modules by name at run time.
    assert not any("tctildr" in line for line in needed), needed


TESTS = [
    what_verifies_asks_for_no_tss2,
    what_has_a_tpm_asks_for_it,
    library_and_cli_load_no_tss2,
    library_needs_what_pkg_config_says,
    agent_loads_no_more_of_tss2_than_it_uses,
]


def main():
    failed = 0
    for test in TESTS:
        try:
            test()
            print("ok %s" % test.__name__)
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            print("not ok %s: %s" % (test.__name__, error))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
