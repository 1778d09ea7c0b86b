"""Waits until an order to a node is done: the supervisor answers once it has understood one."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from graph.commands import CommandClient, CommandError
from graph.running import NotRunning, owner
from graph.status import GraphStatus, Health, InstanceStatus

if TYPE_CHECKING:
    from rich.status import Status

    from graph.running import Running

LOOK_S = 0.05
NAMED = 5  # processes that are named while we wait
AT_REST: tuple[Health, ...] = ("stopped", "failed", "drained")
AT_WORK: tuple[Health, ...] = ("ready", "busy")

Wanted: TypeAlias = Literal["stopped", "running"]


@dataclass(frozen=True)
class Outcome:
    """What has become of an order, in words."""

    text: str
    done: bool = True


def outcome(node: str, wanted: Wanted, first: GraphStatus, now: GraphStatus) -> Outcome | None:
    """What has become of an order to a node; None while it is being carried out. Pure.

    :param first: how the graph was when the order had been understood: who is to leave has been told so by then.
    """
    replicas = of(now, node)
    if any(one.leaving for one in replicas):
        return None
    if wanted == "stopped":
        back = [one for one in replicas if one.health not in AT_REST]
        return Outcome(f"'{node}' was started again meanwhile", done=False) if back else Outcome(f"'{node}' has stopped")
    if any(one.health not in (*AT_REST, *AT_WORK) for one in replicas):
        return None
    replaced = {one.instance for one in of(first, node) if not one.fallback}
    for one in replicas:
        if one.health == "failed":
            return Outcome(f"'{node}' has failed: {one.text}", done=False)
        if one.fallback and one.instance in replaced:
            return Outcome(f"'{node}' has failed: {one.last_error}; its fallback runs in its place", done=False)
        if one.health == "stopped":
            ends = now.phase in ("leaving", "done")
            return Outcome(_ended(now.graph) if ends else f"'{node}' was stopped meanwhile", done=False)
    return Outcome(f"'{node}' is running" if any(one.health in AT_WORK for one in replicas) else f"'{node}' has finished")


def of(status: GraphStatus, node: str) -> list[InstanceStatus]:
    """The replicas of a node."""
    return [one for one in status.instances if one.node == node]


def see_done(running: Running, client: CommandClient, node: str, wanted: Wanted) -> tuple[Outcome, list[InstanceStatus]]:
    """Wait until an order that was understood is done or has failed; on a terminal, tell how far it is.

    Returns what has become of it, and how the replicas are.

    :raises NotRunning: the supervisor has gone, and nobody can tell.
    :raises CommandError: it does not answer.
    """
    first: GraphStatus | None = None
    with _ctrl_c() as look, _spinner() as shown:
        while True:
            look()
            try:
                now = client.status()
            except CommandError:
                if running.lives:
                    raise
                return _without_supervisor(running, node, wanted), []
            first = first or now
            found = outcome(node, wanted, first, now)
            if found is not None:
                return found, of(now, node)
            shown.update(f"'{node}' is not {wanted} yet: {_underway(of(now, node))}")
            time.sleep(LOOK_S)


def see_changed(client: CommandClient, done: str) -> Outcome:
    """Wait until a change of the graph that was ordered is done or undone; on a terminal, tell how far it is.

    :raises CommandError: the supervisor does not answer; whoever comes after it goes on with the change.
    """
    with _ctrl_c() as look, _spinner() as shown:
        while True:
            look()
            status = client.status()
            change = status.change
            if change is not None and change.stage == "undone":
                return Outcome(f"not done: {change.error}; the graph goes on as it was", done=False)
            if change is not None and change.error and not status.changing:
                return Outcome(f"not done: {change.error}; the version before is back", done=False)
            if change is None or not status.changing:
                return Outcome(done)
            coming = [f"{one.instance} {_doing(one)}" for one in status.instances if one.health in ("starting", "loading")]
            shown.update(f"{change.text}: {', '.join(coming) or change.stage}")
            time.sleep(LOOK_S)


@contextmanager
def _ctrl_c() -> Iterator[Callable[[], None]]:
    """Ctrl-C is noted, and raised by what this gives: in the middle of an import somebody might catch it."""
    caught: list[int] = []

    def look() -> None:
        if caught:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:
        yield look
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _spinner() -> Iterator[Status]:
    from rich.console import Console

    with Console(stderr=True, highlight=False).status("") as shown:
        yield shown


def _underway(replicas: list[InstanceStatus]) -> str:
    told = [f"{one.instance} {_doing(one)}" for one in replicas if one.leaving or one.health not in (*AT_REST, *AT_WORK)]
    return ", ".join(told[:NAMED]) + (", …" if len(told) > NAMED else "")


def _doing(one: InstanceStatus) -> str:
    return "leaves" if one.leaving else f"{one.health} ({one.text})" if one.text else one.health


def _without_supervisor(running: Running, node: str, wanted: Wanted) -> Outcome:
    running.check_left()
    try:
        other = owner(running.directory)
    except OSError:
        other = None  # its folder went with it
    if other is not None:
        raise NotRunning(f"'{running.name}' has another supervisor now: graph status shows how '{node}' is")
    ended = _ended(running.name)
    return Outcome(f"'{node}' has stopped: {ended}") if wanted == "stopped" else Outcome(ended, done=False)


def _ended(graph: str) -> str:
    return f"the graph '{graph}' has ended"
