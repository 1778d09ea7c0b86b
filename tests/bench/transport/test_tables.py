from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bench.__main__ import app
from bench.transport import cells, record, tables
from bench.transport.arms import ARMS
from bench.transport.figures import Results, Run
from bench.transport.picture import picture
from bench.transport.targets import QUEUE, RAW, STREAM, TARGETS, compared, judged

from .runs import FLAT_OUT, SMALL, run

RESULTS = Results(
    [
        run(STREAM, 0, p50_us=100.0),
        run("pyzmq PUB/SUB", 0, p50_us=90.0, cpu_us=400.0),
        run("dora", 0, p50_us=800.0),
        Run("ezmsg", SMALL, 0, failed="too slow for this cell within 40 s"),
        run(STREAM, 1, p50_us=120.0),
        run("pyzmq PUB/SUB", 1, p50_us=100.0, cpu_us=300.0),
        run("dora", 1, p50_us=700.0),
        Run("ezmsg", SMALL, 1, failed="too slow for this cell within 40 s"),
        run(QUEUE, 0, FLAT_OUT, per_second=40_000.0),
        run("dora", 0, FLAT_OUT, per_second=20_000.0, lost=0.25),
    ]
)
MISSING = {"Redis pub/sub": "not installed: make bench-peers"}


def verdicts(results: Results) -> dict[str, str]:
    return {target.text: verdict for target, verdict, _ in judged(results)}


def test_targets_are_judged_by_the_median_of_the_ratios() -> None:
    found = verdicts(RESULTS)
    assert found["1 KB 50/s: voicegraph stream, p50 against pyzmq PUB/SUB"] == "met"
    assert found["1 KB 50/s: voicegraph stream, CPU per message against pyzmq PUB/SUB"] == "met"
    assert found["1 KB 50/s: voicegraph stream, p50 against the better of dora and dora backpressure"] == "met"
    assert found["1 KB 50/s: voicegraph stream, p50 against ezmsg"] == "not measured"
    assert not any("3 hops" in text for text in found), "cells that were not run are not judged"


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ({"per_second": 30.0}, {"per_second": 20.0}, "met"),
        ({"per_second": 29.0}, {"per_second": 20.0}, "missed"),
        ({"per_second": 30.0, "lost": 0.001}, {"per_second": 20.0}, "missed"),
        ({"per_second": 30.0}, {"per_second": 20.0, "lost": 0.5}, "met"),
        ({"per_second": 30.0}, {"per_second": None, "lost": None}, "not measured"),
    ],
)
def test_a_rate_counts_only_without_loss(ours: dict[str, float], theirs: dict[str, float | None], verdict: str) -> None:
    results = Results([run(QUEUE, 0, FLAT_OUT, **ours), run("dora", 0, FLAT_OUT, **theirs)])
    assert list(verdicts(results).values()) == [verdict]


def test_targets_name_arms_and_cells_that_there_are() -> None:
    by_name = {arm.name: arm for arm in ARMS}
    assert set(RAW) | set(RAW.values()) <= set(by_name)
    full = {cell.key for cell in cells.full()}
    for target in TARGETS:
        assert target.cell.key in full
        assert all(by_name[name].carries(target.cell) for name in (target.arm, *target.others))
    assert sum(map(len, compared().values())) < 40


def test_the_overview_tells_figures_failures_and_what_is_missing() -> None:
    latency = next(tables.everything(RESULTS, MISSING))
    assert latency.columns == ["", STREAM, QUEUE, "pyzmq PUB/SUB", "dora", "ezmsg", "Redis pub/sub"]
    assert latency.rows == [["1 KB 50/s", "110", "", "95.0", "750", "failed", "missing"]]


def test_rates_with_loss_are_marked() -> None:
    rates = next(table for table in tables.everything(RESULTS, {}) if "flat out" in table.title)
    assert rates.rows == [["1 KB flat out", "", "40,000", "", "20,000*", ""]]


def test_details_give_spread_loss_and_our_ratios() -> None:
    small = tables.details(RESULTS, SMALL)
    rows = {row[0]: list(row[1:]) for row in small.rows}
    assert rows["dora"] == ["750 (700–800)", "900", "50.0", "0", "500", "80.0", "0.15", ""]
    assert rows["ezmsg"][0] == "failed: too slow for this cell within 40 s"
    assert next(row for row in tables.details(RESULTS, FLAT_OUT).rows if row[0] == "dora")[4] == "25 %"


def test_all_tables_can_be_shown_and_written() -> None:
    console = Console(width=128, record=True)
    for table in tables.everything(RESULTS, MISSING):
        assert all(len(row) == len(table.columns) for row in table.rows)
        console.print(table.as_rich())
        lines = table.as_markdown().splitlines()[2:]
        assert len({line.count("|") for line in lines}) == 1
    assert "…" not in console.export_text()


def test_json_reads_back_the_same(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(json.dumps(record.as_json(RESULTS, ARMS, MISSING, cells.left_out())))
    results, missing = record.load(file)
    assert (results.runs, missing) == (RESULTS.runs, MISSING)
    written = json.loads(file.read_text())
    assert set(written["versions"]) == {arm.name for arm in ARMS} - set(MISSING)
    assert written["left_out"] == ["1 MB 1000/s", "8 MB 1000/s"]
    assert written["summary"][0]["p50_us"] == {"median": 110, "low": 100, "high": 120}


def test_the_picture_is_an_svg_with_a_dot_for_every_figure() -> None:
    root = ElementTree.fromstring(picture(RESULTS))
    circles = [e.attrib["class"] for e in root.iter() if e.tag.endswith("circle")]
    assert circles == ["dot ours", "dot", "dot", "dot ours", "ground", "lossy"]


def test_an_earlier_run_is_shown_again(tmp_path: Path) -> None:
    file, image, page = tmp_path / "results.json", tmp_path / "p.svg", tmp_path / "p.md"
    file.write_text(json.dumps(record.as_json(RESULTS, [], MISSING, [])))
    command = ["transport", "--show", str(file), "--picture", str(image), "--markdown", str(page)]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert "750 (700–800)" in shown.output
    assert "| dora | 750 (700–800) |" in page.read_text()
    assert image.read_text().startswith("<svg")


def test_filters_that_leave_nothing_are_an_error() -> None:
    refused = CliRunner().invoke(app, ["transport", "--arm", "carrier pigeon"])
    assert refused.exit_code == 2
    assert "nothing is left to run" in refused.output
