"""`python -m bench isolation`."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.isolation.figures import Growth
    from bench.voice.figures import Session

QUICK_QUESTIONS = 2
GROWS_AT_MOST = 0.5  # the aim: of what it grows inside Pipecat


def isolation(
    rounds: Annotated[int, typer.Option(min=1, help="How often all questions are asked.")] = 2,
    questions: Annotated[int, typer.Option(min=1, max=39, help="In a round, beside one to warm up.")] = 10,
    quick: Annotated[bool, typer.Option("--quick", help="One round of two, without three arms: three minutes.")] = False,
    arm: Annotated[list[str] | None, typer.Option(help="Only this arm; may be repeated. Default: all.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every turn to this file.")] = None,
    notes: Annotated[Path | None, typer.Option(help="Keep what was noted in every session in this folder.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where the speech is kept. Default: the user's cache.")] = None,
) -> None:
    """Voice to voice with a neighbour that takes a core and holds the interpreter's lock; and with nodes that are killed.

    The conversations are those of `bench voice`, with real models. The hog is one thread with an endless loop in
    Python: as a node of our graph, plain and with `nice: 19`; in a thread of Pipecat's process, and as a process beside it. In
    another arm a node of our graph is killed (SIGKILL) in each turn. The arms take turns in a rotating order.
    docs/benchmarks.md says how to read the tables.
    """
    from platformdirs import user_cache_path

    from bench.interleaved import among, interleaved, show
    from bench.isolation.arms import ALONE, INSIDE, KILLED, NODE, ONCE_KILLED, THEIRS, arms
    from bench.isolation.killing import victim
    from bench.voice.command import rows
    from bench.voice.sessions import measure, prepare

    if quick:
        rounds, questions, arm = 1, min(questions, QUICK_QUESTIONS), arm or [ALONE, NODE, THEIRS, INSIDE, KILLED]
    with tempfile.TemporaryDirectory() as made:
        listed, asked = prepare(Path(made), cache or user_cache_path("voicegraph") / "speech", "questions", questions)
        chosen = among(arms(listed), arm)
        runs = interleaved(chosen, rounds, partial(measure, questions=asked, keep=notes))
    show(runs, rows(), json_file)
    compare(runs)
    for name in (KILLED, ONCE_KILLED):
        if name in runs:
            tell_killed(name, runs[name], [victim(turn) for turn in range(1, questions + 1)])


def compare(runs: dict[str, list[Session]]) -> None:
    """How much the medians grow, and whether every turn was answered."""
    from rich.console import Console
    from rich.table import Table

    from bench.isolation.arms import ALONE, BESIDE, INSIDE, KILLED, NICED, NODE, ONCE_KILLED, THEIRS
    from bench.isolation.figures import growth, missed, share

    inside = growth(runs.get(THEIRS, []), runs.get(INSIDE, []))
    table = Table("median latency", "grows by, ms", "of Pipecat's with the hog inside", "aim", "", "turns missed", "aim", "")
    ours = ((NODE, True), (NICED, True), (KILLED, False), (ONCE_KILLED, False))
    for name, alone, aim in (*((name, ALONE, aim) for name, aim in ours), (BESIDE, THEIRS, False)):
        if name in runs:
            grown, lost = growth(runs.get(alone, []), runs[name]), missed(runs[name])
            part = share(grown, inside) if name in (NODE, NICED, BESIDE) else None
            told = "" if part is None else f"{part:.2f}"
            limit = (f"≤ {GROWS_AT_MOST:.2f}", _verdict(part <= GROWS_AT_MOST)) if aim and part is not None else ("", "")
            none = ("0", _verdict(lost == 0)) if name != BESIDE else ("", "")
            table.add_row(name, _grown(grown), told, *limit, str(lost), *none)
    if INSIDE in runs:
        table.add_row(INSIDE, _grown(inside), "", "", "", str(missed(runs[INSIDE])), "", "")
    Console().print(table)


def tell_killed(arm: str, sessions: list[Session], victims: list[str]) -> None:
    """What became of the turns of an arm in which a node was killed."""
    from rich.console import Console
    from rich.table import Table

    from bench.isolation.figures import by_victim

    table = Table(arm, "turns", "answered", "latency, ms: median")
    for name, (turns, answered, median) in by_victim(sessions, victims).items():
        table.add_row(name, str(turns), str(answered), "" if median is None else f"{median:.0f}")
    Console().print(table)


def _grown(growth: Growth) -> str:
    return "" if growth.ms is None else f"{growth.ms:+.0f}"


def _verdict(met: bool) -> str:
    return "met" if met else "missed"
