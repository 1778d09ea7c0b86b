"""A conversation whose models are swapped while it is held: no turn is lost, split or answered twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.word_error import total, word_error

from .graphs import ROOT, GraphRun, eventually, graph_run
from .test_commands import graph

QUESTIONS = (ROOT / "examples/audio/questions.txt").read_text().splitlines()
TIMES = 4  # the questions are asked

pytestmark = pytest.mark.models


def transcripts(run: GraphRun) -> int:
    """Turns that have been understood so far."""
    status = json.loads(graph(run.runtime, "status", "--json").stdout)
    return int(status["edges"]["stt.text->llm.text"].get("delivered", 0))


@pytest.mark.timeout(400)
def test_models_are_swapped_in_the_middle_of_a_conversation(tmp_path: Path) -> None:
    sound, rate = soundfile.read(ROOT / "examples/audio/questions.wav", dtype="float32")
    soundfile.write(tmp_path / "long.wav", np.tile(sound, TIMES), rate)
    text = (ROOT / "pipelines.yaml").read_text()
    text = text.replace("examples/audio/questions.wav", str(tmp_path / "long.wav")).replace(
        "folder: out", f"folder: {tmp_path}/out"
    )
    (tmp_path / "graph.yaml").write_text(text)
    swaps = (
        ("stt", "--with", "model=tiny.en"),  # while the user speaks, or the assistant: whatever it is just then
        ("tts", "--use", "tts.piper"),
        ("llm", "--with", "batch_size=16"),
        ("llm", "--with", "temperature=0.1"),
        ("turn", "--with", "threshold=0.6"),
        ("vad", "--with", "min_silence_ms=120"),
    )
    with graph_run(tmp_path, tmp_path / "graph.yaml") as run:
        run.running()
        before = {name: process.pid for name, process in run.workers().items()}
        for number, (node, *change) in enumerate(swaps):
            eventually(lambda number=number: transcripts(run) > number, f"the conversation goes on\n{run.stderr}")
            said = graph(run.runtime, "swap", node, *change)
            assert said.returncode == 0, said.stderr + run.stderr
        after = {name: process.pid for name, process in run.workers().items()}
        for name in ("capture", "sink", "metrics"):
            assert after[name] == before[name]
        assert set(after) == {
            "capture",
            "sink",
            "metrics",
            *(f"{n}+{k}" for n, k in (("stt", 1), ("tts", 3), ("llm", 5), ("turn", 9), ("vad", 11))),
        }
        assert run.wait() == 0, run.stderr
        turns = run.report["turns"]
        assert [turn["turn"] for turn in turns] == list(range(1, TIMES * len(QUESTIONS) + 1))
        heard = [turn["marks"]["transcript"]["text"] for turn in turns]
        assert total(map(word_error, QUESTIONS * TIMES, heard)).rate <= 0.1, heard
        assert all(turn["marks"]["reply"]["text"] for turn in turns)
        lines = [json.loads(line) for line in (tmp_path / "out/turns.jsonl").read_text().splitlines()]
        assert [line["turn"] for line in lines] == list(range(1, len(turns) + 1)), "each is answered once"
        for edge in run.report["edges"]:
            assert edge["dropped"] == edge["rejected"] == 0, edge
        run.all_gone()
    changed = (tmp_path / "graph.yaml").read_text()
    assert "model: tiny.en" in changed
    assert "use: tts.piper" in changed
    assert "# takes as many threads as there are cores, less one" in changed, "comments stay"
