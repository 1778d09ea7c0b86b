from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import nodes.stt
from graph.errors import MissingExtra, ModelError, NodeError
from graph.message import Message
from graph.models import locate
from graph.scenarios.word_error import total, word_error
from graph.testing import Harness, Sent
from nodes import marks
from nodes.kinds import AudioFrame
from nodes.stt.faster_whisper import FasterWhisper, FasterWhisperConfig
from nodes.turn.base import Utterance
from nodes.vad.base import SpeechStarted
from tests.nodes.stt.conftest import RATE_HZ, Samples, pcm, stretches


@pytest.fixture(scope="module")
def base() -> Iterator[Harness[FasterWhisper]]:
    with Harness(FasterWhisper, language="en") as harness:
        yield harness


def hear(harness: Harness[FasterWhisper], samples: Samples, start: int = 0) -> Sent:
    (sent,) = harness.feed("speech", Utterance(start=start), pcm(samples), session="s", turn=3, revision=1)
    assert (sent.port, sent.session, sent.turn, sent.revision) == ("text", "s", 3, 1)
    return sent


@pytest.mark.models
def test_transcribes_the_example_questions(base: Harness[FasterWhisper], recording: Samples, questions: list[str]) -> None:
    parts = list(stretches(recording))
    sent = [hear(base, samples, start).body for start, samples in parts]
    assert total(word_error(said, heard.text) for said, heard in zip(questions, sent, strict=True)).errors <= 1
    for (start, samples), heard in zip(parts, sent, strict=True):
        assert heard.language == "en"
        assert 0.5 < heard.confidence <= 1
        begin_ms = start / RATE_HZ * 1000
        assert heard.start_ms == pytest.approx(begin_ms + 200, abs=60)  # of pre-roll
        assert heard.end_ms == pytest.approx(begin_ms + len(samples) / RATE_HZ * 1000 - 100, abs=150)
    windows = [m.mark.fields["window_s"] for m in base.marks[-3:]]
    assert windows == [8.0 if len(s) <= 4 * RATE_HZ else pytest.approx(len(s) / RATE_HZ + 4, abs=0.1) for _, s in parts]


@pytest.mark.models
def test_marks_the_transcript(base: Harness[FasterWhisper], recording: Samples) -> None:
    start, samples = next(stretches(recording))
    sent = hear(base, samples, start)
    marked = base.marks[-1]
    assert (marked.mark.name, marked.session, marked.turn, marked.revision) == (marks.TRANSCRIPT, "s", 3, 1)
    assert marked.mark.fields["text"] == sent.body.text
    assert marked.mark.fields["confidence"] == pytest.approx(sent.body.confidence, abs=0.001)
    assert base.statuses == ["loading whisper-base"]


def noise(seconds: float) -> Samples:
    return np.random.default_rng(1).normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32)


def hum(seconds: float) -> Samples:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return sum(0.1 / k * np.sin(2 * np.pi * 50 * k * times) for k in (1, 2, 3, 5))


def melody(seconds: float) -> Samples:
    """Plucked notes over a bass, four a second."""
    note_times = np.arange(RATE_HZ // 4) / RATE_HZ
    pitches_hz = itertools.cycle([262, 330, 392, 523, 440, 349, 294, 392])
    notes = []
    for pitch_hz in itertools.islice(pitches_hz, round(seconds * 4)):
        partials = [0.2 / k * np.sin(2 * np.pi * pitch_hz * k * note_times) for k in (0.5, 1, 2, 3, 4)]
        notes.append(sum(partials) * np.exp(-6 * note_times))
    return np.concatenate(notes)


def clicks(seconds: float) -> Samples:
    """What makes Whisper base write "I'm a man, I'm a man, I'm a man"."""
    random = np.random.default_rng(0)
    samples = random.normal(0, 0.001, round(seconds * RATE_HZ))
    for at in range(0, len(samples) - 200, 7000):
        samples[at : at + 200] += random.normal(0, 0.4, 200)
    return samples


@pytest.mark.models
@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(np.zeros(0), id="nothing"),
        pytest.param(np.zeros(100), id="six milliseconds"),
        pytest.param(np.zeros(2 * RATE_HZ), id="silence"),
        pytest.param(noise(0.05), id="a tick"),
        pytest.param(noise(2), id="noise"),
        pytest.param(0.3 * np.sin(np.arange(2 * RATE_HZ) * 0.17), id="tone"),
        pytest.param(hum(2), id="hum"),
        pytest.param(melody(4), id="music"),
        pytest.param(clicks(4), id="clicks"),
    ],
)
def test_puts_no_words_into_what_is_not_speech(base: Harness[FasterWhisper], samples: Samples) -> None:
    sent = hear(base, samples)
    assert sent.body.text == ""
    assert sent.body.confidence == 0
    assert base.marks[-1].mark.fields["text"] == ""


