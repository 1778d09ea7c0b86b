"""One session of one arm: start it, let it be asked all the questions, read what was noted."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.recover.arms import Arm
from bench.recover.rounds import started
from bench.speech import SAMPLE_RATE_HZ, spread
from bench.voice.arms import Conversing
from bench.voice.figures import Question, Session, turns
from bench.voice.script import LONGEST_NS, Note, noted
from nodes.turn.recent_audio import last_loud

LOADING_S = 120.0


def prepare(folder: Path, cache: Path, sort: str, count: int) -> tuple[Path, list[Question]]:
    """Make the speech, one question more than asked for: the first of a session warms it up and does not count."""
    import soundfile

    clips = spread(cache, sort, count + 1)
    asked = []
    for clip, file in clips:
        at = last_loud(soundfile.read(file, dtype="int16")[0])
        if at is None:
            raise RuntimeError(f"{file} holds no speech")
        asked.append(Question(clip.voice, clip.text, at * 1_000_000_000 // SAMPLE_RATE_HZ))
    listed = folder / "questions.json"
    listed.write_text(json.dumps([str(file) for _, file in clips]))
    return listed, asked


@dataclass(frozen=True)
class Held:
    """A session that has ended, while its folder is still there."""

    run: Path
    notes: list[Note]

    def printed(self) -> str:
        """The end of what it printed."""
        return (self.run / "printed").read_text(errors="replace")[-2000:]


@contextmanager
def held(arm: Arm, questions: int) -> Iterator[Held]:
    """One session, when it has ended by itself.

    :raises RuntimeError: it does not end.
    """
    with started(arm) as (run, process, _):
        try:
            process.wait(LOADING_S + questions * LONGEST_NS / 1e9)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{arm.name} does not end: {Held(run, []).printed()}") from error
        yield Held(run, noted(run)[0])


def measure(arm: Conversing, questions: list[Question], keep: Path | None) -> Session:
    """One session.

    :raises RuntimeError: not all was asked.
    """
    machine = Machine()
    with held(arm, len(questions)) as session:
        found = turns(session.notes, questions)
        if len(found) < len(questions):
            raise RuntimeError(f"{arm.name} was asked {len(found)} of {len(questions)} questions: {session.printed()}")
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            number = len(list(keep.glob(f"{arm.name}-*")))
            (keep / f"{arm.name}-{number}.json").write_text("\n".join(map(json.dumps, session.notes)))
    return Session(found[1:], machine.load, machine.others())


class Machine:
    """What else it had to do: its load when this was made, and the processor time that was not used by this process and the
    children it has waited for."""

    def __init__(self) -> None:
        self.load = os.getloadavg()[0]  # over the minute before
        self._began = self._read()

    def others(self) -> float:
        """Share of the processor time since this was made that went to other programs, 0 to 1."""
        (busy, total, ours), (busy_0, total_0, ours_0) = self._read(), self._began
        return max(0.0, (busy - busy_0 - (ours - ours_0)) / (total - total_0))

    @staticmethod
    def _read() -> tuple[float, float, float]:
        times = psutil.cpu_times()
        total = sum(times[:8])  # guests' time is in the user's already
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return total - times.idle - times.iowait, total, sum(one.ru_utime + one.ru_stime for one in used)
