"""`python -m bench recover`."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

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
    from bench.interleaved import interleaved, show
    from bench.recover.arms import ARMS
    from bench.recover.rounds import measure

    rows = [(row, partial(_row, figure)) for row, figure in ROWS.items()]
    show(interleaved(ARMS, rounds, measure), rows, json_file)


def _row(figure: Callable[[Figures], float | None], runs: list[Figures]) -> str:
    return told([figure(one) for one in runs])


def told(values: list[float | None]) -> str:
    """Median and spread; how often it did not happen at all."""
    found = [value for value in values if value is not None]
    never = "" if len(found) == len(values) else f"never in {len(values) - len(found)} of {len(values)}"
    if not found:
        return "never"
    spread = f"{statistics.median(found):.3g} ({min(found):.3g}–{max(found):.3g})"
    return f"{spread}, {never}" if never else spread
