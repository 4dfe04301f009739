"""Strangers for the system tests: connections, frames and requests that no
program of ours would make, and what the others feel meanwhile."""

import json
import os
import resource
import socket
import ssl
import struct
import subprocess
import time

from harness import PRODUCT, SLOW, Failure, binary, expect

UPGRADE = (b"GET /agent/v1 HTTP/1.1\r\nHost: localhost\r\n"
           b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
           b"Sec-WebSocket-Version: 13\r\n")
PROTOCOL = b"Sec-WebSocket-Protocol: leasehold.v1\r\n"
HELLO = (b'{"jsonrpc":"2.0","id":%d,"method":"session.hello",'
         b'"params":{"protocol":1,"software":"x","device":1}}')

# A sanitizer keeps what was freed for a while.
HEAVY = 8 if SLOW > 1 else 1
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def many_files():
    """This process may open what it is allowed to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE,
                       (min(hard, 20000), hard))
    return min(hard, 20000)


def dial(site, source=None, timeout=10):
    """A TCP connection, from an address of loopback."""
    sock = socket.create_connection(
        ("127.0.0.1", site.port), timeout * SLOW,
        (source, 0) if source else None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def context_of(site):
    context = ssl.create_default_context(cafile=site.ca)
    context.check_hostname = False
    return context


def greet(site, source=None, context=None):
    """A TLS connection."""
    return (context or context_of(site)).wrap_socket(dial(site, source))


def has_ended(sock):
    """Has the other side hung up? Reads away what is there."""
    sock.settimeout(0)
    try:
        while True:
            if not sock.recv(65536):
                return True
    except (ssl.SSLWantReadError, BlockingIOError):
        return False
    except OSError:
        return True


def read_until(sock, words, timeout=10):
    """What comes until `words` or the end."""
    got = b""
    end = time.monotonic() + timeout * SLOW
    while words not in got and time.monotonic() < end:
        sock.settimeout(max(0.01, end - time.monotonic()))
        try:
            more = sock.recv(65536)
        except (OSError, ssl.SSLError):
            break
        if not more:
            break
        got += more
    return got


def ask_raw(site, data, timeout=5, source=None):
    """Send bytes over TLS; everything that comes back until the end."""
    with greet(site, source) as sock:
        try:
            sock.sendall(data)
        except OSError:
            pass  # refused before it was all sent
        return read_until(sock, b"\0no such thing\0", timeout)


def frame(opcode, payload=b"", fin=True, mask=True, reserved=0, length=None):
    """One WebSocket frame; `length` may lie."""
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    n = len(payload) if length is None else length
    bit = 0x80 if mask else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", n)
    if mask:
        head += b"\0\0\0\0"  # a mask of zeros leaves the payload as it is
    return head + payload


class Socket:
    """A WebSocket by hand, up and silent."""

    def __init__(self, site, source=None, context=None, sock=None):
        self.sock = sock or greet(site, source, context)
        self.buffer = b""
        self.sock.sendall(UPGRADE + PROTOCOL + b"\r\n")
        got = read_until(self.sock, b"\r\n\r\n")
        expect(got.startswith(b"HTTP/1.1 101"), "no upgrade: %r" % got[:80])
        self.buffer = got.split(b"\r\n\r\n", 1)[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.settimeout(10 * SLOW)
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False  # it has hung up: read() says how

    def say(self, payload):
        return self.send(frame(TEXT, payload))

    def _take(self, n, end):
        while len(self.buffer) < n:
            left = end - time.monotonic()
            if left <= 0:
                raise Failure("waited for a frame")
            self.sock.settimeout(left)
            try:
                more = self.sock.recv(65536)
            except (TimeoutError, ssl.SSLWantReadError):
                continue
            except OSError:
                more = b""
            if not more:
                return None
            self.buffer += more
        taken, self.buffer = self.buffer[:n], self.buffer[n:]
        return taken

    def read(self, timeout=10):
        """(opcode, payload); None when the connection ended."""
        end = time.monotonic() + timeout * SLOW
        head = self._take(2, end)
        if head is None:
            return None
        n = head[1] & 127
        if n == 126:
            more = self._take(2, end)
            n = struct.unpack(">H", more)[0] if more else 0
        elif n == 127:
            more = self._take(8, end)
            n = struct.unpack(">Q", more)[0] if more else 0
        payload = self._take(n, end) if n else b""
        return None if payload is None else (head[0] & 15, payload)

    def read_text(self, timeout=10):
        while True:
            got = self.read(timeout)
            expect(got is not None and got[0] != CLOSE,
                   "the connection ended: %r" % (got,))
            if got[0] == TEXT:
                return json.loads(got[1])

    def close_code(self, timeout=10):
        """The code it is closed with; 0 when it ended without one."""
        while True:
            got = self.read(timeout)
            if got is None:
                return 0
            if got[0] == CLOSE:
                return struct.unpack(">H", got[1][:2])[0] if got[1] else 1005


def memory_kib(pid):
    """What the process has for itself, its share of the rest."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    raise Failure("no Pss of %d" % pid)


def cpu_s(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class Steady:
    """Applications that work all the time (steady_tool.c)."""

    def __init__(self, world, agent, seconds=2, clients=2, pause_ms=2,
                 name="steady"):
        self.world = world
        args = [binary("tests/system/steady_tool"), "--vendor-key",
                world.vendor_key, "--socket", agent.socket, "--product",
                PRODUCT, "--version", "8.1.0", "--state",
                world.path(name + "-state"), "--clients", str(clients),
                "--seconds", str(seconds), "--pause-ms", str(pause_ms)]
        self.seconds = seconds
        self.process = subprocess.Popen(
            args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        world.started.append(self.process)

    def result(self):
        out, _ = self.process.communicate(timeout=(self.seconds + 60) * SLOW)
        expect(self.process.returncode == 0, "steady_tool failed")
        return json.loads(out)


def felt(world, agent, seconds=2, clients=2):
    """How it goes for two applications, all of whose checkouts succeed."""
    result = Steady(world, agent, seconds, clients).result()
    expect(result["failed"] == 0, "a checkout failed: %s" % result)
    expect(result["checkouts"] > 0, "no checkout: %s" % result)
    return result


def expect_little_change(before, during, p50=8, p99=20):
    """As ratios with wide margins: the machine is shared."""
    expect(during["p50_us"] <= p50 * max(before["p50_us"], 1),
           "the median went from %d to %d us" % (
               before["p50_us"], during["p50_us"]))
    worst = max(before["p99_us"], 4 * before["p50_us"])
    expect(during["p99_us"] <= p99 * worst,
           "p99 went from %d to %d us" % (before["p99_us"],
                                          during["p99_us"]))
