"""A terminal for programs that draw: a pseudo-terminal, and as much of a
screen as the tests need to see what a person would."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time

from harness import SLOW, Failure

TOKEN = re.compile(r"\033\[(\??[0-9;]*)([A-Za-z])|\r|\n|[^\033\r\n]+", re.S)


class Terminal:
    def __init__(self, args, rows=24, columns=80, env=None):
        self.master, slave = os.openpty()
        self.rows, self.columns = rows, columns
        self.raw = ""
        self.status = None
        self.set_size()
        self.before = termios.tcgetattr(slave)
        full = dict(os.environ, TERM="xterm", LEASEHOLD_CONFIG="/dev/null")
        full.pop("NO_COLOR", None)
        full.update(env or {})
        self.process = subprocess.Popen(
            [str(a) for a in args], stdin=slave, stdout=slave, stderr=slave,
            env=full, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.slave = slave

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            print("# the terminal: %r" % self.raw[-2000:])
        os.close(self.master)
        os.close(self.slave)

    def set_size(self):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ,
                    struct.pack("HHHH", self.rows, self.columns, 0, 0))

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.set_size()  # the kernel sends SIGWINCH

    def type(self, keys):
        os.write(self.master, keys.encode())

    def read(self, wait_s=0.05):
        while select.select([self.master], [], [], wait_s)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return False
            if not data:
                return False
            self.raw += data.decode("utf-8", "replace")
            wait_s = 0
        return True

    def screen(self):
        """What stands on the screen: the lines since the last one that was
        drawn from the top left."""
        lines, row, column = {}, 0, 0
        for match in TOKEN.finditer(self.raw):
            text, what = match.group(0), match.group(2)
            if what == "H":
                row, column = 0, 0
            elif what == "K":
                lines[row] = lines.get(row, "")[:column]
            elif what == "J":
                for other in [r for r in lines if r > row]:
                    del lines[other]
                lines[row] = lines.get(row, "")[:column]
            elif text == "\r":
                column = 0
            elif text == "\n":
                row += 1
            elif what is None:
                line = lines.get(row, "").ljust(column)
                lines[row] = (line[:column] + text
                              + line[column + len(text):])[:self.columns]
                column += len(text)
        return "\n".join(lines.get(r, "").rstrip()
                         for r in range(max(lines, default=0) + 1))

    def wait(self, words, timeout=20):
        end = time.monotonic() + timeout * SLOW
        while words not in self.screen():
            if not self.read() or time.monotonic() > end:
                raise Failure("no %r on the screen: %s"
                              % (words, self.screen()))

    def wait_end(self, timeout=20):
        end = time.monotonic() + timeout * SLOW
        while self.process.poll() is None and time.monotonic() < end:
            self.read()
        self.read()
        self.status = self.process.poll()
        return self.status

    def is_sane(self):
        """Echo and lines, as it was before."""
        return termios.tcgetattr(self.slave)[3] == self.before[3]

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
