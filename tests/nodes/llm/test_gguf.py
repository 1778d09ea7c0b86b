from __future__ import annotations

from pathlib import Path

import pytest

from graph.errors import ModelError
from nodes.llm import gguf


def a_gguf(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF\x03\x00\x00\x00")
    return path


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    path = a_gguf(tmp_path / "model.bin")
    assert gguf.find(str(path)) == path


def test_the_only_file_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("about")
    path = a_gguf(tmp_path / "model.Q4_K_M.gguf")
    assert gguf.find(str(tmp_path)) == path


def test_a_file_of_several_is_named(tmp_path: Path) -> None:
    a_gguf(tmp_path / "model.Q8_0.gguf")
    path = a_gguf(tmp_path / "small" / "model.Q4_K_M.gguf")
    assert gguf.find(str(tmp_path), "small/model.Q4_K_M.gguf") == path


def test_a_split_model_is_its_first_part(tmp_path: Path) -> None:
    for part in (3, 2, 1):
        path = a_gguf(tmp_path / f"model-0000{part}-of-00003.gguf")
    assert gguf.find(str(tmp_path)) == path


@pytest.mark.parametrize(
    ("names", "file", "message"),
    [
        ([], "", "model '{folder}': no .gguf file in {folder}"),
        (["a.gguf", "b.gguf"], "", "model '{folder}': several files in {folder}, choose one with `file`: a.gguf, b.gguf"),
        (["a.gguf"], "c.gguf", "model '{folder}': no file 'c.gguf' in {folder}; there are: a.gguf"),
    ],
)
def test_what_cannot_be_chosen(tmp_path: Path, names: list[str], file: str, message: str) -> None:
    for name in names:
        a_gguf(tmp_path / name)
    with pytest.raises(ModelError) as raised:
        gguf.find(str(tmp_path), file)
    assert str(raised.value) == message.format(folder=tmp_path)


def test_a_file_of_another_format(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError) as raised:
        gguf.find(str(path))
    assert str(raised.value) == f"model '{path}': {path} is not a GGUF file"
