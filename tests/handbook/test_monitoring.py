"""The rules for Prometheus and the dashboard: Prometheus takes them, and they ask for what ``/metrics`` tells."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from backend.db.database import Database
from backend.lib import metrics
from backend.monitoring import gauges
from tests.handbook import handbook
from tests.handbook.handbook import FOLDER
from tests.interop import programs

OPERATIONS = FOLDER / "operations"
RULES = yaml.safe_load((OPERATIONS / "rules.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
DASHBOARD = json.loads((OPERATIONS / "dashboard.json").read_text(encoding="utf-8"))
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
_METRIC = re.compile(r"\bcarillon_\w+")
_MATCHER = re.compile(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\bby\s*\(([^)]*)\)")
# What Prometheus adds itself.
_OF_PROMETHEUS = {"job", "instance", "le"}


def promtool(*arguments: str, folder: Path = OPERATIONS) -> str:
    done = subprocess.run(
        [programs.path("promtool"), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def exposed(database: Database) -> dict[str, set[str]]:
    """Return the labels of every figure that ``/metrics`` has, by its name there."""
    gauges.clear()
    labels: dict[str, set[str]] = {"carillon_database_up": set()}
    text = metrics.exposition(gauges.State()).decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
        labels.setdefault(family.name, set())
    for instrument in (vars(metrics)[name] for name in vars(metrics)):
        if isinstance(instrument, metrics.Counter | metrics.Histogram):
            for one in instrument.describe():
                names = {f"{one.name}_{end}" for end in ("total", "bucket", "sum", "count")}
                labels |= {name: labels.get(name, set()) | set(instrument._labelnames) for name in names}
    return labels


def test_prometheus_takes_the_rules_and_their_tests_hold() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "rules.yml")
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yml")


def test_prometheus_takes_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(QUERIES)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", "queries.yml", folder=tmp_path)
    assert len(rules) > 20


@pytest.mark.parametrize("query", [*QUERIES, *(rule["expr"] for rule in RULES)])
def test_a_query_asks_for_what_is_there(query: str, exposed: dict[str, set[str]]) -> None:
    asked = set(_METRIC.findall(query))
    assert asked <= exposed.keys()
    known = _OF_PROMETHEUS.union(*(exposed[name] for name in asked))
    grouped = {name.strip() for names in _GROUPING.findall(query) for name in names.split(",")}
    assert set(_MATCHER.findall(query)) | grouped <= known


def test_each_alert_is_explained() -> None:
    page = OPERATIONS / "alerts.md"
    told = {title.strip() for title in re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)}
    assert told == {rule["alert"] for rule in RULES}
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"/docs/guide/operations/alerts#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert f"| [{rule['alert']}](#{rule['alert'].lower()}) | {rule['labels']['severity']} |" in page.read_text()


def test_each_figure_that_a_page_names_is_exposed(exposed: dict[str, set[str]]) -> None:
    for page in handbook.pages():
        for code in handbook.codes(page):
            asked: set[Any] = set(_METRIC.findall(code))
            assert {name for name in asked if name not in exposed and f"{name}_bucket" not in exposed} == set(), page
