"""`report.html`: one run on one page that opens offline, without a script, on any screen and on paper. Floor 4.

Made from what a run directory holds: `result.json` and `ledger.sqlite`, of this version of barbot or another.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from decimal import Decimal, InvalidOperation
from html import escape
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from barbot.errors import ConfigError
from barbot.model.market import Side
from barbot.report import chart, stats
from barbot.report.result import Moment, RunResult, read_result
from barbot.report.style import CSS
from barbot.timing.clock import iso

SHOWN_TRADES: Final = 500
"""Round trips shown from the start, and as many from the end; all of them are in the ledger."""
_TRADE_COLUMNS: Final = (
    "ts_entry",
    "ts_exit",
    "instrument",
    "side",
    "quantity",
    "entry_price",
    "exit_price",
    "fees",
    "profit",
    "currency",
)
"""The order in which columns of the ledger's `trades` are shown; others follow as they stand."""
_DASH: Final = "&ndash;"
_QUALITY_STYLES: Final = {name: f"q-{name.lower()}" for name in ("OK", "QUIET", "PARTIAL", "REFILLED", "GAP")}
_ORDER_STYLES: Final = {"REFUSED": "q-bad", "REJECTED": "q-bad", "CANCELED": "q-quiet", "EXPIRED": "q-quiet"}

Cell: TypeAlias = str | int | float | None
Times: TypeAlias = npt.NDArray[np.int64]
Values: TypeAlias = npt.NDArray[np.float64]


class TradeRows(msgspec.Struct, frozen=True):
    """The table of round trips as it stands in the ledger: its columns, its first rows and its last."""

    columns: tuple[str, ...] = ()
    first: tuple[tuple[Cell, ...], ...] = ()
    last: tuple[tuple[Cell, ...], ...] = ()
    total: int = 0


class Page(msgspec.Struct, frozen=True):
    """Everything that a report shows."""

    result: RunResult
    ts: Times
    equity: Values
    trades: TradeRows


def write_report(run_dir: Path) -> Path:
    """Make `report.html` of a run directory anew and return its path.

    Raises:
        ConfigError: the directory holds no finished run, or its files cannot be read.
    """
    path = run_dir / "report.html"
    path.write_text(render(read_page(run_dir)), encoding="utf-8", newline="\n")
    return path


def read_page(run_dir: Path) -> Page:
    """Read what the report needs of a run directory.

    Raises:
        ConfigError: the directory holds no finished run, or its files cannot be read.
    """
    result, ledger_file = read_result(run_dir), run_dir / "ledger.sqlite"
    if not ledger_file.is_file():
        raise ConfigError(
            f"there is no {ledger_file.name}",
            where=str(run_dir),
            remedy="Name a directory that `barbot run` made and finished",
        )
    try:
        with closing(sqlite3.connect(f"{ledger_file.resolve().as_uri()}?mode=ro", uri=True)) as ledger:
            ts, equity = _read_equity(ledger, result.currency)
            return Page(result, ts, equity, _read_trades(ledger))
    except sqlite3.Error as error:
        raise ConfigError(f"is no ledger of a run: {error}", where=str(ledger_file)) from None


