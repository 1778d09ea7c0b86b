"""The consumer's end of streams: one SUB for all streams into an instance, and what was lost is known from the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import zmq

from graph.errors import MessageError
from graph.handover import Position
from graph.links.base import (
    HANDFUL,
    MISSING_MAX,
    Arrival,
    Ended,
    Route,
    check_length,
    header_of,
    missing_before,
    received,
    socket,
    waiting,
)
from graph.links.counts import BEGAN, DROPPED, LIFE, PARTITIONS, Cells, EdgeStatistics, begin_life
from graph.links.holding import BEHIND_NS, Behind, Held, Holding, Topic
from graph.links.payloads import STREAM, PayloadsIn
from graph.links.shared_memory import BlockLost
from graph.links.stream import End, Follows, Welcome
from graph.message import UNREADABLE, Header, now_ns

ALL = frozenset(range(PARTITIONS))
LIVES_SETTLED = 16  # of a producer that were never heard of, at most so many are looked up

_PARTITIONS = {f"{p:02x}": p for p in range(PARTITIONS)}
_notices = msgspec.msgpack.Decoder(Welcome | End | Follows)


@dataclass(slots=True)
class _Producer:
    """What a consumer knows of one producer instance."""

    endpoint: str
    cells: dict[bytes, Cells]  # by `<node>.<port>`: the next number of each partition, and the life it is of
    routes: list[Route] = field(default_factory=list)
    welcomed: bool = False
    absent: bool = False  # nobody waits for it: it has failed, was stopped, or has just come
    answer: str = ""  # what was subscribed to then
    gone: dict[int, dict[str, int]] = field(default_factory=dict)  # by life that died: what it had sent, by topic


class StreamIn:
    """The subscribing end: one SUB socket for all streams into an instance.

    `expecting` gives the cells of (producer instance, `<node>.<port>`): of a new life of a consumer they hold how far
    the former one had heard, so that what was sent in between is counted as lost. `left_behind` gives what a life of a
    producer had sent on each topic, where that can be read: the supervisor's word may come late, or to our former life.
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        instance: str,
        depth: int,
        max_message: int,
        expecting: Callable[[str, str], Cells],
        payloads: PayloadsIn,
        left_behind: Callable[[str, int], dict[str, int] | None] = lambda instance, life: None,
    ) -> None:
        self._socket = socket(context, zmq.SUB, depth, max_message)
        self._socket.setsockopt(zmq.SNDHWM, 0)  # what it sends is subscriptions: libzmq would drop those above a mark
        self.socket = self._socket
        self._instance = instance
        self._max_message = max_message
        self._expecting = expecting
        self._payloads = payloads
        self._left_behind = left_behind
        self._routes: dict[bytes, list[Route]] = {}  # by `<node>.<port>`
        self._topics: dict[bytes, Topic] = {}  # by topic frame
        self._partitions: dict[bytes, frozenset[int]] = {}  # by `<node>.<port>`, those this replica listens to
        self._subscribed: dict[bytes, frozenset[int]] = {}  # the same, with those that it gains
        self._gained = Holding()
        self._asked = b""  # the topic on which producers tell where what we gain begins
        self._starts: dict[str, Position] = {}  # by instance, what they have told
        self._handed: dict[tuple[str, bytes], tuple[int, int]] = {}  # by instance and topic: life and number that we began with
        self._parted: set[bytes] = set()  # topics that others have taken over
        self._late = Holding()
        self._behind: dict[bytes, Behind] = {}  # by topic
        self._producers: dict[str, _Producer] = {}  # by instance
        self.strangers = 0  # messages that belong to no edge of ours

    @property
    def ready(self) -> bool:
        """True once every producer has answered that is waited for."""
        return all(p.welcomed or p.absent for p in self._producers.values())

    @property
    def partitions(self) -> frozenset[int]:
        """Those that we listen to now; what is being gained is not among them."""
        return next(iter(self._partitions.values()), frozenset())

    def absent(self, instance: str, absent: bool) -> None:
        """A producer has failed or was stopped, or is started again."""
        if instance in self._producers:
            self._producers[instance].absent = absent

    def add(
        self,
        route: Route,
        producers: Iterable[tuple[str, str]],
        mine: frozenset[int] = ALL,
        gained: frozenset[int] = frozenset(),
    ) -> None:
        """Listen to an edge.

        :param producers: (instance, endpoint).
        :param mine: the partitions that are this replica's.
        :param gained: those that will be: what comes on them is held back until `take_over`.
        """
        source = _source(route)
        routes = self._routes.setdefault(source, [])
        routes.append(route)
        self._partitions[source] = mine
        self._topics.update((topic.name, topic) for topic in _topics(source, mine, routes))
        self._gained.topics.update((topic.name, topic) for topic in _topics(source, gained, routes))
        self._subscribe(source, mine | gained)
        self._asked = f"?{self._instance}".encode() if gained else b""
        for instance, endpoint in producers:
            self.meet(route, instance, endpoint)

    def meet(self, route: Route, instance: str, endpoint: str, comes: bool = False) -> None:
        """Listen to a producer of an edge, if that is not done already; one that `comes` is not waited for."""
        if instance not in self._producers:
            self._producers[instance] = _Producer(endpoint, {}, absent=comes)
            self._socket.connect(endpoint)
        producer = self._producers[instance]
        if route not in producer.routes:
            producer.cells[_source(route)] = self._expecting(instance, _source(route).decode())
            producer.routes.append(route)

    def _subscribe(self, source: bytes, wanted: frozenset[int]) -> None:
        had, self._subscribed[source] = self._subscribed.get(source, frozenset()), wanted
        for prefix in _prefixes(source, wanted) - _prefixes(source, had):
            self._socket.subscribe(prefix)
        for prefix in _prefixes(source, had) - _prefixes(source, wanted):
            self._socket.unsubscribe(prefix)

    def subscribe_notices(self) -> None:
        """Ask every producer for its welcome; call once all edges are added."""
        if self._producers:
            self._socket.subscribe(f"?{self._instance}")

    def receive(self, deliver: Callable[[Arrival | Ended], None], most: int = HANDFUL) -> None:
        """Deliver what has come, `most` messages at most, without waiting.

        A frame that cannot be read is counted on its edge and passed over.
        """
        for frames in waiting(self._socket, most):
            self._take(frames, deliver)

    def _take(self, frames: list[bytes], deliver: Callable[[Arrival | Ended], None]) -> None:
        topic = self._topics.get(frames[0])
        if topic is not None:
            self._data(topic, frames, deliver)
        elif frames[0].startswith(b"?"):
            self._notice(frames, deliver)
        elif frames[0] in self._gained.topics:
            self._hold(self._gained, self._gained.topics[frames[0]], frames)
        elif frames[0] in self._behind:
            self._data_behind(self._behind[frames[0]], frames, deliver)
        elif frames[0] not in self._parted:
            self._astray(frames[0])

    def _data(self, topic: Topic, frames: list[bytes], deliver: Callable[[Arrival | Ended], None]) -> None:
        try:
            header = header_of(frames)
            lost = self._count(topic, header)
        except MessageError as error:
            self._rejected(topic, frames, error)
            return
        self._deliver(topic, header, frames, self._payload(header, frames), lost, deliver)

    def _payload(self, header: Header, frames: list[bytes]) -> bytes | memoryview | None:
        try:
            return self._payloads.read(header, frames, STREAM)
        except BlockLost:  # it was read too late: another message lies there now
            return None

    def _deliver(
        self,
        topic: Topic,
        header: Header,
        frames: list[bytes],
        payload: bytes | memoryview | None,
        lost: int,
        deliver: Callable[[Arrival | Ended], None],
    ) -> None:
        lost += payload is None
        for route in topic.routes:
            if lost:
                route.cells[DROPPED] += lost
            if payload is None:
                continue
            try:
                check_length(frames, self._max_message)
                body = route.decoder.decode(header)
            except MessageError as error:
                route.rejected(error, numbered=True)
                continue
            deliver(Arrival(route, received(header, body, payload)))

    def _astray(self, topic: bytes) -> None:
        """A topic that no producer of ours has, though its beginning may be one's."""
        routes = self._routes.get(topic.partition(b"/")[0], [])
        for route in routes:
            route.rejected(MessageError(f"no partition of {topic.decode(errors='replace')}"))
        self.strangers += not routes

    def _rejected(self, topic: Topic, frames: list[bytes], error: MessageError) -> None:
        """It is no message, or came before: to whoever had this topic before us, perhaps."""
        with suppress(MessageError):
            header = header_of(frames)
            if (header.life, header.seq) < self._handed.get((header.instance, topic.name), (0, 0)):
                return
        for route in topic.routes:
            route.rejected(error)

    def _count(self, topic: Topic, header: Header) -> int:
        """How many messages were lost before this one.

        :raises MessageError: no producer of ours sent it, or it came before.
        """
        producer = self._producers.get(header.instance)
        cells = None if producer is None else producer.cells.get(topic.source)
        if producer is None or cells is None:
            raise MessageError(f"'{header.instance}' is no producer of '{topic.source.decode(errors='replace')}'")
        known = cells[LIFE]  # one more than the life; 0: not heard of yet
        if header.life + 1 != known:
            if header.life + 1 < known:
                raise MessageError(f"of an earlier life of '{header.instance}'")
            self._begin(producer, header.instance, header.life)
        missing = missing_before(header, cells[topic.partition])
        cells[topic.partition] = header.seq + 1
        return missing

    def _begin(self, producer: _Producer, instance: str, life: int) -> None:
        """A life of a producer is heard of for the first time: its numbers start at 0, its former life's are complete."""
        known = min(max(0, cells[LIFE] - 1) for cells in producer.cells.values())
        for former in range(max(known, life - LIVES_SETTLED), life):
            self._settle(producer, instance, former)
        for cells in producer.cells.values():
            if cells[LIFE] < life + 1:
                begin_life(cells, life)

    def _settle(self, producer: _Producer, instance: str, life: int) -> None:
        """All of a life has been heard that ever will be."""
        sent = producer.gone.pop(life, None)
        if sent is None:
            sent = self._left_behind(instance, life)
        for source, cells in producer.cells.items():
            if cells[LIFE] <= life + 1 and sent is not None:
                if cells[LIFE] < life + 1:
                    begin_life(cells, life)
                self._lost_until(producer, source, sent)

    def gone(self, instance: str, life: int, sent: dict[str, int]) -> None:
        """A producer died having sent so many on each topic: what of it never comes is lost.

        Counted when the next life is heard (its first word comes behind all that the former one's connection held).
        """
        producer = self._producers.get(instance)
        if producer is not None:
            producer.gone[life] = sent
            if any(cells[LIFE] > life + 1 for cells in producer.cells.values()):
                producer.gone.pop(life)  # too late: its successor has been heard

    def settle(self) -> None:
        """Nothing more will be read: what dead producers had sent and has not come is lost."""
        for instance, producer in self._producers.items():
            known = max(0, *(cells[LIFE] - 1 for cells in producer.cells.values()))
            for life in sorted({known, *producer.gone}):
                self._settle(producer, instance, life)

    def _notice(self, frames: list[bytes], deliver: Callable[[Arrival | Ended], None]) -> None:
        try:
            notice = _notices.decode(frames[-1])
        except UNREADABLE:
            self.strangers += 1
            return
        producer = self._producers.get(notice.instance)
        if producer is None:
            self.strangers += 1
            return
        if any(notice.life + 1 > cells[LIFE] for cells in producer.cells.values()):
            self._begin(producer, notice.instance, notice.life)
        if isinstance(notice, Follows):
            self._follow(notice)
            return
        sent = notice.next if isinstance(notice, Welcome) else notice.sent
        for source in producer.cells:
            self._lost_until(producer, source, sent)
        if isinstance(notice, Welcome):
            if frames[0] == self._asked:
                gained = {name.decode() for name in self._gained.topics}
                self._starts[notice.instance] = Position(notice.life, {t: n for t, n in sent.items() if t in gained})
            self._answer(producer, f"!{self._instance}/{notice.instance}/{notice.life}")
        else:
            self._look_behind(deliver)
            deliver(Ended(notice.instance, tuple(route.edge.id for route in producer.routes)))

    def _answer(self, producer: _Producer, answer: str) -> None:
        if producer.answer and producer.answer != answer:
            self._socket.unsubscribe(producer.answer)
        if producer.answer != answer:
            self._socket.subscribe(answer)
        producer.answer = answer
        producer.welcomed = True

    def _lost_until(self, producer: _Producer, source: bytes, sent: dict[str, int]) -> None:
        """Gaps show what was lost between two messages: a notice, what was lost before the first and behind the last."""
        cells, prefix = producer.cells[source], source.decode() + "/"
        for topic, number in sent.items():
            partition = _PARTITIONS.get(topic.removeprefix(prefix)) if topic.startswith(prefix) else None
            if partition not in self._partitions[source]:
                continue
            missing = number - cells[partition]
            if 0 < missing <= MISSING_MAX:
                cells[partition] = number
                for route in self._routes[source]:
                    route.cells[DROPPED] += missing

    # ---------------------------------------------------------------- a change of the plan

    def gain(self, partitions: frozenset[int], number: int) -> None:
        """Listen to more partitions, and hold back what comes on them until `take_over`.

        :param number: of the change.
        """
        for source, routes in self._routes.items():
            topics = _topics(source, partitions - self._partitions[source], routes)
            self._gained.topics.update((topic.name, topic) for topic in topics)
            self._parted.difference_update(topic.name for topic in topics)
            self._subscribe(source, self._partitions[source] | partitions)
        self._starts.clear()
        self._asked = f"?{self._instance}/{number}".encode()  # an answer to an earlier question may be on its way
        self._socket.subscribe(self._asked)

    def let_go(self, then: frozenset[int]) -> None:
        """What was to be gained is not, but for what lies in `then`."""
        lost = [topic for topic in self._gained.topics.values() if topic.partition not in then]
        self._gained.release([topic.name for topic in lost])
        for topic in lost:
            self._parted.add(topic.name)
            self._subscribe(topic.source, self._subscribed[topic.source] - {topic.partition})

    @property
    def starts(self) -> dict[str, Position] | None:
        """By producer instance, from where on everything is heard that is gained; None until all have told that."""
        if self._gained.topics and any(i not in self._starts and not p.absent for i, p in self._producers.items()):
            return None
        return self._starts

    def caught_up(
        self, partitions: frozenset[int], starts: dict[str, Position], unhandled: dict[tuple[str, bytes], int]
    ) -> bool:
        """True when all has been handled that those who gain these partitions have not heard.

        :param unhandled: by instance and topic, the number of the oldest message that waits for its handler.
        """
        for instance, start in starts.items():
            producer = self._producers.get(instance)
            for source, cells in producer.cells.items() if producer is not None else ():
                for name in (topic.name for topic in _topics(source, partitions & self._partitions[source], [])):
                    come = unhandled.get((instance, name), cells[_partition(name)])
                    if (cells[LIFE] - 1, come) < (start.life, start.next.get(name.decode(), 0)):
                        return False
        return True

    def part(self, partitions: frozenset[int], unhandled: dict[tuple[str, bytes], int]) -> dict[str, Position]:
        """Listen to these partitions no longer, and forget what has not been handled.

        :returns: by producer instance, how far we have come.
        """
        heard: dict[str, Position] = {}
        for instance, producer in self._producers.items():
            for source, cells in producer.cells.items():
                if not cells[LIFE]:
                    continue
                position = heard.setdefault(instance, Position(cells[LIFE] - 1))
                for topic in _topics(source, partitions & self._partitions[source], []):
                    cells[topic.partition] = unhandled.get((instance, topic.name), cells[topic.partition])
                    position.next[topic.name.decode()] = cells[topic.partition]
        for source in self._routes:
            for topic in _topics(source, partitions & self._partitions[source], []):
                self._parted.add(topic.name)
                self._topics.pop(topic.name, None)
                self._behind.pop(topic.name, None)
                self._late.release([topic.name])
            self._partitions[source] -= partitions
            self._subscribe(source, self._subscribed[source] - partitions)
        return heard

    def take_over(
        self, partitions: frozenset[int], heard: dict[str, Position], deliver: Callable[[Arrival | Ended], None]
    ) -> None:
        """Go on with partitions that we gain where whoever had them has stopped."""
        gained = [topic for topic in self._gained.topics.values() if topic.partition in partitions]
        for instance, producer in self._producers.items():
            position = heard.get(instance) or self._starts.get(instance)
            if position is not None:
                self._begin_at(instance, producer, gained, position)
        for topic in gained:
            self._partitions[topic.source] |= {topic.partition}
            self._topics[topic.name] = topic
        self._deliver_held(self._gained.release([topic.name for topic in gained]), deliver)

    def _begin_at(self, instance: str, producer: _Producer, topics: list[Topic], position: Position) -> None:
        if any(position.life + 1 > cells[LIFE] for cells in producer.cells.values()):
            self._begin(producer, instance, position.life)
        for topic in topics:
            cells = producer.cells.get(topic.source)
            if cells is None:
                continue
            number = position.next.get(topic.name.decode(), 0)
            if position.life + 1 < cells[LIFE]:  # what is left of a life that is over has been missed
                self._handed[instance, topic.name] = (position.life + 1, 0)
                sent = producer.gone.get(position.life) or self._left_behind(instance, position.life) or {}
                for route in topic.routes:
                    route.cells[DROPPED] += max(0, sent.get(topic.name.decode(), 0) - number)
                continue
            self._handed[instance, topic.name] = (position.life, number)
            ahead = number - cells[topic.partition]
            if ahead > 0:
                cells[BEGAN] += ahead
                cells[topic.partition] = number

    def _hold(self, holding: Holding, topic: Topic, frames: list[bytes]) -> None:
        try:
            header = header_of(frames)
        except MessageError as error:
            self._rejected(topic, frames, error)
        else:
            holding.hold(Held(topic, header, frames, self._payload(header, frames)))

    def _deliver_held(self, released: list[Held], deliver: Callable[[Arrival | Ended], None]) -> None:
        for held in released:
            try:
                lost = self._count(held.topic, held.header)
            except MessageError as error:
                self._rejected(held.topic, held.frames, error)
                continue
            self._deliver(held.topic, held.header, held.frames, held.payload, lost, deliver)

    # ---------------------------------------------------------------- a producer that goes on for another

    def _follow(self, notice: Follows) -> None:
        for name, said in notice.said.items():
            topic = self._topics.get(name.encode())
            if topic is None or notice.giver not in self._producers:
                continue
            behind = Behind(topic, notice.instance, notice.giver, notice.giver_life, said, now_ns() + BEHIND_NS)
            if not self._has_come(behind):
                del self._topics[topic.name]
                self._late.topics[topic.name] = topic
                self._behind[topic.name] = behind

    def _has_come(self, behind: Behind) -> bool:
        producer = self._producers.get(behind.giver)
        cells = producer.cells.get(behind.topic.source) if producer is not None else None
        return cells is None or (cells[LIFE] - 1, cells[behind.topic.partition]) >= (behind.life, behind.said)

    def _data_behind(self, behind: Behind, frames: list[bytes], deliver: Callable[[Arrival | Ended], None]) -> None:
        with suppress(MessageError):
            if header_of(frames).instance == behind.successor:
                self._hold(self._late, behind.topic, frames)
                return
        self._data(behind.topic, frames, deliver)
        self._look_behind(deliver)

    def _look_behind(self, deliver: Callable[[Arrival | Ended], None]) -> None:
        """Deliver what successors have said once their predecessors' last words have come."""
        for behind in list(self._behind.values()):
            if self._has_come(behind) or now_ns() >= behind.until_ns:
                del self._behind[behind.topic.name]
                self._topics[behind.topic.name] = behind.topic
                self._deliver_held(self._late.release([behind.topic.name]), deliver)

    def look(self, deliver: Callable[[Arrival | Ended], None]) -> None:
        """To be called now and then: last words that are waited for may have been lost."""
        if self._behind:
            self._look_behind(deliver)

    def forget(self, instance: str) -> None:
        """A producer has left, and all that it has said was read."""
        producer = self._producers.get(instance)
        if producer is None:
            return
        for life in sorted({max(0, *(cells[LIFE] - 1 for cells in producer.cells.values())), *producer.gone}):
            self._settle(producer, instance, life)
        self._socket.disconnect(producer.endpoint)
        if producer.answer:
            self._socket.unsubscribe(producer.answer)
        del self._producers[instance]
        for key in [key for key in self._handed if key[0] == instance]:
            del self._handed[key]

    def statistics(self) -> dict[str, EdgeStatistics]:
        """By edge, what has been counted at this end."""
        return {route.edge.id: route.statistics() for routes in self._routes.values() for route in routes}

    def close(self) -> None:
        self._socket.close(0)


def _source(route: Route) -> bytes:
    return f"{route.edge.producer}.{route.edge.port}".encode()


def _topics(source: bytes, partitions: Iterable[int], routes: list[Route]) -> list[Topic]:
    return [Topic(source + b"/%02x" % partition, source, partition, routes) for partition in partitions]


def _partition(topic: bytes) -> int:
    return int(topic[-2:], 16)


def _prefixes(source: bytes, partitions: frozenset[int]) -> set[bytes]:
    """What to subscribe to in order to hear these partitions."""
    return {source + b"/"} if partitions == ALL else {source + b"/%02x" % partition for partition in partitions}
