"""What is known of a running graph, as every command and the dashboard read it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from graph.links.counts import EdgeStatistics

Phase: TypeAlias = Literal["starting", "running", "draining", "leaving", "done"]
Health: TypeAlias = Literal[
    "waiting",  # for the nodes named in `after`
    "starting",
    "loading",  # `text` says what
    "ready",
    "busy",  # its handler has been at one message for a while
    "hung",  # for longer than `hang_after`; it is being ended
    "unresponsive",  # no sign of life: stopped, or a native call holds the interpreter
    "drained",
    "backoff",  # it died and will be started again
    "failed",  # it died too often; `text` says why
    "stopped",
]
UNWELL: tuple[Health, ...] = ("failed", "hung", "unresponsive", "backoff")  # somebody has to see to it, or soon may


class InstanceStatus(msgspec.Struct):
    """One process of the graph."""

    instance: str
    node: str
    use: str
    health: Health
    text: str = ""  # what it is loading, or why it has failed
    pid: int | None = None  # None: it does not run
    life: int = 0  # how often it was started again
    fallback: bool = False  # the node's fallback runs in its place
    leaving: bool = False  # it was told to stop, or to make room for its next life
    uptime_s: float = 0.0
    busy_s: float = 0.0  # how long its handler has been at one message
    cpu_percent: float = 0.0  # of one processor, since the last look a second ago
    rss: int = 0  # bytes
    last_error: str = ""  # why it died last
    sent: dict[str, int] = {}  # messages so far, by output port (streams)
    edges: dict[str, EdgeStatistics] = {}  # by edge id: what its lives have counted at their end of it


class ChangeStatus(msgspec.Struct):
    """The last change of a running graph."""

    number: int
    text: str  # "'stt' gets 3 replicas instead of 1"
    stage: Literal["meeting", "handing over", "leaving", "restarting", "done", "undone"]
    error: str = ""  # why it was undone


class GraphStatus(msgspec.Struct):
    """A running graph."""

    graph: str
    file: str
    pid: int  # of the supervisor
    phase: Phase
    started_at: float  # seconds since the epoch, of this supervisor
    run_folder: str
    log_folder: str
    at_ns: int  # monotonic: when this was true, so that two of them give rates
    instances: list[InstanceStatus] = []
    edges: dict[str, EdgeStatistics] = {}  # by edge id, both ends and all lives added up
    change: ChangeStatus | None = None  # None: there was none since this supervisor began
    changing: bool = False  # it is not over, or more is to follow
