"""`graph nodes`: what a graph can be made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from graph.describe import Description, InputPort, OutputPort


def nodes(
    name: Annotated[str | None, typer.Argument(help="A registered name or package.module:Class; shown in full.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the nodes that a graph can use, with their ports and parameters, or show one in full.

    Exit codes: 0; 1 the node cannot be imported; 2 there is no such node.
    """
    from graph.describe import describe, describe_all
    from graph.registry import Registry, UnknownNode

    registry = Registry.installed()
    if name is None:
        found = list(describe_all(registry))
        typer.echo(_json(found) if as_json else "\n".join(_list(found)))
        return
    try:
        described = describe(name, registry.target(name), registry.load(name))
    except UnknownNode as error:
        from graph.validation import did_you_mean

        hint = did_you_mean(name, registry.targets) or "`graph nodes` lists what there is"
        raise typer.BadParameter(f"{error} ({hint})", param_hint="NAME") from error
    typer.echo(_json(described) if as_json else "\n".join(_full(described)))


def _json(described: Description | list[Description]) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(described), indent=2).decode()


def _list(found: list[Description]) -> Iterator[str]:
    family = ""
    for node in found:
        if node.family != family:
            yield from ([""] if family else [])
            family = node.family
            yield typer.style(family, bold=True)
        yield f"  {node.name:<22} {node.broken or node.summary}"
        if node.broken:
            continue
        for port in node.inputs:
            yield f"{'':25}in    {port.name}: {_kinds(port)}{'' if port.required else ' (optional)'}"
        for out in _own(node):
            yield f"{'':25}out   {out.name}: {_kinds(out)}"
        if node.parameters:
            yield f"{'':25}with  {', '.join(p.name + ('*' if p.required else '') for p in node.parameters)}"
    yield ""
    yield "* must be given. `graph nodes NAME` shows a node in full; every node also has the output `telemetry`."


def _full(node: Description) -> Iterator[str]:
    yield typer.style(node.name, bold=True) + f"  ({node.target})"
    yield from (f"  {line}".rstrip() for line in node.doc.splitlines())
    if node.extra:
        yield f"  Needs: pip install 'voicegraph[{node.extra}]'"
    if node.inputs:
        yield "\nInputs"
    for port in node.inputs:
        notes = [*([] if port.required else ["optional"]), *(["interrupts"] if port.interrupts else [])]
        yield f"  {port.name}: {_kinds(port)}" + (f" ({', '.join(notes)})" if notes else "")
        yield from _indented(port.doc)
    yield "\nOutputs"
    for out in node.outputs:
        yield f"  {out.name}: {_kinds(out)}"
        yield from _indented(out.doc)
    if node.parameters:
        yield "\nParameters"
    for parameter in node.parameters:
        import json

        given = "required" if parameter.required else f"default {json.dumps(parameter.default, ensure_ascii=False)}"
        yield f"  {parameter.name}: {parameter.type} ({given})"
        yield from _indented(parameter.description)


def _indented(text: str) -> Iterator[str]:
    if text:
        yield f"      {text}"


def _kinds(port: InputPort | OutputPort) -> str:
    return ", ".join(port.kinds)


def _own(node: Description) -> Iterator[OutputPort]:
    from graph.node import TELEMETRY

    return (out for out in node.outputs if out.name != TELEMETRY)
