"""Every arm carries a few messages, with real processes; none is left behind. Nothing asserts on time."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bench.transport import one_run
from bench.transport.arms import ARMS
from bench.transport.arms.base import Arm
from bench.transport.arms.voicegraph import graph_file
from bench.transport.cells import KB, MB, Cell
from bench.transport.ends import Task
from graph.load import load_plan

SHAPES = [Cell(KB, 200, count=20), Cell(KB, 0, hops=3, count=50), Cell(MB, 50, sinks=2, count=10)]


@pytest.fixture(autouse=True)
def _nobody_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """By parentage, and by a mark in the environment, which a process keeps that has left its parent."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv("VOICEGRAPH_BENCH_TEST", mark)
    yield
    left = [process.cmdline() for process in psutil.Process().children(recursive=True)]
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("VOICEGRAPH_BENCH_TEST") == mark:
                left.append(process.cmdline())
    assert left == []


@pytest.mark.parametrize(
    ("arm", "cell"), [(arm, cell) for arm in ARMS for cell in SHAPES if arm.carries(cell)], ids=lambda value: value.name
)
def test_an_arm_carries_a_cell(arm: Arm, cell: Cell) -> None:
    if arm.missing:
        pytest.skip(f"{arm.name}: {arm.missing}")
    run = one_run.carry(arm, cell, 2)
    assert run.failed == ""
    assert (run.arm, run.cell, run.round) == (arm.name, cell, 2)
    loses = arm.name == "dora" and not cell.rate  # it drops the oldest when it is overrun, as it does on a busy machine
    assert run.lost == 0 or loses
    assert run.in_order
    assert run.p50_us is not None
    assert run.p99_us is not None
    assert 0 < run.p50_us <= run.p99_us
    assert run.cpu_us is not None
    assert run.cpu_us > 0
    assert run.memory_mb is not None
    assert run.memory_mb > 1
    assert run.processes is not None
    assert run.processes >= cell.hops + cell.sinks
    assert all("?" not in version for version in arm.versions.values())


class Broken(Arm):
    """Ends at once."""

    name = "broken"

    def commands(self, run: Path, task: Task) -> list[list[str]]:
        return [["sh", "-c", "echo no such transport >&2; exit 3"]]


class Silent(Arm):
    """Never carries anything, and leaves a child that has left its session."""

    name = "silent"

    def commands(self, run: Path, task: Task) -> list[list[str]]:
        return [["sh", "-c", "setsid sleep 600 & trap '' TERM; while true; do sleep 0.1; done"]]


def test_an_arm_that_dies_is_told_with_its_last_words() -> None:
    run = one_run.carry(Broken(), SHAPES[0], 0)
    assert run.failed == "ended with exit code 3: no such transport"
    assert run.p50_us is None


def test_an_arm_that_says_nothing_is_given_up_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_run, "START_WITHIN_S", 0.5)
    assert "no message came through" in one_run.carry(Silent(), SHAPES[0], 0).failed


def test_our_arm_is_a_graph_file_like_any_other(tmp_path: Path) -> None:
    task = replace(Task(KB, 50, 10), hops=3, sinks=2)
    file = tmp_path / "bench.yaml"
    file.write_text(graph_file(tmp_path, task, "queue"))
    plan = load_plan(file, [])
    assert [edge.id for edge in plan.edges if edge.link == "queue"] == [
        "source.out->relay1.data",
        "relay1.out->relay2.data",
        "relay2.out->sink0.data",
        "relay2.out->sink1.data",
    ]
    assert json.loads(file.read_text())["nodes"]["sink1"]["with"] == {"run": str(tmp_path), "number": 1}
