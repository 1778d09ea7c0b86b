"""A producer, workers and a sink in one process without sockets: the real dealers and receipts, and wires that tests serve."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from graph.links.base import Taken
from graph.links.dealer import Dealer, Parcel
from graph.links.receipts import Origin, Receipt, Receipts
from graph.message import PROTOCOL, Header
from graph.plan import Edge

from .ends import Number

Wire = deque[Any]  # in order; what a dead process had sent may still come, or only its beginning


def header(port: str, **fields: Any) -> Header:
    return Header(PROTOCOL, Number.kind, port, "", 0, **fields)


@dataclass
class Lane:
    """What a taker knows of one producer."""

    life: int = 0
    freed: int = 0
    done: list[int] = field(default_factory=list)


class Taker:
    """The books of a taker, as `taking.QueueIn` keeps them."""

    def __init__(self, edge: Edge, repeatable: bool = True) -> None:
        self.edge = edge
        self.receipts = Receipts(self._done, repeatable)
        self.lanes: dict[str, Lane] = {}

    def take(self, producer: str, sent: Header) -> tuple[Taken, Receipt] | None:
        lane = self.lanes.setdefault(producer, Lane(sent.life))
        if sent.life > lane.life:
            lane = self.lanes[producer] = Lane(sent.life)
        taken = Taken(producer, sent.life, self.edge.id, sent.seq)
        receipt = self.receipts.take(sent, taken)
        if receipt is None:
            lane.freed += 1
            return None
        return taken, receipt

    def finished(self, taken: Taken, receipt: Receipt) -> None:
        receipt.close_one()
        lane = self.lanes[taken.producer]
        if taken.life == lane.life:
            lane.freed += 1

    def _done(self, receipt: Receipt) -> None:
        for taken in receipt.copies:
            lane = self.lanes[taken.producer]
            if taken.life == lane.life:
                lane.done.append(taken.seq)
        receipt.copies.clear()

    def words(self) -> Iterator[tuple[str, Lane]]:
        """An acknowledgement for each lane."""
        for producer, lane in self.lanes.items():
            yield producer, replace(lane, done=lane.done[:])
            lane.done.clear()

    @property
    def remembered(self) -> int:
        return len(self.receipts)


class Worker:
    """One life of a worker: it says `n % 3` numbers about each number it takes."""

    def __init__(self, name: str, life: int, first: Edge, second: Edge, repeatable: bool) -> None:
        self.name, self.life, self.second = name, life, second
        self.taker = Taker(first, repeatable)
        self.dealer = Dealer(second, ["end"])
        self.dealer.hello("end", 0)
        self.inbox: deque[tuple[Taken, Receipt, Header, int]] = deque()
        self.said = 0  # of what is in hand
        self.counted = 0

    def step(self) -> list[tuple[Header, Any]]:
        """A step of its handler: one output, or the end of it; returns what is sent."""
        if not self.inbox or self.dealer.full:
            return []
        taken, receipt, of, n = self.inbox[0]
        if self.said < n % 3:
            receipt.open += 1
            cause = receipt.next_cause(self.second.id)
            out = header("out", session=of.session, cause=cause, floor=self.taker.receipts.floors.get(cause.origin, 0))
            self.dealer.put(Parcel(out, Number(n * 3 + self.said), b"", receipt=receipt))
            self.said += 1
        else:
            self.inbox.popleft()
            self.said = 0
            self.taker.finished(taken, receipt)
        return list(self.deal())

    def deal(self) -> Iterator[tuple[Header, Any]]:
        for _, parcel, seq in self.dealer.deal():
            parcel.header.seq, parcel.header.life = seq, self.life
            yield copy(parcel.header), parcel.body


def copy(sent: Header) -> Header:
    return msgspec.structs.replace(sent)


class Chain:
    """src -> workers -> end, all links at_least_once and the first in the order of sessions."""

    def __init__(self, workers: int, depth: int, repeatable: bool) -> None:
        self.first = Edge("src", "out", "mid", "x", "queue", depth, "block", "at_least_once", "session", give_up_after=10**6)
        self.second = Edge("mid", "out", "end", "x", "queue", depth, "block", "at_least_once")
        self.repeatable = repeatable
        self.origin = Origin("src~0")
        names = [f"mid.{k}" for k in range(workers)]
        self.dealer = Dealer(self.first, names)
        self.sink = Taker(self.second, repeatable)
        self.effects: list[tuple[str, int]] = []
        self.workers = {name: self._born(name, 0) for name in names}
        self.to_worker: dict[str, Wire] = {name: deque() for name in names}
        self.to_src: dict[str, Wire] = {name: deque() for name in names}
        self.to_sink: dict[str, Wire] = {name: deque() for name in names}
        self.back: dict[str, Wire] = {name: deque() for name in names}
        self.sent = 0

    def _born(self, name: str, life: int) -> Worker:
        self.dealer.hello(name, life)
        return Worker(name, life, self.first, self.second, self.repeatable)

    def say(self, session: str) -> None:
        """The source sends its next number, if there is room."""
        if not self.dealer.full:
            receipt = self.origin.begin(1)
            sent = header("out", session=session, cause=receipt.cause, floor=self.origin.floor)
            self.dealer.put(Parcel(sent, Number(self.sent), b"", receipt=receipt))
            self.sent += 1
            self.deal()

    def deal(self) -> None:
        for lane, parcel, seq in self.dealer.deal():
            parcel.header.seq = seq
            self.to_worker[lane.taker].append((copy(parcel.header), parcel.body))

    def arrive(self, name: str) -> bool:
        """The next message of the source comes to a worker."""
        if not self.to_worker[name]:
            return False
        sent, body = self.to_worker[name].popleft()
        worker = self.workers[name]
        worker.counted += 1
        taken = worker.taker.take("src", sent)
        if taken is not None:
            worker.inbox.append((*taken, sent, body.n))
        return True

    def work(self, name: str) -> bool:
        worker = self.workers[name]
        had = bool(worker.inbox)
        self.to_sink[name].extend(worker.step())
        return had and not worker.dealer.full

    def sink_hears(self, name: str) -> bool:
        """The next output of a worker has its effect at the sink, unless it is known."""
        if not self.to_sink[name]:
            return False
        sent, body = self.to_sink[name].popleft()
        taken = self.sink.take(name, sent)
        if taken is not None:
            self.effects.append((sent.session, body.n))
            self.sink.finished(*taken)
        return True

    def sink_acknowledges(self) -> None:
        for name, lane in self.sink.words():
            self.back[name].append(lane)

    def worker_hears(self, name: str) -> bool:
        """An acknowledgement of the sink comes to a worker, perhaps not the life that it is for."""
        if not self.back[name]:
            return False
        lane, worker = self.back[name].popleft(), self.workers[name]
        if lane.life == worker.life:
            for parcel in worker.dealer.acknowledged("end", 0, lane.freed, lane.done):
                assert parcel.receipt is not None
                parcel.receipt.close_one()
            self.to_sink[name].extend(worker.deal())
        return True

    def worker_acknowledges(self, name: str) -> None:
        worker = self.workers[name]
        self.to_src[name].extend((worker.life, lane) for _, lane in worker.taker.words())

    def src_hears(self, name: str) -> bool:
        if not self.to_src[name]:
            return False
        life, lane = self.to_src[name].popleft()
        for parcel in self.dealer.acknowledged(name, life, lane.freed, lane.done):
            assert parcel.receipt is not None
            parcel.receipt.close_one()
        self.deal()
        return True

    def die(self, name: str, arrives: int, known: bool) -> None:
        """A worker is killed; of what it had sent the first so many messages still come."""
        worker = self.workers[name]
        in_hand = worker.inbox[0][0].seq if worker.inbox else -1
        self.to_worker[name].clear()
        while len(self.to_sink[name]) > arrives:
            self.to_sink[name].pop()
        self.dealer.died(name, *((worker.counted, in_hand) if known else ()))
        self.workers[name] = self._born(name, worker.life + 1)
        self.deal()

    def drain(self) -> None:
        """Serve every wire until nothing changes any more."""
        before: Any = None
        while before != (before := self._picture()):
            for name in self.workers:
                while self.arrive(name) or self.work(name) or self.sink_hears(name):
                    pass
                self.sink_acknowledges()
                while self.worker_hears(name):
                    pass
                self.worker_acknowledges(name)
                while self.src_hears(name):
                    pass

    def _picture(self) -> Any:
        workers = [(len(w.inbox), w.said, w.dealer.depth) for w in self.workers.values()]
        return len(self.effects), self.dealer.depth, workers, [len(wire) for wire in self.to_worker.values()]
