#!/usr/bin/python3
"""The library as a customer's build sees it: what it shows, what it needs,
and that programs can be made with it, shared, static and in C++."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(__file__))
from harness import BUILD, ROOT, SLOW, binary, expect, main  # noqa: E402

HEADER = os.path.join(ROOT, "agent", "lib", "leasehold.h")
MODE = os.path.basename(BUILD)
SANITIZED = {"asan": ["-fsanitize=address,undefined"],
             "tsan": ["-fsanitize=thread"]}.get(MODE, [])

PROGRAM = """
#include <leasehold.h>
#include <stdio.h>

int
main(void)
{
	struct lh_options options = { .size = sizeof(options),
		.vendor_key = KEY, .socket_path = "/nonexistent/agent.sock",
		.state_folder = "" };
	struct lh_client *client;
	struct lh_seat *seat;
	int error = lh_client_new(&client, &options);

	if (error != LH_OK)
		return 1;
	error = lh_checkout(&seat, client, "tool", "8.1.0", NULL, NULL, 0);
	printf("%s %d %s\\n", lh_version(), error, lh_strerror(error));
	lh_client_free(client);
	options.vendor_key = "k4.public.short";
	return lh_client_new(&client, &options) == LH_E_ARGUMENT ? 0 : 2;
}
"""
# RFC 8032, test 1.
KEY = "k4.public.11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


def output(*args, **kwargs):
    done = subprocess.run(args, stdout=subprocess.PIPE, timeout=60 * SLOW,
                          stderr=subprocess.PIPE, text=True, **kwargs)
    expect(done.returncode == 0,
           "%s: %s" % (" ".join(args[:3]), done.stderr[-600:]))
    return done.stdout


def promised():
    """The functions that the header declares."""
    with open(HEADER) as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    found = re.findall(r"^LH_API\b[^;]*?\b(lh_\w+)\(", text, flags=re.M)
    expect(len(found) >= 10, "the header was not understood: %s" % found)
    return sorted(found)


def the_shared_library_shows_the_header_and_no_more():
    names = []
    for line in output("nm", "-D", "--defined-only",
                       binary("libleasehold.so.1")).splitlines():
        kind, name = line.split()[-2:]
        if kind == "A":  # the version itself
            expect(name == "LEASEHOLD_0.1", line)
            continue
        expect(kind == "T", "not a function: " + line)
        name, _, version = name.partition("@@")
        expect(version == "LEASEHOLD_0.1", "without a version: " + line)
        names.append(name)
    expect(sorted(names) == promised(), "%s" % names)


def the_static_library_shows_the_header_and_no_more():
    names = []
    for line in output("nm", "-g", "--defined-only",
                       binary("libleasehold.a")).splitlines():
        fields = line.split()
        if len(fields) == 3 and not fields[2].startswith("__odr_asan"):
            names.append(fields[2])
    expect(sorted(names) == promised(), "%s" % sorted(names))


def the_library_needs_libsodium_and_libcrypto_alone():
    dynamic = output("readelf", "-dW", binary("libleasehold.so.1"))
    needed = re.findall(r"NEEDED.*\[(.*)\]", dynamic)
    allowed = ("libsodium.so", "libcrypto.so", "libc.so", "ld-linux", "libpthread.so")
    if SANITIZED:
        allowed += ("libasan.so", "libubsan.so", "libtsan.so", "libgcc_s.so",
                    "libm.so", "librt.so", "libdl.so")
    for name in needed:
        expect(name.startswith(allowed), "it needs " + name)
    for name in ("libsodium", "libcrypto"):
        expect(any(n.startswith(name) for n in needed), needed)
    expect("soname: [libleasehold.so.1]" in dynamic, "another soname")
    if not SANITIZED:
        expect("BIND_NOW" in dynamic or "NOW" in dynamic, "not bound early")
        expect("TEXTREL" not in dynamic, "text is relocated")


class Prefix:
    """What `make install` would put under a prefix, for the library."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="leasehold-lib-")
        for folder in ("include", "lib/pkgconfig"):
            os.makedirs(os.path.join(self.path, folder))
        for header in (HEADER, HEADER + "pp"):
            shutil.copy(header, os.path.join(self.path, "include"))
        lib = os.path.join(self.path, "lib")
        for name in ("libleasehold.so.1", "libleasehold.a"):
            shutil.copy(binary(name), lib)
        os.symlink("libleasehold.so.1", os.path.join(lib, "libleasehold.so"))
        shutil.copy(binary("leasehold.pc"), os.path.join(lib, "pkgconfig"))
        self.source = os.path.join(self.path, "program.c")
        with open(self.source, "w") as f:
            f.write(PROGRAM.replace("KEY", '"%s"' % KEY))
        self.lib = lib
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.path)

    def flags(self, *which):
        env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(
            self.lib, "pkgconfig"))
        return output("pkg-config", "--define-variable=prefix=" + self.path,
                      *which, "leasehold", env=env).split()

    def build(self, *flags):
        program = os.path.join(self.path, "program")
        output("gcc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
               *SANITIZED, "-o", program, self.source, *flags)
        return program

    def check(self, program):
        env = dict(os.environ, LD_LIBRARY_PATH=self.lib, LD_BIND_NOW="1")
        said = output(program, env=env)
        version = self.flags("--modversion")[0]
        expect(said == version + " -3 no agent answers\n", said)


