"""The sink family: where the assistant is heard."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

from pydantic import Field

from graph.message import Message
from graph.node import Input, Node, NodeConfig, Outgoing, Output, Runtime, Step
from nodes.causes import BROKE_OFF
from nodes.gate import Gate
from nodes.kinds import AudioFrame, Played, ReplyBegins
from nodes.marks import PLAYED
from nodes.sink.heard import Stretch
from nodes.sink.received import Received
from nodes.sink.unfinished import Unfinished
from nodes.tts.base import Spoken
from nodes.turn.base import TURN_NEWS, Interrupt, TurnDismissed, TurnNews, TurnOnTrial
from nodes.vad.base import GAP_MS, SpeechEnded, SpeechPaused, SpeechStarted, VoiceHeard, VoiceLost

SOFTLY_MS = 60  # that a reply goes on softly when somebody speaks, before it pauses


class SinkConfig(NodeConfig):
    """Parameters that all sinks have."""

    patience_s: float = Field(
        10, gt=0, le=600, description="silence in the middle of a reply after which it is taken to have broken off"
    )


class SinkNode(Node):
    """Plays or writes the reply: `hear` is given what may be heard now, `cut` what may be heard no longer.

    Where it is told of turns (`turn`), nothing is heard before its turn is confirmed. Where it is told of speech (`speech`), a
    reply goes on softly for `SOFTLY_MS` when somebody speaks and then pauses. It goes on in the next pause, or where that is on
    trial, when the trial is over; whoever holds it dead, when the VAD says that the speech has ended.
    """

    Config: ClassVar[type[NodeConfig]] = SinkConfig
    config: SinkConfig
    extra = "audio"
    audio = Input(AudioFrame, Spoken)
    turn = Input(*TURN_NEWS, required=False, doc="from the turn node: nothing is heard before its turn is confirmed")
    speech = Input(
        SpeechStarted, SpeechPaused, SpeechEnded, required=False, doc="from the VAD: a reply steps back while somebody speaks"
    )
    voice = Input(
        VoiceHeard, VoiceLost, required=False, doc="from the VAD: it steps back before it is certain that somebody speaks"
    )
    interrupt = Input(Interrupt, required=False, interrupts=True)
    played = Output(ReplyBegins, Played)
    heard = Output(
        AudioFrame,
        doc="for echo nodes: what leaves the loudspeaker, in frames of at most 20 ms, without its silence",
    )

    def __init__(self, config: NodeConfig, runtime: Runtime) -> None:
        super().__init__(config, runtime)
        self._gate = Gate()
        self._on_trial: set[str] = set()  # sessions whose reply waits until it is known whether it was interrupted
        self._received = Received()
        self._unfinished = Unfinished()
        self._begun: tuple[str, int, int] = ("", 0, 0)  # the reply that was told of last

    @abstractmethod
    def hear(self, message: Message[AudioFrame | Spoken]) -> Iterator[Step]:
        """A piece of a reply, to be heard after all that came before."""

    @abstractmethod
    def cut(self, message: Message[Interrupt]) -> Iterator[Step]:
        """Replies that are older than this turn and revision are heard no longer."""

    @abstractmethod
    def step_back(self, session: str) -> None:
        """Somebody speaks: what is being heard becomes soft, and pauses."""

    @abstractmethod
    def go_on(self, session: str) -> None:
        """Where it had paused, if it had."""

    def on_speech(self, message: Message[SpeechStarted | SpeechPaused | SpeechEnded]) -> None:
        session, body = message.session, message.body
        if isinstance(body, SpeechStarted):
            self._pause(session)
        elif isinstance(body, SpeechEnded) or (body.silence_ms >= GAP_MS and session not in self._on_trial):
            self._go_on(session)

    def on_voice(self, message: Message[VoiceHeard | VoiceLost]) -> None:
        if isinstance(message.body, VoiceHeard):
            self._pause(message.session)
        elif message.session not in self._on_trial:
            self._go_on(message.session)

    def on_audio(self, message: Message[AudioFrame | Spoken]) -> Iterator[Step]:
        if self._received.news(message) and (not self.runtime.connected("turn") or self._gate.passes(message)):
            yield from self._heard(message)

    def on_turn(self, message: Message[TurnNews]) -> Iterator[Step]:
        session = message.session
        for waiting in self._gate.told(message):
            yield from self._heard(waiting)
        if isinstance(message.body, TurnOnTrial):
            self._on_trial.add(session)
            self._pause(session)
        elif isinstance(message.body, TurnDismissed):
            self._go_on(session)

    def on_interrupt(self, message: Message[Interrupt]) -> Iterator[Step]:
        self._gate.withdraw(message.session, message.turn, message.revision)
        self._received.cut(message.session, message.turn, message.revision)
        self._unfinished.cut(message.session, message.turn, message.revision)
        yield from self.cut(message)
        self._go_on(message.session)

    def on_due(self) -> Iterator[Step]:
        """Whoever made a reply may be dead: what has not come for long never will, and the reply is over."""
        patience_ns = round(self.config.patience_s * 1e9)
        for session, turn, revision in self._unfinished.given_up(self.runtime.now_ns(), patience_ns):
            end = Spoken(last=True, cause=BROKE_OFF)
            yield from self.hear(Message(end, session=session, turn=turn, revision=revision))
        self.wake(self._unfinished.next_ns(patience_ns))

    def wake(self, at_ns: int) -> None:
        """Have `on_due` called then, or sooner; 0: no need."""
        self.due_ns = min(filter(None, (self.due_ns, at_ns)), default=0)

    def _pause(self, session: str) -> None:
        self._unfinished.pause(session, self.runtime.now_ns())
        self.step_back(session)

    def _go_on(self, session: str) -> None:
        self._on_trial.discard(session)
        self._unfinished.go_on(session, self.runtime.now_ns())
        self.go_on(session)

    def _heard(self, message: Message[AudioFrame | Spoken]) -> Iterator[Step]:
        reply = (message.session, message.turn, message.revision)
        if isinstance(message.body, AudioFrame) and message.turn and reply != self._begun:
            self._begun = reply
            session, turn, revision = reply
            yield self.played(ReplyBegins(), session=session, turn=turn, revision=revision)
        yield from self.hear(message)
        self._count(message, reply)

    def _count(self, message: Message[AudioFrame | Spoken], reply: tuple[str, int, int]) -> None:
        """Keep track of whether all of a reply has come."""
        if isinstance(message.body, AudioFrame) and message.turn:
            now_ns, samples = self.runtime.now_ns(), len(message.payload) // 2
            self._unfinished.hear(reply, samples * 1_000_000_000 // message.body.sample_rate, now_ns)
            self.wake(self._unfinished.next_ns(round(self.config.patience_s * 1e9)))
        elif isinstance(message.body, Spoken) and message.body.last:
            self._unfinished.end(reply)

    def sounds(self, stretches: Iterable[Stretch], sample_rate: int) -> Iterator[Step]:
        """The messages that something is being heard."""
        for stretch in stretches:
            for frame, payload, end_ns in stretch.frames(sample_rate):
                yield self.heard(frame, payload, session=stretch.session, turn=0, revision=0, origin_ns=end_ns)

    def tell(self, played: Played, at_ns: int, session: str, turn: int, revision: int) -> Outgoing:
        """The message that a reply was heard, and its mark; `at_ns`: when its last sample was."""
        if self._begun == (session, turn, revision):
            self._begun = ("", 0, 0)  # what is said in this turn from now on begins anew
        self.mark(
            PLAYED,
            at_ns=at_ns,
            session=session,
            turn=turn,
            revision=revision,
            text=played.text,
            samples=played.samples,
            gaps=played.gaps,
            gap_ms=played.gap_ms,
        )
        return self.played(played, session=session, turn=turn, revision=revision)
