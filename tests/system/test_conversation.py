"""The default graph holds a spoken conversation: `graph run pipelines.yaml`, with the real models, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from graph.scenarios.word_error import total, word_error
from nodes.marks import ORDER

from .graphs import ROOT, GraphRun, graph_run

AUDIT = Path(__file__).with_name("audit")
QUESTIONS = (ROOT / "examples/audio/questions.txt").read_text().splitlines()

pytestmark = pytest.mark.models


@dataclass
class Conversation:
    """What a run left."""

    run: GraphRun
    out: Path
    exit_code: int
    pids: dict[str, int]
    audit: Path

    @property
    def turns(self) -> list[dict[str, Any]]:
        turns: list[dict[str, Any]] = self.run.report["turns"]
        return turns


@pytest.fixture(scope="module")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conversation]:
    folder = tmp_path_factory.mktemp("conversation")
    out, audit = folder / "out", folder / "audit.txt"
    overlay = ("-o", f"nodes.sink.with.folder={out}")
    environment = {"PYTHONPATH": str(AUDIT), "VOICEGRAPH_AUDIT": str(audit)}
    with graph_run(folder, ROOT / "pipelines.yaml", *overlay, **environment) as run:
        run.running()
        pids = {name: process.pid for name, process in run.workers().items()}
        code = run.wait()
        run.all_gone()
        yield Conversation(run, out, code, pids, audit)


def test_it_ends_well(conversation: Conversation) -> None:
    assert conversation.exit_code == 0, conversation.run.stderr


def test_the_three_questions_are_understood(conversation: Conversation) -> None:
    heard = [turn["marks"]["transcript"]["text"] for turn in conversation.turns]
    assert total(map(word_error, QUESTIONS, heard)).errors <= 1, heard


def test_each_gets_a_reply_that_can_be_heard(conversation: Conversation) -> None:
    spoken = heard_again(conversation.out)
    written = [turn["marks"]["reply"]["text"] for turn in conversation.turns]
    assert len(written) == 3
    assert all(written)
    assert total(map(word_error, written, spoken)).rate <= 0.15, list(zip(written, spoken, strict=True))


def heard_again(out: Path) -> list[str]:
    """Each turn's stretch of the right channel, transcribed by Whisper over its full window."""
    from faster_whisper import WhisperModel

    from graph.models import locate

    model = WhisperModel(str(locate("whisper-base")), device="cpu", compute_type="int8", cpu_threads=2)
    sound, rate = soundfile.read(out / "conversation.wav", dtype="float32")
    assert sound.shape[1] == 2
    texts = []
    for line in (out / "turns.jsonl").read_text().splitlines():
        turn = json.loads(line)
        reply = sound[int(turn["start_s"] * rate) : int(turn["end_s"] * rate), 1]
        padded = np.pad(soxr.resample(reply, rate, 16_000), 8_000)
        texts.append(" ".join(s.text for s in model.transcribe(padded, language="en")[0]))
    return texts


def test_the_left_channel_is_what_the_user_said(conversation: Conversation) -> None:
    user, rate = soundfile.read(ROOT / "examples/audio/questions.wav", dtype="float32")
    both, sink_rate = soundfile.read(conversation.out / "conversation.wav", dtype="float32")
    left = soxr.resample(both[:, 0], sink_rate, rate)[: len(user)]
    assert np.corrcoef(left, user[: len(left)])[0, 1] > 0.99


def test_the_report_is_complete(conversation: Conversation) -> None:
    assert [t["turn"] for t in conversation.turns] == [1, 2, 3]
    for turn in conversation.turns:
        marks = turn["marks"]
        assert set(ORDER) <= set(marks)
        assert marks["last_spoken_sample"]["ms"] == 0
        assert all(mark["at_ns"] > 0 for mark in marks.values())
        chain = ["last_spoken_sample", "transcript", "first_token", "first_clause", "first_audio"]
        times = [marks[name]["ms"] for name in chain]
        assert times == sorted(times)
        assert marks["turn_confirmed"]["went_ahead"], "it is transcribed while the judge waits"
        assert marks["turn_confirmed"]["ms"] <= marks["first_audio"]["ms"], "and not heard before it is confirmed"
        assert marks["first_clause"]["text"].split()[0] == marks["reply"]["text"].split()[0]
        assert word_error(marks["reply"]["text"], marks["played"]["text"]).errors == 0


def test_every_message_arrived(conversation: Conversation) -> None:
    edges = conversation.run.report["edges"]
    assert len(edges) > 8
    for edge in edges:
        back = edge["edge"].startswith("sink.played->")  # the last words, which nobody waits for
        assert edge["sent"] == edge["delivered"] + edge["stale"] + edge["dropped"], edge
        assert edge["rejected"] == 0, edge
        assert back or edge["dropped"] == 0, edge


def test_every_node_had_its_own_process(conversation: Conversation) -> None:
    assert set(conversation.pids) == {"capture", "vad", "turn", "stt", "llm", "tts", "sink", "metrics"}
    assert len({*conversation.pids.values(), conversation.run.process.pid}) == 9


def test_the_console_shows_the_conversation(conversation: Conversation) -> None:
    for turn in conversation.turns:
        assert turn["marks"]["transcript"]["text"] in conversation.run.stdout


def test_no_torch_no_spacy_no_network(conversation: Conversation) -> None:
    assert not conversation.audit.exists(), conversation.audit.read_text()


def test_the_audit_would_have_noticed(tmp_path: Path) -> None:
    code = "import socket\ntry: socket.create_connection(('192.0.2.1', 9), timeout=0.01)\nexcept OSError: pass\nimport spacy"
    environment = {"PYTHONPATH": str(AUDIT), "VOICEGRAPH_AUDIT": str(tmp_path / "audit.txt")}
    subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    noted = (tmp_path / "audit.txt").read_text()
    assert "connect to ('192.0.2.1', 9)" in noted
    assert "import spacy" in noted
