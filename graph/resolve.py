"""What the names in a graph file mean: classes, programs, parameters and ports; every name that means nothing is a problem."""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from graph.errors import NodeError, Problem, VoicegraphError
from graph.foreign import PORT_NAME, AnyInput, Ports, UnknownProgram, declared_ports, find_program, ports_of_class
from graph.node import TELEMETRY, Input, Node, Output
from graph.plan import WhenFull
from graph.registry import Registry, UnknownNode
from graph.source import Located, Place
from graph.spec import Connection, NodeSpec, Spec
from graph.validation import did_you_mean, problems_of
from graph.whole import check_whole, standbys

ALL = "*"
_LISTED = 8  # names that a hint lists before it gives up


@dataclass(frozen=True)
class ResolvedNode:
    """A node whose class or program was found and whose parameters are right."""

    name: str
    spec: NodeSpec
    target: str
    config: dict[str, Any]
    models: tuple[str, ...] = ()
    terminal: bool = False
    command: tuple[str, ...] = ()
    outputs: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of a program
    code: str = ""
    replaceable: bool = True
    changeable: tuple[str, ...] = ()  # parameters, while it runs


@dataclass(frozen=True)
class Wire:
    """One output that feeds one input, as the file says it or a wildcard implies it."""

    producer: str
    port: str
    consumer: str
    input: str
    connection: Connection
    place: Place
    interrupts: bool = False  # the input does
    past: bool = False  # it tells of turns that are over

    @property
    def implied(self) -> bool:
        """True when a wildcard stands for it."""
        return self.connection.output.startswith(ALL)

    @property
    def when_full(self) -> WhenFull:
        """What gives way when the link is full."""
        return self.connection.when_full or ("block" if self.connection.link == "queue" else "drop_newest")


@dataclass
class Resolved:
    """The meaning of a spec; complete only where there are no problems."""

    nodes: dict[str, ResolvedNode] = field(default_factory=dict)
    wires: list[Wire] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def resolve(spec: Spec, registry: Registry) -> Resolved:
    """Find classes and programs, check parameters, wire ports."""
    return _Resolver(spec, registry).resolve()


