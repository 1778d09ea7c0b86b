"""Partitions go to and fro between two consumers while producers send, lose messages and die: of every session each message
is handled once and in order, or counted.

Without a network or a clock: what is on its way to somebody stands in a wire, to be heard in any order that there could be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import zmq
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from graph.changing import Changing
from graph.epoch import Share
from graph.handover import HandedOver, HandOver, Legacy, Position, Replan, Replanned, TakenOver, TakeOver, positions
from graph.inbox import Inbox
from graph.links.base import Arrival, Route
from graph.links.counts import ASTRAY, PARTITIONS, Cells, Counts, Index, owned, topics_of
from graph.links.hearing import LIVES_SETTLED
from graph.links.moving import StreamIn
from graph.links.partitions import partition_of
from graph.links.payloads import PayloadsIn
from graph.links.receipts import Origin
from graph.links.stream import End, Follows, Welcome
from graph.message import BodyDecoder, encode_header
from graph.plan import Edge

from .ends import MAX_MESSAGE, Number, bound, counted, header

PORTS = ("out", "more")
INPUTS = (("out", "x"), ("out", "y"), ("more", "z"))  # one output feeds two inputs
SESSIONS = ("anna", "ben", "cleo")
MOVING = [partition_of(session) for session in SESSIONS]
ALL = frozenset(range(PARTITIONS))
encode = msgspec.msgpack.Encoder().encode
picks = st.integers(0, 2**16)
splits = st.sets(st.sampled_from(MOVING))


class Consumer:
    """One of two replicas: its streams, its inbox, and its part in a change."""

    def __init__(
        self,
        context: zmq.Context[Any],
        name: str,
        mine: frozenset[int],
        depth: int,
        producers: list[Producer],
        former: Consumer | None = None,
        epoch: Any = None,
    ) -> None:
        self.name, self.producers, self.depth = name, producers, depth
        edges = [Edge("src", port, "dst", input, depth=depth) for port, input in INPUTS]
        keys = [(p.instance, f"src.{port}") for p in producers for port in PORTS]
        self.book = Counts.in_memory(Index(edges=[edge.id for edge in edges], expecting=keys))
        if former is not None:
            self.book.inherit(former.book)
            mine |= epoch.share(name).then & owned_by_all(self.book, producers) if epoch.committed else frozenset()
        self.cells = self.book.expecting
        self.routes = [Route(edge, BodyDecoder((Number,)), False, self.book.edges[edge.id]) for edge in edges]
        self.streams_in = StreamIn(
            context, name, 10, MAX_MESSAGE, lambda *key: self.cells[key], PayloadsIn(None), self.left_behind
        )
        for one in self.routes:
            self.streams_in.add(one, [(p.instance, f"inproc://{p.instance}") for p in producers if not p.left], mine)
        self.inbox = Inbox(lambda arrival: None)
        self.said: deque[Any] = deque()
        self.told: deque[Any] = deque()
        self.instance, self.life = name, 0 if former is None else former.life + 1
        self.delivered = dict.fromkeys((input for _, input in INPUTS), 0)
        self.epoch = epoch or self.then(0, mine)
        self.counts = SimpleNamespace(sending={}, origin=[0])
        self.node, self.wires = "dst", {p.instance: deque[list[bytes]]() for p in producers}
        self.asked = [f"?{name}"]
        wiring: Any = self
        origin = Origin(name)
        self.changing = Changing(wiring, self.inbox, origin, lambda: self.coming, self.said.append, self.inbox.add)
        node: Any = SimpleNamespace(snapshot=dict, in_turn=tuple)
        self.changing.attach(node)
        if former is not None:
            for producer in producers:
                if producer.left:
                    for port in PORTS:
                        self.streams_in.missed(producer.instance, f"src.{port}", len(producer.lives) - 1)
                else:
                    producer.welcome(self, self.asked)
            self.listen(epoch)

    def left_behind(self, instance: str, life: int) -> dict[str, int] | None:
        producer = next(p for p in self.producers if p.instance == instance)
        return producer.topics(life) if life < len(producer.lives) else None

    def then(self, number: int, mine: frozenset[int], before: frozenset[int] | None = None, committed: bool = False) -> Any:
        now = mine if before is None else before & mine if committed else before
        return SimpleNamespace(
            number=number,
            before=before,
            committed=committed,
            instances=(),
            leaving=(),
            bequests={self.instance: {}},
            has=lambda me: True,
            node=lambda me: SimpleNamespace(config={}, source=False, target="x:Y"),
            has_heirs=lambda me: True,
            quits=lambda me: [],
            share=lambda me: Share(now, mine),
        )

    def hear_all(self) -> None:
        for wire in self.wires.values():
            while wire:
                self.streams_in._take(wire.popleft(), self.inbox.add)

    # what `Changing` wants of a wiring

    def replan(self, epoch: Any) -> None:
        self.epoch = epoch
        self.streams_in.let_go(epoch.share(self.name).then)
        self.listen(epoch)

    def listen(self, epoch: Any) -> None:
        then = epoch.share(self.name).then
        if self.streams_in.lacks(then):
            self.streams_in.gain(then, epoch.number)
            self.asked = [f"?{self.name}", f"?{self.name}/{epoch.number}"]
            for producer in self.producers:
                if not producer.left:
                    producer.welcome(self, self.asked[1:])

    retired = True

    def commit(self) -> None:
        pass

    def begin(self, deliver: Any) -> None:
        if self.epoch.before is None:
            self.streams_in.begin({b"src.out", b"src.more"}, deliver)

    def quit(self) -> list[Any]:
        return []

    def follow(self, giver: str, life: int, said: dict[str, int]) -> None:
        pass


class Producer:
    """All lives of one producer instance."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.left = False  # the graph
        self.consumers: list[Consumer] = []
        self.lives: list[dict[str, Cells]] = [Counts.in_memory(Index(sending=PORTS)).sending]

    def begin(self) -> None:
        self.lives.append(Counts.in_memory(Index(sending=PORTS)).sending)
        for consumer in self.consumers:
            self.welcome(consumer, consumer.asked)

    def welcome(self, consumer: Consumer, asked: list[str]) -> None:
        life = len(self.lives) - 1
        notice = encode(Welcome(self.instance, life, self.topics(life)))
        consumer.wires[self.instance] += [[topic.encode(), notice] for topic in asked]

    def end(self, consumer: Consumer) -> None:
        life = len(self.lives) - 1
        consumer.wires[self.instance].append([consumer.asked[0].encode(), encode(End(self.instance, life, self.topics(life)))])

    def topics(self, life: int) -> dict[str, int]:
        return topics_of("src", self.lives[life])

    def publish(self, port: str, session: str, n: int, kind: str) -> None:
        one = header(self.instance, session, port)
        cells, partition = self.lives[-1][port], partition_of(session)
        one.seq, one.life, one.kind = cells[partition], len(self.lives) - 1, kind
        cells[partition] += 1
        frames = [f"src.{port}/{partition:02x}".encode(), encode_header(one, Number(n))]
        for consumer in self.consumers:
            if partition in consumer.streams_in._subscribed[f"src.{port}".encode()]:
                consumer.wires[self.instance].append(frames)

    def sent(self, port: str) -> int:
        return sum(sum(cells[port][:PARTITIONS]) for cells in self.lives)


