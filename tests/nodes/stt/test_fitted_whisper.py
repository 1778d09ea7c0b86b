from __future__ import annotations

import numpy as np
import pytest

from graph.models import locate
from graph.scenarios.word_error import word_error
from nodes.stt.doubt import Limits, doubt
from nodes.stt.fitted_whisper import FittedWhisper, Options, max_tokens_for, window_for
from nodes.stt.sound import sound_in
from tests.nodes.stt.conftest import RATE_HZ, Samples, stretches

OPTIONS = Options(Limits(no_speech=0.5, log_prob=-1.0, compression_ratio=2.4), language="en")


@pytest.mark.parametrize(("audio_s", "window_s"), [(0.5, 8), (4, 8), (6.5, 10.5), (25.9, 29.9), (26.5, 30), (90, 30)])
def test_the_window_is_the_audio_and_a_margin(audio_s: float, window_s: float) -> None:
    assert window_for(audio_s) == pytest.approx(window_s)


def test_the_window_can_be_held_longer() -> None:
    assert window_for(2, 15) == 15
    assert window_for(20, 15) == 24
    assert window_for(2, 30) == 30


def test_more_audio_may_have_more_tokens_but_never_more_than_the_decoder_takes() -> None:
    assert [max_tokens_for(s) for s in (0, 1, 3, 30)] == [16, 23, 38, 200]


@pytest.fixture(scope="module")
def whisper() -> FittedWhisper:
    return FittedWhisper(str(locate("whisper-base")), device="cpu", compute_type="int8", cpu_threads=1)


@pytest.mark.models
def test_the_encoder_sees_no_more_than_the_window(whisper: FittedWhisper, recording: Samples) -> None:
    features = np.zeros((80, 3000), np.float32)
    assert whisper.encode(features).shape == [1, 1500, 512]
    whisper.write(recording[:RATE_HZ], 8, OPTIONS)
    assert whisper.encode(features).shape == [1, 400, 512]  # 20 ms each


@pytest.mark.models
def test_what_a_window_without_a_margin_spoils_is_doubted(
    whisper: FittedWhisper, recording: Samples, questions: list[str]
) -> None:
    doubts = []
    for said, (_, samples) in zip(questions, stretches(recording), strict=True):
        audio_s = len(samples) / RATE_HZ
        for window_s in (audio_s + 0.2, audio_s + 0.5, window_for(audio_s)):
            written, _ = whisper.write(samples, window_s, OPTIONS)
            reason = doubt(written, sound_in(samples, RATE_HZ).seconds, max_tokens_for(audio_s), OPTIONS.limits)
            doubts.append((window_s == window_for(audio_s), reason))
            assert reason or word_error(said, written[0].text).errors <= 1
    assert any(reason for fitted, reason in doubts if not fitted)
    assert not any(reason for fitted, reason in doubts if fitted)
