"""A graph of ours and Pipecat, each with stand-ins for the models, so that nothing but barge-in is measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from bench.bargein.script import REPLY_MS, TAKES_MS
from bench.recover.arms import Arm, not_installed
from bench.transport.arms.base import PEERS
from bench.voice.arms import laid_over
from bench.voice.script import QUESTIONS_VARIABLE


@dataclass(frozen=True)
class Asked(Arm):
    """An arm that is told what to say."""

    sounds: Path = Path()  # a list of WAV files as JSON
    alarms: tuple[bool, ...] = ()  # which of them are false alarms

    def environment(self, run: Path) -> dict[str, str]:
        return {**super().environment(run), QUESTIONS_VARIABLE: str(self.sounds)}


@dataclass(frozen=True)
class Ours(Asked):
    """pipelines.yaml with its models but VAD and judge replaced."""

    def command(self, run: Path) -> list[str]:
        waits = {"takes_ms": TAKES_MS}
        nodes: dict[str, Any] = {
            "capture": {"use": "bench.bargein.nodes:Interrupter", "with": {"alarms": list(self.alarms)}},
            "stt": {"use": "bench.standins:Transcriber", "with": waits},
            "llm": {"use": "bench.standins:Model", "with": waits},
            "tts": {"use": "bench.standins:Voice", "with": {**waits, "reply_ms": REPLY_MS}},
            "sink": {"with": {"folder": str(run / "out")}},
            "metrics": {"use": "bench.voice.nodes:Recorder"},
            "ear": {"use": "bench.bargein.nodes:Listener", "in": {"heard": "sink.heard", "interrupt": "turn.interrupt"}},
        }
        return laid_over("pipelines.yaml", run, "bargein", nodes)


@dataclass(frozen=True)
class Pipecat(Asked):
    """One process, public options only."""

    start_secs: float | None = None  # of speech until the VAD believes it; None: Pipecat's default, 0.2

    def command(self, run: Path) -> list[str]:
        options = {"start_secs": self.start_secs, "alarms": self.alarms}
        return [str(PEERS / "pipecat" / "bin" / "python"), "-m", "bench.bargein.pipecat_pipeline", json.dumps(options)]

    @property
    def missing(self) -> str:
        return not_installed("pipecat")


Interrupted: TypeAlias = Ours | Pipecat

OURS = "voicegraph"
STOCK = "Pipecat"


def arms(sounds: Path, alarms: tuple[bool, ...]) -> list[Interrupted]:
    return [
        Ours(OURS, sounds=sounds, alarms=alarms),
        Pipecat(STOCK, sounds=sounds, alarms=alarms),
        Pipecat("Pipecat, start_secs 0.1", sounds=sounds, alarms=alarms, start_secs=0.1),
    ]
