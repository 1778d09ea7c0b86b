"""The queue between sink.speaker and the sound card."""

from __future__ import annotations

from nodes.sink.playback import PlaybackQueue, Track

RATE_HZ = 1000  # a sample is a millisecond
MS_NS = 1_000_000


def pull(queue: PlaybackQueue, samples: int, at_ms: int) -> bytes:
    """What the card hears of a block that starts at a time; one letter a sample."""
    out = memoryview(bytearray(b"??" * samples))
    queue.pull(out, at_ms * MS_NS)
    return bytes(out[::2]).replace(b"\0", b".")


def pcm(letters: str) -> bytes:
    return b"".join(letter.encode() * 2 for letter in letters)


def test_replies_follow_each_other_and_then_there_is_silence() -> None:
    queue, one, two = PlaybackQueue(RATE_HZ), Track(), Track()
    queue.add(one, pcm("abc"))
    queue.add(two, pcm("de"))
    queue.add(two, pcm("fg"))
    assert [pull(queue, 2, 10), pull(queue, 4, 12), pull(queue, 4, 16)] == [b"ab", b"cdef", b"g..."]


def test_a_reply_is_played_once_its_last_sample_was_heard() -> None:
    queue, track = PlaybackQueue(RATE_HZ), Track(audible_from=2)
    queue.add(track, pcm("abcdef"))
    pull(queue, 2, 100)
    assert track.audible_ns is None
    pull(queue, 3, 102)
    assert track.audible_ns == 102 * MS_NS
    assert not track.played(1000 * MS_NS)
    pull(queue, 3, 105)
    assert [track.played(106 * MS_NS - 1), track.played(106 * MS_NS)] == [False, True]


def test_the_first_audible_sample_lies_within_a_block() -> None:
    queue, before, track = PlaybackQueue(RATE_HZ), Track(), Track(audible_from=3)
    queue.add(before, pcm("ab"))
    queue.add(track, pcm("cdefg"))
    pull(queue, 8, 100)
    assert track.audible_ns == 105 * MS_NS


def test_what_was_heard_of_a_dropped_reply_is_less_than_what_the_card_was_given() -> None:
    queue, stale, fresh = PlaybackQueue(RATE_HZ), Track(), Track()
    queue.add(stale, pcm("abcdefgh"))
    queue.add(fresh, pcm("xyz"))
    pull(queue, 4, 100)  # heard from 100 to 104 ms
    queue.drop(stale)
    assert [stale.heard(ms * MS_NS, RATE_HZ) for ms in (90, 101, 103, 200)] == [0, 1, 3, 4]
    assert stale.played(104 * MS_NS)
    assert pull(queue, 4, 104) == b"xyz."


def test_a_reply_steps_back_and_goes_on_where_it_was() -> None:
    queue, track = PlaybackQueue(RATE_HZ), Track()
    queue.add(track, pcm("\x40" * 3 + "abc"))
    assert pull(queue, 1, 100) == b"\x40"
    queue.step_back(2)
    queue.step_back(9)  # it has already
    assert pull(queue, 4, 101) == b"\x10\x10..", "softly, then not at all"
    assert pull(queue, 2, 105) == b".."
    queue.go_on()
    assert pull(queue, 4, 107) == b"abc.", "and nothing is lost"
    assert track.played(111 * MS_NS)


def test_a_reply_ran_dry_for_as_long_as_there_was_silence_instead_of_it() -> None:
    queue, one, two = PlaybackQueue(RATE_HZ), Track(), Track()
    pull(queue, 5, 0)
    assert queue.ran_dry(one) == 0, "it has not begun"
    queue.add(one, pcm("abc"))
    pull(queue, 2, 5)
    assert queue.ran_dry(one) == 0, "there is more of it"
    pull(queue, 4, 7)
    assert queue.ran_dry(one) == 3
    queue.add(two, pcm("de"))
    pull(queue, 3, 11)
    assert [queue.ran_dry(one), queue.ran_dry(two)] == [4, 1], "what is heard meanwhile is no silence"
    queue.step_back(0)
    pull(queue, 9, 14)
    assert [queue.ran_dry(one), queue.ran_dry(two)] == [4, 1], "nor is a pause"
