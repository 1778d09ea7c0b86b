"""sink.file: what a person would have heard, where on the clock it was heard, and what is told of it."""

from __future__ import annotations

import json
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from graph.errors import NodeError
from graph.testing import Harness, Sent
from nodes.kinds import AudioFrame, Played
from nodes.sink import stereo
from nodes.sink.file import FileSink
from nodes.stt.base import TranscriptFinal
from nodes.tts.base import Spoken
from nodes.turn.base import Interrupt
from nodes.vad.base import SpeechPaused, SpeechStarted

RATE_HZ = 24_000
USER_HZ = 16_000
MS_NS = 1_000_000
START_NS = 1_000_000 * MS_NS  # when the user's first sample is spoken
FRAME_MS = 32
LOUD, QUIET = 5_000, 100  # above and below what is audible


class Conversation:
    """A sink and the clock it is heard on; times are ms after the user's first sample."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.folder = folder
        self.sink = Harness(FileSink, clock_ns=START_NS, folder=folder, **config)
        self.user_samples = 0

    def at(self, ms: float) -> None:
        self.sink.clock_ns = START_NS + round(ms * MS_NS)

    def user(self, until_ms: int, level: int = LOUD, *, fast: bool = False, **header: Any) -> list[Sent]:
        """The user speaks on until then; in real time the clock goes along."""
        sent: list[Sent] = []
        length = USER_HZ * FRAME_MS // 1000
        while self.user_samples * 1000 < until_ms * USER_HZ:
            frame = AudioFrame(sample_rate=USER_HZ, start=self.user_samples)
            self.user_samples += length
            if not fast:
                self.at(self.user_samples * 1000 / USER_HZ)
            payload = np.full(length, level, "<i2").tobytes()
            sent += self.sink.feed("user", frame, payload, origin_ns=self.sink.clock_ns, **header)
        return sent

    def speak(self, ms: int, level: int = LOUD, *, rate: int = RATE_HZ, turn: int = 1, **header: Any) -> list[Sent]:
        payload = np.full(rate * ms // 1000, level, "<i2").tobytes()
        sent = self.sink.feed("audio", AudioFrame(sample_rate=rate), payload, turn=turn, **header)
        return [one for one in sent if isinstance(one.body, Played)]

    def say(self, text: str, ms: int, *, rate: int = RATE_HZ, last: bool = True, turn: int = 1, **header: Any) -> list[Sent]:
        return self.sink.feed("audio", Spoken(text, rate * ms // 1000, last), turn=turn, **header)

    def end(self) -> list[Sent]:
        told = self.sink.drain()
        self.sink.close()
        return told

    def sound(self, name: str = "conversation.wav") -> NDArray[np.int16]:
        samples, rate = soundfile.read(self.folder / name, dtype="int16", always_2d=True)
        assert rate == self.sink.node.config.sample_rate
        assert samples.shape[1] == 2
        return samples

    def heard_ms(self, name: str = "conversation.wav") -> list[tuple[int, int]]:
        """The stretches in which the assistant is heard."""
        loud = np.abs(self.sound(name)[:, 1]) > QUIET // 2
        edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
        return [(round(a * 1000 / RATE_HZ), round(b * 1000 / RATE_HZ)) for a, b in edges.reshape(-1, 2)]

    def turns(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "turns.jsonl").read_text().splitlines()]

    def marks_ms(self) -> list[tuple[str, int, int]]:
        return [(m.mark.name, m.turn, round((m.mark.at_ns - START_NS) / MS_NS)) for m in self.sink.marks]


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Conversation]:
    conversation = Conversation(tmp_path / "out")
    yield conversation
    conversation.sink.close()


def test_a_reply_is_heard_when_it_came(talk: Conversation) -> None:
    talk.user(992)
    talk.sink.feed("transcript", TranscriptFinal("How are you?"), turn=1)
    talk.at(1500)
    assert talk.speak(200, QUIET) + talk.speak(300) + talk.say("I am fine.", 500) == []
    talk.user(1984, QUIET)
    [played] = talk.user(2500, QUIET)  # told once it was heard to its end

    assert (played.body, played.turn) == (Played("I am fine.", 12_000, RATE_HZ), 1)
    assert talk.end() == []
    assert talk.heard_ms() == [(1500, 2000)]
    assert talk.marks_ms() == [("first_audio", 1, 1700), ("played", 1, 2000)]
    assert talk.sink.marks[1].mark.fields == {"text": "I am fine.", "samples": 12_000, "gaps": 0, "gap_ms": 0}
    assert talk.turns() == [
        {
            "session": "default",
            "turn": 1,
            "user": "How are you?",
            "reply": "I am fine.",
            "start_s": 1.5,
            "end_s": 2.0,
            "interrupted": False,
        }
    ]


def test_the_user_is_on_the_left_at_the_rate_of_the_file(talk: Conversation) -> None:
    length = USER_HZ * FRAME_MS // 1000
    tone = (8_000 * np.sin(2 * np.pi * 440 * np.arange(50 * length) / USER_HZ)).astype("<i2")
    for start in range(0, len(tone), length):
        talk.at((start + length) * 1000 / USER_HZ)
        frame = AudioFrame(sample_rate=USER_HZ, start=start)
        talk.sink.feed("user", frame, tone[start : start + length].tobytes(), origin_ns=talk.sink.clock_ns)
    talk.end()
    left = talk.sound()[:, 0].astype(float)
    wanted = 8_000 * np.sin(2 * np.pi * 440 * np.arange(len(left)) / RATE_HZ)
    assert len(left) == 1600 * RATE_HZ // 1000
    assert np.abs(left - wanted)[500:-500].max() < 20


def test_frames_that_come_late_leave_the_gap_that_was_heard(talk: Conversation) -> None:
    talk.user(96)
    talk.at(200)
    talk.speak(100)
    talk.at(250)  # in time: it follows without a gap
    talk.speak(100)
    talk.at(500)
    talk.speak(100)
    talk.end()
    assert talk.heard_ms() == [(200, 400), (500, 600)]


def test_a_reply_waits_for_the_one_before_it(talk: Conversation) -> None:
    talk.user(96)
    talk.speak(1000)
    talk.say("One.", 1000)
    talk.at(300)
    talk.speak(500, turn=2)
    talk.say("Two.", 500, turn=2)
    assert [(p.turn, p.body.text) for p in talk.end()] == [(1, "One."), (2, "Two.")]
    assert talk.marks_ms()[:2] == [("first_audio", 1, 96), ("first_audio", 2, 1096)]
    assert [(t["start_s"], t["end_s"]) for t in talk.turns()] == [(0.096, 1.096), (1.096, 1.596)]


def test_faster_than_real_time_media_time_is_the_clock(talk: Conversation) -> None:
    talk.at(10)
    talk.user(5000, fast=True)
    told = talk.speak(300, QUIET) + talk.speak(300)
    talk.user(8000, fast=True)  # goes on while the reply is made: the reply is not torn apart
    told += talk.speak(400) + talk.say("Here I am.", 1000)
    assert [p.body.text for p in told] == ["Here I am."]
    talk.end()
    begin_ms = -(-5000 // FRAME_MS) * FRAME_MS
    assert talk.heard_ms() == [(begin_ms, begin_ms + 1000)]
    assert len(talk.sound()) == 8000 * RATE_HZ // 1000
    name, turn, at_ms = talk.marks_ms()[0]
    assert (name, turn, at_ms) == ("first_audio", 1, 10 + 300)  # as if it had been played at once


def test_an_interruption_silences_what_was_not_heard_yet(talk: Conversation) -> None:
    talk.user(992)
    talk.speak(1000)
    talk.say("One two three.", 1000, last=False)
    talk.speak(1000)
    talk.say("Four five six seven.", 1000)
    talk.user(2496)  # 1504 ms of the reply are heard by then
    [played] = talk.sink.feed("interrupt", Interrupt("speech"), turn=2)
    assert played.body == Played("One two three. Four five", RATE_HZ * 1504 // 1000, RATE_HZ, interrupted=True)
    assert (played.turn, played.session) == (1, "default")
    talk.speak(200, turn=2)
    talk.say("Yes?", 200, turn=2)
    talk.end()
    assert talk.heard_ms() == [(992, 2696)]
    assert [(t["turn"], t["reply"], t["end_s"], t["interrupted"]) for t in talk.turns()] == [
        (1, "One two three. Four five", 2.496, True),
        (2, "Yes?", 2.696, False),
    ]


def test_an_interruption_leaves_newer_replies_and_announcements(talk: Conversation) -> None:
    talk.user(96)
    talk.speak(500, turn=0)
    talk.say("Notice.", 500, turn=0)
    talk.speak(500, turn=1)
    talk.speak(500, turn=2)
    [played] = talk.sink.feed("interrupt", Interrupt(), turn=2)
    assert (played.turn, played.body.samples, played.body.text) == (1, 0, "")
    talk.say("Newer.", 500, turn=2)
    assert [(p.turn, p.body.interrupted) for p in talk.end()] == [(0, False), (2, False)]
    assert talk.heard_ms() == [(96, 596), (1096, 1596)]
    assert [t["turn"] for t in talk.turns()] == [0, 2]  # nothing of turn 1 was heard


def test_without_a_user_time_begins_with_the_first_reply(talk: Conversation) -> None:
    talk.at(700)
    talk.speak(300)
    [first] = talk.say("One.", 300)
    talk.at(1700)
    talk.speak(300, turn=2)
    [second] = talk.say("Two.", 300, turn=2)
    talk.end()
    assert (first.body.text, second.body.text) == ("One.", "Two.")
    assert talk.heard_ms() == [(0, 300), (1000, 1300)]
    assert [t["user"] for t in talk.turns()] == [None, None]


def test_replies_of_another_rate_are_resampled(talk: Conversation) -> None:
    talk.speak(1000, rate=22_050)
    [played] = talk.say("Low.", 1000, rate=22_050)
    talk.end()
    assert played.body == Played("Low.", 22_050, 22_050)
    assert len(talk.sound()) == RATE_HZ


def test_lost_user_frames_are_silence(talk: Conversation) -> None:
    talk.user(96)
    talk.user_samples += USER_HZ  # a second was lost
    talk.user(1200)
    talk.end()
    left = np.abs(talk.sound()[:, 0])
    assert left[RATE_HZ * 200 // 1000 : RATE_HZ].max() == 0
    assert np.median(left[RATE_HZ * 1100 // 1000 :]) == LOUD


def test_each_session_has_its_own_file(talk: Conversation) -> None:
    talk.speak(100, session="anna/../1")
    talk.say("Hello Anna.", 100, session="anna/../1")
    talk.speak(200)
    talk.say("Hello.", 200)
    talk.end()
    assert talk.heard_ms("conversation-anna%2F..%2F1.wav") == [(0, 100)]
    assert talk.heard_ms() == [(0, 200)]
    assert [t["session"] for t in talk.turns()] == ["anna/../1", "default"]


def test_a_turn_without_a_reply_is_told_too(talk: Conversation) -> None:
    talk.sink.feed("transcript", TranscriptFinal("Anyone there?"), turn=1)
    talk.end()
    [turn] = talk.turns()
    assert (turn["user"], turn["reply"], turn["start_s"]) == ("Anyone there?", "", None)


def test_an_empty_reply_is_played_at_once(talk: Conversation) -> None:
    talk.user(96)
    [played] = talk.say("", 0)
    assert played.body == Played()


def test_a_long_conversation_goes_to_disk_and_the_file_always_plays(talk: Conversation) -> None:
    talk.user(60_000, fast=True)
    on_disk = len(talk.sound())  # read while it is still being written
    assert 58 * RATE_HZ < on_disk <= 60 * RATE_HZ
    recording = talk.sink.node._timelines["default"].recording
    assert len(recording._window) < 4 * RATE_HZ


def test_a_full_file_ends_the_recording_and_not_the_graph(talk: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stereo, "CAPACITY_SAMPLES", 2 * RATE_HZ)
    talk.user(6000)
    talk.end()
    assert len(talk.sound()) == 2 * RATE_HZ
    wav = talk.folder / "conversation.wav"
    assert talk.sink.warnings == [f"'{wav}' is full: a WAV file holds 4 GiB; what follows is not recorded"]


def test_nothing_of_an_earlier_run_is_left(tmp_path: Path) -> None:
    first = Conversation(tmp_path)
    first.speak(100)
    first.say("Old.", 100)
    first.end()
    second = Conversation(tmp_path)
    second.end()
    assert len(second.sound()) == 0
    assert second.turns() == []


def in_the_way(tmp_path: Path) -> tuple[Path, Path, str]:
    (tmp_path / "out").touch()
    return tmp_path / "out", tmp_path / "out", "file exists"


def below_a_file(tmp_path: Path) -> tuple[Path, Path, str]:
    (tmp_path / "out").touch()
    return tmp_path / "out" / "deeper", tmp_path / "out" / "deeper", "not a directory"


def wav_is_a_folder(tmp_path: Path) -> tuple[Path, Path, str]:
    (tmp_path / "conversation.wav").mkdir()
    return tmp_path, tmp_path / "conversation.wav", "is a directory"


@pytest.mark.parametrize("make", [in_the_way, below_a_file, wav_is_a_folder])
def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path, make: Any) -> None:
    folder, path, reason = make(tmp_path)
    with pytest.raises(NodeError) as caught:
        Harness(FileSink, folder=folder)
    assert str(caught.value) == f"cannot write '{path}': {reason}"


def test_a_read_only_folder_is_told_in_one_line(tmp_path: Path) -> None:
    with Harness(FileSink, folder=tmp_path / "warm"):
        pass  # what setup imports is imported now: another user may not read where it lies
    with tempfile.TemporaryDirectory() as made, read_only(Path(made)):
        with pytest.raises(NodeError) as caught:
            Harness(FileSink, folder=Path(made) / "out")
        assert str(caught.value) == f"cannot write '{made}/out': permission denied"


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Root writes everywhere: be somebody else for a while."""
    folder.chmod(0o555)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)  # nobody
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_disk_that_fills_up_is_told_in_one_line(talk: Conversation) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(NodeError) as caught:
            talk.user(10_000)
        with pytest.raises(NodeError, match="file too large"):
            talk.end()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value) == f"cannot write '{talk.folder / 'conversation.wav'}': file too large"


