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
    from graph.registry import Registry

    registry = Registry.installed()
    if name is None:
        found = list(describe_all(registry))
        typer.echo(_json(found) if as_json else "\n".join(_list(found)))
        return
    described = describe(name, registry.target(name), registry.load(name))
    typer.echo(_json(described) if as_json else "\n".join(_full(described)))


def _json(described: Description | list[Description]) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(described), indent=2).decode()


def _list(found: list[Description]) -> Iterator[str]:
    from graph.node import TELEMETRY

    family = ""
    for node in found:
        if node.family != family:
            yield from ([""] if family else [])
            family = node.family
            yield typer.style(family, bold=True)
        if node.broken:
            yield f"  {node.name}  broken: {node.broken}"
            continue
        yield f"  {node.name}  {node.summary}"
        for port in node.inputs:
            yield f"      in    {port.name}: {_kinds(port)}{'' if port.required else ' (optional)'}"
        yield from (f"      out   {out.name}: {_kinds(out)}" for out in node.outputs if out.name != TELEMETRY)
        if node.parameters:
            yield f"      with  {', '.join(p.name + ('*' if p.required else '') for p in node.parameters)}"
    yield "\n* must be given. Every node also has the output `telemetry`. `graph nodes NAME` shows one in full."


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
