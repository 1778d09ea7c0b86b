"""Which plan is in force, what the graph is to become, and the change that is under way: pure.

An edit is a row of steps (`graph.replan`), and each step a transition in three stages (`graph.transition`). The supervisor
starts and ends the processes; this says when, and what is true meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from graph.differences import in_place
from graph.epoch import CannotScale, Epoch
from graph.events import Action, ChangePlan, Tell
from graph.member import Member
from graph.plan import Plan
from graph.replan import next_step
from graph.transition import Transition


@dataclass(frozen=True)
class Probation:
    """Nodes that have a new version, or are new, and what was before."""

    nodes: tuple[str, ...]
    before: Plan
    after: Plan
    until_s: float

    def back_from(self, plan: Plan, node: str) -> Plan | None:
        """What the plan in force becomes when a node has died; more may have changed since, and stays. None where that rests
        on what would go."""
        before, after = self.before, self.after
        if plan == after:
            return before
        old, new = ({n.name: n for n in p.nodes} for p in (before, after))
        come, gone = new.keys() - old.keys(), old.keys() - new.keys()
        known = {e.id for e in after.edges}
        if any({e.producer, e.consumer} & come and e.id not in known for e in plan.edges):
            return None
        kept = [old.get(node, n) if n.name == node else n for n in plan.nodes if n.name not in come]
        nodes = (*kept, *(old[name] for name in old if name in gone))
        names = {n.name for n in nodes}
        there = {e.id for e in plan.edges}
        lost = [e for e in before.edges if e.id not in known | there] if come or gone else []
        return msgspec.structs.replace(
            plan,
            nodes=nodes,
            instances=tuple(i for p, of in ((plan, names - gone), (before, gone)) for i in p.instances if i.node in of),
            edges=tuple(e for e in (*plan.edges, *lost) if {e.producer, e.consumer} <= names),
        )


@dataclass
class Changes:
    """:param members: the supervisor's own; those that come get their place there."""

    epoch: Epoch
    members: dict[str, Member]
    transition: Transition | None = None  # the last one, under way or over
    wanted: Plan | None = None  # what the graph is to become, step by step
    known: set[str] = field(default_factory=set)  # all instances there ever were
    _probation: Probation | None = None
    to_restart: str = ""  # a node whose processes are to be started again now
    _going_back: str = ""  # why the next change undoes one that was done

    def __post_init__(self) -> None:
        self.enlist()

    @property
    def under_way(self) -> bool:
        """True while a change is not over, or more is to follow."""
        return self.wanted is not None or (self.transition is not None and not self.transition.over)

    @property
    def busy(self) -> bool:
        """True while no other change may begin: also while somebody who was sent away is still there."""
        over = self.transition is None or self.transition.over
        return not (over and all(map(self.epoch.has, self.members)))

    def enlist(self) -> None:
        """Everybody who takes part has a place among the members, and is of the node that its plan says."""
        for one in self.epoch.instances:
            self.known.add(one.id)
            node = self.epoch.node(one.id)
            if one.id not in self.members:
                self.members[one.id] = Member(one.id, node)
            self.members[one.id].node = node

    def resume(self, epoch: Epoch) -> None:
        """Go on with what an earlier supervisor has left."""
        self.epoch = epoch
        self.members.clear()
        self.enlist()
        if epoch.before is not None:
            there = {node.name: node for node in epoch.before.nodes}
            restarts = [n.name for n in epoch.plan.nodes if n.name in there and in_place(there[n.name], n)]
            self.transition = Transition(epoch, self.members, "a change that was under way", restarts="".join(restarts[:1]))

    # ---------------------------------------------------------------- who comes and who leaves

    def leaves(self, id: str) -> bool:
        """True of an instance that goes for good: however it ends, it is not started again."""
        return self.transition is not None and self.transition.leaves(id)

    def was_sent_away(self, id: str) -> bool:
        """True of one that had come for a change that was undone."""
        transition = self.transition
        return transition is not None and transition.stage == "undone" and id in transition.epoch.joining

    def holds(self, id: str) -> bool:
        """True while one that comes has to wait with its start."""
        return self.transition is not None and self.transition.holds(id)

    # ---------------------------------------------------------------- steps

    def next(self) -> ChangePlan | Tell | None:
        """The next step towards what is wanted, or why there is none; call when not `busy`."""
        if self.wanted is None:
            return None
        try:
            step = next_step(self.epoch.plan, self.wanted, self.known, self.epoch.number + 1)
        except CannotScale as error:
            self.wanted = None
            return Tell("error", f"not done: {error}; the graph goes on as it is")
        if step is None:
            self.wanted = None
            return None
        return ChangePlan(step.plan, step.text, step.fresh, step.renamed, step.restarts)

    def begin(self, change: ChangePlan) -> list[Action]:
        """A step begins. Those that come (`epoch.joining`) have to be started."""
        self.epoch = Epoch(self.epoch.number + 1, change.plan, before=self.epoch.plan, renamed=change.renamed)
        self.enlist()
        self.transition = Transition(self.epoch, self.members, change.text, change.fresh, self._going_back, change.restarts)
        self._going_back = ""
        return [Tell("info", change.text), *self.transition.begin()]

    def go_on(self, ending: bool) -> list[Action]:
        """Whatever has become possible in the change that is under way.

        :param ending: the graph ends: what can be undone is.
        """
        transition = self.transition
        if transition is None or transition.over:
            return []
        if ending and transition.stage == "meeting":
            return transition.undo("the graph is ending")
        restarting = transition.stage == "restarting"
        actions = transition.step()
        if transition.stage == "restarting" and not restarting:
            self.to_restart = transition.restarts
        return actions

    def conclude(self, now_s: float) -> list[Action]:
        """What is in force now, once a change is over; call after `go_on`."""
        transition = self.transition
        if transition is None or self.epoch.before is None:
            return []
        if transition.stage == "done":
            self.epoch = transition.epoch.settled()
            self.enlist()
            before, after = transition.epoch.before, transition.epoch.plan
            if transition.error and before is not None:
                self.wanted, self._going_back = before, transition.error
                return [Tell("error", f"not done: {transition.text}: {transition.error}; the version before comes back")]
            nodes = (*transition.fresh, transition.restarts)
            if any(nodes) and before is not None and not transition.goes_back:
                until_s = now_s + max(after.node(name).probation_s for name in nodes if name)
                self._probation = Probation(nodes, before, after, until_s)
            return [Tell("info", f"done: {transition.text}")]
        if transition.stage == "undone":
            self.epoch, self.wanted = transition.epoch.undone(), None
            told = f"not done: {transition.text}: {transition.error}; the graph goes on as it was"
            return [Tell("error", told)]
        return []

    @property
    def sent_away(self) -> Iterable[Member]:
        """Those that had come for a change that was undone, and are still there."""
        return [member for member in self.members.values() if self.was_sent_away(member.id)]

    def died(self, member: Member, why: str, now_s: float) -> list[Action]:
        """A version that dies as soon as it has taken over is not kept: the one before takes over again."""
        trial, node = self._probation, member.node.name
        change = self.transition
        if change is not None and change.stage == "restarting" and change.restarts == node and not change.goes_back:
            change.fail(why)
            return []
        if trial is None or node not in trial.nodes or self.transition is None or not self.transition.over:
            return []
        self._probation = None
        if now_s > trial.until_s:
            return []
        wanted = trial.back_from(self.epoch.plan, node)
        if wanted is None:
            return []
        self.wanted, self._going_back = wanted, why
        told = f"the new version died soon after it had taken over ({why}): the one before takes over again"
        if node not in {n.name for n in trial.before.nodes}:
            told = f"died soon after it had come ({why}): all is as it was before"
        return [Tell("error", told, member.id)]
