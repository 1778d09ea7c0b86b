"""How the graph is, for whoever asks: put together from what the supervisor, the report and the vitals know."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from graph.events import Measured
from graph.member import GONE, Member
from graph.message import now_ns
from graph.report import Report
from graph.rundir import RunDir
from graph.status import ChangeStatus, GraphStatus, Health, InstanceStatus
from graph.supervisor import Supervisor
from graph.vitals import Vitals

BUSY_S = 0.5  # a handler that has been at one message for so long is worth telling

_HEALTH: dict[str, Health] = {
    "waiting": "waiting",
    "loaded": "starting",
    "adopted": "starting",
    "drained": "drained",
    "backoff": "backoff",
    "failed": "failed",
    "off": "stopped",
    "stopped": "stopped",
}


@dataclass
class Serving:
    """Answers for one supervisor."""

    supervisor: Supervisor
    report: Report
    run: RunDir
    logs: Path
    started_at: float = field(default_factory=time.time)
    vitals: Vitals = field(init=False)

    def __post_init__(self) -> None:
        limited = [m.id for m in self.supervisor.members.values() if m.node.resources.max_rss is not None]
        self.vitals = Vitals(frozenset(limited))
        self._file = str(Path(self.supervisor.plan.file).resolve())

    def look(self, now_s: float) -> Iterator[Measured]:
        """Once a second, what the processes take."""
        if self.vitals.due(now_s):
            living = {m.id: self.report.pid(m.id) for m in self.supervisor.members.values() if m.state not in GONE}
            yield from self.vitals.look({id: pid for id, pid in living.items() if pid is not None}, now_s)

    def status(self) -> GraphStatus:
        """As it is now."""
        return GraphStatus(
            graph=self.supervisor.plan.name,
            file=self._file,
            pid=os.getpid(),
            phase=self.supervisor.phase,
            started_at=self.started_at,
            run_folder=str(self.run.path),
            log_folder=str(self.logs),
            at_ns=now_ns(),
            instances=[self._instance(m) for m in self.supervisor.members.values()],
            edges=self.report.totals(),
            change=self._change(),
            changing=self.supervisor.changes.under_way,
        )

    def _change(self) -> ChangeStatus | None:
        transition = self.supervisor.changes.transition
        if transition is None:
            return None
        error = transition.error or transition.goes_back
        return ChangeStatus(transition.epoch.number, transition.text, transition.stage, error)

    def _instance(self, member: Member) -> InstanceStatus:
        node = member.node.fallback if member.fallback and member.node.fallback is not None else member.node
        health, text = health_of(member)
        counted, alive = self.report.counted(member.id), member.state not in GONE
        vital = self.vitals.of(member.id)
        return InstanceStatus(
            instance=member.id,
            node=member.node.name,
            use=node.use,
            health=health,
            text=text,
            pid=self.report.pid(member.id) if alive else None,
            life=self.report.restarts(member.id),
            fallback=member.fallback,
            leaving=alive and bool(member.asked),
            uptime_s=max(0.0, time.time() - vital.began_at) if alive else 0.0,
            busy_s=member.vitality.busy_s if alive else 0.0,
            cpu_percent=vital.cpu_percent if alive else 0.0,
            rss=vital.rss if alive else 0,
            last_error=member.error,
            sent=counted.sent,
            edges=counted.edges,
        )


def health_of(member: Member) -> tuple[Health, str]:
    """How an instance is, and what there is to say of it."""
    if member.state in GONE:
        return _HEALTH[member.state], member.error if member.state in ("backoff", "failed") else ""
    hang_after_s, busy_s = member.node.hang_after_s, member.vitality.busy_s
    if hang_after_s is not None and busy_s >= hang_after_s:
        return "hung", member.doomed
    if member.vitality.silent:
        return "unresponsive", member.doomed
    if member.state == "starting":
        return ("loading", member.status) if member.status else ("starting", "")
    if member.state == "loaded":
        return "starting", "waits for its neighbours"
    if member.state in _HEALTH:
        return _HEALTH[member.state], ""
    return ("busy", f"for {busy_s:.1f} s") if busy_s >= BUSY_S else ("ready", "")
