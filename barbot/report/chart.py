"""Small charts as inline SVG and plain HTML, for a page that needs no network and no script. Floor 4.

Lines stretch with the page (`preserveAspectRatio="none"`, strokes that do not scale); labels are HTML laid
over them in percent, so that text keeps its size on a phone. Colours are classes that the page's style gives.
"""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from barbot.timing.interval import DAY, SECOND

MAX_POINTS: Final = 2000
"""Most points of a drawn line: about two a pixel on a wide page."""
_WIDTH: Final = 1000
_HEIGHT: Final = 100
_STEPS: Final = (1.0, 2.0, 5.0, 10.0)

Times: TypeAlias = npt.NDArray[np.int64]
Values: TypeAlias = npt.NDArray[np.float64]


def thin_out(ts: Times, values: Values, limit: int = MAX_POINTS) -> tuple[Times, Values]:
    """Return at most `limit` of the points: the first, the last, and of each stretch its lowest and highest.

    Every peak and trough of the curve stays, which taking each n-th point would not promise. Points keep
    their order. A curve of up to `limit` points is returned as it is.
    """
    if len(ts) <= limit:
        return ts, values
    edges = np.linspace(0, len(ts), (limit - 2) // 2 + 1).astype(np.int64)
    keep = {0, len(ts) - 1}
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[start:end]
        keep.update((start + int(part.argmin()), start + int(part.argmax())))
    chosen = np.array(sorted(keep))
    return ts[chosen], values[chosen]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers within `[low, high]`; `[low]` where there is nothing between."""
    if high <= low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in _STEPS if power * nice >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def line_chart(
    ts: Times,
    values: Values,
    *,
    label: str,
    style: str,
    base: float,
    percent: bool = False,
    dates: bool = True,
) -> str:
    """Return a chart of one curve over time as HTML; "" for fewer than two points.

    `label` describes it to those who cannot see it; `style` is the class of its line and of the area
    between the line and `base`. `percent` labels fractions as percent; `dates` puts dates under it.
    """
    if len(ts) < 2 or ts[-1] <= ts[0]:
        return ""
    low, high = min(float(values.min()), base), max(float(values.max()), base)
    margin = (high - low) * 0.04 or abs(high) * 0.01 or 1.0
    low, high = (low - margin, high + margin) if not percent else (low - margin, high)
    x = (ts - ts[0]) / (ts[-1] - ts[0]) * _WIDTH
    y = (high - values) / (high - low) * _HEIGHT
    zero = (high - base) / (high - low) * _HEIGHT
    thin_x, thin_y = _path_points(x, y)
    path = "L".join(f"{a:.1f} {b:.2f}" for a, b in zip(thin_x, thin_y, strict=True))
    marks = [(mark, (high - mark) / (high - low) * _HEIGHT) for mark in ticks(low, high, 4 if percent else 6)]
    lines = "".join(f'<path class="grid" d="M0 {at:.2f}H{_WIDTH}"/>' for _, at in marks)
    labels = "".join(f'<span class="y" style="top:{at:.2f}%">{_mark(m, marks, percent)}</span>' for m, at in marks)
    return (
        f'<div class="chart {style}"><div class="plot">'
        f'<svg role="img" aria-label="{html.escape(label)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'preserveAspectRatio="none">{lines}<path class="base" d="M0 {zero:.2f}H{_WIDTH}"/>'
        f'<path class="area" d="M0 {zero:.2f}L{path}L{_WIDTH} {zero:.2f}Z"/>'
        f'<path class="line" d="M{path}"/></svg>{labels}</div>{_dates(ts) if dates else ""}</div>'
    )


def meters(counts: Mapping[str, int], *, empty: str, styles: Mapping[str, str] | None = None) -> str:
    """Return a row for each count with its share as a bar, as HTML; the sentence `empty` where there is none.

    Rows keep the order of `counts`; those of 0 are left out. `styles` gives rows a class of their own.
    """
    shown = {name: count for name, count in counts.items() if count}
    if not shown:
        return f'<p class="none">{html.escape(empty)}</p>'
    total = sum(shown.values())
    rows = (
        f'<li class="{(styles or {}).get(name, "")}"><span>{html.escape(name)}</span>'
        f"<b>{count:,}</b><i>{_share(count, total)}</i>"
        f'<span class="track"><span style="width:{count / total * 100:.2f}%"></span></span></li>'
        for name, count in shown.items()
    )
    return f'<ul class="meters">{"".join(rows)}</ul>'


def _path_points(x: Values, y: Values) -> tuple[list[float], list[float]]:
    """Return drawn points, without those that lie on the same spot as the one before."""
    moved = np.ones(len(x), dtype=bool)
    moved[1:-1] = (np.abs(np.diff(x)) >= 0.05)[:-1] | (np.abs(np.diff(y)) >= 0.005)[:-1]
    return x[moved].tolist(), y[moved].tolist()


def _share(count: int, total: int) -> str:
    share = count / total * 100
    return f"{share:.1f}&thinsp;%" if share >= 0.1 else "&lt;&thinsp;0.1&thinsp;%"


def _mark(mark: float, marks: Iterable[tuple[float, float]], percent: bool) -> str:
    """Print an axis mark with just the decimals that tell it from its neighbours."""
    scale = 100 if percent else 1
    numbers = [other * scale for other, _ in marks]
    step = min((abs(b - a) for a, b in itertools.pairwise(numbers)), default=1.0)
    decimals = max(0, min(8, math.ceil(-math.log10(step) - 1e-9))) if step else 2
    if percent:
        return f"{mark * scale:.{decimals}f}&thinsp;%"
    return f"{mark:,.{decimals}f}"


def _dates(ts: Times) -> str:
    """Return five evenly spaced times under the plot, as fine as its span needs."""
    first, span = int(ts[0]), int(ts[-1] - ts[0])
    form = "%H:%M:%S" if span < DAY // 24 else "%m-%d %H:%M" if span < 4 * DAY else "%Y-%m-%d"
    parts = []
    for number in range(5):
        moment = datetime.fromtimestamp((first + span * number // 4) // SECOND, UTC)
        parts.append(f'<span class="x x{number}" style="left:{number * 25}%">{moment.strftime(form)}</span>')
    return f'<div class="dates">{"".join(parts)}</div>'
