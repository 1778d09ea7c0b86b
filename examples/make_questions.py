"""Make examples/audio/questions.wav: three spoken questions with pauses between them, and questions.txt beside it.

    graph models pull kokoro-82m
    python examples/make_questions.py [folder]

The speech is Kokoro's, so the recording is free to share and anyone can make it again. The file is 16 kHz mono s16.
Behind the voices lies a very low noise floor instead of digital zero, as behind every microphone. The questions were
chosen so that Whisper base hears every word of them, also from 8 kHz 8-bit sound, and a 135M model answers them
sensibly; the second one holds a natural pause of 0.17 s, which does not end a turn.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile
import soxr
from kokoro_onnx import Kokoro

from graph.models import locate

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
PEAK = 0.6  # of full scale, about -4.4 dBFS: speech close to a microphone
NOISE_RMS = 0.0003  # of full scale, about -70 dBFS: a quiet room
LEAD_IN_S = 0.8
PAUSE_S = 8.5  # a short sentence from Kokoro on two cores starts after about 3 s and has mostly ended by then
TAIL_S = 1.0


class Question(NamedTuple):
    voice: str
    text: str


QUESTIONS = (
    Question("am_michael", "How many days are there in a week?"),
    Question("af_sarah", "If it rains tomorrow, what should I wear?"),
    Question("bf_emma", "What is the largest animal in the ocean?"),
)


def load_kokoro(voices: set[str]) -> Kokoro:
    """Kokoro with these voices, from the model store.

    :raises ModelError: the model is not in the store.
    """
    folder = locate("kokoro-82m")
    styles = {voice: np.fromfile(folder / "voices" / f"{voice}.bin", np.float32).reshape(-1, 1, 256) for voice in voices}
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "voices.npz"
        np.savez(archive, **styles)
        kokoro = Kokoro(str(next(folder.glob("*.onnx"))), str(archive))
        kokoro.voices = dict(kokoro.voices)  # read the lazy archive before its folder goes
        return kokoro


def say(kokoro: Kokoro, question: Question) -> NDArray[np.float32]:
    """The question as 16 kHz samples between -PEAK and PEAK."""
    language = "en-gb" if question.voice.startswith("b") else "en-us"
    speech, rate = kokoro.create(question.text, voice=question.voice, lang=language)
    speech = soxr.resample(speech, rate, SAMPLE_RATE_HZ)
    return speech * (PEAK / np.abs(speech).max())


def record() -> NDArray[np.float32]:
    """The whole recording, -1 to 1."""
    kokoro = load_kokoro({question.voice for question in QUESTIONS})
    parts = [silence(LEAD_IN_S)]
    for question in QUESTIONS:
        parts += [say(kokoro, question), silence(PAUSE_S)]
    parts[-1] = silence(TAIL_S)
    recording = np.concatenate(parts)
    noise = np.random.default_rng(seed=0).standard_normal(len(recording), np.float32) * NOISE_RMS
    return recording + noise


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / "questions.wav", record(), SAMPLE_RATE_HZ, subtype="PCM_16")
    (folder / "questions.txt").write_text("".join(f"{question.text}\n" for question in QUESTIONS), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "audio")
