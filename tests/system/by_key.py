"""Programs that hold seats by an API key: keep-alive HTTPS, no agent."""

import http.client
import json
import ssl

from harness import PRODUCT, SLOW, expect


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        text = response.read()
        self.body = json.loads(text) if text else {}

    @property
    def code(self):
        return self.body.get("code")

    def __repr__(self):
        return "%d %s" % (self.status, self.body)


class Program:
    """One connection and one key; `headers` go with every request,
    `address` is where it comes from, `certificate` (cert, key) of its own."""

    def __init__(self, site, key, headers=None, address=None,
                 certificate=None):
        self.site, self.key = site, key
        self.headers = dict(headers or {})
        context = ssl.create_default_context(cafile=site.ca)
        if certificate is not None:
            context.load_cert_chain(*certificate)
        self.http = http.client.HTTPSConnection(
            "127.0.0.1", site.port, timeout=40 * SLOW, context=context,
            source_address=(address, 0) if address else None)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.http.close()

    def send(self, method, path, body=None, **headers):
        every = dict(self.headers, Authorization="Bearer " + self.key,
                     **{name.replace("_", "-"): value
                        for name, value in headers.items()
                        if value is not None})
        text = None
        if body is not None:
            every["Content-Type"] = "application/json"
            text = json.dumps(body)
        self.http.request(method, path, text, every)

    def hear(self):
        return Answer(self.http.getresponse())

    def ask(self, method, path, body=None, **headers):
        self.send(method, path, body, **headers)
        return self.hear()

    def begin_checkout(self, again=None, **body):
        body = dict({"product": PRODUCT, "version": "8.1.0",
                     "user": "build"}, **body)
        self.send("POST", "/api/v1/licenses/checkout", body,
                  Idempotency_Key=again)

    def checkout(self, again=None, **body):
        self.begin_checkout(again, **body)
        return self.hear()

    def take(self, again=None, **body):
        answer = self.checkout(again, **body)
        expect(answer.status == 201, "checkout: %r" % answer)
        return answer.body

    def renew(self, *ids, **more):
        return self.ask("POST", "/api/v1/licenses/renew",
                        dict({"ids": list(ids)}, **more))

    def give_back(self, lease):
        return self.ask("POST", "/api/v1/licenses/return", {"id": lease})


def make_key(site, *scopes, **generate):
    """A key of the tenant; its text and number."""
    scopes = scopes or ("license:checkout", "license:return")
    with Program(site, site.key) as admin:
        made = admin.ask("POST", "/api/v1/keys/generate", dict({
            "app_name": "build", "app_type": "ci_cd",
            "scopes": list(scopes)}, **generate))
        expect(made.status == 201, "keys/generate: %r" % made)
    return made.body["api_key"], int(made.body["key_id"].split("-")[1])
