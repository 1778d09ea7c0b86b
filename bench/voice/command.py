"""`python -m bench voice`."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.voice.arms import Comparison
    from bench.voice.bound import Bound
    from bench.voice.figures import Answered, Ratio, Session, Turn

QUICK_QUESTIONS = 4
ABOVE_BOUND = 1.4  # the aim: what waiting for each other, and for the judge, may add


def voice(
    rounds: Annotated[int, typer.Option(min=1, help="How often all questions are asked.")] = 3,
    questions: Annotated[int, typer.Option(min=1, max=39, help="In a round, beside one to warm up.")] = 12,
    quick: Annotated[bool, typer.Option("--quick", help="One round of four, best against stock: about two minutes.")] = False,
    arm: Annotated[list[str] | None, typer.Option(help="Only this arm; may be repeated. Default: all.")] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Questions with a pause of a second in them (at most 7).")] = False,
    kokoro: Annotated[bool, typer.Option("--kokoro", help="With Kokoro instead of Piper; best against stock.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every turn to this file.")] = None,
    notes: Annotated[Path | None, typer.Option(help="Keep what was noted in every session in this folder.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where the speech is kept. Default: the user's cache.")] = None,
) -> None:
    """From the last spoken sample to the first one of the reply: a graph of ours beside Pipecat, the same model files.

    Each arm is asked the same questions in real time, in one session a round; the arms take turns in a rotating order.
    docs/benchmarks.md says how to read the tables.
    """
    from platformdirs import user_cache_path

    from bench.interleaved import among, interleaved, show
    from bench.voice.arms import COMPARISONS, arms, kokoro_arms
    from bench.voice.bound import bounds
    from bench.voice.sessions import measure, prepare

    if quick:
        rounds, questions = 1, min(questions, QUICK_QUESTIONS)
        arm = arm or (None if kokoro else [COMPARISONS[0].ours, COMPARISONS[0].theirs])
    with tempfile.TemporaryDirectory() as made:
        speech = cache or user_cache_path("voicegraph") / "speech"
        listed, asked = prepare(Path(made), speech, "paused" if paused else "questions", questions)
        runs = interleaved(
            among((kokoro_arms if kokoro else arms)(listed), arm), rounds, partial(measure, questions=asked, keep=notes)
        )
        least = bounds(listed, [question.text for question in asked]) if COMPARISONS[0].ours in runs else []
    show(runs, rows(), json_file)
    compare(runs, COMPARISONS)
    if least:
        tell_bound(least, runs[COMPARISONS[0].ours])


def rows() -> list[tuple[str, Callable[[list[Session]], str]]]:
    """What the table says of an arm's sessions."""
    from bench.interleaved import loads
    from bench.voice.figures import STAGES, of_all
    from graph.scenarios.word_error import total

    def stage(name: str, sessions: list[Session]) -> str:
        values = of_all(sessions, lambda turn: turn.stages_ms.get(name))
        return f"{statistics.median(values):.0f}" if values else ""

    def word_error(sessions: list[Session]) -> str:
        return f"{100 * total(turn.error for session in sessions for turn in session.turns).rate:.1f}"

    return [
        *turn_rows(),
        ("word error, %", word_error),
        *((f"{name.replace('_', ' ')}, ms (median)", partial(stage, name)) for name in STAGES),
        *loads(),
    ]


def turn_rows() -> list[tuple[str, Callable[[Sequence[Answered]], str]]]:
    """What became of the turns, and how long they took."""
    from bench.voice.figures import latencies, p90

    def latency(of: Callable[[list[float]], float], sessions: Sequence[Answered]) -> str:
        values = latencies(sessions)
        return f"{of(values):.0f}" if values else ""

    def count(happened: Callable[[Turn], bool], sessions: Sequence[Answered]) -> str:
        return str(sum(happened(turn) for session in sessions for turn in session.turns))

    return [
        ("turns", partial(count, lambda turn: True)),
        ("latency, ms: median", partial(latency, statistics.median)),
        ("latency, ms: p90", partial(latency, p90)),
        ("latency, ms: least", partial(latency, min)),
        ("latency, ms: most", partial(latency, max)),
        ("turns cut", partial(count, lambda turn: turn.cut)),
        ("turns split", partial(count, lambda turn: turn.split)),
        ("turns missed", partial(count, lambda turn: turn.missed)),
        ("turns doubled", partial(count, lambda turn: turn.doubled)),
    ]


def compare(runs: dict[str, list[Session]], comparisons: tuple[Comparison, ...]) -> None:
    """A table of ratios: ours by theirs."""
    from rich.console import Console
    from rich.table import Table

    from bench.voice.figures import compared

    table = Table("ours / theirs", "all turns: median", "p90", "aim", "neither erred: turns", "median", "p90", "aim")
    for one in comparisons:
        if one.ours in runs and one.theirs in runs:
            pair = runs[one.ours], runs[one.theirs]
            every, clean = compared(*pair, clean=False), compared(*pair, clean=True)
            table.add_row(
                one.name, *_told(every), _aim(one.at_most_all), str(clean.turns), *_told(clean), _aim(one.at_most_clean)
            )
    if table.rows:
        Console().print(table)


def tell_bound(least: list[Bound], ours: list[Session]) -> None:
    """The least that an answer costs, and how far ours is above it."""
    from rich.console import Console
    from rich.table import Table

    from bench.voice.figures import latencies

    total = statistics.median(one.total for one in least)
    table = Table(
        "the bound, ms (median)", "silence", "transcript", "first clause", "first sound", "all", "ours / bound", "aim"
    )
    parts = [statistics.median(getattr(one, part) for one in least) for part in ("silence", "transcript", "clause", "sound")]
    latency = latencies(ours)
    ratio = f"{statistics.median(latency) / total:.2f}" if latency else ""
    table.add_row("", *(f"{part:.0f}" for part in parts), f"{total:.0f}", ratio, _aim(ABOVE_BOUND))
    Console().print(table)


def _told(ratio: Ratio) -> tuple[str, str]:
    return _number(ratio.median), _number(ratio.p90)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _aim(at_most: float | None) -> str:
    return "" if at_most is None else f"≤ {at_most:.2f}"
