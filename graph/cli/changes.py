"""`graph diff`, `apply` and `swap`: a running graph becomes what its file says now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli.arguments import DEFAULT_FILE, File, Overlays
from graph.cli.orders import Node, Wait
from graph.cli.running import Json, OfGraph

if TYPE_CHECKING:
    from graph.commands import CommandClient, Line
    from graph.plan import Plan
    from graph.running import Running


def diff(file: File = DEFAULT_FILE, overlay: Overlays = None, as_json: Json = False) -> None:
    """Show what differs between a file and the graph of it that runs, a line each; changes nothing.

    Exit codes: 0; 1 the graph does not run; 2 the file is wrong.
    """
    from graph.commands import Apply, CommandClient
    from graph.load import load_plan

    plan = load_plan(file, overlay or [])
    running = _running(plan)
    with CommandClient(running.directory.path) as client:
        changes = client.ask(Apply(plan, check=True)).changes
    if as_json:
        typer.echo(
            json.dumps([{"where": c.where, "change": c.text, "applies": c.applies} for c in changes], ensure_ascii=False)
        )
        return
    for line in changes:
        typer.echo(_shown(line))
    if not changes:
        typer.echo("nothing differs")


def apply(
    file: File = DEFAULT_FILE,
    overlay: Overlays = None,
    pull: Annotated[bool, typer.Option(help="Fetch missing models first.")] = True,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Let the running graph become what its file says now.

    What has changed of a node takes effect in place where it can. Else the new version starts and loads beside the old one,
    and takes over between two messages, with nothing lost or doubled; if it cannot load, all stays as it was. What did not
    change is not touched. Node by node.

    Exit codes: 0; 1 the graph does not run, cannot be changed so, or a new version has failed; 2 the file is wrong;
    130 Ctrl-C while we waited: the graph goes on changing.
    """
    from graph.load import load_plan

    plan = load_plan(file, overlay or [])
    _apply(_running(plan), plan, pull, wait, as_json)


def swap(
    node: Node,
    with_: Annotated[
        list[str] | None, typer.Option("--with", metavar="KEY=VALUE", help="A parameter; may be repeated.")
    ] = None,
    use: Annotated[str | None, typer.Option(help="Another engine, by its name in `graph nodes`.")] = None,
    graph: OfGraph = None,
    pull: Annotated[bool, typer.Option(help="Fetch missing models first.")] = True,
    as_json: Json = False,
) -> None:
    """Change a node of a running graph, and its file: `graph swap stt --with model=tiny.en`.

    The file is written when the new version has taken over; its comments and order are kept. If it cannot load, the graph
    and the file stay as they were.

    Exit codes: 0; 1 no graph is running, or the new version has failed; 2 the call is wrong.
    """
    from graph.load import load_plan
    from graph.running import WrongCall, pick

    running = pick(graph)
    running.check_node(node)
    values = dict(_parameter(text) for text in with_ or [])
    if not values and use is None:
        raise WrongCall("say what is to change: --with KEY=VALUE, or --use NAME")
    paths: dict[tuple[str, ...], str] = {("nodes", node, "use"): use} if use is not None else {}
    paths |= {("nodes", node, "with", key): value for key, value in values.items()}
    file = Path(running.file)
    overlays = [*running.plan.overlays, *(f"{'.'.join(path)}={value}" for path, value in paths.items())]
    plan = _as_of(running, load_plan(file, overlays))
    if not _apply(running, plan, pull, True, as_json):
        return
    _write(file, paths)


def _write(file: Path, paths: dict[tuple[str, ...], str]) -> None:
    from graph.edit import with_value, without, write
    from graph.errors import VoicegraphError

    try:
        text = file.read_text(encoding="utf-8")
        for path, value in paths.items():
            text = with_value(text, path, value, str(file))
            if path[-1] == "use":  # what was said of the engine before is not for this one
                text = without(text, (*path[:-1], "with"), str(file))
        write(file, text)
    except OSError as error:
        raise VoicegraphError(f"the graph has changed, but {file} cannot be written: {error.strerror}") from error


def _parameter(text: str) -> tuple[str, str]:
    from graph.running import WrongCall

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise WrongCall(f"a parameter is written KEY=VALUE, not '{text}'")
    return key.strip(), value.strip()


def _running(plan: Plan) -> Running:
    """The graph of a file.

    :raises NotRunning: it does not run.
    """
    from graph.rundir import RunDir
    from graph.running import NotRunning, look

    folder = RunDir.of(plan).path
    for one in look().graphs:
        if one.directory.path == folder:
            one.check_supervised()
            return one
    raise NotRunning(f"'{plan.name}' is not running (graph run {plan.file})")


def _as_of(running: Running, plan: Plan) -> Plan:
    """Under the name of the file by which the graph was started, and with its own overlays."""
    import msgspec

    return msgspec.structs.replace(plan, file=running.plan.file, overlays=running.plan.overlays)


def _apply(running: Running, plan: Plan, pull: bool, wait: bool, as_json: bool) -> bool:
    """Give the order, and see it done. Returns whether anything has changed.

    :raises CommandError: it was refused, or a new version has failed.
    """
    from graph.commands import Apply, CommandClient, CommandError

    if pull:
        from graph.models import Bars, ensure

        with Bars() as progress:
            ensure(plan.models, progress)
    with CommandClient(running.directory.path) as client:
        changes = client.ask(Apply(plan)).changes
        if not as_json:
            for line in changes:
                typer.echo(_shown(line))
        text, done = _see(client, running, changes, wait)
    if not done:
        raise CommandError(text)
    if as_json:
        told = [{"where": c.where, "change": c.text} for c in changes]
        typer.echo(json.dumps({"done": text, "changes": told}, ensure_ascii=False))
    else:
        typer.echo(text)
    return bool(changes)


def _see(client: CommandClient, running: Running, changes: list[Line], wait: bool) -> tuple[str, bool]:
    from graph.cli.waiting import see_changed

    if not changes:
        return "nothing to change", True
    if not wait:
        return f"'{running.name}' is being changed", True
    try:
        found = see_changed(client, f"'{running.name}' is what its file says")
    except KeyboardInterrupt:
        typer.echo("the graph goes on changing; graph status shows how it is", err=True)
        raise
    return found.text, found.done


def _shown(line: Line) -> str:
    text = f"{line.where}: {line.text}" if line.where else line.text
    return text if line.applies else f"{text} (takes a new start of the graph)"
