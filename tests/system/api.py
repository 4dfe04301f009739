"""A program that talks to a site's HTTP API."""

import http.client
import json
import ssl

from harness import SLOW


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """Of a problem."""
        return self.json()["code"]

    def __repr__(self):
        return "%d %r" % (self.status, self.body[:300])


class Api:
    """Connections are kept alive, and opened anew when one has ended."""

    def __init__(self, site, key=None, timeout=10):
        self.site = site
        self.key = site.key if key is None else key
        self.timeout = timeout * SLOW
        self.context = ssl.create_default_context(cafile=site.ca)
        self.connection = None

    def _connect(self):
        self.connection = http.client.HTTPSConnection(
            "127.0.0.1", self.site.port, context=self.context,
            timeout=self.timeout)
        self.connection.connect()

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def raw(self, method, path, body=None, headers=None):
        for attempt in range(2):
            fresh = self.connection is None
            try:
                if fresh:
                    self._connect()
                self.connection.request(method, path, body, headers or {})
                answer = self.connection.getresponse()
                data = answer.read()
                if answer.will_close:
                    self.close()
                return Answer(answer.status, answer.headers, data)
            except (http.client.HTTPException, ConnectionError, ssl.SSLError):
                self.close()
                if fresh or attempt == 1:
                    raise
        return None

    def ask(self, method, path, body=None, headers=None, key=None):
        """`body`: an object for JSON."""
        full = {}
        credential = self.key if key is None else key
        if credential:
            full["Authorization"] = "Bearer " + credential
        if body is not None:
            full["Content-Type"] = "application/json"
            body = json.dumps(body)
        full.update(headers or {})
        return self.raw(method, path, body, full)

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.ask("POST", path, {} if body is None else body, **more)
