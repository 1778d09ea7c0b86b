"""Two looks at a running graph, and what happened in between: pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graph.links.counts import EdgeStatistics
from graph.status import UNWELL, GraphStatus, InstanceStatus

CALM_PERCENT = 5  # of a processor: what takes less is not ranked by it, or other rows would be shown at every look
TELEMETRY = "telemetry"  # every node's own port; graph.node would bring in more than this needs


@dataclass(frozen=True)
class Row:
    """One process; rates are messages a second."""

    instance: str
    health: str
    text: str
    in_rate: float
    out_rate: float
    p50_us: int | None  # of what came in between the looks
    p99_us: int | None
    waiting: int
    dropped: int  # in all
    drop_rate: float
    cpu_percent: float
    rss: int
    restarts: int

    @property
    def concern(self) -> int:
        """How soon somebody has to look at it: 0 not well, 1 losing messages, 2 all is well."""
        return 0 if self.health in UNWELL else 1 if self.drop_rate else 2


SORTS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: [
        (part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split("([0-9]+)", row.instance)
    ],
    "cpu": lambda row: -row.cpu_percent,
    "memory": lambda row: -row.rss,
    "in": lambda row: -row.in_rate,
    "out": lambda row: -row.out_rate,
    "drops": lambda row: (-row.drop_rate, -row.dropped),
    "restarts": lambda row: -row.restarts,
}


def rows(before: GraphStatus, now: GraphStatus, sort: str = "name") -> list[Row]:
    """A row a process, sorted."""
    seconds = max(1e-9, (now.at_ns - before.at_ns) / 1e9)
    earlier = {one.instance: one for one in before.instances}
    found = [_row(earlier.get(one.instance, one), one, seconds) for one in now.instances]
    return sorted(found, key=SORTS[sort])


def fitting(found: list[Row], room: int, sort: str = "") -> tuple[list[Row], list[Row]]:
    """What of it is shown in so many lines, and what is hidden. Where something is, what is not well comes first, then what
    loses messages; nothing of it is hidden behind what is well.

    :param sort: the order that was asked for; none: by name, and the busiest where they do not all fit.
    """
    if len(found) <= room:
        return found, []
    order = SORTS[sort] if sort else _busiest
    ranked = sorted(found, key=lambda row: (row.concern, order(row)))
    room = max(1, room - 1)  # a line says that there are more
    return sorted(ranked[:room], key=lambda row: (row.concern, SORTS[sort or "name"](row))), ranked[room:]


def _busiest(row: Row) -> Any:
    return -int(row.cpu_percent / CALM_PERCENT), SORTS["name"](row)


def _row(before: InstanceStatus, now: InstanceStatus, seconds: float) -> Row:
    mine = {edge: it for edge, it in now.edges.items() if _into(edge, now.node)}
    fed = [it for edge, it in now.edges.items() if edge not in mine]
    latency = _between(before, mine)
    return Row(
        instance=now.instance,
        health=now.health,
        text=now.text,
        in_rate=_rate(before, now, seconds, lambda one: _sum(one, now.node, "delivered")),
        out_rate=_rate(before, now, seconds, lambda one: _out(one, now.node)),
        p50_us=latency.quantile_us(0.5),
        p99_us=latency.quantile_us(0.99),
        waiting=sum(it.depth for it in mine.values()) + sum(it.depth for it in fed),
        dropped=_sum(now, now.node, "dropped") + sum(it.dropped for it in fed),
        drop_rate=_rate(before, now, seconds, lambda one: sum(it.dropped for it in one.edges.values())),
        cpu_percent=now.cpu_percent,
        rss=now.rss,
        restarts=now.life,
    )


def _into(edge: str, node: str) -> bool:
    """True for an edge that the node listens to: `producer.port->consumer.input`."""
    return edge.partition("->")[2].rpartition(".")[0] == node


def _sum(one: InstanceStatus, node: str, what: str) -> int:
    return sum(getattr(it, what) for edge, it in one.edges.items() if _into(edge, node))


def _out(one: InstanceStatus, node: str) -> int:
    """Messages sent, telemetry left out. What a port sends is counted at the port and again at each queue that it feeds."""
    ports = {port: n for port, n in one.sent.items() if port != TELEMETRY}
    for edge, it in one.edges.items():
        if not _into(edge, node):
            port = edge.partition("->")[0].rpartition(".")[2]
            ports[port] = max(ports.get(port, 0), it.sent)
    return sum(ports.values())


def _rate(before: InstanceStatus, now: InstanceStatus, seconds: float, count: Callable[[InstanceStatus], int]) -> float:
    return max(0.0, (count(now) - count(before)) / seconds)


def _between(before: InstanceStatus, mine: dict[str, EdgeStatistics]) -> EdgeStatistics:
    """The latencies since the earlier look."""
    histogram: dict[int, int] = {}
    for edge, it in mine.items():
        had = before.edges[edge].latency if edge in before.edges else {}
        for bucket, n in it.latency.items():
            histogram[bucket] = histogram.get(bucket, 0) + max(0, n - had.get(bucket, 0))
    return EdgeStatistics(latency={bucket: n for bucket, n in histogram.items() if n})
