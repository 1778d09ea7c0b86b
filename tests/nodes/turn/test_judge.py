"""The Smart Turn model itself, on the recorded questions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from graph.models import locate
from nodes.turn.judge import SmartTurnJudge
from tests.nodes.recording import QUESTIONS, RATE_HZ

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def judge() -> SmartTurnJudge:
    return SmartTurnJudge(locate("smart-turn-v3") / "smart-turn-v3.2-cpu.onnx")


def questions() -> Iterator[NDArray[np.int16]]:
    """Each question from its first to its last loud sample."""
    sound, _ = soundfile.read(QUESTIONS, dtype="int16")
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > 300)
    for part in np.split(loud, np.flatnonzero(np.diff(loud) > 3 * RATE_HZ) + 1):
        yield sound[part[0] : part[-1]]


def test_a_question_is_complete_and_not_everything_before_its_end_is(judge: SmartTurnJudge) -> None:
    silence = np.zeros(RATE_HZ // 5, np.int16)
    for question in questions():
        assert judge(np.concatenate([question, silence])) > 0.9
        cuts = [question[: len(question) * tenths // 10] for tenths in (7, 5, 8)]
        assert min(judge(np.concatenate([cut, silence])) for cut in cuts) < 0.3


def test_only_the_last_eight_seconds_count(judge: SmartTurnJudge) -> None:
    noise = np.random.default_rng(0).integers(-5000, 5000, 9 * RATE_HZ).astype(np.int16)
    assert judge(noise) == judge(noise[RATE_HZ:])


def test_what_is_missing_is_silence_in_front(judge: SmartTurnJudge) -> None:
    question = next(questions())
    padded = np.concatenate([np.zeros(8 * RATE_HZ - len(question), np.int16), question])
    np.testing.assert_array_equal(judge.features(question), judge.features(padded))
    assert judge.features(question).shape == (1, 80, 800)
