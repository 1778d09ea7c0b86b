"""What there is to know of a node class, read from the code: its ports, its parameters, its help."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import msgspec

from graph.errors import NodeError
from graph.node import Node
from graph.registry import Registry

_NAMES = {"string": "text", "array": "list", "object": "mapping", "boolean": "true or false"}


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
    schema = cls.Config.model_json_schema()
    required = schema.get("required", ())
    for name, said in schema.get("properties", {}).items():
        kind = _phrase(said, schema.get("$defs", {}))
        yield Parameter(name, kind, name in required, said.get("default"), said.get("description", ""))


def _phrase(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A JSON schema in a few words: "integer 1..10", "'fit' or number 8..30"."""
    if "$ref" in schema:
        return _phrase(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return " or ".join(_phrase(one, definitions) for one in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return " or ".join(repr(one) for one in schema.get("enum", [schema.get("const")]))
    kind = str(schema.get("type", "any"))
    if kind == "array" and "items" in schema:
        return f"list of {_phrase(schema['items'], definitions)}"
    name = "path" if schema.get("format") == "path" else _NAMES.get(kind, kind)
    return name + _limits(schema)


def _limits(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" {low}..{high}"
    signs = {">=": low, ">": above, "<=": high, "<": below}
    bounds = [f" {sign} {bound}" for sign, bound in signs.items() if bound is not None]
    pattern = f" like {schema['pattern']}" if "pattern" in schema else ""
    return ",".join(bounds) + pattern
