"""`python -m bench sessions`."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.sessions.arms import Crowded
    from bench.sessions.figures import Crowd
    from bench.voice.figures import Question

AT_ONCE = (1, 2, 4, 8)
QUICK_AT_ONCE, QUICK_QUESTIONS = (1, 4), 3
LONGEST_HESITATION_S = 3.0
PIPECAT = "Pipecat"


def sessions(
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is run.")] = 3,
    at_once: Annotated[
        list[int] | None, typer.Option(min=1, max=15, help="Conversations, repeatable. Default: 1 2 4 8.")
    ] = None,
    questions: Annotated[int, typer.Option(min=1, max=38, help="Of each conversation, beside one to warm up.")] = 8,
    replicas: Annotated[int, typer.Option(min=1, max=8, help="Of transcriber, model and voice.")] = 1,
    pipecat: Annotated[bool, typer.Option("--pipecat", help="Beside Pipecat with a pipeline a conversation.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="One round, 1 and 4 conversations: about a minute.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every turn to this file.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where the speech is kept. Default: the user's cache.")] = None,
) -> None:
    """What a conversation waits for its replies when others go on in the same graph, and whether their words stay apart.

    One process of each node serves all of them. VAD and judge of turns are real; transcriber, model and voice wait for 300,
    200 and 100 ms, one utterance after the other. Each speaker's samples are signed, so a reply tells whose words it answers.
    docs/benchmarks.md says how to read the tables.
    """
    from platformdirs import user_cache_path

    from bench.interleaved import interleaved, show
    from bench.sessions.arms import Ours, Pipecat

    numbers = sorted(set(at_once or (QUICK_AT_ONCE if quick else AT_ONCE)))
    if quick:
        rounds, questions = 1, min(questions, QUICK_QUESTIONS)
    with tempfile.TemporaryDirectory() as made:
        asked = prepare(Path(made), cache or user_cache_path("voicegraph") / "speech", max(numbers), questions + 1)
        crowds: list[Crowded] = []
        for number in numbers:
            listed = _listed(Path(made), number, asked)
            crowds.append(Ours(f"{number} at once", sounds=listed, sessions=number, replicas=replicas))
            if pipecat:
                crowds.append(Pipecat(f"{PIPECAT}, {number} at once", sounds=listed, sessions=number))
        known = [[question for question, _ in one] for one in asked]
        runs = interleaved(crowds, rounds, partial(measure, questions=known))
    show(runs, rows(), json_file)
    compare(runs)


def prepare(folder: Path, cache: Path, speakers: int, questions: int) -> list[list[tuple[Question, str]]]:
    """For every speaker the questions, each with its file: all ask the same, each begins with another one, and each hesitates
    before each, so that they meet at random."""
    import numpy as np
    import soundfile

    from bench.signed_speech import signed
    from bench.speech import SAMPLE_RATE_HZ, spread
    from bench.voice.figures import Question
    from nodes.turn.recent_audio import last_loud

    clips = [clip for clip, _ in spread(cache, "questions", questions)]
    hesitation = np.random.default_rng(0)
    asked: list[list[tuple[Question, str]]] = []
    for speaker in range(1, speakers + 1):
        mine = []
        for number in range(questions):
            clip = clips[(number + speaker) % questions]
            silence = int(hesitation.uniform(0, LONGEST_HESITATION_S) * SAMPLE_RATE_HZ)
            said = signed((np.pad(clip.samples, (silence, 0)) * 32_767).astype(np.int16), speaker)
            file = folder / f"{speaker}-{number}.wav"
            soundfile.write(file, said, SAMPLE_RATE_HZ)
            last_ns = (last_loud(said) or 0) * 1_000_000_000 // SAMPLE_RATE_HZ
            mine.append((Question(clip.voice, f"speaker {speaker}", last_ns), str(file)))
        asked.append(mine)
    return asked


def _listed(folder: Path, sessions: int, asked: list[list[tuple[Question, str]]]) -> Path:
    listed = folder / f"{sessions}.json"
    listed.write_text(json.dumps([file for mine in asked[:sessions] for _, file in mine]))
    return listed


def measure(arm: Crowded, questions: list[list[Question]]) -> Crowd:
    """One run.

    :raises RuntimeError: not all was asked.
    """
    from bench.sessions.figures import Crowd, of_session, steady
    from bench.sessions.script import session_name
    from bench.sessions.watch import cores, looks
    from bench.voice.script import noted
    from bench.voice.sessions import Machine, held

    machine = Machine()
    with held(arm, len(questions[0])) as ended:
        notes = [noted(ended.run, name=session_name(number))[0] for number in range(arm.sessions)]
        try:
            found = [of_session(one, questions[number], number + 1) for number, one in enumerate(notes)]
        except ValueError as error:
            raise RuntimeError(f"{arm.name}: {error}: {ended.printed()}") from error
        used = cores(looks(ended.run), *steady(notes))
    turns = [turn for mine, _ in found for turn in mine]
    return Crowd(turns, sum(mixed for _, mixed in found), used, machine.load, machine.others())


def rows() -> list[tuple[str, Callable[[list[Crowd]], str]]]:
    """What the table says of so many conversations."""
    from bench.interleaved import loads
    from bench.voice.command import turn_rows

    def used(runs: list[Crowd]) -> str:
        found = [run.cores for run in runs if run.cores is not None]
        return f"{statistics.median(found):.2f}" if found else ""

    return [
        *turn_rows(),
        ("another session's words", lambda runs: str(sum(run.mixed_up for run in runs))),
        ("processors in use", used),
        *loads(),
    ]


def compare(runs: dict[str, list[Crowd]]) -> None:
    """What is aimed at, and ratios to the fewest conversations."""
    from rich.console import Console
    from rich.table import Table

    from bench.voice.figures import latencies, p90

    ours, theirs = [name for name in runs if PIPECAT not in name], [name for name in runs if PIPECAT in name]
    wrong = sum(run.mixed_up + sum(turn.missed for turn in run.turns) for name in ours for run in runs[name])
    table = Table("", "figure", "aim", "")
    table.add_row("turns missed or mixed up", str(wrong), "0", "met" if wrong == 0 else "missed")
    pairs = [(name, side[0]) for side in (ours, theirs) for name in side[1:]] + list(zip(ours, theirs, strict=False))
    for name, other in pairs:
        these, those = latencies(runs[name]), latencies(runs[other])
        if these and those:
            ratio = f"{statistics.median(these) / statistics.median(those):.2f} {p90(these) / p90(those):.2f}"
            table.add_row(f"latency, {name} / {other}: median, p90", ratio, "", "")
    Console().print(table)
