"""In the place of a transcriber: it understands every word of the script whose sound reaches it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from graph.errors import NodeError
from graph.message import Message
from graph.node import NodeConfig, Step, Until
from graph.scenarios.stand_ins import SttStandIn
from graph.scenarios.steps import FLOOR_DB, Script
from nodes import marks
from nodes.scenario.replay import Replay
from nodes.stt.base import SttNode, TranscriptFinal
from nodes.stt.trials import Trials
from nodes.turn.base import Utterance

if TYPE_CHECKING:
    from nodes.scenario.known_words import KnownWords


class ScenarioSttConfig(NodeConfig):
    script: Script = Field(description="by session, what the user does")
    speech: Path = Field(description="the folder of spoken texts")
    room_db: float = FLOOR_DB
    behaves: SttStandIn = Field(default_factory=SttStandIn, description="how long it takes, and what it does wrong")
    recording: Path | None = Field(None, description="what a real one said, and when: it says the same")
    version: int = Field(1, description="another one replaces it while the graph runs")


class ScenarioStt(SttNode):
    """Knows each word by its samples, so what was cut off, lost or said in another session is not understood."""

    Config: ClassVar[type[NodeConfig]] = ScenarioSttConfig
    config: ScenarioSttConfig
    extra = "audio"

    _words: KnownWords

    def setup(self) -> None:
        """:raises VoicegraphError: a recording cannot be read, a text was never spoken and cannot be, a library is missing."""
        try:
            from nodes.scenario.known_words import KnownWords
        except ImportError as error:
            raise self.missing(error.name or "numpy") from error
        config = self.config
        self._words = KnownWords(config.script, config.speech, config.room_db)
        self._replay = Replay(config.recording)
        self._trials: Trials[str] = Trials()

    def on_speech(self, message: Message[Utterance]) -> Iterator[Step]:
        """:raises NodeError: this turn is one in which it fails."""
        text = self._trials.take(message)
        if text is None:
            text = yield from self._transcribe(message)
        start_ms = message.body.start * 1000 // message.body.sample_rate
        transcript = TranscriptFinal(text, "en", 1.0, start_ms, start_ms + len(message.payload) // 32)
        if message.body.on_trial:
            self._trials.keep(message, text)
            yield self.trial(transcript)
        else:
            self.mark(marks.TRANSCRIPT, text=text)
            yield self.text(transcript)

    def _transcribe(self, message: Message[Utterance]) -> Generator[Step, None, str]:
        began_ns = self.runtime.now_ns()
        turn, behaves = message.turn, self.config.behaves
        recorded = self._replay.transcript(message.session, turn, message.revision)
        delay_s = behaves.delay_s(turn) if recorded is None else recorded.after_s
        yield Until(began_ns + round(delay_s * 1e9))
        special = behaves.of(turn)
        if special.fail is not None:
            raise NodeError(special.fail)
        text = self._words.heard(message.session, message.payload) if recorded is None else recorded.text
        return text if special.text is None else special.text
