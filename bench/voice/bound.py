"""What an answer costs at least: the stages that cannot overlap, each alone on the machine, one after the other.

The silence after which anything begins, the transcript of the utterance, the model's first clause, that clause's first sound:
by the nodes of examples/fast.yaml with the parameters of the bench, outside of a graph.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.speech import SAMPLE_RATE_HZ
from bench.voice.arms import MAX_TOKENS


@dataclass(frozen=True)
class Bound:
    """The least for one question, in milliseconds."""

    silence: float
    transcript: float
    clause: float
    sound: float

    @property
    def total(self) -> float:
        return self.silence + self.transcript + self.clause + self.sound


def bounds(listed: Path, texts: Sequence[str]) -> list[Bound]:
    """One for each question; the first warms up and is left out.

    :param listed: the WAV files as JSON, 16 kHz mono.
    :param texts: what is said in them, which the model is asked whatever Whisper hears.
    """
    import numpy as np
    import soundfile
    from rich.console import Console
    from rich.progress import track

    from graph.testing import Harness
    from nodes.llm.llama_cpp import LlamaCpp
    from nodes.stt.base import TranscriptFinal
    from nodes.stt.faster_whisper import FasterWhisper
    from nodes.tts.base import Sentence
    from nodes.tts.clauses import Clauses
    from nodes.tts.piper import Piper, PiperConfig
    from nodes.turn.base import Utterance
    from nodes.turn.recent_audio import last_loud
    from nodes.turn.smart_turn import SmartTurnConfig

    silence_ms = SmartTurnConfig().go_ahead_ms
    found = []
    with ExitStack() as open_nodes:
        stt = open_nodes.enter_context(Harness(FasterWhisper, clock_ns=None, model="base", language="en"))
        llm = open_nodes.enter_context(Harness(LlamaCpp, clock_ns=None, history_turns=0, max_tokens=MAX_TOKENS))
        tts = open_nodes.enter_context(Harness(Piper, clock_ns=None))
        asked = list(zip(json.loads(listed.read_text()), texts, strict=True))
        for number, (file, text) in enumerate(track(asked, "measuring the bound", console=Console(stderr=True))):
            sound = soundfile.read(file, dtype="int16")[0]
            end = (last_loud(sound) or 0) + SAMPLE_RATE_HZ * silence_ms // 1000
            spoken = np.pad(sound, (0, max(0, end - len(sound))))[:end]

            began = time.perf_counter()
            stt.feed("speech", Utterance(0), spoken.tobytes(), turn=number + 1)
            transcript_ms = 1000 * (time.perf_counter() - began)

            began, clauses = time.perf_counter(), Clauses("en", hurry=PiperConfig().hurry)
            clause = ""
            for token in llm.stream("text", TranscriptFinal(text), turn=number + 1):
                clause = next(iter([*clauses.feed(token.body.text), *(clauses.flush() if token.body.last else [])]), "")
                if clause:
                    break
            clause_ms = 1000 * (time.perf_counter() - began)

            began = time.perf_counter()
            for frame in tts.stream("text", Sentence(clause), turn=number + 1):
                if last_loud(np.frombuffer(frame.payload, "<i2")) is not None:
                    break
            found.append(Bound(silence_ms, transcript_ms, clause_ms, 1000 * (time.perf_counter() - began)))
    return found[1:]
