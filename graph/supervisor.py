"""What the supervisor decides: a pure machine, events in, actions out. It holds no socket, process or clock.

The graph:

    starting --all ready--> running --all drained--> leaving --all gone--> done
    starting, running --Ctrl-C--> leaving, draining          any --a critical node fails--> leaving (exit code 1)

An instance:

    waiting --`after` has loaded--> starting --Loaded--> loaded --Ready--> ready --Start--> running --> ending --> drained
    any of these --it dies--> backoff --> starting ...       --it dies too often--> failed (or its fallback starts)
    failed --`retry_after`, or the user--> starting          --the user--> off --the user--> starting

Who dies is started again as its `restart` says (`graph.circuit`); the others are told what it leaves behind (`Bury`), and, when
it has failed, that nobody need wait for it (`Absent`). `graph.run` feeds the machine with what really happens and does what
it says.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from graph.changes import Changes
from graph.circuit import Circuit
from graph.control import (
    Absent,
    Beat,
    Drain,
    Drained,
    Ending,
    Expected,
    Failed,
    FromNode,
    Hello,
    Loaded,
    Ready,
    Start,
    Status,
    Stop,
    ToNode,
    Warned,
)
from graph.epoch import Epoch
from graph.events import (
    Action,
    Bury,
    ChangePlan,
    Event,
    Exited,
    Finish,
    Interrupted,
    Kill,
    Left,
    Measured,
    Said,
    Send,
    Spawn,
    StartNode,
    StopNode,
    Tell,
    Want,
)
from graph.handover import Replan
from graph.member import ABSENT, GONE, HEARD, Found, Member, State
from graph.plan import Plan
from graph.status import Phase
from graph.vitality import Vitality

LEAVE_WITHIN_S = 5.0  # from Stop to SIGTERM, and from there to SIGKILL
TURN_S = 30.0  # that a turn which has begun is waited for
SOON_S = 0.05
LOOK_S = 0.25  # how often signs of life are looked at
AWAY_S = 2.0  # a supervisor that did not look for so long was itself stopped, and nobody's silence counts


@dataclass
class Supervisor:
    """The state of a run. Feed `begin` or `adopt` once, then `handle` with every event; do what they return, in order."""

    plan: Plan
    jitter: Callable[[], float] = random.random
    phase: Phase = "starting"
    members: dict[str, Member] = field(default_factory=dict)
    changes: Changes = field(init=False)
    exit_code: int = 0
    _circuits: dict[tuple[str, bool], Circuit] = field(default_factory=dict)  # by node, and whether of its fallback
    _deadline_s: float = 0.0  # of a drain, or of leaving
    _looked_s: float = 0.0
    _interrupted_before: bool = False
    _escalation: int = 0  # signals sent to those that do not leave
    _blamed: set[str] = field(default_factory=set)  # why the graph has ended
    _killed: set[str] = field(default_factory=set)  # sent a signal, so how they end says nothing

    def __post_init__(self) -> None:
        self.changes = Changes(Epoch(0, self.plan), self.members)
        self._know_circuits()

    def _know_circuits(self) -> None:
        for node in self.plan.nodes:
            for fallback in (False, True):
                known = self._circuits.get((node.name, fallback))
                if known is None or known.restart != node.restart:
                    self._circuits[node.name, fallback] = Circuit(node.restart, self.jitter)

    @property
    def failures(self) -> dict[str, str]:
        """By instance, why it could not go on."""
        return {m.id: m.error for m in self.members.values() if m.state == "failed" or m.id in self._blamed}

    @property
    def has_deadline(self) -> bool:
        """True while something is due sooner than the next beat would bring a tick."""
        return self.phase not in ("running", "done") or any(m.due_s is not None for m in self.members.values())

    # ---------------------------------------------------------------- the beginning

    def begin(self, now_s: float) -> list[Action]:
        """Start every node, all at once but those that wait for others."""
        self._looked_s = now_s
        return self._start_waiting(now_s)

    def adopt(self, found: Mapping[str, Found], now_s: float, epoch: Epoch | None = None) -> list[Action]:
        """Take over what an earlier supervisor has left: who lives will say how far it is, who died is started again.

        :param epoch: what was in force, where that is not the plan from the file any more.
        """
        self._looked_s = now_s
        if epoch is not None:
            self.changes.resume(epoch)
            self._replan()
        for id, left in found.items():
            if id not in self.members:
                continue  # it has left
            member = self.members[id]
            member.life, member.fallback = left.life, left.fallback
            member.vitality.beat(now_s)
            if left.alive:
                member.state = "adopted"
            else:
                why = "" if left.ended else "died while there was no supervisor"
                member.state, member.error, member.due_s = "backoff", why, now_s
                member.unburied = True
        alive = sum(left.alive for left in found.values())
        told = f"took over {alive} running processes" if alive else "goes on where all processes had died"
        return [Tell("info", told), *self._start_waiting(now_s)]

    def _start_waiting(self, now_s: float) -> list[Action]:
        actions: list[Action] = []
        for member in list(self.members.values()):
            if member.state == "waiting" and all(self._has_loaded(name) for name in member.node.after):
                actions += self._spawn(member, now_s)
        return actions

    def _has_loaded(self, node: str) -> bool:
        loading: tuple[State, ...] = ("waiting", "starting", "backoff", "adopted")
        return not any(m.state in loading for m in self._of(node))

    def _spawn(self, member: Member, now_s: float) -> list[Action]:
        if self.changes.transition is not None:
            self.changes.transition.started(member.id)
        member.state, member.status, member.doomed, member.asked = "starting", "", "", ""
        member.due_s = now_s + member.node.start_within_s
        member.vitality = Vitality(now_s)
        return [Spawn(member.id, member.life, member.fallback)]

    # ---------------------------------------------------------------- events

    def handle(self, event: Event, now_s: float) -> list[Action]:
        """One event; `now_s` is any clock that only goes forward."""
        if isinstance(event, Said) and isinstance(event.message, Beat) and not self._adopts(event.instance):
            return self._handle(event, now_s)  # says nothing new; there are two a second of every node
        actions = self._handle(event, now_s)
        return [*actions, *self._settle(now_s)]

    def _adopts(self, instance: str) -> bool:
        """True of one that an earlier supervisor has left, and whose state its first beat will tell."""
        member = self.members.get(instance)
        return member is not None and member.state == "adopted"

    def _handle(self, event: Event, now_s: float) -> list[Action]:
        if isinstance(event, Said):
            member = self.members.get(event.instance)
            return self._said(member, event.message, now_s) if member is not None else []
        if isinstance(event, Exited):
            return self._exited(self.members[event.instance], event.code, now_s)
        if isinstance(event, Measured):
            return self._measured(self.members[event.instance], event.rss)
        if isinstance(event, Interrupted):
            return self._interrupted(now_s)
        if isinstance(event, StopNode):
            return self._stop_node(event, now_s)
        if isinstance(event, ChangePlan):
            return self._change(event, now_s)
        if isinstance(event, Want):
            self.changes.wanted = event.plan
            return []
        if isinstance(event, Left):
            transition = self.changes.transition
            return transition.left(event.legacy) if transition is not None else []
        if isinstance(event, StartNode):
            return [a for m in self._of(event.node) if m.state in ABSENT and not m.final for a in self._retry(m, now_s)]
        return self._tick(now_s)

    def _said(self, member: Member, message: FromNode, now_s: float) -> list[Action]:
        if isinstance(message, Beat):
            return self._beat(member, message, now_s)
        member.vitality.beat(now_s)
        if isinstance(message, Hello):
            return self._hello(member)
        if isinstance(message, Status):
            member.status = message.text
            return [Tell("status", message.text, member.id)]
        if isinstance(message, Warned):
            return [Tell("warning", message.text, member.id)]
        if isinstance(message, Failed):
            return self._said_failed(member, message.text, now_s)
        if isinstance(message, Loaded) and member.state == "starting":
            member.state, member.status = "loaded", ""
            return self._start_waiting(now_s)
        if isinstance(message, Ready) and member.state == "loaded":
            return self._ready(member, now_s)
        begun = member.state in ("running", "ending") or (member.state == "ready" and self.changes.holds(member.id))
        if isinstance(message, Ending) and begun:  # it may have nothing to wait for, and not even be let run
            member.state = "ending"
        if isinstance(message, Drained) and begun:
            member.state = "drained"
        transition = self.changes.transition
        return transition.said(member.id, message) if transition is not None else []

    def _hello(self, member: Member) -> list[Action]:
        if self.phase == "leaving":
            return [Send(member.id, Stop())]  # it came too late to hear the first
        absent = [m for m in self.members.values() if m.state in ABSENT and m is not member]
        return [*self._newest_plan(member), *(Send(member.id, Absent(m.id, m.final)) for m in absent)]

    def _newest_plan(self, member: Member) -> list[Action]:
        """It may have read an earlier plan, and was not there to hear of the newest."""
        number = self.changes.epoch.number
        return [Send(member.id, Replan(number))] if number and not member.node.command else []

    def _said_failed(self, member: Member, text: str, now_s: float) -> list[Action]:
        """Its last word: what its end leads to is decided then, or now if that ends the graph."""
        member.error = member.doomed = text
        if self.phase == "leaving":
            return self._blame(member, text)
        return self._give_up(member, text, now_s) if self._ends_the_graph(member) else []

    def _ready(self, member: Member, now_s: float) -> list[Action]:
        member.state, member.due_s = "ready", None
        return []  # `_settle` lets it run, when it may

    def _run(self, member: Member, now_s: float) -> list[Action]:
        member.state, member.well_s = "running", now_s
        if member.life == 0:
            return [Send(member.id, Start())]
        who = "its fallback is running" if member.fallback else "running again"
        return [Send(member.id, Start()), Tell("info", f"{who} (life {member.life})", member.id)]

    def _beat(self, member: Member, beat: Beat, now_s: float) -> list[Action]:
        if beat.life not in (member.life, -1):
            return []  # the last of a life that is over
        member.vitality.beat(now_s, beat.busy_ms / 1000)
        if member.state != "adopted":
            return []
        member.state, member.well_s = beat.course, now_s
        actions = self._newest_plan(member)
        if beat.course in ("running", "ending", "drained") and self.phase == "starting":
            self.phase = "running"
        if beat.draining and self.phase == "running":
            actions += self._drain(now_s)
        if beat.course == "ready":
            member.state = "loaded"
            actions += self._ready(member, now_s)
        if beat.course in ("starting", "loaded"):
            member.due_s = now_s + member.node.start_within_s
        if beat.resting:  # the supervisor before has asked it to
            member.asked, member.due_s = "restart", now_s + LEAVE_WITHIN_S + TURN_S
        return actions

    def _measured(self, member: Member, rss: int) -> list[Action]:
        limit = member.node.resources.max_rss
        if limit is None or rss <= limit or member.doomed:
            return []
        return self._doom(member, f"{rss / 2**20:.0f} MB are more than max_rss, {limit / 2**20:.0f} MB")

    # ---------------------------------------------------------------- deaths

    def _exited(self, member: Member, code: int | None, now_s: float) -> list[Action]:
        asked = self.phase == "leaving" and (code == 0 or code is None or member.id in self._killed)
        why = member.doomed or _last_words(code)
        member.due_s = None
        if self.phase == "leaving":
            member.state = "stopped"
            return [] if asked or member.id in self._blamed else self._blame(member, why)
        if self.changes.leaves(member.id):
            return self._gone_for_good(member, why)
        if self.changes.was_sent_away(member.id):
            return self._gone_for_good(member, "")
        if member.asked or (member.state == "adopted" and code == 0):  # the supervisor before may have asked it to
            return self._left(member, now_s)
        if member.state == "drained":
            member.state = "stopped"
            return [Tell("warning", f"{_last_words(code)}, after it had finished", member.id)]
        member.error = why
        if self._ends_the_graph(member) and (member.doomed or (code is not None and code >= 0)):
            member.state = "stopped"
            return self._give_up(member, why, now_s)
        return [*self._died(member, code, why, now_s)]

    def _ends_the_graph(self, member: Member) -> bool:
        """A graph that cannot even start is no graph, and its user is there to read why."""
        node = member.node
        never_ran = self.phase == "starting" and not self.changes.epoch.number
        return never_ran and node.restart.policy != "always" and node.fallback is None and member.life == 0

    def _died(self, member: Member, code: int | None, why: str, now_s: float) -> Iterator[Action]:
        policy = member.node.restart.policy
        again = policy == "always" or (policy == "on_failure" and (code != 0 or bool(member.doomed)))
        over = member.node.source and self.phase == "draining"
        circuit = self._circuits[member.node.name, member.fallback]
        wait_s = circuit.died(now_s) if again and not over and not member.trial else None
        member.trial = False
        yield from self._bury(member)
        if self.phase == "running":
            yield from self.changes.died(member, why, now_s)
        if wait_s is not None:
            at = f"in {wait_s:.1f} s" if wait_s else "now"
            left = f"{len(circuit.deaths_s)} of {circuit.restart.max} in {circuit.restart.within_s:g} s"
            yield Tell("warning", f"{why}; starting again {at} ({left})", member.id)
            member.state, member.due_s = "backoff", now_s + wait_s
            if not wait_s:
                yield from self._spawn(member, now_s)
        else:
            yield from self._open(member, why, now_s)

    def _gone_for_good(self, member: Member, why: str) -> list[Action]:
        """It was to leave: by itself when it had finished, or it died before."""
        del self.members[member.id]
        if member.state in ("drained", *GONE):
            return self._to_all(Absent(member.id, final=True))
        told = [Tell("warning", f"{why}, while it was leaving", member.id)] if why else []
        return [*told, *self._bury(member), *self._to_all(Absent(member.id, final=True))]

    def _bury(self, member: Member) -> list[Action]:
        member.life += 1
        return [Bury(member.id, member.life - 1)]

    def _bury_late(self, member: Member, now_s: float) -> list[Action]:
        """Its next life must not come before the others know of its death, and they must have connected to be told."""
        if any(m.state == "adopted" for m in self.members.values()):
            member.due_s = now_s + SOON_S
            return []
        member.unburied = False
        if self.changes.leaves(member.id):
            return [*self._bury(member), *self._gone_for_good(member, "")]
        return [*self._bury(member), *self._spawn(member, now_s)]

    def _open(self, member: Member, why: str, now_s: float) -> Iterator[Action]:
        """The circuit of a node is open: its fallback takes over, or the rest goes on without it."""
        node = member.node
        retry_after_s = node.restart.retry_after_s if self.phase != "draining" else None
        if member.retry_s is None and retry_after_s is not None:
            member.retry_s = now_s + retry_after_s
        if node.fallback is not None and not member.fallback and self.phase != "draining":
            member.fallback = True
            yield Tell("error", f"has failed: {why}; its fallback takes its place", member.id)
            yield from self._spawn(member, now_s)
            return
        member.fallback, member.state = False, "failed"
        if node.critical:
            yield from self._give_up(member, why, now_s)
            return
        hint = f"next try in {retry_after_s:g} s" if retry_after_s is not None else f"`graph restart {node.name}` tries again"
        yield Tell("error", f"has failed: {why}; the rest of the graph goes on ({hint})", member.id)
        yield from self._to_all(Absent(member.id))

    def _retry(self, member: Member, now_s: float) -> list[Action]:
        """Start what has failed or was stopped."""
        self._circuits[member.node.name, False].close()
        member.retry_s, member.trial = None, member.state == "failed"
        return [*self._to_all(Expected(member.id)), *self._spawn(member, now_s)]

    def _left(self, member: Member, now_s: float) -> list[Action]:
        """It has gone because it was told to."""
        asked, member.asked, member.error = member.asked, "", ""
        actions = self._bury(member)
        if asked == "stop":
            member.state = "off"
            return [*actions, Tell("info", "stopped", member.id), *self._to_all(Absent(member.id))]
        if asked == "hand back":
            member.fallback, member.trial, member.retry_s = False, True, None
        else:
            self._circuits[member.node.name, member.fallback].close()
        return [*actions, *self._spawn(member, now_s)]

    def _doom(self, member: Member, why: str) -> list[Action]:
        member.doomed = why
        return [Kill(member.id, signal.SIGKILL)]

    # ---------------------------------------------------------------- what the user asks

    def _stop_node(self, event: StopNode, now_s: float, gently: bool = False) -> list[Action]:
        actions: list[Action] = []
        for member in self._of(event.node):
            if member.final or member.finished:
                continue
            if member.state in ABSENT:
                actions += self._retry(member, now_s) if event.again else []
            elif member.state in ("waiting", "backoff"):
                member.state, member.due_s = "off", None
                actions += self._retry(member, now_s) if event.again else self._to_all(Absent(member.id))
            else:
                actions += self._ask(member, "restart" if event.again else "stop", now_s, gently)
        return actions

    def _ask(
        self, member: Member, what: Literal["stop", "restart", "hand back"], now_s: float, gently: bool = False
    ) -> list[Action]:
        """Tell one to leave; who is still loading hears nothing and has nothing to lose."""
        member.asked, member.due_s = what, now_s + LEAVE_WITHIN_S + (TURN_S if gently else 0)
        loading = member.state == "starting"
        return [Kill(member.id, signal.SIGTERM)] if loading else [Send(member.id, Stop(gently))]

    def _change(self, event: ChangePlan, now_s: float) -> list[Action]:
        """Turn the graph into another, in one step; call when no change is under way."""
        told = self.changes.begin(event)
        self._replan()
        return [*told, *self._start_waiting(now_s)]

    def _replan(self) -> None:
        """Another plan may be in force."""
        if self.plan is not self.changes.epoch.plan:
            self.plan = self.changes.epoch.plan
            self._know_circuits()

    def _go_on_changing(self, now_s: float) -> list[Action]:
        """Whatever has become possible in a change of the plan, and the next one."""
        changes = self.changes
        actions = changes.go_on(ending=self.phase not in ("starting", "running"))
        if changes.to_restart:
            actions += self._stop_node(StopNode(changes.to_restart, again=True), now_s, gently=True)
            changes.to_restart = ""
        for member in [m for m in self.members.values() if m.state in GONE and changes.leaves(m.id) and not m.unburied]:
            actions += self._gone_for_good(member, "")
        actions += changes.conclude(now_s)
        self._replan()
        for member in changes.sent_away:
            self._circuits[member.node.name, False].close()
            if member.state in GONE:
                actions += self._gone_for_good(member, "")
            else:
                member.asked = "stop"
        for member in self.members.values():
            if member.asked and member.due_s is None:
                member.due_s = now_s + LEAVE_WITHIN_S
        following = changes.next() if self.phase == "running" and not changes.busy else None
        if isinstance(following, ChangePlan):
            return [*actions, *self._change(following, now_s)]
        return [*actions, following] if following is not None else actions

    def _interrupted(self, now_s: float) -> list[Action]:
        first, self._interrupted_before = not self._interrupted_before, True
        if self.phase == "leaving" and first:
            return [Tell("info", "leaving (Ctrl-C again stops at once)")]
        if self.phase == "starting":
            return [Tell("info", "stopping before the graph was ready"), *self._leave(now_s)]
        if self.phase == "running":
            return [Tell("info", "draining (Ctrl-C again stops at once)"), *self._drain(now_s)]
        self.exit_code = 130  # 128 + SIGINT, as shells report it
        self.phase = "leaving"
        self._escalation = 2
        return self._kill(self._alive(), signal.SIGKILL)

    # ---------------------------------------------------------------- time

    def _tick(self, now_s: float) -> list[Action]:
        actions: list[Action] = []
        if now_s - self._looked_s >= LOOK_S:
            actions += self._look(now_s)
        for member in list(self.members.values()):
            if member.due_s is not None and now_s >= member.due_s and self.phase not in ("leaving", "done"):
                actions += self._due(member, now_s)
        if self.phase in ("draining", "leaving") and now_s >= self._deadline_s:
            actions += self._too_late(now_s)
        return actions

    def _look(self, now_s: float) -> Iterator[Action]:
        """After signs of life, and after what may be tried again."""
        away_s, self._looked_s = now_s - self._looked_s, now_s
        for member in list(self.members.values()):
            if away_s >= AWAY_S:
                member.vitality.seen_s += away_s
            if member.retry_s is not None and now_s >= member.retry_s and self.phase == "running":
                yield from self._try_again(member, now_s)
            if member.trial and member.state == "running" and now_s - member.well_s >= member.node.restart.within_s:
                member.trial = False
                self._circuits[member.node.name, False].close()
                yield Tell("info", "has recovered", member.id)
            if member.state not in HEARD or member.doomed or self.phase == "leaving":
                continue
            why = member.vitality.verdict(member.node, now_s)
            if why:
                yield from self._doom(member, why)
            elif member.vitality.changed(now_s):
                silent = member.vitality.silent
                told = f"unresponsive: it is ended after {member.node.dead_after_s:g} s of silence"
                yield Tell("warning" if silent else "info", told if silent else "answers again", member.id)

    def _try_again(self, member: Member, now_s: float) -> list[Action]:
        if member.state == "failed":
            return [Tell("info", "is tried again", member.id), *self._retry(member, now_s)]
        if member.fallback and member.state == "running":
            member.retry_s = None
            return [Tell("info", "is tried again; its fallback leaves", member.id), *self._ask(member, "hand back", now_s)]
        return []

    def _due(self, member: Member, now_s: float) -> list[Action]:
        """Something should have happened by now."""
        if member.asked:
            how = signal.SIGKILL if member.id in self._killed else signal.SIGTERM
            member.due_s = now_s + LEAVE_WITHIN_S
            return [
                Tell("warning", f"has not left within {LEAVE_WITHIN_S:g} s: {how.name}", member.id),
                *self._kill([member], how),
            ]
        member.due_s = None
        if member.state == "backoff" and member.unburied:
            return self._bury_late(member, now_s)
        if member.state == "backoff":
            return self._spawn(member, now_s)
        if member.state == "loaded" and any(m.state in ("waiting", "starting", "backoff") for m in self.members.values()):
            member.due_s = now_s + LOOK_S  # it waits for others, which are not late yet
            return []
        late = f"not ready within {member.node.start_within_s:g} s" + (f" (last: {member.status})" if member.status else "")
        return self._give_up(member, late, now_s) if self._ends_the_graph(member) else self._doom(member, late)

    def _too_late(self, now_s: float) -> list[Action]:
        if self.phase == "draining":
            undrained = [m.id for m in self.members.values() if not m.finished]
            self.exit_code = 1
            text = f"not drained within {self.plan.drain_within_s:g} s: {', '.join(undrained)}"
            return [Tell("warning", text), *self._leave(now_s)]
        self._deadline_s = now_s + LEAVE_WITHIN_S
        self._escalation += 1
        how = signal.SIGTERM if self._escalation == 1 else signal.SIGKILL
        self.exit_code = self.exit_code or 1  # what it still had to write may be lost
        alive = self._alive()
        told = [Tell("warning", f"has not left within {LEAVE_WITHIN_S:g} s: {how.name}", m.id) for m in alive]
        return [*told, *self._kill(alive, how)]

    # ---------------------------------------------------------------- the end

    def _settle(self, now_s: float) -> list[Action]:
        """What follows from the state as a whole, whatever event led to it."""
        actions: list[Action] = self._go_on_changing(now_s)
        if self.phase == "starting" and all(m.state in ("ready", *ABSENT) for m in self.members.values()):
            actions += self._all_ready(now_s)
        if self.phase in ("running", "draining"):
            for member in list(self.members.values()):
                if member.state == "ready" and not self.changes.holds(member.id):
                    actions += self._run(member, now_s)
                if member.state in ABSENT and not member.final and self._never_again(member):
                    member.final, member.retry_s = True, None
                    actions += self._to_all(Absent(member.id, final=True))
            if all(m.finished for m in self.members.values()):
                actions += self._leave(now_s)
        if self.phase == "leaving" and not self._alive():
            self.phase = "done"
            failed = any(m.state == "failed" for m in self.members.values())
            actions.append(Finish(self.exit_code or int(failed)))
        return actions

    def _all_ready(self, now_s: float) -> list[Action]:
        self.phase = "running"
        started = [a for m in self.members.values() if m.state == "ready" for a in self._run(m, now_s)]
        return [*(a for a in started if isinstance(a, Send)), Tell("info", "running")] if started else []

    def _never_again(self, member: Member) -> bool:
        """True when nothing is left to do for one that is absent: all that it listens to has ended."""
        waits = member.retry_s is not None or (member.state == "off" and member.node.source)
        if self.phase == "draining" and member.node.source:
            return True
        feeds = [e.producer for e in self.plan.edges if e.consumer == member.node.name and not e.feedback]
        before = [m for producer in feeds for m in self._of(producer)]
        # Who keeps messages for it has not drained, and never will if it never comes.
        return not (waits and not before) and all(m.finished or (m.state == "ending" and not waits) for m in before)

    def _give_up(self, member: Member, text: str, now_s: float) -> list[Action]:
        told = self._blame(member, text)
        return told if self.phase == "leaving" else [*told, *self._leave(now_s)]

    def _blame(self, member: Member, text: str) -> list[Action]:
        """It is why the graph ends, or ends badly."""
        member.error, self.exit_code = text, self.exit_code or 1
        self._blamed.add(member.id)
        return [Tell("error", text, member.id)]

    def _drain(self, now_s: float) -> list[Action]:
        self.phase = "draining"
        self._deadline_s = now_s + self.plan.drain_within_s
        return self._to_all(Drain())

    def _leave(self, now_s: float) -> list[Action]:
        """Ask all to go; who is still loading hears nothing and has nothing to lose."""
        self.phase = "leaving"
        self._deadline_s = now_s + LEAVE_WITHIN_S
        for member in list(self.members.values()):
            if member.state in ("waiting", "backoff"):
                member.state = "stopped"
        loading = [m for m in self._alive() if m.state == "starting" and m.id not in self._blamed]
        return [*self._to_all(Stop()), *self._kill(loading, signal.SIGTERM)]

    def _kill(self, members: list[Member], how: signal.Signals) -> list[Action]:
        self._killed.update(m.id for m in members)
        return [Kill(m.id, how) for m in members]

    def _to_all(self, message: ToNode) -> list[Action]:
        return [Send(m.id, message) for m in self._alive()]

    def _of(self, node: str) -> list[Member]:
        return [m for m in self.members.values() if m.node.name == node]

    def _alive(self) -> list[Member]:
        return [m for m in self.members.values() if m.state not in GONE]


def _last_words(code: int | None) -> str:
    if code is None:
        return "died, and nobody saw how"
    if code < 0:
        known = -code in set(signal.Signals)  # most real-time signals have no name
        return f"died: killed by {signal.Signals(-code).name if known else f'signal {-code}'}"
    return f"ended by itself with exit code {code}"
