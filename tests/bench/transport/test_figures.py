from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.transport.cells import KB, Cell
from bench.transport.figures import Results, Spread, quantile, rotated, run_of, spread
from bench.transport.rounds import orders

from .runs import FLAT_OUT, SMALL, run


def test_quantiles_are_values_that_occurred() -> None:
    values = list(range(1, 101))
    assert [quantile(values, q) for q in (0, 0.5, 0.99, 1)] == [1, 50, 99, 100]
    assert quantile([7], 0.99) == 7


@given(st.lists(st.integers(0, 10**9), min_size=1), st.floats(0, 1))
def test_so_much_is_at_or_below_a_quantile(values: list[int], q: float) -> None:
    found = quantile(sorted(values), q)
    assert found in values
    assert sum(v <= found for v in values) >= q * len(values) - 1e-6


def test_figures_of_what_the_sinks_noted() -> None:
    cell = Cell(KB, 50, sinks=2, count=4)
    found = run_of(
        "dora",
        cell,
        1,
        numbers=[array("q", [0, 1, 3]), array("q", [0, 1, 2, 3])],
        latencies_ns=[array("q", [1000, 2000, 9000]), array("q", [3000, 4000, 5000, 6000])],
        carried_ns=500_000_000,
        cpu_ns=2_000_000,
        memory_bytes=3 * 2**20,
        processes=4,
    )
    assert (found.p50_us, found.p99_us, found.per_second, found.cpu_us, found.memory_mb) == (4, 9, 14, 500, 3)
    assert (found.lost, found.lossless_per_second, found.in_order) == (1 / 8, None, True)


def test_a_message_that_came_twice_makes_up_for_no_other() -> None:
    twice = {"numbers": [array("q", [0, 0, 1])], "latencies_ns": [array("q", [1, 1, 1])]}
    found = run_of("dora", Cell(KB, 50, count=3), 0, **twice, carried_ns=1, cpu_ns=0, memory_bytes=0, processes=2)  # type: ignore[arg-type]
    assert found.lost == pytest.approx(1 / 3)


def test_nothing_heard_is_a_failure() -> None:
    nothing = {"numbers": [array("q")], "latencies_ns": [array("q")]}
    found = run_of("dora", SMALL, 0, **nothing, carried_ns=1, cpu_ns=0, memory_bytes=0, processes=2)  # type: ignore[arg-type]
    assert (found.failed, found.p50_us) == ("every counted message was lost", None)


def test_a_spread_leaves_failed_rounds_out() -> None:
    assert spread([None, 3.0, 1.0, 2.0]) == Spread(2, 1, 3)
    assert spread([None]) is None


def test_ratios_are_taken_round_by_round() -> None:
    # The machine is three times slower in the second round, for both: the ratio does not move.
    results = Results(
        [run("ours", 0, p50_us=50), run("dora", 0, p50_us=100), run("ours", 1, p50_us=150), run("dora", 1, p50_us=300)]
    )
    assert results.ratio("ours", ["dora"], SMALL, "p50_us") == Spread(0.5, 0.5, 0.5)


def test_a_ratio_is_to_the_best_of_the_others_and_skips_rounds_that_lack_one() -> None:
    results = Results(
        [
            run("ours", 0, FLAT_OUT, per_second=300.0),
            run("a", 0, FLAT_OUT, per_second=100.0),
            run("b", 0, FLAT_OUT, per_second=900.0, lost=0.1),
            run("ours", 1, FLAT_OUT, per_second=300.0),
            run("a", 1, FLAT_OUT, per_second=None, lost=None),
        ]
    )
    assert results.ratio("ours", ["a", "b"], FLAT_OUT, "lossless_per_second") == Spread(3, 3, 3)
    assert results.ratio("ours", ["a", "b"], FLAT_OUT, "p50_us") == Spread(1, 1, 1)
    assert results.ratio("ours", ["nobody"], FLAT_OUT, "p50_us") is None


def test_arms_take_turns_in_being_first() -> None:
    arms = ["a", "b", "c"]
    assert [rotated(arms, by) for by in range(4)] == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]
    assert rotated([], 2) == []


def test_every_round_has_every_arm_of_every_cell_once() -> None:
    plan = {SMALL: ["a", "b", "c"], FLAT_OUT: ["a", "b"]}
    runs = list(orders(plan, 3))
    assert sorted(runs, key=str) == sorted(((r, cell, arm) for r in range(3) for cell in plan for arm in plan[cell]), key=str)
    assert {arm for r, cell, arm in runs[::5] if cell == SMALL} == {"a", "b", "c"}