def render(page: Page) -> str:
    """Return the whole page as HTML."""
    result = page.result
    title = escape(f"{result.strategy} {result.run_id}".strip())
    body = "\n".join(part for part in _parts(page) if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{CSS}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def _read_equity(ledger: sqlite3.Connection, currency: str) -> tuple[Times, Values]:
    rows = ledger.execute(
        "SELECT ts, CAST(equity AS REAL) FROM equity WHERE currency = ? ORDER BY ts, rowid", (currency,)
    )
    curve = np.fromiter(rows, dtype=[("ts", np.int64), ("equity", np.float64)])
    return np.ascontiguousarray(curve["ts"]), np.ascontiguousarray(curve["equity"])


def _read_trades(ledger: sqlite3.Connection) -> TradeRows:
    total = int(ledger.execute("SELECT count(*) FROM trades").fetchone()[0])
    found = [str(row[1]) for row in ledger.execute("PRAGMA table_info(trades)")]
    columns: list[str] = [name for name in _TRADE_COLUMNS if name in found]
    columns += [name for name in found if name not in columns]
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    query = f"SELECT {names} FROM trades ORDER BY rowid LIMIT ? OFFSET ?"
    first = ledger.execute(query, (SHOWN_TRADES, 0)).fetchall()
    last = ledger.execute(query, (-1, max(total - SHOWN_TRADES, len(first)))).fetchall()
    return TradeRows(tuple(columns), tuple(first), tuple(last), total)


def _parts(page: Page) -> Iterator[str]:
    result = page.result
    yield _header(result)
    yield _notes(result)
    yield _figures(page)
    yield _curves(page)
    yield _pair(
        ("Bars by quality", chart.meters(result.bars.by_quality, empty="No bar closed.", styles=_QUALITY_STYLES)),
        ("Bars by what closed them", chart.meters(result.bars.by_reason, empty="No bar closed.")),
    )
    yield _pair(
        ("Orders", chart.meters(result.orders.by_status, empty="No orders.", styles=_ORDER_STYLES)),
        (
            "Orders refused by the risk gate",
            chart.meters(result.orders.refused_by_rule, empty="None were refused."),
        ),
    )
    yield _pair(
        ("Feed", _feed_lines(result) + _facts(_feed_facts(result))),
        (
            "Market data refused",
            chart.meters(result.refusals.by_reason, empty="None was refused: every row and message made sense."),
        ),
    )
    yield _trades(page.trades)
    yield _card("This run", _facts(_run_facts(result)))
    yield (
        "<footer><p>Times are UTC. Sharpe: daily returns of the equity curve, annualised, risk-free rate 0. "
        "Exposure: the fraction of time with a position. Paper fills are assumptions, not promises.</p></footer>"
    )


def _header(result: RunResult) -> str:
    feeds = ", ".join(escape(feed.feed) for feed in result.feeds)
    params = "".join(
        f'<code class="tag">{escape(name)} = {escape(str(value))}</code>' for name, value in result.params.items()
    )
    return (
        f'<header><h1>{escape(result.strategy)}</h1><p class="lead">{feeds}</p>'
        f'<p class="lead">{_moment(result.ts_from)} to {_moment(result.ts_to)} UTC</p>'
        f'<p class="tags">{params}</p>'
        f'<p class="lead">Digest <code>{escape(result.digest)}</code></p></header>'
    )


def _notes(result: RunResult) -> str:
    notes = list(result.warnings)
    if result.interrupted:
        notes.insert(0, "The run was interrupted; these are its figures up to then.")
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<section class="card note"><ul>{items}</ul></section>'


def _figures(page: Page) -> str:
    result = page.result
    fees = "<br>".join(f"{_money(fee)}<small>{escape(currency)}</small>" for currency, fee in result.fees.items())
    tiles = [
        ("Return", _signed(result.total_return, _percent(result.total_return, sign=True)), ""),
        ("Final equity", _money(result.final_equity), f"{escape(result.currency)}, from {_money(result.start_equity)}"),
        ("Max drawdown", _percent(result.max_drawdown), _drawdown_time(page)),
        ("Sharpe", _ratio(result.sharpe), "" if result.sharpe is not None else "needs two days"),
        ("Exposure", _percent(result.exposure), "of the time"),
        ("Fees", fees or "0", ""),
        ("Trades", f"{result.trades:,}", "round trips"),
        ("Win rate", _percent(result.win_rate), ""),
        ("Profit factor", _ratio(result.profit_factor), "won over lost"),
        ("Fills", f"{result.fills:,}", f"of {result.orders.total:,} orders"),
        ("Bars closed", f"{result.bars.closed:,}", f"{result.corrections:,} corrected"),
        ("Speed", f"{result.bars_per_second:,.0f}", f"bars/s, {result.seconds:,.1f} s"),
    ]
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{value}{f'<small>{note}</small>' if note else ''}</dd></div>"
        for name, value, note in tiles
    )
    return f'<section class="card"><dl class="figures">{cells}</dl></section>'


def _drawdown_time(page: Page) -> str:
    fall = stats.max_drawdown(page.ts, page.equity)
    return f"{_moment(fall.ts_from)} to {_moment(fall.ts_to)}" if fall and fall.fraction else ""


def _curves(page: Page) -> str:
    if not len(page.ts):
        return _card("Equity", '<p class="none">The ledger holds no equity curve.</p>')
    ts, equity = chart.thin_out(page.ts, page.equity)
    fall_ts, fall = chart.thin_out(page.ts, -stats.drawdowns(page.equity))
    start = float(page.equity[0])
    above = chart.line_chart(ts, equity, label="Equity over time", style="equity", base=start)
    below = chart.line_chart(
        fall_ts, fall, label="Drawdown over time", style="fall", base=0.0, percent=True, dates=False
    )
    if not above:
        return _card("Equity", '<p class="none">The equity curve has one point only.</p>')
    return _card(f"Equity, {escape(page.result.currency)}", f"{above}<h3>Drawdown</h3>{below}")


