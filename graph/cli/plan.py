"""`graph plan`: what would run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli.arguments import DEFAULT_FILE, File, Overlays

if TYPE_CHECKING:
    from graph.plan import Plan


def plan(
    file: File = DEFAULT_FILE,
    overlay: Overlays = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole plan as JSON, with the sockets' addresses.")] = False,
) -> None:
    """Show what a graph file would start: processes and the links between them. Nothing is started.

    Exit codes: 0; 2 the file is wrong.
    """
    from graph.load import load_plan

    planned = load_plan(file, overlay or ())
    if as_json:
        typer.echo(_json(planned))
    elif mermaid:
        from graph.mermaid import flowchart

        typer.echo(flowchart(planned))
    else:
        _tables(planned)


def _json(plan: Plan) -> str:
    """The plan, its endpoints as they will be: whoever wants to listen to the graph connects to them."""
    import msgspec

    from graph.rundir import RunDir

    run = RunDir.of(plan)
    document = msgspec.to_builtins(plan)
    for instance in document["instances"]:
        for name in ("out", "work", "credit"):
            instance[name] = run.endpoint(instance[name])
    return msgspec.json.format(msgspec.json.encode({"run_folder": str(run.path), **document}), indent=2).decode()


def _tables(plan: Plan) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    nodes = Table("node", "use", "processes", "threads", "models", box=box.SIMPLE_HEAD)
    for node in plan.nodes:
        threads = "" if node.resources.threads is None else str(node.resources.threads)
        nodes.add_row(node.name, escape(node.use), ", ".join(node.instances), threads, ", ".join(node.models))
    links = Table("from", "to", "link", "depth", "when full", box=box.SIMPLE_HEAD)
    links.columns[3].justify = "right"
    for edge in plan.edges:
        link = f"{edge.link}, feedback" if edge.feedback else edge.link
        links.add_row(f"{edge.producer}.{edge.port}", f"{edge.consumer}.{edge.input}", link, str(edge.depth), edge.when_full)
    console = Console(highlight=False)
    console.print(f"{plan.name}: {len(plan.instances)} processes", markup=False)
    console.print(nodes, links)
