"""What `graph top` makes of two looks at a graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from graph.cli.rates import Row, fitting, rows
from graph.cli.top import _view
from graph.links.counts import EdgeStatistics
from graph.status import GraphStatus, Health, InstanceStatus

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


def test_what_a_port_sends_counts_once_however_many_queues_it_feeds() -> None:
    def look_at(n: int) -> InstanceStatus:
        edges = {f"src.out->{to}.x": EdgeStatistics(sent=n) for to in ("a", "b")}
        return InstanceStatus("src", "src", "x:Y", "ready", sent={"out": n}, edges=edges)

    (row,) = rows(look(1, look_at(0)), look(2, look_at(1000)))
    assert row.out_rate == 1000


def some(*percent: float, failed: int = -1) -> list[Row]:
    """A process each, in the order of their names."""
    health: list[Health] = ["failed" if n == failed else "ready" for n in range(len(percent))]
    made = (InstanceStatus(f"n{n}", f"n{n}", "x:Y", health[n], cpu_percent=p) for n, p in enumerate(percent))
    return rows(look(1), look(2, *made))


@pytest.mark.parametrize(
    ("room", "sort", "shown", "hidden"),
    [
        (4, "", ["n0", "n1", "n2", "n3"], 0),
        (3, "", ["n1", "n3"], 2),  # the busiest, by name; one line is needed to say how many are hidden
        (3, "name", ["n0", "n1"], 2),
        (3, "cpu", ["n3", "n1"], 2),
        (1, "", ["n3"], 3),
    ],
)
def test_where_not_all_fit_the_busiest_are_shown(room: int, sort: str, shown: list[str], hidden: int) -> None:
    fit, more = fitting(some(10, 70, 30, 90), room, sort)
    assert ([row.instance for row in fit], len(more)) == (shown, hidden)


@pytest.mark.parametrize("sort", ["", "cpu", "name"])
def test_what_has_failed_is_never_hidden_behind_what_has_not(sort: str) -> None:
    fit, _ = fitting(some(8, 7, 0, 9, failed=2), 2, sort)
    assert [row.instance for row in fit] == ["n2"]


def test_what_loses_messages_comes_next_and_a_line_says_what_is_hidden_of_it() -> None:
    found = [replace(row, drop_rate=row.instance in ("n5", "n6")) for row in some(*range(0, 80, 10), failed=3)]
    assert [row.instance for row in fitting(found, 5)[0]] == ["n3", "n5", "n6", "n7"]
    console = Console(width=80, height=9, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(_view(look(2), found, "", 9, 80))
    assert capture.get().splitlines()[-1].strip() == "… 6 more: 1 dropping"


def test_the_same_rows_are_shown_while_nobody_has_much_to_do() -> None:
    for percents in ((0.4, 1.2, 0, 3.1), (2.2, 0, 1.7, 0.1)):
        assert [row.instance for row in fitting(some(*percents), 3)[0]] == ["n0", "n1"]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_a_view_of_200_processes_fits_the_terminal(width: int, height: int) -> None:
    found = some(*range(200))
    console = Console(width=width, height=height, force_terminal=True, color_system=None)
    lines = ["".join(s.text for s in line) for line in console.render_lines(_view(look(2), found, "", height, width))]
    assert len(lines) == height
    assert lines[-1].strip() == f"… {200 - (height - 7)} more"
    assert not any("…" in line for line in lines[:-1]), "no cell is cut"


def test_they_are_sorted() -> None:
    calm, busy = mid(0, 0, 0, {}), InstanceStatus("z", "z", "x:Y", "ready", cpu_percent=50)
    assert [r.instance for r in rows(look(1), look(2, calm, busy), "cpu")] == ["z", "mid.0"]
    assert [r.instance for r in rows(look(1), look(2, busy, calm))] == ["mid.0", "z"]
    many = [InstanceStatus(name, "n", "x:Y", "ready") for name in ("n.10", "n.2", "m", "n.1")]
    assert [r.instance for r in rows(look(1), look(2, *many))] == ["m", "n.1", "n.2", "n.10"]
