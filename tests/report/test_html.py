"""The report of a run directory: what it shows, that it is safe and self-contained, and what it refuses."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest

from barbot.errors import ConfigError
from barbot.report.html import write_report

MINUTE = 60_000_000_000
START = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
RESULT: Mapping[str, object] = {
    "run_id": "20260101T000000Z-SmaCross",
    "strategy": "SmaCross",
    "strategy_file": "strategies/sma_cross.py",
    "params": {"fast": 10, "name": "<script>alert(1)</script>"},
    "version": "0.1.0",
    "digest": "abc123",
    "feeds": [{"feed": "kucoin:BTC-USDT@1m", "closed": 3, "first": START, "last": START + 2 * MINUTE}],
    "ts_from": START,
    "ts_to": START + 3 * MINUTE,
    "bars": {"closed": 3, "by_quality": {"OK": 2, "GAP": 1}, "by_reason": {"DECLARED": 3}},
    "corrections": 7,
    "refusals": {"total": 4, "by_reason": {"high below low": 4}},
    "gaps": 5,
    "orders": {"total": 6, "by_status": {"FILLED": 4, "REFUSED": 2}, "refused_by_rule": {"quality": 2}},
    "fills": 4,
    "fees": {"USDT": "1.5"},
    "currency": "USDT",
    "start_equity": "10000",
    "final_equity": "9000.5",
    "return": -0.125,
    "max_drawdown": 0.2,
    "sharpe": None,
    "win_rate": 0.5,
    "profit_factor": None,
    "exposure": 0.25,
    "trades": 2,
    "seconds": 0.5,
    "bars_per_second": 6.0,
    "warnings": ["slow hook & co"],
    "a key of a later version": {"is": "left alone"},
}
VOID = {"meta", "br"}


class Outline(HTMLParser):
    """Checks that tags are closed in order and keeps the text without the style."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def make_run(folder: Path, *, trades: int = 2, points: int = 4, result: Mapping[str, object] = RESULT) -> Path:
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
        ledger.execute("CREATE TABLE equity (ts INTEGER, currency TEXT, equity TEXT)")
        ledger.execute(
            "CREATE TABLE trades (instrument TEXT, side TEXT, quantity TEXT, entry_price TEXT, exit_price TEXT,"
            " ts_entry INTEGER, ts_exit INTEGER, fees TEXT, profit TEXT, note TEXT)"
        )
        curve = [10_000.0, 10_500.0, 8_400.0, 9_000.5]
        ledger.executemany(
            "INSERT INTO equity VALUES (?, ?, ?)",
            [(START + n * MINUTE, "USDT", str(curve[n % 4])) for n in range(points)] + [(START, "BTC", "77")],
        )
        ledger.executemany(
            "INSERT INTO trades VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                ("kucoin:BTC-USDT", "BUY", "0.0100", "100.5", "14.285714285714285714", START + n * MINUTE,
                 START + (n + 1) * MINUTE, "0.1", f"{10 - n}.25", None)
                for n in range(trades)
            ],
        )  # fmt: skip
        ledger.commit()
    return folder


def outline(run_dir: Path) -> Outline:
    page = Outline()
    page.feed(write_report(run_dir).read_text("utf-8"))
    page.close()
    assert page.open == []
    return page


@pytest.mark.parametrize(
    "shown",
    [
        "SmaCross kucoin:BTC-USDT@1m 2026-01-01 00:00:00 to 2026-01-01 00:03:00 UTC fast = 10",
        "Digest abc123",
        "slow hook & co",
        "Return -12.50 %",
        "Final equity 9,000.50 USDT, from 10,000.00",
        "Max drawdown 20.00 % 2026-01-01 00:01:00 to 2026-01-01 00:02:00",
        "Sharpe \u2013 needs two days",
        "Fees 1.50 USDT",
        "Fills 4 of 6 orders",
        "OK 2 66.7 % GAP 1 33.3 %",
        "DECLARED 3 100.0 %",
        "FILLED 4 66.7 % REFUSED 2 33.3 %",
        "Orders refused by the risk gate quality 2 100.0 %",
        "kucoin:BTC-USDT@1m: 3 bars closed 2026-01-01 00:00:00 to 2026-01-01 00:02:00",
        "Corrections 7 Duplicates 0 Gaps 5 Refused 4",
        "high below low 4 100.0 %",
        "Entry Exit Instrument Side Quantity Entry price Exit price Fees Profit Note",
        "2026-01-01 00:00:00 2026-01-01 00:01:00 kucoin:BTC-USDT BUY 0.01 100.5 14.28571429 0.1 10.25 \u2013",
        "Strategy file strategies/sma_cross.py",
    ],
)
def test_the_report_shows(tmp_path: Path, shown: str) -> None:
    assert shown in outline(make_run(tmp_path)).text


