"""A change of a running graph, as the supervisor leads it: pure, words of the nodes in, actions out.

    meeting --all have read the plan, and who comes is ready--> handing over --all was given and taken--> leaving
    leaving --who leaves is gone--> done
    meeting --who comes has failed, or Ctrl-C--> undone: the plan is again what it was

From the hand-over on there is no way back, only forward: who dies in it has left its numbers on disk. The words, and what
each node does with them: `graph.handover`.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from graph.control import FromNode, Stop, ToNode
from graph.epoch import Epoch
from graph.events import Action, Kill, Send, WriteEpoch
from graph.handover import HandedOver, HandOver, Legacy, Position, Replan, Replanned, TakenOver, TakeOver
from graph.member import ABSENT, GONE, Member

Stage: TypeAlias = Literal["meeting", "handing over", "leaving", "restarting", "done", "undone"]


@dataclass
class Transition:
    """:param members: the supervisor's own: those that come are among them."""

    epoch: Epoch
    members: dict[str, Member]
    text: str = ""  # what changes, for the user
    fresh: tuple[str, ...] = ()  # nodes all of whose processes are new
    goes_back: str = ""  # why it undoes an earlier one
    restarts: str = ""  # a node whose processes are started again, when all others have seen to the change
    stage: Stage = "meeting"
    error: str = ""  # why it was undone
    _replanned: dict[str, dict[str, Position]] = field(default_factory=dict)  # by instance, where its new streams begin
    _left: dict[str, Legacy] = field(default_factory=dict)  # by instance that died while all were meeting
    _legacies: dict[str, Legacy] = field(default_factory=dict)  # by instance that has handed over
    _taken: set[tuple[str, str]] = field(default_factory=set)  # (who gained, of whom)

    def __post_init__(self) -> None:
        if self.epoch.committed:
            self.stage = "handing over"
        self._pairs = self.epoch.bequests

    @property
    def over(self) -> bool:
        return self.stage in ("done", "undone")

    def holds(self, id: str) -> bool:
        """True while one that comes has to wait with its start."""
        if id not in self.epoch.joining or self.over:
            return False
        givers = [giver for giver, takers in self._pairs.items() if id in takers]
        replaces = self.members[id].node.source and givers
        return self.stage == "meeting" or bool(replaces and not all(g in self._legacies for g in givers))

    def leaves(self, id: str) -> bool:
        """True when an instance goes for good: however it ends, it is not started again."""
        return id in self.epoch.leaving and self.stage in ("handing over", "leaving")

    # ---------------------------------------------------------------- what happens

    def begin(self) -> list[Action]:
        """Tell everybody; those that come are started by the supervisor."""
        return [WriteEpoch(self.epoch), *self._to_all(Replan(self.epoch.number))]

    def said(self, id: str, message: FromNode) -> list[Action]:
        """A node's answer."""
        if isinstance(message, Replanned) and message.number == self.epoch.number:
            self._replanned[id] = message.starts
            if self.stage == "handing over":  # it may be a new life, which has not heard what was said
                return [*self._hand_over(id), *self._take_over(id)]
        elif isinstance(message, HandedOver) and message.number == self.epoch.number:
            return self.left(message.legacy)
        elif isinstance(message, TakenOver) and message.number == self.epoch.number:
            self._taken.add((id, message.giver))
        return []

    def left(self, legacy: Legacy) -> list[Action]:
        """One has handed over, or died: this is what it leaves."""
        if legacy.instance in self._legacies or legacy.instance not in self._pairs:
            return []
        if self.stage == "meeting":
            self._left[legacy.instance] = legacy  # it counts if it does not come back before the hand-over
        if self.stage != "handing over":
            return []
        self._legacies[legacy.instance] = legacy
        return [action for taker in self._pairs[legacy.instance] for action in self._take_over(taker)]

    def started(self, id: str) -> None:
        """An instance is started again: it knows nothing of what was said."""
        self._replanned.pop(id, None)
        self._left.pop(id, None)
        self._taken = {pair for pair in self._taken if pair[0] != id}

    def undo(self, why: str) -> list[Action]:
        """Go back, while that is possible: those that came are sent away."""
        if self.stage != "meeting":
            return []
        self.stage, self.error = "undone", why
        undone = self.epoch.undone()
        coming = [self.members[id] for id in self.epoch.joining if id in self.members]
        actions: list[Action] = [WriteEpoch(undone), *self._to_all(Replan(undone.number))]
        for member in coming:
            if member.state == "starting":  # who is still loading hears nothing and has nothing to lose
                actions.append(Kill(member.id, signal.SIGTERM))
            elif member.state not in GONE:
                actions.append(Send(member.id, Stop()))
        return actions

    def step(self) -> list[Action]:
        """Whatever has become possible."""
        actions: list[Action] = []
        if self.stage == "meeting":
            failed = [id for id in self.epoch.joining if self.members[id].state in ABSENT]
            if failed:
                return self.undo(f"{failed[0]}: {self.members[failed[0]].error or 'was stopped'}")
            if all(self._has_met(m) for m in self.members.values()):
                self.stage = "handing over"
                absent = [giver for giver in self._pairs if self._is_absent(giver)]
                self._legacies |= {id: self._left.get(id, Legacy(id, 0)) for id in absent}
                actions.append(WriteEpoch(self.epoch.commit()))
                actions += [a for id in self.members for a in (*self._hand_over(id), *self._take_over(id))]
        if self.stage == "handing over" and self._all_given():
            self.stage = "leaving"
        if self.stage == "leaving":
            actions += self._see_off()
            if not any(id in self.members for id in self.epoch.leaving):
                self.stage = "restarting" if self.restarts else "done"
                settled = self.epoch.settled()
                actions += [WriteEpoch(settled), *self._to_all(Replan(settled.number))]
        elif self.stage == "restarting" and all(m.settled for m in self._restarted()):
            self.stage = "done"
        return actions

    def _restarted(self) -> list[Member]:
        return [m for m in self.members.values() if m.node.name == self.restarts]

    def fail(self, why: str) -> None:
        """A process that was started again has died."""
        self.stage, self.error = "done", why

    # ---------------------------------------------------------------- the stages

    def _has_met(self, member: Member) -> bool:
        if member.final or member.node.command or member.state in (*ABSENT, "stopped"):
            return True
        if self.restarts and member.node.name == self.restarts and member.id not in self.epoch.joining:
            return True  # it is started again anyway, and may be what does not work
        if member.state == "backoff" and member.id in self.epoch.leaving:
            return True
        if member.id in self.epoch.joining and member.state not in ("ready", "running", "ending", "drained"):
            return False
        return member.id in self._replanned

    def _hand_over(self, id: str) -> list[Action]:
        member = self.members.get(id)
        if member is None or member.node.command or (id in self._legacies and self._pairs[id]):
            return []  # who gave nothing to nobody may be a new life, and has to begin what comes
        starts: dict[str, Position] = {}
        for taker in self._pairs.get(id, ()):
            for producer, start in self._replanned.get(taker, {}).items():
                known = starts.get(producer)
                if known is None or known.life < start.life:
                    starts[producer] = start
                elif known.life == start.life:
                    starts[producer] = Position(known.life, known.next | start.next)
        return [Send(id, HandOver(self.epoch.number, starts))]

    def _take_over(self, taker: str) -> list[Action]:
        return [
            Send(taker, TakeOver(self.epoch.number, legacy, self._pairs[giver][taker]))
            for giver, legacy in self._legacies.items()
            if taker in self._pairs[giver] and (taker, giver) not in self._taken
        ]

    def _all_given(self) -> bool:
        for giver, takers in self._pairs.items():
            if giver not in self._legacies and not self._nobody(giver):
                return False
            if any((taker, giver) not in self._taken and not self._nobody(taker) for taker in takers):
                return False
        return True

    def _is_absent(self, id: str) -> bool:
        """True of one that will not hand over by itself: it is dead, and its numbers are all there is of it."""
        member = self.members.get(id)
        return self._nobody(id) or (member is not None and id in self.epoch.leaving and member.state in GONE)

    def _nobody(self, id: str) -> bool:
        member = self.members.get(id)
        return member is None or member.final or member.state in (*ABSENT, "stopped")

    def _see_off(self) -> Iterator[Action]:
        for id in self.epoch.leaving:
            member = self.members.get(id)
            if member is not None and member.state == "drained" and not member.asked:
                member.asked = "stop"
                yield Send(id, Stop())

    def _to_all(self, message: ToNode) -> list[Action]:
        return [Send(m.id, message) for m in self.members.values() if m.state not in GONE and not m.node.command]
