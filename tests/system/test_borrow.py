#!/usr/bin/python3
"""Seats that a workstation takes along: the real agent, library and command
line, on a TPM, with a site that goes away and comes back."""

import json
import os
import shutil
import signal
import time

from harness import (PRODUCT, Agent, App, Site, World, expect, main,
                     terms, wait_for)
from line import Line, fresh
from tpms import Tpm, tpm_config

DONE, FAILED, USAGE, REFUSED, AWAY = range(5)
DAYS = 2 * 86400


class Trip:
    """A site that lends, and one workstation of it, with a TPM."""

    def __init__(self, world, commit=5, class_="tpm", classes=None):
        self.world = world
        self.site = Site(world, config=tpm_config(world))
        self.site.start()
        document = terms(commit=commit, overage=0)
        if classes is not None:
            document["terms"]["borrow_classes"] = list(classes)
        self.site.install(document)
        self.tpm = Tpm(world) if class_ == "tpm" else None
        self.agent = Agent(world, tpm=self.tpm)
        self.agent.start()
        self.agent.enroll(self.site, self.site.token("--class", class_))

    def cli(self, *args):
        return self.agent.cli("--json", *args)

    def take(self, count=1, time_="2d"):
        done = self.cli("borrow", "take", PRODUCT, "--for", time_, "--count",
                        str(count), "--version", "8.1.0")
        expect(done.status == DONE, "take: " + done.err)
        return done.json()["lease"]

    def borrows(self):
        done = self.cli("borrow", "list")
        expect(done.status == DONE, "list: " + done.err)
        return {item["lease"]: item for item in done.json()["items"]}

    def lent(self):
        """What the site has on loan, by its own list."""
        done = self.site.cli("--json", "borrow", "list", "--site")
        expect(done.status == DONE, "list --site: " + done.err)
        return {item["lease"]: item for item in done.json()["items"]}

    def unless_returning(self, lease):
        """The same, or None while a return of this one is under way."""
        lent = self.lent()
        known = lent.get(lease, {"state": "returned"})
        return None if known["state"] == "returning" else lent

    def go(self):
        """Out of reach of the site."""
        self.site.stop()
        wait_for(lambda: not self.agent.status().get("connected"),
                 "the agent does not see that the site is gone")

    def come_back(self):
        self.site.start()
        self.agent.wait_connected(40)

    def app(self, name="app", **options):
        return App(self.world, self.agent.socket, name=name, **options)

    def run(self, name="app", **options):
        """An application that has its seat."""
        app = self.app(name, **options)
        expect(app.wait() is not None, "no seat: " + app.errors())
        return app

    def kill_keeper(self):
        """As hard as it goes; the agent starts another."""
        keeper = self.agent.child("keeper")
        os.kill(keeper, signal.SIGKILL)
        wait_for(lambda: self.agent.child("keeper") != keeper and
                 self.agent.status(), "no other keeper")


def lost(app, timeout=20):
    """The line that says that the seat is gone."""
    while True:
        line = app.process.stdout.readline()
        expect(line, "the application ended: " + app.errors())
        if json.loads(line).get("event") == "lost":
            return json.loads(line)


def applications_run_offline_on_borrowed_seats():
    with World() as world:
        trip = Trip(world)
        lease = trip.take(2)
        trip.go()
        first, second = trip.run("first"), trip.run("second")
        expect(first.lease["lease"] == lease, first.lease)
        expect(second.lease["lease"] == lease, second.lease)
        expect(trip.borrows()[lease]["used"] == 2, trip.borrows())
        third = trip.app("third")
        expect(third.wait(40) is None, "a third of two seats")
        expect("borrowed seats 0 are free" in third.errors() or
               third.status != 0, third.errors())
        first.stop()
        wait_for(lambda: trip.borrows()[lease].get("used") == 1,
                 "the seat is not back")
        trip.run("fourth")


def borrowed_seat_is_used_first_also_while_the_site_is_there():
    with World() as world:
        trip = Trip(world)
        lease = trip.take()
        expect(trip.run().lease["lease"] == lease, "another seat was taken")
        expect(len(trip.site.leases()) == 1, trip.site.leases())


def return_of_one_of_three_lets_the_others_go_on():
    with World() as world:
        trip = Trip(world)
        leases = [trip.take() for _ in range(3)]
        apps = {app.lease["lease"]: app for app in
                (trip.run("app-%d" % i) for i in range(3))}
        expect(sorted(apps) == sorted(leases), apps)
        back = leases[1]
        done = trip.cli("borrow", "return", str(back))
        expect(done.status == DONE and done.json()["proved"], done.err)
        expect(lost(apps[back])["lease"] == back, "another was told")
        expect(sorted(trip.lent()) == [leases[0], leases[2]], trip.lent())
        trip.go()
        # The others are proved at the counter's new value.
        for lease in (leases[0], leases[2]):
            expect(apps[lease].process.poll() is None, "it ended")
            apps[lease].stop()
            app = trip.run("again-%d" % lease)
            expect(app.lease["lease"] == lease, app.lease)
        expect(trip.app("other").wait(40) is None, "a seat too many")


