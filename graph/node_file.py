"""What a program in another language is told when it starts: one JSON file, so that it need not know the plan.

`VOICEGRAPH_NODE` names the file; docs/wire-protocol.md says what it means. All is resolved for one life of one instance.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import msgspec

from graph.links.partitions import partitions_of_replica
from graph.message import PROTOCOL, Mark, host_id
from graph.node import TELEMETRY
from graph.plan import SOCKET_DEPTH, Edge, Instance, Plan
from graph.rundir import RunDir

VARIABLE = "VOICEGRAPH_NODE"


class Peer(msgspec.Struct, frozen=True):
    """An instance at the other end of a link, and the endpoint that it binds."""

    instance: str
    endpoint: str


class InputLink(msgspec.Struct, frozen=True):
    """One edge into the node. Streams connect to the producers' `out`, queues to their `credit`."""

    edge: str
    input: str
    output: str = msgspec.field(name="from")  # node.port
    link: str
    depth: int
    when_full: str
    producers: list[Peer]
    topics: list[str] = []  # to subscribe to (streams); of many replicas one may get none
    delivery: str = "at_most_once"
    order: str = "none"
    input_timeout_s: float | None = None
    feedback: bool = False  # the drain does not wait for its end


class QueueLink(msgspec.Struct, frozen=True):
    """A queue that an output feeds."""

    edge: str
    depth: int
    when_full: str
    takers: list[Peer]  # with their `work`
    delivery: str = "at_most_once"
    order: str = "none"
    give_up_after: int = 3


class OutputPort(msgspec.Struct, frozen=True):
    """An output: it always publishes its stream, and feeds queues beside."""

    kinds: list[str]
    topic: str  # what all its topics begin with
    queues: list[QueueLink]


class NodeFile(msgspec.Struct, frozen=True):
    protocol: int
    graph: str
    instance: str
    node: str
    replica: int
    replicas: int
    life: int  # how often the instance was started before in this run
    host: str  # the `host` of its messages
    source: bool  # no connected input: it sends after `start`, and its end begins the drain
    control: str  # endpoint
    bind: dict[str, str]  # endpoints by role: out, work, credit
    inputs: list[InputLink]
    outputs: dict[str, OutputPort]
    consumers: list[str]  # instances that subscribe to its streams: the start barrier waits for them
    stream_depth: int  # messages: a high-water mark for its publishing and its subscribing socket
    parameters: dict[str, Any] = msgspec.field(name="with")
    max_message: int  # bytes
    orphan_after_s: float
    drain_within_s: float
    leave_command: list[str]  # to start as the last act of an orphan: it takes the run's folder away when all are gone


def node_file(plan: Plan, instance: Instance, life: int, run: RunDir, fallback: bool = False) -> NodeFile:
    """All that one life of an instance, or of its node's fallback, has to know."""
    node = plan.working(instance.node, fallback)
    peers = _Peers(plan, run)
    out = [e for e in plan.edges if e.producer == node.name]
    endpoints = {"out": instance.out, "work": instance.work, "credit": instance.credit}
    kinds = {**node.outputs, TELEMETRY: (Mark.kind,)}
    return NodeFile(
        protocol=PROTOCOL,
        graph=plan.name,
        instance=instance.id,
        node=node.name,
        replica=instance.replica,
        replicas=len(peers.of(node.name)),
        life=life,
        host=host_id(),
        source=node.source,
        control=run.control,
        bind={role: run.endpoint(endpoint) for role, endpoint in endpoints.items() if endpoint},
        inputs=[_input(e, instance, peers) for e in plan.edges if e.consumer == node.name],
        outputs={
            port: OutputPort(list(carried), f"{node.name}.{port}/", [_queue(e, peers) for e in out if _feeds(e, port)])
            for port, carried in kinds.items()
        },
        consumers=sorted({i.id for e in out if e.link == "stream" for i in peers.of(e.consumer)}),
        stream_depth=max(SOCKET_DEPTH, max([e.depth for e in plan.edges if _is_stream_of(e, node.name)], default=1000)),
        parameters=node.config,
        max_message=plan.max_message,
        orphan_after_s=plan.orphan_after_s,
        drain_within_s=plan.drain_within_s,
        leave_command=[sys.executable, "-P", "-m", "graph.launchers.leave", str(run.path), instance.id],
    )


class _Peers:
    def __init__(self, plan: Plan, run: RunDir) -> None:
        self._plan = plan
        self._run = run

    def of(self, node: str) -> list[Instance]:
        return [i for i in self._plan.instances if i.node == node]

    def at(self, node: str, role: str) -> list[Peer]:
        return [Peer(i.id, self._run.endpoint(getattr(i, role))) for i in self.of(node)]


def _is_stream_of(edge: Edge, node: str) -> bool:
    return edge.link == "stream" and node in (edge.producer, edge.consumer)


def _feeds(edge: Edge, port: str) -> bool:
    return edge.port == port and edge.link == "queue"


def _input(edge: Edge, instance: Instance, peers: _Peers) -> InputLink:
    stream = edge.link == "stream"
    output = f"{edge.producer}.{edge.port}"
    return InputLink(
        edge=edge.id,
        input=edge.input,
        output=output,
        link=edge.link,
        depth=edge.depth,
        when_full=edge.when_full,
        producers=peers.at(edge.producer, "out" if stream else "credit"),
        topics=list(_topics(output, instance.replica, len(peers.of(instance.node)))) if stream else [],
        delivery=edge.delivery,
        order=edge.order,
        input_timeout_s=edge.input_timeout_s,
        feedback=edge.feedback,
    )


def _topics(output: str, replica: int, replicas: int) -> Iterable[str]:
    if replicas == 1:
        return [f"{output}/"]
    return [f"{output}/{partition:02x}" for partition in partitions_of_replica(replica, replicas)]


def _queue(edge: Edge, peers: _Peers) -> QueueLink:
    takers = peers.at(edge.consumer, "work")
    return QueueLink(edge.id, edge.depth, edge.when_full, takers, edge.delivery, edge.order, edge.give_up_after)
