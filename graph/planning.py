"""From the spec to the plan: pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from graph.errors import SpecError
from graph.loops import closing
from graph.plan import Edge, Instance, Plan, PlannedNode, Restart
from graph.registry import Registry
from graph.resolve import Resolved, ResolvedNode, Wire, resolve
from graph.source import in_order
from graph.spec import GraphFile, Spec, Tcp
from graph.spec import Restart as RestartSpec

DEPTH = {"stream": 1000, "queue": 64}  # messages; a stream's is a guard against a stuck listener, a queue's back-pressure
LAST_PORT = 65535


def build(spec: Spec, registry: Registry) -> Plan:
    """Plan what will run.

    :raises SpecError: with every problem of the file, those found while it was read among them.
    """
    resolved = resolve(spec, registry)
    problems = [*spec.problems, *resolved.problems]
    if problems:
        raise SpecError(in_order(problems))
    graph = spec.graph
    nodes = [_planned(node, resolved.wires) for node in resolved.nodes.values()]
    instances = tuple(_instances(nodes, resolved.wires, _Endpoints(graph)))
    _check_ports(spec, instances)
    return Plan(
        name=graph.name or PurePath(spec.file).stem,
        file=spec.file,
        nodes=tuple(nodes),
        instances=instances,
        edges=tuple(_edges(resolved)),
        orphan_after_s=graph.orphan_after,
        drain_within_s=graph.drain_within,
        start_within_s=graph.start_within,
        max_message=graph.max_message,
        shared_memory=graph.shared_memory,
    )


def _planned(node: ResolvedNode, wires: Sequence[Wire]) -> PlannedNode:
    replicas = node.spec.replicas
    return PlannedNode(
        name=node.name,
        use=f"exec: {shlex.join(node.command)}" if node.command else node.spec.use,
        target=node.target,
        config=node.config,
        instances=(node.name,) if replicas == 1 else tuple(f"{node.name}.{n}" for n in range(replicas)),
        threads=node.spec.resources.threads,
        source=not any(wire.consumer == node.name for wire in wires),
        terminal=node.terminal,
        models=node.models,
        restart=_restart(node.spec.restart),
        command=node.command,
        outputs=node.outputs,
    )


def _restart(said: RestartSpec | None) -> Restart | None:
    return Restart(said.max, said.within) if said is not None else None


class _Endpoints:
    """Hands out addresses: files in the folder of the run, or the next free number from `first_port` on."""

    def __init__(self, graph: GraphFile) -> None:
        self._tcp = graph.transport if isinstance(graph.transport, Tcp) else None
        self._handed_out = 0

    def next(self, instance: str, role: str) -> str:
        if self._tcp is None:
            return f"ipc://{{run}}/{instance}.{role}"
        self._handed_out += 1
        return f"tcp://{self._tcp.host}:{self._tcp.first_port + self._handed_out - 1}"


def _instances(nodes: Sequence[PlannedNode], wires: Sequence[Wire], endpoints: _Endpoints) -> Iterator[Instance]:
    queues = [wire for wire in wires if wire.connection.link == "queue"]
    for node in nodes:
        takes = any(wire.consumer == node.name for wire in queues)
        feeds = any(wire.producer == node.name for wire in queues)
        for replica, id in enumerate(node.instances):
            yield Instance(
                id=id,
                node=node.name,
                replica=replica,
                out=endpoints.next(id, "out"),
                work=endpoints.next(id, "work") if takes else "",
                credit=endpoints.next(id, "credit") if feeds else "",
            )


def _check_ports(spec: Spec, instances: Sequence[Instance]) -> None:
    transport = spec.graph.transport
    if not isinstance(transport, Tcp):
        return
    needed = sum(bool(endpoint) for i in instances for endpoint in (i.out, i.work, i.credit))
    if transport.first_port + needed - 1 > LAST_PORT:
        said = spec.tree.at(("transport", "first_port"))
        message = f"'first_port' must be at most {LAST_PORT - needed + 1}: this graph needs {needed} ports"
        raise SpecError([said.place.problem(message, said.text)])


def _edges(resolved: Resolved) -> Iterator[Edge]:
    wires = resolved.wires
    fed = {wire.consumer for wire in wires}
    sources_first = sorted(resolved.nodes, key=lambda name: name in fed)
    feedback = closing(sources_first, [(wire.producer, wire.consumer) for wire in wires])
    for wire in wires:
        link = wire.connection.link
        yield Edge(
            producer=wire.producer,
            port=wire.port,
            consumer=wire.consumer,
            input=wire.input,
            link=link,
            depth=wire.connection.depth or DEPTH[link],
            when_full=wire.when_full,
            delivery=wire.connection.delivery,
            order=wire.connection.order,
            give_up_after=wire.connection.give_up_after,
            input_timeout_s=wire.connection.input_timeout,
            feedback=(wire.producer, wire.consumer) in feedback,
        )
