"""Plays and records on ALSA's own virtual devices; run by test_sound_card.py, in a process whose ALSA knows them."""

from __future__ import annotations

import json
import sys
from itertools import islice

import numpy as np

from graph.node import Outgoing
from graph.testing import Harness
from nodes.capture.microphone import MicrophoneCapture
from nodes.kinds import AudioFrame, Played
from nodes.sink.speaker import SpeakerSink
from nodes.tts.base import Spoken


def play() -> dict[str, object]:
    """A second of a level tone, after a tenth of near-silence."""
    with Harness(SpeakerSink, clock_ns=None, device="to_file", sample_rate=24_000) as speaker:
        for start, level in [(0, 100), *((n * 2400, 5000) for n in range(1, 11))]:
            speaker.feed("audio", AudioFrame(24_000, start), np.full(2400, level, "<i2").tobytes(), turn=1)
        speaker.feed("audio", Spoken("Hello there.", 26_400, last=True), turn=1)
        told = speaker.due()
    return {
        "played": [sent.body == Played("Hello there.", 26_400, 24_000) for sent in told],
        "marks": [marked.mark.name for marked in speaker.marks],
    }


def record() -> dict[str, object]:
    with Harness(MicrophoneCapture, clock_ns=None, device="nothing", frame_ms=20, sample_rate=48_000) as microphone:
        frames = list(islice((step for step in microphone.node.run() if isinstance(step, Outgoing)), 10))
    return {"starts": [frame.body.start for frame in frames], "bytes": [len(frame.payload) for frame in frames]}  # type: ignore[attr-defined]


if __name__ == "__main__":
    print(json.dumps({"play": play, "record": record}[sys.argv[1]]()))
