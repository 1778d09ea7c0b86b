"""Many conversations in one graph of ours, and in one process of Pipecat's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.bargein.arms import Asked
from bench.meanwhile import meanwhile
from bench.recover.arms import not_installed
from bench.sessions.script import REPLY_MS, TAKES_MS
from bench.sessions.watch import watch
from bench.transport.arms.base import PEERS
from bench.voice.arms import laid_over


@dataclass(frozen=True)
class Crowded(Asked):
    """So many conversations."""

    sessions: int = 1

    @contextmanager
    def prepared(self, run: Path) -> Iterator[None]:
        with meanwhile(partial(watch, run)):
            yield


@dataclass(frozen=True)
class Ours(Crowded):
    """The default graph with stand-ins for its models."""

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


@dataclass(frozen=True)
class Pipecat(Crowded):
    """A pipeline a conversation, all in one process."""

    def command(self, run: Path) -> list[str]:
        python = str(PEERS / "pipecat" / "bin" / "python")
        return [python, "-m", "bench.sessions.pipecat_pipelines", json.dumps({"sessions": self.sessions})]

    @property
    def missing(self) -> str:
        return not_installed("pipecat")
