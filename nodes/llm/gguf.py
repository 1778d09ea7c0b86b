"""Finds the GGUF file that a model reference means."""

from __future__ import annotations

import re
from pathlib import Path

from graph.errors import ModelError
from graph.models import locate

MAGIC = b"GGUF"  # https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")  # of a split model; llama.cpp finds them from the first


def find(reference: str, file: str = "") -> Path:
    """The GGUF file of a model.

    :param reference: a catalogue name, a hub id, a folder, or the file itself.
    :param file: which file of a folder or hub repository that holds several.
    :raises ModelError: the model is not here, holds no such file or several to choose from, or is no GGUF.
    """
    found = locate(reference)
    path = found if found.is_file() else _choose(reference, found, file)
    with path.open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise ModelError(f"model '{reference}': {path} is not a GGUF file")
    return path


def _choose(reference: str, folder: Path, file: str) -> Path:
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.gguf") if not _LATER_PART.search(p.name))
    if not names:
        raise ModelError(f"model '{reference}': no .gguf file in {folder}")
    if file:
        if file not in names:
            raise ModelError(f"model '{reference}': no file '{file}' in {folder}; there are: {', '.join(names)}")
        return folder / file
    if len(names) > 1:
        raise ModelError(f"model '{reference}': several files in {folder}, choose one with `file`: {', '.join(names)}")
    return folder / names[0]
