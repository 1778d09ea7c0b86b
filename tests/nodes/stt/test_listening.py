"""Whisper tells what a listener says from what interrupts: an utterance on trial, and the words that are meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graph.testing import Harness
from nodes.stt.faster_whisper import FasterWhisper
from nodes.turn.backchannel import listening, meant
from nodes.turn.base import Utterance
from tests.nodes.stt.conftest import Samples, pcm
from tests.system.clips import cough, silence, spoken

LISTENING = ("Mm-hm.", "Mm-hmm.", "Uh-huh.", "Okay.", "Yeah.", "Right.", "Yes, I see.")
MEANT = ("Stop.", "No.", "Wait!", "Stop, tell me something else.")

pytestmark = pytest.mark.models


def words(stt: Harness[FasterWhisper], sound: Samples, turn: int) -> tuple[str, int]:
    padded = pcm(np.concatenate([silence(0.25), sound, silence(0.2)]))
    (sent,) = stt.feed("speech", Utterance(0, on_trial=True), padded, turn=turn)
    return sent.body.text, meant(sent.body.text, listening("en"))


def test_what_a_listener_says_is_told_from_what_interrupts(tmp_path: Path) -> None:
    with Harness(FasterWhisper, language="en") as stt:
        found = {
            f"{voice}: {text}": words(stt, spoken(tmp_path, text, voice), turn)
            for turn, (voice, text) in enumerate(
                ((voice, text) for voice in ("af_heart", "am_michael") for text in (*LISTENING, *MEANT)), 1
            )
        }
        assert words(stt, cough(), 99)[1] == 0
    assert all(count for said, (_, count) in found.items() if said.endswith(MEANT)), found
    interrupts = {said: heard for said, (heard, count) in found.items() if count and said.endswith(LISTENING)}
    assert len(interrupts) <= 2, interrupts
