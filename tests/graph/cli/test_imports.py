"""Verbs stay quick because they import little: nothing that a verb does not need, and never a model library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# What the nodes compute with, and what only a running graph needs.
HEAVY = {
    "av", "ctranslate2", "faster_whisper", "kokoro", "kokoro_onnx", "llama_cpp", "numpy", "onnxruntime", "piper", "silero_vad",
    "sounddevice", "soundfile", "soxr", "spacy", "tokenizers", "torch", "xllamacpp", "zmq", "psutil", "huggingface_hub",
}  # fmt: skip
SHOW = """\
import sys
from graph.cli import main
try:
    main()
finally:
    print("imported:", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def imported(*arguments: str, code: int | None = 0) -> set[str]:
    """The packages that a command has imported when it is done."""
    done = subprocess.run([sys.executable, "-c", SHOW, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert code is None or done.returncode == code, done.stderr
    return set(done.stderr.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", "pipelines.yaml"),
        ("validate", "examples/fast.yaml"),
        ("validate", "examples/microphone.yaml"),
        ("nodes",),
        ("plan", "pipelines.yaml", "--mermaid"),
        ("schema",),
    ],
    ids=" ".join,
)
def test_no_model_library_and_no_table_is_needed(arguments: tuple[str, ...]) -> None:
    packages = imported(*arguments)
    assert {"graph", "nodes", "pydantic"} <= packages
    assert packages & (HEAVY | {"rich"}) == set()


def test_only_the_named_nodes_are_imported(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("nodes: {src: {use: 'tests.graph.sample_nodes:Source', with: {path: x}}}\n")
    assert "nodes" not in imported("validate", str(tmp_path / "g.yaml"))
