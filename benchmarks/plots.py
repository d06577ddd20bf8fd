"""Charts as SVG text: bars and lines on logarithmic scales. Knows numbers and labels, and not what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10

from benchmarks.samples import Spread

WIDTH, LEFT, RIGHT, TOP, FOOT = 720, 130, 90, 44, 40
ROW = 30
HEIGHT = 300
COLOURS = ("#2a78b5", "#d1495b", "#5b8c5a", "#8d6a9f", "#c98b2b")
OURS, OTHERS = "#2a78b5", "#9aa5ad"
STYLE = "font-family='sans-serif' font-size='13' fill='#222'"


def bars(title: str, rows: Sequence[tuple[str, Spread]], ours: str) -> str:
    """One bar for each, from the scale's left end to the median, with a line from the lowest to the highest."""
    low, high = _decades([each.low for _, each in rows], [each.high for _, each in rows])
    height = TOP + ROW * len(rows) + FOOT
    across = _Scale(low, high, LEFT, WIDTH - RIGHT)
    parts = [*_ticks(across, height - FOOT)]
    for number, (label, found) in enumerate(rows):
        y = TOP + ROW * number
        end = across(found.median)
        colour = OURS if label == ours else OTHERS
        parts += [
            f"<text x='{LEFT - 8}' y='{y + 19}' text-anchor='end'>{escape(label)}</text>",
            f"<rect x='{LEFT}' y='{y + 5}' width='{max(1, end - LEFT):.1f}' height='{ROW - 10}' fill='{colour}'/>",
            f"<path d='M{across(found.low):.1f} {y + 15}H{across(found.high):.1f}' stroke='#222' stroke-width='2'/>",
            f"<text x='{max(end, across(found.high)) + 6:.1f}' y='{y + 19}'>{number_text(found.median)}</text>",
        ]
    return _drawing(title, height, parts)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], x_title: str) -> str:
    """One line for each name, through its points."""
    points = [point for each in series.values() for point in each]
    across = _Scale(*_decades(*[[x for x, _ in points]] * 2), LEFT, WIDTH - RIGHT)
    up = _Scale(*_decades(*[[y for _, y in points]] * 2), HEIGHT - FOOT, TOP)
    parts = [*_ticks(across, HEIGHT - FOOT), *_levels(up)]
    for (name, each), colour in zip(series.items(), COLOURS, strict=False):
        path = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in each)
        last = each[-1]
        parts += [
            f"<path d='M{path}' fill='none' stroke='{colour}' stroke-width='2'/>",
            *(f"<circle cx='{across(x):.1f}' cy='{up(y):.1f}' r='3' fill='{colour}'/>" for x, y in each),
            f"<text x='{across(last[0]):.1f}' y='{up(last[1]) - 9:.1f}' text-anchor='end' fill='{colour}'>"
            f"{escape(name)}</text>",
        ]
    parts.append(
        f"<text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{HEIGHT - 4}' text-anchor='middle'>{escape(x_title)}</text>"
    )
    return _drawing(title, HEIGHT, parts)


def number_text(value: float) -> str:
    """With as many digits as it is worth."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}" if value < 1 else f"{value:.2f}".rstrip("0").rstrip(".")


class _Scale:
    """From a value to a place, by its logarithm."""

    def __init__(self, low: int, high: int, start: float, end: float) -> None:
        self.decades = range(low, high + 1)
        self._low, self._high, self._start, self._end = low, high, start, end

    def __call__(self, value: float) -> float:
        part = (log10(max(value, 10.0**self._low)) - self._low) / (self._high - self._low)
        return self._start + part * (self._end - self._start)


def _decades(low: Sequence[float], high: Sequence[float]) -> tuple[int, int]:
    first = floor(log10(max(min(low), 1e-3)))
    return first, max(first + 1, ceil(log10(max(high))))


def _ticks(scale: _Scale, bottom: float) -> list[str]:
    return [
        part
        for decade in scale.decades
        for part in (
            f"<path d='M{scale(10.0**decade):.1f} {TOP}V{bottom}' stroke='#ddd'/>",
            f"<text x='{scale(10.0**decade):.1f}' y='{bottom + 17}' text-anchor='middle'>{10.0**decade:,g}</text>",
        )
    ]


def _levels(scale: _Scale) -> list[str]:
    return [
        part
        for decade in scale.decades
        for part in (
            f"<path d='M{LEFT} {scale(10.0**decade):.1f}H{WIDTH - RIGHT}' stroke='#ddd'/>",
            f"<text x='{LEFT - 8}' y='{scale(10.0**decade) + 4:.1f}' text-anchor='end'>{10.0**decade:,g}</text>",
        )
    ]


def _drawing(title: str, height: float, parts: Sequence[str]) -> str:
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' {STYLE}>"
    ground = f"<rect width='{WIDTH}' height='{height}' fill='#fff'/>"
    named = f"<text x='16' y='26' font-size='15' font-weight='bold'>{escape(title)}</text>"
    return "\n".join([head, ground, named, *parts, "</svg>", ""])
