"""What a graph file says: its keys, their types and defaults. What its names mean is `graph.resolve`'s concern."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from graph.errors import Problem
from graph.plan import Link, WhenFull
from graph.source import Located, Path
from graph.validation import EXPECTED, did_you_mean, problems_of

NODE_NAME = r"^[a-z][a-z0-9_-]{0,31}$"  # it becomes part of a socket's path, which is at most 107 bytes long
LOOPBACK = r"^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3})$"

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_UNITS_BYTES = {"KB": 2**10, "MB": 2**20, "GB": 2**30}
_SIZE = r"^(\d+)(KB|MB|GB)$"
_DURATION = r"^\d+(\.\d+)?(ms|s|m|h)$"
_RANGE = r"^(\d+(?:\.\d+)?(?:ms|s|m|h))\.\.(\d+(?:\.\d+)?(?:ms|s|m|h))$"


def _seconds(text: Any) -> float:
    """`500ms`, `2s`, `1.5m` in seconds; a number alone could be anything."""
    match = re.fullmatch(_DURATION, text) if isinstance(text, str) else None
    if match is None:
        raise PydanticCustomError(EXPECTED, "a duration like 500ms, 2s or 1m")
    return float(text.removesuffix(match[2])) * _UNITS_S[match[2]]


def _bytes(text: Any) -> int:
    """`64MB` in bytes, as powers of 1024; 0 needs no unit."""
    match = re.fullmatch(_SIZE, text) if isinstance(text, str) else None
    if text == 0 or text == "0":
        return 0
    if match is None:
        raise PydanticCustomError(EXPECTED, "a size like 64KB, 16MB or 1GB")
    return int(match[1]) * _UNITS_BYTES[match[2]]


def _connections(value: Any) -> Any:
    """The short forms of an input: `node.port`, or a list."""
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(one, str | dict) for one in listed):
        raise PydanticCustomError(EXPECTED, "an output, written node.port, or a list of them")
    return [{"from": one} if isinstance(one, str) else one for one in listed]


def _command(value: Any) -> Any:
    """A program and its arguments: a text, split as a shell does, or a list."""
    try:
        parts = shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:
        raise PydanticCustomError(EXPECTED, "a command that a shell could read ({why})", {"why": str(error)}) from error
    if not isinstance(parts, list) or not parts or parts[0] == "":
        raise PydanticCustomError(EXPECTED, "a program with its arguments, like ./my_node or [node, my_node.mjs]")
    return parts


def _kinds(value: Any) -> Any:
    """The kinds that an output carries: one, or a list."""
    return [value] if isinstance(value, str) else value


def _transport(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


def _loopback(host: Any) -> Any:
    if isinstance(host, str) and not re.match(LOOPBACK, host):
        raise PydanticCustomError(EXPECTED, "an address of this machine (links to others need keys, which come later)")
    return "127.0.0.1" if host == "localhost" else host


class _Keys(BaseModel):
    """A mapping of the file: keys that it does not name are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def _policy(value: Any) -> Any:
    """The short form of a restart: its policy alone."""
    return {"policy": value} if isinstance(value, str) else value


def _numbers(value: Any) -> Any:
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


def _backoff(value: Any) -> tuple[float, float]:
    """`0.1s..5s`: the shortest and the longest wait in seconds."""
    match = re.fullmatch(_RANGE, value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError(EXPECTED, "two durations like 100ms..5s")
    shortest, longest = _seconds(match[1]), _seconds(match[2])
    if shortest > longest:
        raise PydanticCustomError(EXPECTED, "two durations, the shorter first")
    return shortest, longest


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Duration = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=Annotated[str, Field(pattern=_DURATION)])]
Size = Annotated[int, BeforeValidator(_bytes, json_schema_input_type=Annotated[str, Field(pattern=_SIZE)] | Literal[0])]
Backoff = Annotated[
    tuple[float, float], BeforeValidator(_backoff, json_schema_input_type=Annotated[str, Field(pattern=_RANGE)])
]
Numbers = Annotated[
    list[Annotated[int, Field(ge=0, le=1023)]], BeforeValidator(_numbers, json_schema_input_type=int | list[int])
]
Names = Annotated[list[str], BeforeValidator(_names, json_schema_input_type=str | list[str])]
Policy = Literal["never", "on_failure", "always"]