@pytest.fixture(scope="module")
def full() -> Iterator[Harness[FasterWhisper]]:
    with Harness(FasterWhisper, model="tiny.en", window=30) as harness:
        yield harness


@pytest.mark.models
def test_the_full_window_puts_no_words_into_a_long_silence(full: Harness[FasterWhisper]) -> None:
    assert hear(full, np.random.default_rng(2).normal(0, 2e-4, 12 * RATE_HZ)).body.text == ""
    assert full.marks[-1].mark.fields["window_s"] == 30


@pytest.mark.models
def test_hears_more_than_thirty_seconds(full: Harness[FasterWhisper], recording: Samples, questions: list[str]) -> None:
    _, again = next(stretches(recording))
    sent = hear(full, np.concatenate([recording, again, np.zeros(8 * RATE_HZ), again]))
    assert word_error(" ".join([*questions, questions[0], questions[0]]), sent.body.text).errors <= 2
    assert sent.body.end_ms > 30_000


@pytest.mark.models
def test_looks_again_through_the_full_window_and_may_be_interrupted_before(recording: Samples, questions: list[str]) -> None:
    _, samples = next(stretches(recording))
    with Harness(FasterWhisper, model="tiny.en", log_prob_threshold=-0.001) as strict:
        interrupted = strict.node.on_speech(Message(Utterance(start=0), pcm(samples)))
        assert next(interrupted) is None
        interrupted.close()
        assert not strict.marks
        sent = hear(strict, samples)
        assert word_error(questions[0], sent.body.text).errors <= 1
        fields = strict.marks[-1].mark.fields
        assert (fields["doubt"], fields["window_s"]) == ("scores low", 30)


@pytest.mark.models
def test_detects_the_language(recording: Samples) -> None:
    _, samples = next(stretches(recording))
    with Harness(FasterWhisper) as any_language:
        assert hear(any_language, samples).body.language == "en"


@pytest.mark.parametrize(
    ("model", "reference"),
    [
        ("base", "whisper-base"),
        ("whisper-base", "whisper-base"),
        ("small", "Systran/faster-whisper-small"),
        ("large", "Systran/faster-whisper-large-v3"),
        ("someone/whisper-ct2", "someone/whisper-ct2"),
        ("no-such-model", "no-such-model"),
    ],
)
def test_names_the_model_it_needs(model: str, reference: str) -> None:
    assert FasterWhisper.models(FasterWhisperConfig.model_validate({"model": model})) == (reference,)


def test_an_existing_path_is_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "base").mkdir()
    monkeypatch.chdir(tmp_path)
    assert FasterWhisper.models(FasterWhisperConfig(model="base")) == ("base",)


def test_knows_every_size_that_faster_whisper_knows() -> None:
    from faster_whisper.utils import _MODELS  # the table behind available_models(), which has no ids

    from graph.models.catalogue import installed

    for size, hub_id in _MODELS.items():
        (reference,) = FasterWhisper.models(FasterWhisperConfig(model=size))
        model = installed().get(reference)
        assert hub_id in ((model.aliases) if model else (reference,))


