"""The consumer's end of streams while the plan changes: partitions move between replicas, producers follow each other.

What is gained is listened to before it is ours, and held back until whoever had it has stopped (`graph.handover`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from graph.errors import MessageError
from graph.handover import Position
from graph.links.base import Arrival, Ended, header_of
from graph.links.counts import BEGAN, DROPPED, FORMER, LIFE, OWN, disown, own
from graph.links.hearing import ALL, Hearing, Producer, partition_in, source_of, topics_in
from graph.links.holding import BEHIND_NS, Behind, Held, Holding, Topic
from graph.links.stream import End, Follows, Welcome
from graph.message import now_ns

NEVER = (2**63, 0)  # life and number of a message that will not come


class StreamIn(Hearing):
    """All streams into an instance."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._gained = Holding()
        self._asked = b""  # the topic on which producers tell where what we gain begins
        self._starts: dict[str, Position] = {}  # by instance, what they have told
        self._ends: list[list[bytes]] = []  # of producers, that came before all that we gain was ours
        self._parted: set[bytes] = set()  # topics that others have taken over
        self._late = Holding()
        self._behind: dict[bytes, Behind] = {}  # by topic

    def _elsewhere(self, frames: list[bytes], deliver: Callable[[Arrival | Ended], None]) -> None:
        if frames[0] in self._gained.topics:
            self._hold(self._gained, self._gained.topics[frames[0]], frames)
        elif frames[0] in self._behind:
            self._data_behind(self._behind[frames[0]], frames, deliver)
        elif frames[0] not in self._parted:
            super()._elsewhere(frames, deliver)

    def _rejected(self, topic: Topic, frames: list[bytes], error: MessageError) -> None:
        with suppress(MessageError):
            header = header_of(frames)
            producer = self._producers.get(header.instance)
            if producer is not None and producer.elsewhere(topic.name, header.life, header.seq):
                return
        super()._rejected(topic, frames, error)

    def _told(
        self,
        producer: Producer,
        notice: Welcome | End | Follows,
        frames: list[bytes],
        deliver: Callable[[Arrival | Ended], None],
    ) -> None:
        if isinstance(notice, Follows):
            self._follow(notice)
        elif isinstance(notice, End) and self._gained.topics:
            self._ends.append(frames)  # what is held back comes before it
        else:
            if isinstance(notice, Welcome) and frames[0] == self._asked:
                gained = {name.decode() for name in self._gained.topics}
                self._starts[notice.instance] = Position(notice.life, {t: n for t, n in notice.next.items() if t in gained})
            if self._behind:
                self._look_behind(deliver, said_all=notice.instance)
            if isinstance(notice, End) and self._behind:
                for source in producer.cells:
                    self._lost_until(producer, source, notice.sent)
                self._look_behind(deliver)
            super()._told(producer, notice, frames, deliver)

    def gain(self, partitions: frozenset[int], number: int) -> None:
        """Listen to more partitions, and hold back what comes on them until `take_over`.

        :param number: of the change.
        """
        for source, routes in self._routes.items():
            topics = topics_in(source, partitions - self._partitions[source], routes)
            self._gained.topics.update((topic.name, topic) for topic in topics)
            self._parted.difference_update(topic.name for topic in topics)
            self._subscribe(source, self._partitions[source] | partitions)
        self._starts.clear()
        if self._asked:
            self._socket.unsubscribe(self._asked)
        self._asked = f"?{self._instance}/{number}".encode()  # an answer to an earlier question may be on its way
        self._socket.subscribe(self._asked)

    def lacks(self, partitions: frozenset[int]) -> bool:
        """True where not all of these partitions are ours, of some stream."""
        return any(partitions - mine for mine in self._partitions.values())

    @property
    def gaining(self) -> bool:
        """True while something is held back that will be ours."""
        return bool(self._gained.topics)

    def begin(self, sources: Collection[bytes], deliver: Callable[[Arrival | Ended], None]) -> None:
        """Go on, where its producers have told that our hearing begins, with streams that we gain and nobody had before.

        :param sources: as `<node>.<port>`.
        """
        gained = [topic for topic in self._gained.topics.values() if topic.source in sources]
        for instance, producer in self._producers.items():
            if instance in self._starts:
                self._begin_at(instance, producer, gained, self._starts[instance])
        self._own(gained, deliver)

    def quit(self, sources: Collection[bytes]) -> None:
        """Listen to these streams no longer, for good."""
        for source in sources:
            for topic in topics_in(source, self._partitions.pop(source, ALL), []):
                self._parted.add(topic.name)
                self._topics.pop(topic.name, None)
                self._behind.pop(topic.name, None)
                for holding in (self._gained, self._late):
                    holding.release([topic.name])
            self._subscribe(source, frozenset())
            self._routes.pop(source, None)
            for instance, producer in list(self._producers.items()):
                if source in producer.cells:
                    disown(producer.cells.pop(source), ALL)
                producer.routes = [route for route in producer.routes if source_of(route) != source]
                if not producer.routes:
                    self.forget(instance)

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
        awaited = [i for i, p in self._producers.items() if not p.absent and (p.welcomed or not p.comes)]
        if self._gained.topics and any(i not in self._starts for i in awaited):
            return None
        return self._starts

    def caught_up(
        self, partitions: frozenset[int], starts: dict[str, Position], unhandled: Mapping[tuple[str, bytes], tuple[int, int]]
    ) -> bool:
        """True when all has been handled that those who gain these partitions have not heard.

        :param unhandled: by instance and topic, life and number of the oldest message that waits for its handler.
        """
        for instance, start in starts.items():
            producer = self._producers.get(instance)
            for source, cells in producer.cells.items() if producer is not None else ():
                for name in (topic.name for topic in topics_in(source, partitions & self._partitions[source], [])):
                    come = unhandled.get((instance, name), (cells[LIFE] - 1, cells[partition_in(name)]))
                    if come < (start.life, start.next.get(name.decode(), 0)):
                        return False
        return True

    def over(self, unhandled: Mapping[tuple[str, bytes], tuple[int, int]]) -> bool:
        """True where a message that waits is of a life of its producer that is over: we cannot stop before it."""
        return any(
            life + 1 != cells[LIFE]
            for (instance, topic), (life, _) in unhandled.items()
            for source, cells in self._producers[instance].cells.items()
            if topic.startswith(source + b"/")
        )

    def part(
        self,
        partitions: frozenset[int],
        unhandled: Mapping[tuple[str, bytes], tuple[int, int]],
        forgotten: Mapping[tuple[str, bytes, str], int],
    ) -> dict[str, Position]:
        """Listen to these partitions no longer, and forget what has not been handled.

        What of it was lost or let go behind the oldest that waited is not counted here: who gains it does that.

        :param forgotten: by instance, topic and edge, how many waited.
        :returns: by producer instance, how far we have come.
        """
        heard: dict[str, Position] = {}
        for instance, producer in self._producers.items():
            if producer.handed:  # of a life, perhaps, that we have not heard of to this day
                self._begin(producer, instance, max(life for life, _ in producer.handed.values()))
            for source, cells in producer.cells.items():
                position = heard.setdefault(instance, Position(max(0, cells[LIFE] - 1)))
                for topic in topics_in(source, partitions & self._partitions[source], []):
                    come = cells[topic.partition]
                    _, cells[topic.partition] = unhandled.get((instance, topic.name), (0, come))
                    for route in self._routes[source]:
                        waited = forgotten.get((instance, topic.name, route.edge.id), 0)
                        route.taken_back(come - cells[topic.partition] - waited)
                    position.next[topic.name.decode()] = cells[topic.partition]
                disown(cells, partitions)
        for source in self._routes:
            for topic in topics_in(source, partitions & self._partitions[source], []):
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
            elif producer.left:  # whoever had this has seen it to its end
                producer.handed.update((topic.name, NEVER) for topic in gained)
        for (instance, source), (producer, last_life) in self._departed.items():
            cells, position = producer.cells[source], heard.get(instance)
            new = [topic for topic in gained if topic.source == source and not cells[OWN] >> topic.partition & 1]
            if position is not None and new:  # it left between the one who stopped there and us
                self._begin_at(instance, producer, new, position)
                own(cells, [topic.partition for topic in new])
                self._miss(instance, producer, last_life)
        self._own(gained, deliver)

    def _own(self, gained: list[Topic], deliver: Callable[[Arrival | Ended], None]) -> None:
        for topic in gained:
            self._partitions[topic.source] |= {topic.partition}
            self._topics[topic.name] = topic
            for producer in self._producers.values():
                if topic.source in producer.cells and producer.handed.get(topic.name) != NEVER:
                    own(producer.cells[topic.source], [topic.partition])
        self._deliver_held(self._gained.release([topic.name for topic in gained]), deliver)
        if not self._gained.topics:
            ends, self._ends = self._ends, []
            for frames in ends:
                self._notice(frames, deliver)

    def _begin_at(self, instance: str, producer: Producer, topics: list[Topic], position: Position) -> None:
        """Of a life that we have not heard of yet: when it begins (what is still to come of the one before is not mixed up)."""
        for topic in topics:
            cells = producer.cells.get(topic.source)
            if cells is None:
                continue
            number = position.next.get(topic.name.decode(), 0)
            producer.handed[topic.name] = (position.life, number)
            if position.life + 1 < cells[LIFE]:
                producer.handed[topic.name] = (cells[LIFE] - 1, 0)
                self._missed(instance, producer, topic, position.life, number)
            elif position.life + 1 == cells[LIFE] and number > cells[topic.partition]:
                cells[BEGAN] += number - cells[topic.partition]
                cells[topic.partition] = number

    def _missed(self, instance: str, producer: Producer, topic: Topic, life: int, number: int) -> None:
        """Of lives that are over nobody handles what was left."""
        cells, missed = producer.cells[topic.source], -number
        for over in range(life, cells[LIFE] - 1):
            sent = producer.gone.get(over) or self._left_behind(instance, over) or {}
            missed = max(0, missed + sent.get(topic.name.decode(), 0))
        cells[FORMER] += missed
        for route in topic.routes:
            route.cells[DROPPED] += missed

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

    def _look_behind(self, deliver: Callable[[Arrival | Ended], None], said_all: str = "") -> None:
        """Deliver what successors have said once their predecessors' last words have come.

        :param said_all: one that tells how much it has said: what is held of that came before, and waits no longer.
        """
        for behind in list(self._behind.values()):
            if self._has_come(behind) or behind.successor == said_all or now_ns() >= behind.until_ns:
                del self._behind[behind.topic.name]
                self._topics[behind.topic.name] = behind.topic
                self._deliver_held(self._late.release([behind.topic.name]), deliver)

    def look(self, deliver: Callable[[Arrival | Ended], None]) -> None:
        """To be called now and then: last words that are waited for may have been lost."""
        if self._behind:
            self._look_behind(deliver)
