"""What all voices do alike: gather tokens into clauses, have them spoken, send the frames."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from graph.message import Message
from graph.node import Input, NodeConfig, Outgoing, Runtime, Step
from nodes import marks
from nodes.causes import NO_SOUND, NOTHING_TO_SAY
from nodes.gate import Gate
from nodes.kinds import AudioFrame, Text
from nodes.llm.base import Token
from nodes.tts.background import Background, EngineFailed
from nodes.tts.base import Sentence, Spoken, TtsNode
from nodes.tts.reply import Reply
from nodes.turn.base import TURN_NEWS, Interrupt, TurnNews

if TYPE_CHECKING:
    from nodes.tts.clauses import Clauses
    from nodes.tts.pacing import Pacing
    from nodes.tts.pcm import Samples

# The pauses that kokoro-onnx puts after its batches (Kokoro.create, 0.6): engines leave 0 to 0.5 s, whatever the mark.
SENTENCE_PAUSE_MS = 250
CLAUSE_PAUSE_MS = 100

SESSIONS_REMEMBERED = 1000


class SpeechConfig(NodeConfig):
    """Parameters that all voices have."""

    sample_rate: int = Field(24_000, ge=8_000, le=48_000, description="of the frames that leave, in Hz: the sink's")
    frame_ms: int = Field(20, ge=5, le=200, description="length of a frame")
    hurry: bool = Field(
        False, description="the first clause may end in the middle of a sentence: heard sooner, for voices that are fast enough"
    )
    paced: bool = Field(
        True,
        description="a clause is begun in time before the audio of its reply runs out, not as soon as it is known; false: where"
        " nobody listens in real time",
    )
    speed: float = Field(1.0, ge=0.5, le=2.0, description="2 is twice as fast")
    threads: int = Field(2, ge=1, le=64, description="of the engine")


class Voice(Protocol):
    """An engine with its model loaded."""

    sample_rate: int  # Hz, of what it makes
    language: str  # of the text, e.g. "en-us"

    def synthesise(self, text: str) -> Iterator[Samples]:
        """Speak a text; gives samples as soon as there are any. Called in a thread of its own; may raise anything."""

    def abort(self) -> None:
        """Make a synthesis that is running in its thread raise soon, if the engine can."""


class SpeechNode(TtsNode):
    """Base of the voices: a subclass says how its engine is loaded.

    The first clause is spoken as soon as it is known. Later ones wait, and grow to whole sentences, while the audio that was
    sent lasts (`nodes.tts.pacing`): what is not spoken yet costs nothing if the reply is interrupted.
    """

    Config: ClassVar[type[NodeConfig]] = SpeechConfig
    config: SpeechConfig

    turn = Input(
        *TURN_NEWS,
        required=False,
        doc="from the turn node: nothing is spoken before its turn is confirmed; not linked, the voice works ahead",
    )

    voice: Voice
    _background: Background | None = None

    def __init__(self, config: NodeConfig, runtime: Runtime) -> None:
        super().__init__(config, runtime)
        self._replies: OrderedDict[str, Reply] = OrderedDict()  # by session, the last one
        self._gate = Gate(runtime.now_ns())

    @abstractmethod
    def load(self) -> Voice:
        """Load the engine; libraries are imported here.

        :raises VoicegraphError: a library or model is missing, a parameter does not fit the model.
        """

    def setup(self) -> None:
        """Load the engine and let it speak once: the first time is slower than all others."""
        try:
            from nodes.tts import clauses, pacing, pcm, speakable
        except ImportError as error:
            raise self.missing(str(error.name)) from error
        self._clauses, self._pcm, self._speakable = clauses, pcm, speakable.speakable
        self._pacing: Pacing = pacing.Pacing()
        self.voice = self.load()
        self._background = Background(self.voice.abort)
        for _ in self.voice.synthesise("Hello."):
            pass

    def close(self) -> None:
        if self._background is not None:
            self._background.close()

    def in_turn(self) -> Collection[str]:
        """What waits, for its turn to be confirmed or for its time, is spoken by whoever has it."""
        return [*self._gate.waiting, *(reply.session for reply in self._waiting())]

    def snapshot(self) -> dict[str, Any]:
        """How far each reply was spoken, and what was confirmed: whoever comes after this voice, or process, goes on there."""
        replies = {name: reply.snapshot() for name, reply in self._replies.items()}
        confirmed = self._gate.snapshot()
        return {name: (replies.get(name), confirmed.get(name, (0, 0))) for name in replies | confirmed}

    def restore(self, state: dict[str, Any]) -> None:
        for name, (known, _) in state.items():
            if known is not None:
                self._replies[name] = Reply.restored(name, known, self._new_clauses())
        self._gate.restore({name: confirmed for name, (_, confirmed) in state.items()})
        self.runtime.keep()
        if self._waiting():
            self._wake(self.runtime.now_ns())

    def on_interrupt(self, message: Message[Interrupt]) -> None:
        """Drop the text of older turns that was not spoken yet."""
        self._gate.withdraw(message.session, message.turn, message.revision)
        reply = self._replies.get(message.session)
        if reply is not None and reply.turn and (reply.turn, reply.revision) < (message.turn, message.revision):
            del self._replies[message.session]
            self.runtime.keep()

    def on_turn(self, message: Message[TurnNews]) -> Iterator[Step]:
        """Speak what waited for this."""
        for waiting in self._gate.told(message):
            yield from self.on_text(waiting)

    def on_text(self, message: Message[Token | Sentence | Text]) -> Iterator[Step]:
        """Speak the clauses that this message completes and that have to be begun by now, if it may be spoken."""
        if self.runtime.connected("turn") and not self._gate.passes(message):
            return
        body = message.body
        if isinstance(body, Text):  # stands for itself: no part of the reply that may be under way
            reply = self._new_reply(message)
            reply.due, reply.complete = [*reply.clauses.feed(body.text), *reply.clauses.flush()], True
            yield from self._say(reply, paced=False)
            return
        known = self._replies.get(message.session)
        if known is not None and self._is_no_news(known, message):
            return
        if known is None or known.complete or (known.turn, known.revision) != (message.turn, message.revision):
            if known is not None and known.waits:  # nobody has interrupted it: what is to be spoken of it comes first
                yield from self._unless_stale(known, self._say(known, paced=False))
            known = self._replies[message.session] = self._new_reply(message)
            self._replies.move_to_end(message.session)
            if len(self._replies) > SESSIONS_REMEMBERED:
                self._replies.popitem(last=False)
        if isinstance(body, Sentence):
            known.due += [*known.clauses.flush(), body.text]
            known.complete = body.last
        else:
            known.take(body, message.run)
        yield from self._say(known, paced=self.config.paced)

    def on_due(self) -> Iterator[Step]:
        """Speak the clauses whose time has come."""
        for reply in sorted(self._waiting(), key=lambda one: one.runs_out_ns):
            yield from self._unless_stale(reply, self._say(reply, paced=self.config.paced))

    def drain(self) -> Iterator[Step]:
        """Speak what still waits."""
        for reply in self._waiting():
            yield from self._unless_stale(reply, self._say(reply, paced=False))

    def _waiting(self) -> list[Reply]:
        return [reply for reply in self._replies.values() if reply.waits]

    def _new_clauses(self) -> Clauses:
        return self._clauses.Clauses(self.voice.language, hurry=self.config.hurry)

    def _new_reply(self, message: Message[Any]) -> Reply:
        return Reply(message.session, message.turn, message.revision, message.origin_ns, self._new_clauses())

    def _is_no_news(self, known: Reply, message: Message[Any]) -> bool:
        """A message of an older turn than the last reply's, or one that says again what that had before it was complete."""
        turn, body = (message.turn, message.revision), message.body
        if not message.turn or turn > (known.turn, known.revision):
            return False
        same = turn == (known.turn, known.revision)
        return not same or (known.complete and isinstance(body, Token) and known.repeats(body, message.run))

    def _say(self, reply: Reply, *, paced: bool) -> Iterator[Step]:
        """Speak what has to be begun by now, and the end of the reply behind its last clause; the rest waits."""
        finished = False
        try:
            while reply.due:
                begins_ns = self._begins_ns(reply) if paced else 0
                if begins_ns > self.runtime.now_ns():
                    self._wake(begins_ns)
                    break
                clause = reply.due.pop(0)
                if reply.revived:  # a former life may have died of it: there is no third time
                    reply.revived = False
                    self.runtime.keep()
                yield from self._speak(reply, clause)
                self.runtime.keep()
            if reply.complete and not reply.due:
                silent = "" if reply.start else NO_SOUND if reply.begun else NOTHING_TO_SAY
                yield self._out(reply, Spoken(last=True, cause=reply.cause or silent))
                reply.over = True
            finished = True
        finally:
            if not finished and self._replies.get(reply.session) is reply:  # interrupted: of this reply nothing more is said
                del self._replies[reply.session]
            self.runtime.keep()  # before the message counts as done

    def _begins_ns(self, reply: Reply) -> int:
        """When the next clause has to be begun; as long as there is time for that, it grows to the end of its sentence."""
        due, speaking = reply.due, len(self._waiting())

        def begins_ns(clause: str) -> int:
            return self._pacing.begins_ns(self._clauses.length(clause), reply.runs_out_ns, speaking)

        while len(due) > 1 and self._clauses.goes_together(*due[:2]) and begins_ns("".join(due[:2])) > self.runtime.now_ns():
            due[:2] = ["".join(due[:2])]
        return begins_ns(due[0])

    def _unless_stale(self, reply: Reply, steps: Iterator[Step]) -> Iterator[Step]:
        """The steps of a reply that is not that of the message in hand, up to its interruption."""
        with closing(steps):  # type: ignore[type-var]
            for step in steps:
                if self.runtime.stale(reply.session, reply.turn, reply.revision):
                    return
                yield step

    def _wake(self, at_ns: int) -> None:
        self.due_ns = min(self.due_ns or at_ns, at_ns)

    def _out(self, reply: Reply, body: AudioFrame | Spoken, payload: bytes = b"") -> Outgoing:
        turn, revision = reply.turn, reply.revision
        return self.audio(body, payload, session=reply.session, turn=turn, revision=revision, origin_ns=reply.origin_ns)

    def _speak(self, reply: Reply, clause: str) -> Iterator[Step]:
        text = self._speakable(clause)
        if not text:
            return
        if not reply.begun:
            reply.begun = True
            self.mark(marks.FIRST_CLAUSE, session=reply.session, turn=reply.turn, revision=reply.revision, text=text)
        before, began_ns = reply.start, self.runtime.now_ns()
        spoken = f"{text}," if self._clauses.goes_on(clause) else text  # a voice falls at the end of its text
        try:
            for pcm in self._frames(spoken, self._pause_ms(clause)):
                if pcm is None:
                    yield None
                else:
                    yield self._out(reply, AudioFrame(self.config.sample_rate, reply.start), pcm)
                    reply.sent(len(pcm) // 2, self.config.sample_rate, self.runtime.now_ns())
        except EngineFailed as error:  # the turn must end all the same
            self.runtime.warn(f"could not speak '{text}': {error}")
        else:
            if reply.start == before:
                self.runtime.warn(f"could not speak '{text}': the engine made no sound")
            else:
                self._pacing.learn(self._clauses.length(clause), self.runtime.now_ns() - began_ns)
        yield self._out(reply, Spoken(text, reply.start - before))

    def _frames(self, text: str, pause_ms: int) -> Iterator[bytes | None]:
        assert self._background is not None
        cutter = self._pcm.FrameCutter(self.voice.sample_rate, self.config.sample_rate, self.config.frame_ms)
        with closing(self._background.run(self.voice.synthesise(text))) as blocks:
            for block in blocks:
                if block is None:
                    yield None
                else:
                    yield from cutter.add(block)
        yield from cutter.end(pause_ms)

    def _pause_ms(self, clause: str) -> int:
        if self._clauses.ends_sentence(clause):
            return SENTENCE_PAUSE_MS
        return CLAUSE_PAUSE_MS if self._clauses.ends_softly(clause) else 0
