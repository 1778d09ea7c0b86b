"""The microphone as the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Literal

from pydantic import Field

from graph.errors import NodeError
from graph.message import DEFAULT_SESSION
from graph.node import NodeConfig, Runtime, Step, Until
from nodes.capture.base import SAMPLE_RATE_HZ, CaptureNode
from nodes.capture.recorder import Recorder
from nodes.kinds import AudioFrame
from nodes.sound_device import find_device, load_sounddevice

POLL_NS = 4_000_000  # an eighth of a frame: how late a block may be taken


class MicrophoneConfig(NodeConfig):
    device: int | str | None = Field(None, description="index, name or part of the name; the system's default where not given")
    frame_ms: Literal[20, 32] = Field(32, description="length of a frame; 32 ms is what Silero VAD looks at")
    sample_rate: int | None = Field(None, ge=8_000, description="Hz, at which the device is opened; its own where not given")
    buffer_ms: int = Field(2000, ge=100, description="how much is kept while the node is held up; more is lost, and told")
    session: str = Field(DEFAULT_SESSION, min_length=1, description="whose voice it is")


class MicrophoneCapture(CaptureNode):
    """Listens to a microphone."""

    Config = MicrophoneConfig
    config: MicrophoneConfig
    extra = "microphone"

    def __init__(self, config: MicrophoneConfig, runtime: Runtime) -> None:
        super().__init__(config, runtime)
        self._open = ExitStack()
        self._stopped = False
        self._losses_told = 0

    def setup(self) -> None:
        """:raises NodeError: no such device, or it cannot be opened as wanted."""
        sounddevice = load_sounddevice(self)
        try:
            from nodes.capture.framing import Framer
        except ImportError as error:
            raise self.missing(error.name or "numpy") from error
        self._device = find_device(sounddevice, "input", self.config.device)
        self._rate = self.config.sample_rate or self._device.sample_rate
        self._framer = Framer(self._rate, self.config.frame_ms)
        self._recorder = Recorder(self._rate, depth=self.config.buffer_ms // self.config.frame_ms)
        try:
            self._stream: Any = sounddevice.RawInputStream(
                samplerate=self._rate,
                blocksize=self._rate * self.config.frame_ms // 1000,
                device=self._device.index,
                channels=1,
                dtype="int16",
                callback=self._recorder.callback,
            )
        except sounddevice.PortAudioError as error:
            raise NodeError(f"cannot open input device '{self._device.name}' at {self._rate} Hz: {error}") from error
        self._open.callback(self._stream.close)

    def run(self) -> Iterator[Step]:
        """Sends what was recorded, frame by frame.

        :raises NodeError: the device has gone.
        """
        self._stream.start()
        captured = sent = 0  # samples: of the device, of the frames
        while (block := self._recorder.take()) is not None or not self._stopped:
            if block is None:
                if not self._stream.active:
                    raise NodeError(f"input device '{self._device.name}' has stopped: was it unplugged?")
                yield Until(self.runtime.now_ns() + POLL_NS)
                continue
            captured += len(block.payload) // 2
            for payload in self._framer.push_s16(block.payload):
                frame = AudioFrame(sample_rate=SAMPLE_RATE_HZ, start=sent)
                sent += self._framer.frame_samples
                after_s = captured / self._rate - sent / SAMPLE_RATE_HZ  # from the frame's end to the block's
                yield self.audio(frame, payload, session=self.config.session, origin_ns=block.end_ns - round(after_s * 1e9))
            self._tell_losses()

    def stop(self) -> None:
        self._stopped = True
        self._stream.stop()

    def close(self) -> None:
        self._open.close()

    def _tell_losses(self) -> None:
        if self._recorder.overflows >= 2 * self._losses_told + 1:  # 1, 3, 7 …: a lasting trouble is not told with each block
            self._losses_told = self._recorder.overflows
            self.runtime.warn(f"input device '{self._device.name}': sound was lost {self._losses_told} times so far")
