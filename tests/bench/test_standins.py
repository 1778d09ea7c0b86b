"""Stand-ins wait, and say whom they heard; and the nodes of the benches between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.bargein.nodes import Listener
from bench.bargein.script import DROPPED
from bench.recover.ends import FOLDER_VARIABLE
from bench.sessions.nodes import Recorder
from bench.signed_speech import signed
from bench.square_wave import FRAME_MS, RATE_HZ, Loudness, Stretch, frames, heard
from bench.standins import Model, Transcriber, Voice
from bench.voice.script import noted
from graph.message import Mark
from graph.registry import load_class
from graph.testing import Harness
from nodes.causes import NOT_UNDERSTOOD
from nodes.kinds import AudioFrame
from nodes.llm.base import Token
from nodes.marks import PLAYED
from nodes.stt.base import TranscriptFinal
from nodes.tts.base import Spoken
from nodes.turn.base import Interrupt, Utterance

MS = 1_000_000
SPEECH = signed(np.tile(np.array([3000, -3000], np.int16), 8000), 3).tobytes()


@pytest.mark.parametrize("name", ["Transcriber", "Model", "Voice"])
def test_a_graph_can_have_them(name: str) -> None:
    assert load_class(f"bench.standins:{name}").__name__ == name


def test_what_is_said_goes_through_all_three() -> None:
    with Harness(Transcriber, takes_ms=300) as stt:
        (sent,) = stt.feed("speech", Utterance(0), SPEECH)
        assert (sent.body, stt.clock_ns) == (TranscriptFinal("speaker 3", "en", 1.0), 300 * MS)
    with Harness(Model, takes_ms=200) as llm:
        (sent,) = llm.feed("text", sent.body)
        assert (sent.body, llm.clock_ns) == (Token("Hello speaker 3.", last=True), 200 * MS)
        (nothing,) = llm.feed("text", TranscriptFinal(""))
        assert nothing.body == Token(last=True, cause=NOT_UNDERSTOOD)
    with Harness(Voice, takes_ms=100, reply_ms=2000) as tts:
        (silent,) = tts.feed("text", nothing.body)
        assert (silent.body, tts.clock_ns) == (Spoken(last=True, cause=NOT_UNDERSTOOD), 0)
        *audio, spoken = tts.feed("text", sent.body)
        assert spoken.body == Spoken("Hello speaker 3.", 2 * RATE_HZ, last=True)
        assert [frame.body for frame in audio[:2]] == [AudioFrame(RATE_HZ), AudioFrame(RATE_HZ, RATE_HZ * FRAME_MS // 1000)]
        assert (len(audio), tts.clock_ns) == (2000 // FRAME_MS, 100 * MS)


def test_what_was_understood_on_trial_is_not_waited_for_again() -> None:
    with Harness(Transcriber, takes_ms=300) as stt:
        (sent,) = stt.feed("speech", Utterance(0, on_trial=True), SPEECH, turn=2)
        assert (sent.port, sent.body, stt.clock_ns) == ("trial", TranscriptFinal("speaker 3", "en", 1.0), 300 * MS)
        (sent,) = stt.feed("speech", Utterance(0), SPEECH, turn=2)
        assert (sent.port, stt.clock_ns) == ("text", 300 * MS)


def test_what_leaves_the_sink_is_written_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    (tone,) = frames(FRAME_MS)
    with Harness(Listener) as listener:
        for end_ms in (1100, 1200):
            listener.feed("heard", AudioFrame(RATE_HZ), tone, origin_ns=end_ms * MS)
        listener.feed("interrupt", Interrupt("barge-in"), turn=2)
    assert heard(tmp_path) == [Stretch(1000 * MS, 1200 * MS, Loudness.FULL)]
    (note,), _ = noted(tmp_path)
    assert (note["name"], note["turn"], note["text"]) == (DROPPED, 2, "barge-in")


def test_marks_are_written_down_by_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with Harness(Recorder) as recorder:
        for number in (1, 2):
            mark = Mark(PLAYED, number * MS, fields={"text": f"Hello speaker {number}."})
            recorder.feed("marks", mark, session=f"session-{number}", turn=1)
    assert [noted(tmp_path, name=f"session-{n}")[0][0]["text"] for n in (1, 2)] == ["Hello speaker 1.", "Hello speaker 2."]
