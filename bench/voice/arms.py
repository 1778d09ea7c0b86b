"""How a conversation is started in a graph of ours, and in Pipecat; and which arms are held against each other."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from bench.recover.arms import Arm, not_installed
from bench.speech import save_voices
from bench.transport.arms.base import PEERS, ROOT
from bench.voice.script import QUESTIONS_VARIABLE
from graph.models import locate
from nodes.llm.chat import SPOKEN
from nodes.llm.threads import spare_threads

MIN_WINDOW_S = 8.0  # of nodes/stt/fitted_whisper.py: at least so much, and 4 s more than the utterance
MAX_TOKENS = 32  # of a reply: what comes after its first sentence only takes time
FULL_WINDOW_S = 30.0
KOKORO_VOICE = "af_heart"  # of pipelines.yaml

# Pipecat's: it asks Smart Turn once, 200 ms into the silence, believes it from 0.5, and waits 3 s where it is not complete.
PIPECATS_SILENCES = {"ask_at_ms": [200], "threshold": 0.5, "confirm_from_ms": 0, "max_silence_ms": 3000, "go_ahead_ms": 200}


def laid_over(base: str, run: Path, name: str, nodes: dict[str, dict[str, Any]]) -> list[str]:
    """What runs a graph of this folder with some of its nodes changed."""
    graph = {"include": str(ROOT / base), "name": name, "nodes": nodes}
    (run / "graph.yaml").write_text(json.dumps(graph))  # JSON is YAML
    return [sys.executable, "-m", "graph.cli", "run", "-q", str(run / "graph.yaml")]


@dataclass(frozen=True)
class Ours(Arm):
    """An example without its history; `with_` changes parameters of nodes."""

    questions: Path = Path()  # a list of WAV files as JSON
    base: str = "examples/fast.yaml"
    with_: tuple[tuple[str, dict[str, Any]], ...] = ()

    def nodes(self, run: Path) -> dict[str, dict[str, Any]]:
        """What is laid over the example."""
        nodes: dict[str, dict[str, Any]] = {
            "capture": {"use": "bench.voice.nodes:Asker"},
            "metrics": {"use": "bench.voice.nodes:Recorder"},
            "llm": {"with": {"history_turns": 0, "max_tokens": MAX_TOKENS}},  # every question stands for itself
            "sink": {"with": {"folder": str(run / "out")}},
        }
        for node, parameters in self.with_:
            nodes.setdefault(node, {})["with"] = parameters
        return nodes

    def command(self, run: Path) -> list[str]:
        return laid_over(self.base, run, "voice", self.nodes(run))

    def environment(self, run: Path) -> dict[str, str]:
        return {**super().environment(run), QUESTIONS_VARIABLE: str(self.questions)}


@dataclass(frozen=True)
class Pipecat(Arm):
    """One process, and one more for the language model's server, which the bench starts first."""

    questions: Path = Path()
    window_s: float | None = None  # None: Pipecat's own Whisper service; else ours in its place, with this shortest window
    llm_threads: int = spare_threads()  # as many as our node takes
    module: str = "bench.voice.pipecat_pipeline"
    speaks: str = "piper"  # or kokoro

    def command(self, run: Path) -> list[str]:
        options = {
            "whisper": str(locate("whisper-base")),
            **self._voice(run),
            "llm": f"http://127.0.0.1:{(run / 'port').read_text()}/v1",
            "system": SPOKEN,
            "max_tokens": MAX_TOKENS,
            "window_s": self.window_s,
        }
        return [str(PEERS / "pipecat" / "bin" / "python"), "-m", self.module, json.dumps(options)]

    def _voice(self, run: Path) -> dict[str, str]:
        if self.speaks == "piper":
            return {"piper": str(locate("piper-en-joe") / "en_US-joe-medium.onnx")}
        model = locate("kokoro-82m")
        voices = run / "voices.npz"
        save_voices(model, (KOKORO_VOICE,), voices)
        return {"kokoro": str(model / "kokoro-v1.0.int8.onnx"), "voices": str(voices), "voice": KOKORO_VOICE}

    def environment(self, run: Path) -> dict[str, str]:
        return {**super().environment(run), QUESTIONS_VARIABLE: str(self.questions), "HF_HUB_OFFLINE": "1"}

    @contextmanager
    def prepared(self, run: Path) -> Iterator[None]:
        (model,) = locate("smollm2-135m-instruct").glob("*.gguf")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (run / "port").write_text(str(port))
        command = [sys.executable, "-m", "bench.voice.llm_server", str(model), str(port), str(self.llm_threads)]
        with (run / "server").open("wb") as log:
            server = subprocess.Popen(command, env=self.environment(run), stdout=subprocess.PIPE, stderr=log)
        try:
            assert server.stdout is not None
            if not server.stdout.readline():
                raise RuntimeError(f"the language model's server did not start: {(run / 'server').read_text()[-2000:]}")
            yield
        finally:
            server.kill()
            server.wait()

    @property
    def missing(self) -> str:
        if not_installed("pipecat"):
            return not_installed("pipecat")
        # an environment of before this bench has Pipecat without its services
        needed = "kokoro_onnx" if self.speaks == "kokoro" else "faster_whisper"
        library = next((PEERS / "pipecat" / "lib").glob(f"python*/site-packages/{needed}"), None)
        return "" if library else "its environment is an older one: rm -r bench/.peers/pipecat, make bench-peers"


Conversing: TypeAlias = Ours | Pipecat


@dataclass(frozen=True)
class Comparison:
    """Two arms and the ratio (median and p90 of ours by theirs) that the project aims at; None: none."""

    name: str
    ours: str
    theirs: str
    at_most_all: float | None = None
    at_most_clean: float | None = None


COMPARISONS = (
    Comparison("best against stock", "voicegraph", "Pipecat", 0.40, 0.40),
    Comparison("best against tuned", "voicegraph", "Pipecat tuned", 0.55, 0.70),
    Comparison("matched", "voicegraph matched", "Pipecat matched", 0.70, 0.90),
    Comparison("with Kokoro", "voicegraph Kokoro", "Pipecat Kokoro"),
)


def kokoro_arms(questions: Path) -> list[Conversing]:
    """Best and stock with the slower voice of pipelines.yaml."""
    return [
        Ours("voicegraph Kokoro", questions=questions, base="pipelines.yaml"),
        Pipecat("Pipecat Kokoro", questions=questions, speaks="kokoro"),
    ]


def arms(questions: Path) -> list[Conversing]:
    """All with Piper. The first two come first: they are what most want to know."""
    matched = (("stt", {"window": FULL_WINDOW_S, "beam_size": 1}), ("turn", PIPECATS_SILENCES))
    return [
        Ours("voicegraph", questions=questions),
        Pipecat("Pipecat", questions=questions),
        Pipecat("Pipecat tuned", questions=questions, window_s=MIN_WINDOW_S),
        Ours("voicegraph matched", questions=questions, with_=matched),
        Pipecat("Pipecat matched", questions=questions, window_s=FULL_WINDOW_S),
    ]
