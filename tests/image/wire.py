"""A host on the box's second wire: speaks Ethernet, IPv4 and IPv6 by hand, so
that every port can be tried without privileges and without a proxy that
answers in the box's place. The box asks it for an IPv4 address."""

import os
import socket
import struct
import time

OURS = bytes.fromhex("52540000beef")
BOX = bytes.fromhex("5254001ea5e4")
SYN, RST, ACK = 0x02, 0x04, 0x10
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
PROBE = 40000
NTP_EPOCH = 2208988800


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


class V4:
    """RFC 791; 192.0.2.0/24 is nobody's (RFC 5737)."""
    name = "IPv4"
    ours = socket.inet_aton("192.0.2.1")
    box = socket.inet_aton("192.0.2.2")
    echo, echoed = b"\x08\0", b"\0\0"
    icmp = ICMP

    @staticmethod
    def frame(protocol, data, target=box):
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0x4000,
                           64, protocol, 0) + V4.ours + target
        head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
        return BOX + OURS + b"\x08\0" + head + data

    @staticmethod
    def pseudo(protocol, length):
        if protocol == ICMP:
            return b""
        return V4.ours + V4.box + struct.pack(">BBH", 0, protocol, length)

    @staticmethod
    def read(data):
        """(protocol, to, body) of a frame of ours."""
        if data[12:14] != b"\x08\0" or len(data) < 34:
            return None
        head = (data[14] & 15) * 4
        return data[23], data[30:34], data[14 + head:]


class V6:
    """RFC 8200, by addresses of the link."""
    name = "IPv6"
    ours = socket.inet_pton(socket.AF_INET6, "fe80::beef")
    box = socket.inet_pton(socket.AF_INET6, "fe80::5054:ff:fe1e:a5e4")
    echo, echoed = b"\x80\0", b"\x81\0"
    icmp = ICMP6

    @staticmethod
    def frame(protocol, data):
        return (BOX + OURS + b"\x86\xdd" +
                struct.pack(">IHBB", 6 << 28, len(data), protocol, 255) +
                V6.ours + V6.box + data)

    @staticmethod
    def pseudo(protocol, length):
        return V6.ours + V6.box + struct.pack(">II", length, protocol)

    @staticmethod
    def read(data):
        if data[12:14] != b"\x86\xdd" or len(data) < 54:
            return None
        return data[20], data[38:54], data[54:]


def packet(ip, protocol, data, at):
    """With the checksum at this place filled in."""
    total = checksum(ip.pseudo(protocol, len(data)) + data)
    return ip.frame(protocol, data[:at] + struct.pack(">H", total) +
                    data[at + 2:])


def syn(ip, port, source=PROBE):
    return packet(ip, TCP, struct.pack(">HHIIBBHHH", source, port, 1, 0,
                                       5 << 4, SYN, 65535, 0, 0), 16)


def datagram(ip, port, source=PROBE, data=b"\0" * 8):
    return packet(ip, UDP, struct.pack(">HHHH", source, port, 8 + len(data),
                                       0) + data, 6)


def ping(ip, number):
    return packet(ip, ip.icmp, ip.echo + struct.pack(">HHH", 0, PROBE,
                                                     number & 0xffff), 2)


def advert():
    """Who asks for our address gets it (RFC 4861, 4.4)."""
    return packet(V6, ICMP6, b"\x88\0\0\0" + struct.pack(">I", 0x60000000) +
                  V6.ours + b"\x02\x01" + OURS, 2)


def arp(question):
    """The same of IPv4 (RFC 826)."""
    return (BOX + OURS + b"\x08\x06" + struct.pack(">HHBBH", 1, 0x800, 6, 4, 2)
            + OURS + V4.ours + question[22:32])


def lease(asked):
    """(is it the last, an answer) to DHCP (RFC 2131): an address and no way
    out of here."""
    options = asked[240:]
    kind = None
    while options[:1] not in (b"", b"\xff"):
        if options[0] == 0:
            options = options[1:]
            continue
        if options[0] == 53:
            kind = options[2]
        options = options[2 + options[1]:]
    if kind not in (1, 3):
        return False, None
    body = (b"\x02\x01\x06\0" + asked[4:8] + bytes(4) + bytes(4) + V4.box +
            V4.ours + bytes(4) + BOX + bytes(10) + bytes(192) +
            b"\x63\x82\x53\x63" + bytes([53, 1, 2 if kind == 1 else 5]) +
            b"\x36\x04" + V4.ours + b"\x33\x04" + struct.pack(">I", 86400) +
            b"\x01\x04\xff\xff\xff\0\xff")
    return kind == 3, datagram(V4, 68, 67, body)


