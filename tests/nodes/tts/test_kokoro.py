from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from graph.errors import ModelError, NodeError
from graph.message import Message
from graph.models import locate
from graph.scenarios.word_error import word_error
from graph.testing import Harness
from nodes.kinds import AudioFrame
from nodes.tts.base import Sentence, Spoken
from nodes.tts.kokoro import LANGUAGES, Kokoro
from nodes.tts.kokoro_voice import Phonemes
from nodes.tts.pcm import LOUD
from nodes.turn.base import Interrupt
from tests.nodes.tts.listening import heard, samples, say

TEXT = "Dr. Smith paid five dollars for three red apples."


@pytest.fixture(scope="module")
def kokoro() -> Iterator[Harness[Kokoro]]:
    with Harness(Kokoro) as made:
        yield made


@pytest.mark.models
def test_it_says_what_is_written(kokoro: Harness[Kokoro]) -> None:
    sent = say(kokoro, TEXT)
    assert word_error(TEXT, heard(sent)).rate <= 0.15
    assert [s.body.text for s in sent if isinstance(s.body, Spoken)] == [TEXT, ""]
    assert {(s.body.sample_rate, len(s.payload)) for s in sent if isinstance(s.body, AudioFrame)} == {(24_000, 960)}
    loud = np.flatnonzero(np.abs(samples(sent)) > LOUD * 32768)
    assert loud[0] <= 24_000 * 0.03  # Kokoro itself begins with 0.3 s of silence
    assert kokoro.statuses == ["loading kokoro-82m"]
    assert kokoro.warnings == []


@pytest.mark.models
def test_interrupted_while_the_engine_works_it_breaks_off(kokoro: Harness[Kokoro]) -> None:
    steps = kokoro.node.on_text(Message(Sentence(TEXT * 3), turn=1))
    assert [next(steps) for _ in range(3)] == [None] * 3  # the engine is at work
    steps.close()  # type: ignore[attr-defined]
    kokoro.feed("interrupt", Interrupt(), turn=2)
    sent = say(kokoro, "Yes.")
    assert [s.body.text for s in sent if isinstance(s.body, Spoken)] == ["Yes.", ""]
    assert samples(sent).size > 0
    assert kokoro.warnings == []


@pytest.mark.models
def test_a_text_of_more_phonemes_than_the_model_takes(kokoro: Harness[Kokoro]) -> None:
    batches = list(kokoro.node.voice.batches("a e i o u " * 120))
    assert len(batches) > 1
    assert all(len(batch) <= 510 for batch in batches)


@pytest.mark.models
def test_faster_and_at_another_rate(kokoro: Harness[Kokoro]) -> None:
    with Harness(Kokoro, speed=2.0, sample_rate=16_000) as quick:
        seconds = len(samples(say(quick, "Two apples."))) / 16_000
    assert 0.2 < seconds < 0.8 * len(samples(say(kokoro, "Two apples."))) / 24_000


@pytest.mark.parametrize("language", LANGUAGES.values())
def test_every_language_of_the_voices_is_known(language: str) -> None:
    assert Phonemes(language)("a")


@pytest.mark.models
@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            {"voice": "af_hart"},
            "there is no voice 'af_hart' among the 54 of {store}/kokoro-82m/voices (did you mean 'af_heart'?)",
        ),
        (
            {"voice": "9"},
            "there is no voice '9' among the 54 of {store}/kokoro-82m/voices (for example af_alloy, af_aoede, af_bella)",
        ),
        ({"language": "klingon"}, "espeak-ng does not know language 'klingon' (en-us, en-gb, fr-fr …)"),
        ({"model": "{store}/silero-vad"}, "{store}/silero-vad has no folder 'voices'"),
        ({"model": "{store}/whisper-base"}, "{store}/whisper-base should hold one .onnx file, and holds none"),
        ({"device": "cuda"}, "this onnxruntime has no CUDAExecutionProvider: install onnxruntime-gpu, or set device: cpu"),
    ],
)
def test_what_does_not_fit_is_told(config: dict[str, str], says: str) -> None:
    store = str(locate("kokoro-82m").parent)
    with pytest.raises(NodeError) as told:
        Harness(Kokoro, **{key: value.format(store=store) for key, value in config.items()})
    assert str(told.value) == says.format(store=store)


def test_a_model_that_is_not_here_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEGRAPH_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="model 'kokoro-82m' is not here: run `graph models pull kokoro-82m`"):
        Harness(Kokoro)


@pytest.mark.models
def test_no_torch_and_no_spacy_on_the_default_path() -> None:
    code = (
        "import sys; from graph.testing import Harness; from nodes.tts.kokoro import Kokoro; "
        "assert not {'numpy', 'onnxruntime', 'sentencex'} & set(sys.modules); Harness(Kokoro); "
        "print({'torch', 'spacy', 'transformers', 'misaki', 'kokoro'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")
