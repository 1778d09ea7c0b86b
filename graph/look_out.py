"""Keeps the streams of a node flowing into its inbox while its handler runs long.

Left in the sockets, messages would be dropped as ZeroMQ drops them, the newest first, whatever `when_full` says. The
sockets belong to whoever holds the lock: the node's loop, but while a handler runs. The thread only looks now and then,
and hardly at all where handlers are short; beside a native call that holds the interpreter's lock it cannot run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event, Lock, Thread

from graph.node import Step

SELDOM_S = 0.2  # between looks at a node whose handlers are short
OFTEN_S = 0.01  # and where one has run long
FORGET_AFTER = 100  # looks without a long handler: then seldom again
REST_AFTER = 5  # seldom looks at a node that does nothing: then none until it handles something


class LookOut:
    """:param drain: takes what has come from the sockets; called by the thread, only while a handler runs."""

    def __init__(self, drain: Callable[[], None]) -> None:
        self._drain = drain
        self._sockets = Lock()
        self._sockets.acquire()
        self._steps = 0  # counts how often a handler was entered
        self._handling = False
        self.resting = False
        self._closing = False
        self._trouble: Exception | None = None
        self._wake = Event()
        self._thread = Thread(target=self._run, name="look-out", daemon=True)
        self._thread.start()

    def handler_begins(self) -> None:
        """The loop lets go of the sockets."""
        self._steps += 1
        self._handling = True
        if self.resting:
            self.resting = False
            self._wake.set()
        self._sockets.release()

    def handler_ends(self) -> None:
        """The loop takes them back; waits for a look that has begun. What went wrong there is raised here."""
        self._sockets.acquire()
        self._handling = False
        if self._trouble is not None:
            raise self._trouble

    def close(self) -> None:
        """End the thread; call when no handler runs."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        seen = self._steps
        quiet = 0  # looks in a row that found no long handler
        often = False
        while not self._closing:
            self._wake.wait(OFTEN_S if often else SELDOM_S)
            self._wake.clear()
            if self._handling and self._steps == seen:
                quiet, often = 0, True
                self._look()
                continue
            quiet += 1
            if often and quiet >= FORGET_AFTER:
                quiet, often = 0, False
            elif not often and self._steps != seen:
                quiet = 0
            elif not often and quiet >= REST_AFTER:
                quiet = 0
                self._rest()
            seen = self._steps

    def _look(self) -> None:
        if self._sockets.acquire(blocking=False):  # else the handler has just come back
            try:
                self._drain()
            except Exception as error:
                self._trouble = error
            finally:
                self._sockets.release()

    def _rest(self) -> None:
        self.resting = True
        if not self._handling and not self._closing:  # it may have begun before it could see that it must wake us
            self._wake.wait()
            self._wake.clear()
        self.resting = False


def looked_out_for(running: Iterator[Step], look_out: LookOut) -> Iterator[Step]:
    """The same steps; while each is made the streams are looked after."""
    try:
        while True:
            look_out.handler_begins()
            try:
                step = next(running)
            except StopIteration:
                return
            finally:
                look_out.handler_ends()
            yield step
    finally:
        close = getattr(running, "close", None)
        if close is not None:
            close()
