"""Finds node classes: registered names and import paths."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from graph.errors import NodeError
from graph.node import Node


def load_class(target: str) -> type[Node]:
    """The class at "package.module:Class"; modules beside the graph file's working directory are found too.

    :raises NodeError: it does not import, or is not a Node.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last: a folder `graph` or `nodes` of the user's must not hide ours
    module, _, name = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NodeError(f"cannot import node '{target}': {error}") from error
    if not (isinstance(found, type) and issubclass(found, Node)):
        raise NodeError(f"'{target}' is not a node: it must be a subclass of graph.node.Node")
    return found
