"""`python -m bench bargein`."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.bargein.arms import Interrupted
    from bench.bargein.figures import FalseAlarm, Interruption, Session
    from bench.bargein.sounds import Sound

QUICK_QUESTIONS, QUICK_ALARMS = 3, 1
DUCKED_MS, PAUSED_MS = 100, 200  # aims, for the median


def bargein(
    rounds: Annotated[int, typer.Option(min=1, help="Sessions an arm.")] = 3,
    questions: Annotated[int, typer.Option(min=1, max=20, help="Into replies, in a session.")] = 8,
    alarms: Annotated[int, typer.Option(min=0, max=6, help="Of each sort of false alarm, in a session.")] = 2,
    quick: Annotated[bool, typer.Option("--quick", help="One round, few of each: about two minutes.")] = False,
    arm: Annotated[list[str] | None, typer.Option(help="Only this arm; may be repeated. Default: all.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every interruption to this file.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where the speech is kept. Default: the user's cache.")] = None,
) -> None:
    """From the first loud sample of speech into a reply to the reply's silence: a graph of ours beside Pipecat.

    VAD and turn-taking are real on both sides; transcriber, model and voice are stand-ins whose reply is a tone of known
    loudness, so that what leaves the loudspeaker can be read sample by sample. Questions are to interrupt; short sounds
    between them are false alarms, after which a reply should go on. The arms take turns in a rotating order.
    docs/benchmarks.md says how to read the tables.
    """
    from platformdirs import user_cache_path

    from bench.bargein.arms import arms
    from bench.bargein.sounds import order, prepare
    from bench.interleaved import among, interleaved, show

    if quick:
        rounds, questions, alarms = 1, QUICK_QUESTIONS, QUICK_ALARMS
    with tempfile.TemporaryDirectory() as made:
        sorts = order(questions, alarms)
        listed, sounds = prepare(Path(made), cache or user_cache_path("voicegraph") / "speech", sorts)
        chosen = among(arms(listed, tuple(sound.alarm for sound in sounds)), arm)
        runs = interleaved(chosen, rounds, partial(measure, sounds=sounds))
    show(runs, rows(), json_file)
    compare(runs)


def measure(arm: Interrupted, sounds: list[Sound]) -> Session:
    """One session.

    :raises RuntimeError: not all was said, or nothing was heard.
    """
    from bench.bargein.figures import session
    from bench.square_wave import heard
    from bench.voice.sessions import Machine, held

    machine = Machine()
    with held(arm, len(sounds)) as ended:
        try:
            of = partial(session, ended.notes, heard(ended.run), sounds)
            of(0, 0)
        except (OSError, ValueError) as error:
            raise RuntimeError(f"{arm.name}: {error}: {ended.printed()}") from error
    return of(machine.load, machine.others())


def rows() -> list[tuple[str, Callable[[list[Session]], str]]]:
    """What the table says of an arm's sessions."""
    from bench.bargein.sounds import ALARMS
    from bench.interleaved import loads

    times: list[tuple[str, Callable[[Interruption], float | None]]] = [
        ("ducked", lambda one: one.ducked_ms),
        ("paused", lambda one: one.paused_ms),
        ("last audible sample", lambda one: one.last_ms),
        ("dropped", lambda one: one.dropped_ms),
    ]
    return [
        ("interruptions", lambda sessions: str(len(_all(sessions)))),
        *((f"{name}, ms: median (p90)", partial(_told, of)) for name, of in times),
        ("reply not dropped", lambda sessions: str(sum(one.dropped_ms is None for one in _all(sessions)))),
        ("questions unanswered", lambda sessions: str(sum(one.unanswered for one in sessions))),
        ("sounds into silence", lambda sessions: str(sum(one.unheard for one in sessions))),
        *((f"{sort}: unnoticed, came back, lost", partial(_alarms, sort)) for sort in ALARMS),
        ("came back after, ms: median", _back),
        *loads(),
    ]


def compare(runs: dict[str, list[Session]]) -> None:
    """A table of aims, and of ratios to Pipecat."""
    from rich.console import Console
    from rich.table import Table

    from bench.bargein.arms import OURS, STOCK

    if not _all(runs.get(OURS, [])):
        return
    figures: list[tuple[str, Callable[[Interruption], float | None], int | None]] = [
        ("ducked, ms (median)", lambda one: one.ducked_ms, DUCKED_MS),
        ("paused, ms (median)", lambda one: one.paused_ms, PAUSED_MS),
        ("last audible sample, ms (median)", lambda one: one.last_ms, None),
    ]
    theirs = [name for name in runs if name.startswith(STOCK) and _all(runs[name])]
    table = Table("", "ours", "aim", "", *(f"ours / {name}" for name in theirs))
    for name, of, at_most in figures:
        mine = _values(of, runs[OURS])
        other = [_values(of, runs[their]) for their in theirs]
        if mine:
            ours = statistics.median(mine)
            met = "" if at_most is None else "met" if ours <= at_most else "missed"
            ratios = [f"{ours / statistics.median(one):.2f}" if one else "" for one in other]
            table.add_row(name, f"{ours:.0f}", "" if at_most is None else f"≤ {at_most}", met, *ratios)
    lost, of_all = _lost(runs[OURS])
    if of_all:
        others = [f"{one} of {all_} of theirs" for one, all_ in (_lost(runs[their]) for their in theirs)]
        table.add_row("replies lost to false alarms", f"{lost} of {of_all}", "0", "met" if lost == 0 else "missed", *others)
    Console().print(table)


def _all(sessions: list[Session]) -> list[Interruption]:
    return [one for session in sessions for one in session.interruptions]


def _values(of: Callable[[Interruption], float | None], sessions: list[Session]) -> list[float]:
    return [value for one in _all(sessions) if (value := of(one)) is not None]


def _told(of: Callable[[Interruption], float | None], sessions: list[Session]) -> str:
    from bench.voice.figures import p90

    values = _values(of, sessions)
    return f"{statistics.median(values):.0f} ({p90(values):.0f})" if values else ""


def _false(sessions: list[Session]) -> list[FalseAlarm]:
    return [one for session in sessions for one in session.alarms]


def _lost(sessions: list[Session]) -> tuple[int, int]:
    """Replies that false alarms cost, of so many false alarms."""
    return sum(one.lost for one in _false(sessions)), len(_false(sessions))


def _alarms(sort: str, sessions: list[Session]) -> str:
    mine = [one for one in _false(sessions) if one.sort == sort]
    lost = sum(one.lost for one in mine)
    unnoticed = sum(not one.noticed for one in mine)
    return f"{unnoticed}, {len(mine) - unnoticed - lost}, {lost}"


def _back(sessions: list[Session]) -> str:
    values = [one.back_ms for one in _false(sessions) if one.back_ms is not None]
    return f"{statistics.median(values):.0f}" if values else ""
