from __future__ import annotations

from collections.abc import Generator

from nodes.speech_audio import SAMPLE_RATE_HZ
from nodes.stt.partials import LONGEST_S, Partials
from nodes.stt.transcriber import Heard
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted

FRAME = 512
S = SAMPLE_RATE_HZ


class Looks:
    """A transcriber that hears "one two three …", a word for each second."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, pcm: bytes) -> Generator[None, None, Heard]:
        yield
        self.seconds.append(len(pcm) / 2 / S)
        words = ["one", "two", "three", "four", "five", "six"]
        return Heard(" ".join(words[: int(self.seconds[-1])]), "en")


class Speaker:
    def __init__(self, every_ms: int = 1000) -> None:
        self.looks = Looks()
        self.partials = Partials(self.looks, every_ms)
        self.at = 0

    def audio(self, until_s: float) -> list[str]:
        """Frames up to there; what became stable."""
        found = []
        while self.at < until_s * S:
            steps = self.partials.audio("ann", bytes(2 * FRAME), self.at)
            self.at += FRAME
            try:
                while True:
                    next(steps)
            except StopIteration as ended:
                found += [ended.value.text] if ended.value else []
        return found


def test_words_come_while_somebody_speaks_a_look_after_the_other() -> None:
    ann = Speaker()
    assert ann.audio(2) == []
    ann.partials.speech("ann", SpeechStarted(2 * S, 2 * S - FRAME))
    assert ann.audio(6.2) == ["one", "one two", "one two three"]
    assert [round(s) for s in ann.looks.seconds] == [1, 2, 3, 4]


def test_nobody_looks_in_a_pause_and_speech_that_goes_on_soon_is_the_same() -> None:
    ann = Speaker()
    ann.partials.speech("ann", SpeechStarted(0, 0))
    ann.audio(2.1)
    ann.partials.speech("ann", SpeechPaused(2 * S, 96))
    assert ann.audio(2.9) == []
    ann.partials.speech("ann", SpeechStarted(int(2.9 * S), int(2.8 * S)))
    assert ann.audio(3.2) == ["one two"]
    assert round(ann.looks.seconds[-1]) == 3


def test_speech_after_a_long_pause_is_something_else() -> None:
    ann = Speaker()
    ann.partials.speech("ann", SpeechStarted(0, 0))
    ann.audio(2.1)
    ann.partials.speech("ann", SpeechEnded(2 * S, 3000))
    ann.audio(5)
    ann.partials.speech("ann", SpeechStarted(5 * S, 5 * S))
    assert ann.audio(7.2) == ["one"]


def test_of_very_long_speech_the_rest_is_left_to_the_transcript() -> None:
    ann = Speaker(every_ms=5000)
    ann.partials.speech("ann", SpeechStarted(0, 0))
    ann.audio(LONGEST_S + 20)
    assert max(ann.looks.seconds) <= LONGEST_S
