"""A file as the user: what it holds is spoken into the graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from graph.message import DEFAULT_SESSION
from graph.node import NodeConfig, Runtime, Step, Until
from nodes.capture.base import SAMPLE_RATE_HZ, CaptureNode
from nodes.kinds import AudioFrame

if TYPE_CHECKING:
    from nodes.capture.audio_file import AudioFile


class FileCaptureConfig(NodeConfig):
    path: Path = Field(description="any file soundfile or PyAV reads, of any rate and any number of channels")
    frame_ms: Literal[20, 32] = Field(32, description="length of a frame; 32 ms is what Silero VAD looks at")
    pace: Literal["realtime", "fast"] = Field(
        "realtime",
        description="realtime: a frame exists once its last sample was spoken; fast: as soon as the links take it "
        "(use queue links then: a stream drops what its readers are too slow for)",
    )
    silence_ms: int = Field(3000, ge=0, description="silence after the last sample, in which the last turn can end")
    session: str = Field(DEFAULT_SESSION, min_length=1, description="whose voice it is")


class FileCapture(CaptureNode):
    """Speaks an audio file into the graph."""

    Config = FileCaptureConfig
    config: FileCaptureConfig

    _file: AudioFile
    _stopped = False

    def __init__(self, config: FileCaptureConfig, runtime: Runtime) -> None:
        super().__init__(config, runtime)
        self._open = ExitStack()

    def setup(self) -> None:
        """:raises NodeError: the file is missing, cannot be read or holds no sound."""
        try:
            from nodes.capture.audio_file import open_audio
            from nodes.capture.framing import Framer

            self._file = self._open.enter_context(closing(open_audio(self.config.path)))
        except ImportError as error:
            raise self.missing(error.name or "soundfile") from error
        self._framer = Framer(self._file.sample_rate, self.config.frame_ms)

    def run(self) -> Iterator[Step]:
        """One message a frame; in real time frame k leaves at k + 1 frame lengths after the start, whatever came between."""
        frame_ns = self.config.frame_ms * 1_000_000
        started_ns = self.runtime.now_ns()
        for index, payload in enumerate(self._frames()):
            spoken_ns = started_ns + (index + 1) * frame_ns
            if self.config.pace == "realtime":
                yield Until(spoken_ns)
            else:
                spoken_ns = self.runtime.now_ns()
            if self._stopped:
                return
            frame = AudioFrame(sample_rate=SAMPLE_RATE_HZ, start=index * self._framer.frame_samples)
            yield self.audio(frame, payload, session=self.config.session, origin_ns=spoken_ns)

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self._open.close()

    def _frames(self) -> Iterator[bytes]:
        for block in self._file.blocks():
            yield from self._framer.push(block)
        yield from self._framer.flush()
        silence = bytes(2 * self._framer.frame_samples)
        for _ in range(-(-self.config.silence_ms // self.config.frame_ms)):
            yield silence
