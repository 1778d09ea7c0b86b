"""In the place of a voice: a tone that lasts as long as the text would. Clauses, frames and pauses are the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from graph.node import NodeConfig, Step
from graph.scenarios.stand_ins import TtsStandIn
from nodes.scenario.replay import Replay
from nodes.tts.speech import SpeechConfig, SpeechNode

if TYPE_CHECKING:
    from nodes.tts.pcm import Samples
    from nodes.tts.reply import Reply

RATE_HZ = 24_000
TONE_HZ = 220
LOUDNESS = 0.1  # of full scale


class ScenarioTtsConfig(SpeechConfig):
    behaves: TtsStandIn = Field(default_factory=TtsStandIn, description="how long it takes and speaks, what it does wrong")
    recording: Path | None = Field(None, description="how long a real one took and spoke: so does this")
    version: int = Field(1, description="another one replaces it while the graph runs")


class ScenarioTts(SpeechNode):
    """Speaks in a tone."""

    Config: ClassVar[type[NodeConfig]] = ScenarioTtsConfig
    config: ScenarioTtsConfig
    voice: _Tone

    def load(self) -> _Tone:
        return _Tone(self.config.behaves, Replay(self.config.recording))

    def _speak(self, reply: Reply, clause: str) -> Iterator[Step]:
        self.voice.now = reply
        yield from super()._speak(reply, clause)

    def _pause_ms(self, clause: str) -> int:
        """What was recorded has its pause already."""
        return 0 if self.voice.recorded(self._speakable(clause)) else super()._pause_ms(clause)


class _Tone:
    """A `nodes.tts.speech.Voice`."""

    sample_rate = RATE_HZ
    language = "en-us"
    now: Reply | None = None  # the one that is being spoken

    def __init__(self, behaves: TtsStandIn, replay: Replay) -> None:
        self._behaves = behaves
        self._replay = replay
        self._aborted = Event()

    def recorded(self, text: str) -> tuple[float, float] | None:
        """How many seconds a clause took, and lasted, in the recording of this turn."""
        return None if self.now is None else self._replay.clause(self.now.session, self.now.turn, text)

    def synthesise(self, text: str) -> Iterator[Samples]:
        import numpy as np

        if self.now is None:  # it warms up
            return
        self._aborted.clear()
        turn = self.now.turn
        special = self._behaves.of(turn)
        after_s, lasts_s = self._behaves.delay_s(turn), len(text) * self._behaves.letter
        if (recorded := self.recorded(text)) is not None:
            after_s, lasts_s = recorded
        if self._aborted.wait(after_s):
            return
        if special.fail is not None:
            raise RuntimeError(special.fail)
        samples = np.arange(round(lasts_s * RATE_HZ))
        tone = LOUDNESS * np.sign(np.sin(samples * (2 * np.pi * TONE_HZ / RATE_HZ)))
        yield (tone * (not special.silent)).astype(np.float32)

    def abort(self) -> None:
        self._aborted.set()
