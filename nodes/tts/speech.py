"""What all voices do alike: gather tokens into clauses, have them spoken, send the frames."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from graph.message import Message
from graph.node import NodeConfig, Runtime, Step
from nodes import marks
from nodes.causes import NO_SOUND, NOTHING_TO_SAY
from nodes.gate import Gate
from nodes.kinds import AudioFrame, Text
from nodes.llm.base import Token
from nodes.tts.background import Background, EngineFailed
from nodes.tts.base import Sentence, Spoken, TtsNode
from nodes.tts.reply import Reply
from nodes.turn.base import Interrupt, TurnNews

if TYPE_CHECKING:
    from nodes.tts.clauses import Clauses
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
    """Base of the voices: a subclass says how its engine is loaded."""

    Config: ClassVar[type[NodeConfig]] = SpeechConfig
    config: SpeechConfig

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
            from nodes.tts import clauses, pcm, speakable
        except ImportError as error:
            raise self.missing(str(error.name)) from error
        self._clauses, self._pcm, self._speakable = clauses, pcm, speakable.speakable
        self.voice = self.load()
        self._background = Background(self.voice.abort)
        for _ in self.voice.synthesise("Hello."):
            pass

    def close(self) -> None:
        if self._background is not None:
            self._background.close()

    def in_turn(self) -> Collection[str]:
        """What waits for its turn to be confirmed is spoken by whoever has it."""
        return self._gate.waiting

    def snapshot(self) -> dict[str, Any]:
        """How far each reply was spoken, and what was confirmed: whoever comes after this voice, or process, goes on there."""
        replies = {name: reply.snapshot() for name, reply in self._replies.items()}
        confirmed = self._gate.snapshot()
        return {name: (replies.get(name), confirmed.get(name, (0, 0))) for name in replies | confirmed}

    def restore(self, state: dict[str, Any]) -> None:
        for name, (known, _) in state.items():
            if known is not None:
                self._replies[name] = Reply.restored(known, self._new_clauses())
        self._gate.restore({name: confirmed for name, (_, confirmed) in state.items()})
        self.runtime.keep()

    def on_interrupt(self, message: Message[Interrupt]) -> None:
        """Drop the text of older turns that was not spoken yet."""
        self._gate.withdraw(message.session, message.turn, message.revision)
        reply = self._replies.get(message.session)
        if reply is not None and reply.turn and (reply.turn, reply.revision) < (message.turn, message.revision):
            del self._replies[message.session]

    def on_turn(self, message: Message[TurnNews]) -> Iterator[Step]:
        """Speak what waited for this."""
        for waiting in self._gate.told(message):
            yield from self.on_text(waiting)

    def on_text(self, message: Message[Token | Sentence | Text]) -> Iterator[Step]:
        """Speak the clauses that this message completes, if it may be spoken."""
        if not self.runtime.connected("turn") or self._gate.passes(message):
            yield from self._say(message)

    def _say(self, message: Message[Token | Sentence | Text]) -> Iterator[Step]:
        body = message.body
        if isinstance(body, Text):  # stands for itself: no part of the reply that may be under way
            reply, last = Reply(message.turn, message.revision, self._new_clauses()), True
            reply.due = [*reply.clauses.feed(body.text), *reply.clauses.flush()]
        else:
            known, last = self._reply(message), body.last
            if known is None:
                return
            reply = known
            if isinstance(body, Sentence):
                reply.due += [*reply.clauses.flush(), body.text]
            else:
                reply.take(body, message.run)
        finished = False
        try:
            while reply.due:
                yield from self._speak(reply, reply.due[0])
                del reply.due[0]
                self.runtime.keep()
            if last:
                cause = body.cause if isinstance(body, Token) else ""
                silent = "" if reply.start else NO_SOUND if reply.begun else NOTHING_TO_SAY
                yield self.audio(Spoken(last=True, cause=cause or silent))
            finished = True
        finally:  # complete, or interrupted in the middle: of this reply nothing more is said
            reply.over = last
            if not finished and self._replies.get(message.session) is reply:
                del self._replies[message.session]
            self.runtime.keep()  # before the message counts as done

    def _new_clauses(self) -> Clauses:
        return self._clauses.Clauses(self.voice.language, hurry=self.config.hurry)

    def _reply(self, message: Message[Any]) -> Reply | None:
        """The reply that a message belongs to; None if that is over, or a newer turn's has begun. A new one takes the place of
        the old."""
        turn = (message.turn, message.revision)
        reply, body = self._replies.get(message.session), message.body
        if reply is not None and message.turn and turn < (reply.turn, reply.revision):
            return None
        if reply is not None and reply.over and turn == (reply.turn, reply.revision):
            if message.turn and isinstance(body, Token) and reply.repeats(body, message.run):
                return None
            reply = None
        if reply is None or turn != (reply.turn, reply.revision):
            reply = self._replies[message.session] = Reply(*turn, self._new_clauses())
            self._replies.move_to_end(message.session)
            if len(self._replies) > SESSIONS_REMEMBERED:
                self._replies.popitem(last=False)
        return reply

    def _speak(self, reply: Reply, clause: str) -> Iterator[Step]:
        text = self._speakable(clause)
        if not text:
            return
        if not reply.begun:
            reply.begun = True
            self.mark(marks.FIRST_CLAUSE, text=text)
        before = reply.start
        spoken = f"{text}," if self._clauses.goes_on(clause) else text  # a voice falls at the end of its text
        try:
            for pcm in self._frames(spoken, self._pause_ms(clause)):
                if pcm is None:
                    yield None
                else:
                    yield self.audio(AudioFrame(self.config.sample_rate, reply.start), pcm)
                    reply.start += len(pcm) // 2
        except EngineFailed as error:  # the turn must end all the same
            self.runtime.warn(f"could not speak '{text}': {error}")
        else:
            if reply.start == before:
                self.runtime.warn(f"could not speak '{text}': the engine made no sound")
        yield self.audio(Spoken(text, reply.start - before))

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
