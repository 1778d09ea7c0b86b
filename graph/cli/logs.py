"""`graph logs`: what the processes of a graph wrote down."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli.running import Graph, Json

if TYPE_CHECKING:
    from graph.log_files import Line

LOOK_S = 0.2
STYLES = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "bold red"}


def logs(
    graph: Graph = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the graph has ended.")] = False,
    node: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only of this node; may be repeated.")] = None,
    level: Annotated[str, typer.Option(help="debug, info, warning or error, and what is worse.")] = "debug",
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only newer ones: 5m, 2h, 90s ago, or an ISO time.")] = None,
    lines: Annotated[int | None, typer.Option("-n", "--lines", min=0, help="Only the last so many.")] = None,
    as_json: Json = False,
) -> None:
    """Show the logs of all processes of a graph in one place and in the order of time, also after it has ended.

    What libraries print stands beside what nodes log, with the time of the line before it. `supervisor` is a name too.

    Exit codes: 0; 2 there is no such graph or node, or a value is wrong.
    """
    from graph.log_files import at_least, files_of, read
    from graph.log_files import since as time_of
    from graph.log_rotation import LEVELS
    from graph.validation import did_you_mean

    if level not in LEVELS:
        raise typer.BadParameter(
            f"'{level}' is no level ({did_you_mean(level, LEVELS) or ', '.join(LEVELS)})", param_hint="--level"
        )
    after, levels = time_of(since) if since else "", at_least(level)
    folder = _folder(graph)
    instances = _instances(list(files_of(folder)), node or [])

    def wanted(found: Iterable[Line]) -> Iterator[Line]:
        return (line for line in found if line.level in levels and line.timestamp >= after)

    width = max(map(len, instances), default=0)
    show = _json if as_json else _printer(width)
    followers = _followers(folder, instances) if follow else []
    found = wanted(read(folder, instances))
    for line in found if lines is None else deque(found, lines):
        show(line)
    if not follow:
        return
    try:
        while True:
            alive = _runs(folder)
            for line in sorted(line for one in followers for line in wanted(one.lines())):
                show(line)
            if not alive:
                return
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        return


def _followers(folder: Path, instances: list[str]) -> list:  # type: ignore[type-arg]
    from graph.log_files import Follower

    return [Follower(folder / f"{instance}.log", instance, from_end=True) for instance in instances]


def _folder(graph: str | None) -> Path:
    """The logs of a running graph, or of the last one of that name or file."""
    from graph.log_places import named, of_run
    from graph.running import NotRunning, WrongCall, pick

    try:
        return of_run(pick(graph).directory.path.name)
    except (NotRunning, WrongCall) as error:
        found = named(graph)
        if found is None:
            raise WrongCall(f"there are no logs of '{graph}'" if graph else str(error)) from None
        return found


def _runs(folder: Path) -> bool:
    from graph.running import look

    return any(graph.directory.path.name == folder.name for graph in look().graphs)


def _instances(known: list[str], nodes: list[str]) -> list[str]:
    """Those of the nodes that are named; all where none is.

    :raises WrongCall: a name that nobody has.
    """
    from graph.running import WrongCall
    from graph.validation import did_you_mean

    found = []
    for node in nodes:
        of_it = [one for one in known if one == node or one.rpartition(".")[0] == node]
        if not of_it:
            raise WrongCall(f"there are no logs of a node '{node}' ({did_you_mean(node, known) or ', '.join(known)})")
        found += of_it
    return found or known


def _json(line: Line) -> None:
    typer.echo(line.as_json())


def _printer(width: int):  # type: ignore[no-untyped-def]
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)

    def show(line: Line) -> None:
        fields = " ".join(f"{k}={v}" for k, v in line.fields.items() if k not in ("node", "life", "pid", "exception"))
        said = f"{line.event} {fields}".rstrip()
        clock = line.timestamp[11:23] or "-"
        text = Text.assemble(
            (f"{clock:<12} ", "dim"), (f"{line.instance:<{width}}  ", "cyan"), (said, STYLES.get(line.level, ""))
        )
        console.print(text, soft_wrap=True)
        if "exception" in line.fields:
            console.print(Text(str(line.fields["exception"]), style="red"), soft_wrap=True)

    return show