def time_of_day(asked):
    """An answer of NTP (RFC 5905, 7.3): the time here."""
    now = int((time.time() + NTP_EPOCH) * (1 << 32))
    return (struct.pack(">BBbb", 0x24, 2, asked[2], -20) + bytes(8) +
            b"TEST" + struct.pack(">Q", now) + asked[40:48] +
            struct.pack(">QQ", now, now))


class Wire:
    def __init__(self, box):
        self.box = box
        self.theirs = box.path("wire")
        ours = box.path("wire.host")
        if os.path.exists(ours):
            os.unlink(ours)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(ours)
        self.leased = False
        self.asked_time = 0
        self.pings = 0
        # (kind, ip, port) of what answered; pings by their number.
        self.heard = {}

    def close(self):
        self.socket.close()

    def plug(self):
        """Out and in again, so that the box asks for an address at once."""
        for up in (False, True):
            self.box.ask("set_link", name="wire", up=up)
        self.until(lambda: self.leased, "the box asks for no address")

    def send(self, data):
        self.socket.settimeout(30)
        self.socket.sendto(data, self.theirs)

    def until(self, condition, what, patience_s=180):
        end = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(what)
            self.hear()

    def hear(self, wait_s=0.05):
        """What waits to be read."""
        while True:
            self.socket.settimeout(wait_s)
            try:
                data = self.socket.recv(4096)
            except (TimeoutError, BlockingIOError):
                return
            self.take(data)

    def take(self, data):
        if data[12:14] == b"\x08\x06" and data[38:42] == V4.ours and \
                data[20:22] == b"\0\x01":
            self.send(arp(data))
            return
        for ip in (V4, V6):
            found = ip.read(data)
            if found is not None:
                self.take_packet(ip, *found)

    def take_packet(self, ip, protocol, target, body):
        if protocol == UDP and body[2:4] == b"\0\x43" and ip is V4:
            last, answer = lease(body[8:])
            if answer is not None:
                self.send(answer)
                self.leased = self.leased or last
            return
        if protocol == ICMP6 and body[:1] == b"\x87":  # neighbor solicitation
            if body[8:24] == V6.ours:
                self.send(advert())
            return
        if target != ip.ours:
            return
        if protocol == TCP:
            self.heard["TCP", ip.name,
                       struct.unpack_from(">H", body)[0]] = body[13]
        elif protocol == UDP and body[2:4] == b"\0\x7b":
            self.asked_time += 1
            self.send(datagram(V4, struct.unpack_from(">H", body)[0], 123,
                               time_of_day(body[8:])))
        elif protocol == UDP:
            self.heard["UDP", ip.name,
                       struct.unpack_from(">H", body)[0]] = "data"
        elif protocol == ip.icmp and body[:2] == ip.echoed:
            self.heard["ping", ip.name,
                       struct.unpack_from(">H", body, 6)[0]] = "echo"
        elif protocol == ip.icmp and body[:1] in (b"\x03", b"\x01"):
            # Of whichever probe it tells: its header is in there.
            at = 8 + (20 if ip is V4 else 40)
            self.heard["refused", ip.name,
                       struct.unpack_from(">H", body, at + 2)[0]] = body[1]

    def read_so_far(self, ip):
        """Until it has answered behind all else that was sent."""
        self.pings += 1
        key = "ping", ip.name, self.pings

        def answered():
            if key not in self.heard:
                self.send(ping(ip, self.pings))
            return key in self.heard
        self.until(answered, ip.name + ": no answer to a ping")

    def scan(self, ip, kind, ports=range(1, 65536), rounds=2):
        """What answers on these ports, or refuses one: {(kind, port): what}.
        A round lasts until the box has answered behind it."""
        probe = {"TCP": syn, "UDP": datagram}[kind]
        self.heard = {}
        for _ in range(rounds):
            for at in range(0, len(ports), 256):
                for port in ports[at:at + 256]:
                    self.send(probe(ip, port))
                self.hear(wait_s=0)
            self.read_so_far(ip)
        # Of an earlier scan the box may still repeat an answer.
        return {(key[0], key[2]): what for key, what in self.heard.items()
                if key[0] in (kind, "refused") and key[1] == ip.name}
