#!/usr/bin/python3
"""Updates of the box, as far as the daemon goes: a bundle sent in pieces, the
request that root's runner takes up, what it tells, and the journal. The runner
here is a stand-in that plays with the same files; the real one, with RAUC and
two slots, runs in `make check-image`."""

import base64
import hashlib
import json
import os
import shutil
import sys

from api import Api
from harness import (AS_ROOT, Site, World, binary, expect, main,
                     run, wait_for)

UPDATES = "/api/v1/appliance/updates"
PIECE = 512 << 10


def digest_of(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def name_of(data):
    return base64.urlsafe_b64encode(digest_of(data)).decode().rstrip("=")


def text(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Box:
    """A site with [appliance], and the files of root's units."""

    def __init__(self, world, most=""):
        self.world = world
        self.state = world.path("appliance")
        self.update = world.path("update")
        for name in ("in", "out"):
            os.makedirs(os.path.join(self.update, name))
        os.makedirs(self.state)
        if AS_ROOT:
            shutil.chown(os.path.join(self.update, "in"), "daemon")
        self.put(self.state, "image.json",
                 {"version": "0.1.0", "build_id": "abc", "root_hash": "0" * 64,
                  "slot": "a"})
        self.put(self.state, "box.json", {"slot": "A", "confirmed": True,
                                          "level": 3, "floor": 2})
        self.site = Site(world, config="[appliance]\nstate_dir=%s\n"
                         "update_dir=%s\n%s" % (self.state, self.update, most))
        self.site.start()
        self.api = Api(self.site)

    def put(self, folder, name, value):
        path = os.path.join(folder, name)
        with open(path + ".new", "w") as out:
            json.dump(value, out)
        os.rename(path + ".new", path)

    def begin(self, data, status=201):
        answer = self.api.post(UPDATES, {"digest": name_of(data),
                                         "bytes": len(data)})
        expect(answer.status == status, answer)
        return answer.json()

    def piece(self, data, offset, length=PIECE):
        return self.api.ask("PUT", "%s/%s/chunks" % (UPDATES, name_of(data)),
                            {"offset": offset,
                             "data": text(data[offset:offset + length])})

    def send(self, data):
        at = self.begin(data)["offset"]
        while at < len(data):
            answer = self.piece(data, at)
            expect(answer.status == 200, answer)
            at = answer.json()["offset"]

    def install(self, data):
        return self.api.post("%s/%s/install" % (UPDATES, name_of(data)), {})

    def status(self):
        answer = self.api.get("/api/v1/appliance/status")
        expect(answer.status == 200, answer)
        return answer.json()

    def last(self):
        return self.status()["last"]

    # what the runner does

    def path_of_request(self):
        return os.path.join(self.update, "in", "request.json")

    def take_up(self):
        wait_for(lambda: os.path.exists(self.path_of_request()),
                 "nobody asked the runner")
        with open(self.path_of_request()) as f:
            request = json.load(f)
        self.tell(request["update"], "checking")
        os.unlink(self.path_of_request())
        return request

    def tell(self, number, phase, **more):
        self.put(os.path.join(self.update, "out"), "state.json",
                 dict(update=number, phase=phase, **more))

    def rows(self):
        done = self.site.cli("--json", "audit", "tail", "-n", "1000")
        expect(done.status == 0, done.err)
        return [row for row in map(json.loads, done.out.splitlines())
                if '"update.' in json.dumps(row)
                and '"act"' not in json.dumps(row)]


def kinds(rows):
    return [kind for row in rows
            for kind in ("update.requested", "update.finished",
                         "update.failed", "update.fell_back")
            if '"%s"' % kind in json.dumps(row)]


BUNDLE = bytes(range(256)) * 5000


def an_update_is_sent_installed_and_journaled():
    with World() as world:
        box = Box(world)
        before = box.status()
        expect(before["version"] == "0.1.0" and before["slot"] == "A" and
               before["confirmed"] and before["floor"] == 2 and
               "last" not in before and before["warnings"] == [], before)
        box.send(BUNDLE)
        answer = box.install(BUNDLE)
        expect(answer.status == 202, answer)
        number = answer.json()["update"]
        request = box.take_up()
        expect(request == {"update": number,
                           "digest": digest_of(BUNDLE).hex()}, request)
        with open(os.path.join(box.update, "in", "bundle"), "rb") as f:
            expect(f.read() == BUNDLE, "another bundle")
        box.tell(number, "installing", percent=40, version="0.2.0", slot="B")
        last = box.last()
        expect(last["phase"] == "installing" and last["percent"] == 40, last)
        # Once more is the same, and does nothing.
        again = box.install(BUNDLE)
        expect(again.status == 202 and again.json()["update"] == number, again)
        # The box starts meanwhile.
        box.tell(number, "trying", version="0.2.0", slot="B")
        box.site.stop()
        box.site.start()
        expect(box.last()["phase"] == "trying", box.last())
        box.tell(number, "done", version="0.2.0", slot="B")
        wait_for(lambda: box.last()["phase"] == "done", "it never ended")
        expect(box.last()["version"] == "0.2.0", box.last())
        wait_for(lambda: not os.path.exists(
            os.path.join(box.update, "in", "bundle")), "its bytes stay")
        expect(kinds(box.rows()) == ["update.requested", "update.finished"],
               box.rows())
        expect(box.site.verify()["rows"] > 3, "the journal does not hold")
        # Told once: also over a start.
        box.site.stop()
        box.site.start()
        expect(len(kinds(box.rows())) == 2, box.rows())


def a_cut_upload_goes_on_where_it_was():
    with World() as world:
        box = Box(world)
        box.begin(BUNDLE)
        expect(box.piece(BUNDLE, 0).status == 200, "refused")
        # A piece again, and a piece that begins earlier, do no harm.
        expect(box.piece(BUNDLE, 0).json()["offset"] == PIECE, "moved")
        expect(box.piece(BUNDLE, PIECE - 7, 107).json()["offset"] ==
               PIECE + 100, "not gone on")
        gap = box.piece(BUNDLE, PIECE + 200, 5)
        expect(gap.status == 409 and gap.json()["code"] == "conflict", gap)
        box.site.kill()
        box.site.start()
        expect(box.begin(BUNDLE)["offset"] == PIECE + 100, "forgotten")
        early = box.install(BUNDLE)
        expect(early.status == 409 and "of its" in early.json()["detail"],
               early)
        path = world.path("update.raucb")
        with open(path, "wb") as out:
            out.write(BUNDLE)
        done = box.site.cli("appliance", "update", path, "--no-wait")
        expect(done.status == 0 and "goes on at byte %d" % (PIECE + 100)
               in done.out and "is asked for" in done.out,
               (done.out, done.err))
        box.take_up()


def a_site_that_starts_in_the_middle_is_waited_for():
    with World() as world:
        box = Box(world)
        path = world.path("update.raucb")
        with open(path, "wb") as out:
            out.write(os.urandom(48 << 20))
        sent = os.path.join(box.update, "in", "bundle")

        def size():
            return os.path.getsize(sent) if os.path.exists(sent) else 0
        sender = world.start("sender", [
            binary("leasehold"), "appliance", "update", path, "--no-wait"],
            env=box.site.env)
        wait_for(lambda: size() > 0, "nothing is sent")
        box.site.kill()
        half = size()
        expect(half < 48 << 20, "it was all there before")
        box.site.start()
        wait_for(lambda: size() > half, "it does not go on")
        expect(sender.poll() is None, "it ended")


def another_file_than_its_digest_says_is_thrown_away():
    with World() as world:
        box = Box(world)
        wrong = b"x" * 1000
        answer = box.api.post(UPDATES, {"digest": name_of(BUNDLE),
                                        "bytes": len(wrong)})
        expect(answer.status == 201, answer)
        answer = box.api.ask("PUT", "%s/%s/chunks" % (UPDATES, name_of(BUNDLE)),
                             {"offset": 0, "data": text(wrong)})
        expect(answer.status == 200, answer)
        # It ends where it was said to end.
        over = box.api.ask("PUT", "%s/%s/chunks" % (UPDATES, name_of(BUNDLE)),
                           {"offset": 1000, "data": text(b"y")})
        expect(over.status == 400, over)
        refused = box.install(BUNDLE)
        expect(refused.status == 400 and "thrown away" in
               refused.json()["detail"], refused)
        expect(os.listdir(os.path.join(box.update, "in")) == [],
               os.listdir(os.path.join(box.update, "in")))
        expect(kinds(box.rows()) == [], "journaled")


def one_at_a_time():
    with World() as world:
        box = Box(world)
        other = b"another" * 1000
        box.begin(BUNDLE)
        box.piece(BUNDLE, 0)
        busy = box.api.post(UPDATES, {"digest": name_of(other),
                                      "bytes": len(other)})
        expect(busy.status == 503 and "at this moment" in
               busy.json()["detail"], busy)
        # Given up by its sender, there is room for another.
        gone = box.api.ask("DELETE", "%s/%s" % (UPDATES, name_of(BUNDLE)))
        expect(gone.status == 200, gone)
        expect(box.api.ask("DELETE", "%s/%s" % (UPDATES, name_of(BUNDLE))).status ==
               200, "not the same")
        expect(box.api.get("%s/%s" % (UPDATES, name_of(BUNDLE))).status == 404,
               "still there")
        box.send(other)
        box.install(other)
        request = box.take_up()
        # What root reads nobody writes any more.
        for answer in (box.api.post(UPDATES, {"digest": name_of(BUNDLE),
                                              "bytes": len(BUNDLE)}),
                       box.piece(other, 0),
                       box.api.ask("DELETE", "%s/%s" % (UPDATES, name_of(other))),
                       box.api.post("/api/v1/appliance/usb/install", {})):
            expect(answer.status == 409 and "update-1" in
                   answer.json()["detail"] or answer.status == 409, answer)
        box.tell(request["update"], "failed", version="0.0.9",
                 reason="it is older than the floor")
        wait_for(lambda: box.last()["phase"] == "failed", "it never ended")
        expect("the last update was not installed" in
               [w["text"] for w in box.status()["warnings"]], box.status())
        rows = box.rows()
        expect(kinds(rows) == ["update.requested", "update.failed"] and
               "older than the floor" in json.dumps(rows), rows)
        # And the next one has the next number.
        box.send(BUNDLE)
        expect(box.install(BUNDLE).json()["update"] == 2, "its number")


def a_request_that_nobody_heard_of_is_made_again():
    with World() as world:
        box = Box(world)
        box.send(BUNDLE)
        expect(box.install(BUNDLE).status == 202, "refused")
        wait_for(lambda: os.path.exists(box.path_of_request()), "not asked")
        # The power went between the row and the request.
        box.site.kill()
        os.unlink(box.path_of_request())
        box.site.start()
        request = box.take_up()
        box.tell(request["update"], "fell_back", version="0.2.0", slot="B",
                 reason="the site was not well in 5 minutes")
        wait_for(lambda: box.last()["phase"] == "fell_back", "it never ended")
        # One whose bytes are gone comes to an end by itself.
        box.send(BUNDLE)
        expect(box.install(BUNDLE).json()["update"] == 2, "its number")
        box.site.kill()
        for name in os.listdir(os.path.join(box.update, "in")):
            os.unlink(os.path.join(box.update, "in", name))
        box.site.start()
        wait_for(lambda: box.last()["phase"] == "failed", "it never ended")
        expect(kinds(box.rows()) == ["update.requested", "update.fell_back",
                                     "update.requested", "update.failed"],
               box.rows())


def of_a_stick_only_when_an_admin_says_so():
    with World() as world:
        box = Box(world)
        done = box.site.cli("appliance", "update", "--usb", "--no-wait")
        expect(done.status == 0, done.err)
        request = box.take_up()
        expect(request == {"update": 1, "usb": True}, request)
        box.tell(1, "done", version="0.2.0", slot="B",
                 digest=digest_of(BUNDLE).hex())
        wait_for(lambda: box.last()["phase"] == "done", "it never ended")
        last = box.last()
        expect(last["digest"] == name_of(BUNDLE) and last["usb"], last)


def stores_keep_their_format_as_long_as_there_is_a_way_back():
    """A version of the next format: tried, confirmed beside an older one, then
    without it. The older one opens what the newer wrote until then."""
    with World() as world:
        box = Box(world)
        made = []

        def starts(newer, **told):
            box.site.stop()
            box.put(box.state, "box.json", dict(
                {"slot": "A", "confirmed": True, "level": 1, "floor": 1},
                **told))
            if newer:
                box.site.process = world.start(box.site.name, [
                    binary("tests/system/leaseholdd_newer"), "--config",
                    box.site.config])
            else:
                box.site.start(wait=False)

        def keys():
            shown = box.site.cli("--json", "key", "list")
            expect(shown.status == 0, shown.err)
            return {key.get("app_name") for key in shown.json()["items"]}

        def format_is(number):
            """And every key that was made before is there."""
            box.site.wait_ready()
            expect(box.status()["store_format"] == number, box.status())
            expect(set(made) <= keys(), keys())
            made.append("key-%d" % len(made))
            done = box.site.cli("key", "create", made[-1])
            expect(done.status == 0, done.err)

        format_is(1)
        starts(True, confirmed=False)
        format_is(1)
        starts(False)
        format_is(1)
        starts(True, hold=True)
        format_is(1)
        starts(False)
        format_is(1)
        starts(True, hold=False)
        format_is(2)
        starts(True, hold=True)
        format_is(2)
        starts(False)
        log = world.path(box.site.name + ".log")

        def refused():
            with open(log, errors="replace") as f:
                return "is of format 2, and this version knows formats up " \
                    "to 1" in f.read()
        wait_for(refused, "it opens what it cannot read")
        expect(box.site.ready() is None, "it serves all the same")
        starts(True)
        format_is(2)
        expect(box.site.verify()["rows"] > 3, "the journal does not hold")


def too_large_or_no_room_is_refused_before_a_byte():
    with World() as world:
        box = Box(world, "update_most_mib=1\n")
        large = box.api.post(UPDATES, {"digest": name_of(BUNDLE),
                                       "bytes": len(BUNDLE)})
        expect(large.status == 413 and large.json()["code"] == "too_large",
               large)
        box.site.stop()
        with open(box.site.config) as f:
            config = f.read()
        with open(box.site.config, "w") as out:
            out.write(config.replace("update_most_mib=1\n",
                                     "update_most_mib=65536\n"))
        box.site.start()
        disk = os.statvfs(box.update)
        free = disk.f_bavail * disk.f_frsize
        if free < 65536 << 20:
            full = box.api.post(UPDATES, {"digest": name_of(BUNDLE),
                                          "bytes": min(free, 65536 << 20)})
            expect(full.status == 503 and "no room" in full.json()["detail"],
                   full)


def a_site_on_no_appliance_says_so():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site)
        name = name_of(BUNDLE)
        for answer in (api.get("/api/v1/appliance/status"),
                       api.post(UPDATES, {"digest": name, "bytes": 5}),
                       api.get("%s/%s" % (UPDATES, name)),
                       api.post("%s/%s/install" % (UPDATES, name), {}),
                       api.post("/api/v1/appliance/usb/install", {}),
                       api.ask("DELETE", "%s/%s" % (UPDATES, name))):
            expect(answer.status == 404 and "no appliance" in
                   answer.json()["detail"], answer)
        done = site.cli("appliance", "status")
        expect(done.status == 1 and "no appliance" in done.err, done.err)


def files_that_nobody_can_read_stop_nothing():
    with World() as world:
        box = Box(world)
        for folder, name in ((box.state, "box.json"),
                             (box.state, "image.json"),
                             (os.path.join(box.update, "out"), "state.json"),
                             (os.path.join(box.update, "in"), "upload.json")):
            with open(os.path.join(folder, name), "w") as out:
                out.write("{" * 50000)
        status = box.status()
        expect(len(status["warnings"]) >= 2, status)
        box.send(BUNDLE)
        expect(box.install(BUNDLE).status == 202, "refused")


def the_health_check_asks_the_site():
    with World() as world:
        box = Box(world)
        daemon = [os.path.join(os.environ["LEASEHOLD_BUILD"], "leaseholdd"),
                  "health", "--config", box.site.config]
        done = run(*daemon)
        expect(done.status == 0 and "is well" in done.out, done.err)
        box.site.stop()
        done = run(*daemon)
        expect(done.status == 1 and "not well" in done.err, done.err)


if __name__ == "__main__":
    sys.exit(main([
        an_update_is_sent_installed_and_journaled,
        a_cut_upload_goes_on_where_it_was,
        a_site_that_starts_in_the_middle_is_waited_for,
        another_file_than_its_digest_says_is_thrown_away,
        one_at_a_time,
        a_request_that_nobody_heard_of_is_made_again,
        of_a_stick_only_when_an_admin_says_so,
        stores_keep_their_format_as_long_as_there_is_a_way_back,
        too_large_or_no_room_is_refused_before_a_byte,
        a_site_on_no_appliance_says_so,
        files_that_nobody_can_read_stop_nothing,
        the_health_check_asks_the_site,
    ]))
