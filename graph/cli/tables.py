"""What the commands show of running graphs, as text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from graph.commands import CommandClient, CommandError
from graph.plan import Plan
from graph.running import Running
from graph.status import GraphStatus, InstanceStatus

ASK_WITHIN_S = 2.0  # of many graphs one may be silent
READY = ("ready", "busy", "drained")
STYLES = {
    "ready": "green",
    "busy": "yellow",
    "drained": "dim",
    "stopped": "dim",
    "failed": "bold red",
    "hung": "bold red",
    "unresponsive": "bold red",
    "backoff": "red",
}


def print_table(*tables: RenderableType) -> None:
    """Print tables, as wide as they are where nobody has a terminal to fit them into."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in console._environ:
        console = Console(highlight=False, width=200)
    console.print(*tables)


def listed(graph: Running) -> dict[str, Any]:
    """A graph as `graph ps` lists it."""
    row: dict[str, Any] = {"graph": graph.name, "file": graph.file, "pid": None, "phase": "orphaned"}
    counted: dict[str, Any] = {
        "ready": None,
        "processes": len(graph.plan.instances),
        "failed": None,
        "uptime_s": None,
        "restarts": None,
        "run_folder": str(graph.directory.path),
    }
    if graph.supervisor is None:
        return {**row, **counted, "processes": len(graph.directory.alive())}
    row |= {"pid": graph.supervisor.pid, "phase": "silent"}
    try:
        with CommandClient(graph.directory.path, ASK_WITHIN_S) as client:
            said = client.status()
    except CommandError:
        return {**row, **counted}
    counted |= {
        "ready": sum(one.health in READY for one in said.instances),
        "processes": len(said.instances),
        "failed": sum(one.health == "failed" for one in said.instances),
        "uptime_s": round(time.time() - said.started_at, 1),
        "restarts": sum(one.life for one in said.instances),
    }
    return {**row, "file": said.file, "phase": said.phase, **counted}


def table_of_graphs(rows: list[dict[str, Any]]) -> Table:
    """`graph ps`."""
    table = plain_table("graph", "phase", "ready", "failed", "restarts", "uptime", "pid", "file", right=(2, 3, 4, 5, 6))
    for row in rows:
        ready = f"{row['ready']}/{row['processes']}" if row["ready"] is not None else f"-/{row['processes']}"
        table.add_row(
            Text(row["graph"]),
            Text(row["phase"], style="bold red" if row["phase"] in ("orphaned", "silent") else ""),
            ready,
            _number(row["failed"]),
            _number(row["restarts"]),
            duration(row["uptime_s"]),
            _number(row["pid"]),
            Text(row["file"], overflow="fold"),
        )
    return table


def heading(said: GraphStatus) -> Text:
    """One line about a graph."""
    ready = sum(one.health in READY for one in said.instances)
    uptime = duration(time.time() - said.started_at)
    return Text(f"{said.graph}: {said.phase} for {uptime}, {ready} of {len(said.instances)} ready, process {said.pid}")


def print_status(said: GraphStatus, plan: Plan) -> None:
    """`graph status`."""
    processes = plain_table(
        "process", "state", "pid", "uptime", "restarts", "CPU %", "memory", "uses", "remarks", right=(2, 3, 4, 5, 6)
    )
    for one in said.instances:
        processes.add_row(
            Text(one.instance),
            state(one),
            _number(one.pid),
            duration(one.uptime_s) if one.pid else "-",
            str(one.life),
            f"{one.cpu_percent:.0f}" if one.pid else "-",
            memory(one.rss) if one.pid else "-",
            Text(one.use),
            Text("; ".join(_remarks(one)), overflow="fold"),
        )
    links = plain_table(
        "from", "to", "link", "sent", "delivered", "dropped", "stale", "rejected", "waiting", "p50", "p99", right=range(3, 11)
    )
    for edge in plan.edges:
        it = said.edges[edge.id]
        links.add_row(
            f"{edge.producer}.{edge.port}",
            f"{edge.consumer}.{edge.input}",
            edge.link,
            *(str(n) for n in (it.sent, it.delivered)),
            Text(str(it.dropped), style="red" if it.dropped else ""),
            *(str(n) for n in (it.stale, it.rejected, it.depth)),
            latency(it.quantile_us(0.5)),
            latency(it.quantile_us(0.99)),
        )
    print_table(heading(said), processes, *([links] if plan.edges else []))


def _remarks(one: InstanceStatus) -> Iterator[str]:
    if one.fallback:
        yield "its fallback runs"
    if one.text:
        yield one.text
    if one.last_error and one.last_error not in one.text:
        yield f"before: {one.last_error}"


def state(one: InstanceStatus) -> Text:
    """Its health, in its colour."""
    return Text(one.health, style=STYLES.get(one.health, ""))


def duration(seconds: float | None) -> str:
    """`42 s`, `3 min`, `2 h 05`, `3 d 04 h`."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02}"
    return f"{whole // 86400} d {whole % 86400 // 3600:02} h"


def memory(size: int) -> str:
    """Of a process; a megabyte is 2**20 bytes, as in max_rss."""
    return f"{size / 2**20:.0f} MB" if size < 10 * 2**30 else f"{size / 2**30:.1f} GB"


def latency(us: float | None) -> str:
    """`250 µs`, `1.5 ms`, `12 s`."""
    if us is None:
        return "-"
    if us < 1000:
        return f"{us:.0f} µs"
    if us < 10_000:
        return f"{us / 1000:.1f} ms"
    if us < 1_000_000:
        return f"{us / 1000:.0f} ms"
    return f"{us / 1e6:.1f} s"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def plain_table(*columns: str, right: Any = ()) -> Table:
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(table.columns):
        column.no_wrap = column.header not in ("remarks", "file")
        if index in right:
            column.justify = "right"
    return table