@pytest.mark.parametrize(
    ("model", "error"),
    [
        (
            "large-v3",
            "model 'Systran/faster-whisper-large-v3' is not here: run `graph models pull Systran/faster-whisper-large-v3`",
        ),
        (
            "whisper-bse",
            "model 'whisper-bse' is neither a file, nor in the catalogue, nor a hub id: did you mean 'whisper-base'? "
            "`graph models list` shows all",
        ),
    ],
)
def test_a_model_that_is_not_here_is_told(model: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEGRAPH_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        Harness(FasterWhisper, model=model)
    assert str(caught.value) == error


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(NodeError) as caught:
        Harness(FasterWhisper, model=str(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path} is not a Whisper model converted for CTranslate2: it has no model.bin and no tokenizer.json"
    )


@pytest.mark.models
def test_a_broken_model_is_told(tmp_path: Path) -> None:
    shutil.copytree(locate("whisper-tiny.en"), tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model.bin"))
    (tmp_path / "model.bin").write_bytes(b"not a model")
    with pytest.raises(NodeError, match=rf"^model '{tmp_path}' cannot be loaded \(device auto, compute_type int8\): .+"):
        Harness(FasterWhisper, model=str(tmp_path))


@pytest.mark.models
@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"compute_type": "int7"}, r"^model 'whisper-tiny.en' cannot be loaded \(device auto, compute_type int7\): .*int7"),
        ({"language": "de"}, "^model 'whisper-tiny.en' does not know language 'de', only en$"),
    ],
)
def test_what_the_model_cannot_do_is_told(config: dict[str, str], error: str) -> None:
    with pytest.raises(NodeError, match=error) as caught:
        Harness(FasterWhisper, model="tiny.en", **config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("config", [{"window": 5}, {"window": 31}, {"window": "wide"}, {"language": "English"}, {"threads": 0}])
def test_parameters_out_of_range_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FasterWhisperConfig.model_validate(config)


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.delitem(sys.modules, "nodes.stt.fitted_whisper", raising=False)
    monkeypatch.delattr(nodes.stt, "fitted_whisper", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'voicegraph\[stt\]'$"):
        Harness(FasterWhisper)


@pytest.mark.models
def test_another_sample_rate_is_refused(base: Harness[FasterWhisper]) -> None:
    with pytest.raises(NodeError, match="16000 Hz, not at 8000"):
        base.feed("speech", Utterance(start=0, sample_rate=8000), pcm(noise(1)))


@pytest.mark.models
def test_an_utterance_on_trial_is_transcribed_once_and_marked_when_it_counts(
    base: Harness[FasterWhisper], recording: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, samples = next(stretches(recording))
    marked = len(base.marks)
    (tried,) = base.feed("speech", Utterance(start, on_trial=True), pcm(samples), session="s", turn=4)
    assert (tried.port, tried.turn) == ("trial", 4)
    assert len(base.marks) == marked
    monkeypatch.setattr(base.node._transcriber, "transcribe", None)
    (final,) = base.feed("speech", Utterance(start), pcm(samples), session="s", turn=4)
    assert (final.port, final.body) == ("text", tried.body)
    assert [m.mark.name for m in base.marks[marked:]] == [marks.TRANSCRIPT]


@pytest.mark.models
def test_stable_words_are_told_while_the_user_speaks(recording: Samples, questions: list[str]) -> None:
    start, samples = next(stretches(recording))
    sound, frame = pcm(samples), 1024
    with Harness(FasterWhisper, language="en", partials=True, partial_every_ms=600, inputs={"audio", "speaking"}) as harness:
        harness.feed("speaking", SpeechStarted(start, start))
        for at in range(0, len(sound) - frame, frame):
            harness.feed("audio", AudioFrame(RATE_HZ, start + at // 2), sound[at : at + frame])
        told = [sent.body for sent in harness.sent]
        assert harness.warnings == []
    assert {sent.port for sent in harness.sent} == {"partial"}
    lengths = [len(partial.text.split()) for partial in told]
    assert lengths == sorted(lengths)
    assert lengths[-1] >= len(questions[0].split()) - 3
    assert word_error(questions[0], told[-1].text).substitutions <= 1


@pytest.mark.models
def test_who_cannot_follow_what_is_said_says_so() -> None:
    with Harness(FasterWhisper, language="en", partials=True, inputs={"audio"}) as harness:
        assert harness.warnings == ["there are no partial transcripts: connect `speaking`"]
