"""What the user orders a running graph to do: refused with a reason, or made into what the supervisor understands."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from graph.commands import Answer, Restart, Scale, Start, Stop
from graph.differences import Difference, program_near
from graph.epoch import scaled
from graph.events import ChangePlan, Event, Interrupted, StartNode, StopNode
from graph.member import ABSENT, Member
from graph.plan import Plan
from graph.replan import processes_change, replaced
from graph.supervisor import Supervisor
from graph.validation import did_you_mean

REPLICAS_MAX = 64  # as in the file


def refusal(supervisor: Supervisor, order: Stop | Start | Restart | Scale) -> Answer | None:
    """Why an order cannot be carried out; None where it can."""
    if isinstance(order, Stop) and not order.node:
        return None
    names = [node.name for node in supervisor.plan.nodes]
    if order.node not in names:
        hint = did_you_mean(order.node, names) or f"its nodes: {', '.join(names)}"
        return Answer(f"the graph '{supervisor.plan.name}' has no node '{order.node}'", hint)
    if supervisor.phase not in ("starting", "running"):
        return Answer(f"the graph '{supervisor.plan.name}' is ending")
    members = [m for m in supervisor.members.values() if m.node.name == order.node]
    if all(m.finished for m in members):
        return Answer(
            f"'{order.node}' has finished: those who listen to it do not wait for it any more", "start the graph again"
        )
    if supervisor.changes.busy:
        changed = supervisor.changes.transition
        what = f" ({changed.text})" if changed is not None else ""
        return Answer(f"the graph '{supervisor.plan.name}' is being changed{what}", "try again when that is done")
    if isinstance(order, Scale):
        return _cannot_scale(supervisor, order, members)
    if isinstance(order, Start) and not any(m.state in ABSENT for m in members):
        return Answer(f"'{order.node}' is not stopped", f"graph restart {order.node}")
    if isinstance(order, Stop) and all(m.state in ABSENT for m in members):
        return Answer(f"'{order.node}' is stopped already", f"graph start {order.node}")
    if isinstance(order, Stop) and order.now:
        return Answer("only a whole graph can be stopped at once", f"graph stop {order.node}")
    return None


def _cannot_scale(supervisor: Supervisor, order: Scale, members: list[Member]) -> Answer | None:
    plan, name = supervisor.plan, order.node
    if supervisor.phase != "running":
        return Answer(f"the graph '{plan.name}' is still starting", "try again when it runs")
    if order.replicas == len(members):
        return Answer(f"'{name}' has {_replicas(order.replicas)} already")
    if not 1 <= order.replicas <= REPLICAS_MAX:
        return Answer(f"'{name}' cannot have {_replicas(order.replicas)}", f"1 to {REPLICAS_MAX}")
    unwell = [m.id for m in members if m.state in ABSENT]
    if unwell:
        return Answer(f"'{unwell[0]}' does not run, and cannot share its work out", f"graph start {name}")
    program = program_near(plan, name)
    if program:
        return Answer(f"'{name}' cannot be scaled while it runs: {program}", "change `replicas` in the file and run it again")
    return None


def cannot_apply(supervisor: Supervisor, wanted: Plan, changes: list[Difference], memory: dict[str, int]) -> Answer | None:
    """Why the running graph cannot become another plan; None where it can.

    :param memory: bytes that each instance takes, and under the empty name what is free.
    """
    name, change = supervisor.plan.name, supervisor.changes.transition
    if supervisor.phase != "running":
        return Answer(f"the graph '{name}' is {'still starting' if supervisor.phase == 'starting' else 'ending'}")
    if change is not None and not change.over and supervisor.changes.wanted is None:
        return Answer(f"the graph '{name}' is being changed ({change.text})", "try again when that is done")
    for node in processes_change(supervisor.plan, wanted):
        program = program_near(supervisor.plan, node)
        if program:
            return Answer(f"'{node}' cannot be changed while it runs: {program}", "end the graph and run it again")
    beyond = [f"{d.where + ': ' if d.where else ''}{d.text}" for d in changes if not d.applies]
    if beyond:
        return Answer(f"a running graph cannot be changed so: {'; '.join(beyond)}", "end it and run it again")
    for node in replaced(supervisor.plan, wanted):
        needs, free = sum(memory.get(id, 0) for id in supervisor.plan.node(node).instances), memory[""]
        if needs > free:
            sizes = f"it takes {needs / 2**20:.0f} MB, {free / 2**20:.0f} MB are free"
            return Answer(f"no room for another '{node}' beside the one that runs: {sizes}", "stop something else first")
    return None


def _replicas(count: int) -> str:
    return f"{count} replica{'s' if count != 1 else ''}"


def scaling(supervisor: Supervisor, order: Scale, known: Collection[str]) -> ChangePlan:
    """What a `Scale` that is not refused means to the supervisor.

    :param known: instances that were ever started in this run.
    :raises CannotScale: there is no room for another.
    """
    plan, name = supervisor.plan, order.node
    now = len(plan.node(name).instances)
    after = scaled(plan, name, order.replicas, known, supervisor.changes.epoch.number + 1)
    return ChangePlan(after, f"'{name}' gets {_replicas(order.replicas)} instead of {now}")


def events_of(order: Stop | Start | Restart) -> Iterator[Event]:
    """What an order means to the supervisor; call when it is not refused."""
    if isinstance(order, Stop) and not order.node:
        yield Interrupted()
        if order.now:
            yield Interrupted()
    elif isinstance(order, Start):
        yield StartNode(order.node)
    elif isinstance(order, Stop | Restart):
        yield StopNode(order.node, again=isinstance(order, Restart))
