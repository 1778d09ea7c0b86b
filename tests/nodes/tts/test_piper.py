from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("piper", reason="needs the extra 'piper'")

from graph.errors import NodeError
from graph.message import Message
from graph.models import locate
from graph.scenarios.word_error import word_error
from graph.testing import Harness
from nodes.kinds import AudioFrame
from nodes.llm.base import Token
from nodes.tts.base import Sentence, Spoken
from nodes.tts.pcm import LOUD
from nodes.tts.piper import Piper
from tests.nodes.tts.listening import heard, samples, say

TEXT = "There will be rain this afternoon, so please take your umbrella with you."
pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def piper() -> Iterator[Harness[Piper]]:
    with Harness(Piper) as made:
        yield made


def test_it_says_what_is_written(piper: Harness[Piper]) -> None:
    sent = [s for i, word in enumerate(TEXT.split(" ")) for s in piper.feed("text", Token(f"{word} ", i), turn=1)]
    sent += piper.feed("text", Token(last=True), turn=1)
    assert word_error(TEXT, heard(sent)).rate <= 0.15
    said = [s.body.text for s in sent if isinstance(s.body, Spoken)]
    assert said == ["There will be rain this afternoon,", "so please take your umbrella with you.", ""]
    assert {(s.body.sample_rate, len(s.payload)) for s in sent if isinstance(s.body, AudioFrame)} == {(24_000, 960)}
    assert np.flatnonzero(np.abs(samples(sent)) > LOUD * 32768)[0] <= 24_000 * 0.03
    assert (piper.statuses, piper.warnings) == (["loading piper-en-joe"], [])


def test_interrupted_while_the_engine_works_it_breaks_off(piper: Harness[Piper]) -> None:
    steps = piper.node.on_text(Message(Sentence(TEXT * 5), turn=1))
    assert next(steps) is None  # the engine is at work
    steps.close()  # type: ignore[attr-defined]
    assert samples(say(piper, "Yes.")).size > 0
    assert piper.warnings == []


def test_faster_at_another_rate_from_a_path(piper: Harness[Piper]) -> None:
    path = locate("piper-en-joe") / "en_US-joe-medium.onnx"
    with Harness(Piper, model=str(path), speed=2.0, sample_rate=16_000) as quick:
        seconds = len(samples(say(quick, TEXT))) / 16_000
    assert 0.5 < seconds < 0.8 * len(samples(say(piper, TEXT))) / 24_000  # its pace is drawn by chance


def copied(tmp_path: Path, **changes: Any) -> str:
    source = locate("piper-en-joe") / "en_US-joe-medium.onnx"
    described = json.loads(source.with_name(f"{source.name}.json").read_text())
    (tmp_path / "v.onnx").symlink_to(source)
    (tmp_path / "v.onnx.json").write_text(json.dumps({k: v for k, v in {**described, **changes}.items() if v is not None}))
    return str(tmp_path)


@pytest.mark.parametrize(
    ("changes", "speaker", "says"),
    [
        ({}, "ann", "voice '{at}' has no speaker 'ann', it has 1, without names"),
        ({}, 1, "voice '{at}' has no speaker 1, it has 1, without names"),
        (
            {"num_speakers": 2, "speaker_id_map": {"ann": 0, "bob": 1}},
            "bib",
            "voice '{at}' has no speaker 'bib' (did you mean 'bob'?), it has 2: ann, bob",
        ),
        ({"num_symbols": None}, None, "{at}/v.onnx.json does not describe a Piper voice: KeyError: 'num_symbols'"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, changes: dict[str, Any], speaker: str | int | None, says: str) -> None:
    at = copied(tmp_path, **changes)
    with pytest.raises(NodeError) as told:
        Harness(Piper, model=at, speaker=speaker)
    assert str(told.value) == says.format(at=at)


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    at = Path(copied(tmp_path))
    (at / "v.onnx").unlink()
    (at / "v.onnx").write_bytes(b"no model")
    with pytest.raises(NodeError, match=r"v\.onnx cannot be loaded as an ONNX model: "):
        Harness(Piper, model=str(at))
    (at / "w.onnx").touch()
    with pytest.raises(NodeError, match=r"should hold one \.onnx file, and holds v\.onnx, w\.onnx: name one of them"):
        Harness(Piper, model=str(at))
