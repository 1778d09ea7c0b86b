from __future__ import annotations

import os
import signal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from graph.links.counts import (
    BUCKETS,
    DELIVERED,
    DEPTH_MAX,
    DROPPED,
    LATENCY,
    LIFE,
    Counts,
    EdgeStatistics,
    Index,
    bucket,
    statistics,
    upper_us,
)

INDEX = Index(edges=["a->b", "c->d"], lanes=[("a->b", "p")], sending=["out"], expecting=[("p", "p.out")])
LAST_US = upper_us(BUCKETS - 1)


@given(st.integers(0, LAST_US))
def test_a_bucket_holds_what_is_in_it_and_is_at_most_a_quarter_too_high(us: int) -> None:
    index = bucket(us)
    assert upper_us(index - 1) < us <= upper_us(index) if index else us == 0
    assert upper_us(index) <= us * 1.25


@given(st.integers(-(2**70), 2**70))
def test_any_number_has_a_bucket(us: int) -> None:
    assert 0 <= bucket(us) < BUCKETS


@given(st.lists(st.integers(0, LAST_US), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_the_bound_of_the_bucket_that_it_falls_into(latencies: list[int], share: float) -> None:
    counted = EdgeStatistics()
    for us in latencies:
        counted.latency[bucket(us)] = counted.latency.get(bucket(us), 0) + 1
    told = counted.quantile_us(share)
    assert told is not None
    below = sum(us <= told for us in latencies)
    assert below >= share * len(latencies)
    assert told in {upper_us(bucket(us)) for us in latencies}


counts = st.builds(
    EdgeStatistics,
    sent=st.integers(0, 99),
    delivered=st.integers(0, 99),
    dropped=st.integers(0, 99),
    depth_max=st.integers(0, 9),
    latency=st.dictionaries(st.integers(0, 5), st.integers(1, 9)),
)


@given(st.lists(counts))
def test_the_ends_of_an_edge_add_up_in_any_order(parts: list[EdgeStatistics]) -> None:
    forth, back = EdgeStatistics(), EdgeStatistics()
    for part in parts:
        forth.add(part)
    for part in reversed(parts):
        back.add(part)
    assert forth == back
    assert forth.sent == sum(p.sent for p in parts)
    assert forth.depth_max == max((p.depth_max for p in parts), default=0)
    assert sum(forth.latency.values()) == sum(sum(p.latency.values()) for p in parts)


def test_what_a_process_counted_outlives_its_kill(tmp_path: Path) -> None:
    path = tmp_path / "one.0.counts"
    child = os.fork()
    if child == 0:
        try:
            mine = Counts.create(path, INDEX)
            mine.edges["a->b"][DELIVERED] += 41
            mine.edges["a->b"][LATENCY + 7] += 3
            mine.edges["c->d"][DEPTH_MAX] = 9
            mine.sending["out"][5] = 1234
            mine.lanes["a->b", "p"][:] = memoryview(bytearray(32)).cast("Q")
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    left = Counts.read(path)
    assert left is not None
    assert left.statistics()["a->b"] == EdgeStatistics(delivered=41, latency={7: 3})
    assert left.statistics()["c->d"].depth_max == 9
    assert left.sent() == {"out": 1234}
    assert not list(tmp_path.glob("*.new"))


def test_a_new_life_goes_on_where_the_former_one_had_come_to_and_counts_anew(tmp_path: Path) -> None:
    former = Counts.create(tmp_path / "0", INDEX)
    former.expecting["p", "p.out"][3] = 77
    former.expecting["p", "p.out"][LIFE] = 2
    former.edges["a->b"][DROPPED] = 5
    Counts.create(tmp_path / "1", INDEX, Counts.read(tmp_path / "0"))
    new = Counts.read(tmp_path / "1")
    assert new is not None
    assert new.expecting["p", "p.out"][: LIFE + 1].tolist() == former.expecting["p", "p.out"][: LIFE + 1].tolist()
    assert new.heard() == {"p.out": 0}, "what its former life had heard is that one's to account for"
    assert statistics(new.edges["a->b"]) == EdgeStatistics()
    assert Counts.read(tmp_path / "none") is None
