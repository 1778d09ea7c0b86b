"""What real models said, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph.errors import NodeError
from graph.scenarios.recording import as_text, recording
from nodes.scenario.replay import Replay

from .lines import line

LINES = [
    line("utterance", 1000),
    line("text", 1400, text="How many days?"),
    line("token", 1600, text="There", last=False),
    line("token", 1650, text=" are seven.", last=False),
    line("token", 1660, text="", last=True),
    line("frame", 1950, seconds=0.02),
    line("frame", 1951, seconds=0.02),
    line("spoken", 1952, text="There are seven.", last=False),
    line("spoken", 1953, text="", last=True),
    line("utterance", 9000, revision=1),
    line("text", 9250, revision=1, text="How many days are there?"),
]
KEY = {"session": "default", "turn": 1, "revision": 0}


def test_each_says_what_it_said_as_long_after() -> None:
    assert recording(LINES) == {
        "stt": [
            KEY | {"text": "How many days?", "after_s": 0.4},
            KEY | {"revision": 1, "text": "How many days are there?", "after_s": 0.25},
        ],
        "llm": [KEY | {"pieces": [[0.2, "There"], [0.05, " are seven."]]}],
        "tts": [KEY | {"text": "There are seven.", "after_s": 0.3, "lasts_s": 0.04}],
    }


def test_stand_ins_find_it_again(tmp_path: Path) -> None:
    file = tmp_path / "s.recording.json"
    file.write_text(as_text(recording(LINES)))
    replay = Replay(file)
    assert replay.transcript("default", 1, 1) == ("How many days are there?", 0.25)
    assert replay.transcript("default", 1, 7) == ("How many days are there?", 0.25), "as the last one"
    assert replay.transcript("default", 2, 0) is None
    assert replay.tokens("default", 1, 0) == [(0.2, "There"), (0.05, " are seven.")]
    assert replay.clause("default", 1, "There are seven.") == (0.3, 0.04)
    assert replay.clause("default", 1, "Others.") is None
    assert Replay(None).tokens("default", 1, 0) is None


def test_a_file_that_is_no_recording(tmp_path: Path) -> None:
    file = tmp_path / "s.recording.json"
    file.write_text("")
    with pytest.raises(NodeError, match=r"s\.recording\.json is no recording \(.*\): graph test --record writes it anew$"):
        Replay(file)
