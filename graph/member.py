"""One instance as the supervisor knows it: what it does, why it died, what is due."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from graph.plan import PlannedNode
from graph.vitality import Vitality

State: TypeAlias = Literal[
    "waiting", "starting", "loaded", "ready", "running", "ending", "drained", "adopted", "backoff", "failed", "off", "stopped"
]
GONE: tuple[State, ...] = ("waiting", "backoff", "failed", "off", "stopped")  # no process
ABSENT: tuple[State, ...] = ("failed", "off")  # nobody waits for it
HEARD: tuple[State, ...] = ("adopted", "ready", "running", "ending", "drained")


@dataclass
class Member:
    """One instance as the supervisor knows it."""

    id: str
    node: PlannedNode
    state: State = "waiting"
    life: int = 0  # how often it was started again
    status: str = ""  # what it is loading
    error: str = ""  # why it died last, or will
    doomed: str = ""  # why it is being killed
    asked: Literal["", "stop", "restart", "hand back"] = ""  # it was told to leave
    fallback: bool = False  # the node's fallback runs in its place
    trial: bool = False  # half-open: one more death and the circuit is open again
    due_s: float | None = None  # when it must be ready, started, or gone
    retry_s: float | None = None  # when to try again what has failed
    unburied: bool = False  # it died while there was no supervisor, and the others do not know yet
    final: bool = False  # the others were told that it never comes back
    well_s: float = 0.0  # since when it has been running
    vitality: Vitality = field(default_factory=Vitality)

    @property
    def settled(self) -> bool:
        """Neither on its way nor about to go."""
        return self.state in ("running", "ending", "drained", "stopped", *ABSENT) and not self.asked

    @property
    def finished(self) -> bool:
        return self.state in ("drained", "stopped") or self.final


@dataclass(frozen=True)
class Found:
    """An instance that an earlier supervisor has left."""

    life: int
    alive: bool
    fallback: bool = False
    ended: bool = False  # with exit code 0
