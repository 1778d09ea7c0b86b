"""A node's part in a change of the plan while it runs: it meets those that come, hands over what it loses, takes over what it
gains. What must not happen in the middle of a handler waits for `look`, between two messages. The words: `graph.handover`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from graph.control import Warned
from graph.epoch import Epoch
from graph.handover import HandedOver, HandOver, Legacy, Replan, Replanned, TakenOver, TakeOver
from graph.inbox import Inbox
from graph.links.base import Arrival, Ended
from graph.links.counts import topics_of
from graph.links.partitions import partition_of
from graph.links.receipts import Origin
from graph.message import now_ns
from graph.node import Node
from graph.rewiring import Rewiring

TURN_NS = 30_000_000_000  # that a turn which has begun is waited for
STATE_BYTES = 8 * 2**20  # of all sessions together: half of what the control plane takes
CATCH_UP_NS = 2_000_000_000  # whoever has not come so far by then never will: what was under way to it is lost

Change: TypeAlias = Replan | HandOver | TakeOver


class Changing:
    """`say` tells the supervisor; `deliver` puts what has come before the node."""

    def __init__(
        self,
        wiring: Rewiring,
        inbox: Inbox,
        origin: Origin,
        read_epoch: Callable[[], Epoch],
        say: Callable[[Replanned | HandedOver | TakenOver | Warned], None],
        deliver: Callable[[Arrival | Ended], None],
        fallback: bool = False,
    ) -> None:
        self._me = wiring.instance
        self._life = wiring.life
        self._wiring = wiring
        self._inbox = inbox
        self._origin = origin
        self._read_epoch = read_epoch
        self._say = say
        self._deliver = deliver
        self._fallback = fallback
        # A process that is started in the middle of a change has to say where it stands, as all others do.
        self._unsaid: int | None = wiring.epoch.number if wiring.epoch.before is not None else None
        self.pending = True  # `look` may have something to do
        self._asked: HandOver | None = None
        self._until_ns = 0
        self._legacy: HandedOver | None = None  # the last answer
        self._told = False  # and it was given
        self._quit: set[str] = set()  # edges that are not listened to any more
        self._bequeathed: list[TakeOver] = []
        self._configured: dict[str, Any] | None = None  # parameters that are to take effect
        self._taken: set[tuple[int, str]] = set()
        self._finished = False
        self._running = wiring.epoch.node(self._me).config

    def attach(self, node: Node) -> None:
        """The node, once there is one."""
        self._node = node

    @property
    def leaving(self) -> bool:
        """True when this instance is not in the new plan, and the hand-over has begun."""
        return self._asked is not None and self._me in self._wiring.epoch.leaving

    @property
    def keeps_state(self) -> bool:
        """True where the node hands over what it knows, instead of finishing with it."""
        return type(self._node).snapshot is not Node.snapshot

    @property
    def hands_on(self) -> bool:
        """True where another goes on with what this one has not finished."""
        return self.leaving and self.keeps_state and self._wiring.epoch.has_heirs(self._me)

    @property
    def waits(self) -> bool:
        """True while what this node has to know of its sessions may still come: it handles nothing yet."""
        epoch = self._wiring.epoch
        if not self.keeps_state or epoch.before is None or self._me not in epoch.joining:
            return False
        givers = (giver for giver, takers in epoch.bequests.items() if self._me in takers)
        return any((epoch.number, giver) not in self._taken for giver in givers)

    def obey(self, command: Change) -> set[str]:
        """Do what may be done at any time, and note down the rest. Returns the instances that come with it."""
        self.pending = True
        if isinstance(command, Replan):
            return self._replan(command.number)
        if command.number != self._wiring.epoch.number:
            return set()
        if isinstance(command, TakeOver):
            self._bequeathed.append(command)
        elif self._legacy is not None and self._told:
            self._say(self._legacy)
        elif self._asked is None:
            self._asked, self._until_ns = command, now_ns() + CATCH_UP_NS
            self._wiring.commit()
            if self.leaving:
                self._node.stop()
        return set()

    def _replan(self, number: int) -> set[str]:
        former, epoch = self._wiring.epoch, self._read_epoch()
        if epoch.number < number or epoch.number < former.number:
            return set()
        if epoch.number > former.number:
            self._asked = self._legacy = None
            self._told = False
            self._quit.clear()
            self._bequeathed.clear()
            self._wiring.replan(epoch)
            if not self._fallback and epoch.has(self._me) and epoch.node(self._me).target == former.node(self._me).target:
                self._configure(epoch.node(self._me).config)
        self._unsaid = epoch.number
        return {i.id for i in epoch.instances} - {i.id for i in former.instances}

    def _configure(self, config: dict[str, Any]) -> None:
        """Take over what may be changed in place; of other parameters a new process will be told."""
        other = {key for key in config.keys() | self._running.keys() if config.get(key) != self._running.get(key)}
        if other and other <= type(self._node).changeable:
            self._running = self._configured = config

    def look(self, between: bool = True) -> None:
        """Whatever can be done now. A leaving node says its last words when it has `finished`.

        :param between: two messages: nothing is being handled.
        """
        if self._unsaid is not None and self._wiring.streams_in.starts is not None:
            self._say(Replanned(self._unsaid, self._wiring.streams_in.starts))
            self._unsaid = None
        epoch = self._wiring.epoch
        late = epoch.before is None and epoch.has(self._me) and self._wiring.streams_in.gaining  # else we were sent away
        if late and self._wiring.streams_in.starts is not None:  # it was over before we could do our part
            self._wiring.begin(self._deliver)
            late = False
        if between or self._lone_source:
            if self._configured is not None and between:
                self._node.reconfigure(type(self._node).Config(**self._configured))
                self._configured = None
            while self._bequeathed:
                self._take_over(self._bequeathed.pop(0))
            if self._asked is not None and self._legacy is None:
                self._part(self._asked)
        self._tell()
        waits = self._unsaid is not None or self._configured is not None or bool(self._bequeathed) or late
        self.pending = waits or (self._asked is not None and not self._told)

    @property
    def _lone_source(self) -> bool:
        """True of a source that stays: it listens to nothing, and never comes to rest between two messages."""
        return not self.leaving and self._wiring.epoch.node(self._me).source

    def _part(self, asked: HandOver) -> None:
        streams = self._wiring.streams_in
        self._wiring.begin(self._deliver)
        heirs = not self.leaving or self._wiring.epoch.has_heirs(self._me)
        lost = streams.partitions - self._wiring.epoch.share(self._me).then if heirs else frozenset[int]()
        if now_ns() < self._until_ns + TURN_NS and any(partition_of(session) in lost for session in self._node.in_turn()):
            return
        unhandled = self._inbox.unhandled(lost)
        if (
            unhandled is None
            or streams.over(unhandled)
            or (not streams.caught_up(lost, asked.starts, unhandled) and now_ns() < self._until_ns)
        ):
            return
        heard = streams.part(lost, unhandled, self._inbox.forget(lost))
        self._legacy = HandedOver(asked.number, Legacy(self._me, self._life, heard))
        self._quit = {edge.id for edge in self._wiring.epoch.quits(self._me)}
        for ended in self._wiring.quit():
            self._deliver(ended)
        if self.leaving and heirs:
            for ended in self._wiring.ended_by_parting():
                self._deliver(ended)

    def _tell(self) -> None:
        """Who leaves says it when it has finished, who stays when all is done that came by links which go."""
        if self._legacy is None or self._told or self._me not in self._wiring.epoch.bequests:
            self._told = self._told or self._legacy is not None  # it was only told of the hand-over
        elif self._finished if self.leaving else self._wiring.retired and not self._inbox.waits(self._quit):
            self._bequeath(self._legacy.legacy)

    def finished(self) -> None:
        """All that the node had to do is done: if it leaves, its last words."""
        self._finished = True
        self._tell()

    def _bequeath(self, given: Legacy) -> None:
        legacy = Legacy(
            given.instance,
            given.life,
            given.heard,
            topics_of(self._wiring.node, self._wiring.counts.sending),
            self._inbox.newest,
            self.state() if self._wiring.epoch.has_heirs(self._me) else {},
            self._wiring.counts.origin[0],
        )
        self._legacy, self._told = HandedOver(self._wiring.epoch.number, legacy), True
        self._say(self._legacy)

    def _warn(self, text: str) -> None:
        self._say(Warned(text))

    def state(self) -> dict[str, Any]:
        """What the node hands over, if it can be carried; a hand-over without it is better than none."""
        state = self._node.snapshot()
        try:
            size = len(msgspec.msgpack.encode(state))
        except (TypeError, ValueError, OverflowError) as error:
            self._warn(f"its state is not handed over: `snapshot` is not plain data ({error})")
            return {}
        if size > STATE_BYTES:
            self._warn(f"its state is not handed over: {size} bytes are more than {STATE_BYTES}")
            return {}
        return state

    def _take_over(self, command: TakeOver) -> None:
        legacy = command.legacy
        if (command.number, legacy.instance) not in self._taken and command.number == self._wiring.epoch.number:
            self._taken.add((command.number, legacy.instance))
            mine = frozenset(command.partitions)
            said = {topic: n for topic, n in legacy.said.items() if int(topic[-2:], 16) in mine}
            self._inbox.tell({session: turn for session, turn in legacy.newest.items() if partition_of(session) in mine})
            # It may know sessions that were once its own, and have been another's since.
            state = {session: known for session, known in legacy.state.items() if partition_of(session) in mine}
            if state:
                self._node.restore(state)
            if command.legacy.instance in self._wiring.epoch.leaving:
                self._origin.inherit(legacy.done)
            self._wiring.follow(legacy.instance, legacy.life, said)
            self._wiring.streams_in.take_over(mine, legacy.heard, self._deliver)
        self._say(TakenOver(command.number, legacy.instance))
