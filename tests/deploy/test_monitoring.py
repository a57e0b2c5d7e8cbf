"""Prometheus asks every process, and alerts and dashboard ask for what is exported: a wrong name answers nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from gateway.contract.decisions import Outcome
from gateway.settings import load
from gateway.streams.worker import WorkerState
from tests.deploy.files import (
    DEPLOY,
    ROOT,
    Document,
    document,
    environment,
    expressions,
    mounts,
    our_processes,
    panels,
    roles,
    rules,
    services,
)
from tests.deploy.promql import problems_with, series_in

ALERT_CASES = Path(__file__).parent / "alerts_test.yml"

ASKED_FOR = {
    "sendguard_ready",
    "sendguard_decisions_total",
    "sendguard_honour_seconds_bucket",
    "sendguard_barrier_seconds_bucket",
    "sendguard_holding_seconds",
    "sendguard_view_lag_records",
    "sendguard_oldest_undecided_age_seconds",
    "sendguard_oldest_undecided_retention_ratio",
    "sendguard_signals_total",
    "sendguard_signal_notes_total",
    "sendguard_webhooks_refused_total",
    "sendguard_spool_age_seconds",
    "sendguard_receipts_total",
    "sendguard_dispatch_messages",
    "sendguard_dispatch_accounts",
    "sendguard_drift_addresses",
}
"""What an operator must see without having to write a query."""

MUST_ALERT = {
    "sendguard_ready",
    "sendguard_holding_seconds",
    "sendguard_spool_age_seconds",
    "sendguard_oldest_undecided_age_seconds",
    "sendguard_oldest_undecided_retention_ratio",
    "sendguard_webhooks_refused_total",
    "sendguard_workers",
    "sendguard_reconcile_age_seconds",
    "sendguard_drift_addresses",
    "sendguard_dispatch_accounts",
    "sendguard_dispatch_messages",
}

GRID_WIDTH = 24
"""Of a dashboard."""


def test_prometheus_asks_every_process_of_ours_and_nobody_else() -> None:
    (job,) = document("prometheus/prometheus.yml")["scrape_configs"]
    assert job["job_name"] == "sendguard"
    asked = {target: [group["labels"]["role"]] for group in job["static_configs"] for target in group["targets"]}
    ours = our_processes()
    assert asked == {f"{name}:{load(environment(service)).http.port}": roles(service) for name, service in ours.items()}


def test_prometheus_reads_the_alert_rules() -> None:
    folder = mounts(services()["prometheus"])["/etc/prometheus"].removesuffix(":ro")
    configuration = document("prometheus/prometheus.yml")
    assert "--config.file=/etc/prometheus/prometheus.yml" in services()["prometheus"]["command"]
    assert configuration["rule_files"]
    assert [name for name in configuration["rule_files"] if not (DEPLOY / folder / name).is_file()] == []


@pytest.mark.parametrize(("where", "expression"), expressions(), ids=lambda text: text[:40])
def test_every_query_asks_for_metrics_and_labels_that_are_exported(where: str, expression: str) -> None:
    assert problems_with(expression) == [], where


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("sendguard_redy == 0", "sendguard_redy is not exported"),
        ("rate(sendguard_honour_seconds[5m])", "sendguard_honour_seconds is not exported"),
        ('sendguard_workers{status="serving"}', "sendguard_workers has no label status"),
        ("sum by (chanel) (sendguard_decisions_total)", "nothing in it has the label chanel"),
    ],
)
def test_a_query_for_what_is_not_exported_is_found(expression: str, said: str) -> None:
    assert said in problems_with(expression)


def test_values_of_labels_that_queries_name_are_ours() -> None:
    text = "\n".join(expression for _, expression in expressions())
    states = {state for found in re.findall(r'_workers\{[^}]*state=~?"([^"]+)"', text) for state in found.split("|")}
    assert states
    assert states <= set(WorkerState)
    assert set(re.findall(r'outcome="([^"]+)"', text)) <= set(Outcome)
    assert set(re.findall(r'\bjob="([^"]+)"', text)) == {"sendguard"}


def test_every_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on() -> None:
    runbooks = (DEPLOY / "runbooks.md").read_text()
    anchors = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"(?m)^## (.*)$", runbooks)
    }
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")
        path, _, anchor = rule["annotations"].get("runbook", "deploy/runbooks.md").partition("#")
        assert (ROOT / path).is_file()
        assert not anchor or anchor in anchors, rule["alert"]
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)


def test_what_must_wake_somebody_does() -> None:
    assert MUST_ALERT - set().union(*(series_in(rule["expr"]) for rule in rules())) == set()


def test_the_alert_for_partitions_that_nobody_serves_knows_how_many_there_are() -> None:
    (rule,) = (rule for rule in rules() if rule["alert"] == "SendguardPartitionsNotServed")
    for service in our_processes().values():
        assert rule["expr"].endswith(f" < {load(environment(service)).topics.request_partitions}")


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    cases = yaml.safe_load(ALERT_CASES.read_text())["tests"]
    expected = [sample for case in cases for test in case["promql_expr_test"] for sample in test["exp_samples"]]
    fired = {name for sample in expected for name in re.findall(r'alertname="(\w+)"', sample["labels"])}
    assert fired == {rule["alert"] for rule in rules()}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "command", [("check", "config", str(DEPLOY / "prometheus/prometheus.yml")), ("test", "rules", str(ALERT_CASES))]
)
def test_promtool_takes_them_and_every_alert_fires_when_it_must(command: tuple[str, ...]) -> None:
    said = subprocess.run(["promtool", *command], capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr


def test_the_dashboard_shows_what_an_operator_asks_for() -> None:
    shown = set().union(*(series_in(target["expr"]) for panel in panels() for target in panel["targets"]))
    assert ASKED_FOR - shown == set()


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_panel_says_what_it_shows_and_in_which_unit(panel: Document) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_a_panel_of_seconds_shows_seconds() -> None:
    for panel in panels():
        of_seconds = any(re.search(r"_seconds(_bucket)?\b", target["expr"]) for target in panel["targets"])
        assert (panel["fieldConfig"]["defaults"]["unit"] == "s") == of_seconds, panel["title"]


def test_panels_have_names_of_their_own_and_do_not_lie_over_each_other() -> None:
    found = document("grafana/dashboards/sendguard.json")["panels"]
    assert len({panel["id"] for panel in found}) == len({panel["title"] for panel in found}) == len(found)
    for panel in found:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= GRID_WIDTH
    for one, other in combinations([panel["gridPos"] for panel in found], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    grafana = services()["grafana"]
    mounted = mounts(grafana)
    assert mounted["/etc/grafana/provisioning"] == "./grafana/provisioning:ro"
    (source,) = document("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    (provider,) = document("grafana/provisioning/dashboards/sendguard.yml")["providers"]
    (variable,) = (
        each
        for each in document("grafana/dashboards/sendguard.json")["templating"]["list"]
        if each["name"] == "datasource"
    )
    assert source["url"] == "http://prometheus:9090"
    assert variable["current"]["value"] == source["uid"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    folder = mounted[provider["options"]["path"]].removesuffix(":ro")
    assert str(home.parent) == provider["options"]["path"]
    assert (DEPLOY / folder / home.name).is_file()
