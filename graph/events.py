"""The words of the supervisor: what may happen to it, and what it may decide."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from graph.control import FromNode, ToNode
from graph.epoch import Epoch
from graph.handover import Legacy
from graph.plan import Plan

# events


@dataclass(frozen=True, slots=True)
class Said:
    """A node sent a control message."""

    instance: str
    message: FromNode


@dataclass(frozen=True, slots=True)
class Exited:
    """A process is gone; `code` is negative for a signal, as in `subprocess`, and None where nobody saw it."""

    instance: str
    code: int | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a process takes."""

    instance: str
    rss: int  # bytes


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Ctrl-C or SIGTERM for the supervisor."""


@dataclass(frozen=True, slots=True)
class StopNode:
    """The user wants a node stopped, or stopped and started again."""

    node: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class StartNode:
    """The user wants a node started that was stopped or has failed."""

    node: str


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """The running graph shall become another, in one step; only when none of its changes is under way."""

    plan: Plan
    text: str  # what changes, for the user
    fresh: tuple[str, ...] = ()  # nodes all of whose processes are new
    renamed: dict[str, str] = field(default_factory=dict)  # by node that goes, the one that goes on for it
    restarts: str = ""  # a node whose processes have to be started again


@dataclass(frozen=True, slots=True)
class Want:
    """The running graph shall become another, step by step. Takes the place of what was wanted before."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Left:
    """What an instance that died while the plan was being changed had counted."""

    legacy: Legacy


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event: TypeAlias = Said | Exited | Measured | Interrupted | StopNode | StartNode | ChangePlan | Want | Left | Tick


# actions


@dataclass(frozen=True, slots=True)
class Spawn:
    instance: str
    life: int = 0  # how often it was started before
    fallback: bool = False  # start the node's fallback in its place


@dataclass(frozen=True, slots=True)
class Bury:
    """An instance died and the graph goes on: tell the others what it had counted."""

    instance: str
    life: int


@dataclass(frozen=True, slots=True)
class Send:
    instance: str
    message: ToNode


@dataclass(frozen=True, slots=True)
class Kill:
    """Send a signal to the instance's whole process group."""

    instance: str
    signal: signal.Signals


@dataclass(frozen=True, slots=True)
class Tell:
    """A line for the user."""

    level: Literal["status", "info", "warning", "error"]
    text: str
    instance: str = ""


@dataclass(frozen=True, slots=True)
class WriteEpoch:
    """Write down what is in force, before anybody is told."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Finish:
    """All processes are gone: end with this exit code."""

    code: int


Action: TypeAlias = Spawn | Bury | Send | Kill | Tell | WriteEpoch | Finish
