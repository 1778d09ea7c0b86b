"""How far unconfirmed work goes: the four levels of docs/working-ahead.md, with real VAD and judge and stand-ins for models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .graphs import ROOT, background
from .test_scenarios import held, scenario

pytestmark = [pytest.mark.models, pytest.mark.timeout(600)]

# The pause is long, and only its length ends the turn: all have time to work ahead in it, and nobody holds it for an end.
HESITATION = """\
title: a long pause in the middle of a sentence
user:
  - say: What is the largest, um
  - silence: 1.5s
  - say: no, the smallest planet?
listen: 4s
models:
  stt: {delay: 20ms}
  llm: {delay: 20ms, word: 1ms, replies: [It is Mercury.]}
  tts: {delay: 20ms}
overlay:
  nodes:
    turn: {with: {max_silence_ms: 2500, ask_at_ms: [2400]}}
expect:
  turns:
    - {heard: "What is the largest, um no, the smallest planet?", replied: It is Mercury.}
  history:
    - user: What is the largest, um no, the smallest planet?
"""
WORK = {"transcript": "stt", "prompt": "llm", "first_clause": "tts"}  # the marks that tell of it
LEVELS = {"off": set[str](), "stt": {"stt"}, "llm": {"stt", "llm"}, "tts": {"stt", "llm", "tts"}}


def levels() -> dict[str, str]:
    """The files of the page, by level."""
    page = (ROOT / "docs/working-ahead.md").read_text()
    return dict(re.findall(r"^\*\*(\w+)\*\*.*?```yaml\n(.*?)```", page, re.DOTALL | re.MULTILINE))


@pytest.fixture
def runtime() -> Iterator[Path]:
    with background() as folder:
        yield folder


def witnessed(folder: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / name / "witnessed.jsonl").read_text().splitlines()]


def test_each_level_works_ahead_as_far_as_it_says_and_the_answer_is_the_same(runtime: Path, tmp_path: Path) -> None:
    assert list(levels()) == list(LEVELS)
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs/pipelines.yaml").symlink_to(ROOT / "pipelines.yaml")
    for level, text in levels().items():
        (tmp_path / f"graphs/{level}.yaml").write_text(text)
        scenario(tmp_path, f"graph: graphs/{level}.yaml\n{HESITATION}", level)
    done = held(runtime, tmp_path, "--keep", tmp_path / "kept")
    assert done.returncode == 0, done.stdout + done.stderr
    for level, ahead in LEVELS.items():
        lines = witnessed(tmp_path / "kept", level)
        (confirmed,) = [one for one in lines if one["what"] == "turn_confirmed"]
        in_vain = {WORK[str(one["what"])] for one in lines if one["what"] in WORK and one["revision"] != confirmed["revision"]}
        assert in_vain == ahead, f"level {level}: worked on what was withdrawn"
        (reply,) = [one for one in lines if one["what"] == "reply" and one["revision"] == confirmed["revision"]]
        assert (int(str(reply["wasted_tokens"])) > 0) == ("llm" in ahead), f"level {level}: tokens in vain"


RESTART = """\
title: the language model is killed after the turn was confirmed; its next life gets the transcript, and answers
user:
  - say: How many days are there in a week?
  - kill: llm
    at: {after_confirmed: 0.1s}
models:
  stt: {delay: 8s}
  llm: {replies: [Seven.]}
overlay:
  nodes:
    llm: {in: {turn: turn.turn}}
expect:
  turns:
    - {heard: How many days are there in a week?, replied: Seven.}
"""


def test_started_again_the_model_does_not_wait_for_a_confirmation_that_it_missed(runtime: Path, tmp_path: Path) -> None:
    done = held(runtime, scenario(tmp_path, RESTART))
    assert done.returncode == 0, done.stdout + done.stderr
