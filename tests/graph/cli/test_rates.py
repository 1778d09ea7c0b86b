"""What `graph top` makes of two looks at a graph."""

from __future__ import annotations

from typing import Any

from graph.cli.rates import rows
from graph.links.counts import EdgeStatistics
from graph.status import GraphStatus, InstanceStatus

INTO, FED = "src.out->mid.x", "mid.jobs->end.x"


def mid(delivered: int, sent: int, jobs: int, latency: dict[int, int], **more: Any) -> InstanceStatus:
    edges = {INTO: EdgeStatistics(delivered=delivered, latency=latency, depth=3), FED: EdgeStatistics(sent=jobs, dropped=2)}
    return InstanceStatus("mid.0", "mid", "x:Y", "ready", sent={"out": sent, "telemetry": 99}, edges=edges, **more)


def look(at_s: float, *instances: InstanceStatus) -> GraphStatus:
    return GraphStatus("g", "g.yaml", 1, "running", 0, "", "", int(at_s * 1e9), list(instances))


def test_rates_and_latencies_are_of_the_time_between() -> None:
    before, now = mid(100, 50, 10, {3: 100}), mid(300, 90, 20, {3: 100, 5: 200}, life=2)
    (row,) = rows(look(1, before), look(3, now))
    assert (row.in_rate, row.out_rate) == (100, 25)
    assert row.p50_us == 5, "the hundred before do not count"
    assert (row.waiting, row.dropped, row.drop_rate, row.restarts) == (3, 2, 0, 2)


def test_a_process_that_is_new_has_no_rates_yet() -> None:
    (row,) = rows(look(1), look(2, mid(300, 90, 20, {})))
    assert (row.in_rate, row.p50_us) == (0, None)


def test_they_are_sorted() -> None:
    calm, busy = mid(0, 0, 0, {}), InstanceStatus("z", "z", "x:Y", "ready", cpu_percent=50)
    assert [r.instance for r in rows(look(1), look(2, calm, busy), "cpu")] == ["z", "mid.0"]
    assert [r.instance for r in rows(look(1), look(2, busy, calm))] == ["mid.0", "z"]
