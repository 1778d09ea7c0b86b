from __future__ import annotations

import numpy as np
import pytest

from nodes.turn.recent_audio import RecentAudio, last_loud

RATE_HZ = 16_000


@pytest.fixture
def audio() -> RecentAudio:
    return RecentAudio(capacity=RATE_HZ)


def add(audio: RecentAudio, begin: int, values: list[int], origin_ns: int = 0) -> None:
    audio.add(np.array(values, "<i2").tobytes(), begin, origin_ns)


def test_lost_frames_are_silence(audio: RecentAudio) -> None:
    add(audio, 0, [1, 2])
    add(audio, 4, [5, 6])
    assert audio.samples(0, 6).tolist() == [1, 2, 0, 0, 5, 6]
    assert audio.samples(1, 5).tolist() == [2, 0, 0, 5]


def test_what_is_not_there_is_left_out(audio: RecentAudio) -> None:
    assert audio.samples(0, 9).tolist() == []
    add(audio, 4, [5, 6, 7])
    assert audio.samples(0, 6).tolist() == [5, 6]
    assert audio.samples(6, 99).tolist() == [7]
    assert audio.samples(99, 100).tolist() == []


def test_a_count_that_goes_back_begins_anew(audio: RecentAudio) -> None:
    add(audio, 1000, [1, 2, 3])
    add(audio, 0, [4, 5])
    assert (audio.begin, audio.end) == (0, 2)
    assert audio.samples(0, 2000).tolist() == [4, 5]


def test_every_sample_knows_when_it_was_spoken(audio: RecentAudio) -> None:
    add(audio, 16, [1] * 16, origin_ns=5_000_000)
    add(audio, 64, [1] * 16, origin_ns=9_000_000)  # late: its samples were spoken at 8 ms, by the clock of the first frame
    assert audio.spoken_at_ns(31) == 5_000_000
    assert audio.spoken_at_ns(16) == 5_000_000 - 15 * 62_500
    assert audio.spoken_at_ns(0) == 5_000_000 - 31 * 62_500, "reckoned back from the first frame"
    assert audio.spoken_at_ns(33) == 5_000_000 + 2 * 62_500, "lost: reckoned on from the frame before"
    assert audio.spoken_at_ns(79) == 9_000_000


def test_what_is_old_is_forgotten(audio: RecentAudio) -> None:
    for begin in range(0, 3 * RATE_HZ, 1000):
        add(audio, begin, [begin // 1000] * 1000)
    assert 2 * RATE_HZ - 1000 < audio.begin <= 2 * RATE_HZ
    assert audio.end == 3 * RATE_HZ
    assert audio.samples(2 * RATE_HZ, 3 * RATE_HZ).tolist() == [n // 1000 for n in range(2 * RATE_HZ, 3 * RATE_HZ)]


@pytest.mark.parametrize(
    ("values", "position"),
    [([], None), ([300, -300], None), ([301, 0, 0], 0), ([0, 400, -301, 300], 2), ([0, -32768], 1)],
)
def test_the_last_loud_sample(values: list[int], position: int | None) -> None:
    assert last_loud(np.array(values, np.int16)) == position