def owned_by_all(book: Counts, producers: list[Producer]) -> frozenset[int]:
    there = {producer.instance for producer in producers if not producer.left}
    return frozenset.intersection(*(owned(cells) for (one, _), cells in book.expecting.items() if one in there))


@pytest.fixture
def gaining() -> Iterator[tuple[Producer, Consumer]]:
    """A producer, and a consumer that gains all partitions; it holds back few messages."""
    context: zmq.Context[Any] = zmq.Context(0)
    producer = Producer("src.0")
    (made,) = bound(context, [producer.instance])
    consumer = Consumer(context, "dst.0", frozenset(), 4, [producer])
    producer.consumers = [consumer]
    producer.welcome(consumer, consumer.asked)
    consumer.replan(consumer.then(1, ALL))
    yield producer, consumer
    consumer.streams_in.close()
    made.close()
    context.term()


def handled(consumer: Consumer, input: str) -> list[int]:
    arrivals = [item for item in consumer.inbox.items if isinstance(item, Arrival)]
    return [one.message.body.n for one in arrivals if one.route.edge.input == input]


def test_what_is_held_back_for_long_gives_way_to_what_is_newer(gaining: tuple[Producer, Consumer]) -> None:
    producer, consumer = gaining
    producer.publish("more", "anna", 0, Number.kind)
    for n in range(10):
        producer.publish("out", "anna", n, Number.kind)
    consumer.hear_all()
    topics = {f"src.out/{partition_of('anna'):02x}": 8, f"src.more/{partition_of('anna'):02x}": 0}
    consumer.streams_in.take_over(ALL, {"src.0": Position(0, topics)}, consumer.inbox.add)
    assert handled(consumer, "x") == handled(consumer, "y") == [8, 9]
    assert handled(consumer, "z") == [0], "what one source says is not held back at the cost of another's"
    assert [counted(one).dropped for one in consumer.routes] == [0, 0, 0]


