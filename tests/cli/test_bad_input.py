"""Whatever is wrong with what a user gives is said in one line, with the remedy and the right exit code."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
Write: TypeAlias = Callable[..., str]

HEADER = "time,open,high,low,close,volume\n"
FEEDS = Path(__file__).resolve().parents[2] / "examples" / "feeds"
TIMES = [f"2026-01-05T00:{minute:02d}:00Z" for minute in range(10)]
SOUND = "100,101,99,100,5"
QUANTITY_RULE = (
    "of kucoin:BTC-USDT is not above zero after rounding to lots of eight decimals; ask for at least one lot"
)


def told(said: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return said.returncode, said.stdout, said.stderr


def rows(*lines: str) -> str:
    return HEADER + "".join(f"{line}\n" for line in lines)


def sound(*minutes: int) -> list[str]:
    return [f"{TIMES[minute]},{SOUND}" for minute in minutes]


FILES: dict[str, tuple[str, str]] = {
    "empty": ("", "feed.csv: is empty. Give a file with a header line and at least one row"),
    "no rows": (HEADER, "feed.csv: has no rows. Give a file with at least one row"),
    "no close column": (
        "time,open,high,low,volume\n2026-01-05T00:00:00Z,1,2,1,5\n",
        "feed.csv: has no close column (its columns: time, open, high, low, volume). "
        "Name one of them close (close, c, closeprice)",
    ),
    "unsorted rows": (
        rows(*sound(0, 2, 1, 3)),
        "feed.csv: row 3 is earlier than the one before it (column 'time'). Sort it by time",
    ),
    "naive timestamp without a zone": (
        rows(f"2026-01-05 00:00:00,{SOUND}", f"2026-01-05 00:01:00,{SOUND}"),
        "feed.csv row 1 column 'time': the time '2026-01-05 00:00:00' names no zone. "
        "State the zone of the file's clock, for example --zone Asia/Hong_Kong, or --zone UTC",
    ),
    "no number": (
        rows(*sound(0), f"{TIMES[1]},100,101,99,lots,5", *sound(2)),
        "feed.csv row 2 column 'close': 'lots' is not a number. Correct the cell or leave out the row",
    ),
    "no CSV": (
        "hello\n",
        "feed.csv: has no open column (its columns: hello). Name one of them open (open, o, openprice)",
    ),
}


@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES.keys())
def test_a_bad_file_is_named_with_the_remedy(
    barbot: Run, strategy: Write, here: Path, content: str, message: str
) -> None:
    (here / "feed.csv").write_text(content, encoding="utf-8")
    said = barbot("run", strategy("pass"), "--feed", "feed.csv", "--json")
    assert told(said) == (2, "", f"Error: {message}\n")


def test_a_missing_file(barbot: Run, strategy: Write) -> None:
    said = barbot("run", strategy("pass"), "--feed", "missing.csv")
    assert told(said) == (2, "", "Error: missing.csv: does not exist. Check the path\n")


def test_a_missing_journal(barbot: Run, strategy: Write) -> None:
    said = barbot("run", strategy("pass"), "--feed", "missing.jsonl.zst")
    assert told(said) == (2, "", "Error: missing.jsonl.zst: no such file\n")


def test_a_directory(barbot: Run, strategy: Write, here: Path) -> None:
    (here / "data").mkdir()
    said = barbot("run", strategy("pass"), "--feed", "data")
    assert told(said) == (2, "", "Error: data: is a directory. Name its files: data/*.csv\n")


REFUSED: dict[str, tuple[list[str], dict[str, int], int, int]] = {
    "duplicate rows": (sound(0, 1, 1, 2), {}, 3, 1),
    "NaN": ([*sound(0), f"{TIMES[1]},100,101,99,nan,5", *sound(2)], {"not_finite": 1}, 2, 0),
    "high below low": ([*sound(0), f"{TIMES[1]},100,98,99,100,5", *sound(2)], {"high_too_low": 1}, 2, 0),
}


@pytest.mark.parametrize(("lines", "refused", "closed", "duplicates"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_row_is_counted_and_the_run_goes_on(
    barbot: Run, strategy: Write, here: Path, lines: list[str], refused: dict[str, int], closed: int, duplicates: int
) -> None:
    (here / "feed.csv").write_text(rows(*lines), encoding="utf-8")
    said = barbot("run", strategy("pass"), "--feed", "feed.csv", "--json")
    result = json.loads(said.stdout)
    found = (said.returncode, result["refusals"]["by_reason"], result["bars"]["closed"], result["duplicates"])
    assert found == (0, refused, closed, duplicates)


def test_a_journal_cut_short_is_played_as_far_as_it_is_whole(barbot: Run, strategy: Write, here: Path) -> None:
    whole = (FEEDS / "btc-usdt-1m.jsonl.zst").read_bytes()
    (here / "cut.jsonl.zst").write_bytes(whole[: len(whole) // 2])
    said = barbot("run", strategy("pass"), "--feed", "cut.jsonl.zst", "--json")
    [warning] = json.loads(said.stdout)["warnings"]
    start, end = "cut.jsonl.zst ends in the middle of zstd frame ", " whole records before it are good, no seal"
    assert (said.returncode, warning.startswith(start), warning.endswith(end)) == (0, True, True)


def test_a_journal_of_which_nothing_is_whole(barbot: Run, strategy: Write, here: Path) -> None:
    (here / "cut.jsonl.zst").write_bytes((FEEDS / "btc-usdt-1m.jsonl.zst").read_bytes()[:20_000])
    said = barbot("run", strategy("pass"), "--feed", "cut.jsonl.zst")
    place = "zstd frame 2 (records 1..4000)"
    message = f"cut.jsonl.zst: ends in the middle of {place}, 0 whole records before it are good, no seal"
    assert told(said) == (2, "", f"Error: {message}\n")


def test_a_journal_with_a_flipped_byte(barbot: Run, strategy: Write, here: Path) -> None:
    content = bytearray((FEEDS / "btc-usdt-1m.jsonl.zst").read_bytes())
    content[20_000] ^= 1
    (here / "flipped.jsonl.zst").write_bytes(content)
    said = barbot("run", strategy("pass"), "--feed", "flipped.jsonl.zst")
    assert told(said) == (2, "", "Error: flipped.jsonl.zst record 1: zstd frame 2 (records 1..4000) is damaged\n")


STRATEGY = "from barbot import Strategy\n\n\n"
STRATEGIES: dict[str, tuple[str, str]] = {
    "syntax error": ("class Mine(\n", "mine.py:1: syntax error: '(' was never closed. Mend the line"),
    "raises": (
        "x = 1\ny = x / 0\n",
        "mine.py:2: ZeroDivisionError while it was loaded: division by zero. "
        "Mend the line; a strategy file must load without data or network",
    ),
    "none": (
        "x = 1\n",
        "mine.py: it defines no subclass of barbot.Strategy. Write `class MyStrategy(Strategy):` in it",
    ),
    "two": (
        STRATEGY + "class A(Strategy):\n    pass\n\n\nclass B(Strategy):\n    pass\n",
        "mine.py: it defines several strategies: A, B. Name one with --strategy",
    ),
    "no feeds": (
        STRATEGY + "class Mine(Strategy):\n    pass\n",
        'Mine.feeds: it names no feeds. Write feeds = ["kucoin:BTC-USDT@1m"]',
    ),
    "async hook": (
        STRATEGY + "class Mine(Strategy):\n    async def on_bar_close(self, bar, history):\n        pass\n",
        "Mine.on_bar_close: hooks are plain functions, because the market must not move under one. "
        "Write `def` instead of `async def` and hand slow work to a thread or another process",
    ),
    "misspelt hook": (
        STRATEGY + "class Mine(Strategy):\n    def on_bar_clsoe(self, bar, history):\n        pass\n",
        "Mine: there is no hook called 'on_bar_clsoe'. Did you mean on_bar_close?",
    ),
}


@pytest.mark.parametrize(("source", "message"), STRATEGIES.values(), ids=STRATEGIES.keys())
def test_a_bad_strategy_file_is_named_with_the_remedy(
    barbot: Run, bars: Write, here: Path, source: str, message: str
) -> None:
    (here / "mine.py").write_text(source, encoding="utf-8")
    assert told(barbot("run", "mine.py", "--feed", bars(100, 101))) == (2, "", f"Error: {message}\n")


def test_a_missing_strategy_file(barbot: Run, bars: Write) -> None:
    message = "there is no such file. Name a strategy file, or make one: barbot init"
    assert told(barbot("run", "missing.py", "--feed", bars(100, 101))) == (2, "", f"Error: missing.py: {message}\n")


def test_a_strategy_that_is_a_directory(barbot: Run, bars: Write, here: Path) -> None:
    (here / "strategies").mkdir()
    message = "strategies: this is a directory. Name a strategy's Python file"
    assert told(barbot("run", "strategies", "--feed", bars(100, 101))) == (2, "", f"Error: {message}\n")


OPTIONS: dict[str, tuple[list[str], str]] = {
    "misspelt parameter": (["--param", "fsat=3"], "Mine: there is no parameter called 'fsat'. Did you mean fast?"),
    "parameter of the wrong type": (
        ["--param", "fast=soon"],
        "Mine: fast = 'soon': Input should be a valid integer, unable to parse string as an integer. "
        "Set --param fast=...",
    ),
    "parameter without a value": (["--param", "fast"], "--param: 'fast' sets nothing. Write --param name=value"),
    "parameter that is no JSON": (
        ["--param", "fast=[1,"],
        "--param fast: '[1,' is not JSON: Input data was truncated. Write it like [1, 2] or {\"a\": 1}",
    ),
    "label": (
        ["--label", "middle"],
        "--label: 'middle' will not do: input should be 'open' or 'close'. Correct it or leave it out",
    ),
    "cash": (
        ["--cash", "plenty"],
        "--cash: 'plenty' will not do: write an amount and its currency, such as \"10000 USDT\". "
        "Correct it or leave it out",
    ),
    "fee": (
        ["--fee-bps", "much"],
        "--fee-bps: 'much' will not do: input should be a valid decimal. Correct it or leave it out",
    ),
    "time": (["--from", "noon"], "--from: 'noon' is not a time. Write 2026-01-31 or 2026-01-31T09:30:00Z"),
    "empty span": (
        ["--from", "2026-01-06", "--to", "2026-01-05"],
        "--to: 2026-01-05 is not after --from 2026-01-06. Give a later time",
    ),
    "interval": (
        ["--interval", "7m"],
        "--interval: no bar length is called '7m'. Use one of: 1s 5s 10s 15s 30s 1m 2m 3m 5m 10m 15m 20m 30m 45m "
        "1h 2h 3h 4h 6h 8h 12h 1d 1w 1M (M is a month)",
    ),
    "log level": (
        ["--log-level", "loud"],
        "--log-level: 'loud' is no log level. Use one of: debug, info, warning, error",
    ),
    "configuration file": (
        ["--config", "missing.toml"],
        "missing.toml: no such file. Name an existing barbot.toml, or leave --config out",
    ),
}


@pytest.mark.parametrize(("given", "message"), OPTIONS.values(), ids=OPTIONS.keys())
def test_a_bad_option_is_named_with_the_remedy(
    barbot: Run, bars: Write, strategy: Write, given: list[str], message: str
) -> None:
    said = barbot("run", strategy("fast: int = 3"), "--feed", bars(100, 101), *given)
    assert told(said) == (2, "", f"Error: {message}\n")


ORDERS: dict[str, tuple[str, str, str]] = {
    "zero": ("self.buy(0)", "quantity", f"quantity 0 {QUANTITY_RULE}"),
    "negative": ("self.buy(-1)", "quantity", f"quantity -1 {QUANTITY_RULE}"),
    "beyond cash": (
        "self.buy(1000)",
        "cash",
        "buy 1000 kucoin:BTC-USDT costs 100100 USDT with the fee and 10000 USDT are free; "
        "lower the quantity, start with more cash, or set leverage",
    ),
}


@pytest.mark.parametrize(("order", "rule", "reason"), ORDERS.values(), ids=ORDERS.keys())
def test_a_bad_order_is_refused_counted_and_told(
    barbot: Run, bars: Write, strategy: Write, order: str, rule: str, reason: str
) -> None:
    mine = strategy("def on_bar_close(self, bar, history):", f"    {order}")
    said = barbot("run", mine, "--feed", bars(*[100] * 5), "--json")
    lines = [line for line in said.stderr.splitlines() if line.startswith("{")]
    assert (said.returncode, json.loads(said.stdout)["orders"], json.loads(lines[0])["reason"]) == (
        0,
        {"total": 5, "by_status": {"REFUSED": 5}, "refused_by_rule": {rule: 5}},
        reason,
    )


def test_a_hook_that_raises_is_named_with_its_bar_and_line(barbot: Run, bars: Write, strategy: Write) -> None:
    mine = strategy("def on_bar_close(self, bar, history):", "    1 / 0")
    said = barbot("run", mine, "--feed", bars(100, 101), "--json")
    message = (
        "Mine.on_bar_close at kucoin:BTC-USDT@1m 2026-01-05T00:00:00Z raised ZeroDivisionError: division by zero "
        "(mine.py:7). Add --traceback to see how it came there"
    )
    assert told(said) == (1, "", f"Error: {message}\n")


@pytest.mark.parametrize("flag", [["--traceback"], ["--log-level", "debug"]])
def test_a_traceback_is_shown_on_request(barbot: Run, bars: Write, strategy: Write, flag: list[str]) -> None:
    mine = strategy("def on_bar_close(self, bar, history):", "    1 / 0")
    said = barbot("run", mine, "--feed", bars(100, 101), *flag)
    assert (said.returncode, said.stdout, said.stderr.startswith("Traceback"), "ZeroDivisionError" in said.stderr) == (
        1,
        "",
        True,
        True,
    )


def test_a_hook_that_raises_may_be_told_to_go_on(barbot: Run, bars: Write, strategy: Write) -> None:
    mine = strategy("def on_bar_close(self, bar, history):", "    1 / 0")
    said = barbot("run", mine, "--feed", bars(100, 101), "--on-error", "continue", "--json")
    assert (said.returncode, json.loads(said.stdout)["bars"]["closed"]) == (0, 2)
