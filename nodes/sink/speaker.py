"""The loudspeaker as the assistant's voice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from graph.errors import NodeError
from graph.message import Message
from graph.node import NodeConfig, Outgoing, Runtime, Step, Until
from nodes.kinds import AudioFrame
from nodes.marks import FIRST_AUDIO
from nodes.sink.base import SOFTLY_MS, SinkConfig, SinkNode
from nodes.sink.playback import PlaybackQueue, Track
from nodes.sink.reply import Reply
from nodes.sound_device import find_device, load_sounddevice
from nodes.tts.base import Spoken
from nodes.turn.base import Interrupt

if TYPE_CHECKING:
    from nodes.sink.reply_audio import ReplyAudio

POLL_NS = 10_000_000  # how late the end of a reply may be told
HEARD_EVERY_NS = 5_000_000  # less than a card asks for ahead of time, so that `heard` comes before it is heard

Key = tuple[str, int, int]  # session, turn, revision


class SpeakerConfig(SinkConfig):
    device: int | str | None = Field(None, description="index, name or part of the name; the system's default where not given")
    sample_rate: int | None = Field(None, ge=8_000, description="Hz, at which the device is opened; its own where not given")


@dataclass(slots=True, eq=False)
class Playing:
    """A reply that is being played."""

    reply: Reply
    audio: ReplyAudio
    track: Track
    marked: bool = False


class SpeakerSink(SinkNode):
    """Plays the reply on a loudspeaker, and tells when it was heard and how much of it."""

    Config: ClassVar[type[NodeConfig]] = SpeakerConfig
    config: SpeakerConfig
    extra = "microphone"

    def __init__(self, config: SpeakerConfig, runtime: Runtime) -> None:
        super().__init__(config, runtime)
        self._open = ExitStack()
        self._playing: dict[Key, Playing] = {}
        self._underflows_told = 0

    def setup(self) -> None:
        """:raises NodeError: no such device, or it cannot be opened as wanted."""
        sounddevice = load_sounddevice(self)
        try:
            from nodes.sink.reply_audio import ReplyAudio
        except ImportError as error:
            raise self.missing(error.name or "numpy") from error
        self._audio = ReplyAudio
        self._device = find_device(sounddevice, "output", self.config.device)
        self._rate = self.config.sample_rate or self._device.sample_rate
        self._queue = PlaybackQueue(self._rate)
        try:
            self._stream: Any = sounddevice.RawOutputStream(
                samplerate=self._rate,
                device=self._device.index,
                channels=1,
                dtype="int16",
                latency="low",
                callback=self._queue.callback,
            )
            self._open.callback(self._stream.close)
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise NodeError(f"cannot open output device '{self._device.name}' at {self._rate} Hz: {error}") from error

    def hear(self, message: Message[AudioFrame | Spoken]) -> Iterator[Step]:
        key = message.session, message.turn, message.revision
        playing = self._playing.get(key)
        if playing is None:
            rate = message.body.sample_rate if isinstance(message.body, AudioFrame) else self._rate
            playing = self._playing[key] = Playing(Reply(*key, sample_rate=rate), self._audio(rate, self._rate), Track(key[0]))
        if isinstance(message.body, AudioFrame):
            playing.reply.samples += len(message.payload) // 2
            if len(sound := playing.audio.push(message.payload)):
                playing.reply.waited(round(self._queue.ran_dry(playing.track) * 1e9 / self._rate))
            self._add(playing, sound.tobytes())
            self._mark_first(playing)
        else:
            playing.reply.say(message.body)
            if playing.reply.complete:
                self._add(playing, playing.audio.finish().tobytes())
                self.wake(self.runtime.now_ns() + POLL_NS)
        self._queue.telling = self.runtime.connected("heard")
        if self._queue.telling:
            self.wake(self.runtime.now_ns() + HEARD_EVERY_NS)
        yield from ()

    def cut(self, message: Message[Interrupt]) -> Iterator[Step]:
        if self._queue.telling:
            self.wake(self.runtime.now_ns() + HEARD_EVERY_NS)  # what the card took last is still to be told
        for playing in list(self._playing.values()):
            if playing.reply.session == message.session and playing.reply.older_than(message.turn, message.revision):
                self._queue.drop(playing.track)
                self._mark_first(playing)
                heard = playing.track.heard(self.runtime.now_ns(), self._rate)
                yield self._told(playing, round(heard * playing.reply.sample_rate / self._rate))

    def step_back(self, session: str) -> None:
        self._queue.step_back(self._rate * SOFTLY_MS // 1000)

    def go_on(self, session: str) -> None:
        self._queue.go_on()

    def on_due(self) -> Iterator[Step]:
        """Tell what is being heard, and of the replies that were heard to their end.

        :raises NodeError: the device has gone.
        """
        yield from super().on_due()
        yield from self.sounds(self._queue.heard(), self._rate)
        for playing in [one for one in self._playing.values() if one.reply.complete]:
            self._mark_first(playing)
            if playing.track.played(self.runtime.now_ns()):
                yield self._told(playing, None)
            elif not self._stream.active:
                raise NodeError(f"output device '{self._device.name}' has stopped: was it unplugged?")
            else:
                self.wake(self.runtime.now_ns() + POLL_NS)
        if self._queue.telling and self._playing:
            self.wake(self.runtime.now_ns() + HEARD_EVERY_NS)

    def drain(self) -> Iterator[Step]:
        """Hear out what is still to be heard."""
        self._queue.go_on()
        for playing in self._playing.values():
            playing.reply.complete = True
        while self._playing:
            yield from self.on_due()
            yield Until(self.runtime.now_ns() + POLL_NS)

    def close(self) -> None:
        self._open.close()

    def _add(self, playing: Playing, payload: bytes) -> None:
        playing.track.audible_from = playing.audio.audible_from
        self._queue.add(playing.track, payload)

    def _mark_first(self, playing: Playing) -> None:
        if playing.track.audible_ns is not None and not playing.marked:
            playing.marked = True
            session, turn, revision = playing.reply.session, playing.reply.turn, playing.reply.revision
            self.mark(FIRST_AUDIO, at_ns=playing.track.audible_ns, session=session, turn=turn, revision=revision)

    def _told(self, playing: Playing, heard: int | None) -> Outgoing:
        reply, now_ns = playing.reply, self.runtime.now_ns()
        del self._playing[reply.session, reply.turn, reply.revision]
        if self._queue.underflows >= 2 * self._underflows_told + 1:  # 1, 3, 7 …: a lasting trouble is not told each time
            self._underflows_told = self._queue.underflows
            self.runtime.warn(f"output device '{self._device.name}': ran dry {self._underflows_told} times so far")
        at_ns = min(playing.track.end_ns, now_ns) or now_ns
        return self.tell(reply.played(heard), at_ns, reply.session, reply.turn, reply.revision)
