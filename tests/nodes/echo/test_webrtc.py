"""echo.webrtc in rooms made of numbers: loud and soft echoes, near and far, with a silent user and with one who interrupts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pywebrtc_audio", reason="needs the extra 'echo'")

from graph.errors import MissingExtra
from graph.scenarios.word_error import total, word_error
from graph.testing import Harness
from nodes.echo.webrtc import Webrtc
from tests.nodes.echo import acoustics as room
from tests.nodes.echo.acoustics import RATE_HZ, Sound

LEVELS_DB = (-6, -12, -20, -30)
DELAYS_MS = (20, 60, 120, 250)


@pytest.fixture
def echo() -> Iterator[Harness[Webrtc]]:
    with Harness(Webrtc) as made:
        yield made


def reply() -> Sound:
    """Eight seconds of two voices, after half a second of nothing."""
    _, second, third = room.questions()
    pause = room.silence(0.3)
    return np.concatenate([room.silence(0.5), second, pause, third, pause, second, room.silence(1)])


@pytest.mark.models
@pytest.mark.parametrize("delay_ms", DELAYS_MS)
@pytest.mark.parametrize("level_db", LEVELS_DB)
def test_the_assistant_does_not_hear_itself(echo: Harness[Webrtc], level_db: float, delay_ms: float) -> None:
    played = reply()
    heard = room.microphone(room.echo(played, level_db, delay_ms))
    assert len(room.speech(np.frombuffer(room.s16(heard), "<i2"))) > 1, "without the node it does"
    assert room.speech(room.through(echo, heard, played)) == []


@pytest.fixture(scope="module")
def whisper() -> Any:
    from faster_whisper import WhisperModel

    from graph.models import locate

    return WhisperModel(str(locate("whisper-base")), device="cpu", compute_type="int8", cpu_threads=1)


STEPS_BACK_S = 0.25  # after somebody begins to speak the reply has paused: the VAD takes 100 to 160 ms, the sink 60


@pytest.mark.models
@pytest.mark.parametrize(("level_db", "delay_ms"), [(-6, 60), (-12, 250), (-20, 20), (-30, 120)])
@pytest.mark.parametrize(("steps_back", "most"), [(True, 0.1), (False, 0.35)])
def test_who_speaks_into_a_reply_is_understood(
    whisper: Any, level_db: float, delay_ms: float, steps_back: bool, most: float
) -> None:
    errors = []
    said = (room.AUDIO / "questions.txt").read_text().splitlines()
    for asked, text in zip(room.questions(), said, strict=True):
        played = np.concatenate([reply(), reply()])
        begin = len(reply()) + RATE_HZ  # half a second into the second reply
        played = played[: begin + len(asked) + RATE_HZ // 2]
        user = np.zeros_like(played)
        user[begin : begin + len(asked)] = asked
        if steps_back:
            played[begin + round(STEPS_BACK_S * RATE_HZ) :] = 0
        with Harness(Webrtc) as echo:
            left = room.through(echo, room.microphone(room.echo(played, level_db, delay_ms), user), played)
        onset = [at - 1 for at in room.speech(left[begin - RATE_HZ :])]
        assert any(-0.1 < at < 0.5 for at in onset), "soon enough to interrupt"
        turn = left[begin - RATE_HZ // 4 : begin + len(asked) + RATE_HZ // 4].astype(np.float32) / 32_768
        segments, _ = whisper.transcribe(turn, language="en", beam_size=1, without_timestamps=True)
        errors.append(word_error(text, " ".join(one.text for one in segments)))
    assert total(errors).rate <= most


@pytest.mark.parametrize("frame_ms", [20, 32])
def test_frames_keep_their_count_and_their_time(echo: Harness[Webrtc], frame_ms: int) -> None:
    heard = room.microphone(room.silence(1))
    room.through(echo, heard, room.silence(1), frame_ms)
    length = RATE_HZ * frame_ms // 1000
    assert [one.body.start for one in echo.sent] == list(range(0, RATE_HZ - length + 1, length))
    assert {len(one.payload) for one in echo.sent} == {2 * length}
    ends = [(one.origin_ns - room.STARTED_NS) * RATE_HZ // 1_000_000_000 for one in echo.sent]
    assert ends == [one.body.start + length for one in echo.sent]


@pytest.mark.parametrize(("frame_ms", "late_ms"), [(20, 8), (32, 16)])
def test_without_a_reply_nothing_is_lost(echo: Harness[Webrtc], frame_ms: int, late_ms: int) -> None:
    asked = np.concatenate([room.silence(0.2), *room.questions()])
    left = room.through(echo, room.microphone(asked), np.zeros_like(asked), frame_ms).astype(float)
    late = late_ms * RATE_HZ // 1000
    # Differences: what is very low is filtered out by every canceller, and what is filtered there is not what it was.
    given, got = np.diff(np.frombuffer(room.s16(asked), "<i2")[: len(left) - late].astype(float)), np.diff(left[late:])
    assert np.sum(given * got) / np.sqrt(np.sum(given**2) * np.sum(got**2)) > 0.95
    assert abs(10 * np.log10(np.sum(got**2) / np.sum(given**2))) < 0.5  # dB


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    monkeypatch.delitem(sys.modules, "nodes.echo.canceller", raising=False)
    with pytest.raises(MissingExtra, match=r"voicegraph\[echo\]"):
        Harness(Webrtc)
