"""What `barbot run` without a feed, and `barbot record`, refuse before anything is dialled."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from barbot.cli.durations import read_duration, read_span
from barbot.cli.record import read_size, size_text
from barbot.errors import ConfigError

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
Write: TypeAlias = Callable[..., str]

NOWHERE = "http://127.0.0.1:9"
"""The port of `discard`, where nothing listens."""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["--endpoint", "kucoin"],
            "--endpoint: 'kucoin' names no provider and address. Write --endpoint kucoin=http://127.0.0.1:PORT",
        ),
        (["--endpoint", f"futu={NOWHERE}"], "--endpoint: no feed is of 'futu'. The feeds are of: kucoin"),
        (
            ["--endpoint", "kucoin=here"],
            "kucoin.endpoint: 'here' is not an address. Write https://HOST or http://HOST:PORT",
        ),
        (
            ["--speed", "60"],
            "--speed: the clock of kucoin cannot be scaled: only a simulator's can. "
            "Leave it out, or give a simulator's address: --endpoint kucoin=URL",
        ),
        (["--for", "soon"], "--for: 'soon' is no duration. Write 90s, 5m, 1.5h or 250ms"),
        (["--for", "0s"], "--for: '0s' is no time at all. Give a duration above 0, such as 10m"),
        (["--log-level", "loud"], "--log-level: 'loud' is no log level. Use one of: debug, info, warning, error"),
    ],
)
def test_a_live_run_refuses_what_it_cannot_do(barbot: Run, strategy: Write, args: list[str], message: str) -> None:
    said = barbot("run", strategy("pass"), "--no-run-dir", *args)
    assert (said.returncode, said.stdout, said.stderr) == (2, "", f"Error: {message}\n")


def test_a_scaled_clock_needs_an_endpoint_that_may_stand_in_the_file(barbot: Run, strategy: Write, here: Path) -> None:
    (here / "barbot.toml").write_text(f'[providers.kucoin]\nendpoint = "{NOWHERE}"\nsilent_bar = 3', "utf-8")
    said = barbot("run", strategy("pass"), "--no-run-dir", "--speed", "60")
    known = "endpoint, topics_per_connection, welcome_timeout_s, ack_timeout_s, connection_lifetime_h, history_lag_s"
    message = f"kucoin.silent_bar: there is no such setting. Did you mean silent_bars? There are: {known}, silent_bars"
    assert (said.returncode, said.stderr) == (2, f"Error: {message}\n")


def test_feeds_that_no_venue_has_are_refused(barbot: Run, here: Path) -> None:
    text = "from barbot import Strategy\n\n\nclass Mine(Strategy):\n    feeds = ['native:X@1m']\n"
    (here / "native.py").write_text(text, "utf-8")
    (here / "short.py").write_text(text.replace("native:X@1m", "kucoin:BTC-USDT@1s"), "utf-8")
    errors = [barbot("run", name, "--no-run-dir").stderr for name in ("native.py", "short.py")]
    assert errors[0] == "Error: feeds: there is no live venue behind 'native'. Give a recorded one: --feed FILE\n"
    problem = "kucoin:BTC-USDT@1s is not offered, nor what it could be built of"
    assert errors[1].startswith(f"Error: feeds: {problem}. Offered are: kucoin:BTC-USDT@1m, ")


def test_flags_without_effect_are_named(barbot: Run, strategy: Write, bars: Write) -> None:
    recorded = barbot(
        "run", strategy("pass"), "--feed", bars(1, 2), "--no-run-dir", "--for", "1m", "--endpoint", f"kucoin={NOWHERE}"
    )
    live = barbot("run", strategy("pass"), "--no-run-dir", "--label", "close", "--from", "2026-01-01", "--speed", "2")
    assert recorded.stderr.splitlines() == [
        "--endpoint has no effect here: it is for live data",
        "--for has no effect here: it is for live data",
    ]
    assert (recorded.returncode, live.returncode) == (0, 2)  # nothing is dialled: a clock cannot be scaled


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["kucoin:BTC-USDT@1m", "-o", "x.csv"], "-o: x.csv is no name of a journal. Write NAME.jsonl.zst"),
        (
            ["BTC-USDT", "-o", "x.jsonl.zst"],
            "'BTC-USDT' is not a feed. Write provider:symbol@interval, for example kucoin:BTC-USDT@1m",
        ),
        (
            ["kucoin:BTC-USDT@2m", "-o", "x.jsonl.zst"],
            "kucoin:BTC-USDT@2m: KuCoin spot offers no 2m bars. 1m divides it. "
            "It offers: 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 1w 1M",
        ),
        (
            ["kucoin:BTC-USDT@1m", "-o", "x.jsonl.zst", "--rotate"],
            "--rotate: it does not say when. Add --max-size, such as 1GB",
        ),
        (
            ["kucoin:BTC-USDT@1m", "-o", "x.jsonl.zst", "--max-size", "big"],
            "--max-size: 'big' is no size. Write 500MB or 1GB",
        ),
    ],
)
def test_a_recording_refuses_what_it_cannot_do(barbot: Run, args: list[str], message: str) -> None:
    said = barbot("record", *args)
    assert (said.returncode, said.stdout, said.stderr) == (2, "", f"Error: {message}\n")


def test_a_venue_that_is_not_there_is_one_line(barbot: Run, here: Path) -> None:
    args = ("kucoin:BTC-USDT@1m", "-o", "x.jsonl.zst", "--endpoint", f"kucoin={NOWHERE}", "--speed", "60")
    said = barbot("record", *args)
    assert (said.returncode, said.stdout, said.stderr.count("\n"), "127.0.0.1:9" in said.stderr) == (1, "", 1, True)
    assert not list(here.glob("*.zst"))


@pytest.mark.parametrize(
    ("text", "size"), [("20000", 20_000), ("20kB", 20_000), ("1.5 GB", 1_500_000_000), ("1MiB", 2**20)]
)
def test_sizes(text: str, size: int) -> None:
    assert read_size(text) == size


def test_sizes_print_short() -> None:
    assert [size_text(size) for size in (950, 12_345, 3_400_000)] == ["950 B", "12 kB", "3.4 MB"]


def test_a_size_without_room_for_a_header_is_refused() -> None:
    with pytest.raises(ConfigError, match="too small"):
        read_size("10")


def test_durations() -> None:
    assert [read_duration(text, where="x") for text in ("90s", "10m", "1.5h", "250ms")] == [90, 600, 5400, 0.25]
    assert (read_span(None, where="x"), read_span("2h", where="x")) == (None, 7200)
