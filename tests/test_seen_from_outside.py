"""Metrics, health and the log: what is there is documented, and what documents and boards name is there."""

from __future__ import annotations

import ast
import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.errors import ServiceError
from monitor.service.metrics import Metrics, Standing
from monitor.service.probes import Probes
from monitor.service.supervision import Allowance, Supervisor

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "metrics.md").read_text()
RULES = (ROOT / "deploy" / "prometheus" / "squall.rules.yml").read_text()
BOARD = json.loads((ROOT / "deploy" / "grafana" / "squall.json").read_text())
SUFFIXES = ("_bucket", "_sum", "_count")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3", "8")


def asked(port: int, path: str, host: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        line.request("GET", path, headers={"Host": host, **headers})
        answer = line.getresponse()
        return answer.status, answer.read().decode()
    finally:
        line.close()


# Names


def test_every_metric_is_documented_and_every_documented_one_is_there(metrics: Metrics) -> None:
    told = set(re.findall(r"^\| `(squall_\w+)` \|", PAGE, re.MULTILINE))
    assert told == set(metrics.names())


def test_labels_of_the_page_are_those_of_the_metrics(metrics: Metrics) -> None:
    metrics.ran("poll", 0.1, 1.0, well=True)
    metrics.feeds(1, 2)
    metrics.reloaded(applied=True)
    metrics.model("fast", "cpu", 1)
    families = text_string_to_metric_families(metrics.page("")[0].decode())
    shown = {
        sample.name: set(sample.labels) - {"le"}
        for family in families
        for sample in family.samples
        if sample.name.startswith("squall_") and not sample.name.endswith("_created")
    }
    rows = dict(re.findall(r"^\| `(squall_\w+)` \| \w+ \|([^|]*)\|", PAGE, re.MULTILINE))
    for name, labels in shown.items():
        plain = re.sub("|".join(f"{one}$" for one in SUFFIXES), "", name)
        assert labels == set(re.findall(r"`(\w+)`", rows[plain])), name


@pytest.mark.parametrize("text", [RULES, json.dumps(BOARD)], ids=["rules", "board"])
def test_rules_and_board_ask_for_metrics_that_are_there(text: str, metrics: Metrics) -> None:
    known = set(metrics.names())
    named = set(re.findall(r"\bsquall_[a-z_]+\b", text))
    assert len(named) > 5
    for name in named:
        assert name in known or re.sub("|".join(f"{one}$" for one in SUFFIXES), "", name) in known, name


def test_the_rules_have_the_form_that_prometheus_reads() -> None:
    alerts = re.findall(r"^      - alert: (\w+)\n        expr: (.+)\n", RULES, re.MULTILINE)
    assert len(alerts) == RULES.count("- alert:") == len(dict(alerts)) > 5
    for name, expression in alerts:
        assert expression.count("(") == expression.count(")"), name
    assert RULES.count("way_out:") == RULES.count("summary:") == len(alerts)
    played = (ROOT / "deploy" / "prometheus" / "squall.tests.yml").read_text()
    assert all(played.count(name) >= 2 for name in dict(alerts)), "each is played once silent and once loud"
    panels = [panel["gridPos"] for panel in BOARD["panels"]]
    taken = [
        (x, y) for at in panels for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(taken) == len(set(taken)), "no panel covers another"


def events() -> Iterator[tuple[str, str]]:
    """Every event that is logged: the call's level, and its name."""
    for path in [*(ROOT / "monitor").rglob("*.py"), *(ROOT / "alerts").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in ("log", "_log")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                yield node.func.attr, str(node.args[0].value)


def test_every_event_of_the_log_is_documented() -> None:
    told = dict(re.findall(r"^\| `([a-z_]+)` \| (\w+)[^|]* \|", PAGE.partition("## The log")[2], re.MULTILINE))
    logged = {event: "error" if level == "exception" else level for level, event in events()}
    # These two choose their level by what happened.
    by_choice = {"alert_changed", "alert_updated", "delivery_attempted"}
    assert set(told) - by_choice == set(logged)
    assert {event: level for event, level in told.items() if event not in by_choice} == logged


# Over HTTP


def test_numbers_and_health_are_answered_on_loopback_alone(metrics: Metrics) -> None:
    at = [0.0]
    supervisor = Supervisor(lambda: at[0])
    supervisor.expect({"poll": Allowance(20, 60, vital=True)})
    metrics.holds(Standing(7, 3, 1, 2, 0, 4096))

    def sick() -> list[str]:
        return [one.words for one in supervisor.late()]

    with Probes(0, metrics, sick, lambda: ["detect: no baseline"]) as probes:
        status, page = asked(probes.port, "/metrics")
        assert status == 200
        found = {family.name: family for family in text_string_to_metric_families(page)}
        assert found["squall_headlines_awaiting"].samples[0].value == 3
        assert found["squall_build_info"].samples[0].labels == {"version": "1.2.3", "schema": "8"}
        assert "process_open_fds" in found
        assert asked(probes.port, "/metrics", Accept="application/openmetrics-text")[1].endswith("# EOF\n")
        assert asked(probes.port, "/healthz") == (200, "ok\n")
        at[0] = 100.0
        status, reason = asked(probes.port, "/healthz")
        assert (status, reason.startswith("late: its turn came 80 s ago")) == (503, True)
        assert asked(probes.port, "/readyz") == (503, "detect: no baseline\n")
        assert asked(probes.port, "/elsewhere")[0] == 404
        # A page of another site whose name was made to lead here.
        assert asked(probes.port, "/metrics", host="evil.example")[0] == 421
        assert asked(probes.port, "/metrics", host=f"localhost:{probes.port}")[0] == 200
        with pytest.raises(ServiceError, match=f"metrics.port {probes.port} on 127.0.0.1 cannot be had"):
            Probes(probes.port, metrics, sick, sick)


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/elsewhere"])
def test_head_is_answered_as_get_without_a_body(path: str, metrics: Metrics) -> None:
    """Load balancers and monitors of uptime ask by HEAD."""
    with Probes(0, metrics, list, lambda: ["detect: no baseline"]) as probes:
        status, page = asked(probes.port, path)
        with socket.create_connection(("127.0.0.1", probes.port), timeout=10) as line:
            line.sendall(f"HEAD {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            answer = line.makefile("rb").read().decode()
        head, _, body = answer.partition("\r\n\r\n")
        assert head.startswith(f"HTTP/1.0 {status} ")
        assert body == ""
        length = int(dict(one.split(": ", 1) for one in head.splitlines()[1:])["Content-Length"])
        assert length > 1
        # The numbers of the process, such as its memory, change from one scrape to the next.
        assert path == "/metrics" or length == len(page)


def test_a_caller_who_says_nothing_keeps_nobody_waiting(metrics: Metrics) -> None:
    with Probes(0, metrics, list, list) as probes:
        silent = socket.create_connection(("127.0.0.1", probes.port))
        assert asked(probes.port, "/readyz") == (200, "ok\n")
        begun = time.monotonic()
    assert time.monotonic() - begun < 3, "neither does one keep the daemon from ending"
    silent.close()


def test_a_channel_that_is_gone_leaves_no_numbers_behind(metrics: Metrics) -> None:
    metrics.stages(["deliver:old"], [])
    metrics.ran("deliver:old", 0.1, 1.0, well=False)
    metrics.forget_stage("deliver:old")
    page = metrics.page("")[0].decode()
    assert not re.findall(r'squall_stage_(?:late|failing)\{stage="deliver:old"\}', page)
    metrics.forget_stage("never-was")


def test_the_unit_says_what_it_must() -> None:
    unit = (ROOT / "deploy" / "squall.service").read_text()
    settings: dict[str, Any] = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert (settings["Type"], settings["NotifyAccess"], settings["KillMode"]) == ("notify", "main", "mixed")
    assert settings["ExecReload"].endswith("kill -HUP $MAINPID")
    assert settings["NoNewPrivileges"] == "yes"
    assert settings["WatchdogSec"] == "10min"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = (ROOT / "deploy" / "squall.service").read_text()
    there = tmp_path / "squall.service"
    there.write_text(unit.replace("/opt/squall/bin/squall", sys.executable))
    said = subprocess.run(["systemd-analyze", "verify", there], capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_judges_days_as_the_rules_mean() -> None:
    folder = ROOT / "deploy" / "prometheus"
    for command, file in (("check", "squall.rules.yml"), ("test", "squall.tests.yml")):
        said = subprocess.run(
            ["promtool", command, "rules", file], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert said.returncode == 0, said.stdout + said.stderr


def test_the_container_is_not_root_and_has_a_health_check() -> None:
    image = (ROOT / "deploy" / "Containerfile").read_text()
    assert re.search(r"^USER (?!0|root)\S+", image, re.MULTILINE)
    assert "/healthz" in image
    assert "HEALTHCHECK" in image
