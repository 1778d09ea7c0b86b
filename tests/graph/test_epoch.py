"""Which plan is in force: who comes, who leaves, and which sessions go from whom to whom."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.epoch import CannotScale, Epoch, scaled
from graph.links.counts import PARTITIONS
from graph.plan import Edge, Instance, Plan, PlannedNode

PLAN = Plan(
    name="demo",
    file="demo.yaml",
    nodes=(PlannedNode("a", "x:Y", "x:Y", {}, ("a",), source=True), PlannedNode("b", "x:Y", "x:Y", {}, ("b",))),
    instances=(Instance("a", "a", out="ipc://{run}/a.out"), Instance("b", "b", out="ipc://{run}/b.out")),
    edges=(Edge("a", "out", "b", "x"),),
)
EVERY = frozenset(range(PARTITIONS))
counts = st.integers(1, 9)


def ids(plan: Plan, node: str = "b") -> list[str]:
    return [i.id for i in plan.instances if i.node == node]


@given(counts, counts)
def test_every_partition_goes_from_one_to_one(before: int, after: int) -> None:
    old = scaled(PLAN, "b", before, (), 1)
    epoch = Epoch(2, scaled(old, "b", after, ids(old), 2), before=old)
    for plan in epoch.plans:
        shares = [Epoch(0, plan).share(id).now for id in ids(plan)]
        assert sum(map(len, shares)) == PARTITIONS
        assert frozenset().union(*shares) == EVERY
    gained: dict[str, set[int]] = {}
    for giver, takers in epoch.bequests.items():
        given_away = [p for partitions in takers.values() for p in partitions]
        assert sorted(given_away) == sorted(epoch.share(giver).lost)
        for taker, partitions in takers.items():
            gained.setdefault(taker, set()).update(partitions)
    for id in ids(epoch.plan):
        assert gained.get(id, set()) == epoch.share(id).gained


@given(counts, counts)
def test_a_source_that_stays_gives_and_gains_nothing(before: int, after: int) -> None:
    old = scaled(PLAN, "a", before, (), 1)
    epoch = Epoch(2, scaled(old, "a", after, ids(old, "a"), 2), before=old)
    assert epoch.bequests == {id: {} for id in epoch.leaving}


@given(st.lists(counts, max_size=6))
def test_who_stays_is_the_same_and_no_name_is_given_twice(steps: list[int]) -> None:
    plan, known = PLAN, {"a", "b"}
    for number, replicas in enumerate(steps, start=1):
        after = scaled(plan, "b", replicas, known, number)
        had, have = ids(plan), ids(after)
        assert have[: len(had)] == had[:replicas]
        assert known.isdisjoint(have[len(had) :])
        assert [i for i in after.instances if i.node == "a"] == [PLAN.instances[0]]
        assert after.node("b").instances == tuple(have)
        known.update(have)
        plan = after


def test_replicas_get_ports_of_their_own() -> None:
    tcp = msgspec.structs.replace(
        PLAN, instances=(Instance("a", "a", out="tcp://127.0.0.1:9000"), Instance("b", "b", out="tcp://127.0.0.1:9001"))
    )
    assert [i.out for i in scaled(tcp, "b", 3, (), 1).instances] == [f"tcp://127.0.0.1:{9000 + n}" for n in range(4)]
    full = msgspec.structs.replace(PLAN, instances=(PLAN.instances[0], Instance("b", "b", out="tcp://127.0.0.1:65535")))
    with pytest.raises(CannotScale, match=r"no port is left for 'b\.1' below 65536: choose a lower `first_port`"):
        scaled(full, "b", 2, (), 1)


class TestAChange:
    epoch = Epoch(1, scaled(PLAN, "b", 2, (), 1), before=PLAN)

    def test_both_plans_count_while_it_is_under_way(self) -> None:
        assert {i.id for i in self.epoch.instances} == {"a", "b", "b.1"}
        assert (self.epoch.joining, self.epoch.leaving) == ({"b.1"}, set())
        assert self.epoch.share("b").now == EVERY
        assert self.epoch.share("b.1").now == set()
        assert self.epoch.share("b.1").gained == self.epoch.share("b").lost

    def test_whoever_starts_after_the_hand_over_has_begun_has_lost_what_it_loses(self) -> None:
        share = self.epoch.commit().share("b")
        assert share.now == share.then == Epoch(0, self.epoch.plan).share("b").now

    def test_it_ends_one_way_or_the_other(self) -> None:
        assert self.epoch.settled() == Epoch(2, self.epoch.plan)
        assert self.epoch.undone() == Epoch(2, PLAN)

    def test_it_is_the_same_for_whoever_reads_it(self) -> None:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(self.epoch), type=Epoch) == self.epoch
