"""What a node says, on its way out: headers, causes, back-pressure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from graph.inbox import Inbox
from graph.links.base import Arrival
from graph.links.receipts import Origin, Receipt
from graph.message import DEFAULT_SESSION, PROTOCOL, Header, encode_body, host_id, now_ns
from graph.node import Outgoing
from graph.wiring import Wiring

COMPLAIN_EVERY_NS = 1_000_000_000


class Outbox:
    """Sends what handlers yield.

    `wait` is called while a queue is full: it must serve the links. `complain` is told what cannot be sent.
    """

    def __init__(
        self,
        instance: str,
        wiring: Wiring,
        origin: Origin,
        max_message: int,
        inbox: Inbox,
        wait: Callable[[], None],
        complain: Callable[[str], None],
    ) -> None:
        self._instance = instance
        self._wiring = wiring
        self._origin = origin
        self._max_message = max_message
        self._inbox = inbox
        self._wait = wait
        self._complain = complain
        self._host = host_id()
        self._unsent = 0  # messages that nobody was told of
        self._told_ns = -COMPLAIN_EVERY_NS

    def send(self, out: Outgoing, cause: Arrival | None) -> None:
        """Send to every link of the port; returns early when the message that caused it became stale meanwhile."""
        if out.port in self._wiring.interrupting:
            about = self.header(out, cause)
            self._wiring.withdraw(about.session, (about.turn, about.revision))
        queues = self._wiring.queues_out.get(out.port)
        session = out.session if out.session is not None else cause.message.session if cause is not None else DEFAULT_SESSION
        heard = self._wiring.streams_out.heard(out.port, session)
        if not heard and not queues:
            self._wiring.streams_out.pass_over(out.port, session)
            return
        body = encode_body(out.body)
        length = len(body) + len(out.payload)
        if length > self._max_message:
            self._too_long(out.port, length)
            return
        raw = msgspec.Raw(body)
        if queues:
            kept = [queue for queue in queues if queue.keeps]
            receipt = self._receipt(cause, len(kept)) if kept else None
            for queue in queues:
                header = self.header(out, cause)
                header.body = raw
                if queue.keeps and receipt is not None:
                    self._name_cause(header, receipt, cause, queue.edge.id)
                while not queue.push(header, out.body, out.payload, receipt if queue.keeps else None):
                    self._wiring.acknowledge()
                    self._wait()
                    if cause is not None and self._inbox.stale(cause):
                        if receipt is not None:
                            for unsent in queues[queues.index(queue) :]:
                                if unsent.keeps:
                                    receipt.close_one()
                        return
        if not heard:
            self._wiring.streams_out.pass_over(out.port, session)
            return
        header = self.header(out, cause)
        header.body = raw
        self._wiring.streams_out.publish(header, out.body, out.payload)

    def _too_long(self, port: str, length: int) -> None:
        self._unsent += 1
        if now_ns() - self._told_ns >= COMPLAIN_EVERY_NS:
            self._told_ns = now_ns()
            these = f"{self._unsent} messages are" if self._unsent > 1 else "a message is"
            self._complain(
                f"{these} not sent (the last, on '{port}': {length} bytes are more than max_message, {self._max_message})"
            )
            self._unsent = 0

    def _receipt(self, cause: Arrival | None, copies: int) -> Receipt:
        """What is closed when the copies are done: the receipt of the message that is handled, or a new origin's."""
        if cause is None or cause.receipt is None:
            return self._origin.begin(copies)
        cause.receipt.open += copies
        return cause.receipt

    def _name_cause(self, header: Header, receipt: Receipt, cause: Arrival | None, edge: str) -> None:
        if cause is None or cause.receipt is None or cause.lane is None or self._wiring.queues_in is None:
            header.cause, header.floor = receipt.cause, self._origin.floor
        else:
            header.cause = receipt.next_cause(edge)
            header.floor = self._wiring.queues_in.floor(cause.lane.edge, header.cause.origin)

    def header(self, out: Outgoing, cause: Arrival | None) -> Header:
        """The header of a message: what it does not say itself it has from the message that is being handled."""
        header = Header(PROTOCOL, out.body.kind, out.port, self._instance, 0, sent_ns=now_ns(), host=self._host)
        if cause is not None:
            of = cause.message
            header.session, header.turn, header.revision, header.origin_ns = of.session, of.turn, of.revision, of.origin_ns
            header.trace = of.header.trace if of.header is not None else ""
        if out.session is not None:
            header.session = out.session
        if out.turn is not None:
            header.turn = out.turn
        if out.revision is not None:
            header.revision = out.revision
        if out.origin_ns is not None:
            header.origin_ns = out.origin_ns
        return header