def _feed_lines(result: RunResult) -> str:
    return "".join(
        f"<p>{escape(feed.feed)}: {feed.closed:,} bars closed</p>"
        f'<p class="lead gapped">{_moment(feed.first)} to {_moment(feed.last)}</p>'
        for feed in result.feeds
    )


def _feed_facts(result: RunResult) -> Iterator[tuple[str, str]]:
    yield "Corrections", f"{result.corrections:,}"
    yield "Duplicates", f"{result.duplicates:,}"
    yield "Gaps", f"{result.gaps:,}"
    yield "Refused", f"{result.refusals.total:,}"


def _run_facts(result: RunResult) -> Iterator[tuple[str, str]]:
    yield "Strategy file", escape(result.strategy_file) or _DASH
    yield "Run", f"<code>{escape(result.run_id)}</code>"
    yield "Recorded feed", escape(result.source)
    yield "barbot", escape(result.version)


def _trades(trades: TradeRows) -> str:
    if not trades.total:
        return _card("Trades", '<p class="none">No round trip was completed.</p>')
    head = "".join(
        f'<th{_align(trades.columns, trades.first, index)} scope="col">{escape(_heading(column))}</th>'
        for index, column in enumerate(trades.columns)
    )
    left_out = trades.total - len(trades.first) - len(trades.last)
    middle = (
        f'<tr class="skipped"><td colspan="{len(trades.columns)}">{left_out:,} more in ledger.sqlite</td></tr>'
        if left_out
        else ""
    )
    rows = "".join(_row(trades, row) for row in trades.first) + middle
    rows += "".join(_row(trades, row) for row in trades.last)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return _card(f"Trades, {trades.total:,}", f'<div class="scroll">{table}</div>', style="card long")


def _row(trades: TradeRows, row: tuple[Cell, ...]) -> str:
    cells = (
        f"<td{_align(trades.columns, trades.first, index)}>{_cell(column, row[index])}</td>"
        for index, column in enumerate(trades.columns)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _cell(column: str, value: Cell) -> str:
    if value is None:
        return _DASH
    if column.startswith("ts_"):
        return _moment(int(value))
    number = _decimal(value)
    if number is None:
        return escape(str(value))
    if column == "side":
        return Side(int(number)).name
    if column == "profit":
        return _signed(number, _money(number))
    return f"{round(number, 8).normalize():,f}"


def _heading(column: str) -> str:
    return column.removeprefix("ts_").replace("_", " ").capitalize()


def _align(columns: tuple[str, ...], rows: tuple[tuple[Cell, ...], ...], index: int) -> str:
    is_number = not columns[index].startswith("ts_") and _decimal(rows[0][index]) is not None
    return ' class="number"' if is_number else ""


def _card(title: str, content: str, *, style: str = "card") -> str:
    return f'<section class="{style}"><h2>{title}</h2>{content}</section>'


def _pair(left: tuple[str, str], right: tuple[str, str]) -> str:
    return f'<div class="columns">{_card(*left)}{_card(*right)}</div>'


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return f'<dl class="facts">{"".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)}</dl>'


def _moment(ts: Moment) -> str:
    """Print a time to the second, as people write it."""
    if ts is None:
        return _DASH
    return escape((iso(ts) if isinstance(ts, int) else ts)[:19].replace("T", " "))


def _decimal(value: Cell | Decimal) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _money(value: Decimal | None) -> str:
    """Print an amount: two decimals, or up to eight where it is small."""
    number = _decimal(value) if value is not None else None
    if number is None:
        return _DASH
    if abs(number) >= 100:
        return f"{number:,.2f}"
    text = f"{number:,.8f}".rstrip("0")
    return text + "0" * max(0, 2 - len(text.partition(".")[2]))


def _percent(fraction: float | None, *, sign: bool = False) -> str:
    return _DASH if fraction is None else f"{fraction * 100:{'+' if sign else ''},.2f}&thinsp;%"


def _ratio(value: float | None) -> str:
    return _DASH if value is None else f"{value:,.2f}"


def _signed(value: float | Decimal | None, text: str) -> str:
    if not value:
        return text
    return f'<span class="{"gain" if value > 0 else "loss"}">{text}</span>'
