"""Signs of life of one process: when it was heard last, and whether its handler gets on. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from graph.plan import PlannedNode

SILENT_S = 2.5  # five beats missed in a row; one or two may be late on a busy machine


@dataclass
class Vitality:
    seen_s: float = 0.0
    busy_s: float = 0.0  # how long its handler has been at work without a step, when it was heard last
    silent: bool = False  # and the user was told so

    def beat(self, now_s: float, busy_s: float = 0.0) -> None:
        """It was heard."""
        self.seen_s, self.busy_s = now_s, busy_s

    def verdict(self, node: PlannedNode, now_s: float) -> str:
        """Why it must be ended; empty when it may live."""
        silent_s = now_s - self.seen_s
        if silent_s >= node.dead_after_s:
            return f"no sign of life for {node.dead_after_s:g} s"
        if node.hang_after_s is not None and self.busy_s >= node.hang_after_s:
            return f"hung: its handler made no progress for {self.busy_s:.1f} s"
        return ""

    def changed(self, now_s: float) -> bool:
        """True when it has just fallen silent, or is just heard again."""
        was, self.silent = self.silent, now_s - self.seen_s >= SILENT_S
        return was != self.silent
