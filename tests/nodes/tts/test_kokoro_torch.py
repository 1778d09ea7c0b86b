"""The torch engine, on a random model of Kokoro's shape, as small as its code allows (58 million numbers)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("kokoro", reason="needs the extra 'torch'")

import torch
from kokoro import KModel
from kokoro_onnx.config import DEFAULT_VOCAB

from graph.errors import NodeError
from graph.testing import Harness
from nodes.kinds import AudioFrame
from nodes.tts.base import Spoken
from nodes.tts.kokoro import Kokoro
from nodes.tts.pcm import Samples
from nodes.tts.speech import SENTENCE_PAUSE_MS
from tests.nodes.tts.listening import samples, say

# hidden_dim, style_dim, upsample_initial_channel and n_token are fixed in the code of kokoro 0.9 or by the vocabulary
CONFIG = {
    "vocab": DEFAULT_VOCAB,
    "n_token": 178,
    "hidden_dim": 512,
    "style_dim": 128,
    "n_layer": 1,
    "max_dur": 4,
    "dropout": 0.0,
    "n_mels": 80,
    "text_encoder_kernel_size": 3,
    "plbert": {
        "hidden_size": 16,
        "embedding_size": 16,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 32,
        "num_hidden_layers": 1,
    },
    "istftnet": {
        "resblock_kernel_sizes": [3],
        "resblock_dilation_sizes": [[1, 3, 5]],
        "upsample_rates": [10, 6],
        "upsample_kernel_sizes": [20, 12],
        "upsample_initial_channel": 512,
        "gen_istft_n_fft": 20,
        "gen_istft_hop_size": 5,
    },
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the hub has it: config.json, the weights by part, and a voice."""
    folder = tmp_path_factory.mktemp("kokoro")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "voices").mkdir()
    torch.manual_seed(0)
    torch.save({}, folder / "none.pth")  # no weights: the model keeps its random ones
    model = KModel("tiny", str(folder / "config.json"), str(folder / "none.pth"))
    (folder / "none.pth").unlink()
    torch.save({name: part.state_dict() for name, part in model.named_children()}, folder / "tiny.pth")
    torch.save(torch.randn(510, 1, 256) / 10, folder / "voices" / "af_random.pt")
    return folder


@pytest.fixture(scope="module")
def voice(tiny: Path) -> Iterator[Harness[Kokoro]]:
    with Harness(Kokoro, engine="torch", model=str(tiny), voice="af_random", sample_rate=16_000) as made:
        yield made


def native(voice: Harness[Kokoro], text: str) -> Samples:
    """What the engine makes, before anything is done to it."""
    return np.concatenate(list(voice.node.voice.synthesise(text)))


def test_it_keeps_the_contract_of_all_voices(voice: Harness[Kokoro]) -> None:
    sent = say(voice, "Two apples.")
    assert [s.body.text for s in sent if isinstance(s.body, Spoken)] == ["Two apples.", ""]
    frames = [s for s in sent if isinstance(s.body, AudioFrame)]
    assert {(s.body.sample_rate, len(s.payload)) for s in frames} == {(16_000, 640)}
    assert [s.body.start for s in frames] == list(range(0, 320 * len(frames), 320))
    assert np.abs(samples(sent)).max() > 1000
    made_s = native(voice, "Two apples.").size / 24_000
    assert len(samples(sent)) / 16_000 == pytest.approx(made_s + SENTENCE_PAUSE_MS / 1000, rel=0.1)
    assert voice.warnings == []


def test_a_text_of_more_phonemes_than_the_model_takes(voice: Harness[Kokoro]) -> None:
    assert np.isfinite(native(voice, "a e i o u " * 4)).all()


def test_what_does_not_fit_is_told(tiny: Path, tmp_path: Path) -> None:
    for config, says in [
        ({"model": str(tiny), "voice": "af_heart"}, f"no voice 'af_heart' among the 1 of {tiny}/voices .for example af_random"),
        ({"model": str(tmp_path)}, f"{tmp_path} is not a Kokoro model for torch: it should hold config.json and one .pth file"),
        ({"model": str(tiny), "device": "cuda"}, "this torch sees no CUDA device"),
    ]:
        with pytest.raises(NodeError, match=says):
            Harness(Kokoro, engine="torch", **config)


@pytest.mark.models
def test_both_engines_in_one_environment(voice: Harness[Kokoro]) -> None:
    with Harness(Kokoro) as onnx:
        assert samples(say(onnx, "Yes.")).size > 0
        assert onnx.node.voice.batches("Two apples.") == voice.node.voice.batches("Two apples.")
