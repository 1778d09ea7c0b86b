"""Whisper through CTranslate2: the default transcriber."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from graph.errors import NodeError
from graph.message import Message
from graph.models import locate
from graph.node import Input, NodeConfig, Output, Step
from nodes import marks
from nodes.kinds import AudioFrame, TranscriptFinal, TranscriptPartial
from nodes.speech_audio import fault
from nodes.spent import Spent
from nodes.stt.base import SttNode
from nodes.stt.doubt import Limits
from nodes.turn.base import Utterance
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted

if TYPE_CHECKING:
    from nodes.stt.partials import Partials
    from nodes.stt.transcriber import Transcriber

# The sizes by their usual short names, as in faster_whisper.utils (a test compares them): those of the catalogue by their
# names there, the others by hub id.
_SIZES = {
    **{size: f"whisper-{size}" for size in ("base", "tiny.en")},
    **{
        size: f"Systran/faster-whisper-{size}"
        for size in ("tiny", "base.en", "small", "small.en", "medium", "medium.en", "large-v1", "large-v2", "large-v3")
    },
    **{f"distil-{size}": f"Systran/faster-distil-whisper-{size}" for size in ("small.en", "medium.en", "large-v2", "large-v3")},
    "large": "Systran/faster-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}

# With this in front Whisper writes a hum as one; without it, as nonsense that would interrupt (docs/decisions/0022).
HUMS = {"en": "Mm-hm. Mm-hmm. Uh-huh. Uh-huh. Hmm. Yeah. Okay. Right."}


class FasterWhisperConfig(NodeConfig):
    """Parameters of stt.faster_whisper."""

    model: str = Field("base", description="a size (base, small, large-v3 …), a catalogue name, a hub id or a folder")
    language: str | None = Field(
        None,
        pattern="^[a-z]{2,3}$",
        description="what is spoken (en, de, yue …); unset: detected each time, which takes time",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: cuda where there is one")
    compute_type: str = Field("int8", description="as CTranslate2 names them: int8, float32; cuda also float16, int8_float16")
    threads: int = Field(1, ge=1, le=64, description="one is enough for a short window")
    beam_size: int = Field(1, ge=1, le=10, description="hypotheses kept while decoding")
    window: Literal["fit"] | Annotated[float, Field(ge=8, le=30)] = Field(
        "fit",
        description="seconds of audio the encoder looks at, at least; fit: as many as the utterance needs; 30: always all",
    )
    prompt: str | None = Field(None, description="text before the utterance: names and spellings to expect, a style")
    trial_prompt: str | None = Field(
        None,
        description='the same, before an utterance on trial: a hum is then written as "Mm-hm.", not as nonsense;'
        " unset: the prompt, and hums where the language is en",
    )
    partials: bool = Field(
        False,
        description="tell on `partial` what is stable of what the user is saying; needs `audio` and `speaking`. Costs a"
        " transcription every partial_every_ms of speech, and the transcript waits for one that is under way; pays where an"
        " llm node hears it and turns are long",
    )
    partial_every_ms: int = Field(1000, ge=200, le=10_000, description="of speech, between two looks")
    no_speech_threshold: float = Field(
        0.5,
        ge=0,
        le=1,
        description="above this probability of silence the transcript is empty, unless its words are sure",
    )
    log_prob_threshold: float = Field(-1.0, le=0, description="mean log-probability of a token below which Whisper tries again")
    compression_ratio_threshold: float = Field(
        2.4, gt=0, description="a text that compresses better than this repeats itself: Whisper tries again, or it is dropped"
    )


class FasterWhisper(SttNode):
    """Transcribes utterances with Whisper, looking only at as much audio as there is.

    The transcript is empty where nothing intelligible was said, so that the turn can end all the same.
    """

    Config: ClassVar[type[NodeConfig]] = FasterWhisperConfig
    config: FasterWhisperConfig

    audio = Input(AudioFrame, required=False, doc="what the user says, for partials")
    speaking = Input(SpeechStarted, SpeechPaused, SpeechEnded, required=False, doc="from the VAD, for partials")
    partial = Output(
        TranscriptPartial,
        doc="the words that are stable so far, while the user speaks, e.g. for an llm node; of no turn yet",
    )

    _transcriber: Transcriber
    _partials: Partials | None = None

    @classmethod
    def models(cls, config: FasterWhisperConfig) -> tuple[str, ...]:
        """The model's path, catalogue name or hub id."""
        return (config.model if Path(config.model).exists() else _SIZES.get(config.model, config.model),)

    def setup(self) -> None:
        """:raises VoicegraphError: the model is not here or cannot be loaded so, or does not know the language."""
        try:
            from nodes.stt import fitted_whisper, transcriber, trials
        except ImportError as error:
            raise self.missing("faster_whisper") from error
        config = self.config
        (reference,) = self.models(config)
        folder = locate(reference)
        missing = [name for name in ("model.bin", "tokenizer.json") if not (folder / name).is_file()]
        if missing:
            raise NodeError(f"{folder} is not a Whisper model converted for CTranslate2: it has no {' and no '.join(missing)}")
        self.runtime.status(f"loading {reference}")
        try:
            whisper = fitted_whisper.FittedWhisper(
                str(folder), device=config.device, compute_type=config.compute_type, cpu_threads=config.threads
            )
        except (RuntimeError, ValueError) as error:  # CTranslate2's: no such device, no such compute type, a broken file
            how = f"device {config.device}, compute_type {config.compute_type}"
            raise NodeError(f"model '{reference}' cannot be loaded ({how}): {error}") from error
        if config.language and config.language not in whisper.supported_languages:
            raise NodeError(
                f"model '{reference}' does not know language '{config.language}', only {', '.join(whisper.supported_languages)}"
            )
        options = fitted_whisper.Options(
            limits=Limits(config.no_speech_threshold, config.log_prob_threshold, config.compression_ratio_threshold),
            language=config.language,
            beam_size=config.beam_size,
            prompt=config.prompt,
        )
        shortest_s = fitted_whisper.MIN_WINDOW_S if config.window == "fit" else config.window
        self._transcriber = transcriber.Transcriber(whisper, options, shortest_s)
        self._transcriber.warm_up()
        self._trial_prompt = _trial_prompt(config)
        self._spent_ms = Spent()
        if config.partials:
            self._follow()
        self._trials: trials.Trials[transcriber.Heard] = trials.Trials()

    def _follow(self) -> None:
        from nodes.stt.partials import Partials

        missing = [f"`{name}`" for name in ("audio", "speaking") if not self.runtime.connected(name)]
        if missing:
            self.runtime.warn(f"there are no partial transcripts: connect {' and '.join(missing)}")
        self._partials = Partials(self._transcriber.transcribe, self.config.partial_every_ms)

    def on_speaking(self, message: Message[SpeechStarted | SpeechPaused | SpeechEnded]) -> None:
        if self._partials is not None:
            self._partials.speech(message.session, message.body)

    def on_audio(self, message: Message[AudioFrame]) -> Iterator[Step]:
        """Look at what is said so far, now and then; frames that are not 16 kHz s16 are left out."""
        if self._partials is None or fault(message):
            return
        stable = yield from self._partials.audio(message.session, message.payload, message.body.start)
        if stable is not None:
            yield self.partial(TranscriptPartial(stable.text, stable.language))

    def on_speech(self, message: Message[Utterance]) -> Iterator[Step]:
        """Transcribe an utterance; between a first and a second look at it there may be an interruption.

        :raises NodeError: the audio is not at 16 kHz.
        """
        utterance = message.body
        if utterance.sample_rate != 16_000:
            raise NodeError(f"stt.faster_whisper takes audio at 16000 Hz, not at {utterance.sample_rate}")
        heard = self._trials.take(message)
        if heard is None:
            began_ns = self.runtime.now_ns()
            try:
                heard = yield from self._transcriber.transcribe(
                    message.payload, self._trial_prompt if utterance.on_trial else None
                )
            finally:
                self._spent_ms.add(message, (self.runtime.now_ns() - began_ns) // 1_000_000)
        begin_ms = utterance.start * 1000 // utterance.sample_rate
        transcript = TranscriptFinal(
            text=heard.text,
            language=heard.language,
            confidence=heard.confidence,
            start_ms=begin_ms + heard.sound.start_ms,
            end_ms=begin_ms + heard.sound.end_ms,
        )
        if utterance.on_trial:
            self._trials.keep(message, heard)
            yield self.trial(transcript)
            return
        self.mark(
            marks.TRANSCRIPT,
            text=heard.text,
            confidence=round(heard.confidence, 3),
            window_s=round(heard.window_s, 1),
            doubt=heard.doubt,
            wasted_ms=self._spent_ms.in_vain(message),
        )
        yield self.text(transcript)


def _trial_prompt(config: FasterWhisperConfig) -> str | None:
    """What comes before an utterance on trial; None: what comes before any other."""
    if config.trial_prompt is not None:
        return config.trial_prompt
    return " ".join(filter(None, (config.prompt, HUMS.get(config.language or "")))) or None
