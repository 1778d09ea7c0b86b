"""What is said to an arm in one session, and what is noted of it: the same for every arm.

Imported by our nodes and by Pipecat's process, so it needs nothing but the standard library.

The folder of the run gets `notes`, a line of JSON for each thing that happened: `name` (ASKED, or one of nodes/marks.py),
`at_ns` (monotonic), `turn` (as the arm counts them; of ASKED the question), `revision` and `text`.
"""

from __future__ import annotations

import json
import os
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypedDict

from bench.recover.ends import folder

QUESTIONS_VARIABLE = "VOICEGRAPH_BENCH_QUESTIONS"  # a file that lists the WAV files of a session, as JSON
ASKED = "asked"  # the first sample of a question was spoken

SAMPLE_RATE_HZ = 16_000
FRAME_MS = 20
FRAME_NS = FRAME_MS * 1_000_000
FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
SILENCE = bytes(2 * FRAME_SAMPLES)

QUIET_NS = 1_000_000_000  # before the first question
PAUSE_NS = 1_000_000_000  # between the last sound of a reply and the next question
PATIENCE_NS = 10_000_000_000  # for a reply to begin; Pipecat ends a turn after 3 s of silence at the latest
LONGEST_NS = 40_000_000_000  # of a question with its reply


class Note(TypedDict):
    name: str
    at_ns: int
    turn: int
    revision: int
    text: str


class Floor(NamedTuple):
    """When the newest reply was first heard, and when the newest ended; 0: none has."""

    began_ns: int = 0
    ended_ns: int = 0


Over: TypeAlias = Callable[[int, int, int, int, Floor], bool]  # number, now, asked, spoken (ns), floor: the next may come


class Notes:
    """Written at once, for they may be read any time."""

    def __init__(self, name: str = "notes", run: Path | None = None) -> None:
        """:param run: the folder of the run; None: that of this process."""
        self._file = os.open((run or folder()) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def close(self) -> None:
        os.close(self._file)

    def take(self, name: str, at_ns: int, turn: int, revision: int = 0, text: str = "") -> None:
        note = Note(name=name, at_ns=at_ns, turn=turn, revision=revision, text=text)
        os.write(self._file, json.dumps(note).encode() + b"\n")


def noted(run: Path, since: int = 0, name: str = "notes") -> tuple[list[Note], int]:
    """The notes from a position in their file on, and the position after them; a line that is being written comes next time."""
    file = run / name
    if not file.exists():
        return [], since
    with file.open("rb") as opened:
        opened.seek(since)
        lines, _, _ = opened.read().rpartition(b"\n")
    return [json.loads(line) for line in lines.splitlines()], since + len(lines) + bool(lines)


def questions() -> list[bytes]:
    """The sound of each question in whole frames, s16."""
    files: list[str] = json.loads(Path(os.environ[QUESTIONS_VARIABLE]).read_text(encoding="utf-8"))
    return [_sound(Path(file)) for file in files]


def _sound(file: Path) -> bytes:
    with wave.open(str(file)) as sound:
        if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (SAMPLE_RATE_HZ, 1, 2):
            raise ValueError(f"{file} is not 16 kHz mono s16")
        samples = sound.readframes(sound.getnframes())
    padded: bytes = samples + bytes(-len(samples) % len(SILENCE))
    return padded


def frames(
    sounds: list[bytes], began_ns: int, floor: Callable[[], Floor], asked: Callable[[int, int], None], over: Over | None = None
) -> Iterator[tuple[int, bytes]]:
    """Every frame with the time at which its last sample is spoken: it exists no earlier.

    :param floor: asked at each frame of silence
    :param asked: told of each question and of the time of its first sample, before its first frame
    :param over: when the next question begins; None: when the reply to the one before has ended, or none has come
    """
    over = over or replied
    due_ns = began_ns
    for number, sound in enumerate(sounds):
        if number == 0:
            while due_ns < began_ns + QUIET_NS:
                due_ns += FRAME_NS
                yield due_ns, SILENCE
        asked_ns = due_ns
        asked(number, asked_ns)
        for at in range(0, len(sound), len(SILENCE)):
            due_ns += FRAME_NS
            yield due_ns, sound[at : at + len(SILENCE)]
        spoken_ns = due_ns
        while not over(number, due_ns, asked_ns, spoken_ns, floor()):
            due_ns += FRAME_NS
            yield due_ns, SILENCE


def replied(number: int, now_ns: int, asked_ns: int, spoken_ns: int, floor: Floor) -> bool:
    """The reply to a question has ended, or none has come."""
    if now_ns - asked_ns >= LONGEST_NS:
        return True
    if floor.began_ns > floor.ended_ns:
        return False
    if floor.ended_ns > spoken_ns:
        return now_ns - floor.ended_ns >= PAUSE_NS
    return now_ns - spoken_ns >= PATIENCE_NS
