"""The loop of one node: messages in, handler, messages out; interruption and control in between."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from threading import Lock
from typing import Any

from graph.control import Beat, ControlClient, Drain, Drained, Loaded, Ready, Start, Stop, TurnMark, Warned
from graph.control import Status as StatusMessage
from graph.links.base import Arrival, Ended
from graph.message import PROTOCOL, Header, Mark, Message, host_id, now_ns
from graph.node import TELEMETRY, Handled, Node, Outgoing, Step, Until
from graph.steps import steps
from graph.wiring import Wiring

INTERRUPT_LOOK_NS = 1_000_000  # between two steps, but at most this often, the worker looks for interruptions
IDLE_MS = 200
SESSIONS_REMEMBERED = 10_000  # of whose newest (turn, revision) a worker keeps track


class Stopped(Exception):
    """The node was told to leave now; unwinds the loop."""


class Loop:
    """Runs one node over its wiring until its inputs (or the source itself) have ended, or it is told to stop.

    It is also the node's `Runtime`.
    """

    def __init__(self, instance: str, wiring: Wiring, control: ControlClient) -> None:
        self.instance = instance
        self._wiring = wiring
        self._control = control
        self._poller = wiring.poller(control.wake)
        self._host = host_id()
        self._inbox: deque[Arrival | Ended] = deque()
        self._awaited = wiring.awaited
        self._newest: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._handling: Message[Any] | None = None
        self._looked_ns = 0
        self._started = False
        self._draining = False
        self._source = False
        self._runner = asyncio.Runner()
        self._marks: deque[TurnMark] = deque()
        self._marks_lock = Lock()  # two threads may beat at once

    def attach(self, node: Node) -> None:
        """The node to run; made after the loop because the loop is its runtime."""
        self._node = node
        self._handlers = {name: getattr(node, f"on_{name}", None) for name in node.inputs()}
        self._edges = [route.edge for route in self._wiring.routes.values()]
        self._open_inputs = {edge.input for edge in self._edges}

    # ---------------------------------------------------------------- the course of a node's life

    def run(self, source: bool) -> None:
        """From the start barrier to the drained graph.

        :raises Stopped: told to leave before that.
        """
        self._control.send(Loaded())
        while not self._wiring.ready:
            self._pump(IDLE_MS)
        self._control.send(Ready())
        self._source = source
        if source:
            while not (self._started or self._draining):
                self._pump(IDLE_MS)
            self._steps(self._node.run())
        else:
            self._consume()
        self._steps(self._node.drain())
        self._end()

    def _consume(self) -> None:
        while self._inbox or any(self._awaited.values()):
            if self._wiring.acknowledgements_waiting and not self._wiring.jobs_waiting:
                self._pump(0)
                if not self._wiring.jobs_waiting:  # streams may leave no rest, but a queue's producer waits for its credit
                    self._wiring.acknowledge()
            elif not self._inbox:
                self._pump(IDLE_MS)
            elif now_ns() - self._looked_ns >= INTERRUPT_LOOK_NS:
                self._pump(0)
            if not self._inbox:
                continue
            arrival = self._inbox.popleft()
            if isinstance(arrival, Ended):
                self._ended(arrival)
            else:
                self._handle(arrival)

    def _end(self) -> None:
        while not self._wiring.flushed():
            self._pump(IDLE_MS)
            self._drop_all()
        self._wiring.end_queues()
        self._drop_all()
        self._control.send(self.beat())
        self._control.send(Drained())
        while not self._control.orphaned:
            self._wiring.end()
            self._pump(IDLE_MS)
            self._drop_all()
        self._wiring.end()

    def _drop_all(self) -> None:
        """What a loop of the graph still brings after the end is handled by nobody, but its producer gets its credit."""
        for arrival in self._inbox:
            if isinstance(arrival, Arrival):
                arrival.route.waiting -= 1
                arrival.route.statistics.dropped += 1
                self._acknowledge(arrival)
        self._inbox.clear()
        self._wiring.acknowledge()

    def _ended(self, ended: Ended) -> None:
        for edge in ended.edges:
            self._awaited.get(edge, set()).discard(ended.instance)
        for name in sorted(self._open_inputs):
            if not any(self._awaited.get(e.id) for e in self._edges if e.input == name):
                self._open_inputs.discard(name)
                self._steps(self._node.on_input_end(name))

    def _handle(self, arrival: Arrival) -> None:
        route, message = arrival.route, arrival.message
        route.waiting -= 1
        route.statistics.delivered += 1
        route.statistics.bytes += len(message.payload)
        handler = self._handlers[route.edge.input]
        if handler is not None:
            self._handling = message
            try:
                self._steps(handler(message))
            finally:
                self._handling = None
        self._acknowledge(arrival)

    def _acknowledge(self, arrival: Arrival) -> None:
        if arrival.taken is not None and self._wiring.queues_in is not None:
            self._wiring.queues_in.finished(arrival.taken)

    def beat(self) -> Beat:
        """What was counted so far, and the marks since the last beat; called from the control thread too."""
        with self._marks_lock:
            marks = [self._marks.popleft() for _ in range(len(self._marks))]
        return Beat(dict(self._wiring.streams_out.sent), self._wiring.statistics(), marks)

    def close(self) -> None:
        """End the loop that async handlers ran on."""
        self._runner.close()

    # ---------------------------------------------------------------- out

    def _steps(self, handled: Handled) -> None:
        """Run a handler to its end, or to where it is interrupted."""
        if handled is None:
            return
        if isinstance(handled, Outgoing):
            self._send(handled)
            return
        running: Iterator[Step] = steps(handled, self._runner)
        try:
            for step in running:
                if isinstance(step, Outgoing):
                    self._send(step)
                elif isinstance(step, Until):
                    self._wait(step.at_ns)
                if now_ns() - self._looked_ns >= INTERRUPT_LOOK_NS:
                    self._pump(0)
                if self._handling is not None and self._stale(self._handling):
                    return
        finally:
            close = getattr(running, "close", None)
            if close is not None:
                close()

    def _wait(self, at_ns: int) -> None:
        draining = self._draining
        while (left_ns := at_ns - now_ns()) > 0:
            self._pump(-(-left_ns // 1_000_000))
            if self._handling is not None and self._stale(self._handling):
                return
            if self._source and self._draining and not draining:
                return  # it was asked to stop just now

    def _send(self, out: Outgoing) -> None:
        cause = self._handling
        for queue in self._wiring.queues_out.get(out.port, ()):
            while not queue.push(self._header(out, cause), out.body, out.payload):
                self._pump(IDLE_MS)
                if cause is not None and self._stale(cause):
                    return
        self._wiring.streams_out.publish(self._header(out, cause), out.body, out.payload)

    def _header(self, out: Outgoing, cause: Message[Any] | None) -> Header:
        header = Header(PROTOCOL, out.body.kind, out.port, self.instance, 0, sent_ns=now_ns(), host=self._host)
        if cause is not None:
            header.session, header.turn, header.revision = cause.session, cause.turn, cause.revision
            header.origin_ns = cause.origin_ns
            header.trace = cause.header.trace if cause.header is not None else ""
        if out.session is not None:
            header.session = out.session
        if out.turn is not None:
            header.turn = out.turn
        if out.revision is not None:
            header.revision = out.revision
        if out.origin_ns is not None:
            header.origin_ns = out.origin_ns
        return header

    # ---------------------------------------------------------------- in

    def _pump(self, timeout_ms: int) -> None:
        """Wait at most so long for anything to happen, then take in all that has come."""
        self._poller.poll(timeout_ms)
        self._looked_ns = now_ns()
        for command in self._control.taken():
            if isinstance(command, Stop):
                raise Stopped
            if isinstance(command, Start):
                self._started = True
            elif isinstance(command, Drain) and not self._draining:
                self._draining = True
                self._node.stop()
        for arrival in self._wiring.receive():
            if isinstance(arrival, Ended):
                self._inbox.append(arrival)
            elif arrival.route.interrupts:
                self._interrupted(arrival)
            else:
                self._accept(arrival)

    def _accept(self, arrival: Arrival) -> None:
        route = arrival.route
        if self._stale(arrival.message):
            self._drop_stale(arrival)
            return
        if route.edge.link == "stream" and route.waiting >= route.edge.depth:
            route.statistics.dropped += 1
            if route.edge.when_full != "drop_oldest":
                return
            self._inbox.remove(next(a for a in self._inbox if isinstance(a, Arrival) and a.route is route))
            route.waiting -= 1
        route.waiting += 1
        self._inbox.append(arrival)

    def _interrupted(self, arrival: Arrival) -> None:
        """Make what is older stale, drop what waits of it, and put the interruption behind earlier ones, before all else."""
        message = arrival.message
        newest = max((message.turn, message.revision), self._newest.pop(message.session, (0, 0)))
        self._newest[message.session] = newest
        if len(self._newest) > SESSIONS_REMEMBERED:
            self._newest.popitem(last=False)
        waiting, self._inbox = self._inbox, deque()
        arrival.route.waiting += 1
        while waiting and isinstance(waiting[0], Arrival) and waiting[0].route.interrupts:
            self._inbox.append(waiting.popleft())
        self._inbox.append(arrival)
        for one in waiting:
            if isinstance(one, Arrival) and self._stale(one.message):
                one.route.waiting -= 1
                self._drop_stale(one)
            else:
                self._inbox.append(one)

    def _drop_stale(self, arrival: Arrival) -> None:
        arrival.route.statistics.stale += 1
        self._acknowledge(arrival)

    def _stale(self, message: Message[Any]) -> bool:
        """A message of a turn older than the newest this node was told of; turn 0 belongs to no turn and never is."""
        if not self._newest or message.turn == 0:
            return False
        newest = self._newest.get(message.session)
        return newest is not None and (message.turn, message.revision) < newest

    # ---------------------------------------------------------------- what the node may ask (graph.node.Runtime)

    def now_ns(self) -> int:
        return now_ns()

    def status(self, text: str) -> None:
        self._control.send(StatusMessage(text))

    def warn(self, text: str) -> None:
        self._control.send(Warned(text))

    def mark(self, mark: Mark, session: str | None, turn: int | None, revision: int | None) -> None:
        """Publish the mark, and keep it for the next beat."""
        out = Outgoing(TELEMETRY, mark, session=session, turn=turn, revision=revision)
        header = self._header(out, self._handling)
        self._wiring.streams_out.publish(header, mark, b"")
        self._marks.append(TurnMark(mark, self.instance, header.session, header.turn, header.revision))
