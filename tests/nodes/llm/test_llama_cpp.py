"""What is particular to the xllamacpp engine, and how a start fails."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from graph.errors import MissingExtra, NodeError
from graph.models import locate
from graph.testing import Harness
from nodes.kinds import Text
from nodes.llm.llama_cpp import LlamaCpp
from nodes.llm.llama_cpp_python import LlamaCppPython


def listening() -> set[tuple[str, int]]:
    return {tuple(c.laddr) for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN}


@pytest.mark.models
def test_the_engine_is_loaded_by_name_and_listens_to_nobody() -> None:
    before = listening()
    with Harness(LlamaCpp, model="smollm2-135m", threads=1) as harness:
        assert harness.statuses == ["loading smollm2-135m"]
        assert listening() == before
        unix = [c.laddr for c in psutil.Process().net_connections("unix") if "vg-llm-" in str(c.laddr)]
        assert not any(Path(path).exists() for path in unix)


@pytest.mark.models
def test_a_stream_says_what_the_model_says_in_one_go() -> None:
    with Harness(LlamaCpp, threads=1, max_tokens=24) as harness:
        streamed = "".join(one.body.text for one in harness.feed("text", Text(text="Name three fruits.")))
        whole: list[str] = []
        server = harness.node._server
        assert server is not None
        server.handle_chat_completions(
            {
                "messages": [
                    {"role": "system", "content": harness.node.config.system},
                    {"role": "user", "content": "Name three fruits."},
                ],
                **harness.node.sampling(),
            },
            lambda answer: whole.append(answer["choices"][0]["message"]["content"]),
        )
        assert whole == [streamed]


@pytest.mark.models
def test_forgetting_the_oldest_turn_does_not_evaluate_the_others_again() -> None:
    with Harness(LlamaCpp, threads=1, history_turns=1, max_tokens=4) as harness:
        for colour in ("red", "blue", "green"):
            harness.feed("text", Text(text=f"My friend likes the colour {colour} best, what does that say about him?"))
        prompt = harness.marks[-2].mark.fields
        assert prompt["prompt_tokens"] - prompt["cached_tokens"] < 40  # one turn, of two in the prompt


@pytest.mark.models
def test_an_incomplete_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    whole = next(locate("smollm2-135m").glob("*.gguf"))
    with whole.open("rb") as stream:
        path.write_bytes(stream.read(4_000_000))
    with pytest.raises(NodeError) as raised:
        Harness(LlamaCpp, model=str(path), threads=1)
    assert str(raised.value) == (
        f"llama.cpp cannot load {path}: the file is incomplete or of a kind it does not know;"
        " its own words are in the log of this node"
    )


@pytest.mark.parametrize(
    ("engine", "module", "extra"), [(LlamaCpp, "xllamacpp", "llm"), (LlamaCppPython, "llama_cpp", "llama-cpp-python")]
)
def test_a_missing_library_names_its_extra(
    engine: type[LlamaCpp | LlamaCppPython], module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "nodes.llm.stoppable_llama", raising=False)
    with pytest.raises(MissingExtra) as raised:
        Harness(engine, model=str(path))
    assert str(raised.value) == (f"{engine.__name__} needs {module}, which is not installed: pip install 'voicegraph[{extra}]'")