def test_who_came_in_an_earlier_change_is_waited_for_in_the_next(gaining: tuple[Producer, Consumer]) -> None:
    producer, consumer = gaining
    one = consumer.routes[0]
    consumer.cells["src.1", "src.out"] = Counts.in_memory(Index(sending=["out"])).sending["out"]
    consumer.streams_in.meet(one, "src.1", "inproc://src.0", comes=True)
    later = Producer("src.1")
    consumer.wires["src.1"] = deque()
    consumer.hear_all()
    assert consumer.streams_in.starts is not None, "nobody waits for one that comes"
    later.welcome(consumer, consumer.asked[:1])
    consumer.hear_all()
    consumer.replan(consumer.then(2, frozenset()))
    consumer.replan(consumer.then(3, ALL))
    consumer.hear_all()
    assert consumer.streams_in.starts is None
    later.welcome(consumer, consumer.asked)
    consumer.hear_all()
    assert set(consumer.streams_in.starts or {}) == {producer.instance, "src.1"}


def test_the_end_of_a_successor_comes_behind_what_is_held_of_it() -> None:
    context: zmq.Context[Any] = zmq.Context(0)
    old, new = producers = [Producer("src.0"), Producer("src.1")]
    made = bound(context, [producer.instance for producer in producers])
    consumer = Consumer(context, "dst.0", ALL, 100, producers)
    topic = f"src.out/{partition_of('anna'):02x}"
    for producer in producers:
        producer.consumers = [consumer]
        producer.welcome(consumer, consumer.asked)
    old.publish("out", "anna", 1, Number.kind)
    consumer.wires["src.0"].pop()  # its last word is lost
    follows = Follows("src.1", "src.0", said={topic: 1})
    consumer.wires["src.1"].append([b"?dst.0", encode(follows)])
    new.publish("out", "anna", 2, Number.kind)
    new.end(consumer)
    consumer.hear_all()
    assert handled(consumer, "x") == [2]
    old.end(consumer)
    consumer.hear_all()
    found = [counted(one) for one in consumer.routes]
    assert [(one.dropped, one.rejected) for one in found] == [(1, 0), (1, 0), (0, 0)]
    consumer.streams_in.close()
    for one in made:
        one.close()
    context.term()


def test_of_a_producer_that_has_left_nothing_is_missed_by_who_takes_over_later(gaining: tuple[Producer, Consumer]) -> None:
    producer, consumer = gaining
    for n in range(3):
        producer.publish("out", "anna", n, Number.kind)
    consumer.wires["src.0"].clear()  # whoever had the session has heard them
    consumer.streams_in.left("src.0")
    consumer.streams_in.take_over(ALL, {}, consumer.inbox.add)
    consumer.streams_in.forget("src.0")
    assert [counted(one).dropped for one in consumer.routes] == [0, 0, 0]


