"""The results as an SVG: small panels, an arm a row, the median as a dot and the rounds' spread as a line.

Written by hand: no plotting library for a few lines and dots. It has its own background and follows the reader's dark mode.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from bench.transport.cells import KB, MB, Cell
from bench.transport.figures import Figure, Results, Spread

COLUMNS = 2
LABEL, PLOT, VALUE = 140, 240, 70  # widths within a panel
PANEL_WIDTH = LABEL + PLOT + VALUE
ROW, TITLE, AXIS, GAP, MARGIN = 17, 24, 22, 16, 16  # heights, and what is between

# What a page has room for, when there is more: the keys of cells.
HEADLINES = (
    Cell(KB, 50).key,
    Cell(KB, 1000).key,
    Cell(MB, 50).key,
    Cell(8 * MB, 50).key,
    Cell(KB, 50, hops=3).key,
    Cell(KB, 50, sinks=8).key,
    Cell(MB, 50, sinks=8).key,
    Cell(KB, 0).key,
)

STYLE = """
text { font: 11px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #33383d }
.title { font-weight: 600; font-size: 12.5px } .head { font-weight: 600; font-size: 15px }
.soft { fill: #6b737b } .ground { fill: #ffffff } .grid { stroke: #e3e6e9 } .ours { fill: #0b62d6; font-weight: 600 }
.dot { fill: #7b848d } .span { stroke: #7b848d; stroke-width: 2 } .dot.ours { fill: #0b62d6 } .span.ours { stroke: #0b62d6 }
.lossy { fill: none; stroke: #7b848d; stroke-width: 1.5 } .lossy.ours { fill: none; stroke: #0b62d6 }
@media (prefers-color-scheme: dark) {
text { fill: #d6dbe0 } .soft { fill: #98a1aa } .ground { fill: #16191d } .grid { stroke: #2c3238 } .ours { fill: #6cb0ff }
.dot { fill: #8d97a1 } .span { stroke: #8d97a1 } .dot.ours { fill: #6cb0ff } .span.ours { stroke: #6cb0ff }
.lossy { fill: none; stroke: #8d97a1 } .lossy.ours { fill: none; stroke: #6cb0ff } }
"""


@dataclass(frozen=True)
class Dot:
    """One arm in one panel."""

    arm: str
    value: Spread
    lossy: bool = False

    @property
    def ours(self) -> str:
        return " ours" if self.arm.startswith("voicegraph") else ""


@dataclass(frozen=True)
class Panel:
    """One cell, one figure."""

    title: str
    unit: str
    dots: Sequence[Dot]

    @property
    def height(self) -> int:
        return TITLE + ROW * len(self.dots) + AXIS


def picture(results: Results) -> str:
    """The SVG of the cells that matter most: latency where they are paced, deliveries per second where they are flat out."""
    cells = results.cells if len(results.cells) <= len(HEADLINES) else [one for one in results.cells if one.key in HEADLINES]
    panels = [panel for cell in sorted(cells, key=_order) if (panel := _panel(results, cell)).dots]
    body: list[str] = []
    y = MARGIN + 30
    for start in range(0, len(panels), COLUMNS):
        side_by_side = panels[start : start + COLUMNS]
        for column, panel in enumerate(side_by_side):
            body += _drawn(panel, MARGIN + column * (PANEL_WIDTH + GAP), y)
        y += max(panel.height for panel in side_by_side) + GAP
    width, height = 2 * MARGIN + COLUMNS * PANEL_WIDTH + (COLUMNS - 1) * GAP, y + MARGIN
    box = f'width="{width}" height="{height}"'
    head = "One-way latency between Python processes (p50) and rate, median and range of the rounds, log scale"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {box} role="img">',
            f"<title>{head}</title><style>{STYLE}</style>",
            f'<rect class="ground" width="{width}" height="{height}" rx="6"/>',
            _text(MARGIN, MARGIN + 12, head, "head"),
            *body,
            _text(
                MARGIN, height - MARGIN + 4, "Left is better for latency, right for rates. A hollow dot lost messages.", "soft"
            ),
            "</svg>\n",
        ]
    )


def _order(cell: Cell) -> tuple[bool, int, int, int, int]:
    """Paced before flat out, one hop before more, small before large."""
    return not cell.rate, cell.sinks, cell.hops, cell.size, cell.rate


def _panel(results: Results, cell: Cell) -> Panel:
    figure: Figure = "p50_us" if cell.rate else "per_second"
    dots = []
    for arm in results.arms:
        value, lost = results.spread(arm, cell, figure), results.spread(arm, cell, "lost")
        if value is not None:
            dots.append(Dot(arm, value, lossy=lost is not None and lost.high > 0))
    return Panel(cell.name, "µs" if cell.rate else "deliveries/s", dots)


def _drawn(panel: Panel, left: int, top: int) -> Iterator[str]:
    low = 10 ** math.floor(math.log10(min(dot.value.low for dot in panel.dots)))
    high = 10 ** math.ceil(math.log10(max(dot.value.high for dot in panel.dots) * 1.001))

    def x(value: float) -> float:
        return left + LABEL + PLOT * (math.log10(value) - math.log10(low)) / (math.log10(high) - math.log10(low))

    bottom = top + TITLE + ROW * len(panel.dots)
    yield _text(left, top + 12, panel.title, "title")
    tick = float(low)
    while tick <= high * 1.001:
        yield f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top + TITLE - 6}" y2="{bottom}"/>'
        yield _text(x(tick), bottom + 13, _short(tick, panel.unit), "soft", "middle")
        tick *= 10
    for number, dot in enumerate(panel.dots):
        y = top + TITLE + ROW * number + ROW // 2 - 2
        at = x(dot.value.median)
        yield _text(left + LABEL - 8, y + 4, dot.arm, dot.ours.strip(), "end")
        span = f'x1="{x(dot.value.low):.1f}" x2="{x(dot.value.high):.1f}" y1="{y}" y2="{y}"'
        yield f'<line class="span{dot.ours}" {span}/>'
        yield f'<circle class="{"ground" if dot.lossy else "dot" + dot.ours}" cx="{at:.1f}" cy="{y}" r="4.5"/>'
        if dot.lossy:
            yield f'<circle class="lossy{dot.ours}" cx="{at:.1f}" cy="{y}" r="4"/>'
        yield _text(left + PANEL_WIDTH, y + 4, _short(dot.value.median, panel.unit), dot.ours.strip(), "end")


def _short(value: float, unit: str) -> str:
    """850 µs, 2.1 ms, 1.3 s; 17,800/s."""
    if unit != "µs":
        return f"{float(f'{value:.3g}'):,.0f}/s"
    for limit, divisor, name in ((1e3, 1, "µs"), (1e6, 1e3, "ms"), (math.inf, 1e6, "s")):
        if value < limit:
            return f"{value / divisor:.3g} {name}"
    return ""


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    styled = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{styled}>{escape(text)}</text>'
