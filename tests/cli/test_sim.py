"""`barbot sim`: what its flags mean, and that it serves and stops."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx
import pytest
from typer.testing import CliRunner

from barbot.cli.durations import read_duration
from barbot.cli.faults import read_faults
from barbot.cli.sim import sim, symbol_names
from barbot.errors import ConfigError, FeedError
from barbot.sim.chaos import Kind
from barbot.timing.interval import MINUTE, SECOND

START: Final = 1_790_000_040 * SECOND


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("5m", 300.0), ("1.5h", 5400.0), ("250ms", 0.25), ("-3s", -3.0), ("2d", 172_800.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert read_duration(text, where="--x") == seconds


@pytest.mark.parametrize("text", ["", "90", "s", "1 s", "1y", "1e3s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigError, match="is no duration"):
        read_duration(text, where="--x")


def test_faults_count_from_the_start() -> None:
    chaos = read_faults(
        {
            "drop": ["@2m", "100%"],
            "outage": ["90s@5m"],
            "history_refused": ["always"],
            "slow": ["0.5s/60s@1m"],
            "clock_skew": ["-3s"],
            "duplicate": ["30s"],
            "token_expiry": ["@10m"],
        },
        START,
        seed=1,
    )
    minutes = [START + minute * MINUTE for minute in range(8)]
    assert [chaos.is_down(now) for now in minutes] == [False, False, False, False, False, True, True, False]
    assert [chaos.refuses_history(START - 1), chaos.refuses_history(START)] == [False, True]
    assert [chaos.delay(now) for now in minutes[:3]] == [0, SECOND // 2, 0]
    assert chaos.skew(START) == -3 * SECOND
    assert [chaos.strikes("duplicate", 1, now) for now in minutes[:3]] == [False, True, False]
    assert chaos.next_expiry(START) == START + 10 * MINUTE
    cut = chaos.next_cut(1, START)
    assert cut is not None
    assert cut < START + 2 * MINUTE
    assert read_faults({"drop": ["@2m"]}, START, seed=1).next_cut(1, START) == START + 2 * MINUTE


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        ("outage", "2%", "--outage: '2%': it happens at a time, not by chance. Write 90s@5m"),
        ("outage", "soon", "--outage: 'soon' is no duration. Write 90s, 5m, 1.5h or 250ms"),
        ("outage", "90s@-1m", "--outage: '90s@-1m' lies in the past or lasts no time. Write 90s@5m"),
        ("outage", "1s/2s", "--outage: '1s/2s' cannot be read. Write 90s@5m"),
        ("drop", "3s@5m", "--drop: '3s@5m' cannot be read. Write @5m or 2%"),
        ("late_update", "0s@5m", "--late-update: '0s@5m' lies in the past or lasts no time. Write 90s@5m or 2%"),
        ("duplicate", "200%", "duplicate: 2.0 is no chance. Give 0 to 1"),
        ("slow", "-1s", "a venue cannot answer before it is asked. Give slow a positive amount_s"),
    ],
)
def test_faults_that_cannot_be_read(kind: Kind, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_faults({kind: [text]}, START, seed=1)
    assert str(refused.value) == problem


def test_symbols_are_names_or_a_number() -> None:
    assert symbol_names("BTC-USDT, ETH-USDT") == ["BTC-USDT", "ETH-USDT"]
    assert symbol_names("3") == ["S0001-USDT", "S0002-USDT", "S0003-USDT"]
    with pytest.raises(ConfigError, match="--symbols: 0 symbols"):
        symbol_names("0")


@pytest.mark.parametrize(
    ("args", "error", "problem"),
    [
        (["--symbols", "btc"], ConfigError, "'btc' is no KuCoin symbol"),
        (["--speed", "0"], ConfigError, "--speed: a clock cannot run at 0 times"),
        (["--start", "yesterday"], ConfigError, "--start: 'yesterday' is not a time"),
        (["--feed", "nowhere.csv"], FeedError, "nowhere.csv"),
        (["--feed", "nowhere.csv", "--random-walk"], ConfigError, "a recorded feed is no random walk"),
        (["--trades-per-minute", "-1"], ConfigError, "a walk cannot trade like that"),
    ],
)
def test_what_cannot_be_served_is_refused(args: list[str], error: type[Exception], problem: str) -> None:
    result = CliRunner().invoke(sim, ["kucoin", *args])
    assert isinstance(result.exception, error)
    assert problem in str(result.exception)


def test_help_names_every_fault() -> None:
    shown = CliRunner().invoke(sim, ["kucoin", "--help"]).output
    flags = "drop outage late-update reorder duplicate garbage token-expiry slow clock-skew history-refused"
    assert [flag for flag in flags.split() if f"--{flag}" not in shown] == []


@pytest.mark.skipif(sys.platform == "win32", reason="a console's Ctrl-C cannot be sent to one process there")
def test_it_serves_a_recording_until_it_is_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text("time,open,high,low,close,volume\n2026-09-21T14:14:00Z,100,101,99,100.5,7\n", encoding="utf-8")
    program = "from barbot.cli.sim import sim; sim(prog_name='barbot sim')"
    command = [
        sys.executable,
        "-c",
        program,
        "kucoin",
        "--feed",
        f"kucoin:BTC-USDT@1m={file}",
        "--json",
        "--speed",
        "60000",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = json.loads(server.stdout.readline())
        endpoint = said.pop("endpoint")
        assert said == {"symbols": ["BTC-USDT"], "start": "2026-09-21T14:14:00Z", "speed": 60000.0}
        candles = f"{endpoint}/api/v1/market/candles?symbol=BTC-USDT&type=1min"
        while not (rows := httpx.get(candles, trust_env=False).json()["data"]) or rows[0][5] != "7":
            pass
        assert rows == [["1790000040", "100", "100.5", "101", "99", "7", rows[0][6]]]
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=20)
    assert (server.returncode, errors) == (0, "Stopping; Ctrl-C again stops at once.\n")


def test_a_port_that_is_taken_is_named() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(sim, ["kucoin", "--port", port])
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).startswith(f"--port: port {port} cannot be used: ")
