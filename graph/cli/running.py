"""`graph ps`, `status`, `stop`, `start`, `restart` and `scale`: see to the graphs that run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from graph.status import GraphStatus

NOT_WELL = 3  # exit code of `graph status`

Graph: TypeAlias = Annotated[
    str | None, typer.Argument(metavar="[GRAPH]", help="Its name or its file; not needed where only one is running.")
]
OfGraph: TypeAlias = Annotated[
    str | None,
    typer.Option("-g", "--graph", metavar="GRAPH", help="The graph's name or file; not needed where only one is running."),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def ps(as_json: Json = False) -> None:
    """List the running graphs of this user: how far each is, how many of its processes are ready or have failed.

    A graph whose supervisor was killed is `orphaned` while its nodes live: `graph run` on its file takes over, `graph stop`
    ends them. One whose supervisor does not answer is `silent`.

    Exit codes: 0, also where nothing is running; 1 the folder of the runs may not be read.
    """
    from graph.cli.tables import listed, print_table, table_of_graphs
    from graph.running import look

    found = look()
    rows = [listed(graph) for graph in found.graphs]
    for folder in found.denied:
        typer.echo(f"cannot look into {folder}: permission denied", err=True)
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif not rows:
        typer.echo("no graph is running (start one: graph run -d FILE)", err=True)
    else:
        print_table(table_of_graphs(rows))


def status(graph: Graph = None, as_json: Json = False) -> None:
    """Show how a graph is: each of its processes and each link between them.

    Exit codes: 0 all is well; 1 nobody answers; 2 there is no such graph; 3 a process has failed, hangs, is unresponsive, or
    waits to be started again after it died.
    """
    from graph.cli.tables import print_status
    from graph.commands import CommandClient
    from graph.running import pick
    from graph.status import UNWELL

    running = pick(graph)
    running.check_supervised()
    with CommandClient(running.directory.path) as client:
        said = client.status()
    if as_json:
        typer.echo(_json(said))
    else:
        print_status(said, running.plan)
    raise typer.Exit(NOT_WELL if any(one.health in UNWELL for one in said.instances) else 0)


def _json(said: GraphStatus) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(said), indent=2).decode()
