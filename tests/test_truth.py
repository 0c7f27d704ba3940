"""Bars of recorded markets are what other hands made of them; the quick part of `benchmarks/truth.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import truth
from benchmarks._table import DATA
from benchmarks._truth_captures import capture_rows
from benchmarks._truth_sessions import session_rows
from benchmarks._truth_ticks import Ask, binance_feathers, binance_trades, cme, coinbase, comex, equities

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded data is not beside the repository")


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    pytest.importorskip("duckdb", reason="the extra `data` is not installed")
    return Ask(DATA, tmp_path)


def test_the_nine_trade_tape_is_right() -> None:
    assert [(row.bar, row.found, row.ok) for row in truth.tape()] == [
        ("minute 0", "o100 h101 l100 c101 v2 PARTIAL", True),
        ("minute 1", "o102 h103 l90 c103 v3 OK corrected 1, closed first with l102 v2", True),
        ("minute 2", "o104 h104 l104 c104 v1 OK", True),
        ("minute 3", "o104 h104 l104 c104 v0 QUIET", True),
        ("minute 4", "o104 h104 l104 c104 v0 QUIET", True),
        ("minute 5", "o105 h105 l105 c105 v1 OK", True),
        ("until next day", "1439 of 1439 QUIET at 105", True),
        ("next day", "o106 h106 l106 c106 v1 OK", True),
        ("the repeated trade", "1 counted", True),
    ]


def test_without_data_only_the_tape_is_played(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    found = truth.look(absent)
    assert (found.ticks, found.captures, found.sessions, found.failures) == ([], [], [], [])
    assert found.skipped == f"no recorded market data at {absent}: only the tape was played"


@needs_data
def test_gold_bars_are_the_vendors_but_for_the_last_volume_of_a_day(ask: Ask) -> None:
    assert [(r.bars, r.ohlc, r.ohlcv, r.lacking, r.extra, r.refused, r.quiet) for r in comex(ask)] == [
        (1314, 1314, 1313, 0, 0, 0, 126),
        (1377, 1377, 1376, 0, 0, 0, 63),
        (55, 55, 54, 0, 0, 0, 1021),
    ]


@needs_data
def test_only_eligible_trades_move_a_stocks_prices(ask: Ask) -> None:
    assert [(r.bars, r.ohlc, r.ohlcv, r.lacking, r.extra, r.refused) for r in equities(ask, quick=True)] == [
        (453, 451, 450, 0, 0, 0),
        (5123, 5123, None, 0, 0, 0),
    ]


@needs_data
def test_trades_are_bucketed_by_the_venues_clock_although_ours_is_behind(ask: Ask) -> None:
    row = binance_trades(ask)
    assert (row.bars, row.ohlc, row.ohlcv, row.quiet, row.refused) == (7, 7, 7, 0, 0)
    assert row.why.startswith("23:57 is PARTIAL (begins within it), 00:05 still forms at the end")


@needs_data
def test_longer_bars_are_the_same_from_trades_and_from_shorter_bars(ask: Ask) -> None:
    rows = [*binance_feathers(ask), cme(ask), coinbase(ask)]
    assert [(r.source, r.bars, r.ohlc, r.ohlcv, r.quiet, r.ok) for r in rows] == [
        ("Binance XRPETH 1m", 2469, 2469, 2469, 1091, True),
        ("Binance XRPETH 5m", 706, 706, 706, 6, True),
        ("Binance XRPETH 5m of 1m", 706, 706, 706, 6, True),
        ("CME ESU4 1m", 4, 4, 4, 0, True),
        ("Coinbase BTC-USD 1m of 1s", 2819, 2819, 2819, 61, True),
    ]


@needs_data
def test_captured_candles_close_once_with_the_venues_values_with_and_without_its_flag() -> None:
    rows = capture_rows(DATA)
    assert [(r.capture, r.ended, r.hidden_equal, r.declared, r.shown_equal, r.twice, r.corrected) for r in rows] == [
        ("binance_um_20210722", 4, 4, 4, 4, 0, 1),
        ("binance_us_20211012", 1, 1, 1, 1, 0, 0),
        ("bybit_20260809", 6, 6, 6, 6, 0, 0),
        ("okcoin_20230527", 4, 4, 4, 4, 0, 0),
        ("binance_1s_and_1m_20240928", 26, 26, 26, 26, 0, 0),
        ("kucoin_20210425", 2, 2, 0, 0, 0, 0),
        ("bitget_20220407", 10_000, 10_000, 0, 0, 0, 0),
        ("bitfinex_interleaved_20180503", 2, 2, 0, 0, 0, 0),
    ]


@needs_data
def test_sessions_labels_and_holes_are_as_the_readme_of_the_data_says(tmp_path: Path) -> None:
    pytest.importorskip("duckdb", reason="the extra `data` is not installed")
    pytest.importorskip("exchange_calendars", reason="the extra `calendars` is not installed")
    rows = session_rows(DATA, tmp_path, quick=True)
    assert len(rows) == 39
    assert [(row.source, row.what, row.found, row.expected) for row in rows if not row.ok] == []
