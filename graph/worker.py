"""The process around one node: `python -m graph.worker RUN_DIR INSTANCE LIFE [fallback]`.

LIFE counts how often the instance was started before in this run; `fallback` runs the node's fallback in its place.

Exit code 0: drained, or told to stop. 1: the node could not go on; the supervisor was told why, the log holds the trace.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from graph import logs
from graph.control import Beat, ControlClient, Failed, Stop, Warned
from graph.dead_letters import dead_letters_file, keep
from graph.epoch import Epoch
from graph.errors import NodeError, VoicegraphError
from graph.links.dealer import Parcel
from graph.links.receipts import Origin
from graph.log_places import log_dir
from graph.log_rotation import is_long, rotate
from graph.loop import Loop, Stopped
from graph.node import Node
from graph.plan import Edge, Instance, PlannedNode
from graph.registry import load_class
from graph.rewiring import Rewiring
from graph.rundir import RunDir


def main(run_dir: Path, instance_id: str, life: int, fallback: bool = False, epoch: Epoch | None = None) -> int:
    """Run one instance of what lies in `run_dir`, and may have been read from there already."""
    run = RunDir(run_dir)
    epoch = epoch or run.read_epoch()
    instance = epoch.instance(instance_id)
    logs.configure(instance=instance_id, node=instance.node, life=life, pid=os.getpid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the supervisor, which drains the graph
    return _Worker(run, epoch, epoch.working(instance_id, fallback), instance, life, fallback).run()


class _Worker:
    def __init__(self, run: RunDir, epoch: Epoch, planned: PlannedNode, instance: Instance, life: int, fallback: bool) -> None:
        self._dir = run
        self._epoch = epoch
        self._plan = plan = epoch.plan
        self._planned = planned
        self._instance = instance
        self._life = life
        self._fallback = fallback
        self._loop: Loop | None = None
        self._control = ControlClient(
            run.control,
            instance.id,
            beat=self._beat,
            abandon=self._abandon,
            orphan_after_s=plan.orphan_after_s,
            drain_within_s=plan.drain_within_s,
        )

    def _beat(self) -> Beat:
        if is_long():
            rotate(log_dir(self._plan) / f"{self._instance.id}.log")
        return self._loop.beat() if self._loop is not None else Beat(life=self._life, course="starting")

    def _on_terminate(self, number: int, frame: FrameType | None) -> None:
        self._control.command(Stop())

    def run(self) -> int:
        try:
            self._live()
        except Stopped:
            code = 0
        except VoicegraphError as error:
            logs.own("failed", "error", exception=True)
            self._control.send(Failed(str(error)))
            code = 1
        except Exception as error:  # the node author's own: it ends this node, with a name, and no other
            logs.own("failed", "error", exception=True)
            self._control.send(Failed(f"{type(error).__name__}: {error}"))
            code = 1
        else:
            code = 0
        if self._loop is not None:
            self._control.send(self._loop.beat())
        logs.own(f"leaves with exit code {code}")
        self._control.close()
        if self._control.orphaned:
            self._dir.leave(self._instance.id)
        return code

    def _live(self) -> None:
        logs.level()  # one that is none is told before anything is loaded
        planned = self._planned
        cls = load_class(planned.target)
        if planned.resources.cwd is not None:  # not before: its module may lie where `graph run` was started
            os.chdir(Path(planned.resources.cwd).expanduser())
        wiring = Rewiring(self._epoch, self._instance, self._life, cls, self._dir, self._set_aside)
        origin = Origin(self._origin_name(cls), wiring.counts.origin)
        node: Node | None = None
        try:
            self._loop = Loop(
                self._instance.id,
                self._life,
                wiring,
                self._control,
                origin,
                self._plan.max_message,
                self._dir.read_epoch,
                self._fallback,
                lambda state: self._dir.keep_state(self._instance.id, state),
            )
            loop = self._loop
            logs.message_in_hand(lambda: loop.in_hand)
            node = cls(cls.Config(**planned.config), self._loop)
            self._loop.attach(node)
            _set_up(node)
            state = self._dir.take_state(self._instance.id) if self._life else {}
            if state:
                node.restore(state)
            logs.own("loaded")
            # Until now SIGTERM simply ended the process: there was nothing to lose. From now on it is a request.
            signal.signal(signal.SIGTERM, self._on_terminate)
            self._loop.run(planned.source)
        finally:
            try:
                if node is not None:
                    node.close()
            finally:
                if self._loop is not None:
                    self._loop.close()
                wiring.close()

    def _origin_name(self, cls: type[Node]) -> str:
        """Under which its messages are numbered: whoever says the same again, a later version too, goes on with the numbers."""
        if not cls.replayable:
            return f"{self._instance.id}~{self._life}"
        replica = self._instance.replica
        return f"{self._instance.node}.{replica}" if replica else self._instance.node

    def _set_aside(self, edge: Edge, parcels: list[Parcel]) -> None:
        self._control.send(Warned(keep(dead_letters_file(self._plan, self._instance.id), edge, parcels)))

    def _abandon(self) -> NoReturn:
        """Without a supervisor and stuck in a handler: no process outlives its graph unnoticed."""
        for endpoint in (self._instance.out, self._instance.work, self._instance.credit):
            if endpoint.startswith("ipc://"):
                Path(self._dir.endpoint(endpoint).removeprefix("ipc://")).unlink(missing_ok=True)
        self._dir.leave(self._instance.id)
        os._exit(1)


def _set_up(node: Node) -> None:
    try:
        node.setup()
    except ImportError as error:
        raise NodeError(f"a library is missing: {error}") from error


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:] == ["fallback"]))
