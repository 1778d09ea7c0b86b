"""What the supervisor decides: a pure machine, events in, actions out. It holds no socket, process or clock.

    starting --all ready--> running --all drained--> leaving --all gone--> done
    starting, running --Ctrl-C--> draining or leaving        any --a node fails--> leaving (exit code 1)

A node that may be restarted and dies while the graph runs is started again; the others are told what it leaves behind.

`graph.run` feeds it with what really happens and does what it says.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from graph.control import Drain, Drained, Failed, FromNode, Hello, Loaded, Ready, Start, Status, Stop, ToNode, Warned
from graph.plan import Plan, PlannedNode

LEAVE_WITHIN_S = 5.0  # from Stop to SIGTERM, and from there to SIGKILL


# events


@dataclass(frozen=True, slots=True)
class Said:
    """A node sent a control message."""

    instance: str
    message: FromNode


@dataclass(frozen=True, slots=True)
class Exited:
    """A process is gone; `code` is negative for a signal, as in `subprocess`."""

    instance: str
    code: int


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Ctrl-C or SIGTERM for the supervisor."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event: TypeAlias = Said | Exited | Interrupted | Tick


# actions


@dataclass(frozen=True, slots=True)
class Spawn:
    instance: str
    life: int = 0  # how often it was started before


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
class Finish:
    """All processes are gone: end with this exit code."""

    code: int


Action: TypeAlias = Spawn | Bury | Send | Kill | Tell | Finish

Phase: TypeAlias = Literal["starting", "running", "draining", "leaving", "done"]
State: TypeAlias = Literal["starting", "loaded", "ready", "running", "drained", "stopped"]


@dataclass
class Supervisor:
    """The state of a run. Feed `begin` once, then `handle` with every event; do what they return, in order."""

    plan: Plan
    phase: Phase = "starting"
    states: dict[str, State] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)  # what a starting node is busy with
    failures: dict[str, str] = field(default_factory=dict)  # why a node could not go on
    exit_code: int = 0
    lives: dict[str, int] = field(default_factory=dict)  # how often each instance was started again
    _deaths_s: dict[str, list[float]] = field(default_factory=dict)  # of a node's instances, when each died
    _late_s: dict[str, float] = field(default_factory=dict)  # by restarted instance, when it must be ready
    _deadline_s: float = 0.0
    _interrupted_before: bool = False
    _escalation: int = 0  # signals sent to those that do not leave
    _killed: set[str] = field(default_factory=set)  # sent a signal, so how they end says nothing

    @property
    def has_deadline(self) -> bool:
        """True while time alone may change something."""
        return self.phase not in ("running", "done") or bool(self._late_s)

    def begin(self, now_s: float) -> list[Action]:
        """Start every node, all at once."""
        self.states = {i.id: "starting" for i in self.plan.instances}
        self.lives = dict.fromkeys(self.states, 0)
        self._deadline_s = now_s + max(n.start_within_s for n in self.plan.nodes)
        return [Spawn(i.id) for i in self.plan.instances]

    def handle(self, event: Event, now_s: float) -> list[Action]:
        """One event; `now_s` is any clock that only goes forward."""
        if isinstance(event, Said):
            return self._said(event.instance, event.message, now_s)
        if isinstance(event, Exited):
            return self._exited(event, now_s)
        if isinstance(event, Interrupted):
            return self._interrupted(now_s)
        return self._tick(now_s)

    def _said(self, instance: str, message: FromNode, now_s: float) -> list[Action]:
        if instance not in self.states:
            return []
        if isinstance(message, Hello) and self.phase == "leaving":
            return [Send(instance, Stop())]  # it came too late to hear the first
        if isinstance(message, Status):
            self.status[instance] = message.text
            return [Tell("status", message.text, instance)]
        if isinstance(message, Warned):
            return [Tell("warning", message.text, instance)]
        if isinstance(message, Failed) and self._may_again(instance):
            self.failures[instance] = message.text  # its end decides: it may be started again
            return []
        if isinstance(message, Failed):
            return self._failed(instance, message.text, now_s)
        if isinstance(message, Loaded) and self.states[instance] == "starting":
            self.states[instance] = "loaded"
            self.status.pop(instance, None)
        if isinstance(message, Ready) and self.states[instance] == "loaded":
            return self._ready(instance)
        if isinstance(message, Drained) and self.states[instance] == "running":
            return self._drained(instance, now_s)
        return []

    def _ready(self, instance: str) -> list[Action]:
        self.states[instance] = "ready"
        if self.phase in ("running", "draining") and instance in self._late_s:
            del self._late_s[instance]
            self.states[instance] = "running"
            return [Send(instance, Start()), Tell("info", f"running again (life {self.lives[instance]})", instance)]
        if self.phase != "starting" or not self._all("ready"):
            return []
        self.phase = "running"
        self.states = dict.fromkeys(self.states, "running")
        return [*self._to_all(Start()), Tell("info", "running")]

    def _drained(self, instance: str, now_s: float) -> list[Action]:
        self.states[instance] = "drained"
        return self._leave(now_s) if self._all_drained() else []

    def _exited(self, event: Exited, now_s: float) -> list[Action]:
        again = self._again(event, now_s)
        if again:
            return again
        finished = self.states[event.instance] == "drained" and self.phase != "leaving"
        self.states[event.instance] = "stopped"
        actions: list[Action] = []
        if finished and self._node(event.instance).restart is not None:
            said = Tell("warning", f"{_last_words(event.code)}, after it had finished", event.instance)
            return [said, *self._leave(now_s)] if self._all_drained() else [said]
        asked = self.phase == "leaving" and (event.code == 0 or event.instance in self._killed)
        if not asked and (event.instance not in self.failures or self.phase != "leaving"):
            actions = self._failed(event.instance, self.failures.get(event.instance) or _last_words(event.code), now_s)
        if self._alive():
            return actions
        self.phase = "done"
        return [*actions, Finish(self.exit_code)]

    def _node(self, instance: str) -> PlannedNode:
        return self.plan.node(self.plan.instance(instance).node)

    def _may_again(self, instance: str) -> bool:
        """True where the death of an instance need not end the graph: it has work left, and may be started again."""
        node = self._node(instance)
        done = self.states[instance] == "drained" or (node.source and self.phase == "draining")
        return node.restart is not None and self.phase in ("running", "draining") and not done

    def _again(self, event: Exited, now_s: float) -> list[Action]:
        """Start a node again that died while the graph runs; empty where it may not be, or has nothing left to do."""
        instance = event.instance
        node, restart = self._node(instance), self._node(instance).restart
        if restart is None or not self._may_again(instance):
            return []
        deaths = [s for s in self._deaths_s.get(node.name, []) if now_s - s < restart.within_s]
        if len(deaths) >= restart.max:
            return []
        self._deaths_s[node.name] = [*deaths, now_s]
        why = self.failures.pop(instance, None) or _last_words(event.code)
        life = self.lives[instance]
        self.lives[instance] = life + 1
        self.states[instance] = "starting"
        self._late_s[instance] = now_s + node.start_within_s
        told = f"{why}; started again ({len(deaths) + 1} of {restart.max} in {restart.within_s:g} s)"
        return [Tell("warning", told, instance), Bury(instance, life), Spawn(instance, life + 1)]

    def _failed(self, instance: str, text: str, now_s: float) -> list[Action]:
        self.failures[instance] = text
        self.exit_code = self.exit_code or 1
        told = Tell("error", text, instance)
        return [told] if self.phase == "leaving" else [told, *self._leave(now_s)]

    def _interrupted(self, now_s: float) -> list[Action]:
        first, self._interrupted_before = not self._interrupted_before, True
        if self.phase == "leaving" and first:
            return [Tell("info", "leaving (Ctrl-C again stops at once)")]
        if self.phase == "starting":
            return [Tell("info", "stopping before the graph was ready"), *self._leave(now_s)]
        if self.phase == "running":
            self.phase = "draining"
            self._deadline_s = now_s + self.plan.drain_within_s
            return [Tell("info", "draining (Ctrl-C again stops at once)"), *self._to_all(Drain())]
        self.exit_code = 130  # 128 + SIGINT, as shells report it
        self.phase = "leaving"
        self._escalation = 2
        return self._kill(self._alive(), signal.SIGKILL)

    def _tick(self, now_s: float) -> list[Action]:
        late = next((i for i, s in self._late_s.items() if now_s >= s), None)
        if late is not None and self.phase in ("running", "draining"):
            del self._late_s[late]
            return self._failed(late, self._late(late), now_s)
        if self.phase in ("running", "done") or now_s < self._deadline_s:
            return []
        if self.phase == "starting":
            waiting: State = "starting" if "starting" in self.states.values() else "loaded"
            late = next(i for i, s in self.states.items() if s == waiting)
            return self._failed(late, self._late(late), now_s)
        if self.phase == "draining":
            undrained = [i for i, s in self.states.items() if s != "drained"]
            self.exit_code = 1
            text = f"not drained within {self.plan.drain_within_s:g} s: {', '.join(undrained)}"
            return [Tell("warning", text), *self._leave(now_s)]
        self._deadline_s = now_s + LEAVE_WITHIN_S
        self._escalation += 1
        how = signal.SIGTERM if self._escalation == 1 else signal.SIGKILL
        self.exit_code = self.exit_code or 1  # what it still had to write may be lost
        told = [Tell("warning", f"has not left within {LEAVE_WITHIN_S:g} s: {how.name}", i) for i in self._alive()]
        return [*told, *self._kill(self._alive(), how)]

    def _late(self, instance: str) -> str:
        doing = self.status.get(instance)
        return f"not ready within {self._node(instance).start_within_s:g} s" + (f" (last: {doing})" if doing else "")

    def _leave(self, now_s: float) -> list[Action]:
        """Ask all to go; who is still loading hears nothing and has nothing to lose."""
        self.phase = "leaving"
        self._deadline_s = now_s + LEAVE_WITHIN_S
        loading = [i for i in self._alive() if self.states[i] == "starting" and i not in self.failures]
        return [*self._to_all(Stop()), *self._kill(loading, signal.SIGTERM)]

    def _kill(self, instances: list[str], how: signal.Signals) -> list[Action]:
        self._killed.update(instances)
        return [Kill(i, how) for i in instances]

    def _to_all(self, message: ToNode) -> list[Action]:
        return [Send(i, message) for i in self._alive()]

    def _all(self, state: State) -> bool:
        return all(s == state for s in self.states.values())

    def _all_drained(self) -> bool:
        return all(s in ("drained", "stopped") for s in self.states.values())

    def _alive(self) -> list[str]:
        return [i for i, s in self.states.items() if s != "stopped"]


def _last_words(code: int) -> str:
    if code < 0:
        known = -code in set(signal.Signals)  # most real-time signals have no name
        return f"died: killed by {signal.Signals(-code).name if known else f'signal {-code}'}"
    return f"ended by itself with exit code {code}"
