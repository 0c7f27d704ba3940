"""`barbot run` ends with a result: the same in the table, as JSON and in the run directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
Write: TypeAlias = Callable[..., str]

ROOT = Path(__file__).resolve().parents[2]
MINUTE = 60_000_000_000
START = 1_767_571_200_000_000_000  # 2026-01-05T00:00:00Z
IN_AND_OUT = (
    "size: float = 1.0",
    "def on_bar_close(self, bar, history):",
    "    if len(history) % 4 == 1:",
    "        self.buy(self.size)",
    "    elif len(history) % 4 == 3:",
    "        self.close()",
)
KEYS = """run_dir run_id strategy strategy_file params version digest source source_digest feeds ts_from ts_to bars
corrections refusals duplicates gaps orders fills fees currency start_equity final_equity return max_drawdown sharpe
sortino win_rate profit_factor exposure trades seconds bars_per_second events warnings interrupted"""


def test_json_is_one_object_and_nothing_else(barbot: Run, bars: Write, strategy: Write) -> None:
    said = barbot("run", strategy(*IN_AND_OUT), "--feed", bars(100, 100, 110, 110, 110, 110), "--json")
    result = json.loads(said.stdout)
    assert (said.returncode, said.stderr, list(result)) == (0, "", KEYS.split())


def test_the_figures_of_a_run(barbot: Run, bars: Write, strategy: Write) -> None:
    feed = bars(100, 100, 110, 110, 110, 110)
    said = barbot("run", strategy(*IN_AND_OUT), "--feed", feed, "--json", "--fee-bps", "0", "--cash", "1000 USDT")
    result = json.loads(said.stdout)
    names = (
        "fills",
        "fees",
        "currency",
        "start_equity",
        "final_equity",
        "return",
        "win_rate",
        "profit_factor",
        "trades",
    )
    assert ({name: result[name] for name in names}, result["orders"], result["bars"]) == (
        {
            "fills": 3,
            "fees": {"USDT": 0},
            "currency": "USDT",
            "start_equity": 1000,
            "final_equity": 1010,
            "return": 0.01,
            "win_rate": 1.0,
            "profit_factor": None,
            "trades": 1,
        },
        {"total": 3, "by_status": {"FILLED": 3}, "refused_by_rule": {}},
        {"closed": 6, "by_quality": {"OK": 6}, "by_reason": {"DECLARED": 6}},
    )


def test_the_feeds_of_a_run(barbot: Run, bars: Write, strategy: Write) -> None:
    said = barbot("run", strategy("pass"), "--feed", bars(100, 101, 102), "--json")
    result = json.loads(said.stdout)
    [feed] = result["feeds"]
    found = {name: feed[name] for name in ("feed", "closed", "warmed", "first", "last", "gaps")}
    expected = {
        "feed": "kucoin:BTC-USDT@1m",
        "closed": 3,
        "warmed": 0,
        "first": START,
        "last": START + 3 * MINUTE,
        "gaps": 0,
    }
    assert (found, result["ts_from"], result["ts_to"]) == (expected, START, START + 3 * MINUTE)


def test_the_run_directory_is_complete(barbot: Run, bars: Write, strategy: Write, here: Path) -> None:
    said = barbot("run", strategy("pass"), "--feed", bars(100, 101), "--json")
    folder = Path(json.loads(said.stdout)["run_dir"])
    files = sorted(path.name for path in folder.iterdir())
    expected = ["audit.jsonl.zst", "config.json", "ledger.sqlite", "report.html", "result.json"]
    assert (folder.parent, files) == (Path("runs"), expected)
    assert (here / folder / "result.json").read_text("utf-8") == said.stdout


def test_the_report_can_be_left_out(barbot: Run, bars: Write, strategy: Write, here: Path) -> None:
    barbot("run", strategy("pass"), "--feed", bars(100, 101), "--no-report", "--runs-dir", "kept")
    kept = sorted(path.name for path in here.glob("kept/*/*"))
    assert kept == ["audit.jsonl.zst", "config.json", "ledger.sqlite", "result.json"]


def test_nothing_is_kept_on_request(barbot: Run, bars: Write, strategy: Write, here: Path) -> None:
    said = barbot("run", strategy("pass"), "--feed", bars(100, 101), "--no-run-dir", "--json")
    assert (json.loads(said.stdout)["run_dir"], sorted(path.name for path in here.iterdir())) == (
        None,
        ["bars.csv", "mine.py"],
    )


def test_the_table_says_what_the_object_says(barbot: Run, bars: Write, strategy: Write) -> None:
    args = ("run", strategy(*IN_AND_OUT), "--feed", bars(100, 100, 110, 110, 110, 110), "--no-run-dir")
    digest = json.loads(barbot(*args, "--json").stdout)["digest"]
    table = barbot(*args).stdout.splitlines()
    speed = next(line for line in table if line.startswith("Bars closed"))
    assert [line for line in table if line != speed] == [
        "Strategy      Mine  size=1.0",
        "Feeds         kucoin:BTC-USDT@1m, 2026-01-05 00:00:00 to 2026-01-05 00:06:00",
        "Return        +0.10 %  10,000.00 -> 10,009.68 USDT",
        "Max drawdown  0.00 %",
        "Sharpe        -  Sortino -",
        "Win rate      100.00 %  of 1 trade, profit factor -",
        "Exposure      60.00 %  of the time",
        "Orders        3  FILLED 3",
        "Fills         3",
        "Fees          0.32 USDT",
        "  by quality  OK 6",
        "  closed by   DECLARED 6",
        "Corrections   0",
        "Refused data  0",
        "Duplicates    0",
        "Gaps          0",
        f"Digest        {digest}",
    ]


def test_the_same_run_has_the_same_digest_and_another_has_not(barbot: Run, bars: Write, strategy: Write) -> None:
    args = ("run", strategy(*IN_AND_OUT), "--feed", bars(100, 100, 110, 110, 110), "--no-run-dir", "--json")
    first, second, other = (barbot(*args, *more).stdout for more in ((), (), ("--param", "size=2")))
    digests = [json.loads(text)["digest"] for text in (first, second, other)]
    assert (digests[0] == digests[1], digests[0] == digests[2]) == (True, False)


def test_parameters_reach_the_strategy(barbot: Run, bars: Write, strategy: Write) -> None:
    mine = strategy("name: str = ''", "fast: int = 1", "levels: list[int] = []", "on: bool = False")
    given = ("--param", "name=20", "-p", "fast=20", "-p", "levels=[1, 2]", "-p", "on=true")
    said = barbot("run", mine, "--feed", bars(100, 101), "--no-run-dir", "--json", *given)
    assert json.loads(said.stdout)["params"] == {"name": "20", "fast": 20, "levels": [1, 2], "on": True}


def test_settings_come_from_barbot_toml_and_flags_beat_them(
    barbot: Run, bars: Write, strategy: Write, here: Path
) -> None:
    (here / "barbot.toml").write_text(
        '[run]\ncash = "500 USDT"\nruns_dir = "mine"\nhistory = 2\n[strategies.Mine]\nsize = 3.0\n', encoding="utf-8"
    )
    mine = strategy("size: float = 1.0", "def on_stop(self):", '    self.log.info("kept", bars=self.window_length)')
    args = ("run", mine, "--feed", bars(100, 101, 102), "--json", "--log-level", "info")
    plain, flagged = barbot(*args), barbot(*args, "--cash", "7 USDT", "--param", "size=4")
    found = [
        (result["start_equity"], result["params"], Path(result["run_dir"]).parent)
        for result in (json.loads(plain.stdout), json.loads(flagged.stdout))
    ]
    assert found == [(500, {"size": 3.0}, Path("mine")), (7, {"size": 4.0}, Path("mine"))]
    assert json.loads(plain.stderr)["bars"] == 2


def test_a_span_is_chosen(barbot: Run, bars: Write, strategy: Write) -> None:
    span = ("--from", "2026-01-05T00:01:00Z", "--to", "2026-01-05T00:03:00Z")
    said = barbot("run", strategy("pass"), "--feed", bars(1, 2, 3, 4, 5), "--json", *span)
    result = json.loads(said.stdout)
    config = json.loads((Path(result["run_dir"]) / "config.json").read_text("utf-8"))
    assert (result["bars"]["closed"], result["ts_from"], config["settings"]["selected"]) == (
        2,
        START + MINUTE,
        {"from": span[1], "to": span[3], "interval": None, "endpoints": [], "for": None},
    )


def test_the_checker_passes_a_sound_run(barbot: Run, bars: Write, strategy: Write) -> None:
    args = ("run", strategy(*IN_AND_OUT), "--feed", bars(100, 100, 110, 110), "--no-run-dir", "--json")
    checked, plain = json.loads(barbot(*args, "--check").stdout), json.loads(barbot(*args).stdout)
    assert checked["digest"] == plain["digest"]


def test_a_run_says_the_first_few_warnings_and_how_many_more(barbot: Run, bars: Write, strategy: Write) -> None:
    mine = strategy("def on_bar_close(self, bar, history):", "    self.buy(0)")
    args = ("run", mine, "--feed", bars(*range(100, 110)), "--no-run-dir")
    few, every = barbot(*args).stderr.splitlines(), barbot(*args, "--log-level", "warning").stderr.splitlines()
    assert ([json.loads(line)["event"] for line in few[:-1]], few[-1], len(every)) == (
        ["order refused"] * 3,
        "Not shown: 7 x order refused; --log-level warning shows them all",
        10,
    )


def test_the_lines_of_a_strategy_are_shown_by_level(barbot: Run, bars: Write, strategy: Write) -> None:
    mine = strategy("def on_start(self):", '    self.log.info("hello")', '    self.log.warning("mind")')
    args = ("run", mine, "--feed", bars(100, 101), "--no-run-dir")
    shown = [
        [json.loads(line)["event"] for line in barbot(*args, *more).stderr.splitlines()]
        for more in ((), ("--log-level", "info"), ("--log-level", "error"))
    ]
    assert shown == [["mind"], ["hello", "mind"], []]


def test_several_strategies_in_a_file(barbot: Run, bars: Write, here: Path) -> None:
    source = "from barbot import Strategy\n" + "".join(
        f'class {name}(Strategy):\n    feeds = ["kucoin:BTC-USDT@1m"]\n' for name in ("A", "B")
    )
    (here / "two.py").write_text(source, encoding="utf-8")
    said = barbot("run", "two.py", "--strategy", "B", "--feed", bars(100, 101), "--no-run-dir", "--json")
    assert json.loads(said.stdout)["strategy"] == "B"


WAITING = (
    "def on_bar_close(self, bar, history):",
    "    self.log.warning('one bar')",
)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send SIGINT to one other process there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_cleanly(bars: Write, strategy: Write, here: Path, number: signal.Signals) -> None:
    process = start_slow_run(bars, strategy, here)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    result = json.loads(out)
    files = sorted(path.name for path in Path(here / result["run_dir"]).iterdir())
    assert (process.returncode, result["interrupted"], result["bars"]["closed"], err, files) == (
        0,
        True,
        1,
        "Stopping; Ctrl-C again stops at once.\n",
        ["audit.jsonl.zst", "config.json", "ledger.sqlite", "report.html", "result.json"],
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send SIGINT to one other process there")
def test_the_second_signal_stops_at_once(bars: Write, strategy: Write, here: Path) -> None:
    process = start_slow_run(bars, strategy, here, "def on_stop(self):", "    while True:", "        pass")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == "Stopping; Ctrl-C again stops at once.\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode != 0, out) == (True, "")


def start_slow_run(bars: Write, strategy: Write, here: Path, *more: str) -> subprocess.Popen[str]:
    """Start a run whose second bar comes after an hour, and return when its first bar has closed."""
    args = ["run", strategy(*WAITING, *more), "--feed", bars(100, 101, 102), "--speed", "0.0166", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "barbot", *args],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert json.loads(process.stderr.readline())["event"] == "one bar"
    return process
