"""Finds the one file that a model consists of."""

from __future__ import annotations

from pathlib import Path

from graph.errors import NodeError
from graph.models import locate


def model_file(reference: str, suffix: str) -> Path:
    """The file of a model.

    :param reference: the file itself, a folder, a catalogue name or a hub id.
    :param suffix: how the file's name ends, e.g. ".onnx".
    :raises ModelError: the model is unknown or not here.
    :raises NodeError: its folder holds no such file, or several.
    """
    found = locate(reference)
    if found.is_file():
        return found
    files = sorted(found.glob(f"*{suffix}"))
    if len(files) != 1:
        there = f"{', '.join(f.name for f in files)}: name one of them" if files else "none"
        raise NodeError(f"{found} should hold one {suffix} file, and holds {there}")
    return files[0]
