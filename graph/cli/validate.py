"""`graph validate`: is the file right?"""

from __future__ import annotations

import typer

from graph.cli.arguments import DEFAULT_FILE, File, Overlays


def validate(file: File = DEFAULT_FILE, overlay: Overlays = None) -> None:
    """Check a graph file: its keys, nodes, parameters and wiring. Every error is told, with its line.

    Exit codes: 0 it is right; 2 it is not.
    """
    from graph.load import load_plan

    plan = load_plan(file, overlay or ())
    typer.echo(f"{file}: right ({len(plan.nodes)} nodes, {len(plan.instances)} processes, {len(plan.edges)} links)")
