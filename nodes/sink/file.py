"""A file as the assistant's voice: what a person would have heard, both sides of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar
from urllib.parse import quote

import msgspec
from pydantic import Field

from graph.message import DEFAULT_SESSION, Message
from graph.node import Input, NodeConfig, Runtime, Step
from nodes.kinds import AudioFrame
from nodes.marks import FIRST_AUDIO
from nodes.sink.base import SOFTLY_MS, SinkConfig, SinkNode
from nodes.sink.reply import Reply
from nodes.sink.writing import writing
from nodes.stt.base import TranscriptFinal
from nodes.tts.base import Spoken
from nodes.turn.base import Interrupt

if TYPE_CHECKING:
    from nodes.sink.timeline import Placed, Timeline


HEARD_EVERY_NS = 10_000_000  # half of what is told ahead of time


class FileSinkConfig(SinkConfig):
    folder: Path = Field(Path("out"), description="where conversation.wav and turns.jsonl are written; made where missing")
    sample_rate: int = Field(24_000, ge=8_000, le=192_000, description="Hz, of the WAV file; both sides are resampled to it")


class TurnLine(msgspec.Struct):
    """One line of turns.jsonl. Times are seconds within the WAV file; None where nothing was heard."""

    session: str
    turn: int
    user: str | None  # None: the transcript is not connected, or none came
    reply: str
    start_s: float | None = None
    end_s: float | None = None
    interrupted: bool = False


class FileSink(SinkNode):
    """Writes the conversation as a person would have heard it: left the user, right the assistant, on the graph's clock.

    A session gets a file of its own: conversation.wav for the default one, conversation-<session>.wav for others.
    """

    Config: ClassVar[type[NodeConfig]] = FileSinkConfig
    config: FileSinkConfig
    replaceable = False  # its files are being written

    user = Input(AudioFrame, required=False, doc="what the user says, for the left channel")
    transcript = Input(TranscriptFinal, required=False, doc="the user's words, for turns.jsonl")

    _lines: IO[bytes]

    def __init__(self, config: FileSinkConfig, runtime: Runtime) -> None:
        super().__init__(config, runtime)
        self._timelines: dict[str, Timeline] = {}
        self._full: list[Timeline] = []
        self._replies: dict[tuple[str, int, int], Reply] = {}  # those that still come in
        self._said: dict[tuple[str, int], str] = {}  # what the user said in turns whose reply was not heard yet
        self._files = ExitStack()

    def setup(self) -> None:
        """:raises NodeError: the folder cannot be made or written."""
        try:
            from nodes.sink.timeline import Timeline
        except ImportError as error:
            raise self.missing(error.name or "numpy") from error
        self._open = Timeline
        with writing(self.config.folder):
            self.config.folder.mkdir(parents=True, exist_ok=True)
        path = self.config.folder / "turns.jsonl"
        with writing(path):
            self._lines = self._files.enter_context(path.open("wb", buffering=0))
        self._of(DEFAULT_SESSION)  # now, so that what an earlier run left does not pass for this one's

    # ---------------------------------------------------------------- inputs

    def on_user(self, message: Message[AudioFrame]) -> Iterator[Step]:
        frame, now_ns = message.body, self.runtime.now_ns()
        timeline = self._of(message.session)
        timeline.user(message.payload, frame.start, frame.sample_rate, message.origin_ns or now_ns, now_ns)
        yield from self._tell(timeline, timeline.finished(now_ns))

    def hear(self, message: Message[AudioFrame | Spoken]) -> Iterator[Step]:
        body, now_ns = message.body, self.runtime.now_ns()
        timeline = self._of(message.session)
        key = message.session, message.turn, message.revision
        reply = self._replies.setdefault(key, Reply(*key))
        if self.runtime.connected("heard"):
            timeline.tell(now_ns)
            self.wake(now_ns + HEARD_EVERY_NS)
        if isinstance(body, AudioFrame):
            reply.sample_rate = body.sample_rate
            audible_ns = timeline.assistant(reply, message.payload, now_ns)
            if audible_ns is not None:
                self.mark(FIRST_AUDIO, at_ns=audible_ns, session=key[0], turn=key[1], revision=key[2])
        else:
            reply.say(body)
            if reply.complete:
                del self._replies[key]
                timeline.complete(reply, now_ns)
        yield from self._tell(timeline, timeline.finished(now_ns))

    def on_due(self) -> Iterator[Step]:
        """Tell what is being heard, while something is, and give up replies that will not go on."""
        yield from super().on_due()
        now_ns = self.runtime.now_ns()
        for session, timeline in self._timelines.items():
            yield from self.sounds(timeline.heard(session, now_ns), self.config.sample_rate)
            if timeline.telling:
                self.wake(now_ns + HEARD_EVERY_NS)

    def step_back(self, session: str) -> None:
        self._of(session).step_back(self.runtime.now_ns(), SOFTLY_MS)

    def go_on(self, session: str) -> None:
        self._of(session).go_on(self.runtime.now_ns())

    def on_transcript(self, message: Message[TranscriptFinal]) -> None:
        self._said[message.session, message.turn] = message.body.text

    def cut(self, message: Message[Interrupt]) -> Iterator[Step]:
        timeline = self._of(message.session)
        cut = timeline.interrupt(message.turn, message.revision, self.runtime.now_ns())
        for placed in cut:
            reply = placed.reply
            self._replies.pop((reply.session, reply.turn, reply.revision), None)
        yield from self._tell(timeline, cut)

    def on_input_end(self, name: str) -> None:
        if name == "user":
            for timeline in self._timelines.values():
                timeline.user_ended()

    def drain(self) -> Iterator[Step]:
        for timeline in self._timelines.values():
            yield from self._tell(timeline, timeline.close())
        for (session, turn), text in self._said.items():
            self._write(TurnLine(session, turn, text, ""))
        self._said.clear()

    def close(self) -> None:
        self._files.close()

    # ---------------------------------------------------------------- what was heard

    def _of(self, session: str) -> Timeline:
        if session not in self._timelines:
            name = "conversation.wav" if session == DEFAULT_SESSION else f"conversation-{quote(session, safe='')}.wav"
            self._timelines[session] = self._open(self.config.folder / name, self.config.sample_rate)
            self._files.callback(self._timelines[session].close)
        return self._timelines[session]

    def _tell(self, timeline: Timeline, heard: Iterable[Placed]) -> Iterator[Step]:
        now_ns, rate = self.runtime.now_ns(), self.config.sample_rate
        for placed in heard:
            reply = placed.reply
            played = reply.played(round(placed.samples * reply.sample_rate / rate) if placed.interrupted else None)
            at_ns = timeline.heard_ns(placed.end, now_ns) if placed.spans else now_ns
            yield self.tell(played, at_ns, reply.session, reply.turn, reply.revision)
            if placed.spans:
                user = self._said.pop((reply.session, reply.turn), None)
                span = round(placed.spans[0][0] / rate, 3), round(placed.end / rate, 3)
                self._write(TurnLine(reply.session, reply.turn, user, played.text, *span, placed.interrupted))
        if timeline.recording.full and timeline not in self._full:
            self._full.append(timeline)
            self.runtime.warn(f"'{timeline.recording.path}' is full: a WAV file holds 4 GiB; what follows is not recorded")

    def _write(self, line: TurnLine) -> None:
        with writing(self.config.folder / "turns.jsonl"):
            self._lines.write(msgspec.json.encode(line) + b"\n")
