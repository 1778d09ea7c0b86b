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
NARROW = 100  # columns of the terminal; with fewer some are left out, or none could be read
LEFT_OUT = ("p50", "memory", "restarts")


def top(
    graph: Graph = None,
    sort: Annotated[str, typer.Option(help="name (the default), cpu, memory, in, out, drops or restarts.")] = "",
    interval: Annotated[
        float, typer.Option(min=1.0, metavar="SECONDS", help="Between two looks; nodes tell what they count twice a second.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one view and end.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many views.")] = None,
    as_json: Json = False,
) -> None:
    """Watch a graph: per process its state, messages a second in and out, latency from sending to the handler, what waits,
    drops, CPU, memory and restarts. Ctrl-C ends the watching, not the graph.

    Of more processes than the terminal has lines those are shown that are not well, then those that lose messages, then the
    first of the order that `--sort` names, else those that take most CPU; a line says how many are hidden. A narrow terminal
    shows fewer columns.

    Exit codes: 0, also when the graph ends; 1 nobody answers, or its supervisor was killed; 2 there is no such graph.
    """
    from rich.console import Console
    from rich.live import Live

    from graph.cli.rates import SORTS, rows
    from graph.cli.tables import print_table
    from graph.commands import CommandClient, CommandError
    from graph.running import pick
    from graph.validation import did_you_mean

    if sort and sort not in SORTS:
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
                found = rows(before, now, sort or "name")
                before, left = now, None if left is None else left - 1
                if as_json:
                    typer.echo(json.dumps({"graph": now.graph, "phase": now.phase, "processes": [asdict(r) for r in found]}))
                elif once:
                    print_table(_view(now, found, sort, len(found) + AROUND, console.width if console.is_terminal else NARROW))
                else:
                    live.update(_view(now, found, sort, console.height, console.width), refresh=True)
            else:
                return
        except KeyboardInterrupt:
            return
        finally:
            live.stop()
    running.check_left()
    typer.echo(f"'{running.name}' has ended", err=True)


def _view(status: GraphStatus, found: list[Row], sort: str, height: int, width: int) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from graph.cli.rates import fitting
    from graph.cli.tables import STYLES, heading, latency, memory, plain_table

    narrow = width < NARROW
    shown, hidden = fitting(found, max(2, height - AROUND), sort)
    columns = ("process", "state", "in/s", "out/s", "p50", "p99", "waiting", "dropped", "CPU %", "memory", "restarts")
    kept = [name for name in columns if not (narrow and name in LEFT_OUT)]
    table = plain_table(*kept, right=range(2, len(kept)))
    for row in shown:
        cells: dict[str, str | Text] = {
            "process": Text(row.instance),
            "state": Text(f"{row.health} {row.text}".strip()[: 14 if narrow else 40], style=STYLES.get(row.health, "")),
            "in/s": f"{row.in_rate:.0f}",
            "out/s": f"{row.out_rate:.0f}",
            "p50": latency(row.p50_us),
            "p99": latency(row.p99_us),
            "waiting": str(row.waiting),
            "dropped": Text(str(row.dropped), style="red" if row.drop_rate else ""),
            "CPU %": f"{row.cpu_percent:.0f}",
            "memory": memory(row.rss),
            "restarts": str(row.restarts),
        }
        table.add_row(*(cells[name] for name in kept))
    more = [_more(hidden)] if hidden else []
    totals = f"{sum(r.in_rate for r in found):.0f} messages/s handled, {sum(r.cpu_percent for r in found):.0f} % CPU"
    return Group(heading(status), Text(totals, style="dim"), table, *more)


def _more(hidden: list[Row]) -> RenderableType:
    """How many there was no room for, and what of them somebody should know."""
    from rich.text import Text

    unwell, losing = (sum(row.concern == concern for row in hidden) for concern in (0, 1))
    told = [f"{unwell} not well"] if unwell else []
    told += [f"{losing} dropping"] if losing else []
    return Text(f"… {len(hidden)} more" + (f": {', '.join(told)}" if told else ""), style="bold red" if told else "dim")
