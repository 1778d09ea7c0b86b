"""`graph stop`, `start`, `restart` and `scale`: orders to a running graph."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from graph.cli.running import Json, OfGraph

if TYPE_CHECKING:
    from graph.commands import Request
    from graph.running import Running

LOOK_S = 0.05
LOOKS_PER_LINE = 10  # to look at every process costs more than to look at the supervisor
NAMED = 5  # processes that are named while we wait

Node: TypeAlias = Annotated[str, typer.Argument(metavar="NODE", help="A node of the graph; all its replicas are meant.")]


def stop(
    node: Annotated[str | None, typer.Argument(metavar="[NODE]", help="Only this node; default: the whole graph.")] = None,
    graph: OfGraph = None,
    now: Annotated[bool, typer.Option("--now", help="At once, without draining, as a second Ctrl-C does.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the graph is gone.")] = True,
    as_json: Json = False,
) -> None:
    """Drain a graph and end it, as Ctrl-C does; or stop one of its nodes, and let the rest go on without it.

    What is left of a graph whose supervisor was killed is ended too. A node that was stopped loses what it had in hand,
    which is counted; `graph start NODE` brings it back.

    Exit codes: 0; 1 no graph is running, the order was refused, or its supervisor was killed while we waited; 2 there is no
    such graph or node.
    """
    from graph.commands import Stop
    from graph.running import pick

    running = pick(graph)
    if node is not None:
        running.check_node(node)
        _order(running, Stop(node, now), f"'{node}' is being stopped", as_json)
        return
    if running.supervisor is None:
        from graph.ending import end_orphans

        count = end_orphans(running, now)
        _say(f"ended {count} processes of '{running.name}', whose supervisor was killed", as_json)
        return
    _ask(running, Stop(now=now))
    if wait:
        _see_off(running)
    _say(f"'{running.name}' has ended" if wait else f"'{running.name}' is ending", as_json)


def start(node: Node, graph: OfGraph = None, as_json: Json = False) -> None:
    """Start a node that was stopped or has failed.

    Exit codes: 0; 1 no graph is running, or the order was refused; 2 there is no such graph or node.
    """
    from graph.commands import Start
    from graph.running import pick

    running = pick(graph)
    running.check_node(node)
    _order(running, Start(node), f"'{node}' is being started", as_json)


def restart(node: Node, graph: OfGraph = None, as_json: Json = False) -> None:
    """Stop a node and start it again; one that has failed is tried again.

    Exit codes: 0; 1 no graph is running, or the order was refused; 2 there is no such graph or node.
    """
    from graph.commands import Restart
    from graph.running import pick

    running = pick(graph)
    running.check_node(node)
    _order(running, Restart(node), f"'{node}' is being started again", as_json)


def scale(
    node: Node,
    replicas: Annotated[int, typer.Argument(min=1, max=64, help="How many replicas it shall have.")],
    graph: OfGraph = None,
    wait: Annotated[bool, typer.Option(help="Wait until it is done.")] = True,
    as_json: Json = False,
) -> None:
    """Change the number of replicas of a node while the graph runs.

    New ones load first; then sessions and work are shared out anew, with nothing lost, doubled or overtaken, and what a
    node knows of a session goes along. If a new one cannot load, all stays as it was. The file is not changed.

    Exit codes: 0; 1 no graph is running, the order was refused, or a new replica has failed; 2 there is no such graph or node.
    """
    from graph.commands import Scale
    from graph.running import pick

    running = pick(graph)
    running.check_node(node)
    _ask(running, Scale(node, replicas))
    if wait:
        _see_changed(running)
    many = f"{replicas} replica{'s' if replicas != 1 else ''}"
    _say(f"'{node}' has {many}" if wait else f"'{node}' gets {many}", as_json)


def _see_off(running: Running) -> None:
    """Wait until a graph is gone; on a terminal, tell how far it is."""
    from rich.console import Console

    with Console(stderr=True, highlight=False).status("ending") as shown:
        for look in itertools.count():
            if not running.lives:
                break
            if look % LOOKS_PER_LINE == 0:
                left = sorted(running.directory.alive())
                named = ", ".join(left[:NAMED]) + (", …" if len(left) > NAMED else "")
                shown.update(f"ending: {len(left)} processes left ({named})" if left else "ending")
            time.sleep(LOOK_S)
    running.check_left()


def _see_changed(running: Running) -> None:
    """Wait until the change that was ordered is done; on a terminal, tell how far it is.

    :raises CommandError: it was undone.
    """
    from rich.console import Console

    from graph.commands import CommandClient, CommandError

    with CommandClient(Path(running.directory.path)) as client, Console(stderr=True, highlight=False).status("") as shown:
        while True:
            status = client.status()
            change = status.change
            if change is None or change.stage == "done":
                return
            if change.stage == "undone":
                raise CommandError(f"not done: {change.error}; the graph goes on as it was")
            loading = [f"{one.instance} {one.text}" for one in status.instances if one.health == "loading"]
            shown.update(", ".join(loading) or change.stage)
            time.sleep(LOOK_S)


def _order(running: Running, request: Request, done: str, as_json: bool) -> None:
    _ask(running, request)
    _say(done, as_json)


def _ask(running: Running, request: Request) -> None:
    from graph.commands import CommandClient

    running.check_supervised()
    with CommandClient(Path(running.directory.path)) as client:
        client.ask(request)


def _say(text: str, as_json: bool) -> None:
    typer.echo(json.dumps({"done": text}, ensure_ascii=False) if as_json else text)
