"""A directory of its own for a test: slapd on loopback, in a folder that goes
with it; a CA, a certificate for 127.0.0.1, some people and their groups."""

import os
import subprocess

from harness import expect, free_port, stop_process, wait_for

SUFFIX = "dc=example,dc=com"
SERVICE = "cn=reader," + SUFFIX
SERVICE_PASSWORD = "what the reader says"
MODULES = "/usr/lib/ldap"
SCHEMAS = "/etc/ldap/schema"

ENTRIES = """dn: {s}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=reader,{s}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {p}

dn: ou=people,{s}
objectClass: organizationalUnit
ou: people

dn: ou=groups,{s}
objectClass: organizationalUnit
ou: groups
"""

PERSON = """
dn: uid={0},ou=people,{1}
objectClass: inetOrgPerson
uid: {0}
cn: {2}
sn: {2}
mail: {0}@example.com
userPassword: {3}
"""

GROUP = """
dn: cn={0},ou=groups,{1}
objectClass: groupOfNames
cn: {0}
member: {2}
"""


def quiet(*args, text=None):
    done = subprocess.run(args, input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60,
                          check=False)
    expect(done.returncode == 0, "%s: %s" % (args[0], done.stdout))
    return done.stdout


def person_dn(uid):
    return "uid=%s,ou=people,%s" % (uid, SUFFIX)


def group_dn(name):
    return "cn=%s,ou=groups,%s" % (name, SUFFIX)


class Directory:
    def __init__(self, world, people, groups, name="slapd"):
        """people: {uid: password}; groups: {name: uid}."""
        self.world, self.name = world, name
        self.folder = world.path(name)
        os.mkdir(self.folder)
        os.mkdir(os.path.join(self.folder, "db"))
        self.plain_port, self.port = free_port(), free_port()
        self.ca = self.make_certificates()
        self.config = os.path.join(self.folder, "slapd.conf")
        with open(self.config, "w") as f:
            for schema in ("core", "cosine", "inetorgperson"):
                f.write("include %s/%s.schema\n" % (SCHEMAS, schema))
            f.write("modulepath %s\nmoduleload back_mdb\n" % MODULES)
            f.write("pidfile %s/pid\nargsfile %s/args\n" %
                    (self.folder, self.folder))
            f.write("TLSCACertificateFile %s\nTLSCertificateFile %s\n"
                    "TLSCertificateKeyFile %s\n" %
                    (self.ca, self.file("cert.pem"), self.file("key.pem")))
            f.write("allow bind_anon_cred\n")  # the trap of an empty password
            f.write("database mdb\nsuffix %s\nrootdn cn=root,%s\nrootpw root\n"
                    "directory %s/db\nmaxsize 16777216\n" %
                    (SUFFIX, SUFFIX, self.folder))
            f.write("access to attrs=userPassword by anonymous auth by * "
                    "none\naccess to * by users read by * none\n")
        text = ENTRIES.format(s=SUFFIX, p=SERVICE_PASSWORD)
        for uid, password in people.items():
            text += PERSON.format(uid, SUFFIX, uid.title() + " Ott", password)
        for group, uid in groups.items():
            text += GROUP.format(group, SUFFIX, person_dn(uid))
        quiet("/usr/sbin/slapadd", "-f", self.config, text=text)
        self.secret = self.file("service.txt")
        with open(self.secret, "w") as f:
            f.write(SERVICE_PASSWORD + "\n")
        os.chmod(self.secret, 0o600)
        self.process = None

    def file(self, name):
        return os.path.join(self.folder, name)

    def make_certificates(self):
        ca, key = self.file("ca.pem"), self.file("ca.key")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-nodes"]
        quiet("openssl", "req", "-x509", *curve, "-keyout", key, "-out", ca,
              "-days", "2", "-subj", "/CN=" + self.name)
        quiet("openssl", "req", *curve, "-keyout", self.file("key.pem"),
              "-out", self.file("req.pem"), "-subj", "/CN=directory")
        with open(self.file("ext"), "w") as f:
            f.write("subjectAltName=IP:127.0.0.1\n")
        quiet("openssl", "x509", "-req", "-in", self.file("req.pem"), "-CA",
              ca, "-CAkey", key, "-CAcreateserial", "-days", "2", "-out",
              self.file("cert.pem"), "-extfile", self.file("ext"))
        return ca

    @property
    def secret_url(self):
        return "ldaps://127.0.0.1:%d" % self.port

    @property
    def plain_url(self):
        return "ldap://127.0.0.1:%d" % self.plain_port

    def start(self):
        self.process = self.world.start(self.name, [
            "/usr/sbin/slapd", "-d", "0", "-f", self.config, "-h",
            "ldap://127.0.0.1:%d ldaps://127.0.0.1:%d" % (self.plain_port,
                                                          self.port)])
        wait_for(self.answers, "slapd does not answer", 20)

    def answers(self):
        return subprocess.run(
            ["/usr/bin/ldapwhoami", "-x", "-H", "ldap://127.0.0.1:%d" %
             self.plain_port], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=20, check=False
        ).returncode == 0

    def stop(self):
        stop_process(self.process)

    def change(self, ldif):
        quiet("/usr/bin/ldapmodify", "-x", "-H", "ldap://127.0.0.1:%d" %
              self.plain_port, "-D", "cn=root," + SUFFIX, "-w", "root",
              text=ldif)

    def searching(self, **more):
        """[ldap] by a search of the service account."""
        return self.settings(base="ou=people," + SUFFIX, service_dn=SERVICE,
                             service_password_file=self.secret,
                             **dict({"url": self.secret_url}, **more))

    def settings(self, **keys):
        keys.setdefault("ca", self.ca)
        keys.setdefault("timeout_s", 3)
        for role in ("admin", "operator", "viewer"):
            keys.setdefault(role + "_group", group_dn(role + "s"))
        return "[ldap]\n" + "".join("%s=%s\n" % (key, value) for key, value
                                    in keys.items() if value is not None)
