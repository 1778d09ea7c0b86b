"""Finds node classes: by the names that packages register, and by import path."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path

from graph.errors import NodeError
from graph.node import Node
from graph.validation import did_you_mean

ENTRY_POINTS = "voicegraph.nodes"


class UnknownNode(NodeError):
    """No package registers a node of this name; `suggestion` says what may have been meant."""

    exit_code = 2

    def __init__(self, use: str, known: Iterable[str]) -> None:
        self.message = f"unknown node '{use}'"
        self.suggestion = did_you_mean(use, known) or "`graph nodes` lists what there is"
        super().__init__(f"{self.message} ({self.suggestion})")


class Registry:
    """The nodes that can be named, by the import path of their class; nothing is imported before it is asked for."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        self.targets = dict(sorted(targets.items()))

    @classmethod
    def installed(cls) -> Registry:
        """What the installed packages register."""
        return cls({point.name: point.value for point in entry_points(group=ENTRY_POINTS)})

    def target(self, use: str) -> str:
        """The import path of what a file says behind `use`.

        :raises UnknownNode: it is neither a registered name nor an import path.
        """
        if ":" in use:
            return use
        if use not in self.targets:
            raise UnknownNode(use, self.targets)
        return self.targets[use]

    def load(self, use: str) -> type[Node]:
        """The class behind `use`.

        :raises NodeError: it is unknown, does not import, or is not a Node.
        """
        return load_class(self.target(use))


def load_class(target: str) -> type[Node]:
    """The class at "package.module:Class"; modules beside the graph file's working directory are found too.

    :raises NodeError: it does not import, is not a Node, or has no handler for one of its inputs.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last: a folder `graph` or `nodes` of the user's must not hide ours
    module, _, name = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise NodeError(f"cannot import node '{target}': {error}") from error
    except Exception as error:  # an author's module may fail in any way while it is imported
        raise NodeError(f"cannot import node '{target}': {type(error).__name__}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Node)):
        raise NodeError(f"'{target}' is not a node: it must be a subclass of graph.node.Node")
    for port, taken in found.inputs().items():
        if not taken.interrupts and not hasattr(found, f"on_{port}"):
            raise NodeError(f"node '{target}' has an input '{port}' and no handler for it: define on_{port}")
    return found
