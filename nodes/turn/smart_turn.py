"""Smart Turn: asks a small model of prosody, in each pause, whether the user has finished."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from graph.errors import NodeError
from graph.message import Message
from graph.models import locate
from graph.node import NodeConfig, Runtime, Step
from nodes.kinds import AudioFrame
from nodes.marks import LAST_SPOKEN_SAMPLE, TURN_CONFIRMED
from nodes.turn.base import TurnConfirmed, TurnNode, TurnPending, Utterance
from nodes.turn.taking import Ask, Confirm, TurnTaking
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted

if TYPE_CHECKING:
    from nodes.turn.judge import Judge
    from nodes.turn.recent_audio import RecentAudio
    from nodes.vad.segmenter import SpeechEvent

SAMPLE_RATE_HZ = 16_000
TAIL_MS = 200  # of the pause goes with the utterance: words fade out
SESSIONS_REMEMBERED = 200


class SmartTurnConfig(NodeConfig):
    model: str = Field("smart-turn-v3", description="catalogue name, a folder with one .onnx file, or that file")
    threshold: float = Field(0.5, gt=0, lt=1, description="probability from which the judge is believed")
    ask_at_ms: tuple[Annotated[int, Field(ge=32)], ...] = Field(
        (200, 400, 800), min_length=1, description="silences at which the judge is asked in a pause"
    )
    max_silence_ms: int = Field(2000, ge=200, le=20_000, description="silence that ends the turn whatever the judge holds")
    max_turn_s: float = Field(60, ge=5, le=600, description="audio kept of a turn; of a longer one the beginning is lost")


class _Session:
    def __init__(self, config: SmartTurnConfig, audio: RecentAudio) -> None:
        self.taking = TurnTaking(tuple(sorted(config.ask_at_ms)), config.max_silence_ms)
        self.audio = audio
        self.waiting: deque[SpeechEvent] = deque()  # for audio that has not come yet


class SmartTurn(TurnNode):
    """Confirms a turn when it sounds complete, or when the silence grows too long.

    Audio and speech events come from two processes in any order: an event waits until the audio it speaks of is there, so the
    same audio gives the same turns at any pace.
    """

    Config = SmartTurnConfig
    config: SmartTurnConfig

    def __init__(self, config: SmartTurnConfig, runtime: Runtime) -> None:
        super().__init__(config, runtime)
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    @classmethod
    def models(cls, config: SmartTurnConfig) -> Sequence[str]:
        return (config.model,)

    def setup(self) -> None:
        path = locate(self.config.model)
        files = [path] if path.is_file() else sorted(path.glob("*.onnx"))
        if len(files) != 1:
            raise NodeError(f"{len(files)} .onnx files in {path}: `model` must name one Smart Turn model")
        self.runtime.status(f"loading {self.config.model}")
        try:
            import numpy as np

            from nodes.turn.judge import SmartTurnJudge
            from nodes.turn.recent_audio import RecentAudio
        except ImportError as error:
            raise self.missing(error.name or "a library") from error
        self._recent_audio = RecentAudio
        self.judge: Judge = SmartTurnJudge(files[0])
        self.judge(np.zeros(SAMPLE_RATE_HZ, np.int16))  # the first run allocates and takes longer

    def on_audio(self, message: Message[AudioFrame]) -> Iterator[Step]:
        session = self._session(message.session)
        session.audio.add(message)
        yield from self._proceed(message.session, session)

    def on_speech(self, message: Message[SpeechStarted | SpeechPaused | SpeechEnded]) -> Iterator[Step]:
        session = self._session(message.session)
        session.waiting.append(message.body)
        yield from self._proceed(message.session, session)

    def drain(self) -> Iterator[Step]:
        for name, session in self._sessions.items():
            yield from self._proceed(name, session, audio_ended=True)

    def _proceed(self, name: str, session: _Session, audio_ended: bool = False) -> Iterator[Step]:
        """Take the events whose audio is there, in their order."""
        while session.waiting and (audio_ended or _audio_needed(session.waiting[0]) <= session.audio.end):
            decision = session.taking.hear(session.waiting.popleft())
            if isinstance(decision, Ask):
                yield from self._ask(name, session, decision)
            elif isinstance(decision, Confirm):
                yield from self._confirm(name, session, decision, self._judged(session, decision.silence_ms))

    def _ask(self, name: str, session: _Session, ask: Ask) -> Iterator[Step]:
        probability = self._judged(session, ask.silence_ms)
        if probability >= self.config.threshold:
            yield from self._confirm(name, session, Confirm("judge", ask.silence_ms), probability)
        else:
            taking = session.taking
            pending = TurnPending(probability, ask.silence_ms)
            yield self.turn(pending, session=name, turn=taking.turn, revision=taking.revision)

    def _judged(self, session: _Session, silence_ms: int) -> float:
        taking = session.taking
        assert taking.begin is not None
        return self.judge(session.audio.samples(taking.begin, taking.speech_end + _samples(silence_ms)))

    def _confirm(self, name: str, session: _Session, confirm: Confirm, probability: float) -> Iterator[Step]:
        taking, audio = session.taking, session.audio
        assert taking.begin is not None
        silence_ms, turn, revision = confirm.silence_ms, taking.turn, taking.revision
        heard_to = taking.speech_end + _samples(silence_ms)
        begin = max(taking.begin, audio.begin)
        if begin > taking.begin:
            self.runtime.warn(f"turn {turn} is longer than {self.config.max_turn_s:g} s: its beginning is not transcribed")
        spoken = audio.last_loud(begin, heard_to)
        at_ns = audio.spoken_at_ns(taking.speech_end - 1 if spoken is None else spoken)
        self.mark(
            LAST_SPOKEN_SAMPLE, at_ns=at_ns or self.runtime.now_ns(), zero=True, session=name, turn=turn, revision=revision
        )
        self.mark(
            TURN_CONFIRMED,
            session=name,
            turn=turn,
            revision=revision,
            probability=round(probability, 4),
            silence_ms=silence_ms,
            reason=confirm.reason,
        )
        payload = audio.samples(begin, min(heard_to, taking.speech_end + _samples(TAIL_MS))).tobytes()
        taking.confirmed()
        yield self.turn(TurnConfirmed(probability, silence_ms, confirm.reason), session=name, turn=turn, revision=revision)
        yield self.utterance(Utterance(begin, SAMPLE_RATE_HZ), payload, session=name, turn=turn, revision=revision)

    def _session(self, name: str) -> _Session:
        session = self._sessions.get(name)
        if session is None:
            session = self._sessions[name] = _Session(self.config, self._recent_audio(self.config.max_turn_s, SAMPLE_RATE_HZ))
            if len(self._sessions) > SESSIONS_REMEMBERED:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(name)
        return session


def _samples(ms: int) -> int:
    return ms * SAMPLE_RATE_HZ // 1000


def _audio_needed(event: SpeechEvent) -> int:
    """The first sample after what an event speaks of."""
    return event.at if isinstance(event, SpeechStarted) else event.at + _samples(event.silence_ms)
