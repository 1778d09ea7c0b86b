"""The model store: `locate` finds a model's files, `graph models pull` brings them."""

from __future__ import annotations

import os
from pathlib import Path

from graph.errors import ModelError


def locate(reference: str) -> Path:
    """Where a model's files are: a folder for a catalogue name or hub id, the path itself for a path.

    :raises ModelError: it is not here; the text says how to get it.
    """
    path = Path(reference).expanduser()
    store = Path(os.environ["VOICEGRAPH_MODELS"]) / reference
    for candidate in (path, store):
        if candidate.exists():
            return candidate
    raise ModelError(f"model '{reference}' is not here: run `graph models pull {reference}`")
