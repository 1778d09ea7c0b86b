"""What the user says into the replies: questions, and sounds that are no interruption."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.signed_speech import signed

NOISE, HUH, UH_HUH, OKAY = "noise burst", '"Huh!"', '"Uh-huh."', '"Okay."'  # the second for a voiced cough
ALARMS = (NOISE, HUH, UH_HUH, OKAY)  # 0.25, 0.21, 0.27 and 0.37 s long
NOISE_S = 0.25
QUESTION = "question"


@dataclass(frozen=True)
class Sound:
    """Something that is said, known from the file."""

    sort: str  # QUESTION or one of ALARMS
    first_loud_ns: int  # after its first sample
    last_loud_ns: int

    @property
    def alarm(self) -> bool:
        return self.sort != QUESTION


def order(questions: int, alarms: int) -> list[str]:
    """The sorts of a session: a question to begin with, `questions` into its replies, and `alarms` of each sort, a question
    after each."""
    sorts = [QUESTION] * (1 + questions)
    for _, alarm in zip(range(alarms * len(ALARMS)), cycle(ALARMS), strict=False):
        sorts += [alarm, QUESTION]
    return sorts


def prepare(folder: Path, cache: Path, sorts: list[str]) -> tuple[Path, list[Sound]]:
    """Make the sounds; the list of their files as JSON, and what is known of each."""
    import soundfile

    from bench.speech import LEAD_S, SAMPLE_RATE_HZ, TAIL_S, spoken, spread

    questions = [clip.samples for clip, _ in spread(cache, "questions", sorts.count(QUESTION))]
    lead, tail = int(LEAD_S * SAMPLE_RATE_HZ), int(TAIL_S * SAMPLE_RATE_HZ)
    alarms = {alarm: spoken(cache, alarm.strip('"')).samples for alarm in ALARMS if alarm != NOISE}
    alarms[NOISE] = np.pad(noise(round(NOISE_S * SAMPLE_RATE_HZ)), (lead, tail))
    following = iter(questions)
    files, sounds = [], []
    for number, sort in enumerate(sorts):
        samples = alarms[sort] if sort in alarms else next(following)
        said = signed((samples * 32_767).astype(np.int16), 1)
        file = folder / f"{number}.wav"
        soundfile.write(file, said, SAMPLE_RATE_HZ)
        files.append(str(file))
        first, last = loud(said)
        sounds.append(Sound(sort, first * 1_000_000_000 // SAMPLE_RATE_HZ, last * 1_000_000_000 // SAMPLE_RATE_HZ))
    listed = folder / "sounds.json"
    listed.write_text(json.dumps(files))
    return listed, sounds


def loud(samples: NDArray[np.int16]) -> tuple[int, int]:
    """The first and the last loud sample.

    :raises ValueError: there is none.
    """
    from bench.square_wave import AUDIBLE_S16

    found = np.flatnonzero(np.abs(samples.astype(np.int32)) > AUDIBLE_S16)
    if not len(found):
        raise ValueError("there is nothing to hear in these samples")
    return int(found[0]), int(found[-1])


def noise(length: int) -> NDArray[np.float32]:
    """White noise that swells and fades, full scale 1."""
    burst = np.random.default_rng(1).standard_normal(length) * np.hanning(length) * 0.15
    louder: NDArray[np.float32] = burst.astype(np.float32)
    return louder
