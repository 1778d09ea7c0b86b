"""`python -m bench recover`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.recover.rounds import Figures

ROWS: dict[str, Callable[[Figures], float | None]] = {
    "start to first message, s": lambda f: f.first_message_s,
    "node killed: gap at the consumer, s": lambda f: f.relay_killed.seconds if f.relay_killed else None,
    "node killed: messages lost": lambda f: f.relay_killed.lost if f.relay_killed else None,
    "Ctrl-C to exit, s": lambda f: f.ctrl_c_s,
    "supervisor killed: gap at the consumer, s": lambda f: f.supervisor_killed.seconds if f.supervisor_killed else None,
    "supervisor killed: messages lost": lambda f: f.supervisor_killed.lost if f.supervisor_killed else None,
}


def recover(
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is run.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every run to this file.")] = None,
) -> None:
    """How soon a graph runs, comes back when a node or the supervisor is killed, and ends; beside dora.

    source -> relay -> sink at 1000 messages of 1 KB a second. The arms take turns in a rotating order; figures are medians
    (min-max) over the rounds, about 15 s each for an arm. docs/benchmarks.md says how to read them.
    """
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from bench.recover.arms import ARMS
    from bench.recover.rounds import measure

    console = Console()
    arms = [arm for arm in ARMS if not arm.missing]
    for arm in ARMS:
        if arm.missing:
            console.print(f"{arm.name} is left out: {arm.missing}")
    turns = [arm for n in range(rounds) for arm in arms[n % len(arms) :] + arms[: n % len(arms)]]
    runs: dict[str, list[Figures]] = {arm.name: [] for arm in arms}
    for arm in track(turns, "measuring", console=Console(stderr=True)):
        runs[arm.name].append(measure(arm))
    table = Table("", *runs)
    for row, figure in ROWS.items():
        table.add_row(row, *(told([figure(one) for one in of_arm]) for of_arm in runs.values()))
    console.print(table)
    if json_file is not None:
        document: Any = {name: [asdict(one) for one in of_arm] for name, of_arm in runs.items()}
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(document, indent=1))


def told(values: list[float | None]) -> str:
    """Median and spread; how often it did not happen at all."""
    found = [value for value in values if value is not None]
    never = "" if len(found) == len(values) else f"never in {len(values) - len(found)} of {len(values)}"
    if not found:
        return "never"
    spread = f"{statistics.median(found):.3g} ({min(found):.3g}–{max(found):.3g})"
    return f"{spread}, {never}" if never else spread
