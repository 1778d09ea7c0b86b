"""Failures to write, told to the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graph.errors import NodeError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell what goes wrong in here in one line.

    :raises NodeError: no permission, a file in the way of a folder, the disk is full …
    """
    try:
        yield
    except OSError as error:
        raise NodeError(f"cannot write '{path}': {(error.strerror or str(error)).lower()}") from error
