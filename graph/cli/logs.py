"""`graph logs`: what the processes of a graph wrote down."""

from __future__ import annotations

import heapq
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli.running import Graph, Json

if TYPE_CHECKING:
    from graph.log_lines import Line

LOOK_S = 0.2
STYLES = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "bold red"}


def logs(
    graph: Graph = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the graph has ended.")] = False,
    node: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only of this node; may be repeated.")] = None,
    level: Annotated[str, typer.Option(help="debug, info, warning or error, and what is worse.")] = "debug",
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only newer ones: 5m, 2h, 90s ago, or an ISO time.")] = None,
    grep: Annotated[str, typer.Option(metavar="TEXT", help="Only those whose message contains this text, as it is.")] = "",
    lines: Annotated[int | None, typer.Option("-n", "--lines", min=0, help="Only the last so many.")] = None,
    previous: Annotated[bool, typer.Option("--previous", help="Those of the run before.")] = False,
    as_json: Json = False,
) -> None:
    """Show the logs of all processes of a graph in one place and in the order of time, also after it has ended.

    What libraries print stands beside what nodes log, with the time of the line before it. `supervisor` is a name too.

    Exit codes: 0; 1 there are no logs; 2 there is no such graph or node, or a value is wrong.
    """
    from graph.log_lines import at_least
    from graph.log_lines import since as time_of
    from graph.log_rotation import LEVELS
    from graph.running import WrongCall
    from graph.validation import did_you_mean

    if level not in LEVELS:
        raise WrongCall(f"--level '{level}' is no level ({did_you_mean(level, LEVELS) or ', '.join(LEVELS)})")
    after, levels = time_of(since) if since else "", at_least(level)
    folder = _folder(graph, previous)
    with suppress(KeyboardInterrupt, BrokenPipeError):
        following = _Following(folder, node or [])

        def wanted(found: Iterable[Line]) -> Iterator[Line]:
            return (line for line in found if line.level in levels and line.timestamp >= after and grep in line.event)

        show = _json if as_json else _printer(following.width)
        found = wanted(following.so_far())
        for line in found if lines is None else deque(found, lines):
            show(line)
        alive = follow and not previous
        while alive:
            alive = _runs(folder)
            for line in wanted(following.news()):
                show(line)
            if alive:
                time.sleep(LOOK_S)
        for line in wanted(following.rest()):
            show(line)
        sys.stdout.flush()
        return
    _silence()


def _silence() -> None:
    """Nobody reads any more: what Python still writes at its end goes nowhere."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Following:
    """The files of the nodes that are meant, those among them that come while it runs."""

    def __init__(self, folder: Path, nodes: list[str]) -> None:
        """:raises WrongCall: a name that nobody has."""
        from graph.log_files import Follower, files_of

        self._make: Callable[[str], Follower] = lambda instance: Follower(folder / f"{instance}.log", instance)
        self._known: Callable[[], Iterable[str]] = lambda: files_of(folder)
        self._nodes = nodes
        self._followers = {one: self._make(one) for one in _instances(list(self._known()), nodes)}
        self.width = max(map(len, self._followers), default=0)

    def so_far(self) -> Iterator[Line]:
        """All there is, in the order of time."""
        return heapq.merge(*(one.lines() for one in self._followers.values()))

    def news(self) -> list[Line]:
        """What has come since."""
        for instance in self._known():
            if instance not in self._followers and (not self._nodes or any(_is_of(instance, one) for one in self._nodes)):
                self._followers[instance] = self._make(instance)
        return sorted(line for one in self._followers.values() for line in one.lines())

    def rest(self) -> list[Line]:
        """Last words without a line's end."""
        return sorted(line for one in self._followers.values() for line in one.rest())


def _folder(graph: str | None, previous: bool) -> Path:
    """The logs of a running graph, or of the last one of that name or file; or those of the run before it.

    :raises NotRunning: there are no logs.
    :raises WrongCall: there are none of that graph, or several graphs run and none is named.
    """
    from graph.log_places import PREVIOUS, of_run
    from graph.running import NotRunning, WrongCall, pick

    try:
        found = of_run(pick(graph).directory.path.name)
    except (NotRunning, WrongCall) as error:
        if graph is None and isinstance(error, WrongCall):
            raise
        found = _ended(graph)
    if not found.is_dir():
        raise NotRunning(f"the running graph has no logs in {found} (was it started with another XDG_STATE_HOME?)")
    if not previous:
        return found
    if not (found / PREVIOUS).is_dir():
        raise WrongCall(f"no logs of a run before are kept in {found}")
    return found / PREVIOUS


def _ended(graph: str | None) -> Path:
    """The logs of the graph that ran last, of all or of that name or file. Where none was named it is told which one it is."""
    from graph.log_places import graph_of, named, names, root
    from graph.running import NotRunning, WrongCall
    from graph.validation import did_you_mean

    found = named(graph)
    if found is None:
        known = names()
        if not known:
            whose = f" of '{graph}'" if graph else ""
            raise NotRunning(f"there are no logs{whose}: no graph has run yet that kept them in {root()} (graph run -d FILE)")
        hint = did_you_mean(graph or "", known) or f"there are those of {', '.join(known)}"
        raise WrongCall(f"there are no logs of '{graph}' ({hint})")
    if graph is None:
        typer.echo(f"no graph is running; these are the logs of '{graph_of(found)}', which ran last: {found}", err=True)
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
        of_it = [one for one in known if _is_of(one, node)]
        if not of_it:
            raise WrongCall(f"there are no logs of a node '{node}' ({did_you_mean(node, known) or ', '.join(known)})")
        found += of_it
    return found or known


def _is_of(instance: str, node: str) -> bool:
    return instance == node or instance.rpartition(".")[0] == node


def _json(line: Line) -> None:
    typer.echo(line.as_json())


def _printer(width: int) -> Callable[[Line], None]:
    from rich.console import Console
    from rich.text import Text

    from graph.log_lines import printable

    console = Console(highlight=False)

    def show(line: Line) -> None:
        fields = " ".join(f"{k}={v}" for k, v in line.fields.items() if k not in ("node", "life", "pid", "exception"))
        said = printable(f"{line.event} {fields}".rstrip())
        clock, style = line.timestamp[11:23], STYLES.get(line.level, "")
        if console.is_terminal:
            text = Text.assemble((f"{clock:<12} ", "dim"), (f"{line.instance:<{width}}  ", "cyan"), (said, style))
            console.print(text, soft_wrap=True)
        else:  # a tenth of the time
            typer.echo(f"{clock:<12} {line.instance:<{width}}  {said}")
        if "exception" in line.fields:
            trace = "\n".join(map(printable, str(line.fields["exception"]).splitlines()))
            typer.echo(typer.style(trace, fg="red"))

    return show
