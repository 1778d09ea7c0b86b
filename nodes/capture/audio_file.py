"""Reading sound from a file, block by block, by whichever library knows the format.

soundfile reads WAV, FLAC, OGG and MP3 at little cost; PyAV (the libraries of FFmpeg) reads nearly all the rest, the
sound track of a film too, and is loaded only for those.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from graph.errors import NodeError

BLOCK_SAMPLES = 16_384  # per channel: a fraction of a second, so that a long file is never in memory as a whole


class AudioFile(Protocol):
    """An open file of sound."""

    sample_rate: int  # Hz

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """All its sound, once: mono (the mean of its channels), -1 to 1, in arrays of shape [n].

        :raises NodeError: the file breaks off or is damaged.
        """

    def close(self) -> None: ...


def open_audio(path: Path) -> AudioFile:
    """Open a file of sound.

    :raises NodeError: there is no such file, or it cannot be read, or it holds no sound.
    """
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise unreadable(path, "the file is empty")
    except FileNotFoundError as error:
        raise unreadable(path, "no such file") from error
    except OSError as error:
        raise unreadable(path, (error.strerror or str(error)).lower()) from error
    try:
        return _SoundFile(path)
    except soundfile.LibsndfileError:
        return _AvFile(path)


def unreadable(path: Path, reason: str) -> NodeError:
    return NodeError(f"cannot read audio file '{path}': {reason}")


class _SoundFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = soundfile.SoundFile(path)
        self.sample_rate: int = self._file.samplerate
        if not self._file.frames:
            self.close()
            raise unreadable(path, "it holds no sound")

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        try:
            for block in self._file.blocks(BLOCK_SAMPLES, dtype="float32", always_2d=True):
                yield block.mean(axis=1)
        except soundfile.LibsndfileError as error:
            raise unreadable(self._path, f"damaged after {self._file.tell() / self.sample_rate:.1f} s: {error}") from error

    def close(self) -> None:
        self._file.close()


class _AvFile:
    def __init__(self, path: Path) -> None:
        import av

        self._path = path
        self._errors = av.FFmpegError
        try:
            self._container = av.open(str(path))
        except av.FFmpegError as error:
            raise unreadable(path, "not a sound file, or of an unknown format") from error
        streams = self._container.streams.audio
        if not streams or not streams[0].rate:
            self.close()
            raise unreadable(path, "it holds no sound")
        self._stream = streams[0]
        self.sample_rate: int = self._stream.rate
        self._to_float = av.AudioResampler(format="fltp", rate=self.sample_rate)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        decoded_s = 0.0
        try:
            for frame in self._container.decode(self._stream):
                for converted in self._to_float.resample(frame):
                    decoded_s += converted.samples / self.sample_rate
                    yield converted.to_ndarray().mean(axis=0, dtype=np.float32)
        except self._errors as error:
            raise unreadable(self._path, f"damaged after {decoded_s:.1f} s: {error}") from error

    def close(self) -> None:
        self._container.close()