def test_a_reply_steps_back_while_somebody_speaks_and_loses_nothing(talk: Conversation) -> None:
    talk.user(992)
    talk.speak(1000)
    assert talk.say("All of it.", 1000) == []
    talk.user(1312)
    talk.sink.feed("speech", SpeechStarted(0, 0))
    talk.user(1728)
    assert talk.sink.feed("speech", SpeechPaused(0, 100)) == []
    played = [one.body for one in talk.user(2600) if isinstance(one.body, Played)]
    assert [(one.text, one.interrupted) for one in played] == [("All of it.", False)]
    talk.end()
    sound = np.abs(talk.sound()[:, 1].astype(int))
    loud_ms = RATE_HZ // 1000

    def level(ms: int) -> int:
        return int(sound[ms * loud_ms])

    assert [level(ms) for ms in (1100, 1300)] == [LOUD, LOUD]
    assert [level(ms) for ms in (1320, 1364)] == [LOUD // 4, LOUD // 4], "softly for a moment"
    assert [level(ms) for ms in (1380, 1720)] == [0, 0], "then not at all"
    assert [level(ms) for ms in (1736, 2340)] == [LOUD, LOUD], "and on from there"
    assert level(2360) == 0


def test_what_comes_too_late_leaves_a_gap_that_is_counted(talk: Conversation) -> None:
    talk.user(992)
    talk.speak(500)
    talk.say("One.", 500, last=False)
    talk.at(1692)
    talk.speak(300)
    talk.at(1997)  # too little for anybody to hear
    talk.speak(100)
    talk.say("Two.", 400)
    talk.user(2000)
    (played,) = (one.body for one in talk.user(2500) if isinstance(one.body, Played))
    assert (played.text, played.gaps, played.gap_ms) == ("One. Two.", 1, 200)
    assert talk.sink.marks[-1].mark.fields == {"text": "One. Two.", "samples": 21_600, "gaps": 1, "gap_ms": 200}
    talk.end()
    assert talk.heard_ms()[0] == (992, 1492)


def test_an_end_that_comes_late_is_no_gap(talk: Conversation) -> None:
    talk.user(992)
    talk.speak(500, rate=22_050)  # whose last samples come out of the resampler at the end
    talk.at(1992)
    talk.say("One.", 500, rate=22_050)
    (played,) = (one.body for one in talk.user(2500) if isinstance(one.body, Played))
    assert (played.text, played.gaps) == ("One.", 0)


def test_what_comes_while_it_pauses_is_heard_behind_it_without_a_gap(talk: Conversation) -> None:
    talk.user(992)
    talk.speak(500)
    talk.user(1312)
    talk.sink.feed("speech", SpeechStarted(0, 0))  # of the 500 ms, 120 are left when it pauses
    talk.user(1984)
    talk.speak(500)
    talk.say("All of it.", 1000)
    talk.user(2208)
    talk.sink.feed("speech", SpeechPaused(0, 100))
    (played,) = (one.body for one in talk.user(3200) if isinstance(one.body, Played))
    assert (played.text, played.gaps) == ("All of it.", 0)
    talk.end()
    assert talk.heard_ms() == [(992, 1372), (2208, 2208 + 620)]


def test_who_is_interrupted_while_it_pauses_was_heard_as_far_as_that(talk: Conversation) -> None:
    talk.user(992)
    talk.speak(1000)
    talk.say("one two three four", 1000)
    talk.user(1440)
    talk.sink.feed("speech", SpeechStarted(0, 0))
    talk.user(1840)
    (cut,) = talk.sink.feed("interrupt", Interrupt("barge-in"), turn=2)
    assert (cut.body.text, cut.body.interrupted) == ("one two", True)
    assert cut.body.samples == pytest.approx((1440 + 60 - 992) * RATE_HZ // 1000, abs=1)
    talk.speak(200, turn=2)
    talk.say("Yes?", 200, turn=2)
    assert [one.body.text for one in talk.user(2600) if isinstance(one.body, Played)] == ["Yes?"]
