#!/usr/bin/python3
"""What an application says was used: library, agent, site, and what the site
shows of it."""

import os
import sys

from harness import (PRODUCT, ROOT, Agent, Site, World, binary, expect,
                     for_plain_programs, main, run, terms, wait_for)

# enum lh_error
SITE, NOT_ENTITLED, REFUSED = -4, -22, -26


def limited():
    document = terms(commit=1, overage=0)
    document["limits"] = [
        {"metric": "api_calls", "per": "month", "amount": 100}]
    return document


class Place:
    """A site, and a workstation of it."""

    def __init__(self, world):
        self.world = world
        self.site = Site(world)
        self.site.start()
        self.site.install(limited())
        self.agent = Agent(world)
        self.agent.start()
        self.agent.enroll(self.site)

    def tell(self, event, metric, amount, *kind, product=PRODUCT):
        """As an application: the library's error, whether it was known, and
        its words."""
        done = run(binary("tests/system/usage_tool"), self.world.vendor_key,
                   self.agent.socket, product, event, metric, amount, *kind)
        told = done.json()
        expect(done.status == (0 if told["error"] == 0 else 3), done.err)
        return told["error"], told["repeated"], done.err

    def metrics(self):
        shown = self.site.cli("--json", "usage", "current")
        expect(shown.status == 0, shown.err)
        return {one["metric"]: one
                for one in shown.json()["licenses"][0]["metrics"]}

    def counted(self, metric="api_calls"):
        return self.metrics()[metric]["this_month"]


def what_an_application_tells_is_what_the_site_shows():
    with World() as world:
        place = Place(world)
        expect(place.tell("e1", "api_calls", 40)[:2] == (0, False), "first")
        expect(place.tell("e2", "api_calls", 2)[:2] == (0, False), "second")
        expect(place.tell("e3", "storage_mb", 512, "gauge")[:2] ==
               (0, False), "a gauge")
        # Told again, by another process: it was counted.
        expect(place.tell("e1", "api_calls", 40)[:2] == (0, True), "again")
        expect(place.counted() == 42, place.metrics())
        expect(place.metrics()["storage_mb"]["value"] == 512,
               place.metrics())
        shown = place.site.cli("--json", "usage", "report")
        expect(shown.status == 0, shown.err)
        summary = shown.json()["usageReport"]["summary"]
        expect(summary["totalApiCalls"] == 42, summary)
        place.site.verify()


def an_event_counts_once_across_a_crash_of_the_site():
    with World() as world:
        place = Place(world)
        expect(place.tell("e1", "api_calls", 40)[:2] == (0, False), "first")
        place.site.kill()
        wait_for(lambda: not place.agent.status()["connected"],
                 "the agent does not notice")
        error, _, words = place.tell("e2", "api_calls", 2)
        expect(error == SITE and "same event" in words, (error, words))
        place.site.start()
        place.agent.wait_connected()
        # Who did not hear what became of it says it again.
        expect(place.tell("e1", "api_calls", 40)[:2] == (0, True), "known")
        expect(place.tell("e2", "api_calls", 2)[:2] == (0, False), "new")
        expect(place.counted() == 42, place.metrics())


def a_refusal_reaches_the_application_and_counts_nothing():
    with World() as world:
        place = Place(world)
        expect(place.tell("e1", "api_calls", 99)[0] == 0, "99 of 100")
        error, _, words = place.tell("e2", "api_calls", 2)
        expect(error == REFUSED and "100" in words, (error, words))
        error, _, words = place.tell("e3", "api_calls", 1,
                                     product="another-product")
        expect(error == NOT_ENTITLED and "another-product" in words,
               (error, words))
        error, _, words = place.tell("e4", "api_calls", 1, "gauge")
        expect(error == REFUSED and "other kind" in words, (error, words))
        expect(place.counted() == 99, place.metrics())
        # The refused event was not used up.
        expect(place.tell("e2", "api_calls", 1)[:2] == (0, False), "1 more")
        expect(place.counted() == 100, place.metrics())


PYTHON = """
import sys
from leasehold import LicenseClient, InvalidArgumentError, RefusedError
key, socket, product = sys.argv[1:]
with LicenseClient(key, product=product, socket_path=socket,
                   state_folder="") as client:
    assert client.report_usage("api_calls", 7, event_id="p1") is True
    assert client.report_usage("api_calls", 7, event_id="p1") is False
    assert client.report_usage("seats_shown", 3, event_id="p2", gauge=True)
    try:
        client.report_usage("api_calls", 94, event_id="p3")
    except RefusedError as error:
        assert "100" in str(error), error
    else:
        raise AssertionError("a limit was passed")
    for bad in ({"amount": -1}, {"amount": 1.5}, {"amount": 1 << 53},
                {"event_id": ""}, {"metric": ""}, {"product": ""}):
        given = {"metric": "api_calls", "amount": 1, "event_id": "p4"}
        given.update(bad)
        try:
            client.report_usage(**given)
        except InvalidArgumentError:
            continue
        raise AssertionError(bad)
"""


def so_does_one_in_python():
    with World() as world:
        place = Place(world)
        env = dict(for_plain_programs(),
                   PYTHONPATH=os.path.join(ROOT, "agent", "lib", "python"),
                   LEASEHOLD_LIBRARY=binary("libleasehold.so.1"))
        done = run("/usr/bin/python3", "-c", PYTHON, world.vendor_key,
                   place.agent.socket, PRODUCT, env=env)
        expect(done.status == 0, done.err)
        expect(place.counted() == 7, place.metrics())
        expect(place.metrics()["seats_shown"]["value"] == 3,
               place.metrics())


if __name__ == "__main__":
    sys.exit(main([
        what_an_application_tells_is_what_the_site_shows,
        an_event_counts_once_across_a_crash_of_the_site,
        a_refusal_reaches_the_application_and_counts_nothing,
        so_does_one_in_python,
    ]))
