"""`graph …`: one file a group of verbs. A verb imports what it needs when it is called, so that the others stay quick."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from graph.cli import changes, doctor, logs, models, nodes, orders, plan, run, running, scenarios, schema, top, validate
from graph.errors import VoicegraphError

INTERRUPTED = 130  # 128 + SIGINT, as shells report it

app = typer.Typer(
    name="graph",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Voice assistants as graphs of processes: `graph run pipelines.yaml`.",
)
app.command()(run.run)
app.command()(validate.validate)
app.command()(plan.plan)
app.command()(nodes.nodes)
app.command()(schema.schema)
app.command()(doctor.doctor)
app.command()(running.ps)
app.command()(running.status)
app.command()(top.top)
app.command()(logs.logs)
app.command()(orders.stop)
app.command()(orders.start)
app.command()(orders.restart)
app.command()(orders.scale)
app.command()(changes.diff)
app.command()(changes.apply)
app.command()(changes.swap)
app.command("test")(scenarios.hold)
app.add_typer(models.app, name="models")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"voicegraph {version('voicegraph')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The command `graph`: what goes wrong is told in words, on stderr, and in the exit code."""
    try:
        app()
    except VoicegraphError as error:
        typer.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
