"""capture.file: any format, rate and channel count becomes 16 kHz frames, spoken when their last sample was."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from graph.errors import NodeError
from graph.node import Outgoing, Until
from graph.testing import Harness, Sent
from nodes.capture.file import FileCapture

QUESTIONS = Path(__file__).parents[3] / "examples" / "audio" / "questions.wav"
RATE_HZ = 16_000
MS_NS = 1_000_000


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    """4.1 s of the questions, -1 to 1, 16 kHz."""
    samples, _ = soundfile.read(QUESTIONS, frames=65_678, dtype="float32")
    return samples


def spoken(path: Path, **config: object) -> list[Sent]:
    with Harness(FileCapture, path=path, **config) as capture:
        return capture.run()


def sound(frames: list[Sent]) -> NDArray[np.float32]:
    return np.frombuffer(b"".join(f.payload for f in frames), "<i2").astype(np.float32) / 32_768


def at_rate(samples: NDArray[np.float32], rate_hz: int, channels: int = 1) -> NDArray[np.float32]:
    resampled = soxr.resample(samples, RATE_HZ, rate_hz)
    return np.stack([resampled] * channels, axis=1)


def write_m4a(path: Path, samples: NDArray[np.float32], rate_hz: int) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=rate_hz, layout="stereo", bit_rate=128_000)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = rate_hz, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


@pytest.mark.parametrize(
    ("suffix", "rate_hz", "channels", "subtype", "correlation"),
    [
        pytest.param("wav", 8_000, 1, "PCM_U8", 0.97, id="wav-u8-8k"),
        pytest.param("wav", 16_000, 1, "PCM_16", 0.99999, id="wav-16"),
        pytest.param("wav", 44_100, 2, "PCM_24", 0.999, id="wav-24-stereo"),
        pytest.param("wav", 48_000, 1, "FLOAT", 0.999, id="wav-float"),
        pytest.param("flac", 22_050, 1, "PCM_16", 0.999, id="flac"),
        pytest.param("ogg", 44_100, 2, "VORBIS", 0.99, id="ogg"),
        pytest.param("mp3", 44_100, 1, "MPEG_LAYER_III", 0.99, id="mp3"),
        pytest.param("m4a", 48_000, 2, None, 0.99, id="m4a"),
    ],
)
def test_every_format_arrives_whole_and_in_place(
    tmp_path: Path,
    speech: NDArray[np.float32],
    suffix: str,
    rate_hz: int,
    channels: int,
    subtype: str | None,
    correlation: float,
) -> None:
    path = tmp_path / f"speech.{suffix}"
    if subtype is None:
        write_m4a(path, at_rate(speech, rate_hz, channels), rate_hz)
    else:
        soundfile.write(path, at_rate(speech, rate_hz, channels), rate_hz, subtype=subtype)

    frames = spoken(path, pace="fast", silence_ms=0)

    assert {len(f.payload) for f in frames} == {2 * 512}
    assert {f.body.sample_rate for f in frames} == {RATE_HZ}
    assert [f.body.start for f in frames] == [512 * k for k in range(len(frames))]
    heard = sound(frames)
    codec_padding = 0.06 * RATE_HZ  # MP3 and AAC fill up their last block
    assert 0 <= len(heard) - len(speech) < 512 + codec_padding
    assert np.corrcoef(heard[: len(speech)], speech)[0, 1] > correlation


def test_sound_of_the_right_rate_is_passed_on_bit_for_bit(speech: NDArray[np.float32]) -> None:
    original, _ = soundfile.read(QUESTIONS, dtype="int16")
    payload = b"".join(f.payload for f in spoken(QUESTIONS, pace="fast", silence_ms=0))
    assert payload[: original.nbytes] == original.tobytes()


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([np.full(1600, 0.5), np.full(1600, -0.25)], axis=1), RATE_HZ)
    assert set(sound(spoken(path, silence_ms=0))[:1600]) == {0.125}


@pytest.mark.parametrize("frame_ms", [20, 32])
def test_in_real_time_a_frame_exists_once_its_last_sample_was_spoken(tmp_path: Path, frame_ms: int) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.full(RATE_HZ, 0.1), RATE_HZ)
    with Harness(FileCapture, clock_ns=7_000, path=path, frame_ms=frame_ms, silence_ms=100) as capture:
        steps = list(capture.node.run())
    waits, frames = steps[::2], steps[1::2]
    times = [7_000 + (k + 1) * frame_ms * MS_NS for k in range(-(-1000 // frame_ms) + -(-100 // frame_ms))]
    assert waits == [Until(at_ns) for at_ns in times]
    assert [f.origin_ns for f in frames if isinstance(f, Outgoing)] == times


def test_a_late_frame_does_not_delay_the_next(speech: NDArray[np.float32]) -> None:
    with Harness(FileCapture, path=QUESTIONS) as capture:
        steps = capture.node.run()
        first = next(steps)
        capture.clock_ns = 500 * MS_NS  # the process was held up
        next(steps)
        second = next(steps)
    assert (first, second) == (Until(32 * MS_NS), Until(64 * MS_NS))


def test_fast_waits_for_nothing_and_stamps_the_present(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.full(RATE_HZ, 0.1), RATE_HZ)
    with Harness(FileCapture, clock_ns=5, path=path, pace="fast", session="anna") as capture:
        steps = list(capture.node.run())
    assert {(s.origin_ns, s.session) for s in steps if isinstance(s, Outgoing)} == {(5, "anna")}
    assert not any(isinstance(step, Until) for step in steps)


def test_silence_follows_the_padded_last_frame(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.full(700, 0.5), RATE_HZ)
    heard = sound(spoken(path, silence_ms=320))
    assert len(heard) == 2 * 512 + 10 * 512
    assert np.flatnonzero(heard).tolist() == list(range(700))


def test_a_long_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros((60 * 44_100, 2)), 44_100)
    with Harness(FileCapture, path=path, pace="fast") as capture:
        tracemalloc.start()
        for _ in capture.node.run():
            pass
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < path.stat().st_size / 10


def test_stop_ends_the_source_at_the_next_frame() -> None:
    with Harness(FileCapture, path=QUESTIONS, pace="fast") as capture:
        steps = capture.node.run()
        next(steps)
        capture.node.stop()
        assert list(steps) == []


def no_file(path: Path) -> str:
    return "no such file"


def directory(path: Path) -> str:
    path.mkdir()
    return "is a directory"


def empty(path: Path) -> str:
    path.touch()
    return "the file is empty"


def not_sound(path: Path) -> str:
    path.write_bytes(bytes(range(256)) * 100)
    return "not a sound file, or of an unknown format"


def no_samples(path: Path) -> str:
    soundfile.write(path, np.zeros(0), RATE_HZ)
    return "it holds no sound"


def silent_film(path: Path) -> str:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        for packet in [*stream.encode(picture), *stream.encode(None)]:
            container.mux(packet)
    return "it holds no sound"


@pytest.mark.parametrize("make", [no_file, directory, empty, not_sound, no_samples, silent_film])
def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, make: object) -> None:
    path = tmp_path / "x.wav"
    assert callable(make)
    reason = make(path)
    with pytest.raises(NodeError) as caught:
        Harness(FileCapture, path=path)
    assert str(caught.value) == f"cannot read audio file '{path}': {reason}"


def test_a_damaged_file_says_where(tmp_path: Path, speech: NDArray[np.float32]) -> None:
    path = tmp_path / "x.flac"
    soundfile.write(path, speech, RATE_HZ)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = bytes(20_000)
    path.write_bytes(content)
    with (
        Harness(FileCapture, path=path, pace="fast") as capture,
        pytest.raises(NodeError, match=r"x\.flac': damaged after \d\.\d s"),
    ):
        capture.run()
