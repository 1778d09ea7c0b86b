"""Who said it is told by the samples."""

from __future__ import annotations

import numpy as np
import pytest

from bench.signed_speech import MOST_SPEAKERS, named, signed, speakers, words

TONE = np.tile(np.array([3000, -3000], np.int16), 8000)  # a second at 16 kHz


def test_a_signature_is_found_and_not_heard() -> None:
    for speaker in range(1, MOST_SPEAKERS + 1):
        said = signed(TONE, speaker)
        assert speakers(said) == [speaker]
        assert np.abs(said.astype(int) - TONE).max() <= MOST_SPEAKERS


def test_two_speakers_in_one_utterance_show() -> None:
    mixed = np.concatenate([signed(TONE, 2), signed(TONE[:1000], 5)])
    assert words(mixed, 16_000) == "speaker 2 and speaker 5"
    assert named("Hello speaker 2 and speaker 5.") == {2, 5}


def test_what_is_short_or_quiet_has_no_words() -> None:
    assert speakers(np.pad(signed(TONE, 3), 16_000)) == [3]
    assert words(np.pad(signed(TONE[:4000], 1), 16_000), 16_000) == ""
    assert words(np.full(16_000, 15, np.int16), 16_000) == ""


@pytest.mark.parametrize("speaker", [0, MOST_SPEAKERS + 1])
def test_there_are_not_more_speakers_than_bits(speaker: int) -> None:
    with pytest.raises(ValueError, match="no speaker"):
        signed(TONE, speaker)
