"""`graph models`: the catalogue, and what of it is in the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from graph.models.catalogue import Model

app = typer.Typer(
    no_args_is_help=True,
    help="The models that nodes need: list, fetch, find and check them. They are kept in `$VOICEGRAPH_MODELS`, or in the "
    "user's cache folder.",
)

Names = Annotated[list[str] | None, typer.Argument(metavar="NAMES", help="Catalogue names, aliases or hub ids (org/name).")]


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array instead of a table.")] = False,
) -> None:
    """List every model of the catalogue: its size, its licence, whether it is here; then where the store is."""
    from graph.models.catalogue import installed

    rows = [_row(model) for model in installed().models.values()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    from graph.models.store import root

    table = Table("model", "MB", "licence", "here", "what", box=None, pad_edge=False, header_style="bold")
    table.columns[0].no_wrap = True
    table.columns[1].justify = "right"
    for row in rows:
        table.add_row(row["name"], f"{row['size'] / 1e6:.0f}", row["licence"], "yes" if row["path"] else "no", row["about"])
    console = Console(highlight=False)
    console.print(table)
    console.print(f"\nThe store is {root()}", soft_wrap=True)


@app.command()
def pull(
    names: Names = None,
    graph: Annotated[Path | None, typer.Option(metavar="FILE", help="Pull what the nodes of this graph file need.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Pull the whole catalogue.")] = False,
    again: Annotated[bool, typer.Option("--force", help="Fetch also what is here, and replace it.")] = False,
) -> None:
    """Fetch models that are not here yet: by name, all that a graph needs, or all there are.

    Each file is checked against the catalogue's sha256; one that differs is refused and the next source is tried. An
    interrupted pull goes on where it stopped. Several pulls may run at once.

    Exit codes: 0 all are here; 1 one could not be had; 2 a name is unknown.
    """
    from graph.models import Bars, ensure
    from graph.models.catalogue import installed

    references = list(names or [])
    if graph is not None:
        from graph.load import load_plan

        references += load_plan(graph, []).models
    if every:
        references += list(installed().models)
    if not references and graph is None:
        known = ", ".join(installed().models)
        raise typer.BadParameter(f"name the models ({known}), or give --graph FILE or --all", param_hint="NAMES")
    with Bars() as progress:
        paths = ensure(references, progress, again=again)
    for reference, path in paths.items():
        typer.echo(f"{reference}: {path}")


@app.command()
def path(name: Annotated[str, typer.Argument(help="A catalogue name, an alias, a hub id or a path.")]) -> None:
    """Print where a model is, and nothing else: `ls $(graph models path kokoro-82m)/voices`."""
    from graph.models import locate

    typer.echo(locate(name))


@app.command()
def verify(names: Names = None) -> None:
    """Read the models that are here and compare every file with the catalogue's sha256. No names: all that are here.

    Exit codes: 0 all are right; 1 a file is missing or differs; 2 a name is unknown.
    """
    from graph.models.catalogue import installed
    from graph.models.store import faults, root

    models = [installed().find(name) for name in names or []]
    wrong = False
    for model in models or [m for m in installed().models.values() if (root() / m.name).is_dir()]:
        found = faults(model)
        wrong |= bool(found)
        typer.echo(f"{model.name}: {'; '.join(found) or 'right'}")
        if found:
            typer.echo(f"  `graph models pull --force {model.name}` brings it again", err=True)
    raise typer.Exit(1 if wrong else 0)


def _row(model: Model) -> dict[str, Any]:
    from graph.models.store import present

    here = present(model)
    return {
        "name": model.name,
        "aliases": model.aliases,
        "about": model.about,
        "licence": model.licence,
        "size": model.size,  # bytes
        "path": str(here) if here else None,
    }
