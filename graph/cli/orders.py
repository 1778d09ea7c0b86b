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
    from graph.cli.waiting import Wanted
    from graph.commands import CommandClient, Request
    from graph.running import Running
    from graph.status import InstanceStatus

LOOK_S = 0.05
LOOKS_PER_LINE = 10  # to look at every process costs more than to look at the supervisor
NAMED = 5  # processes that are named while we wait

Wait: TypeAlias = Annotated[bool, typer.Option(help="Wait until it is done.")]
Node: TypeAlias = Annotated[str, typer.Argument(metavar="NODE", help="A node of the graph; all its replicas are meant.")]


def stop(
    node: Annotated[str | None, typer.Argument(metavar="[NODE]", help="Only this node; default: the whole graph.")] = None,
    graph: OfGraph = None,
    now: Annotated[bool, typer.Option("--now", help="At once, without draining, as a second Ctrl-C does.")] = False,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Drain a graph and end it, as Ctrl-C does; or stop one of its nodes, and let the rest go on without it.

    What is left of a graph whose supervisor was killed is ended too. A node that was stopped loses what it had in hand,
    which is counted; `graph start NODE` brings it back.

    Exit codes: 0; 1 no graph is running, the order was refused, or its supervisor was killed while we waited; 2 there is no
    such graph or node, or --now was said of a node; 130 Ctrl-C while we waited: the order stands.
    """
    from graph.commands import Stop
    from graph.running import WrongCall, pick

    if node is not None and now:
        raise WrongCall(f"--now is for a whole graph; a node that does not leave is killed after a while: graph stop {node}")
    running = pick(graph)
    if node is not None:
        running.check_node(node)
        _order(running, node, Stop(node), "stopped" if wait else None, f"'{node}' is being stopped", as_json)
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


def start(node: Node, graph: OfGraph = None, wait: Wait = True, as_json: Json = False) -> None:
    """Start a node that was stopped or has failed, and wait until it runs.

    Exit codes: 0; 1 no graph is running, the order was refused, or the node has failed; 2 there is no such graph or node;
    130 Ctrl-C while we waited: the order stands.
    """
    from graph.commands import Start
    from graph.running import pick

    running = pick(graph)
    running.check_node(node)
    _order(running, node, Start(node), "running" if wait else None, f"'{node}' is being started", as_json)


def restart(node: Node, graph: OfGraph = None, wait: Wait = True, as_json: Json = False) -> None:
    """Stop a node, start it again and wait until it runs; one that has failed is tried again.

    Exit codes: 0; 1 no graph is running, the order was refused, or the node has failed; 2 there is no such graph or node;
    130 Ctrl-C while we waited: the order stands.
    """
    from graph.commands import Restart
    from graph.running import pick

    running = pick(graph)
    running.check_node(node)
    _order(running, node, Restart(node), "running" if wait else None, f"'{node}' is being started again", as_json)


def scale(
    node: Node,
    replicas: Annotated[int, typer.Argument(min=1, max=64, help="How many replicas it shall have.")],
    graph: OfGraph = None,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Change the number of replicas of a node while the graph runs.

    New ones load first; then sessions and work are shared out anew, with nothing lost, doubled or overtaken, and what a
    node knows of a session goes along. If a new one cannot load, all stays as it was. The file is not changed.

    Exit codes: 0; 1 no graph is running, the order was refused, or a new replica has failed; 2 there is no such graph or
    node; 130 Ctrl-C while we waited: the order stands.
    """
    from graph.cli.waiting import Outcome, of, see_changed
    from graph.commands import CommandClient, CommandError, Scale
    from graph.running import pick

    running = pick(graph)
    running.check_node(node)
    running.check_supervised()
    many = f"{replicas} replica{'s' if replicas != 1 else ''}"
    begun = f"'{node}' gets {many}"
    with CommandClient(running.directory.path) as client:
        _give(running, client, Scale(node, replicas))
        try:
            found = see_changed(client, f"'{node}' has {many}") if wait else Outcome(begun)
        except KeyboardInterrupt:
            typer.echo(f"{begun}; graph status shows how it is", err=True)
            raise
        now = of(client.status(), node)
    if not found.done:
        raise CommandError(found.text)
    _say(found.text, as_json, node=node, instances=[_brief(one) for one in now])


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


def _order(running: Running, node: str, request: Request, wanted: Wanted | None, begun: str, as_json: bool) -> None:
    """Give an order to a node and see it done; `wanted` None: do not wait, and say `begun`."""
    from graph.cli.waiting import Outcome, of, see_done
    from graph.commands import CommandClient, CommandError

    running.check_supervised()
    with CommandClient(running.directory.path) as client:
        _give(running, client, request)
        try:
            found, replicas = see_done(running, client, node, wanted) if wanted else (Outcome(begun), of(client.status(), node))
        except KeyboardInterrupt:
            typer.echo(f"{begun}; graph status shows how it is", err=True)
            raise
    if not found.done:
        raise CommandError(found.text)
    _say(found.text, as_json, node=node, instances=[_brief(one) for one in replicas])


def _brief(one: InstanceStatus) -> dict[str, object]:
    return {"instance": one.instance, "pid": one.pid, "health": one.health, "life": one.life}


def _ask(running: Running, request: Request) -> None:
    from graph.commands import CommandClient

    running.check_supervised()
    with CommandClient(Path(running.directory.path)) as client:
        _give(running, client, request)


def _give(running: Running, client: CommandClient, request: Request) -> None:
    """Give an order.

    :raises NotRunning: its supervisor was killed before it had answered.
    """
    from graph.commands import CommandError

    try:
        client.ask(request)
    except CommandError:
        if not running.lives:
            running.check_left()
        raise


def _say(text: str, as_json: bool, **more: object) -> None:
    typer.echo(json.dumps({"done": text, **more}, ensure_ascii=False) if as_json else text)