def test_what_was_given_away_is_not_missed_by_a_later_life(gaining: tuple[Producer, Consumer]) -> None:
    producer, consumer = gaining
    consumer.hear_all()
    consumer.streams_in.take_over(ALL, consumer.streams_in.starts or {}, consumer.inbox.add)
    producer.publish("out", "anna", 1, Number.kind)
    producer.publish("out", "ben", 1, Number.kind)
    consumer.hear_all()
    consumer.streams_in.part(frozenset([partition_of("anna")]), {}, {})
    for session in ("anna", "ben"):
        for n in range(5):
            producer.publish("out", session, n, Number.kind)
    later = Counts.in_memory(Index(expecting=list(consumer.cells)))
    later.inherit(consumer.book)
    consumer.streams_in.settle()
    assert [counted(one).dropped for one in consumer.routes] == [5, 5, 0], "of ben's"
    consumer.cells = later.expecting
    consumer.streams_in.missed("src.0", "src.out", 0)
    assert [counted(one).dropped for one in consumer.routes] == [10, 10, 0], "the next life counts ben's for itself"


class Moving(RuleBasedStateMachine):
    @initialize(producers=st.integers(1, 2), depth=st.sampled_from([2, 1000]), first=splits)
    def start(self, producers: int, depth: int, first: set[int]) -> None:
        self.context: zmq.Context[Any] = zmq.Context(0)
        self.producers = [Producer(f"src.{k}") for k in range(producers)]
        self.bound = bound(self.context, [producer.instance for producer in self.producers])
        second = ALL - first
        self.consumers = [
            Consumer(self.context, f"dst.{k}", frozenset(mine), depth, self.producers) for k, mine in enumerate((first, second))
        ]
        for producer in self.producers:
            producer.consumers = self.consumers
            for consumer in self.consumers:
                producer.welcome(consumer, consumer.asked)
        self.number = self.n = 0
        self.under_way = self.committed = False
        self.before = self.after = [frozenset(first), frozenset(second)]
        self.legacies: dict[int, Legacy] = {}  # by who has given
        self.buried = dict.fromkeys((input for _, input in INPUTS), 0)  # what consumers had counted that are dead
        self.clean = depth == 1000  # nothing was lost, and no buffer was too short
        self.starts: dict[int, dict[str, Position]] = {}
        self.taken: set[int] = set()
        self.handled: dict[tuple[str, str, str], list[int]] = {}
        self.delivered = dict.fromkeys((input for _, input in INPUTS), 0)

    # ---------------------------------------------------------------- producers

    def there(self, pick: int) -> Producer:
        there = [producer for producer in self.producers if not producer.left]
        return there[pick % len(there)]

    @rule()
    def leave(self) -> None:
        """The second producer leaves the graph."""
        producer = self.producers[-1]
        if len(self.producers) == 1 or producer.left:
            return
        producer.left = True
        for consumer in self.consumers:
            producer.end(consumer)
            consumer.streams_in.left(producer.instance)

    @rule(who=picks)
    def forget(self, who: int) -> None:
        """By now all has been read that it said."""
        consumer, producer = self.consumers[who % 2], self.producers[-1]
        if producer.left and not consumer.wires[producer.instance] and not consumer.streams_in.gaining:
            consumer.streams_in.forget(producer.instance)

    @rule(pick=picks, port=st.sampled_from(PORTS), session=st.sampled_from(SESSIONS), times=st.integers(1, 4))
    def publish(self, pick: int, port: str, session: str, times: int) -> None:
        for _ in range(times):
            self.n += 1
            self.there(pick).publish(port, session, self.n, Number.kind)

    @rule(pick=picks, port=st.sampled_from(PORTS))
    def publish_what_nobody_takes(self, pick: int, port: str) -> None:
        self.there(pick).publish(port, "anna", 0, "test.strange")

    @rule(who=picks, pick=picks, which=picks)
    def lose(self, who: int, pick: int, which: int) -> None:
        wire = self.consumers[who % 2].wires[self.producers[pick % len(self.producers)].instance]
        messages = [k for k, frames in enumerate(wire) if not frames[0].startswith(b"?")]
        if messages:
            del wire[messages[which % len(messages)]]
            self.clean = False

    @rule(pick=picks, arrives=st.integers(0, 6))
    def die(self, pick: int, arrives: int) -> None:
        """A producer is killed; of what is on its way the beginning still comes. Then it is there again."""
        producer = self.there(pick)
        if len(producer.lives) > LIVES_SETTLED:
            return
        for consumer in self.consumers:
            wire = consumer.wires[producer.instance]
            while len(wire) > arrives:
                wire.pop()
        producer.begin()
        self.clean = False

    # ---------------------------------------------------------------- consumers

    @rule(who=picks, pick=picks, times=st.integers(1, 8))
    def hear(self, who: int, pick: int, times: int) -> None:
        consumer = self.consumers[who % 2]
        wire = consumer.wires[self.producers[pick % len(self.producers)].instance]
        for _ in range(min(times, len(wire))):
            consumer.streams_in._take(wire.popleft(), consumer.inbox.add)
        consumer.changing.look()

    @rule(who=picks, times=st.integers(1, 4))
    def handle(self, who: int, times: int) -> None:
        consumer = self.consumers[who % 2]
        for _ in range(times):
            if not consumer.inbox.items:
                break
            item = consumer.inbox.next()
            if isinstance(item, Arrival):
                self.see(consumer, item)
            consumer.changing.look()

    def see(self, consumer: Consumer, arrival: Arrival) -> None:
        message, input = arrival.message, arrival.route.edge.input
        assert message.header is not None
        seen = self.handled.setdefault((message.header.instance, message.session, input), [])
        assert not seen or seen[-1] < message.body.n, f"{seen} and then {message.body.n}"
        seen.append(message.body.n)
        self.delivered[input] += 1
        consumer.delivered[input] += 1

    # ---------------------------------------------------------------- the supervisor

    @rule(split=splits)
    def change(self, split: set[int]) -> None:
        if self.under_way:
            return
        self.under_way, self.number = True, self.number + 1
        self.before, self.after = self.after, [frozenset(split), ALL - split]
        self.starts.clear()
        self.taken.clear()
        self.legacies.clear()
        for who, consumer in enumerate(self.consumers):
            consumer.coming = self.epoch(who)
            consumer.told.append(Replan(self.number))

    def epoch(self, who: int) -> Any:
        before = self.before[who] if self.under_way else None
        return self.consumers[who].then(self.number, self.after[who], before, self.committed)

    @rule(who=picks)
    def obey(self, who: int) -> None:
        consumer = self.consumers[who % 2]
        if consumer.told:
            consumer.changing.obey(consumer.told.popleft())
            consumer.changing.look()

    @rule(who=picks)
    def answer(self, who: int) -> None:
        """The supervisor hears a word of somebody."""
        who %= 2
        me = self.consumers[who]
        word = me.said.popleft() if me.said else None
        if word is None or word.number != self.number:
            return
        if isinstance(word, Replanned):
            self.starts[who] = word.starts
            if self.committed:
                self.tell(who)
            elif len(self.starts) == 2:
                self.committed = True
                self.tell(0)
                self.tell(1)
        elif isinstance(word, HandedOver):
            self.given(who, word.legacy)
        elif isinstance(word, TakenOver):
            self.taken.add(who)
            if len(self.taken) == 2:
                self.under_way, self.committed, self.number = False, False, self.number + 1
                for k, consumer in enumerate(self.consumers):
                    consumer.coming = self.epoch(k)
                    consumer.told.append(Replan(self.number))

    def tell(self, who: int) -> None:
        """Who may be a new life is told all that was said."""
        if who not in self.legacies:
            self.consumers[who].told.append(HandOver(self.number, self.starts.get(1 - who, {})))
        if 1 - who in self.legacies and who not in self.taken:
            self.take(who)

    def given(self, who: int, legacy: Legacy) -> None:
        if self.committed and who not in self.legacies:
            self.legacies[who] = legacy
            self.take(1 - who)

    def take(self, who: int) -> None:
        gains = sorted(self.after[who] - self.before[who])
        self.consumers[who].told.append(TakeOver(self.number, self.legacies[1 - who], gains))

    @rule(who=picks, steps=st.integers(1, 6))
    def advance(self, who: int, steps: int) -> None:
        """All goes well for a while."""
        for step in range(steps):
            me = who + step
            for k, producer in enumerate(self.producers):
                self.hear(me, k, len(self.consumers[me % 2].wires[producer.instance]))
            self.handle(me, len(self.consumers[me % 2].inbox.items))
            self.obey(me)
            self.answer(me)

    @rule(who=picks)
    def kill(self, who: int) -> None:
        """A consumer is killed, and there again; what was on its way to it is lost, what it had said to the supervisor not."""
        who %= 2
        old = self.consumers[who]
        if old.life == 3:
            return
        heard = old.book.heard()
        for one in old.routes:
            delivered, astray = old.delivered[one.edge.input], one.cells[ASTRAY]
            lost = heard[f"src.{one.edge.port}"] - delivered - (counted(one).rejected - astray)
            self.buried[one.edge.input] += lost + counted(one).rejected
        old.streams_in.close()
        self.clean = False
        epoch = self.epoch(who)
        one = Consumer(self.context, old.name, epoch.share(old.name).now, old.depth, self.producers, old, epoch)
        one.said = old.said
        one.changing._say = one.said.append
        self.consumers[who] = one
        self.starts.pop(who, None)
        self.taken.discard(who)
        self.given(who, Legacy(old.name, old.life, positions(old.book)))

    @rule(who=picks)
    def time_passes(self, who: int) -> None:
        """Who gives waits no longer for what has not come."""
        if not self.clean:
            self.consumers[who % 2].changing._until_ns = 0

    # ---------------------------------------------------------------- the books

    def book(self, port: str, input: str) -> int:
        ends = [counted(one) for c in self.consumers for one in c.routes if one.edge.input == input]
        return self.delivered[input] + self.buried[input] + sum(end.dropped + end.rejected for end in ends)

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        for port, input in INPUTS if hasattr(self, "consumers") else ():
            assert self.book(port, input) <= sum(p.sent(port) for p in self.producers), input

    def teardown(self) -> None:
        if not hasattr(self, "consumers"):
            return
        try:
            for _ in range(20):
                for who, consumer in enumerate(self.consumers):
                    for k, producer in enumerate(self.producers):
                        self.hear(who, k, len(consumer.wires[producer.instance]))
                    self.obey(who)
                    self.answer(who)
                    self.time_passes(who)
                    self.handle(who, len(consumer.inbox.items))
            assert not self.under_way, "the change ends"
            for who, consumer in enumerate(self.consumers):
                for k, producer in enumerate(self.producers):
                    if not producer.left:
                        producer.end(consumer)
                    self.hear(who, k, 1)
                self.handle(who, len(consumer.inbox.items))
                consumer.streams_in.settle()
            for port, input in INPUTS:
                sent = sum(p.sent(port) for p in self.producers)
                assert self.book(port, input) == sent, input
                dropped = sum(counted(r).dropped for c in self.consumers for r in c.routes if r.edge.input == input)
                assert not (self.clean and dropped), input
        finally:
            for consumer in self.consumers:
                consumer.streams_in.close()
            for made in self.bound:
                made.close()
            self.context.term()


TestMoving = Moving.TestCase
TestMoving.settings = settings(max_examples=400, stateful_step_count=60, deadline=None)


def test_what_a_producer_says_that_leaves_between_two_listeners_is_missed_by_the_later() -> None:
    """Who gains a session is killed before it has it, and the producer is gone when it is there again."""
    state = Moving()
    state.start(producers=2, depth=2, first=set())
    state.hear(pick=0, times=1, who=0)
    state.change(split={partition_of("anna")})
    state.hear(pick=0, times=1, who=0)
    state.advance(steps=4, who=0)
    state.publish(pick=1, port="out", session="anna", times=3)
    state.leave()
    state.kill(who=0)
    state.teardown()  # where the books are balanced
    assert state.book("out", "x") == 3
