"""Who says something while the assistant speaks: with a real VAD, a real judge and in the end a real transcriber."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from .clips import RATE_HZ, Sound, cough, hum, silence, spoken
from .graphs import GraphRun, graph_run

pytestmark = pytest.mark.models

GRAPH = """\
name: barge-in
nodes:
  capture: {{use: capture.file, with: {{path: "{folder}/user.wav", pace: realtime}}}}
  vad: {{use: vad.silero, in: {{audio: capture.audio}}}}
  turn:
    use: turn.smart_turn
    in: {{audio: capture.audio, speech: vad.speech, played: sink.played, words: stt.trial}}
    with: {{{turn}}}
  stt:
    {stt}
    in: {{speech: {{from: turn.utterance, link: queue}}, interrupt: turn.interrupt}}
  answer:
    use: "tests.system.speech_actors:Answer"
    in: {{text: stt.text, interrupt: turn.interrupt}}
    with: {{words: {words}}}
  sink:
    use: sink.file
    in:
      audio: answer.audio
      user: capture.audio
      turn: turn.turn
      speech: vad.speech
      interrupt: turn.interrupt
      transcript: stt.text
    with: {{folder: "{folder}/out"}}
"""
ACTOR = """use: "tests.system.speech_actors:Transcriber"
    with: {{trials: {trials}, takes_ms: {takes_ms}}}"""
QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@dataclass
class Talk:
    """What became of a conversation."""

    run: GraphRun
    lines: list[dict[str, Any]]
    marks: list[dict[str, Any]]  # by turn

    def whole(self, line: int, words: int) -> bool:
        """Whether a reply was heard to its end."""
        return not self.lines[line]["interrupted"] and len(self.lines[line]["reply"].split()) == words

    def lasted_s(self, line: int) -> float:
        length: float = self.lines[line]["end_s"] - self.lines[line]["start_s"]
        return length


def talk(folder: Path, *sounds: Sound, stt: str, turn: str = "", words: int = 10) -> Talk:
    """A user that says so; a word of a reply takes half a second."""
    soundfile.write(folder / "user.wav", np.concatenate([silence(0.5), *sounds]), RATE_HZ)
    with graph_run(folder, GRAPH.format(folder=folder, turn=turn, stt=stt, words=words)) as run:
        run.running()
        assert run.wait() == 0, run.stderr
        run.all_gone()
    lines = [json.loads(line) for line in (folder / "out/turns.jsonl").read_text().splitlines()]
    turns = run.report["turns"]
    assert [one["turn"] for one in turns] == list(range(1, len(turns) + 1))
    return Talk(run, lines, [one["marks"] for one in turns])


def actor(*trials: str, takes_ms: int = 50) -> str:
    return ACTOR.format(trials=json.dumps(trials), takes_ms=takes_ms)


def test_a_reply_goes_on_after_what_a_listener_says(tmp_path: Path, clips: Path) -> None:
    sounds = spoken(clips, QUESTION), silence(2.5), spoken(clips, "I see."), silence(6)
    held = talk(tmp_path, *sounds, stt=actor("Mm-hm, I see.", takes_ms=400))
    assert held.whole(0, words=10)
    assert len(held.lines) == len(held.marks) == 1, "it is no turn"
    assert held.marks[0]["speech_dismissed"]["text"] == "Mm-hm, I see."
    assert held.lasted_s(0) > 5.5, "it has paused until the words were known"


def test_words_interrupt_and_are_transcribed_once(tmp_path: Path, clips: Path) -> None:
    sounds = spoken(clips, QUESTION), silence(2.5), spoken(clips, "Stop."), silence(6)
    held = talk(tmp_path, *sounds, stt=actor("Stop."), words=8)
    first, second = held.lines
    assert first["interrupted"]
    assert not second["interrupted"]
    assert len(held.marks) == 2


def test_long_speech_interrupts_before_its_words_are_known(tmp_path: Path, clips: Path) -> None:
    sounds = spoken(clips, QUESTION), silence(2.5), spoken(clips, "Please tell me about the capital of Italy."), silence(3)
    held = talk(tmp_path, *sounds, stt=actor(), words=6)
    assert held.lines[0]["interrupted"]
    assert len(held.marks) == 2


@pytest.mark.parametrize(("said", "interrupts"), [("I see nothing at all.", True), ("No.", False)], ids=["long", "short"])
def test_a_transcriber_that_says_nothing_holds_nobody_up(tmp_path: Path, clips: Path, said: str, interrupts: bool) -> None:
    sounds = spoken(clips, QUESTION), silence(2.5), spoken(clips, said), silence(8)
    held = talk(tmp_path, *sounds, stt=actor(), turn="barge_in_ms: 700", words=8)
    assert held.lines[0]["interrupted"] == interrupts
    assert held.whole(-1, words=8)
    assert len(held.marks) == 1 + interrupts


def test_off_lets_nobody_interrupt(tmp_path: Path, clips: Path) -> None:
    sounds = spoken(clips, QUESTION), silence(2.5), spoken(clips, "Stop, tell me something else."), silence(5)
    held = talk(tmp_path, *sounds, stt=actor("Stop."), turn='barge_in: "off"')
    assert held.whole(0, words=10)
    assert len(held.marks) == 1
    assert held.lasted_s(0) < 5.5, "it has not paused"


def test_whisper_tells_a_cough_and_an_mm_hm_from_a_stop(tmp_path: Path, clips: Path) -> None:
    listening = [cough(), silence(1.5), hum(), silence(1.5), spoken(clips, "Mm-hm."), silence(1.5), spoken(clips, "Okay.")]
    stop = spoken(clips, "Stop, tell me something else.")
    stt = "use: stt.faster_whisper\n    with: {model: base, language: en}"
    held = talk(tmp_path, spoken(clips, QUESTION), silence(2), *listening, silence(2.5), stop, silence(8), stt=stt, words=30)
    first, second = held.lines
    assert first["interrupted"]
    assert len(first["reply"].split()) >= 8, "all but the last was nothing"
    assert second["user"].lower().startswith("stop")
    assert len(held.marks) == 2
    assert "speech_dismissed" in held.marks[0]
