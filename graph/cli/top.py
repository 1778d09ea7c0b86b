"""`graph top`: a running graph, live."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli.running import Graph, Json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from graph.cli.rates import Row
    from graph.status import GraphStatus

AROUND = 6  # lines of the terminal that are not processes


def top(
    graph: Graph = None,
    sort: Annotated[str, typer.Option(help="name, cpu, memory, in, out, drops or restarts.")] = "name",
    interval: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one view and end.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many views.")] = None,
    as_json: Json = False,
) -> None:
    """Watch a graph: per process its state, messages a second in and out, latency from sending to the handler, what waits,
    drops, CPU, memory and restarts. Ctrl-C ends the watching, not the graph.

    Of more processes than the terminal has lines the first are shown, so choose the order: `--sort cpu`.

    Exit codes: 0, also when the graph ends; 1 nobody answers; 2 there is no such graph.
    """
    from rich.console import Console
    from rich.live import Live

    from graph.cli.rates import SORTS, rows
    from graph.cli.tables import print_table
    from graph.commands import CommandClient, CommandError
    from graph.running import pick
    from graph.validation import did_you_mean

    if sort not in SORTS:
        hint = did_you_mean(sort, SORTS) or f"one of {', '.join(SORTS)}"
        raise typer.BadParameter(f"'{sort}' is no order ({hint})", param_hint="--sort")
    running = pick(graph)
    running.check_supervised()
    console = Console(highlight=False)
    left = 1 if once else count
    live = Live(console=console, auto_refresh=False, screen=console.is_terminal and not once)
    with CommandClient(running.directory.path) as client:
        before = client.status()
        if not as_json and not once:
            live.start()
        try:
            while left is None or left > 0:
                time.sleep(interval)
                try:
                    now = client.status()
                except CommandError:
                    if running.lives:
                        raise
                    break
                found = rows(before, now, sort)
                before, left = now, None if left is None else left - 1
                if as_json:
                    typer.echo(json.dumps({"graph": now.graph, "phase": now.phase, "processes": [asdict(r) for r in found]}))
                elif once:
                    print_table(_view(now, found, len(found) + AROUND))
                else:
                    live.update(_view(now, found, console.height), refresh=True)
            else:
                return
        except KeyboardInterrupt:
            return
        finally:
            live.stop()
    typer.echo(f"'{running.name}' has ended", err=True)


def _view(status: GraphStatus, found: list[Row], height: int) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from graph.cli.tables import STYLES, heading, latency, memory, plain_table

    columns = ("process", "state", "in/s", "out/s", "p50", "p99", "waiting", "dropped", "CPU %", "memory", "restarts")
    table = plain_table(*columns, right=range(2, 11))
    shown = found[: max(1, height - AROUND)]
    for row in shown:
        table.add_row(
            Text(row.instance),
            Text(f"{row.health} {row.text}".strip()[:40], style=STYLES.get(row.health, "")),
            f"{row.in_rate:.0f}",
            f"{row.out_rate:.0f}",
            latency(row.p50_us),
            latency(row.p99_us),
            str(row.waiting),
            Text(str(row.dropped), style="red" if row.drop_rate else ""),
            f"{row.cpu_percent:.0f}",
            memory(row.rss),
            str(row.restarts),
        )
    hidden = len(found) - len(shown)
    more = [Text(f"… {hidden} more", style="dim")] if hidden else []
    totals = f"{sum(r.in_rate for r in found):.0f} messages/s handled, {sum(r.cpu_percent for r in found):.0f} % CPU"
    return Group(heading(status), Text(totals, style="dim"), table, *more)
