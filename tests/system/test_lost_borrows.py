#!/usr/bin/python3
"""Borrows when the site's store was put back to an older copy: what devices
took, returned and got replaced on the branch that was lost."""

import sys

from harness import PRODUCT, World, expect, main, wait_for
from test_borrow import Trip


def acknowledge(site):
    expect(site.ready()["rolled_back"], "nobody noticed: %s" % site.ready())
    done = site.cli("--json", "site", "acknowledge-rollback", "--reason",
                    "the disk failed")
    expect(done.status == 0, done.err)


def put_back(trip, copy):
    """To the copy, without anybody having come before the admin."""
    trip.site.stop()
    trip.site.put_back(copy)
    trip.site.start()
    acknowledge(trip.site)
    trip.agent.wait_connected(40)


def copy_of(trip):
    trip.site.stop()
    copy = trip.site.snapshot()
    trip.come_back()
    return copy


def used(trip):
    shown = trip.site.cli("--json", "license", "show", "license-1").json()
    return shown.get("used_commit", 0) + shown.get("used_overage", 0)


def a_borrow_of_the_lost_branch_is_known_again():
    with World() as world:
        trip = Trip(world, commit=3)
        kept = trip.take()
        copy = copy_of(trip)
        lost = trip.take(2)
        put_back(trip, copy)
        wait_for(lambda: sorted(trip.lent()) == sorted([kept, lost]),
                 "the site lends %s" % trip.lent(), 30)
        expect(used(trip) == 3, used(trip))
        wait_for(lambda: sorted(trip.borrows()) == sorted([kept, lost]),
                 "the device has %s" % trip.borrows())
        # It goes on offline, and comes back by proof.
        trip.go()
        trip.run("away")
        trip.come_back()
        done = trip.cli("borrow", "return", "--all")
        expect(done.status == 0, done.err)
        wait_for(lambda: used(trip) == 0, "the seats: %d" % used(trip), 20)
        expect(not trip.lent() and not trip.borrows(), trip.lent())
        # Nor is it in the way of the next one.
        expect(trip.take(3) > 10 ** 9, "a number of before")
        found = trip.site.verify()
        expect(found["generation"] == 2, found)


def a_return_that_the_lost_branch_journaled_is_not_lost():
    """The copy still has the borrow. The device's counter says that it is over,
    once: the seat is free, and not free twice."""
    with World() as world:
        trip = Trip(world, commit=2)
        one, two = trip.take(), trip.take()
        copy = copy_of(trip)
        done = trip.cli("borrow", "return", "borrow-%d" % one)
        expect(done.status == 0, done.err)
        put_back(trip, copy)
        wait_for(lambda: list(trip.lent()) == [two],
                 "the site lends %s" % trip.lent(), 30)
        expect(used(trip) == 1, used(trip))
        # The other one has a ticket above the fence.
        wait_for(lambda: list(trip.borrows()) == [two], trip.borrows())
        trip.go()
        trip.run("away")
        trip.come_back()
        trip.take()
        refused = trip.cli("borrow", "take", PRODUCT, "--for", "1d",
                           "--version", "8.1.0")
        expect(refused.status == 3, "a third seat of two")
        trip.site.verify()


if __name__ == "__main__":
    sys.exit(main([
        a_borrow_of_the_lost_branch_is_known_again,
        a_return_that_the_lost_branch_journaled_is_not_lost,
    ]))
