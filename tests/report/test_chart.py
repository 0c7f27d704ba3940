"""Charts keep the shape of what they draw, label it in round numbers and carry no markup of others."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.report import chart

MINUTE = 60_000_000_000


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=300), st.integers(4, 60))
def test_a_thinned_curve_keeps_its_ends_its_extremes_and_its_order(numbers: list[int], limit: int) -> None:
    ts = np.arange(len(numbers), dtype=np.int64)
    values = np.array(numbers, dtype=np.float64)
    thin_ts, thin = chart.thin_out(ts, values, limit)
    assert len(thin_ts) <= max(limit, 2)
    assert thin.tolist() == values[thin_ts].tolist()
    assert sorted(set(thin_ts.tolist())) == thin_ts.tolist()
    assert (thin_ts[0], thin_ts[-1]) == (ts[0], ts[-1])
    assert (thin.min(), thin.max()) == (values.min(), values.max())


def test_a_million_points_become_at_most_two_thousand() -> None:
    ts = np.arange(1_000_000, dtype=np.int64)
    thin_ts, _ = chart.thin_out(ts, np.sin(ts / 1000))
    assert 1000 < len(thin_ts) <= chart.MAX_POINTS


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0.0, 10.0, 5, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
        (9_900.0, 13_800.0, 4, [10_000.0, 11_000.0, 12_000.0, 13_000.0]),
        (-0.03, 0.0, 3, [-0.03, -0.02, -0.01, 0.0]),
        (7.0, 7.0, 5, [7.0]),
    ],
)
def test_marks_are_round_and_inside(low: float, high: float, count: int, expected: list[float]) -> None:
    assert chart.ticks(low, high, count) == pytest.approx(expected)


def line(numbers: list[float], *, percent: bool = False) -> str:
    ts = np.arange(len(numbers), dtype=np.int64) * MINUTE
    return chart.line_chart(ts, np.array(numbers), label="Equity <&>", style="equity", base=0.0, percent=percent)


def test_a_curve_is_drawn_from_edge_to_edge_and_labelled() -> None:
    drawn = line([0.0, 5.0, 10.0])
    root = ElementTree.fromstring(drawn)
    svg = root.find(".//svg")
    path = root.find(".//path[@class='line']")
    assert svg is not None
    assert path is not None
    assert svg.get("aria-label") == "Equity <&>"
    assert path.get("d") == "M0.0 96.30L500.0 50.00L1000.0 3.70"
    assert re.findall(r'class="y"[^>]*>([^<]*)<', drawn) == ["0", "2", "4", "6", "8", "10"]
    assert re.findall(r'class="x x\d"[^>]*>([^<]*)<', drawn) == [
        "00:00:00",
        "00:00:30",
        "00:01:00",
        "00:01:30",
        "00:02:00",
    ]


def test_fractions_are_labelled_as_percent() -> None:
    drawn = line([0.0, -0.025, -0.01], percent=True)
    assert re.findall(r'class="y"[^>]*>([^<]*)<', drawn) == [
        "-2&thinsp;%",
        "-1&thinsp;%",
        "0&thinsp;%",
    ]


@pytest.mark.parametrize("numbers", [[], [1.0]])
def test_fewer_than_two_points_are_no_chart(numbers: list[float]) -> None:
    assert line(numbers) == ""


def test_a_flat_curve_is_a_chart_too() -> None:
    assert 'class="line" d="M0.0 50.00L500.0 50.00L1000.0 50.00"' in line([0.0, 0.0, 0.0])


def test_meters_leave_zero_out_and_keep_the_order() -> None:
    drawn = chart.meters({"OK": 3, "QUIET": 0, "<b>": 1}, empty="none", styles={"OK": "q-ok"})
    rows = ElementTree.fromstring(drawn.replace("&thinsp;", " ")).findall("li")
    assert [(row.get("class"), ["".join(cell.itertext()) for cell in row][:3]) for row in rows] == [
        ("q-ok", ["OK", "3", "75.0 %"]),
        ("", ["<b>", "1", "25.0 %"]),
    ]


def test_no_counts_are_a_sentence() -> None:
    assert chart.meters({"OK": 0}, empty="No bar < 1 closed.") == '<p class="none">No bar &lt; 1 closed.</p>'
