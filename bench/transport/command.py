"""`python -m bench transport`: what the user asks for, and what is shown meanwhile and at the end."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.transport import cells, record, tables
from bench.transport.arms import ARMS
from bench.transport.cells import Cell
from bench.transport.figures import Results, Run
from bench.transport.picture import picture as drawn
from bench.transport.rounds import Plan, run_all
from bench.transport.targets import compared

WIDTH = 128  # columns; a row of figures that is broken into pieces is worse than one that runs over
SHAPES = Enum("SHAPES", {shape: shape for shape in ("1 hop", "3 hops", "fan-out")}, type=str)  # type: ignore[misc]


def transport(
    quick: Annotated[bool, typer.Option("--quick", help="One round, two small cells: under a minute.")] = False,
    targets: Annotated[bool, typer.Option("--targets", help="Only what the targets compare: about ten minutes.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="How often everything is run; 3, with --quick 1.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only arms whose name contains this; may be repeated.")] = None,
    size: Annotated[list[str] | None, typer.Option(help="Only this payload, e.g. '64 KB' or 1MB; may be repeated.")] = None,
    rate: Annotated[
        list[int] | None, typer.Option(help="Only this many messages a second, 0 is flat out; may be repeated.")
    ] = None,
    shape: Annotated[list[SHAPES] | None, typer.Option(help="Only this shape; may be repeated.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every run and the summary to this file.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw p50 and rates of the main cells into this SVG file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this file as Markdown.")] = None,
    show: Annotated[Path | None, typer.Option(help="Run nothing: show the --json file of an earlier run.")] = None,
) -> None:
    """Our streams and queues against raw pyzmq, dora, ezmsg, Redis and pipes: the same messages, one way, on this machine.

    Every arm runs in processes of its own; ours is `graph run` on a file like any other. In every round the arms take
    turns in a rotating order; figures are medians over the rounds. docs/benchmarks.md says how to read them and what
    they do not show.

    The peers are installed by `make bench-peers`; one that is missing is left out. Everything together takes about 45
    minutes, on a machine that should have nothing else to do.
    """
    console = Console(width=max(Console().width, WIDTH))
    if show is not None:
        results, missing = record.load(show)
    else:
        missing = {one.name: one.missing for one in ARMS if one.missing and _chosen(one.name, arm)}
        for name, why in missing.items():
            console.print(f"{name}: {why}", style="yellow", highlight=False)
        plan = _filtered(_plan(quick, targets, missing), arm, size, rate, shape)
        if not plan:
            raise typer.BadParameter("nothing is left to run: these filters exclude every cell or every arm")
        results = _run(console, plan, rounds or (1 if quick else 3))
    for table in tables.everything(results, missing):
        console.print(table.as_rich())
    left_out = [] if quick or targets else cells.left_out()
    if left_out and show is None:
        names = ", ".join(cell.name for cell in left_out)
        console.print(f"Left out, more than {cells.BYTE_RATE_MAX / 1e9:g} GB/s: {names}.", style="dim", highlight=False)
    if json_file is not None:
        _write(json_file, json.dumps(record.as_json(results, ARMS, missing, left_out), indent=1, ensure_ascii=False) + "\n")
    if picture is not None:
        _write(picture, drawn(results))
    if markdown is not None:
        _write(markdown, "\n\n".join(table.as_markdown() for table in tables.everything(results, missing)) + "\n")


def _plan(quick: bool, targets: bool, missing: dict[str, str]) -> Plan:
    """The selection's cells, each with the arms that can carry it and are here."""
    if targets:
        wanted: Plan = compared()
    else:
        selection = cells.quick() if quick else cells.full()
        wanted = {cell: [arm.name for arm in ARMS if arm.carries(cell)] for cell in selection}
    return {cell: [name for name in names if name not in missing] for cell, names in wanted.items()}


def _filtered(
    plan: Plan, arms: list[str] | None, sizes: list[str] | None, rates: list[int] | None, shapes: list[SHAPES] | None
) -> Plan:
    def fits(cell: Cell) -> bool:
        named = [size.replace(" ", "").upper() for size in sizes or []]
        return (
            (not named or cells.size_name(cell.size).replace(" ", "") in named)
            and (not rates or cell.rate in rates)
            and (not shapes or cell.shape in [shape.value for shape in shapes])
        )

    chosen = {cell: [name for name in names if _chosen(name, arms)] for cell, names in plan.items() if fits(cell)}
    return {cell: names for cell, names in chosen.items() if names}


def _chosen(name: str, parts: list[str] | None) -> bool:
    return not parts or any(part.lower() in name.lower() for part in parts)


def _run(console: Console, plan: Plan, rounds: int) -> Results:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, refresh_per_second=2) as progress:
        bar = progress.add_task("", total=rounds * sum(map(len, plan.values())))

        def tell(round_number: int, cell: Cell, arm: str, run: Run | None) -> None:
            if run is None:
                progress.update(bar, description=f"round {round_number + 1} of {rounds}: {cell.name}, {arm}")
            else:
                progress.advance(bar)
                if run.failed:
                    progress.console.print(f"{cell.name}, {arm}: {run.failed}", style="yellow", highlight=False, markup=False)

        return run_all({arm.name: arm for arm in ARMS}, plan, rounds, tell)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