class _Resolver:
    def __init__(self, spec: Spec, registry: Registry) -> None:
        self._spec = spec
        self._registry = registry
        self._classes: dict[str, type[Node]] = {}  # by node, those that could be found
        self._ports: dict[str, Ports] = {}  # by node, of classes and of programs
        self._standbys = standbys(spec)
        self._result = Resolved()

    def resolve(self) -> Resolved:
        nodes = self._spec.graph.nodes
        for name, node in nodes.items():
            if node.command:
                self._find_program(name, node, node.command)
            elif node.use:
                self._find_class(name, node)
        for name in self._ports:
            self._take(name)
        for name, node in nodes.items():
            if name not in self._standbys:
                self._wire(name, node)
        for place, message, text, suggestion in check_whole(self._spec, self._ports, self._result.wires):
            self._problem(place, message, text, suggestion)
        return self._result

    def _said(self, *path: str) -> Located:
        return self._spec.tree.at(("nodes", *path))

    def _problem(self, place: Place, message: str, text: str = "", suggestion: str = "") -> None:
        self._result.problems.append(place.problem(message, text, suggestion))

    # classes and parameters

    def _find_class(self, name: str, node: NodeSpec) -> None:
        place = self._said(name, "use").place
        try:
            self._classes[name] = self._registry.load(node.use)
        except UnknownNode as error:
            self._problem(place, f"{name}: {error.message}", node.use, error.suggestion)
        except NodeError as error:
            self._problem(place, f"{name}: {error}", node.use)

        else:
            self._ports[name] = ports_of_class(self._classes[name])

    def _find_program(self, name: str, node: NodeSpec, command: list[str]) -> None:
        self._ports[name] = declared_ports(node)
        for key, ports in (("in", node.inputs), ("out", node.outputs)):
            for port in ports:
                said = self._said(name, key, port)
                if not re.fullmatch(PORT_NAME, port) or (key == "out" and port == TELEMETRY):
                    rule = "every node has telemetry" if port == TELEMETRY else "a letter a-z, then up to 31 of a-z, 0-9 and _"
                    self._problem(said.key or said.place, f"{name}: '{port}' is not a name for a port", port, rule)
        try:
            find_program(command[0])
        except UnknownProgram as error:
            self._problem(self._said(name, "exec").place, f"{name}: {error.message}", command[0], error.suggestion)

    def _take(self, name: str) -> None:
        """A node that was found goes into the plan if its parameters are right; those of a program are its own concern."""
        node = self._spec.graph.nodes[name]
        if name in self._classes:
            self._check_parameters(name, node, self._classes[name])
        else:
            outputs = {port: tuple(kinds) for port, kinds in node.outputs.items()}
            command = tuple(node.command)
            self._result.nodes[name] = ResolvedNode(name, node, "", node.parameters, command=command, outputs=outputs)

    def _check_parameters(self, name: str, node: NodeSpec, cls: type[Node]) -> None:
        here = self._said(name)
        said = here.mapping.get("with") or Located({}, here.place, here.key)
        try:
            config = cls.Config.model_validate(node.parameters)
            models = tuple(cls.models(config))
        except ValidationError as error:
            errors = error.errors(include_url=False)
            self._result.problems += problems_of(errors, cls.Config, said, f"{name}: ", "parameter")
        except VoicegraphError as error:
            self._problem((said.key or said.place), f"{name}: {error}")
        else:
            target = self._registry.target(node.use)
            said_all = config.model_dump(mode="json")
            self._result.nodes[name] = ResolvedNode(
                name,
                node,
                target,
                said_all,
                models,
                cls.terminal,
                code=_code(cls),
                replaceable=cls.replaceable,
                changeable=tuple(sorted(cls.changeable)),
            )

    # ports

    def _wire(self, name: str, node: NodeSpec) -> None:
        if name not in self._ports:
            return
        inputs = self._ports[name].inputs
        for key, connections in node.inputs.items():
            said = self._said(name, "in", key)
            if key not in inputs:
                hint = did_you_mean(key, inputs) or _listing("it has", inputs) or "it has none"
                self._problem(said.key or said.place, f"{name}: unknown input '{key}'", key, hint)
                continue
            wires: list[Wire] = []
            for index, connection in enumerate(connections):
                self._check_options(name, connection, said.at((index,)))
                wires += self._wires(name, inputs[key], connection, said.at((index, "from")).place)
            self._result.wires += self._once(wires)
        here = self._said(name)
        for key, port in inputs.items():
            if port.required and key not in self._inputs_said(name):
                place = here.mapping["in"].key if "in" in here.mapping else here.key
                hint = _listing("fits:", self._fitting(name, port))
                self._problem(place or here.place, f"{name}: required input '{key}' is not connected", key, hint)

    def _inputs_said(self, name: str) -> dict[str, Located]:
        said = self._said(name).mapping.get("in")
        return said.mapping if said else {}

    def _wires(self, name: str, port: Input[Any], connection: Connection, place: Place) -> Iterator[Wire]:
        """The wires that one entry of an input stands for; none where it is wrong."""
        output = connection.output
        producer, _, output_port = output.partition(".")
        if not producer or not output_port:
            hint = did_you_mean(output, self._outputs()) or _listing("fits:", self._fitting(name, port))
            self._problem(place, f"{name}: '{output}' is not an output, which is written node.port", output, hint)
        elif producer in self._standbys:
            who = self._standbys[producer]
            hint = f"{who}.{output_port}"
            self._problem(place, f"{name}: '{producer}' is only a fallback: it speaks as '{who}'", output, hint)
        elif producer == ALL:
            producers = self._all_with(output_port, output, name)
            if not producers:
                hint = did_you_mean(output_port, [o.partition(".")[2] for o in self._outputs()])
                self._problem(place, f"{name}: no other node has an output '{output_port}'", output, hint)
            for one in producers:
                yield from self._wire_one(name, port, connection, one, output_port, place)
        elif producer in self._ports:
            yield from self._wire_one(name, port, connection, producer, output_port, place)
        elif producer not in self._spec.tree.at(("nodes",)).mapping:
            nodes = list(self._spec.graph.nodes)
            close = did_you_mean(output, self._outputs()) or did_you_mean(producer, nodes)
            self._problem(place, f"{name}: unknown node '{producer}' in '{output}'", output, close or _listing("nodes:", nodes))

    def _wire_one(
        self, name: str, port: Input[Any], connection: Connection, producer: str, output_port: str, place: Place
    ) -> Iterator[Wire]:
        outputs = self._ports[producer].outputs
        text = f"{producer}.{output_port}"
        if output_port not in outputs:
            hint = did_you_mean(text, [f"{producer}.{o}" for o in outputs]) or _listing("it has", outputs)
            self._problem(place, f"{name}: '{producer}' has no output '{output_port}'", text, hint)
        elif not _fits(outputs[output_port], port):
            carried, taken = _kinds(outputs[output_port]), _kinds(port)
            hint = _listing("fits:", self._fitting(name, port))
            self._problem(place, f"{name}: input '{port.name}' takes {taken}, but '{text}' carries {carried}", text, hint)
        else:
            yield Wire(producer, output_port, name, port.name, connection, place, port.interrupts, port.past)

    def _all_with(self, output_port: str, wildcard: str, name: str) -> list[str]:
        """What `*.port` means to a node: all others that have the port, less those that listen to the same wildcard.

        Two metrics nodes would otherwise hear each other hearing each other.
        """
        nodes = self._spec.graph.nodes
        listeners = {n for n, spec in nodes.items() for cs in spec.inputs.values() for c in cs if c.output == wildcard}
        others = [n for n in self._ports if n != name and n not in listeners and n not in self._standbys]
        return [n for n in others if output_port in self._ports[n].outputs]

    def _outputs(self) -> list[str]:
        return [f"{name}.{port}" for name, ports in self._ports.items() for port in ports.outputs]

    def _fitting(self, name: str, port: Input[Any]) -> list[str]:
        """The outputs of other nodes that an input takes."""
        others = ((n, o) for n, ports in self._ports.items() if n != name for o in ports.outputs.values())
        return [f"{n}.{output.name}" for n, output in others if _fits(output, port)]

    def _check_options(self, name: str, connection: Connection, said: Located) -> None:
        if connection.link == "stream" and connection.when_full == "block":
            place = said.at(("when_full",)).place
            hint = "drop_oldest, drop_newest, or link: queue"
            self._problem(place, f"{name}: a stream never blocks its producer", "block", hint)
        if connection.link == "stream":
            for key in ("delivery", "order", "give_up_after"):
                if key in said.mapping:
                    self._problem(said.at((key,)).place, f"{name}: '{key}' is for queues", key, "link: queue")
        if connection.delivery == "at_least_once" and connection.when_full in ("drop_oldest", "drop_newest"):
            place = said.at(("when_full",)).place
            self._problem(place, f"{name}: at_least_once never drops", connection.when_full, "block")

    def _once(self, wires: list[Wire]) -> Iterator[Wire]:
        """No output twice on one input; what a wildcard repeats is meant once."""
        named = {(w.producer, w.port) for w in wires if not w.implied}
        seen: set[tuple[str, str]] = set()
        for wire in wires:
            key = (wire.producer, wire.port)
            if wire.implied and key in named | seen:
                continue
            if key in seen:
                output = ".".join(key)
                self._problem(wire.place, f"{wire.consumer}: '{output}' is listed twice for input '{wire.input}'", output)
                continue
            seen.add(key)
            yield wire


def _code(cls: type[Node]) -> str:
    """A mark of the file that holds a class: another when the file is."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    try:
        return f"{zlib.crc32(Path(file).read_bytes()):08x}" if file else ""
    except OSError:  # it came from somewhere else
        return ""


def _fits(output: Output[Any], port: Input[Any]) -> bool:
    return isinstance(port, AnyInput) or {k.kind for k in output.kinds} <= {k.kind for k in port.kinds}


def _kinds(port: Input[Any] | Output[Any]) -> str:
    return ", ".join(kind.kind for kind in port.kinds)


def _listing(lead: str, names: Iterable[str]) -> str:
    """A hint that lists what there is; empty where that is nothing."""
    listed = list(names)
    more = ", …" if len(listed) > _LISTED else ""
    return f"{lead} {', '.join(listed[:_LISTED])}{more}" if listed else ""
