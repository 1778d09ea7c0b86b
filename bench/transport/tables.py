"""The results as tables, for a terminal (rich) and for a page (Markdown)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table as RichTable

from bench.transport.cells import Cell
from bench.transport.figures import Figure, Results, Spread
from bench.transport.targets import QUEUE, STREAM, judged

FIGURE_MAX = 30  # characters; what is longer is a sentence, and may be broken


@dataclass(frozen=True)
class Table:
    """Text in rows; the first column is what a row is about, the others are figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_rich(self) -> RichTable:
        table = RichTable(title=self.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for number, column in enumerate(self.columns):
            figures = max((len(row[number]) for row in self.rows), default=0)
            heading = column if len(column) <= figures else column.replace(" ", "\n")
            table.add_column(heading, justify="right" if number else "left", no_wrap=0 < figures <= FIGURE_MAX)
        for row in self.rows:
            table.add_row(*row, style="bold" if row[0].startswith("voicegraph") else None)
        return table

    def as_markdown(self) -> str:
        lines = [f"**{self.title}**", "", _line(self.columns), "|---|" + "---:|" * (len(self.columns) - 1)]
        return "\n".join([*lines, *(_line(row) for row in self.rows)])


def _line(row: Iterable[str]) -> str:
    return f"| {' | '.join(row)} |"


def everything(results: Results, missing: dict[str, str]) -> Iterator[Table]:
    """The overviews, then each cell, then the targets."""
    paced = [cell for cell in results.cells if cell.rate]
    flat_out = [cell for cell in results.cells if not cell.rate]
    arms = [*results.arms, *missing]
    if paced:
        yield overview("One-way latency, p50 in µs", results, paced, arms, missing, "p50_us")
        yield overview("Processor time per message sent, all processes, in µs", results, paced, arms, missing, "cpu_us")
    if flat_out:
        yield overview("Deliveries per second, flat out (* with loss)", results, flat_out, arms, missing, "per_second")
    for cell in results.cells:
        yield details(results, cell)
    if judged(results):
        yield targets(results)


def overview(
    title: str, results: Results, cells: Sequence[Cell], arms: Sequence[str], missing: dict[str, str], figure: Figure
) -> Table:
    """One figure: a row a cell, a column an arm."""
    rows = []
    for cell in cells:
        shown = []
        for arm in arms:
            value = results.spread(arm, cell, figure)
            lossy = figure == "per_second" and not _lossless(results, arm, cell)
            shown.append(
                "missing" if arm in missing else _number(value.median) + "*" * lossy if value else _why(results, arm, cell)
            )
        rows.append([cell.name, *shown])
    return Table(title, ["", *arms], rows)


def details(results: Results, cell: Cell) -> Table:
    """Everything about one cell: a row an arm. The ratios are those of our two arms to the arm of the row."""
    figure: Figure = "p50_us" if cell.rate else "per_second"
    said = "p50" if cell.rate else "rate"
    columns = [
        "",
        "p50 µs (min–max)",
        "p99 µs",
        "deliveries/s",
        "lost",
        "CPU µs",
        "MB",
        f"stream/this {said}",
        f"queue/this {said}",
    ]
    rows = []
    for arm in results.arms:
        runs = results.of(arm, cell)
        if not runs:
            continue
        p50 = results.spread(arm, cell, "p50_us")
        if p50 is None:
            rows.append([arm, f"failed: {runs[0].failed}", *[""] * (len(columns) - 2)])
            continue
        failures = sum(1 for run in runs if run.failed)
        ratios = [_ratio(results.ratio(ours, [arm], cell, figure)) if ours != arm else "" for ours in (STREAM, QUEUE)]
        p99, rate, lost, cpu, memory = (
            results.spread(arm, cell, f) for f in ("p99_us", "per_second", "lost", "cpu_us", "memory_mb")
        )
        rows.append(
            [
                arm + (f" ({failures} of {len(runs)} failed)" if failures else ""),
                _number(p50.median) + (f" ({_number(p50.low)}–{_number(p50.high)})" if len(runs) > 1 else ""),
                *(_number(value.median) if value else "" for value in (p99, rate)),
                _percent(lost),
                *(_number(value.median) if value else "" for value in (cpu, memory)),
                *ratios,
            ]
        )
    return Table(f"{cell.name}, {cell.count:,} messages", columns, rows)


def targets(results: Results) -> Table:
    """What was aimed at and what came out."""
    rows = []
    for target, verdict, ratio in judged(results):
        shown = _ratio(ratio, spread_too=True) or ("the others lost messages" if verdict == "met" else "–")
        rows.append([target.text, target.bound, shown, verdict])
    return Table("Targets: ratios by round, their median (min–max)", ["", "target", "ratio", ""], rows)


def _lossless(results: Results, arm: str, cell: Cell) -> bool:
    lost = results.spread(arm, cell, "lost")
    return lost is not None and lost.high == 0


def _why(results: Results, arm: str, cell: Cell) -> str:
    """No figure: it failed, or does not carry such cells."""
    return "failed" if results.of(arm, cell) else ""


def _number(value: float) -> str:
    """Three digits that count, more where they are whole."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _percent(lost: Spread | None) -> str:
    if lost is None:
        return ""
    if lost.high == 0:
        return "0"
    return f"{100 * lost.median:.3g} %" + (f" (up to {100 * lost.high:.3g} %)" if lost.high > lost.median else "")


def _ratio(ratio: Spread | None, spread_too: bool = False) -> str:
    if ratio is None:
        return ""
    return f"{ratio.median:.2f}" + (f" ({ratio.low:.2f}–{ratio.high:.2f})" if spread_too else "")
