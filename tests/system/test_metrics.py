#!/usr/bin/python3
"""Figures for Prometheus, and what health says in words."""

import json
import os
import re
import shutil
import subprocess
import sys

from api import Api
from harness import (BUILD, PRODUCT, ROOT, Agent, Site, World, expect, main,
                     terms, wait_for)

LINE = re.compile(r'^([a-z_]+)(\{([a-z_]+="([^"\\]|\\.)*",?)*\})? '
                  r'[0-9.e+-]+$')


def figures(text):
    """{name{labels}: value}; the format is checked on the way."""
    found, families, last = {}, set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split()[2]
            expect(name not in families, "%s stands twice" % name)
            families.add(name)
            last = name
            continue
        if line.startswith("# TYPE "):
            expect(line.split()[2] == last, line)
            continue
        expect(LINE.match(line), "no line of Prometheus: %r" % line)
        expect(line.startswith(last), "%s among %s" % (line, last))
        name, _, value = line.rpartition(" ")
        expect(name not in found, "%s stands twice" % name)
        found[name] = float(value)
    return found


def promtool():
    """Prometheus' own checker; `make metrics-check` brings it."""
    beside = os.path.join(os.path.dirname(BUILD), "prometheus", "usr", "bin",
                          "promtool")
    return beside if os.path.exists(beside) else shutil.which("promtool")


def figures_tell_seats_and_refusals():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms(commit=2, overage=1))
        agent = Agent(world, "workstation-7")
        agent.start()
        agent.enroll(site)
        api = Api(site)
        answer = api.get("/metrics")
        expect(answer.status == 200 and answer.headers["Content-Type"] ==
               "text/plain; version=0.0.4", (answer, answer.headers))
        seats = ('leasehold_seats_in_use{tenant="default",license="%s",'
                 'product="%s",feature="",type="commit"}')
        license_id = api.get("/api/v1/licenses").json()["items"][0][
            "license_id"]
        seats %= (license_id, PRODUCT)
        before = figures(answer.body.decode())
        expect(before[seats] == 0, before)
        done = agent.cli("run", PRODUCT, "--version", "8.1.0", "--", "sh",
                         "-c", "true")
        expect(done.status == 0, done.err)
        api.get("/api/v1/leases/999")
        api.get("/api/v1/leases", key="clsk_default_" + "A" * 43)
        after = figures(api.get("/metrics").body.decode())
        for code in ("unauthenticated",):
            name = 'leasehold_refusals_total{code="%s"}' % code
            expect(after[name] == before[name] + 1, after)
        count = 'leasehold_commit_seconds_count{tenant="default"}'
        expect(after[count] > before[count] > 0, after)
        last = 'leasehold_commit_seconds_bucket{tenant="default",le="+Inf"}'
        expect(after[last] == after[count], after)
        expect(after['leasehold_agents_connected{tenant="default"}'] == 1,
               after)
        text = api.get("/metrics").body
        expect(agent.name.encode() not in text, text)
        tool = promtool()
        if tool is not None:
            said = subprocess.run([tool, "check", "metrics"], input=text,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False)
            expect(said.returncode == 0, said.stdout.decode())
            print("# promtool agrees")


def only_who_may_sees_them_unless_they_are_open():
    with World() as world:
        site = Site(world)
        site.start()
        expect(Api(site, key="").get("/metrics").status == 401, "closed")
        site.stop()
        shown = Site(world, "shown", config="[metrics]\nopen=yes\n")
        shown.start()
        answer = Api(shown, key="").get("/metrics")
        expect(answer.status == 200, answer)
        expect("leasehold_ready" in figures(answer.body.decode()), answer)
        answer = Api(shown, key="rubbish").get("/metrics")
        expect(answer.status == 401, answer)
        expect(Api(shown, key="").get("/api/v1/site").status == 401, "site")


def health_says_what_keeps_the_count():
    with World() as world:
        site = Site(world)
        site.start()
        api = Api(site, key="")
        ready = wait_for(lambda: api.get("/readyz"), "no answer")
        expect(ready.status == 200 and ready.json() ==
               {"status": "ok", "witness": "file"}, ready)
        expect(api.get("/healthz").json()["status"] == "ok", "healthz")


PACKAGING = os.path.join(ROOT, "packaging")
RULES = os.path.join(PACKAGING, "prometheus", "leasehold.rules.yml")
DASHBOARD = os.path.join(PACKAGING, "grafana", "leasehold.json")


def every_figure_that_rules_and_dashboard_name_is_there():
    with World() as world:
        site = Site(world)
        site.start()
        site.install(terms())
        text = Api(site).get("/metrics").body.decode()
        there = {re.match("[a-z_]+", name).group()
                 for name in figures(text)}
        with open(DASHBOARD, encoding="utf-8") as f:
            board = json.load(f)
        expressions = [target["expr"] for panel in board["panels"]
                       for target in panel.get("targets", ())]
        expect(len(expressions) > 15, "no panels")
        for variable in board["templating"]["list"]:
            expressions.append(variable.get("definition", ""))
        with open(RULES, encoding="utf-8") as f:
            expressions.append(f.read())
        named = {name for expression in expressions
                 for name in re.findall(r"\bleasehold_[a-z_]+", expression)}
        expect(len(named) > 15 and named <= there, sorted(named - there))
        # And their labels.
        labels = set(re.findall(r'[{,]([a-z_]+)="', text))
        used = {name for expression in expressions for name in
                re.findall(r"[{,]\s*([a-z_]+)=~?\"", expression)}
        expect(used <= labels | {"instance", "job"}, used - labels)


def promtool_takes_the_rules_and_they_do_what_they_say():
    tool = promtool()
    if tool is None:
        print("# promtool is not here: make metrics-check")
        return
    for args in (("check", "rules", RULES),
                 ("test", "rules", "leasehold.test.yml")):
        said = subprocess.run([tool, *args], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False,
                              cwd=os.path.dirname(RULES))
        expect(said.returncode == 0, said.stdout.decode())
    print("# promtool agrees with the rules")


if __name__ == "__main__":
    sys.exit(main([
        figures_tell_seats_and_refusals,
        only_who_may_sees_them_unless_they_are_open,
        health_says_what_keeps_the_count,
        every_figure_that_rules_and_dashboard_name_is_there,
        promtool_takes_the_rules_and_they_do_what_they_say,
    ]))
