"""Changing a graph file as its author would: one value is another, and everything else stays as it is written."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from graph.source import Located
from graph.yaml_text import parse


def with_value(text: str, path: Sequence[str], value: str, file: str = "") -> str:
    """The text of a graph file in which the value at a path of mappings is another.

    A scalar that is there is written over where it stands. What is not there yet is added, which may lay out the lines of
    that mapping anew, though comments and the order of keys are kept.

    :param value: as one would write it in the file.
    :raises SpecError: the text is not YAML.
    """
    tree, _ = parse(text, file)
    if tree.has(path):
        here = tree.at(path)
        if not isinstance(here.value, dict | list) and here.place.line:
            return _written_over(text, here, value)
    return _added(text, path, value)


def without(text: str, path: Sequence[str], file: str = "") -> str:
    """The text of a graph file without the value at a path, if it is there.

    :raises SpecError: the text is not YAML.
    """
    tree, _ = parse(text, file)
    if not tree.has(path):
        return text
    yaml, document = _loaded(text)
    here = document
    for step in path[:-1]:
        here = here[step]
    del here[path[-1]]
    return _dumped(yaml, document)


def _written_over(text: str, here: Located, value: str) -> str:
    lines = text.splitlines(keepends=True)
    line, column = lines[here.place.line - 1], here.place.column - 1
    length = _length(line[column:], here)
    lines[here.place.line - 1] = line[:column] + value + line[column + length :]
    return "".join(lines)


def _length(rest: str, here: Located) -> int:
    """How many characters a scalar takes where it stands, its quotes among them."""
    if here.plain:
        return len(here.text)
    quote = rest[0]
    at = 1
    while at < len(rest):
        if rest[at] == "\\" and quote == '"':
            at += 2
        elif rest[at] == quote and rest[at : at + 2] != quote * 2:
            return at + 1
        else:
            at += 2 if rest[at] == quote else 1
    return len(rest.rstrip("\n"))


def _added(text: str, path: Sequence[str], value: str) -> str:
    yaml, document = _loaded(text)
    here = document
    for step in path[:-1]:
        if not isinstance(here.get(step), dict):
            here[step] = {}
        here = here[step]
    here[path[-1]] = YAML(typ="safe").load(value)
    return _dumped(yaml, document)


def _loaded(text: str) -> tuple[YAML, Any]:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
    return yaml, yaml.load(text) or {}


def _dumped(yaml: YAML, document: Any) -> str:
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def write(file: Path, text: str) -> None:
    """Write a file at once: whoever watches it never reads half of it.

    :raises OSError: it cannot be written.
    """
    half = file.with_name(f".{file.name}.new")
    half.write_text(text, encoding="utf-8")
    half.chmod(file.stat().st_mode & 0o777)
    half.replace(file)
