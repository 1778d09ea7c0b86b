"""The default graph with stand-ins for its models, and so many conversations in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.bargein.arms import Asked
from bench.meanwhile import meanwhile
from bench.sessions.watch import watch
from bench.voice.arms import laid_over

TAKES_MS = {"stt": 300, "llm": 200, "tts": 100}  # waited for, one utterance after the other, as a model's threads would take it
REPLY_MS = 2000


@dataclass(frozen=True)
class Crowded(Asked):
    sessions: int = 1
    replicas: int = 1  # of each stand-in

    def command(self, run: Path) -> list[str]:
        def stand_in(name: str, node: str, **more: int) -> dict[str, Any]:
            return {"use": f"bench.standins:{name}", "with": {"takes_ms": TAKES_MS[node], **more}, "replicas": self.replicas}

        nodes: dict[str, Any] = {
            "capture": {"use": "bench.sessions.nodes:Crowd", "with": {"sessions": self.sessions}},
            "stt": stand_in("Transcriber", "stt"),
            "llm": stand_in("Model", "llm"),
            "tts": stand_in("Voice", "tts", reply_ms=REPLY_MS),
            "sink": {"with": {"folder": str(run / "out")}},
            "metrics": {"use": "bench.sessions.nodes:Recorder"},
        }
        return laid_over("pipelines.yaml", run, "sessions", nodes)

    @contextmanager
    def prepared(self, run: Path) -> Iterator[None]:
        with meanwhile(partial(watch, run)):
            yield
