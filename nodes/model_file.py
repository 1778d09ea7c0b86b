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
    return only_file(locate(reference), suffix)


def only_file(found: Path, suffix: str) -> Path:
    """The file itself, or the only one with this suffix in a folder or below it.

    :raises NodeError: the folder holds no such file, or several.
    """
    if found.is_file():
        return found
    files = sorted(found.rglob(f"*{suffix}"))
    if len(files) != 1:
        names = ", ".join(str(f.relative_to(found)) for f in files)
        raise NodeError(f"{found} should hold one {suffix} file, and holds {f'{names}: name one of them' if files else 'none'}")
    return files[0]
