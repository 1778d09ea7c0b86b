"""The echo family: what the loudspeaker plays is taken out of what the microphone hears, or the assistant answers itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

from graph.message import Message
from graph.node import Input, Node, Output, Step
from nodes.kinds import AudioFrame
from nodes.sessions import Sessions
from nodes.speech_audio import fault

if TYPE_CHECKING:
    from nodes.echo.room import Ear, Held, Room

SESSIONS_REMEMBERED = 100  # at about 1.5 MB
WAIT_NS = 60_000_000  # for a reference that comes late because its process was held up


class EchoNode(Node):
    """Stands between capture and VAD. Each frame leaves with the number, the sample count and the time that it came with."""

    extra = "audio"
    audio = Input(AudioFrame, doc="from capture: 16 kHz mono s16 frames of equal length")
    heard = Input(AudioFrame, doc="from the sink: what the loudspeaker plays, of any rate, with the time it is heard")
    clean = Output(AudioFrame, doc="the same frames without the loudspeaker")

    _rooms: Sessions[Room]

    @abstractmethod
    def ear(self) -> Ear:
        """What listens in one session."""

    def setup(self) -> None:
        """:raises MissingExtra: a library is not installed."""
        try:
            from nodes.echo.room import Room
        except ImportError as error:
            raise self.missing(error.name or "numpy") from error
        self._rooms = Sessions(lambda: Room(self.ear()), SESSIONS_REMEMBERED)
        self._warned: set[str] = set()

    def on_audio(self, message: Message[AudioFrame]) -> Iterator[Step]:
        """Clean a frame, once it is known what was played meanwhile; one that is not 16 kHz s16 is left out, and said so."""
        if unfit := fault(message):
            if message.session not in self._warned:
                self.runtime.warn(f"audio of session '{message.session}' is left out: {unfit}")
            self._warned.add(message.session)
            return
        room = self._rooms.of(message.session)
        room.take(message, self.runtime.now_ns() + WAIT_NS)
        yield from self._let_go(room)
        for _, forgotten in self._rooms.surplus():
            yield from self._clean(forgotten, forgotten.rest())

    def on_heard(self, message: Message[AudioFrame]) -> Iterator[Step]:
        room = self._rooms.of(message.session)
        room.play(message)
        yield from self._let_go(room)

    def on_due(self) -> Iterator[Step]:
        """Wait no longer for what was played."""
        for room in list(self._rooms.values()):
            yield from self._let_go(room)

    def drain(self) -> Iterator[Step]:
        for room in self._rooms.values():
            yield from self._clean(room, room.rest())

    def _let_go(self, room: Room) -> Iterator[Step]:
        yield from self._clean(room, room.ready(self.runtime.now_ns()))
        if (until_ns := room.waits_until_ns) is not None:
            self.due_ns = min(self.due_ns or until_ns, until_ns)

    def _clean(self, room: Room, frames: Iterator[Held]) -> Iterator[Step]:
        for held in frames:
            one = held.message
            yield self.clean(
                one.body,
                room.hear(held).tobytes(),
                session=one.session,
                turn=one.turn,
                revision=one.revision,
                origin_ns=one.origin_ns,
            )
