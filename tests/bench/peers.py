"""Redis, PostgreSQL and nginx of Debian, each a private instance in a folder.

A package that is not installed is downloaded by apt and unpacked into that
folder: no maintainer script runs, no service starts, nothing of the system
changes, and removing the folder removes all of it. All listen on loopback
only and die with this process.
"""

import ctypes
import glob
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time

from harness import free_port

LIST = os.path.join(os.path.dirname(__file__), "..", "..", "packaging",
                    "dependencies-bench")
TOTAL = 100000000  # seats: never the reason to refuse

# Checks, counts and writes a row, atomically; every argument is a column.
REDIS_SCRIPT = """
local used = tonumber(redis.call('GET', 'used:' .. ARGV[1]) or '0')
if used >= tonumber(redis.call('GET', 'total:' .. ARGV[1])) then
	return redis.error_reply('no_seats')
end
used = redis.call('INCR', 'used:' .. ARGV[1])
redis.call('HSET', 'lease:' .. used, 'product', ARGV[1], 'version', ARGV[2],
	'device', ARGV[3], 'user', ARGV[4], 'host', ARGV[5],
	'nonce', ARGV[6], 'request', ARGV[7])
return used
"""

POSTGRES_SCHEMA = """
CREATE TABLE seats (product text PRIMARY KEY, used bigint, total bigint);
CREATE TABLE leases (lease bigint PRIMARY KEY, product text, version text,
	device bigint, app_user text, host text, nonce text, request text);
"""
POSTGRES_RESET = """
TRUNCATE leases, seats;
INSERT INTO seats VALUES ('davinci-configurator-se', 0, %d);
VACUUM seats;
CHECKPOINT;
""" % TOTAL