def test_the_report_stands_alone(tmp_path: Path) -> None:
    page = outline(make_run(tmp_path))
    text = (tmp_path / "report.html").read_text("utf-8")
    assert (page.addresses, page.tags & {"script", "link", "img", "iframe"}) == ([], set())
    assert re.findall(r"https?://|@import|url\(", text) == []


def test_what_users_named_is_shown_and_not_run(tmp_path: Path) -> None:
    assert "name = <script>alert(1)</script>" in outline(make_run(tmp_path)).text


def test_of_many_trades_the_first_and_the_last_are_shown(tmp_path: Path) -> None:
    text = outline(make_run(tmp_path, trades=1203)).text
    assert text.count("kucoin:BTC-USDT BUY") == 1000
    assert "203 more in ledger.sqlite" in text


@pytest.mark.parametrize(("trades", "said"), [(0, False), (500, False), (501, False), (1000, False), (1001, True)])
def test_no_trade_is_left_out_unless_it_is_said(tmp_path: Path, trades: int, said: bool) -> None:
    text = outline(make_run(tmp_path, trades=trades)).text
    assert (text.count("kucoin:BTC-USDT BUY"), "1 more in ledger.sqlite" in text) == (min(trades, 1000), said)


@pytest.mark.parametrize(
    ("points", "said"),
    [(0, "The ledger holds no equity curve."), (1, "The equity curve has one point only.")],
)
def test_a_run_without_a_curve_has_a_report(tmp_path: Path, points: int, said: str) -> None:
    text = outline(make_run(tmp_path, trades=0, points=points)).text
    assert (said in text, "No round trip was completed." in text) == (True, True)


def test_a_run_that_did_nothing_has_a_report(tmp_path: Path) -> None:
    text = outline(make_run(tmp_path, trades=0, points=0, result={"strategy": "Idle", "interrupted": True})).text
    assert "The run was interrupted; these are its figures up to then." in text
    assert "No bar closed. Bars by what closed them No bar closed. Orders No orders." in text


def test_times_may_be_written_as_text(tmp_path: Path) -> None:
    times = {"ts_from": "2026-01-01T00:00:00Z", "ts_to": "2026-01-01T00:03:00Z"}
    assert (
        "2026-01-01 00:00:00 to 2026-01-01 00:03:00 UTC" in outline(make_run(tmp_path, result={**RESULT, **times})).text
    )


def test_a_second_report_replaces_the_first(tmp_path: Path) -> None:
    first = write_report(make_run(tmp_path)).read_bytes()
    assert write_report(tmp_path).read_bytes() == first


@pytest.mark.parametrize("missing", ["result.json", "ledger.sqlite"])
def test_a_directory_of_no_finished_run_is_refused(tmp_path: Path, missing: str) -> None:
    (make_run(tmp_path) / missing).unlink()
    with pytest.raises(ConfigError) as caught:
        write_report(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: there is no {missing}. Name a directory that `barbot run` made and finished"
    )


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("result.json", b"{", "is no result of a run: Input data was truncated"),
        ("result.json", b'{"strategy": 1}', "is no result of a run: Expected `str`, got `int` - at `$.strategy`"),
        ("ledger.sqlite", b"not a database at all", "is no ledger of a run: file is not a database"),
        ("ledger.sqlite", b"", "is no ledger of a run: no such table: equity"),
    ],
)
def test_files_that_are_not_what_they_should_be_are_named(
    tmp_path: Path, file: str, content: bytes, problem: str
) -> None:
    (make_run(tmp_path) / file).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        write_report(tmp_path)
    assert str(caught.value) == f"{tmp_path / file}: {problem}"
