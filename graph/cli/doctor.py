"""`graph doctor`: what is missing, and the command that mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graph.cli.arguments import DEFAULT_FILE, Overlays
from graph.cli.running import Json

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


def doctor(
    file: Annotated[
        Path | None, typer.Argument(help="The graph file; where none is given pipelines.yaml, or all that there could be.")
    ] = None,
    overlay: Overlays = None,
    as_json: Json = False,
) -> None:
    """Look at this machine: what the graph lacks on it, and the command that mends each. Nothing is started or changed.

    Exit codes: 0 it will run, though there may be warnings; 1 there is a problem.
    """
    from graph.doctor.finding import worst
    from graph.doctor.visit import visit

    if file is None and DEFAULT_FILE.is_file():
        file = DEFAULT_FILE
    findings = []
    for one in visit(file, overlay):
        findings.append(one)
        if not as_json:
            typer.echo(f"{typer.style(f'{one.verdict:<8}', fg=COLOURS[one.verdict])} {one.check}: {one.text}")
            if one.do:
                typer.echo(f"         do: {one.do}")
    if as_json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode())
    raise typer.Exit(1 if worst(findings) == "problem" else 0)