# A file as long as an answer to a checkout, from one process, over TLS 1.3.
NGINX_CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/log error;
events {{ worker_connections 8192; }}
http {{
	access_log off;
	sendfile on;
	tcp_nodelay on;
	keepalive_requests 100000000;
	client_body_temp_path {folder}/body;
	proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	server {{
		listen 127.0.0.1:{port} ssl backlog=4096;
		ssl_certificate {cert};
		ssl_certificate_key {key};
		ssl_protocols TLSv1.3;
		root {folder}/files;
	}}
}}
"""


class PeerError(Exception):
    """A peer cannot be had or does not start."""


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def wait_until(works, what, timeout=30):
    end = time.monotonic() + timeout
    while not works():
        if time.monotonic() > end:
            raise PeerError(what)
        time.sleep(0.02)


def stop(process):
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)  # for PostgreSQL: at once, but clean
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def is_installed(package):
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
        capture_output=True, text=True)
    return shown.stdout == "installed"


class Packages:
    """The peers' programs: the system's, or unpacked under `folder`."""

    def __init__(self, folder, only=()):
        """`only`: some of the list, else all."""
        self.root = os.path.join(folder, "packages")
        with open(LIST) as f:
            wanted = [line.strip() for line in f
                      if line.strip() and not line.startswith("#")]
        wanted = [p for p in wanted if not only or p in only]
        missing = [p for p in wanted if not is_installed(p)]
        if missing:
            self.unpack(missing)

    def download(self, missing, debs):
        options = ["-o", "Dir::Cache::archives=" + debs]
        if os.geteuid() != 0:
            options += ["-o", "Debug::NoLocking=true"]
        return subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends",
             "--download-only", *options, *missing], capture_output=True,
            text=True, timeout=240,
            env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))

    def unpack(self, missing):
        debs = os.path.join(self.root, "debs")
        os.makedirs(os.path.join(debs, "partial"))
        done = self.download(missing, debs)
        if done.returncode != 0 and os.geteuid() == 0:
            subprocess.run(["apt-get", "update", "-qq"], capture_output=True,
                           timeout=120)
            done = self.download(missing, debs)
        found = glob.glob(os.path.join(debs, "*.deb"))
        if done.returncode != 0 or not found:
            raise PeerError("cannot download %s: %s"
                            % (" ".join(missing), done.stderr.strip()))
        for deb in found:
            subprocess.run(["dpkg", "-x", deb, self.root], check=True,
                           timeout=120)
        shutil.rmtree(debs)

    def find(self, *paths):
        for path in paths:
            for full in (os.path.join(self.root, path.lstrip("/")), path):
                if os.path.exists(full):
                    return full
        raise PeerError("there is no " + paths[0])

    @property
    def env(self):
        libs = glob.glob(os.path.join(self.root, "usr/lib/*-linux-gnu*"))
        env = dict(os.environ, LC_ALL="C", TZ="UTC")
        if libs:
            env["LD_LIBRARY_PATH"] = ":".join(libs)
        return env


class Redis:
    """appendfsync always, nothing else written; a fresh one each time."""

    name = "redis"

    def __init__(self, packages, folder, cpus):
        self.packages, self.cpus = packages, cpus
        self.folder = os.path.join(folder, "redis")
        self.binary = packages.find("/usr/bin/redis-server",
                                    "/usr/bin/redis-check-rdb")
        self.process = None
        shown = self.run("--version").stdout.split()
        self.version = next((w[2:] for w in shown if w.startswith("v=")), "?")

    def run(self, *args):
        return subprocess.run([self.binary, *args], env=self.packages.env,
                              capture_output=True, text=True, timeout=20)

    def start(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.port = free_port()
        with open(os.path.join(self.folder, "log"), "w") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", self.cpus, self.binary, "--port",
                 str(self.port), "--bind", "127.0.0.1", "--dir", self.folder,
                 "--save", "", "--appendonly", "yes", "--appendfsync",
                 "always", "--auto-aof-rewrite-percentage", "0",
                 "--maxclients", "4096", "--tcp-backlog", "4096",
                 "--daemonize", "no"],
                env=self.packages.env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=die_with_parent,
                start_new_session=True)
        wait_until(self.answers, "Redis does not answer")
        self.ask("SET", "total:davinci-configurator-se", str(TOTAL))
        self.ask("SCRIPT", "LOAD", REDIS_SCRIPT)

    def ask(self, *words):
        text = "*%d\r\n" % len(words) + "".join(
            "$%d\r\n%s\r\n" % (len(w), w) for w in words)
        with socket.create_connection(("127.0.0.1", self.port), 5) as s:
            s.sendall(text.encode())
            answer = s.recv(4096).decode()
        if answer.startswith("-"):
            raise PeerError("redis: " + answer)
        return answer

    def answers(self):
        if self.process.poll() is not None:
            raise PeerError("Redis ended; see its log")
        try:
            return self.ask("PING").startswith("+PONG")
        except OSError:
            return False

    @property
    def options(self):
        return ["--sha1", hashlib.sha1(REDIS_SCRIPT.encode()).hexdigest()]

    def stop(self):
        if self.process is not None:
            self.process.kill()  # nothing of it is wanted any more
            self.process.wait()
            self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    close = stop


class Postgres:
    """A cluster of its own with Debian's defaults of durability."""

    name = "postgres"

    def __init__(self, packages, folder, cpus):
        self.packages, self.cpus = packages, cpus
        self.folder = os.path.join(folder, "postgres")
        self.process = None
        # It refuses to run as root.
        self.who = {"user": "nobody", "group": "nogroup", "extra_groups": []} \
            if os.geteuid() == 0 else {}
        self.version = self.run("postgres", "--version").split()[2]
        os.makedirs(self.folder)
        if self.who:
            shutil.chown(self.folder, "nobody", "nogroup")
        self.data = os.path.join(self.folder, "data")
        self.run("initdb", "-D", self.data, "-U", "bench", "--no-locale",
                 "-E", "UTF8", "--auth", "trust", "--no-instructions")
        self.launch()
        self.sql(POSTGRES_SCHEMA)

    def find(self, name):
        return self.packages.find("/usr/lib/postgresql/15/bin/" + name)

    def run(self, name, *args, text=None):
        done = subprocess.run(
            [self.find(name), *args], env=self.packages.env,
            input=text, capture_output=True, text=True, timeout=120, cwd="/",
            **self.who)
        if done.returncode != 0:
            raise PeerError("%s: %s" % (name, done.stderr.strip()[-300:]))
        return done.stdout

    def launch(self):
        self.port = free_port()
        with open(os.path.join(self.folder, "log"), "w") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", self.cpus,
                 self.find("postgres"), "-D", self.data,
                 "-c", "listen_addresses=127.0.0.1",
                 "-c", "port=%d" % self.port,
                 "-c", "unix_socket_directories=",
                 "-c", "max_connections=2100"],
                env=self.packages.env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd="/", preexec_fn=die_with_parent,
                start_new_session=True, **self.who)
        wait_until(self.answers, "PostgreSQL does not answer")

    def answers(self):
        if self.process.poll() is not None:
            raise PeerError("PostgreSQL ended; see its log")
        try:
            return self.sql("SELECT 1") is not None
        except PeerError:
            return False

    def sql(self, text):
        return self.run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U",
                        "bench", "-d", "postgres", "-q", "-v",
                        "ON_ERROR_STOP=1", text=text)

    def start(self):
        self.sql(POSTGRES_RESET)

    options = []

    def stop(self):
        """Its backends end with their connections; the server stays."""
        wait_until(lambda: self.sql(
            "\\t\nSELECT count(*) FROM pg_stat_activity WHERE "
            "backend_type = 'client backend'").strip() == "1",
            "PostgreSQL's backends do not end", 60)

    def close(self):
        stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


class Nginx:
    """One process that serves one file, with a site's certificate."""

    name = "nginx"
    path = "/answer.json"

    def __init__(self, packages, folder, cpus):
        self.packages, self.cpus = packages, cpus
        self.folder = os.path.join(folder, "nginx")
        self.binary = packages.find("/usr/sbin/nginx")
        self.process = None
        shown = subprocess.run([self.binary, "-v"], env=packages.env,
                               capture_output=True, text=True, timeout=20)
        self.version = shown.stderr.strip().rpartition("/")[2] or "?"

    def start(self, site, size):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(os.path.join(self.folder, "files"))
        with open(self.folder + "/files" + self.path, "w") as f:
            f.write("x" * size)
        self.port = free_port()
        tls = os.path.join(site.state, "tls")
        config = os.path.join(self.folder, "nginx.conf")
        with open(config, "w") as f:
            f.write(NGINX_CONFIG.format(
                folder=self.folder, port=self.port,
                cert=os.path.join(tls, "server.pem"),
                key=os.path.join(tls, "server.key")))
        with open(os.path.join(self.folder, "said"), "w") as said:
            self.process = subprocess.Popen(
                ["taskset", "-c", self.cpus, self.binary, "-c", config, "-p",
                 self.folder], env=self.packages.env,
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                preexec_fn=die_with_parent, start_new_session=True)
        wait_until(self.answers, "nginx does not answer")

    def answers(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.folder, "said")) as f:
                raise PeerError("nginx ended: " + f.read()[-300:])
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    close = stop