class Connection(_Keys):
    """An output that an input listens to."""

    output: str = Field(alias="from", description="`node.port`, or `*.port` for that port of all other nodes")
    link: Link = Field("stream", description="stream: every listener gets every message; queue: each message to one replica")
    depth: int | None = Field(None, ge=1, le=1_000_000, description="messages that may wait; 1000 on a stream, 64 on a queue")
    when_full: WhenFull | None = Field(
        None, description="what gives way when `depth` messages wait; drop_newest on a stream, block (the producer) on a queue"
    )
    delivery: Literal["at_most_once", "at_least_once"] = Field(
        "at_most_once",
        description="at_most_once: a message is lost with the process that holds it; at_least_once (queues): it is kept until"
        " all that it causes is done, and given to another taker when one dies",
    )
    order: Literal["none", "session"] = Field(
        "none", description="session: replicas never have messages of one session at the same time (queues)"
    )
    give_up_after: int = Field(
        3, ge=1, le=1000, description="takers that a message may kill before it is set aside as a dead letter (at_least_once)"
    )
    input_timeout: Duration | None = Field(None, description="after so much silence the node is told, and when it is over")


Connections = Annotated[
    list[Connection],
    BeforeValidator(_connections, json_schema_input_type=str | Connection | list[str | Connection]),
]


class Resources(_Keys):
    """What a node's process may use."""

    threads: int | None = Field(None, ge=1, le=1024, description="threads of its numeric libraries (OMP_NUM_THREADS …)")
    cpus: Numbers | None = Field(None, description="the processors that it may run on, e.g. [0, 1]")
    gpus: Numbers | None = Field(None, description="the GPUs that it may see (CUDA_VISIBLE_DEVICES); [] hides them all")
    nice: int = Field(0, ge=-20, le=19, description="19 gives way to everybody; below 0 takes privileges")
    max_rss: Size | None = Field(None, ge=2**20, description="memory; a process that takes more is started again")
    env: dict[str, str] = Field({}, description="variables of its environment")
    cwd: str | None = Field(None, description="the folder it works in; default: that of `graph run`")


class Restart(_Keys):
    """What becomes of a node whose process dies."""

    policy: Policy = Field(
        "on_failure",
        description="never: it stays dead; on_failure: it is started again; always: also when it ends by itself with exit"
        " code 0, and when it cannot start",
    )
    max: int = Field(5, ge=1, le=100_000, description="times it is started again, all replicas together,")
    within: Duration = Field(60.0, description="in so much time; one more death and the node has failed")
    backoff: Backoff = Field(
        (0.1, 5.0), description="the first time it is started at once, then after so long, twice as long each time"
    )
    retry_after: Duration | None = Field(None, description="a node that has failed is tried again after so long")


KIND_NAME = r"^[a-z][a-z0-9_.-]*$"

Command = Annotated[list[str], BeforeValidator(_command, json_schema_input_type=str | list[str])]
_KindName = Annotated[str, Field(pattern=KIND_NAME)]
KindNames = Annotated[
    list[_KindName], Field(min_length=1), BeforeValidator(_kinds, json_schema_input_type=_KindName | list[_KindName])
]


class NodeSpec(_Keys):
    """A node of the graph."""

    use: str = Field("", description="a registered name (`graph nodes` lists them) or package.module:Class")
    command: Command = Field(
        [], alias="exec", description="instead of `use`: any program that speaks the wire protocol, with its arguments"
    )
    parameters: dict[str, Any] = Field({}, alias="with", description="the node's parameters; `graph nodes NAME` shows them")
    inputs: dict[str, Connections] = Field({}, alias="in", description="by input port, the outputs that it listens to")
    outputs: dict[str, KindNames] = Field({}, alias="out", description="of a program (exec): its outputs, and their kinds")
    replicas: int = Field(1, ge=1, le=64, description="processes that share this node's work; on streams they share sessions")
    resources: Resources = Field(default_factory=Resources, description="what each process of this node may use")
    restart: Annotated[Restart, BeforeValidator(_policy, json_schema_input_type=Policy | Restart)] = Field(
        default_factory=Restart, description="what becomes of its processes when they die"
    )
    critical: bool = Field(False, description="when it has failed the graph ends, cleanly")
    fallback: str | None = Field(None, description="the node that takes its place while it has failed: same ports, no `in`")
    after: Names = Field([], description="nodes that must have loaded before this one is started")
    start_within: Duration | None = Field(None, description="how long it may take to be ready; default: as the graph says")
    hang_after: Duration | None = Field(
        None, description="a handler that makes no progress for so long is ended with its process; default: never"
    )
    dead_after: Duration = Field(30.0, description="a process that gives no sign of life for so long is ended")
    swap: Literal["beside", "in_place"] = Field(
        "beside",
        description="another version starts beside the one that runs (beside), or when that has ended (in_place)",
    )
    probation: Duration = Field(10.0, description="if another version dies within this time, the one before takes over again")


class Ipc(_Keys):
    """Sockets in the folder of the run."""

    kind: Literal["ipc"]


class Tcp(_Keys):
    """Ports of the loopback interface."""

    kind: Literal["tcp"]
    host: Annotated[str, BeforeValidator(_loopback)] = Field(
        "127.0.0.1", description="a loopback address", json_schema_extra={"pattern": LOOPBACK}
    )
    first_port: int = Field(
        17400, ge=1, le=65535, description="ports are handed out upwards from here, up to three an instance"
    )


