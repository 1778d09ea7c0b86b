"""What the user says, while he says it: looks at a growing stretch of speech, and the words that two of them agree on."""

from __future__ import annotations

from collections.abc import Callable, Generator

from nodes.sessions import Sessions
from nodes.speech_audio import SAMPLE_RATE_HZ, samples
from nodes.stt.agreement import Agreement
from nodes.stt.transcriber import Heard
from nodes.turn.recent_audio import RecentAudio
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted
from nodes.vad.segmenter import SpeechEvent

SESSIONS_REMEMBERED = 100
LONGEST_S = 30  # of speech; of what is longer the rest comes with the transcript
NEW_AFTER_MS = 1000  # of a pause: what comes then is something else

Look = Callable[[bytes], Generator[None, None, Heard]]


class _Live:
    """One session's speech."""

    def __init__(self) -> None:
        self.audio = RecentAudio((LONGEST_S + 1) * SAMPLE_RATE_HZ)
        self.begin = 0  # first sample of what is being said
        self.looked = 0  # the first sample that no look has seen
        self.speaks = False
        self.paused = -samples(NEW_AFTER_MS)  # where the last speech ended
        self.agreement = Agreement()


class Partials:
    """A look at the speech of a session after every `every_ms` more of it, while it lasts."""

    def __init__(self, look: Look, every_ms: int) -> None:
        self._look = look
        self._every = samples(every_ms)
        self._sessions = Sessions(_Live, SESSIONS_REMEMBERED)

    def speech(self, session: str, event: SpeechEvent) -> None:
        """The VAD tells where speech begins, pauses and ends."""
        live = self._sessions.of(session)
        if isinstance(event, SpeechStarted):
            if event.at - live.paused >= samples(NEW_AFTER_MS) or event.at < live.begin:
                live.begin = live.looked = event.keep_from
                live.agreement = Agreement()
            live.speaks = True
        elif isinstance(event, SpeechPaused | SpeechEnded):
            live.speaks, live.paused = False, event.at

    def audio(self, session: str, payload: bytes | memoryview, start: int) -> Generator[None, None, Heard | None]:
        """A frame of s16 samples at 16 kHz; returns what is stable now of the speech it belongs to, if that is more."""
        live = self._sessions.of(session)
        for _ in self._sessions.surplus():
            pass
        live.audio.add(bytes(payload), start, 0)
        end = live.audio.end
        if not live.speaks or end - live.looked < self._every or end - live.begin > LONGEST_S * SAMPLE_RATE_HZ:
            return None
        live.looked = end
        heard = yield from self._look(live.audio.samples(live.begin, end).tobytes())
        stable = live.agreement.hear(heard.text)
        return Heard(stable, heard.language) if stable else None
