"""What will run: instances, endpoints and edges, computed from the spec alone."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Link = Literal["stream", "queue"]
SOCKET_DEPTH = 64  # messages that a socket of a stream may hold at least, however short the stream's own `depth`

WhenFull = Literal["block", "drop_oldest", "drop_newest"]


class Edge(msgspec.Struct, frozen=True):
    """One output port of a node feeding one input port of another; replicas on both sides share the edge."""

    producer: str  # node name
    port: str
    consumer: str  # node name
    input: str
    link: Link = "stream"
    depth: int = 1000  # messages
    when_full: WhenFull = "drop_newest"  # "block" on queues
    delivery: Literal["at_most_once", "at_least_once"] = "at_most_once"
    order: Literal["none", "session"] = "none"  # session: no two replicas have messages of one session at a time
    give_up_after: int = 3  # takers that a message may kill before it is set aside (at_least_once)
    input_timeout_s: float | None = None  # after so much silence the consumer is told
    feedback: bool = False  # closes a loop: the drain does not wait for it
    stale: bool = False  # its consumer drops what is older than what an interruption has told of

    @property
    def id(self) -> str:
        return f"{self.producer}.{self.port}->{self.consumer}.{self.input}"


class Instance(msgspec.Struct, frozen=True):
    """One process. Endpoints may hold `{run}`, the folder of the run, filled in when it starts."""

    id: str  # the node's name; with replicas: "stt.0", "stt.1"
    node: str
    replica: int = 0
    out: str = ""  # XPUB of its streams, telemetry among them
    work: str = ""  # PULL for queue messages; empty where no input is a queue
    credit: str = ""  # PULL for its takers' acknowledgements; empty where no output feeds a queue


class Resources(msgspec.Struct, frozen=True):
    """What each process of a node may use."""

    threads: int | None = None  # of its numeric libraries
    cpus: tuple[int, ...] | None = None  # it may run on these; None: on all
    gpus: tuple[int, ...] | None = None  # it may see these; None: all
    nice: int = 0
    max_rss: int | None = None  # bytes
    env: dict[str, str] = {}
    cwd: str | None = None


class Restart(msgspec.Struct, frozen=True):
    """What becomes of a node whose process dies. The first restart is immediate; the next waits `backoff_s[0]`, and so on."""

    policy: Literal["never", "on_failure", "always"] = "on_failure"
    max: int = 5  # of all instances together
    within_s: float = 60.0
    backoff_s: tuple[float, float] = (0.1, 5.0)
    retry_after_s: float | None = None  # a node that has failed is tried again


class PlannedNode(msgspec.Struct, frozen=True):
    """A node of the graph, its class found and its parameters validated."""

    name: str
    use: str  # what the file says: "stt.faster_whisper", "package.module:Class" or "exec: ./my_node"
    target: str  # "package.module:Class"; empty of a program
    config: dict[str, Any]
    instances: tuple[str, ...]
    resources: Resources = Resources()
    source: bool = False  # no connected input: it starts when all are ready, and its end begins the drain
    terminal: bool = False  # writes to the terminal of `graph run`
    models: tuple[str, ...] = ()
    restart: Restart = Restart()
    critical: bool = False  # when it has failed the graph ends
    fallback: PlannedNode | None = None  # what takes its place, in its name and at its endpoints, while it has failed
    after: tuple[str, ...] = ()  # nodes that must have loaded before it is started
    start_within_s: float = 120.0
    hang_after_s: float | None = None  # of a handler without progress
    dead_after_s: float = 30.0  # without a sign of life
    command: tuple[str, ...] = ()  # of a program that speaks the wire protocol; empty: a Python class
    outputs: dict[str, tuple[str, ...]] = {}  # of a program: its ports and the kinds that each carries
    code: str = ""  # a mark of the file that holds its class: another when that was edited
    replaceable: bool = True  # another version may begin beside it
    changeable: tuple[str, ...] = ()  # parameters that can be changed while it runs
    swap: Literal["beside", "in_place"] = "beside"  # in_place: it has ended before another version is started
    probation_s: float = 10.0  # that a new version has to live, or the one before takes over again


class Plan(msgspec.Struct, frozen=True):
    """The whole graph, as the supervisor and every worker read it."""

    name: str
    file: str
    nodes: tuple[PlannedNode, ...]
    instances: tuple[Instance, ...]
    edges: tuple[Edge, ...]
    orphan_after_s: float = 30.0
    drain_within_s: float = 10.0
    max_message: int = 64 * 2**20  # bytes
    overlays: tuple[str, ...] = ()  # that were laid over the file on the command line
    shared_memory: int = 64 * 2**20  # bytes of payloads that one instance may hold there; 0: all goes through sockets

    @property
    def models(self) -> list[str]:
        """All that may be loaded, those of fallbacks among them."""
        working = [*self.nodes, *(n.fallback for n in self.nodes if n.fallback is not None)]
        return [model for node in working for model in node.models]

    def node(self, name: str) -> PlannedNode:
        return next(n for n in self.nodes if n.name == name)

    def working(self, name: str, fallback: bool) -> PlannedNode:
        """The node, or its fallback, which has the same name."""
        node = self.node(name)
        return node.fallback if fallback and node.fallback is not None else node

    def instance(self, id: str) -> Instance:
        return next(i for i in self.instances if i.id == id)


class Former(msgspec.Struct):
    """What a run has had for a while only."""

    instances: list[Instance] = []  # that have left
    edges: list[Edge] = []  # that came, or have gone
    uses: dict[str, str] = {}  # by node that has left, what it was