Transport = Annotated[
    Annotated[Ipc | Tcp, Field(discriminator="kind")],
    BeforeValidator(_transport, json_schema_input_type=Literal["ipc", "tcp"] | Ipc | Tcp),
]


class GraphFile(_Keys):
    """A voicegraph graph: nodes, each a process of its own, and how they are wired."""

    name: str | None = Field(None, min_length=1, max_length=64, description="the name of the graph; default: the file's")
    include: str | list[str] = Field(
        [], description="files laid under this one, the first lowest; their paths are relative to this file"
    )
    nodes: dict[str, NodeSpec] = Field(
        {}, description="the nodes by name", json_schema_extra={"propertyNames": {"pattern": NODE_NAME}}
    )
    transport: Transport = Field(
        default_factory=lambda: Ipc(kind="ipc"), description="what the links between nodes are made of"
    )
    start_within: Duration = Field(120.0, description="a node that is not ready after this time ends the graph")
    drain_within: Duration = Field(10.0, description="how long Ctrl-C waits for what is in flight")
    max_message: Size = Field(64 * 2**20, ge=1024, le=2**31 - 1, description="a longer message is dropped and counted")
    shared_memory: Size = Field(
        64 * 2**20, ge=0, le=2**40, description="what large payloads of one process may take up there; 0: none is used"
    )
    orphan_after: Duration = Field(30.0, description="nodes whose `graph run` was killed stop after this time")


@dataclass(frozen=True)
class Spec:
    """A graph file as read: `graph` holds what is right in it, `problems` what is not."""

    file: str
    tree: Located
    graph: GraphFile
    problems: tuple[Problem, ...] = ()


def read_spec(tree: Located, file: str, problems: Sequence[Problem] = ()) -> Spec:
    """Check the values of a file against the format; `problems` are those found before.

    What is wrong is left out, so that the rest can be checked further and everything is told at once.
    """
    if not isinstance(tree.value, dict):
        return Spec(file, tree, GraphFile(), (*problems, tree.place.problem(f"must be a mapping, not {tree.shown}", tree.text)))
    found = [*problems, *_bad_names(tree), *_unclear(tree)]
    data = tree.data
    while True:
        try:
            return Spec(file, tree, GraphFile.model_validate(data), tuple(found))
        except ValidationError as error:
            errors = error.errors(include_url=False)
        found += _told(errors, tree)
        for one in errors:
            _leave_out(data, one["loc"])


def _bad_names(tree: Located) -> Iterator[Problem]:
    nodes = tree.at(("nodes",))
    if "nodes" not in tree.mapping or nodes.value == {}:
        yield (nodes.key or nodes.place).problem("the graph has no nodes")
        return
    for name, node in nodes.mapping.items():
        if not re.fullmatch(NODE_NAME, name):
            rule = "a letter a-z, then up to 31 of a-z, 0-9, _ and -"
            yield (node.key or node.place).problem(f"'{name}' is not a name for a node", name, rule)


def _unclear(tree: Located) -> Iterator[Problem]:
    """Nodes that do not say, or say twice, what runs."""
    nodes = tree.at(("nodes",)).mapping if "nodes" in tree.mapping else {}
    for name, node in nodes.items():
        if not isinstance(node.value, dict):
            continue
        said, here = node.mapping, node.key or node.place
        if "use" not in said and "exec" not in said:
            # A misspelt node name, as in `-o nodes.sst.replicas=2`, makes a node of its own that has neither.
            hint = did_you_mean(name, [other for other in nodes if other != name])
            yield here.problem(f"{name}: key 'use' is missing, or 'exec'", suggestion=hint)
        elif "use" in said and "exec" in said:
            here = said["exec"].key or said["exec"].place
            yield here.problem(f"{name}: 'use' and 'exec' exclude each other: a node is a class, or a program", "exec")
        elif "exec" not in said and "out" in said:
            here = said["out"].key or said["out"].place
            yield here.problem(f"{name}: 'out' is for programs (exec): the outputs of a class are known", "out")


def _told(errors: list[ErrorDetails], tree: Located) -> Iterator[Problem]:
    """The problems; those of a node have its name before them."""
    by_node: dict[str, list[ErrorDetails]] = {}
    for error in errors:
        loc = error["loc"]
        by_node.setdefault(str(loc[1]) if loc[0] == "nodes" and len(loc) > 1 else "", []).append(error)
    for node, of_it in by_node.items():
        yield from problems_of(of_it, GraphFile, tree, f"{node}: " if node else "", "key")


def _leave_out(data: dict[str, Any], path: Path) -> None:
    """Take the deepest thing on a path out of the data; a list goes as a whole, or its other items would change places."""
    holder: Any = data
    last = path[0]
    here = holder
    for step in path:
        if isinstance(here, dict) and step in here:
            holder, last = here, step
            here = here[step]
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
    holder.pop(last, None)
