"""The JSON Schema of a graph file, with the parameters and ports of every node there is, so that editors complete and check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema as core

from graph.node import Node
from graph.spec import GraphFile

# What stands in quotes because of a variable in it is a text to an editor, whatever it becomes.
_VARIABLE = {"type": "string", "pattern": r"\$\{"}
_NOTHING = {"type": "null"}


class _WithVariables(GenerateJsonSchema):
    """Lets a text with `${VAR}` in it stand where a number, a choice or true and false is asked for."""

    def int_schema(self, schema: core.IntSchema) -> JsonSchemaValue:
        return _or_variable(super().int_schema(schema))

    def float_schema(self, schema: core.FloatSchema) -> JsonSchemaValue:
        return _or_variable(super().float_schema(schema))

    def bool_schema(self, schema: core.BoolSchema) -> JsonSchemaValue:
        return _or_variable(super().bool_schema(schema))

    def literal_schema(self, schema: core.LiteralSchema) -> JsonSchemaValue:
        return _or_variable(super().literal_schema(schema))


def _or_variable(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {"anyOf": [schema, _VARIABLE]}


def file_schema(classes: Mapping[str, type[Node]]) -> dict[str, Any]:
    """The schema of a graph file.

    :param classes: the registered nodes by name; what `use` says otherwise may have any parameters.
    """
    models: list[type[BaseModel]] = [GraphFile, *dict.fromkeys(cls.Config for cls in classes.values())]
    refs, definitions = models_json_schema([(m, "validation") for m in models], schema_generator=_WithVariables)
    schemas: dict[str, Any] = definitions["$defs"]
    root = schemas.pop("GraphFile")
    node = schemas["NodeSpec"]
    # None of both is right too: a file that includes another says only what it changes,
    node["not"] = {"type": "object", "required": ["use", "exec"]}
    node["type"] = ["object", "null"]  # and leaves empty what it takes away
    node["properties"]["in"]["additionalProperties"]["anyOf"].append(_NOTHING)
    node["properties"]["use"]["anyOf"] = [{"enum": list(classes)}, {"pattern": ":"}, {"pattern": r"\$\{"}]
    node["allOf"] = [_when(name, cls, refs[cls.Config, "validation"]) for name, cls in classes.items()]
    for cls in classes.values():  # required parameters may come from the file that this one is laid over
        schemas[refs[cls.Config, "validation"]["$ref"].rpartition("/")[2]].pop("required", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": schemas}


def _when(name: str, cls: type[Node], parameters: JsonSchemaValue) -> dict[str, Any]:
    """For a node that uses this class: these parameters and these inputs."""
    inputs = {"additionalProperties": _NOTHING, "properties": {port.name: _port(port.doc) for port in cls.inputs().values()}}
    use = {"properties": {"use": {"const": name}}, "required": ["use"]}
    return {"if": use, "then": {"properties": {"with": parameters, "in": inputs}}}


def _port(doc: str) -> dict[str, str]:
    return {"description": doc} if doc else {}
