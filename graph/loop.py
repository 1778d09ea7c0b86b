"""The loop of one node: messages in, handler, messages out; interruption and control in between."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

from graph import logs
from graph.changing import TURN_NS, Change, Changing
from graph.complaints import Complaints
from graph.control import (
    Absent,
    Beat,
    ControlClient,
    Course,
    Drain,
    Drained,
    Ending,
    Expected,
    Gone,
    Loaded,
    Ready,
    Start,
    Stop,
    ToNode,
    TurnMark,
    Warned,
)
from graph.control import Status as StatusMessage
from graph.epoch import Epoch
from graph.handover import HandOver, Replan, TakeOver
from graph.inbox import Inbox
from graph.links.base import HANDFUL, Arrival, Ended
from graph.links.counts import BYTES, DELIVERED, LATENCY, SILENT, bucket
from graph.links.receipts import Origin
from graph.look_out import LookOut, looked_out_for
from graph.message import Mark, Message, host_id, now_ns
from graph.node import TELEMETRY, Handled, Node, Outgoing, Step, Until
from graph.outbox import Outbox
from graph.rewiring import Rewiring
from graph.silence import Silence
from graph.steps import steps

INTERRUPT_LOOK_NS = 1_000_000  # between two steps, but at most this often, the worker looks for interruptions
PAUSE_NS = 200_000  # the first message that ends such a wait goes to its handler before others are looked for
ABSENCE_NS = 2_000_000  # after a handler of so long much may have come: it is taken in before anything is handled
CATCH_UP = 1024  # messages, then; or the sockets would drop the newest, whatever `when_full` says
END_EVERY_NS = 150_000_000  # how often an end is repeated, in case it was not heard
IDLE_MS = 200
KEEP_HOUSE_NS = 100_000_000  # how often the loop looks after silence, complaints and acknowledgements held back
OVERDUE_NS = 300_000_000  # then also before a message that waits


class Stopped(Exception):
    """The node was told to leave now; unwinds the loop."""


class Loop:
    """Runs one node over its wiring until its inputs (or the source itself) have ended, or it is told to stop.

    It is also the node's `Runtime`.
    """

    def __init__(
        self,
        instance: str,
        life: int,
        wiring: Rewiring,
        control: ControlClient,
        origin: Origin,
        max_message: int,
        read_epoch: Callable[[], Epoch],
        fallback: bool = False,
        keep_state: Callable[[dict[str, Any]], None] = lambda state: None,
    ) -> None:
        self.instance = instance
        self._life = life
        self._course: Course = "starting"
        self._busy_since_ns = 0  # when the handler began, or made its last step; 0 while it waits
        self._wiring = wiring
        self._control = control
        self._queues_in = wiring.queues_in
        self._poller = wiring.poller(control.wake)
        self._wake = control.wake.fileno()
        self._host = host_id()
        self._origin = origin
        self._inbox = Inbox(self._let_go, wiring.withdraw)
        self._outbox = Outbox(instance, wiring, origin, max_message, self._inbox, lambda: self._pump(IDLE_MS), self.warn)
        self._complaints = Complaints(wiring, self.warn)
        self._awaited = wiring.awaited
        self._linked = set(self._awaited)  # edges that there are now
        self._silence = Silence(route.edge for route in wiring.routes.values())
        self._deliver: Callable[[Arrival | Ended], None] = self._hear if self._silence.watches else self._inbox.add
        self._look_out = LookOut(self._take_streams) if wiring.needs_look_out else None
        self._changing = Changing(
            wiring, self._inbox, origin, read_epoch, control.send, lambda item: self._deliver(item), fallback
        )
        self._between = False  # two messages: nothing is being handled
        self._joins = wiring.epoch.before is not None
        self._keep_state = keep_state
        self._rests_at_ns = 0  # when it must leave, where it was told to do so between two turns
        self._waiting = self._inbox.items
        self._kept_ns = 0
        self._end_told_ns = 0
        self._handling: Arrival | None = None
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
        self._changing.attach(node)
        self._handlers = {name: getattr(node, f"on_{name}", None) for name in node.inputs()}
        self._edges = [route.edge for route in self._wiring.routes.values()]
        self._open_inputs = {edge.input for edge in self._edges}

    # ---------------------------------------------------------------- the course of a node's life

    def run(self, source: bool) -> None:
        """From the start barrier to the drained graph.

        :raises Stopped: told to leave before that.
        """
        self._course = "loaded"
        self._control.send(Loaded())
        self._wiring.greet()
        while not self._wiring.ready:
            self._pump(IDLE_MS)
        self._between = True
        self._changing.look()
        self._course = "ready"
        logs.own("ready")
        self._control.send(Ready())
        self._source = source
        if source:
            while not (self._started or self._draining or self._changing.leaving):
                self._pump(IDLE_MS)
            self._between = False
            self._steps(self._node.run())
            self._changing.look()
        else:
            self._consume()
        if not self._changing.hands_on:
            self._steps(self._node.drain())
        self._changing.finished()
        self._between = True
        self._end()

    def _consume(self) -> None:
        while self._waiting or any(self._awaited.values()):
            if not self._waiting or (self._joins and self._changing.waits):
                self._pump(self._patience_ms())
            elif now_ns() - self._looked_ns >= INTERRUPT_LOOK_NS:
                self._pump(0)
            if self._node.due_ns and now_ns() >= self._node.due_ns:
                self._due()
            if not self._waiting or (self._joins and self._changing.waits):
                continue
            item = self._inbox.next()
            self._between = False
            if isinstance(item, Arrival):
                self._handle(item)
            elif isinstance(item, Ended):
                self._ended(item)
            else:
                self._steps(self._node.on_input_silent(item.input) if item.silent else self._node.on_input_back(item.input))
            self._between = True
            if self._changing.pending:
                self._changing.look()

    def _due(self) -> None:
        self._between, self._node.due_ns = False, 0
        self._steps(self._node.on_due())
        self._between = True

    def _patience_ms(self) -> int:
        """How long a node with nothing to do may wait; whoever waits for its acknowledgements is told first."""
        due = [self._node.due_ns] if self._node.due_ns else []
        if self._queues_in is not None:
            self._queues_in.look(now_ns())
            due += [ns for ns in (self._queues_in.held_back_until_ns,) if ns is not None]
        if not due:
            return IDLE_MS
        return max(0, min(IDLE_MS, -(-(min(due) - now_ns()) // 1_000_000)))

    def _end(self) -> None:
        self._course = "ending"
        self._control.send(Ending())
        self._drop_all()
        while not self._wiring.settled:
            self._pump(IDLE_MS)
            self._drop_all()
        self._wiring.end_queues()
        self._drop_all()
        while not self._wiring.finished:  # what is still on its way to a taker would be lost with the graph's end
            self._repeat_end()
            self._pump(IDLE_MS)
            self._drop_all()
        self._course = "drained"
        logs.own("drained")
        self._control.send(self.beat())
        self._control.send(Drained())
        while not self._control.orphaned:
            self._repeat_end()
            self._pump(IDLE_MS)
            self._drop_all()
        self._wiring.end()

    def _repeat_end(self) -> None:
        """Not at every occasion: whoever is in a loop with us answers with its own end."""
        if now_ns() - self._end_told_ns >= END_EVERY_NS:
            self._end_told_ns = now_ns()
            self._wiring.end()

    def _drop_all(self) -> None:
        """What a loop of the graph still brings after the end is handled by nobody, but its producer gets its credit."""
        self._inbox.drop_all()
        self._wiring.acknowledge()

    def _ended(self, ended: Ended) -> None:
        self._wiring.acknowledge()  # its producer waits for that before it goes
        for edge in ended.edges:
            awaited = self._awaited.get(edge, set())
            awaited.discard(ended.instance)
            if not awaited:
                self._silence.ended(edge)
        for name in sorted(self._open_inputs):
            if not any(self._awaited.get(e.id) for e in self._edges if e.input == name):
                self._open_inputs.discard(name)
                if not self._changing.hands_on:
                    self._steps(self._node.on_input_end(name))

    def _handle(self, arrival: Arrival) -> None:
        route, message = arrival.route, arrival.message
        cells = route.cells
        cells[DELIVERED] += 1
        began_ns = now_ns()
        if arrival.lane is not None and self._queues_in is not None:
            self._queues_in.begin(arrival, began_ns)
        handler = self._handlers[route.edge.input]
        if handler is not None:
            self._handling = arrival
            self._busy_since_ns = began_ns
            try:
                self._steps(handler(message) if self._look_out is None else self._call(handler, message, self._look_out))
            finally:
                self._handling = None
                self._busy_since_ns = 0
        cells[BYTES] += len(message.payload)
        header = message.header
        if header is not None and header.host == self._host:
            cells[LATENCY + bucket((began_ns - header.sent_ns) // 1000)] += 1
        if arrival.lane is not None and self._queues_in is not None:
            self._queues_in.finished(arrival)

    @staticmethod
    def _call(handler: Callable[[Message[Any]], Handled], message: Message[Any], look_out: LookOut) -> Handled:
        look_out.handler_begins()
        try:
            return handler(message)
        finally:
            look_out.handler_ends()

    def _let_go(self, arrival: Arrival) -> None:
        if self._queues_in is not None:
            self._queues_in.finished(arrival, handled=False)

    def beat(self) -> Beat:
        """What was counted so far, and the marks since the last beat; called from the control thread too."""
        with self._marks_lock:
            marks = [self._marks.popleft() for _ in range(len(self._marks))]
        since_ns = self._busy_since_ns
        busy_ms = (now_ns() - since_ns) // 1_000_000 if since_ns else 0
        counts = self._wiring.counts
        return Beat(
            counts.sent(),
            counts.statistics(),
            marks,
            self._life,
            self._course,
            self._draining,
            busy_ms,
            counts.heard(),
            bool(self._rests_at_ns),
        )

    def close(self) -> None:
        """End the loop that async handlers ran on, and the thread that looked out."""
        self._runner.close()
        if self._look_out is not None:
            self._look_out.close()

    # ---------------------------------------------------------------- out

    def _steps(self, handled: Handled) -> None:
        """Run a handler to its end, or to where it is interrupted."""
        if handled is None:
            return
        if isinstance(handled, Outgoing):
            self._outbox.send(handled, self._handling)
            return
        running: Iterator[Step] = steps(handled, self._runner)
        self._busy_since_ns = now_ns()
        if self._look_out is not None:
            running = looked_out_for(running, self._look_out)
        try:
            for step in running:
                if isinstance(step, Outgoing):
                    self._outbox.send(step, self._handling)
                elif isinstance(step, Until):
                    self._wait(step.at_ns)
                self._busy_since_ns = now = now_ns()
                if now - self._looked_ns >= INTERRUPT_LOOK_NS:
                    self._pump(0)
                if self._handling is not None and self._inbox.stale(self._handling):
                    return
        finally:
            self._busy_since_ns = 0
            close = getattr(running, "close", None)
            if close is not None:
                close()

    def _wait(self, at_ns: int) -> None:
        asked = self._draining or self._changing.leaving
        while (left_ns := at_ns - now_ns()) > 0:
            self._pump(-(-left_ns // 1_000_000))
            if self._handling is not None and self._inbox.stale(self._handling):
                return
            if self._source and not asked and (self._draining or self._changing.leaving):
                return  # it was asked to stop just now

    # ---------------------------------------------------------------- in

    def _pump(self, timeout_ms: int) -> None:
        """Wait at most so long for anything to happen, then take in all that has come."""
        began = now_ns()
        busy, self._busy_since_ns = self._busy_since_ns, 0
        ready = self._poller.poll(timeout_ms)
        now = now_ns()
        self._busy_since_ns = now if busy else 0
        most = 1 if now - began >= PAUSE_NS else CATCH_UP if began - self._looked_ns >= ABSENCE_NS else HANDFUL
        self._looked_ns = now
        for command in self._control.taken() if ready and ready[-1][0] == self._wake else ():
            self._obey(command, now)
        if ready:
            self._wiring.receive(ready, self._deliver, most)
        if self._changing.pending:
            self._changing.look(self._between)
        rests = self._rests_at_ns and (self._between or self._source)  # a source is between two steps wherever it waits
        if rests and (now >= self._rests_at_ns or not self._node.in_turn()):
            self._keep_state(self._changing.state())
            raise Stopped
        since_ns = now - self._kept_ns
        if since_ns >= OVERDUE_NS or (since_ns >= KEEP_HOUSE_NS and not self._waiting):
            self._keep_house(now)

    def _obey(self, command: ToNode, now_ns: int) -> None:
        if isinstance(command, Stop):
            if not command.gently:
                raise Stopped
            self._rests_at_ns = self._rests_at_ns or now_ns + TURN_NS
        if isinstance(command, Start):
            self._started = True
            self._course = "running" if self._course == "ready" else self._course
            self._silence.begin(now_ns)
        elif isinstance(command, Gone):
            self._wiring.gone(command)
        elif isinstance(command, Absent):
            ended = self._wiring.absent(command)
            if ended is not None:
                self._deliver(ended)
        elif isinstance(command, Expected):
            self._wiring.expected(command.instance)
        elif isinstance(command, Drain) and not self._draining:
            self._draining = True
            self._node.stop()
        elif isinstance(command, Replan | HandOver | TakeOver):
            self._change(command)

    def _change(self, command: Change) -> None:
        new = self._changing.obey(command)
        if isinstance(command, Replan):
            self._rewire(new)
        self._silence.watch((self._wiring.routes[edge].edge for edge in self._wiring.linked), now_ns())
        if self._silence.watches:
            self._deliver = self._hear
        if self._look_out is None and self._handling is None and self._wiring.needs_look_out:
            self._look_out = LookOut(self._take_streams)

    def _rewire(self, new: set[str]) -> None:
        """The links are others now: there may be more sockets to wait for, and others whose end is awaited.

        :param new: instances that have come.
        """
        wiring, awaited = self._wiring, self._wiring.awaited
        self._queues_in = wiring.queues_in
        self._poller = wiring.poller(self._control.wake)
        for edge, producers in awaited.items():
            if edge in self._linked:
                self._awaited.setdefault(edge, set()).update(producers & new)
            else:
                self._awaited[edge] = set(producers)
                self._inbox.forget_ends(edge)  # of when it was there before
                self._open_inputs.add(wiring.routes[edge].edge.input)
        for edge in self._linked - awaited.keys():  # it is no more, or closes a loop now
            for producer in set(self._awaited.get(edge, ())):
                self._deliver(Ended(producer, (edge,)))
        self._linked = set(awaited)
        self._edges = [route.edge for route in wiring.routes.values()]

    def _take_streams(self) -> None:
        """Called by the look-out, while a handler runs long: also who waits for our word is told."""
        self._looked_ns = now_ns()
        self._wiring.streams_in.receive(self._deliver, CATCH_UP)
        self._wiring.acknowledge()

    def _keep_house(self, now_ns: int) -> None:
        """What may wait a little, so that a message need not."""
        self._kept_ns = now_ns
        self._wiring.look(now_ns, self._deliver)
        for edge, quiet in self._silence.fallen(now_ns):
            self._wiring.routes[edge.id].cells[SILENT] += 1
            self.warn(f"input '{edge.input}': nothing from {edge.producer}.{edge.port} for {edge.input_timeout_s:g} s")
            self._inbox.add(quiet)
        self._complaints.look(now_ns)

    def _hear(self, item: Arrival | Ended) -> None:
        """Take in what has come to a node that waits for some of it with a timeout."""
        if isinstance(item, Arrival):
            edge = item.route.edge
            back = self._silence.heard(edge.id, self._looked_ns)
            if back is not None:
                self.warn(f"input '{edge.input}': {edge.producer}.{edge.port} is heard again")
                self._inbox.add(back)
        self._inbox.add(item)

    # ---------------------------------------------------------------- what the node may ask (graph.node.Runtime)

    @property
    def in_hand(self) -> Message[Any] | None:
        """The message that is being handled."""
        return self._handling.message if self._handling is not None else None

    def now_ns(self) -> int:
        return now_ns()

    def connected(self, port: str) -> bool:
        return self._wiring.connected(port)

    def stale(self, session: str, turn: int, revision: int) -> bool:
        return self._inbox.outdated(session, turn, revision)

    def resume(self) -> int:
        return self._origin.resume()

    def status(self, text: str) -> None:
        self._control.send(StatusMessage(text))

    def keep(self) -> None:
        self._keep_state(self._changing.state())

    def warn(self, text: str) -> None:
        logs.own(text, "warning")
        self._control.send(Warned(text))

    def mark(self, mark: Mark, session: str | None, turn: int | None, revision: int | None) -> None:
        """Publish the mark, and keep it for the next beat."""
        out = Outgoing(TELEMETRY, mark, session=session, turn=turn, revision=revision)
        header = self._outbox.header(out, self._handling)
        self._wiring.streams_out.publish(header, mark, b"")
        self._marks.append(TurnMark(mark, self.instance, header.session, header.turn, header.revision))