def extension_lasts_longer_offline():
    with World() as world:
        trip = Trip(world)
        lease = trip.take(time_="1h")
        before = trip.borrows()[lease]["until"]
        done = trip.cli("borrow", "extend", str(lease), "--for", "3d")
        expect(done.status == DONE, done.err)
        trip.go()
        expect(trip.borrows()[lease]["until"] > before, trip.borrows())
        expect(trip.run().lease["lease"] == lease, "no seat")
        done = trip.cli("borrow", "extend", str(lease), "--for", "3d")
        expect(done.status == AWAY, "extended without the site: " + done.out)


def all_returned_offline_is_delivered_at_the_next_contact():
    with World() as world:
        trip = Trip(world)
        trip.take(2)
        lease = trip.take(1)
        app = trip.run()
        trip.go()
        done = trip.cli("borrow", "return", str(lease))
        expect(done.status == AWAY, "without the site: " + done.out)
        path = world.path("return.json")
        done = trip.cli("borrow", "return", "--all", "--offline", path)
        expect(done.status == DONE, done.err)
        expect(done.json()["count"] == 2 and not done.json()["proved"],
               done.out)
        expect(lost(app)["lease"] in trip.borrows(), "another was told")
        expect(trip.app("late").wait(40) is None, "a seat that went back")
        trip.come_back()
        wait_for(lambda: not trip.lent(), "the site was not told")
        expect(trip.borrows() == {}, trip.borrows())


def file_of_an_offline_return_frees_the_seats():
    with World() as world:
        trip = Trip(world)
        trip.take(2)
        trip.go()
        path = world.path("return.json")
        done = trip.cli("borrow", "return", "--all", "--offline", path)
        expect(done.status == DONE, done.err)
        trip.agent.stop()
        trip.site.start()
        expect(len(trip.lent()) == 1, trip.lent())
        done = trip.site.cli("--json", "borrow", "deliver", path)
        expect(done.status == DONE and done.json()["ended"] == 1, done.err)
        expect(trip.lent() == {}, trip.lent())
        # Once more says nothing new, and the agent finds all settled.
        done = trip.site.cli("--json", "borrow", "deliver", path)
        expect(done.status == DONE and done.json()["ended"] == 0, done.err)
        trip.agent.start()
        trip.agent.wait_connected()
        wait_for(lambda: trip.borrows() == {}, "the agent keeps it")
        trip.take(1)


def keeper_killed_in_a_return_goes_on_with_it():
    """At moments that chance picks; the unit tests pick each step."""
    with World() as world:
        trip = Trip(world, commit=30)
        kept = trip.take()
        app = trip.run()
        for delay_ms in (0, 1, 2, 4, 6, 9, 13, 20):
            back = trip.take()
            line = Line(trip.agent.socket)
            line.ask("borrow.return", lease=back)
            time.sleep(delay_ms / 1000)
            trip.kill_keeper()
            line.close()
            trip.agent.wait_connected(40)
            # What the site has prepared goes on by itself.
            left = wait_for(lambda: trip.unless_returning(back),
                            "the return does not go on", 20)
            expect(kept in left, "a borrow was lost: %s" % left)
            if back in left:
                # It never heard of it: then nothing was begun.
                expect(left[back]["state"] == "lent", left)
                done = trip.cli("borrow", "return", str(back))
                expect(done.status == DONE and done.json()["proved"],
                       done.err)
            expect(sorted(trip.borrows()) == [kept], trip.borrows())
            expect(trip.borrows()[kept].get("used") == 1, trip.borrows())
        expect(app.process.poll() is None, app.errors())
        trip.site.verify()


def keeper_killed_in_a_take_loses_no_seat():
    with World() as world:
        trip = Trip(world, commit=30)
        for delay_ms in (0, 1, 2, 4, 7, 12):
            line = Line(trip.agent.socket)
            line.ask("borrow.take", product=PRODUCT, version="8.1.0",
                     length_s=DAYS, request=fresh(16))
            time.sleep(delay_ms / 1000)
            trip.kill_keeper()
            line.close()
            trip.agent.wait_connected(40)
            expect(sorted(trip.borrows()) == sorted(trip.lent()),
                   "%s %s" % (trip.borrows(), trip.lent()))


def borrow_outlives_agent_and_site():
    with World() as world:
        trip = Trip(world)
        lease = trip.take()
        trip.go()
        app = trip.run()
        trip.kill_keeper()
        expect(trip.borrows()[lease]["used"] == 1, "its use was forgotten")
        expect(app.process.poll() is None, app.errors())
        app.stop()
        trip.agent.stop()
        trip.agent.start()
        app = trip.run("after")
        expect(app.lease["lease"] == lease, app.lease)
        trip.come_back()
        trip.site.kill()
        trip.site.start()
        trip.agent.wait_connected(40)
        expect(sorted(trip.lent()) == [lease], trip.lent())
        done = trip.cli("borrow", "return", "--all")
        expect(done.status == DONE and done.json()["proved"], done.err)
        expect(lost(app)["lease"] == lease, "nobody was told")
        expect(trip.lent() == {}, trip.lent())