def a_program_is_made_with_the_shared_library():
    with Prefix() as prefix:
        program = prefix.build(*prefix.flags("--cflags", "--libs"))
        needed = output("readelf", "-d", program)
        expect("libleasehold.so.1" in needed, "linked with something else")
        # The library's own needs are not the program's.
        expect("libsodium" not in needed or SANITIZED, needed)
        prefix.check(program)


def a_program_is_made_with_the_static_library():
    with Prefix() as prefix:
        os.unlink(os.path.join(prefix.lib, "libleasehold.so"))
        program = prefix.build(*prefix.flags("--cflags", "--static", "--libs"))
        expect("libleasehold" not in output("readelf", "-d", program),
               "not static")
        prefix.check(program)


def the_header_is_plain_c_and_cpp():
    """Without our own includes and flags, however strict."""
    with tempfile.TemporaryDirectory() as folder:
        tries = [("gcc", "c", std) for std in ("c99", "c11", "gnu17")]
        tries += [("gcc", "c++", std) for std in ("c++11", "c++20")]
        if shutil.which("clang"):
            tries += [("clang", "c", "c11"), ("clang", "c++", "c++17")]
        done = 0
        for compiler, language, std in tries:
            source = os.path.join(folder, "include")
            with open(source, "w") as f:
                # Twice, and used: it guards itself, and names no keyword.
                f.write("#include <leasehold.h>\n#include <leasehold.h>\n"
                        "int f(const struct lh_seat *s);\n"
                        "int f(const struct lh_seat *s)\n"
                        "{ return lh_seat_valid(s) + (int)lh_seat_type(s); "
                        "}\n")
            result = subprocess.run(
                [compiler, "-x", language, "-std=" + std, "-Wall", "-Wextra",
                 "-Wpedantic", "-Werror", "-I", os.path.dirname(HEADER),
                 "-fsyntax-only", source],
                stderr=subprocess.PIPE, text=True, timeout=60 * SLOW)
            if "cc1plus" in result.stderr:  # a gcc without C++
                continue
            expect(result.returncode == 0, "%s %s: %s" % (
                compiler, std, result.stderr[-600:]))
            done += language == "c++"
        return None if done else "no C++ compiler here"


def a_look_at_a_seat_costs_less_than_a_microsecond():
    said = output(binary("tests/bench/seat_bench"))
    expect(float(re.search(r"([0-9.]+) ns", said).group(1)) < 1000 * SLOW,
           said)


if __name__ == "__main__":
    sys.exit(main([
        the_shared_library_shows_the_header_and_no_more,
        the_static_library_shows_the_header_and_no_more,
        the_library_needs_libsodium_and_libcrypto_alone,
        a_program_is_made_with_the_shared_library,
        a_program_is_made_with_the_static_library,
        the_header_is_plain_c_and_cpp,
        a_look_at_a_seat_costs_less_than_a_microsecond,
    ]))
