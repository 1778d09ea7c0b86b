"""Smart Turn: asks a small model of prosody, in each pause, whether the user has finished."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from pydantic import Field

from graph.message import Message
from graph.node import NodeConfig, Step
from nodes.causes import NOT_HEARD, NOTHING_TO_SAY, QUIET
from nodes.kinds import AudioFrame, Played, ReplyBegins, Text, TranscriptFinal
from nodes.marks import LAST_SPOKEN_SAMPLE, SPEECH_DISMISSED, TURN_CONFIRMED, TURN_FAILED
from nodes.model_file import model_file
from nodes.sessions import Sessions
from nodes.speech_audio import SAMPLE_RATE_HZ, fault
from nodes.turn.backchannel import meant, own_list
from nodes.turn.base import Interrupt, TurnConfirmed, TurnDismissed, TurnFailed, TurnNode, TurnOnTrial, TurnPending, Utterance
from nodes.turn.taking import Confirm, Decision, Dismiss, GoAhead, Hold, Pend, Rules, Try, Withdraw
from nodes.turn.trial import BargeIn, BargeInRules
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted

if TYPE_CHECKING:
    from nodes.turn.judge import Judge
    from nodes.turn.session import Session, Spoken

SESSIONS_REMEMBERED = 100  # at up to 3 MB with the default length of a turn


class _About(TypedDict):
    """Which turn a message belongs to."""

    session: str
    turn: int
    revision: int
    origin_ns: int


def _about(name: str, session: Session) -> _About:
    return {
        "session": name,
        "turn": session.taking.turn,
        "revision": session.taking.revision,
        "origin_ns": session.origin_ns,
    }


class SmartTurnConfig(NodeConfig):
    """Parameters of turn.smart_turn. The defaults were measured: docs/decisions/0010-asking-the-judge.md."""

    model: str = Field("smart-turn-v3", description="a catalogue name, a folder with one .onnx file, or that file")
    threshold: float = Field(0.7, gt=0, lt=1, description="probability from which the judge is believed")
    ask_at_ms: tuple[Annotated[int, Field(ge=32)], ...] = Field(
        (320, 480, 640, 800, 1000, 1400), min_length=1, description="silences at which the judge is asked in a pause"
    )
    confirm_from_ms: int = Field(400, ge=0, le=20_000, description="silence before which no yes of the judge ends the turn")
    max_silence_ms: int = Field(2000, ge=200, le=20_000, description="silence that ends the turn whatever the judge holds")
    go_ahead_ms: int = Field(
        32,
        ge=0,
        le=20_000,
        description="silence after which what was said goes ahead, unheard until it is confirmed; 0: never; needs `played`",
    )
    barge_in: BargeIn = Field(
        "confirmed",
        description="what interrupts a reply: off, nothing; immediate, speech of barge_in_ms; confirmed, words. Needs `played`,"
        " and confirmed `words`, without which it is as immediate",
    )
    barge_in_ms: int = Field(400, ge=0, le=20_000, description="speech that interrupts a reply where its words are not known")
    long_speech_ms: int = Field(
        1500, ge=0, le=20_000, description="speech that interrupts a reply before its words are known; barge_in: confirmed"
    )
    words_within_ms: int = Field(
        1500, ge=200, le=20_000, description="silence after which barge_in_ms decides if the words have not come"
    )
    min_words: int = Field(1, ge=1, le=20, description="that interrupt a reply, those of `backchannel` not counted")
    backchannel: tuple[str, ...] | None = Field(
        None, description="what interrupts nothing, such as [okay, i see]; unset: a list of the language that is spoken"
    )
    reply_within_s: float = Field(
        20,
        ge=0,
        le=600,
        description="from the end of a turn until its reply is heard, or the turn has failed; 0: any time; needs `played`",
    )
    vad_within_s: float = Field(
        5,
        ge=0,
        le=600,
        description="in an open turn, without a word from the VAD though nothing loud is heard: it hangs, and the turn ends"
        " without it; or after max_turn_s, whatever is heard; 0: never",
    )
    apology: str = Field(
        "", description='what is said where a turn has failed, such as "Sorry, that did not work."; empty: nothing'
    )
    max_turn_s: int = Field(60, ge=5, le=600, description="of a longer turn the beginning is lost")


class SmartTurn(TurnNode):
    """Confirms a turn when it sounds complete, or when the silence grows too long.

    Audio and speech events come from two processes in any order; the same audio gives the same turns at any pace.
    """

    Config = SmartTurnConfig
    config: SmartTurnConfig

    judge: Judge  # a test may put another in the place of the model
    _sessions: Sessions[Session]
    _warned = False

    @classmethod
    def models(cls, config: SmartTurnConfig) -> Sequence[str]:
        """The model's catalogue name or path."""
        return (config.model,)

    def setup(self) -> None:
        """:raises VoicegraphError: the model is not here or cannot be loaded, or a library is missing."""
        config = self.config
        file = model_file(config.model, ".onnx")
        self.runtime.status(f"loading {config.model}")
        try:
            from nodes.turn.judge import SmartTurnJudge
            from nodes.turn.session import Session
        except ImportError as error:
            raise self.missing((error.name or "a library").partition(".")[0]) from error
        self.judge = SmartTurnJudge(file)
        told = self.runtime.connected("played")
        how = "immediate" if config.barge_in == "confirmed" and not self.runtime.connected("words") else config.barge_in
        barge_in = BargeInRules(how, config.barge_in_ms, config.long_speech_ms, config.words_within_ms)
        go_ahead_ms = config.go_ahead_ms if told else 0
        rules = Rules(
            config.ask_at_ms, config.threshold, config.max_silence_ms, go_ahead_ms, barge_in, told, config.confirm_from_ms
        )
        self._sessions = Sessions(lambda: Session(rules, self.judge, config.max_turn_s * 1000), SESSIONS_REMEMBERED)

    def in_turn(self) -> Collection[str]:
        """A turn that the user has begun is judged by whoever heard its beginning."""
        return [name for name, session in self._sessions.items() if session.open]

    def snapshot(self) -> dict[str, Any]:
        """The count of turns goes on, and what was just heard may belong to the next one."""
        return {name: session.snapshot() for name, session in self._sessions.items()}

    def restore(self, state: dict[str, Any]) -> None:
        for name, known in state.items():
            self._sessions.of(name).restore(known)
        self.runtime.keep()

    def on_audio(self, message: Message[AudioFrame]) -> Iterator[Step]:
        """Keep a frame; one that is not 16 kHz s16 is left out, and said so once a session."""
        session = self._sessions.of(message.session)
        if unfit := fault(message):
            if not session.warned:
                self.runtime.warn(f"audio of session '{message.session}' is not heard: {unfit}")
            session.warned = True
            return
        yield from self._hear(
            message.session, session, session.hear_audio(message.payload, message.body.start, message.origin_ns)
        )

    def on_speech(self, message: Message[SpeechStarted | SpeechPaused | SpeechEnded]) -> Iterator[Step]:
        """Decide, or wait for the audio that the event speaks of."""
        session = self._sessions.of(message.session)
        yield from self._hear(message.session, session, session.hear_event(message.body, message.origin_ns))
        session.told_ns = self.runtime.now_ns()
        self._listen(session, self.config.vad_within_s)

    def on_played(self, message: Message[ReplyBegins | Played]) -> Iterator[Step]:
        """The reply to a turn is heard: the turn is over for good, or it has failed."""
        session, body = self._sessions.of(message.session), message.body
        taking = session.taking
        if message.turn == session.sorry_for:
            session.sorry_for = 0
        if isinstance(body, Played):
            taking.reply_ends(message.turn)
            cause = body.cause or ("" if body.samples or body.interrupted else NOTHING_TO_SAY)
            if cause and message.turn:
                yield from self._fail(message.session, session, message.turn, message.revision, cause)
        elif not taking.reply_begins(message.turn, message.revision) and not self._warned:
            self._warned = True
            self.runtime.warn(
                "a reply was heard before the turn was confirmed: connect the sink's input `turn`, or set go_ahead_ms to 0"
            )

    def on_words(self, message: Message[TranscriptFinal]) -> Iterator[Step]:
        """What was said while a reply is heard: the words decide whether it goes on."""
        session, body = self._sessions.of(message.session), message.body
        listening = own_list(self.config.backchannel, body.language)
        decisions = session.taking.said(message.turn, message.revision, meant(body.text, listening) >= self.config.min_words)
        yield from self._tell(message.session, session, iter(decisions), body.text)

    def on_due(self) -> Iterator[Step]:
        """Give up the replies that did not come in time, and VADs that tell nothing any more."""
        now_ns = self.runtime.now_ns()
        for name, session in self._sessions.items():
            taking = session.taking
            if 0 < session.listens_until_ns <= now_ns:
                yield from self._without_vad(name, session, (now_ns - session.told_ns) / 1e9)
            if session.due_ns and session.due_ns <= now_ns:
                session.due_ns = 0
                if taking.waits:
                    cause = f"{NOT_HEARD} within {self.config.reply_within_s:g} s"
                    yield from self._fail(name, session, taking.turn, taking.revision, cause)
        due = (ns for session in self._sessions.values() for ns in (session.due_ns, session.listens_until_ns) if ns)
        self.due_ns = min(due, default=0)

    def _listen(self, session: Session, seconds: float) -> None:
        """Look after so long whether the VAD still tells what is heard in the open turn."""
        listens = session.taking.open and self.config.vad_within_s
        session.listens_until_ns = self.runtime.now_ns() + round(seconds * 1e9) if listens else 0
        self.due_ns = min(filter(None, (self.due_ns, session.listens_until_ns)), default=0)

    def _without_vad(self, name: str, session: Session, silent_s: float) -> Iterator[Step]:
        patient = silent_s < self.config.max_turn_s
        yield from self._tell(name, session, session.without_vad(round(self.config.vad_within_s * 1000) if patient else 0))
        if not session.taking.open:
            told = f"the VAD has told nothing for {silent_s:.0f} s"
            self.runtime.warn(f"turn {session.taking.turn} of session '{name}' is ended without it: {told}")
        self._listen(session, 1)

    def drain(self) -> Iterator[Step]:
        """Confirm the turns that are still open."""
        for name, session in self._sessions.items():
            yield from self._tell(name, session, session.finish())

    def _hear(self, name: str, session: Session, decisions: Iterator[Decision]) -> Iterator[Step]:
        turn = session.taking.turn
        yield from self._tell(name, session, decisions)
        if session.taking.turn > turn:
            self.runtime.keep()  # a next life that counted anew would be behind what all others were told
            if session.sorry_for:  # it is too late for that, where the voice has only died
                session.sorry_for = 0
                yield self.interrupt(Interrupt("goes on"), **_about(name, session))
        yield from self._forget()

    def _forget(self) -> Iterator[Step]:
        for name, session in self._sessions.surplus():
            yield from self._tell(name, session, session.finish())

    def _tell(self, name: str, session: Session, decisions: Iterator[Decision], words: str = "") -> Iterator[Step]:
        for decision in decisions:
            taking, about = session.taking, _about(name, session)
            if isinstance(decision, Confirm):
                yield from self._confirm(name, session, decision)
            elif isinstance(decision, GoAhead | Try):
                yield from self._say(name, session, session.spoken(), on_trial=isinstance(decision, Try))
            elif isinstance(decision, Withdraw):
                yield self.interrupt(Interrupt(decision.reason), **about)
            elif isinstance(decision, Pend):
                yield self.turn(TurnPending(decision.probability, taking.silence_ms), **about)
            elif isinstance(decision, Hold):
                yield self.turn(TurnOnTrial(), **about)
            elif isinstance(decision, Dismiss):
                self.mark(
                    SPEECH_DISMISSED,
                    session=name,
                    turn=taking.turn,
                    revision=taking.revision,
                    text=words,
                    spoken_ms=decision.spoken_ms,
                )
                yield self.turn(TurnDismissed(), **about)

    def _fail(self, name: str, session: Session, turn: int, revision: int, cause: str) -> Iterator[Step]:
        """A turn ends without (all of) its reply. Of what was withdrawn, and of apologies, that is no news."""
        taking = session.taking
        if turn == session.failed or (turn == taking.turn and revision < taking.revision):
            return
        session.failed = turn
        self.mark(TURN_FAILED, session=name, turn=turn, revision=revision, cause=cause)
        decisions = taking.fails(turn, revision)
        yield from self._tell(name, session, iter(decisions))
        if decisions:
            about = _about(name, session)
            yield self.turn(TurnFailed(cause), **about)
            if self.config.apology and cause not in QUIET:
                session.sorry_for = turn
                yield self.apology(Text(self.config.apology), **about)

    def _say(self, name: str, session: Session, spoken: Spoken | None, on_trial: bool = False) -> Iterator[Step]:
        if spoken is not None:
            utterance = Utterance(spoken.begin, SAMPLE_RATE_HZ, on_trial)
            yield self.utterance(utterance, spoken.payload, **_about(name, session))

    def _confirm(self, name: str, session: Session, confirm: Confirm) -> Iterator[Step]:
        taking, origin_ns = session.taking, session.origin_ns
        turn, revision, silence_ms = taking.turn, taking.revision, taking.silence_ms
        spoken = session.spoken()
        if spoken is None:
            self.runtime.warn(f"turn {turn} of session '{name}' is dropped: its audio never came")
            return
        if spoken.lost:
            self.runtime.warn(f"turn {turn} of session '{name}' lost its first {spoken.lost / SAMPLE_RATE_HZ:.1f} s")
        self.mark(LAST_SPOKEN_SAMPLE, at_ns=spoken.last_loud_ns, zero=True, session=name, turn=turn, revision=revision)
        self.mark(
            TURN_CONFIRMED,
            session=name,
            turn=turn,
            revision=revision,
            probability=round(confirm.probability, 4),
            silence_ms=silence_ms,
            reason=confirm.reason,
            went_ahead=confirm.went_ahead,
            withdrawn=taking.withdrawn,
        )
        confirmed = TurnConfirmed(confirm.probability, silence_ms, confirm.reason)
        yield self.turn(confirmed, session=name, turn=turn, revision=revision, origin_ns=origin_ns)
        if session.taking.waits and self.config.reply_within_s:
            session.due_ns = self.runtime.now_ns() + round(self.config.reply_within_s * 1e9)
            self.due_ns = min(filter(None, (self.due_ns, session.due_ns)))
        if not confirm.went_ahead:
            yield from self._say(name, session, spoken)
