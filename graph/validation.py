"""Pydantic's verdicts on a part of the graph file, told at their places and in the words of the file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from graph.errors import Problem
from graph.source import Located, Path

EXPECTED = "expected"  # the type of our own validators' PydanticCustomError: its text completes "… must be"

_MUST_BE = {
    EXPECTED: "{msg}",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "path_type": "a path",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "union_tag_invalid": "{expected_tags}",
    "string_pattern_mismatch": "like {pattern}",
    "string_too_short": "{min_length} or more characters long",
    "string_too_long": "at most {max_length} characters long",
    "too_short": "{min_length} or more items long",
    "too_long": "at most {max_length} items long",
}


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """A suggestion for a text that is none of the known ones; empty where nothing is close."""
    close = difflib.get_close_matches(text, list(known), n=1)
    return f"did you mean '{close[0]}'?" if close else ""


def problems_of(
    errors: Iterable[ErrorDetails], model: type[BaseModel], value: Located, prefix: str, noun: str
) -> list[Problem]:
    """What pydantic found wrong with `value`, in one problem a place and key.

    :param prefix: what every message begins with, e.g. "stt: ".
    :param noun: what the keys of the value are called: "key", "parameter".
    """
    problems = []
    of_a_value: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for one in errors:
        if one["type"] in ("missing", "extra_forbidden", "union_tag_not_found"):
            problems.append(_key_problem(one, model, value.at(one["loc"]), prefix, noun))
        else:  # a value that may be of several types fails once for each
            of_a_value.setdefault(value.follow(one["loc"])[1] or one["loc"][:1], []).append(one)
    return problems + [_value_problem(of_it, path, value, prefix) for path, of_it in of_a_value.items()]


def _key_problem(error: ErrorDetails, model: type[BaseModel], here: Located, prefix: str, noun: str) -> Problem:
    key = str(error["loc"][-1])
    if error["type"] == "extra_forbidden":
        known = list(_keys(model, error["loc"][:-1]))
        hint = did_you_mean(key, known) or (f"known: {', '.join(known)}" if known else "there are none")
        return (here.key or here.place).problem(f"{prefix}unknown {noun} '{key}'", key, hint)
    if error["type"] == "union_tag_not_found":
        key = error["ctx"]["discriminator"].strip("'")
    return (here.key or here.place).problem(f"{prefix}{noun} '{key}' is missing")


def _value_problem(errors: list[ErrorDetails], path: Path, value: Located, prefix: str) -> Problem:
    here = value.at(path)
    key = next((f"'{step}' " for step in reversed(path) if isinstance(step, str)), "")
    name = f"item {path[-1] + 1} of {key}" if path and isinstance(path[-1], int) else key
    wanted = list(dict.fromkeys(filter(None, map(_must_be, errors))))
    if not wanted:
        reason = errors[0]["ctx"]["error"] if errors[0]["type"] == "value_error" else errors[0]["msg"]
        return here.place.problem(f"{prefix}{name}is {here.shown}: {reason}", here.text)
    hint = did_you_mean(here.text, re.findall(r"'([^']*)'", " ".join(wanted)))
    return here.place.problem(f"{prefix}{name}must be {' or '.join(wanted)}, not {here.shown}", here.text, hint)


def _must_be(error: ErrorDetails) -> str:
    context = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in error.get("ctx", {}).items()}
    if "expected_tags" in context:
        context["expected_tags"] = str(context["expected_tags"]).replace(", ", " or ")
    return _MUST_BE.get(error["type"], "").format(msg=error["msg"], **context)


def _keys(model: type[BaseModel], path: Path) -> Iterator[str]:
    """The keys that the model takes at a path, found through its annotations."""
    models = [model]
    for step in path:
        fields = [f for m in models for name, f in m.model_fields.items() if step in (name, f.alias)]
        if fields:
            models = [m for field in fields for m in _models_in(field.annotation)]
    for one in models:
        yield from (field.alias or name for name, field in one.model_fields.items())


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
