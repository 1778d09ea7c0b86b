"""One session's turns: its audio, its speech events and the judge brought together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from nodes.speech_audio import SAMPLE_RATE_HZ, samples
from nodes.turn.recent_audio import RecentAudio, last_loud
from nodes.turn.taking import Ask, Decision, Rules, TurnTaking
from nodes.vad.base import SpeechEnded, SpeechStarted

if TYPE_CHECKING:
    from nodes.turn.judge import Judge
    from nodes.vad.segmenter import SpeechEvent

TAIL_MS = 200  # of the pause goes with the utterance: words fade out
VAD_LATE_MS = 200  # after the last of it, at most, the VAD tells that speech has paused
VAD_LAG_MS = 30_000  # how far the VAD may be behind the audio before a turn of full length loses its beginning
MOST_WAITING = 2000  # events, a minute of pause: whoever waits longer waits for audio that never comes


class Spoken(NamedTuple):
    """What was said in a turn."""

    begin: int  # first sample
    payload: bytes  # s16 little-endian
    lost: int  # samples missing at the beginning
    last_loud_ns: int  # when the last loud sample was spoken


class Session:
    """Audio and events in, decisions out. An event waits until the audio it speaks of is there."""

    def __init__(self, rules: Rules, judge: Judge, max_turn_ms: int) -> None:
        self.taking = TurnTaking(rules)
        self.origin_ns = 0  # of the event that led to the newest decision
        self.warned = False  # of frames that cannot be heard
        self.due_ns = 0  # when a reply that did not come until then is given up; 0: none is awaited
        self.failed = 0  # the turn that failed last
        self.sorry_for = 0  # the turn whose apology is not heard yet
        self.told_ns = 0  # when the VAD told something last
        self.listens_until_ns = 0  # when it is looked whether the VAD still lives; 0: no turn is open
        self._judge = judge
        self._max_turn = samples(max_turn_ms)
        self._audio = RecentAudio(samples(max_turn_ms + VAD_LAG_MS))
        self._former_end = 0  # of the audio before its source was started again, until a new event comes
        self._waiting: deque[tuple[SpeechEvent, int]] = deque()
        self._given_up_to = 0  # where the audio had come to when the VAD was given up

    @property
    def open(self) -> bool:
        """True while a turn is open, or may be with what waits."""
        return self.taking.open or bool(self._waiting)

    def snapshot(self) -> tuple[int, int, bytes, int]:
        """The turns so far, and the last second of sound: its first sample, the samples, and when the last was spoken."""
        audio = self._audio
        begin = max(audio.begin, audio.end - SAMPLE_RATE_HZ)
        spoken = audio.samples(begin, audio.end).tobytes() if audio.end > begin else b""
        return self.taking.turn, begin, spoken, audio.spoken_at_ns(audio.end - 1) if spoken else 0

    def restore(self, state: tuple[int, int, bytes, int]) -> None:
        """Go on with a session that another had."""
        self.taking.turn, begin, spoken, spoken_ns = state
        if spoken:
            self._audio.add(spoken, begin, spoken_ns)

    def hear_audio(self, payload: bytes | memoryview, begin: int, origin_ns: int) -> Iterator[Decision]:
        """Take in a frame of s16 samples, the first of which has the index `begin`."""
        if begin < self._audio.end:  # its source was started again, and counts anew
            yield from self.finish()
            self._former_end = self._audio.end
        self._audio.add(payload, begin, origin_ns)
        yield from self._proceed()
        if not self._waiting:
            yield from self.taking.heard_to(self._audio.end - samples(VAD_LATE_MS))

    def hear_event(self, event: SpeechEvent, origin_ns: int) -> Iterator[Decision]:
        """Take in a speech event."""
        if self._audio.end + SAMPLE_RATE_HZ < event.at <= self._former_end:
            return  # of the source's former life, which is over
        if event.at < self._given_up_to:
            return  # late: that is over
        self._former_end = self._given_up_to = 0
        self._waiting.append((event, origin_ns))
        yield from self._proceed()

    def finish(self) -> Iterator[Decision]:
        """Nothing more will come: an open turn is over."""
        while self._waiting:
            yield from self._decide(*self._waiting.popleft())
        yield from self._decide(SpeechEnded(self._audio.end, silence_ms=0), self.origin_ns)
        yield from self.taking.finish()

    def without_vad(self, quiet_ms: int) -> Iterator[Decision]:
        """The VAD is silent: the open turn is over if the audio has been quiet for so long, or there is no more of it."""
        taking, audio = self.taking, self._audio
        loud = last_loud(audio.samples(taking.begin, audio.end))
        at = max(taking.begin, audio.begin) + (0 if loud is None else loud + 1)
        if audio.end - at >= samples(quiet_ms):
            yield from self._decide(SpeechEnded(at, (audio.end - at) * 1000 // SAMPLE_RATE_HZ), self.origin_ns)
            yield from taking.finish()
            self._given_up_to = audio.end

    def spoken(self) -> Spoken | None:
        """What was said in the turn that was just confirmed; None when its audio never came."""
        taking, audio = self.taking, self._audio
        begin = max(taking.begin, self._heard_to() - self._max_turn, audio.begin)
        sound = audio.samples(begin, min(self._heard_to(), taking.speech_end + samples(TAIL_MS)))
        if not len(sound):
            return None
        loud = last_loud(sound)
        last = taking.speech_end - 1 if loud is None else begin + loud
        return Spoken(begin, sound.tobytes(), begin - taking.begin, audio.spoken_at_ns(last))

    def _proceed(self) -> Iterator[Decision]:
        while self._waiting:
            event, origin_ns = self._waiting[0]
            if _audio_needed(event) > self._audio.end and len(self._waiting) <= MOST_WAITING:
                return
            self._waiting.popleft()
            yield from self._decide(event, origin_ns)

    def _decide(self, event: SpeechEvent, origin_ns: int) -> Iterator[Decision]:
        self.origin_ns = origin_ns
        for decision in self.taking.hear(event):
            if isinstance(decision, Ask):
                yield from self.taking.judged(self._judge(self._audio.samples(self.taking.begin, self._heard_to())))
            else:
                yield decision

    def _heard_to(self) -> int:
        return self.taking.speech_end + samples(self.taking.silence_ms)


def _audio_needed(event: SpeechEvent) -> int:
    """The first sample after what an event speaks of."""
    return event.at if isinstance(event, SpeechStarted) else event.at + samples(event.silence_ms)
