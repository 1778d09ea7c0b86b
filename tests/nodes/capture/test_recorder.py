"""The queue between the sound card and capture.microphone."""

from __future__ import annotations

from types import SimpleNamespace

from graph.message import now_ns
from nodes.capture.recorder import Recorder

FINE = SimpleNamespace(input_overflow=False)


def times(current_s: float, adc_s: float) -> SimpleNamespace:
    return SimpleNamespace(currentTime=current_s, inputBufferAdcTime=adc_s)


def test_blocks_come_out_in_order_with_the_time_of_their_last_sample() -> None:
    recorder = Recorder(16_000, depth=4)
    before_ns = now_ns()
    recorder.callback(b"ab" * 160, 160, times(100.0, 99.95), FINE)  # 10 ms, of which the first sample was 50 ms ago
    after_ns = now_ns()
    recorder.callback(b"cd" * 160, 160, times(0.0, 0.0), FINE)  # a driver that knows no times
    first, second = recorder.take(), recorder.take()
    assert first is not None
    assert second is not None
    assert (first.payload, second.payload) == (b"ab" * 160, b"cd" * 160)
    assert before_ns <= first.end_ns + 40_000_000 <= after_ns
    assert after_ns <= second.end_ns <= now_ns()
    assert recorder.take() is None


def test_what_nobody_takes_is_lost_and_counted() -> None:
    recorder = Recorder(16_000, depth=2)
    for payload in (b"aa", b"bb", b"cc"):
        recorder.callback(payload, 1, times(0, 0), FINE)
    recorder.callback(b"dd", 1, times(0, 0), SimpleNamespace(input_overflow=True))
    kept = [recorder.take(), recorder.take(), recorder.take()]
    assert [block and block.payload for block in kept] == [b"aa", b"bb", None]
    assert recorder.overflows == 3
