"""What there is to know of a node class, read from the code: its ports, its parameters, its help."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from graph.errors import NodeError
from graph.node import Node
from graph.registry import Registry

_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    type(None): "null",
    list: "list",
    Any: "anything",
}


class InputPort(msgspec.Struct, frozen=True):
    name: str
    kinds: tuple[str, ...]
    required: bool
    interrupts: bool
    doc: str


class OutputPort(msgspec.Struct, frozen=True):
    name: str
    kinds: tuple[str, ...]
    doc: str


class Parameter(msgspec.Struct, frozen=True):
    """A key of `with:`; `type` is a phrase that names its limits too."""

    name: str
    type: str
    required: bool
    default: Any
    description: str


class Description(msgspec.Struct, frozen=True):
    """A node; one that cannot be imported has only its name, its target and the reason in `broken`."""

    name: str
    target: str
    broken: str = ""
    doc: str = ""
    extra: str = ""
    inputs: tuple[InputPort, ...] = ()
    outputs: tuple[OutputPort, ...] = ()
    parameters: tuple[Parameter, ...] = ()

    @property
    def family(self) -> str:
        """What stands before the dot of its name; of a class named by import path, its package."""
        return self.name.partition(":")[0].partition(".")[0]

    @property
    def summary(self) -> str:
        """The first line of its help."""
        return self.doc.partition("\n")[0]


def describe_all(registry: Registry) -> Iterator[Description]:
    """Every registered node. One that cannot be imported is described as broken."""
    for name, target in registry.targets.items():
        try:
            yield describe(name, target, registry.load(name))
        except NodeError as error:
            yield Description(name, target, broken=str(error))


def describe(name: str, target: str, cls: type[Node]) -> Description:
    """One node class."""
    return Description(
        name=name,
        target=target,
        doc=inspect.getdoc(cls) or "",
        extra=cls.extra,
        inputs=tuple(
            InputPort(p.name, tuple(k.kind for k in p.kinds), p.required, p.interrupts, p.doc) for p in cls.inputs().values()
        ),
        outputs=tuple(OutputPort(p.name, tuple(k.kind for k in p.kinds), p.doc) for p in cls.outputs().values()),
        parameters=tuple(_parameters(cls)),
    )


def _parameters(cls: type[Node]) -> Iterator[Parameter]:
    for name, field in cls.Config.model_fields.items():
        required = field.is_required()
        default = None if required else to_jsonable_python(field.get_default(call_default_factory=True))
        kind = _phrase(field.annotation) + _limits(field.metadata)
        yield Parameter(name, kind, required, default, field.description or "")


def _phrase(annotation: Any) -> str:
    """A type in a few words: "whole number", "'fit' or number 8..30"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        base, *metadata = arguments
        return _phrase(base) + _limits([m for one in metadata for m in (one.metadata if isinstance(one, FieldInfo) else [one])])
    if origin in (Union, UnionType):
        return " or ".join(map(_phrase, arguments))
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (list, tuple, set, frozenset):
        return f"list of {_phrase(arguments[0])}"
    return _NAMES.get(origin or annotation, "mapping")


def _limits(metadata: Sequence[Any]) -> str:
    """The bounds of a number and the pattern of a text, as pydantic keeps them with a type."""
    said = {name: getattr(one, name) for one in metadata for name in ("ge", "gt", "le", "lt", "pattern") if hasattr(one, name)}
    if "ge" in said and "le" in said:
        return f" {said['ge']}..{said['le']}"
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "pattern": "like"}
    return ",".join(f" {signs[name]} {bound}" for name, bound in said.items() if bound is not None)
