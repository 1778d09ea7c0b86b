"""YAML text into located values, and `${VAR}` in them into what the environment says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from graph.errors import Problem, SpecError
from graph.source import Located, Place, Scalar

_TAG = "tag:yaml.org,2002:"
_TYPED = {f"{_TAG}{name}" for name in ("int", "float", "bool", "null")}  # everything else is a text, dates too
_KNOWN = _TYPED | {f"{_TAG}{name}" for name in ("str", "timestamp", "map", "seq")}
_MERGE = f"{_TAG}merge"

# `$${` is a literal `${`; `${NAME}` and `${NAME:-default}`; what looks like one and is none is an error.
_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}|\$\{[^}]*\}?")


def parse(text: str, file: str) -> tuple[Located, list[Problem]]:
    """The values of a YAML document; an empty one is an empty mapping. Problems are duplicate keys and unknown tags.

    :raises SpecError: it is not YAML.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False  # YAML 1.2 lets an anchor be used again
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        raise SpecError([_syntax(error, text, file)]) from error
    except RecursionError as error:
        raise SpecError([Place(file).problem("not valid YAML: nested too deeply")]) from error
    except YAMLError as error:
        raise SpecError([Place(file).problem(f"not valid YAML: {str(error).splitlines()[0]}")]) from error
    if root is None:
        return Located({}, Place(file, 1, 1)), []
    composed = _Composed(yaml, file)
    return composed.located(root), composed.problems


def _syntax(error: MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line if isinstance(mark, StringMark) else 0
    column = mark.column if isinstance(mark, StringMark) else 0
    lines = text.splitlines()
    at = lines[line] if line < len(lines) else ""
    what = error.problem or "cannot be read"
    if error.context and error.context_mark is not None:
        what += f" {error.context} that begins in line {error.context_mark.line + 1}"
    hint = ""
    if "\t" in at[: column + 1]:
        hint = "indent with spaces, not with tabs"
    elif "${" in at[: column + 2]:
        hint = 'put quotes around it: "${…}"'
    return Place(file, line + 1, column + 1).problem(f"not valid YAML: {what}", at.strip(), hint)


class _Composed:
    """The conversion of one document."""

    def __init__(self, yaml: YAML, file: str) -> None:
        self.problems: list[Problem] = []
        self._yaml = yaml
        self._file = file
        self._around: list[Node] = []  # the collections that the current node stands in

    def located(self, node: Node, key: Place | None = None) -> Located:
        place = self._place(node)
        tag = str(node.tag)
        if tag not in _KNOWN:
            self.problems.append(place.problem(f"tag '{tag}' means nothing here", tag))
        if any(node is one for one in self._around):
            self.problems.append(place.problem("an anchor must not stand for what contains it"))
            return Located(None, place, key)
        if isinstance(node, MappingNode | SequenceNode):
            self._around.append(node)
            inner = self._mapping(node) if isinstance(node, MappingNode) else [self.located(item) for item in node.value]
            self._around.pop()
            return Located(inner, place, key)
        plain = isinstance(node, ScalarNode) and node.style is None
        if key and plain and not node.value:  # nothing is written: YAML places it where the next thing begins
            place = key
        return Located(_typed(self._yaml, node.value, plain), place, key, node.value, plain)

    def _mapping(self, node: MappingNode) -> dict[str, Located]:
        inherited: dict[str, Located] = {}
        own: dict[str, Located] = {}
        for key, value in node.value:
            place = self._place(key)
            if key.tag == _MERGE:  # `<<: *anchor`; what the mapping says itself wins, wherever it stands
                for base in value.value if isinstance(value, SequenceNode) else [value]:
                    if not isinstance(base, MappingNode):
                        self.problems.append(self._place(base).problem("'<<' takes a mapping, or a list of them"))
                    inherited = {**self.located(base).mapping, **inherited}
            elif not isinstance(key, ScalarNode):
                self.problems.append(place.problem("a key must be a text"))
            elif key.value in own:
                first = own[key.value].key
                line = first.line if first else 0
                self.problems.append(place.problem(f"duplicate key '{key.value}', first in line {line}", key.value))
            else:
                own[key.value] = self.located(value, place)
        return {**inherited, **own}

    def _place(self, node: Node) -> Place:
        return Place(self._file, node.start_mark.line + 1, node.start_mark.column + 1)


def _typed(yaml: YAML, text: str, plain: bool) -> Scalar:
    """A scalar by the rules of YAML 1.2: without quotes it may be a number, true, false or null."""
    tag = yaml.resolver.resolve(ScalarNode, text, (plain, not plain))
    if str(tag) not in _TYPED:
        return text
    try:
        value: Scalar = yaml.constructor.construct_object(ScalarNode(tag, text))
    except ValueError:  # thousands of digits, more than Python turns into a number
        return text
    return value


def substitute(located: Located, environment: Mapping[str, str]) -> tuple[Located, list[Problem]]:
    """Replace `${VAR}` and `${VAR:-default}` in every text.

    What had no quotes gets its type afterwards: `${THREADS:-2}` is a number, `"${TOKEN}"` always a text. Nothing else of
    YAML is read out of a variable, so its content cannot change the shape of the file.
    """
    yaml = YAML(typ="safe", pure=True)
    problems: list[Problem] = []

    def inner(here: Located) -> Located:
        if isinstance(here.value, dict):
            return replace(here, value={key: inner(entry) for key, entry in here.value.items()})
        if isinstance(here.value, list):
            return replace(here, value=[inner(item) for item in here.value])
        if "${" not in here.text:
            return here
        text = _VARIABLE.sub(lambda match: variable(match, here.place), here.text)
        return replace(here, value=_typed(yaml, text, here.plain), text=text)

    def variable(match: re.Match[str], place: Place) -> str:
        whole, name, default = match[0], match[1], match[3]
        if whole == "$${":
            return "${"
        if name is None:
            hint = "write ${NAME} or ${NAME:-default}, or $${ for a plain ${"
            problems.append(place.problem(f"'{whole}' is not a variable", whole, hint))
            return ""
        # As in a shell, `:-` also stands in for a variable that is set and empty.
        found = environment.get(name)
        if default is not None and not found:
            return str(default)
        if found is None:
            hint = f"set it, or write a default: ${{{name}:-…}}"
            problems.append(place.problem(f"environment variable '{name}' is not set", whole, hint))
            return ""
        return found

    return inner(located), problems
