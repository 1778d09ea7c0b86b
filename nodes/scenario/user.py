"""The user of a scenario: does what the script says, and hears what the assistant does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from graph.message import Message
from graph.node import Input, NodeConfig, Output, Step
from graph.scenarios.steps import FLOOR_DB, Script
from nodes.capture.base import SAMPLE_RATE_HZ, CaptureNode
from nodes.kinds import AudioFrame, Played, ReplyBegins
from nodes.scenario.base import Begin, Cue
from nodes.turn.base import TURN_NEWS, TurnConfirmed, TurnDismissed, TurnNews, TurnOnTrial

if TYPE_CHECKING:
    from nodes.scenario.track import Track

FRAME_MS = 32  # what Silero VAD looks at
FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
FASTER = 8  # times, at the pace `fast`: slow enough that no link has to drop anything
ROOM_SAMPLES = SAMPLE_RATE_HZ * 4
LEAD_IN_S = 0.5


class UserConfig(NodeConfig):
    script: Script = Field(description="by session, the steps")
    speech: Path = Field(description="the folder of spoken texts; what is missing is made and kept there")
    room_db: float = Field(FLOOR_DB, description="the noise behind everything, relative to full scale")
    pace: Literal["realtime", "fast"] = "realtime"
    listen_s: float = Field(2.0, description="how long it goes on listening when nothing happens any more")
    patience_s: float = Field(15.0, description="how long it waits for what a step waits for, or for a reply")


class User(CaptureNode):
    """Speaks to a graph as a scenario says (docs/scenarios.md). It hears replies, so it is no source: `begin` lets it begin."""

    Config = UserConfig
    config: UserConfig

    begin = Input(Begin)
    played = Input(ReplyBegins, Played, required=False, doc="from the sink: for what is said during a reply, or after it")
    turn = Input(*TURN_NEWS, required=False, doc="for what happens when a turn is held to be over")
    cue = Output(Cue, doc="what whoever holds the scenario has to know, or to do")

    @classmethod
    def models(cls, config: UserConfig) -> Sequence[str]:
        """The voice, where a text was never spoken before."""
        from nodes.scenario.speech import MODEL, file_of

        texts = [(step.say, step.voice) for steps in config.script.values() for step in steps if step.say is not None]
        return () if all(file_of(*one, config.speech).exists() for one in texts) else (MODEL,)

    def setup(self) -> None:
        """:raises VoicegraphError: a recording cannot be read, a text cannot be spoken, a library is missing."""
        try:
            from nodes.pcm import to_s16
            from nodes.scenario.sounds import noise, sound_of
            from nodes.scenario.track import Habits, Part, Track
        except ImportError as error:
            raise self.missing(error.name or "numpy") from error
        config = self.config
        habits = Habits(config.listen_s, config.patience_s, config.pace == "realtime")
        room = to_s16(noise(ROOM_SAMPLES, config.room_db, seed=0))
        self._tracks: dict[str, Track] = {}
        for session, steps in config.script.items():
            parts = [Part(-1, room[: round(LEAD_IN_S * SAMPLE_RATE_HZ)])]
            for number, step in enumerate(steps):
                sound = sound_of(step, config.speech, config.room_db)
                parts.append(Part(number, sound, bool(step.say or step.file or step.cough), step.at))
            self._tracks[session] = Track(parts, habits, room)
        self._next_ns = 0
        self._over = False

    def on_begin(self, message: Message[Begin]) -> None:
        self._next_ns = self.due_ns = self.runtime.now_ns() + self._frame_ns

    def on_played(self, message: Message[ReplyBegins | Played]) -> None:
        track = self._tracks.get(message.session)
        if track is not None and isinstance(message.body, ReplyBegins):
            track.reply_begins()
        elif track is not None:
            track.reply_ends(message.turn, message.revision)

    def on_turn(self, message: Message[TurnNews]) -> None:
        track = self._tracks.get(message.session)
        if track is not None and isinstance(message.body, TurnConfirmed):
            track.confirmed(message.turn, message.revision)
        elif track is not None and isinstance(message.body, TurnOnTrial | TurnDismissed):
            track.reply_is_held(isinstance(message.body, TurnOnTrial))

    def on_due(self) -> Iterator[Step]:
        """The next frame of every session: it exists once its last sample was spoken."""
        for session, track in self._tracks.items():
            start = track.position
            for one in track.frame(FRAME_SAMPLES, self.runtime.now_ns()):
                if not isinstance(one, Cue):
                    frame = AudioFrame(SAMPLE_RATE_HZ, start)
                    yield self.audio(frame, one.tobytes(), session=session, origin_ns=self._next_ns)
                elif one.name != "over":
                    yield self.cue(one, session=session)
        if not self._over and all(track.over for track in self._tracks.values()):
            self._over = True
            yield self.cue(Cue("over"))
        self._next_ns += self._frame_ns
        self.due_ns = self._next_ns

    @property
    def _frame_ns(self) -> int:
        return FRAME_MS * 1_000_000 // (1 if self.config.pace == "realtime" else FASTER)
