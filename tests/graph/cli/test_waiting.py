"""When an order to a node is done, from how its replicas are."""

from __future__ import annotations

from typing import Any

import pytest

from graph.cli.waiting import Outcome, Wanted, outcome
from graph.status import GraphStatus, Health, InstanceStatus, Phase


def replica(number: int, health: Health, **more: Any) -> InstanceStatus:
    return InstanceStatus(f"mid.{number}", "mid", "x:Y", health, **more)


def look(*replicas: InstanceStatus, phase: Phase = "running") -> GraphStatus:
    other = InstanceStatus("src", "src", "x:Y", "failed", leaving=True)  # says nothing of the node that is meant
    return GraphStatus("demo", "demo.yaml", 1, phase, 0, "", "", 0, [other, *replicas])


def found(wanted: Wanted, *replicas: InstanceStatus, phase: Phase = "running", fallback: bool = False) -> Outcome | None:
    first = look(*(replica(n, "ready", leaving=True, fallback=fallback) for n in range(len(replicas))))
    return outcome("mid", wanted, first, look(*replicas, phase=phase))


@pytest.mark.parametrize("wanted", ["stopped", "running"])
@pytest.mark.parametrize("health", ["ready", "busy", "loading", "unresponsive", "stopped", "failed"])
def test_nothing_is_done_while_one_has_not_left(wanted: Wanted, health: Health) -> None:
    assert found(wanted, replica(0, health), replica(1, "ready", leaving=True)) is None


@pytest.mark.parametrize("health", ["waiting", "starting", "loading", "backoff", "hung", "unresponsive"])
def test_it_does_not_run_while_one_is_on_its_way(health: Health) -> None:
    assert found("running", replica(0, "failed"), replica(1, health)) is None


@pytest.mark.parametrize(
    ("wanted", "replicas", "said"),
    [
        ("stopped", [replica(0, "stopped"), replica(1, "failed"), replica(2, "drained")], Outcome("'mid' has stopped")),
        ("running", [replica(0, "ready"), replica(1, "busy")], Outcome("'mid' is running")),
        ("running", [replica(0, "ready"), replica(1, "drained")], Outcome("'mid' is running")),
        ("running", [replica(0, "drained")], Outcome("'mid' has finished")),
        (
            "stopped",
            [replica(0, "stopped"), replica(1, "loading")],
            Outcome("'mid' was started again meanwhile", done=False),
        ),
        ("running", [replica(0, "ready"), replica(1, "stopped")], Outcome("'mid' was stopped meanwhile", done=False)),
        (
            "running",
            [replica(0, "ready"), replica(1, "failed", text="no microphone")],
            Outcome("'mid' has failed: no microphone", done=False),
        ),
        (
            "running",
            [replica(0, "ready", fallback=True, last_error="no microphone")],
            Outcome("'mid' has failed: no microphone; its fallback runs in its place", done=False),
        ),
    ],
)
def test_what_has_become_of_it(wanted: Wanted, replicas: list[InstanceStatus], said: Outcome) -> None:
    assert found(wanted, *replicas) == said


def test_a_fallback_that_was_there_before_may_be_started_again() -> None:
    assert found("running", replica(0, "ready", fallback=True), fallback=True) == Outcome("'mid' is running")


def test_a_graph_that_ends_starts_nothing() -> None:
    ended = Outcome("the graph 'demo' has ended", done=False)
    assert found("running", replica(0, "stopped"), phase="leaving") == ended