def machine_that_starts_again_has_its_borrow():
    """With its TPM reset, as a machine does that is switched off and on; the
    applications of before are gone."""
    with World() as world:
        trip = Trip(world)
        lease = trip.take()
        trip.go()
        trip.run().kill()
        trip.agent.stop()
        trip.tpm.restart()
        trip.agent.start()
        app = trip.run("after")
        expect(app.lease["lease"] == lease, app.lease)
        # A power cut, in which the clock may have lost time: it is charged.
        trip.agent.process.kill()
        app.kill()
        trip.tpm.kill()
        trip.tpm.start()
        wait_for(lambda: trip.agent.process.poll() is not None, "it runs")
        trip.agent.start()
        expect(trip.run("later").lease["lease"] == lease, "it was lost")
        trip.come_back()
        expect(sorted(trip.lent()) == [lease], trip.lent())


def resets_that_eat_up_a_short_borrow_end_it():
    """Each may have lost up to 70 minutes of the TPM's clock."""
    with World() as world:
        trip = Trip(world)
        lease = trip.take(time_="1h")
        trip.go()
        expect(trip.run().lease["lease"] == lease, "no seat")
        trip.agent.stop()
        trip.tpm.restart()
        trip.agent.start()
        expect(trip.app("late").wait(40) is None, "a seat after its time")
        expect(trip.borrows()[lease]["state"] == "unproven", trip.borrows())
        trip.come_back()
        wait_for(lambda: trip.lent() == {}, "it is not settled")


def tpm_that_goes_away_takes_no_seat_at_once():
    with World() as world:
        trip = Trip(world)
        lease = trip.take(2)
        trip.go()
        app = trip.run()
        trip.tpm.kill()
        expect(trip.app("other").wait(40) is None, "a seat without a proof")
        expect(app.process.poll() is None, app.errors())
        trip.tpm.start()
        expect(trip.run("later").lease["lease"] == lease, "no seat")
        expect(trip.borrows()[lease]["used"] == 2, trip.borrows())


def borrow_that_ran_out_is_unproven_until_the_next_contact():
    with World() as world:
        trip = Trip(world)
        lease = trip.take(time_="3s")
        app = trip.run()
        trip.go()
        expect(lost(app, 40)["lease"] == lease, "it goes on")
        # The library goes by the TPM's clock, the agent by the wall's too.
        wait_for(lambda: trip.borrows()[lease]["state"] == "unproven",
                 "it is not over")
        expect(trip.app("late").wait(40) is None, "a seat after its time")
        trip.site.start()
        trip.agent.wait_connected(40)
        wait_for(lambda: trip.lent() == {}, "it is not settled")
        expect(trip.borrows() == {}, trip.borrows())
        trip.take()


def class_that_may_not_borrow_is_refused_by_name():
    with World() as world:
        trip = Trip(world, class_="software")
        done = trip.cli("borrow", "take", PRODUCT, "--for", "2d",
                        "--version", "8.1.0")
        expect(done.status == REFUSED, "%d %s" % (done.status, done.err))
        expect("class_not_allowed" in done.out + done.err and
               "software" in done.out + done.err, done.err + done.out)


def copied_state_is_of_no_use_after_the_return():
    """The whole state of the agent, put back on the same machine: its TPM goes
    on counting."""
    with World() as world:
        trip = Trip(world)
        trip.take()
        trip.go()
        trip.agent.stop()
        shutil.copytree(trip.agent.state, world.path("saved"))
        trip.agent.start()
        done = trip.cli("borrow", "return", "--all", "--offline",
                        world.path("return.json"))
        expect(done.status == DONE, done.err)
        trip.agent.stop()
        shutil.rmtree(trip.agent.state)
        shutil.copytree(world.path("saved"), trip.agent.state)
        trip.agent.start()
        expect(trip.app().wait(40) is None, "a seat that was given back")


if __name__ == "__main__":
    main([
        applications_run_offline_on_borrowed_seats,
        borrowed_seat_is_used_first_also_while_the_site_is_there,
        return_of_one_of_three_lets_the_others_go_on,
        extension_lasts_longer_offline,
        all_returned_offline_is_delivered_at_the_next_contact,
        file_of_an_offline_return_frees_the_seats,
        keeper_killed_in_a_return_goes_on_with_it,
        keeper_killed_in_a_take_loses_no_seat,
        borrow_outlives_agent_and_site,
        machine_that_starts_again_has_its_borrow,
        resets_that_eat_up_a_short_borrow_end_it,
        tpm_that_goes_away_takes_no_seat_at_once,
        borrow_that_ran_out_is_unproven_until_the_next_contact,
        class_that_may_not_borrow_is_refused_by_name,
        copied_state_is_of_no_use_after_the_return,
    ], together=True)
