"""From the spec to the plan: pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from graph.errors import SpecError
from graph.loops import closing
from graph.plan import Edge, Instance, Plan, PlannedNode, Resources, Restart
from graph.registry import Registry
from graph.resolve import Resolved, Wire, resolve
from graph.source import in_order
from graph.spec import GraphFile, NodeSpec, Spec, Tcp
from graph.whole import standbys

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
    nodes = [_planned(name, resolved, graph) for name in resolved.nodes if name not in standbys(spec)]
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
        max_message=graph.max_message,
        shared_memory=graph.shared_memory,
    )


def _planned(name: str, resolved: Resolved, graph: GraphFile, place: str = "") -> PlannedNode:
    """The plan of one node; of a fallback, which works in the `place` of another."""
    node = resolved.nodes[name]
    said, replicas, restart = node.spec, node.spec.replicas, node.spec.restart
    return PlannedNode(
        name=place or name,
        use=f"exec: {shlex.join(node.command)}" if node.command else said.use,
        target=node.target,
        config=node.config,
        instances=(name,) if replicas == 1 else tuple(f"{name}.{n}" for n in range(replicas)),
        resources=_resources(said),
        source=not any(wire.consumer == (place or name) for wire in resolved.wires),
        terminal=node.terminal,
        models=node.models,
        restart=Restart(restart.policy, restart.max, restart.within, restart.backoff, restart.retry_after),
        critical=said.critical,
        fallback=_planned(said.fallback, resolved, graph, name) if said.fallback else None,
        after=tuple(said.after),
        start_within_s=said.start_within or graph.start_within,
        hang_after_s=said.hang_after,
        dead_after_s=said.dead_after,
        command=node.command,
        outputs=node.outputs,
        code=node.code,
        replaceable=node.replaceable,
        changeable=node.changeable,
        swap=said.swap,
        probation_s=said.probation,
    )


def _resources(said: NodeSpec) -> Resources:
    of = said.resources
    cpus = None if of.cpus is None else tuple(of.cpus)
    gpus = None if of.gpus is None else tuple(of.gpus)
    return Resources(of.threads, cpus, gpus, of.nice, of.max_rss, of.env, of.cwd)


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
    told = {wire.consumer for wire in wires if wire.interrupts}
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
            stale=wire.consumer in told and not (wire.interrupts or wire.past),
        )
