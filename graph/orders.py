"""What the user orders a running graph to do: refused with a reason, or made into what the supervisor understands."""

from __future__ import annotations

from collections.abc import Iterator

from graph.commands import Answer, Restart, Scale, Start, Stop
from graph.events import Event, Interrupted, StartNode, StopNode
from graph.member import ABSENT
from graph.supervisor import Supervisor
from graph.validation import did_you_mean


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
    if isinstance(order, Start) and not any(m.state in ABSENT for m in members):
        return Answer(f"'{order.node}' is not stopped", f"graph restart {order.node}")
    if isinstance(order, Stop) and all(m.state in ABSENT for m in members):
        return Answer(f"'{order.node}' is stopped already", f"graph start {order.node}")
    if isinstance(order, Stop) and order.now:
        return Answer("only a whole graph can be stopped at once", f"graph stop {order.node}")
    if isinstance(order, Scale):
        return Answer("the number of replicas of a running graph cannot be changed yet", "change `replicas` and run it again")
    return None


def events_of(order: Stop | Start | Restart | Scale) -> Iterator[Event]:
    """What an order means to the supervisor; call when it is not refused."""
    if isinstance(order, Stop) and not order.node:
        yield Interrupted()
        if order.now:
            yield Interrupted()
    elif isinstance(order, Start):
        yield StartNode(order.node)
    elif isinstance(order, Stop | Restart):
        yield StopNode(order.node, again=isinstance(order, Restart))
