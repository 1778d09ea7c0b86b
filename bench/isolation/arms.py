"""The conversations of bench/voice, each alone, with the neighbour, and with nodes that are killed."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.isolation.killing import kill
from bench.meanwhile import meanwhile
from bench.voice.arms import Conversing, Ours, Pipecat

ALONE, NODE, NICED, KILLED = "voicegraph", "voicegraph, hog a node", "voicegraph, hog a niced node", "voicegraph, nodes killed"
ONCE_KILLED = "voicegraph, nodes killed, at most once"
ONCE: dict[str, dict[str, Any]] = {  # links by which what a process has in hand is lost with it
    "stt": {"speech": {"from": "turn.utterance", "link": "queue", "delivery": "at_most_once"}},
    "llm": {"text": "stt.text", "played": "sink.played"},
    "tts": {"text": ["llm.tokens", "turn.apology"]},
}
THEIRS, INSIDE, BESIDE = "Pipecat", "Pipecat, hog inside", "Pipecat, hog beside"


@dataclass(frozen=True)
class WithHog(Ours):
    """The neighbour is a node."""

    nice: int = 0

    def nodes(self, run: Path) -> dict[str, dict[str, Any]]:
        hog = {"use": "bench.isolation.nodes:Hog", "in": {"audio": "capture.audio"}, "resources": {"nice": self.nice}}
        return {**super().nodes(run), "hog": hog}


@dataclass(frozen=True)
class Killed(Ours):
    """In every turn but the first a node is killed."""

    once: bool = False  # what it had not done yet is lost with it; else the links are those of the example

    def nodes(self, run: Path) -> dict[str, dict[str, Any]]:
        laid = super().nodes(run)
        for node, links in ONCE.items() if self.once else ():
            laid.setdefault(node, {}).setdefault("in", {}).update(links)
        return laid

    @contextmanager
    def prepared(self, run: Path) -> Iterator[None]:
        lengths_ns = [_length_ns(Path(file)) for file in json.loads(self.questions.read_text())]
        with meanwhile(partial(kill, run, lengths_ns)):
            yield


@dataclass(frozen=True)
class HogBeside(Pipecat):
    """The neighbour is another process of the machine."""

    @contextmanager
    def prepared(self, run: Path) -> Iterator[None]:
        with super().prepared(run):
            hog = subprocess.Popen([sys.executable, "-m", "bench.isolation.hog"], env=self.environment(run))
            try:
                yield
            finally:
                hog.kill()
                hog.wait()


def _length_ns(file: Path) -> int:
    with wave.open(str(file)) as sound:
        return int(sound.getnframes() * 1_000_000_000 // sound.getframerate())


def arms(questions: Path) -> list[Conversing]:
    return [
        Ours(ALONE, questions=questions),
        WithHog(NODE, questions=questions),
        WithHog(NICED, questions=questions, nice=19),
        Pipecat(THEIRS, questions=questions),
        Pipecat(INSIDE, questions=questions, module="bench.isolation.pipecat_pipeline"),
        HogBeside(BESIDE, questions=questions),
        Killed(KILLED, questions=questions),
        Killed(ONCE_KILLED, questions=questions, once=True),
    ]
