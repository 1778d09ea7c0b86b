"""`python -m bench swap`."""

from __future__ import annotations

import signal
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psutil
import typer

from bench.recover.ends import heard, now_ns
from bench.recover.rounds import started
from bench.swap.figures import Swapped, swapped
from bench.transport.processes import taking_part

if TYPE_CHECKING:
    from bench.swap.arms import Swapping

STEADY_S = 1.0
PATIENCE_S = 20.0

ROWS: dict[str, Callable[[Swapped], list[float]]] = {
    "gap at takeover, ms": lambda s: [gap * 1000 for gap in s.gaps_s],
    "order to done, s": lambda s: s.took_s,
    "lost": lambda s: [s.lost],
    "doubled": lambda s: [s.doubled],
    "overtaken": lambda s: [s.overtaken],
    "memory at worst, MB": lambda s: [s.memory / 2**20],
}


def swap(
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is run.")] = 3,
    swaps: Annotated[int, typer.Option(min=1, help="How often the relay is replaced in a run.")] = 10,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every run to this file.")] = None,
) -> None:
    """A relay is replaced again and again while 1000 messages of 1 KB a second flow: ours, dora's, Pipecat's.

    Gaps are the longest pause at the consumer around each swap. The arms take turns in a rotating order; figures are medians
    (min-max) over all swaps of all rounds. docs/benchmarks.md says how to read them.
    """
    from bench.interleaved import interleaved, show
    from bench.swap.arms import ARMS

    rows = [(row, partial(_row, figures)) for row, figures in ROWS.items()]
    show(interleaved(ARMS, rounds, partial(measure, swaps=swaps)), rows, json_file)


def _row(figures: Callable[[Swapped], list[float]], runs: list[Swapped]) -> str:
    return _told([value for one in runs for value in figures(one)])


def measure(arm: Swapping, swaps: int) -> Swapped:
    """One run."""
    with started(arm) as (run, process, _):
        _until(lambda: len(heard(run)) > 1000)
        done: list[tuple[int, int]] = []
        memory = 0
        for version in range(1, swaps + 1):
            ordered_ns = now_ns()
            arm.swap(run, version)
            done.append((ordered_ns, now_ns()))
            memory = max(memory, _memory(run, process))
            time.sleep(STEADY_S)
        until_ns = now_ns()
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_S)
        return swapped(heard(run), done, until_ns, memory)


def _memory(run: Path, process: subprocess.Popen[bytes]) -> int:
    total = 0
    for one in taking_part(run, [process.pid]):
        with suppress(psutil.Error):
            total += one.memory_info().rss
    return total


def _told(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g}–{max(values):.3g})"


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("no messages flow")
        time.sleep(0.01)
