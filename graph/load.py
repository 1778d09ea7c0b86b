"""From a file on disk to a plan: reads files, includes and overlays from the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from graph.errors import Problem, SpecError
from graph.plan import Plan
from graph.planning import build
from graph.registry import Registry
from graph.source import Located, Place, overlay
from graph.spec import Spec, read_spec
from graph.validation import did_you_mean
from graph.yaml_text import parse, substitute


def load_plan(file: Path, overlays: Sequence[str] = ()) -> Plan:
    """Read a graph file, with what it includes and with `nodes.stt.with.model=small` from the command line, and plan it.

    :raises SpecError: with every problem there is.
    """
    plan = build(load_spec(file, overlays, os.environ), Registry.installed())
    return msgspec.structs.replace(plan, overlays=tuple(overlays))


def load_spec(file: Path, overlays: Sequence[str], environment: Mapping[str, str]) -> Spec:
    """Read a graph file and check it against the format.

    :raises SpecError: a file cannot be read or is not YAML; everything else is kept in the spec's problems.
    """
    reader = _Reader(environment)
    tree = reader.read(file)
    for text in overlays:
        tree = overlay(tree, reader.command_line(text))
    tree, unset = substitute(tree, environment)
    return read_spec(tree, str(file), [*reader.problems, *unset])


def read_tree(file: Path, environment: Mapping[str, str]) -> tuple[Located, list[Problem]]:
    """A graph file with what it includes, unchecked, `${VAR}` still in it; and what is wrong so far.

    :raises SpecError: as `load_spec`.
    """
    reader = _Reader(environment)
    return reader.read(file), reader.problems


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._environment = environment

    def read(self, file: Path, place: Place | None = None, within: tuple[Path, ...] = ()) -> Located:
        """A file laid over those that it includes.

        :param place: where it is included, if it is.
        :param within: the files that it is included by, outermost first.
        """
        tree, problems = parse(file_text(file, place), str(file))
        self.problems += problems
        include = tree.mapping.get("include")
        if include is None:
            return tree
        here = Located({key: value for key, value in tree.mapping.items() if key != "include"}, tree.place)
        lower = None
        for item in include.value if isinstance(include.value, list) else [include]:
            found = self._included(item, file, within)
            if found is not None:
                lower = found if lower is None else overlay(lower, found)
        return here if lower is None else overlay(lower, here)

    def _included(self, item: Located, file: Path, within: tuple[Path, ...]) -> Located | None:
        name, unset = substitute(item, self._environment)
        self.problems += unset
        if not isinstance(name.value, str):
            message = f"'include' must be a file or a list of files, not {item.shown}"
            self.problems.append(item.place.problem(message, item.text))
        if unset or not isinstance(name.value, str):
            return None
        path = Path(os.path.normpath(file.parent / name.value))
        chain = (*within, file)
        if path.resolve() in [one.resolve() for one in chain]:
            loop = " -> ".join(map(str, [*chain, path]))
            self.problems.append(item.place.problem(f"a file must not include itself: {loop}", name.value))
            return None
        return self.read(path, item.place, chain)

    def command_line(self, text: str) -> Located:
        """`nodes.stt.with.model=small` as the mapping it stands for; its value is YAML, and empty it is null."""
        place = Place(f"-o {text}")
        path, equals, value = text.partition("=")
        steps = path.strip().split(".")
        if not equals or not all(steps):
            raise SpecError([place.problem("an overlay is written PATH=VALUE", text, "for example nodes.stt.with.model=small")])
        try:
            tree, problems = parse(value.strip() or "null", place.file)
        except SpecError as error:
            raise SpecError([replace(problem, line=0, column=0) for problem in error.problems]) from error
        self.problems += [replace(problem, line=0, column=0) for problem in problems]
        tree = tree.moved(place)
        for step in reversed(steps):
            tree = Located({step: replace(tree, key=place)}, place)
        return tree


def file_text(file: Path, place: Place | None = None) -> str:
    """What stands in a file.

    :param place: where it is included, if it is.
    :raises SpecError: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError([Place(str(file)).problem(f"is not a text in UTF-8 (byte {error.start})")]) from error
    except FileNotFoundError:
        others = (one.name for one in file.parent.glob("*.y*ml") if place is None or one != Path(place.file))
        what, hint = "no such file", did_you_mean(file.name, others)
    except IsADirectoryError:
        what, hint = "is a folder, not a graph file", ""
    except OSError as error:
        what, hint = f"cannot be read: {error.strerror}", ""
    message, where = (f"cannot include '{file}': {what}", place) if place else (what, Place(str(file)))
    raise SpecError([where.problem(message, str(file), hint)])
