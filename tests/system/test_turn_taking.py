"""Who speaks when: with a real VAD and a real judge, and replies whose timing is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from .graphs import ROOT, GraphRun, graph_run

pytestmark = pytest.mark.models

GRAPH = """\
name: turns
nodes:
  capture: {{use: capture.file, with: {{path: "{folder}/user.wav", pace: realtime}}}}
  vad: {{use: vad.silero, in: {{audio: capture.audio}}}}
  turn:
    use: turn.smart_turn
    in: {{audio: capture.audio, speech: vad.speech, played: sink.played}}
    with: {{{turn}}}
  answer:
    use: "tests.system.speech_actors:Answer"
    in: {{speech: {{from: turn.utterance, link: queue}}, interrupt: turn.interrupt}}
    with: {{{answer}}}
  sink:
    use: sink.file
    in:
      audio: answer.audio
      user: capture.audio
      turn: turn.turn
      speech: vad.speech
      interrupt: turn.interrupt
    with: {{folder: "{folder}/out"}}
"""
RATE_HZ = 16_000


def question(number: int) -> NDArray[np.float32]:
    """One of three questions, without the silence around it."""
    sound, rate = soundfile.read(ROOT / "examples/audio/questions.wav", dtype="float32")
    assert rate == RATE_HZ
    loud = np.flatnonzero(np.abs(sound) > 0.02)
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > 2 * RATE_HZ) + 1)
    found: NDArray[np.float32] = sound[parts[number][0] : parts[number][-1] + 1]
    return found


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def conversation(folder: Path, *sounds: NDArray[np.float32], turn: str = "", answer: str = "") -> GraphRun:
    soundfile.write(folder / "user.wav", np.concatenate([silence(0.5), *sounds]), RATE_HZ)
    with graph_run(folder, GRAPH.format(folder=folder, turn=turn, answer=answer)) as run:
        run.running()
        assert run.wait() == 0, run.stderr
        run.all_gone()
    return run


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out/turns.jsonl").read_text().splitlines()]


def test_a_pause_that_sounds_like_an_end_cuts_nothing(tmp_path: Path) -> None:
    first, second = question(0), question(1)
    run = conversation(tmp_path, first, silence(0.9), second, silence(2), turn="threshold: 0.01", answer="takes_ms: 2000")
    (turn,) = run.report["turns"]
    assert turn["marks"]["turn_confirmed"]["withdrawn"] >= 1, "at the pause, and perhaps at a shorter one"
    assert turn["marks"]["utterance"]["ms"] > 1000 * (len(first) + len(second)) // RATE_HZ, "both halves together"
    (line,) = lines(tmp_path)
    assert len(line["reply"].split()) == 10, "it is answered once, to the end"


def test_what_is_ready_is_heard_when_the_turn_is_confirmed(tmp_path: Path) -> None:
    run = conversation(tmp_path, question(0), silence(3), answer="takes_ms: 0, words: 2")
    (turn,) = run.report["turns"]
    marks = turn["marks"]
    assert marks["turn_confirmed"]["went_ahead"]
    assert marks["utterance"]["ms"] > 0
    assert marks["utterance"]["at_ns"] < marks["turn_confirmed"]["at_ns"] <= marks["first_audio"]["at_ns"]


def test_who_speaks_while_the_assistant_does_is_listened_to(tmp_path: Path) -> None:
    run = conversation(tmp_path, question(0), silence(3), question(1), silence(2), answer="words: 12")
    first, second = lines(tmp_path)
    assert first["interrupted"]
    assert 1 <= len(first["reply"].split()) < 12, "as many words as were heard"
    assert not second["interrupted"]
    assert [turn["turn"] for turn in run.report["turns"]] == [1, 2]
    _, rate = soundfile.read(tmp_path / "out/conversation.wav")
    assert second["start_s"] > first["end_s"] > first["start_s"]
    assert rate == 24_000


def test_a_short_sound_interrupts_nothing(tmp_path: Path) -> None:
    sound = question(1)[: RATE_HZ // 4]
    run = conversation(tmp_path, question(0), silence(2.5), sound, silence(5), turn="barge_in_ms: 700", answer="words: 10")
    (line,) = lines(tmp_path)
    assert not line["interrupted"]
    assert len(line["reply"].split()) == 10
    assert line["end_s"] - line["start_s"] > 5.1, "it has paused for it"
    assert [turn["turn"] for turn in run.report["turns"]] == [1]
