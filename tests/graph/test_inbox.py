"""What waits for a node's handlers, against a plain list: bounded by edge, in order, less what has become stale."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graph.inbox import SESSIONS_REMEMBERED, Inbox
from graph.links.base import Arrival, Ended, Route
from graph.links.counts import Counts, EdgeStatistics, Index, statistics
from graph.message import BodyDecoder, Message
from graph.plan import Edge, Link, WhenFull

from .links.ends import Number


def route(
    name: str, depth: int = 3, when_full: WhenFull = "drop_newest", link: Link = "stream", interrupts: bool = False
) -> Route:
    edge = Edge("src", name, "dst", name, link=link, depth=depth, when_full=when_full)
    return Route(edge, BodyDecoder((Number,)), interrupts, Counts.in_memory(Index(edges=[edge.id])).edges[edge.id])


def past(name: str) -> Route:
    """One that tells of turns that are over."""
    found = route(name)
    found.past = True
    return found


def arrival(of: Route, n: int, session: str = "s", turn: int = 0, revision: int = 0) -> Arrival:
    return Arrival(of, Message(Number(n), session=session, turn=turn, revision=revision))


def counted(of: Route) -> EdgeStatistics:
    return statistics(of.cells)


@given(
    st.lists(
        st.tuples(st.sampled_from(["old", "new", "queue", "barge", "next", "end"]), st.sampled_from("ab"), st.integers(0, 3)),
        max_size=80,
    )
)
def test_what_comes_out_is_what_a_list_would_give(events: list[tuple[str, str, int]]) -> None:
    let_go: list[Arrival] = []
    inbox = Inbox(let_go.append)
    routes = {
        "old": route("old", 3, "drop_oldest"),
        "new": route("new", 2, "drop_newest"),
        "queue": route("queue", 1, "block", "queue"),
        "barge": route("barge", interrupts=True),
    }
    model: list[Arrival | Ended] = []
    newest: dict[str, int] = {}
    gone: list[Arrival] = []
    added = dict.fromkeys(routes, 0)

    def waiting(name: str) -> list[Arrival]:
        return [a for a in model if isinstance(a, Arrival) and a.route is routes[name]]

    def stale(one: Arrival | Ended) -> bool:
        if not isinstance(one, Arrival) or one.route.interrupts or one.message.turn == 0:
            return False
        return one.message.turn < newest.get(one.message.session, 0)

    for n, (what, session, turn) in enumerate(events):
        if what == "next":
            if model:
                assert inbox.next() is model.pop(0)
            continue
        if what == "end":
            ended = Ended("src", (f"e{n}",))
            inbox.add(ended)
            model.append(ended)
            continue
        one = arrival(routes[what], n, session, turn)
        added[what] += 1
        inbox.add(one)
        if what == "barge":
            newest[session] = max(turn, newest.get(session, 0))
            gone += [a for a in model if isinstance(a, Arrival) and stale(a)]
            model = [a for a in model if not stale(a)]
            urgent = [a for a in model if isinstance(a, Arrival) and a.route.interrupts]
            model = [*urgent, one, *model[len(urgent) :]]
        elif stale(one) or (what == "new" and len(waiting("new")) == 2):
            gone.append(one)
        else:
            if what == "old" and len(waiting("old")) == 3:
                oldest = waiting("old")[0]
                model.remove(oldest)
                gone.append(oldest)
            model.append(one)
    assert list(inbox.items) == model
    assert let_go == gone
    for name, of in routes.items():
        books = counted(of)
        assert books.depth == len(waiting(name)) <= books.depth_max
        assert books.dropped + books.stale == sum(a.route is of for a in gone)
    inbox.drop_all()
    assert not inbox.items
    assert all(counted(of).depth == 0 for of in routes.values())


def test_a_later_revision_makes_an_earlier_one_of_the_same_turn_stale_and_no_other_session() -> None:
    inbox = Inbox(lambda arrival: None)
    barge, x = route("barge", interrupts=True), route("x", 10)
    for session in ("a", "b"):
        inbox.add(arrival(x, 1, session, turn=2, revision=1))
    inbox.add(arrival(barge, 2, "a", turn=2, revision=2))
    inbox.add(arrival(x, 3, "a", turn=2, revision=1))
    inbox.add(arrival(x, 4, "a", turn=2, revision=2))
    assert [item.message.body.n for item in inbox.items if isinstance(item, Arrival)] == [2, 1, 4]
    assert counted(x).stale == 2


def test_only_so_many_sessions_are_remembered() -> None:
    inbox = Inbox(lambda arrival: None)
    barge = route("barge", interrupts=True)
    for n in range(SESSIONS_REMEMBERED + 100):
        inbox.add(arrival(barge, n, f"s{n}", turn=1))
        inbox.next()
    assert len(inbox._newest) == SESSIONS_REMEMBERED


def test_what_tells_of_a_turn_that_is_over_comes_behind_the_interruption_too() -> None:
    inbox = Inbox(lambda _: None)
    heard, barge, other = past("heard"), route("barge", interrupts=True), route("other")
    before, interruption = arrival(heard, 1, turn=1), arrival(barge, 2, turn=2)
    after, stale = arrival(heard, 3, turn=1), arrival(other, 4, turn=1)
    for one in (before, interruption, after, stale):
        inbox.add(one)
    assert list(inbox.items) == [interruption, before, after]
    assert (counted(heard).stale, counted(other).stale) == (0, 1)
