"""Nodes that are programs of their own (`exec:` in the file): what is known of them without starting them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec

from graph.errors import NodeError
from graph.message import Kind, Mark
from graph.node import TELEMETRY, Input, Node, Output
from graph.spec import NodeSpec
from graph.validation import did_you_mean

PORT_NAME = r"[a-z][a-z0-9_]{0,31}"  # it becomes part of topics and of the names of edges


class AnyInput(Input[Kind]):
    """Takes messages of every kind: what it can read the program alone knows."""


@dataclass(frozen=True)
class Ports:
    """The inputs and outputs of a node by name, whatever it is made of."""

    inputs: Mapping[str, Input[Any]]
    outputs: Mapping[str, Output[Any]]


def ports_of_class(cls: type[Node]) -> Ports:
    """As the class declares them."""
    return Ports(cls.inputs(), cls.outputs())


def declared_ports(node: NodeSpec) -> Ports:
    """As the file declares them: every input that it connects, and the outputs under `out`."""
    inputs = {name: AnyInput(required=False) for name in node.inputs}
    outputs = {name: Output(*map(_kind, kinds)) for name, kinds in node.outputs.items()}
    outputs[TELEMETRY] = Output(Mark)
    for ports in (inputs, outputs):
        for name, port in ports.items():
            port.name = name
    return Ports(inputs, outputs)


@cache
def _kind(name: str) -> type[Kind]:
    """A kind of which only the name is known."""
    return cast(type[Kind], msgspec.defstruct("ForeignKind", [], bases=(Kind,), namespace={"kind": name}, frozen=True))


class UnknownProgram(NodeError):
    """There is nothing to execute; `suggestion` says what may have been meant."""

    exit_code = 2

    def __init__(self, message: str, suggestion: str) -> None:
        self.message = message
        self.suggestion = suggestion
        super().__init__(f"{message} ({suggestion})" if suggestion else message)


def find_program(name: str) -> None:
    """See that a program can be started: a path, from the current directory on, or a name on the PATH.

    :raises UnknownProgram: it is not there, or not executable.
    """
    path = Path(name)
    if os.sep not in name:
        if shutil.which(name) is None:
            beside = f"did you mean './{name}'?" if path.is_file() else ""
            raise UnknownProgram(f"there is no program '{name}' on the PATH", beside)
    elif not path.exists():
        folder = path.parent.iterdir() if path.parent.is_dir() else ()
        others = [os.path.join(os.path.dirname(name), one.name) for one in folder if one.is_file()]  # noqa: PTH118, PTH120 (a leading ./ stays)
        raise UnknownProgram(f"no such program: '{name}'", did_you_mean(name, others))
    elif path.is_dir():
        raise UnknownProgram(f"'{name}' is a folder, not a program", "")
    elif not os.access(path, os.X_OK):
        raise UnknownProgram(f"'{name}' is not executable", f"chmod +x {name}, or name its interpreter before it")
