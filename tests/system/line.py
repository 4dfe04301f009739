"""A connection to an agent's socket, for tests that speak to it themselves:
JSON-RPC 2.0, a line each. What is a nonce or an id is sent in
base64url."""

import base64
import json
import os
import socket

from harness import SLOW, Failure, expect


class Refused(Failure):
    """The agent's answer is a refusal."""

    def __init__(self, problem):
        data = problem.get("data", {})
        super().__init__("%s" % (data or problem))
        self.code = data.get("code", "")
        self.detail = data.get("detail", "")
        self.hint = data.get("hint", "")


def fresh(size):
    return base64.urlsafe_b64encode(os.urandom(size)).decode().rstrip("=")


class Line:
    def __init__(self, path, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout * SLOW)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.next = 1
        self.notices = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def read(self):
        line = self.file.readline()
        expect(line.endswith(b"\n"), "the agent hung up")
        return json.loads(line)

    def ask(self, method, **params):
        """Say it; answer() waits for what comes of it."""
        number, self.next = self.next, self.next + 1
        self.socket.sendall(json.dumps(
            {"jsonrpc": "2.0", "id": number, "method": method,
             "params": params}).encode() + b"\n")
        return number

    def answer(self, number):
        while True:
            said = self.read()
            if "method" in said:
                self.notices.append((said["method"], said["params"]))
            elif said.get("id") == number:
                if "error" in said:
                    raise Refused(said["error"])
                return said["result"]

    def call(self, method, **params):
        return self.answer(self.ask(method, **params))

    def notice(self):
        """The next notice, (method, params)."""
        while not self.notices:
            said = self.read()
            if "method" in said:
                self.notices.append((said["method"], said["params"]))
        return self.notices.pop(0)
