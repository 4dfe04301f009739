#!/usr/bin/python3
"""Alerts by mail, through a real mail server with STARTTLS and a login, and as
lines of the system's log."""

import base64
import email
import email.policy
import os
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from api import Api
from harness import Site, World, expect, main, wait_for
from receiver import SystemLog, make_certificates

FAST = "[alerts]\nretry_s=1\nretry_most_s=1\nattempts=%d\n"
PASSWORD = "correct horse battery staple"


class MailServer(Controller):
    """Takes mail from who logs in under TLS; refuses while `closed`."""

    def __init__(self, certificates):
        self.mails = []
        self.closed = False
        self.lock = threading.Lock()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates[1], certificates[2])
        super().__init__(self, hostname="127.0.0.1", port=0,
                         ready_timeout=30)

    def factory(self):
        return SMTP(self, tls_context=self.context, require_starttls=True,
                    auth_required=True, authenticator=self.judge)

    def judge(self, _server, _session, _envelope, mechanism, data):
        good = mechanism in ("LOGIN", "PLAIN") and \
            data.login == b"license" and data.password == PASSWORD.encode()
        return AuthResult(success=good)

    def _trigger_server(self):
        # A port of the kernel's choice is known only now.
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

    async def handle_DATA(self, _server, _session, envelope):
        if self.closed:
            return "451 try again later"
        with self.lock:
            self.mails.append((envelope.rcpt_tos, email.message_from_bytes(
                envelope.content, policy=email.policy.default)))
        return "250 taken"


def mail_config(world, certificates, port, password=PASSWORD):
    path = world.path("mail-password")
    with open(path, "w", encoding="utf-8") as f:
        f.write(password + "\n")
    return ("[mail]\nserver=localhost:%d\nfrom=license@site.example\n"
            "user=license\npassword_file=%s\nca=%s\n" %
            (port, path, certificates[0]))


def misuse(api, hostname):
    made = api.ask("POST", "/api/v1/keys/generate",
                   {"app_name": "Configurator", "app_type": "ci_cd",
                    "scopes": ["admin:read"]}).json()
    done = api.ask("POST", "/api/v1/keys/%s/restrictions" % made["key_id"],
                   {"allowed_hostnames": ["build-7"]})
    expect(done.status == 200, done)
    refused = api.get("/api/v1/site", key=made["api_key"],
                      headers={"X-Hostname": hostname})
    expect(refused.code == "hostname_not_allowed", refused)
    return made["key_id"]


def add(site, *where):
    done = site.cli("--json", "alerts", "channel", "add", "ops", *where)
    expect(done.status == 0, done.err)
    return done.json()["channel"]


def outbox(site, *options):
    done = site.cli("--json", "outbox", "list", *options)
    expect(done.status == 0, done.err)
    return done.json()


def a_mail_comes_once_to_everybody_with_what_to_type():
    with World() as world:
        certificates = make_certificates(world)
        server = MailServer(certificates)
        server.start()
        try:
            site = Site(world, config=FAST % 1000 + mail_config(
                world, certificates, server.port))
            site.start()
            add(site, "ops@plant.example", "boss@plant.example")
            server.closed = True
            key = misuse(Api(site), "evil=?utf-8?q?host")
            wait_for(lambda: [item for item in outbox(site)["items"]
                              if item["attempts"] > 0], "not tried",
                     timeout=30)
            server.closed = False
            wait_for(lambda: outbox(site)["waiting"] == 0, "it waits",
                     timeout=30)
            expect(len(server.mails) == 1, server.mails)
            to, mail = server.mails[0]
            expect(to == ["ops@plant.example", "boss@plant.example"], to)
            expect(mail["From"] == "Leasehold <license@site.example>", mail)
            expect(key in mail["Subject"] and "Bcc" not in mail, mail)
            expect(len(mail["Leasehold-Delivery"]) == 32, mail)
            text = mail.get_content()
            expect("leasehold key revoke " + key in text and
                   "evil=?utf-8?q?host" in text, text)
        finally:
            server.stop()


def a_wrong_password_or_certificate_gives_up_with_words():
    with World() as world:
        certificates = make_certificates(world)
        others = make_certificates(world, "others")
        server = MailServer(certificates)
        server.start()
        try:
            for name, ca, password in (
                    ("guess", certificates, "guess"),
                    ("strange", others, PASSWORD)):
                site = Site(world, name, config=FAST % 1 + mail_config(
                    world, ca, server.port, password))
                site.start()
                number = add(site, "ops@plant.example")
                done = site.cli("alerts", "channel", "test", str(number))
                expect(done.status == 0, done.err)
                dead = wait_for(lambda s=site: outbox(s, "--dead")["items"],
                                "not given up", timeout=30)
                expect(dead[0]["error"] != "" and
                       PASSWORD not in site.log() and
                       base64.b64encode(PASSWORD.encode()).decode()
                       not in site.log(), dead)
                site.stop()
            expect(server.mails == [], server.mails)
        finally:
            server.stop()


def what_is_no_address_is_refused():
    with World() as world:
        site = Site(world)
        site.start()
        for bad in ("nobody", "a@b\r\nRCPT TO:<c@d>", "a@b,c@d", "<a@b>"):
            done = site.cli("alerts", "channel", "add", "x", bad)
            expect(done.status == 1 and "to" in done.err, (bad, done.err))
        # Without a server nothing is sent, and that is said.
        number = add(site, "ops@plant.example")
        site.cli("alerts", "channel", "test", str(number))
        tried = wait_for(lambda: [item for item in outbox(site)["items"]
                                  if item["attempts"] > 0], "not tried",
                         timeout=30)
        expect("[mail] server" in tried[0]["error"], tried)


def the_log_of_the_system_gets_one_line_for_each():
    with World() as world:
        os.chmod(world.path(), 0o755)
        log = SystemLog(world)
        try:
            site = Site(world, config="[courier]\nsyslog=%s\n" % log.path)
            site.start()
            add(site, "syslog")
            key = misuse(Api(site), "host; rm -rf \u202e".encode()
                         .decode("latin-1"))
            line = log.line()
            expect(line.startswith(b"<28>leasehold: alert.opened alert-1 "
                                   b"unknown_host tenant=default"), line)
            expect(key.encode() in line and b"\n" not in line and
                   "\u202e".encode() not in line, line)
        finally:
            log.close()


if __name__ == "__main__":
    sys.exit(main([
        a_mail_comes_once_to_everybody_with_what_to_type,
        a_wrong_password_or_certificate_gives_up_with_words,
        what_is_no_address_is_refused,
        the_log_of_the_system_gets_one_line_for_each,
    ]))
