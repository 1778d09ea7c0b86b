"""The consumer's end of streams: one SUB for all streams into an instance, and what was lost is known from the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import zmq

from graph.errors import MessageError
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
from graph.links.counts import BEGAN, DROPPED, LIFE, OWN, PARTITIONS, Cells, EdgeStatistics, begin_life, own
from graph.links.holding import Topic
from graph.links.payloads import STREAM, PayloadsIn
from graph.links.shared_memory import BlockLost
from graph.links.stream import End, Follows, Welcome
from graph.message import UNREADABLE, Header

ALL = frozenset(range(PARTITIONS))
LIVES_SETTLED = 16  # of a producer that were never heard of, at most so many are looked up

_PARTITIONS = {f"{p:02x}": p for p in range(PARTITIONS)}
_notices = msgspec.msgpack.Decoder(Welcome | End | Follows)


@dataclass(slots=True)
class Producer:
    """What a consumer knows of one producer instance."""

    endpoint: str
    cells: dict[bytes, Cells]  # by `<node>.<port>`: the next number of each partition, and the life it is of
    routes: list[Route] = field(default_factory=list)
    welcomed: bool = False
    absent: bool = False  # nobody waits for it: it has failed, or was stopped
    left: bool = False  # the graph, for good
    comes: bool = False  # nor for one that may still be loading; once it has answered it is as all others
    answer: str = ""  # what was subscribed to then
    gone: dict[int, dict[str, int]] = field(default_factory=dict)  # by life that died: what it had sent, by topic
    handed: dict[bytes, tuple[int, int]] = field(default_factory=dict)  # by topic: life and number that we begin with there

    def elsewhere(self, topic: bytes, life: int, number: int) -> bool:
        """True of a message that whoever had the topic before us has accounted for."""
        return bool(self.handed) and (life, number) < self.handed.get(topic, (0, 0))

    def begin(self, source: bytes, life: int) -> None:
        """Its numbers start at 0, or where whoever had a topic before us has stopped."""
        cells = self.cells[source]
        begin_life(cells, life)
        for topic, (of, number) in self.handed.items():
            if of == life and topic.startswith(source + b"/"):
                cells[partition_in(topic)] = number
                cells[BEGAN] += number


class Hearing:
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
        self._producers: dict[str, Producer] = {}  # by instance
        self._departed: dict[tuple[str, bytes], tuple[Producer, int]] = {}  # that our former life heard, and their last lives
        self.strangers = 0  # messages that belong to no edge of ours

    @property
    def ready(self) -> bool:
        """True once every producer has answered that is waited for."""
        return all(p.welcomed or p.absent or p.comes for p in self._producers.values())

    @property
    def partitions(self) -> frozenset[int]:
        """Those that we listen to now; what is being gained is not among them."""
        return next(iter(self._partitions.values()), frozenset())

    def absent(self, instance: str, absent: bool) -> None:
        """A producer has failed or was stopped, or is started again."""
        if instance in self._producers:
            self._producers[instance].absent = absent

    def left(self, instance: str) -> None:
        """A producer has left the graph, though some of what it has said may still have to be read."""
        self.absent(instance, True)
        if instance in self._producers:
            self._producers[instance].left = True

    def add(self, route: Route, producers: Iterable[tuple[str, str]], mine: frozenset[int] = ALL) -> None:
        """Listen to an edge.

        :param producers: (instance, endpoint).
        :param mine: the partitions that are this replica's.
        """
        source = source_of(route)
        routes = self._routes.setdefault(source, [])
        routes.append(route)
        self._partitions[source] = mine
        self._topics.update((topic.name, topic) for topic in topics_in(source, mine, routes))
        self._subscribe(source, mine)
        for instance, endpoint in producers:
            self.meet(route, instance, endpoint)

    def meet(self, route: Route, instance: str, endpoint: str, comes: bool = False) -> None:
        """Listen to a producer of an edge, if that is not done already; one that `comes` is not waited for."""
        if instance not in self._producers:
            self._producers[instance] = Producer(endpoint, {}, comes=comes)
            self._socket.connect(endpoint)
        producer = self._producers[instance]
        if route not in producer.routes:
            source = source_of(route)
            cells = producer.cells[source] = self._expecting(instance, source.decode())
            cells[OWN] = 0
            own(cells, self._partitions[source])
            producer.routes.append(route)

    def _subscribe(self, source: bytes, wanted: frozenset[int]) -> None:
        had, self._subscribed[source] = self._subscribed.get(source, frozenset()), wanted
        for prefix in prefixes_of(source, wanted) - prefixes_of(source, had):
            self._socket.subscribe(prefix)
        for prefix in prefixes_of(source, had) - prefixes_of(source, wanted):
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
        else:
            self._elsewhere(frames, deliver)

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

    def _elsewhere(self, frames: list[bytes], deliver: Callable[[Arrival | Ended], None]) -> None:
        """A topic that no producer of ours has, though its beginning may be one's."""
        routes = self._routes.get(frames[0].partition(b"/")[0], [])
        for route in routes:
            route.rejected(MessageError(f"no partition of {frames[0].decode(errors='replace')}"))
        self.strangers += not routes

    def _rejected(self, topic: Topic, frames: list[bytes], error: MessageError) -> None:
        """It is no message, or came before."""
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
        if producer.elsewhere(topic.name, header.life, header.seq):
            raise MessageError(f"number {header.seq} of '{header.instance}' came to another")
        known = cells[LIFE]  # one more than the life; 0: not heard of yet
        if header.life + 1 != known:
            if header.life + 1 < known:
                raise MessageError(f"of an earlier life of '{header.instance}'")
            self._begin(producer, header.instance, header.life)
        missing = missing_before(header, cells[topic.partition])
        cells[topic.partition] = header.seq + 1
        return missing

    def _begin(self, producer: Producer, instance: str, life: int) -> None:
        """A life of a producer is heard of for the first time: its numbers start at 0, its former life's are complete."""
        known = min(max(0, cells[LIFE] - 1) for cells in producer.cells.values())
        for former in range(max(known, life - LIVES_SETTLED), life):
            self._settle(producer, instance, former)
        for source, cells in producer.cells.items():
            if cells[LIFE] < life + 1:
                producer.begin(source, life)

    def _settle(self, producer: Producer, instance: str, life: int) -> None:
        """All of a life has been heard that ever will be."""
        sent = producer.gone.pop(life, None)
        if sent is None:
            sent = self._left_behind(instance, life)
        for source, cells in producer.cells.items():
            if cells[LIFE] <= life + 1 and sent is not None:
                if cells[LIFE] < life + 1:
                    producer.begin(source, life)
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

    def missed(self, instance: str, source: str, last_life: int) -> None:
        """A producer left the graph when we were not there: what it had said and we have not heard is lost."""
        producer = Producer("", {source.encode(): self._expecting(instance, source)})
        self._departed[instance, source.encode()] = producer, last_life
        self._miss(instance, producer, last_life)

    def _miss(self, instance: str, producer: Producer, last_life: int) -> None:
        (cells,) = producer.cells.values()
        for life in range(max(0, cells[LIFE] - 1), last_life + 1):
            self._settle(producer, instance, life)

    def settle(self) -> None:
        """Nothing more will be read: what dead producers had sent and has not come is lost."""
        for instance, producer in self._producers.items():
            known = max([0, *(cells[LIFE] - 1 for cells in producer.cells.values())])
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
        self._told(producer, notice, frames, deliver)

    def _told(
        self,
        producer: Producer,
        notice: Welcome | End | Follows,
        frames: list[bytes],
        deliver: Callable[[Arrival | Ended], None],
    ) -> None:
        if isinstance(notice, Follows):
            return
        sent = notice.next if isinstance(notice, Welcome) else notice.sent
        for source in producer.cells:
            self._lost_until(producer, source, sent)
        if isinstance(notice, Welcome):
            self._answer(producer, f"!{self._instance}/{notice.instance}/{notice.life}")
        else:
            deliver(Ended(notice.instance, tuple(route.edge.id for route in producer.routes)))

    def _answer(self, producer: Producer, answer: str) -> None:
        if producer.answer and producer.answer != answer:
            self._socket.unsubscribe(producer.answer)
        if producer.answer != answer:
            self._socket.subscribe(answer)
        producer.answer = answer
        producer.welcomed = True

    def _lost_until(self, producer: Producer, source: bytes, sent: dict[str, int]) -> None:
        """Gaps show what was lost between two messages: a notice, what was lost before the first and behind the last."""
        cells, prefix = producer.cells[source], source.decode() + "/"
        for topic, number in sent.items():
            partition = _PARTITIONS.get(topic.removeprefix(prefix)) if topic.startswith(prefix) else None
            if partition is None or not cells[OWN] >> partition & 1:
                continue
            if producer.elsewhere(topic.encode(), cells[LIFE] - 1, MISSING_MAX):
                continue
            missing = number - cells[partition]
            if 0 < missing <= MISSING_MAX:
                cells[partition] = number
                for route in self._routes[source]:
                    route.cells[DROPPED] += missing

    def forget(self, instance: str) -> None:
        """A producer has left, and all that it has said was read."""
        producer = self._producers.get(instance)
        if producer is None:
            return
        known = max([0, *(cells[LIFE] - 1 for cells in producer.cells.values())])
        for life in sorted({known, *producer.gone}):
            self._settle(producer, instance, life)
        del self._producers[instance]
        if all(other.endpoint != producer.endpoint for other in self._producers.values()):  # a port may be given again
            self._socket.disconnect(producer.endpoint)
        if producer.answer:
            self._socket.unsubscribe(producer.answer)
        self._payloads.detach(instance, STREAM)

    def statistics(self) -> dict[str, EdgeStatistics]:
        """By edge, what has been counted at this end."""
        return {route.edge.id: route.statistics() for routes in self._routes.values() for route in routes}

    def close(self) -> None:
        self._socket.close(0)


def source_of(route: Route) -> bytes:
    return f"{route.edge.producer}.{route.edge.port}".encode()


def topics_in(source: bytes, partitions: Iterable[int], routes: list[Route]) -> list[Topic]:
    return [Topic(source + b"/%02x" % partition, source, partition, routes) for partition in partitions]


def partition_in(topic: bytes) -> int:
    return int(topic[-2:], 16)


def prefixes_of(source: bytes, partitions: frozenset[int]) -> set[bytes]:
    """What to subscribe to in order to hear these partitions."""
    return {source + b"/"} if partitions == ALL else {source + b"/%02x" % partition for partition in partitions}
