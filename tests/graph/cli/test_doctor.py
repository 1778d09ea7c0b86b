"""`graph doctor`: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from graph.doctor import system
from graph.doctor.finding import Finding
from tests.graph.cli.conftest import Graph

PLAIN = """\
nodes:
  src: {use: "tests.system.actors:Count"}
  end: {use: "tests.system.actors:Double", in: {x: src.out}, resources: {threads: 1024}}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("VOICEGRAPH_MODELS", str(tmp_path / "models"))


def test_a_graph_that_lacks_a_model(graph: Graph, right: Path) -> None:
    ended = graph("doctor", right)
    assert ended.code == 1
    assert "problem  model model-of-x: model 'model-of-x' is neither a file" in ended.out
    assert "         do: graph models list\n" in ended.out
    assert f"ok       graph: {right}: 4 processes" in ended.out


def test_json(graph: Graph, right: Path) -> None:
    ended = graph("doctor", right, "--json")
    found = msgspec.json.decode(ended.out, type=list[Finding])
    assert ended.code == 1
    assert {f.check for f in found} >= {"python", "graph", "open files", "run folder", "logs", "memory", "threads"}
    assert [f.check for f in found if f.verdict == "problem"] == ["model model-of-x"]
    assert json.loads(ended.out)[0].keys() == {"check", "verdict", "text", "do"}


def test_a_wrong_file_is_a_finding_and_the_machine_is_looked_at_all_the_same(graph: Graph, tmp_path: Path) -> None:
    ended = graph("doctor", tmp_path / "no.yaml")
    assert ended.code == 1
    assert f"problem  graph: {tmp_path}/no.yaml: no such file\n" in ended.out
    assert "run folder: " in ended.out


def test_a_warning_is_no_failure(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(PLAIN)
    ended = graph("doctor", tmp_path / "plain.yaml")
    assert ended.code == 0, ended.out
    assert "warning  threads: 1024 threads are asked for (end 1024)" in ended.out
    assert "problem" not in ended.out


def test_a_value_of_the_file_may_be_changed(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(PLAIN)
    ended = graph("doctor", tmp_path / "plain.yaml", "-o", "nodes.end.resources.threads=1")
    assert ended.code == 0
    assert "warning" not in ended.out


def test_a_check_that_fails_is_a_finding(graph: Graph, right: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Finding:
        raise OSError("no such system call")

    monkeypatch.setattr(system, "check_pidfd", fails)
    out = graph("doctor", right).out
    assert "problem  system: cannot be looked at: no such system call\n" in out
    assert "run folder: " in out


def test_nothing_heavy_is_imported() -> None:
    from tests.graph.cli.test_imports import HEAVY, imported

    assert imported("doctor", "examples/level.yaml", code=None) & (HEAVY - {"psutil"} | {"rich", "structlog"}) == set()
