"""`barbot feed` says what is in a recorded feed, and whether it is whole."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from barbot.wire.journal import Header
from barbot.wire.journal_write import JournalWriter

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
Write: TypeAlias = Callable[..., str]

SECOND = 1_000_000_000
START = 1_767_571_200 * SECOND  # 2026-01-05T00:00:00Z
FEED = "kucoin:BTC-USDT@1m"


@pytest.fixture
def journal(here: Path) -> str:
    """A journal of five records that ends on purpose."""
    header = Header(run_id="run-1", barbot="0.1.0", made_by="a test")
    with (here / "five.jsonl.zst").open("xb") as file:
        writer = JournalWriter(file, header, now=START, flush_ns=3600 * SECOND)
        writer.connect(START, "a", "native", (FEED,), "wss://feed.example")
        writer.fetched(START + 1, "a", "GET", "https://feed.example", 200, "[]")
        writer.frame(START + 2, "a", "in", '["h"]')
        writer.frame(START + 3, "a", "out", "ping")
        writer.drop(START + 4, "a", "bye")
        writer.seal(START + 5 * SECOND)
    return "five.jsonl.zst"


def told(said: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return said.returncode, said.stdout, said.stderr


def test_a_csv(barbot: Run, here: Path) -> None:
    lines = [f"2026-01-05T00:{minute:02d}:00Z,1,2,1,1,5" for minute in (0, 1, 2, 5, 5)]
    (here / "btc.csv").write_text("\n".join(["time,open,high,low,close,volume", *lines, ""]), encoding="utf-8")
    assert told(barbot("feed", "btc.csv")) == (
        0,
        "File          btc.csv\n"
        "Instrument    file:btc\n"
        "  rows        5 bars of 1m\n"
        "  span        2026-01-05 00:00:00 to 2026-01-05 00:05:00 UTC\n"
        "  missing     2\n"
        "  holes       2026-01-05 00:03:00 to 2026-01-05 00:05:00, 2 bars\n"
        "  duplicates  1\n",
        "",
    )


def test_a_csv_as_json(barbot: Run, bars: Write) -> None:
    said = barbot("feed", bars(1, 2, 3), "--json")
    assert json.loads(said.stdout) == {
        "file": "bars.csv",
        "kind": "columns",
        "contents": [
            {
                "instrument": "file:bars",
                "kind": "bars",
                "interval": "1m",
                "rows": 3,
                "first": START,
                "last": START + 120 * SECOND,
                "missing": 0,
                "holes": [],
                "duplicates": 0,
                "unsorted": 0,
                "off_grid": 0,
            }
        ],
    }


def test_trades(barbot: Run, here: Path) -> None:
    text = "time,price,size\n2026-01-05T00:00:00Z,1,2\n2026-01-05T00:00:09Z,1,2\n"
    (here / "ticks.csv").write_text(text, encoding="utf-8")
    assert barbot("feed", "ticks.csv").stdout.splitlines()[2:5] == [
        "  rows      2 trades",
        "  span      2026-01-05 00:00:00 to 2026-01-05 00:00:09 UTC",
        "  silences  2026-01-05 00:00:00 to 2026-01-05 00:00:09, 9.0 s",
    ]


def test_the_zone_and_the_label_are_stated(barbot: Run, here: Path) -> None:
    text = "time,open,high,low,close\n2026-01-05 08:01:00,1,1,1,1\n2026-01-05 08:02:00,1,1,1,1\n"
    (here / "hk.csv").write_text(text, encoding="utf-8")
    said = barbot("feed", "hk.csv", "--zone", "Asia/Hong_Kong", "--label", "close", "--json")
    assert json.loads(said.stdout)["contents"][0]["first"] == START


def test_a_sound_csv_verifies(barbot: Run, bars: Write) -> None:
    assert told(barbot("feed", bars(1, 2), "--verify")) == (0, "bars.csv: good, 2 bars\n", "")


def test_rows_that_a_run_refuses_are_counted(barbot: Run, here: Path) -> None:
    text = "time,open,high,low,close\n2026-01-05T00:00:00Z,1,1,1,1\n2026-01-05T00:01:00Z,1,1,1,9\n"
    (here / "odd.csv").write_text(text, encoding="utf-8")
    assert told(barbot("feed", "odd.csv", "--verify")) == (0, "odd.csv: good, 1 bar, 1 refused\n", "")


def test_an_unsorted_csv_does_not_verify(barbot: Run, here: Path) -> None:
    times = ("00:00", "00:02", "00:01", "00:03")
    lines = [f"2026-01-05T{time}:00Z,1,1,1,1" for time in times]
    (here / "mixed.csv").write_text("\n".join(["time,open,high,low,close", *lines, ""]), encoding="utf-8")
    problem = "mixed.csv: row 3 is earlier than the one before it (column 'time'). Sort it by time"
    shown, as_json = barbot("feed", "mixed.csv", "--verify"), barbot("feed", "mixed.csv", "--verify", "--json")
    assert (told(shown), as_json.returncode, json.loads(as_json.stdout)) == (
        (1, problem + "\n", ""),
        1,
        {"file": "mixed.csv", "kind": "columns", "good": False, "rows": {}, "problem": problem},
    )


def test_rows_as_lines(barbot: Run, bars: Write) -> None:
    said = barbot("feed", bars(1, 2, 3), "--cat", "--limit", "2")
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    expected = [
        {
            "kind": "bar",
            "feed": "file:bars@1m",
            "ts_open": START + minute * 60 * SECOND,
            "ts_close": START + (minute + 1) * 60 * SECOND,
            "open": close,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "volume": 5,
            "turnover": 0,
        }
        for minute, close in enumerate((1, 2))
    ]
    assert lines == expected


def test_a_journal(barbot: Run, journal: str) -> None:
    assert told(barbot("feed", journal)) == (
        0,
        "Journal     five.jsonl.zst\n"
        "Made by     a test, barbot 0.1.0, run run-1\n"
        "Span        2026-01-05 00:00:00 to 2026-01-05 00:00:05 UTC\n"
        "Records     6 in 2 zstd frames\n"
        "End         sealed: ended on purpose\n"
        "Connection  a, read by the codec native\n"
        f"  feeds     {FEED}\n"
        "  up        1 connect, 1 drop, 2026-01-05 00:00:00 to 2026-01-05 00:00:00\n"
        "  frames    1 received, 1 sent, 1 fetched\n",
        "",
    )


def test_a_journal_as_json(barbot: Run, journal: str) -> None:
    assert json.loads(barbot("feed", journal, "--json").stdout) == {
        "file": "five.jsonl.zst",
        "kind": "journal",
        "run_id": "run-1",
        "made_by": "a test",
        "barbot": "0.1.0",
        "instruments": [],
        "connections": [
            {
                "connection": "a",
                "codec": "native",
                "feeds": [FEED],
                "connects": 1,
                "drops": 1,
                "received": 1,
                "sent": 1,
                "fetched": 1,
                "first": START,
                "last": START + 4,
            }
        ],
        "first": START,
        "last": START + 5 * SECOND,
        "records": 6,
        "zstd_frames": 2,
        "sealed": True,
        "torn": "",
    }


def test_a_journal_as_lines(barbot: Run, journal: str) -> None:
    lines = barbot("feed", journal, "--cat").stdout.splitlines()
    assert [json.loads(lines[0])["run_id"], *map(json.loads, lines[1:])] == [
        "run-1",
        ["c", START, "a", "native", [FEED], "wss://feed.example"],
        ["h", START + 1, "a", "GET", "https://feed.example", 200, "[]"],
        ["f", START + 2, "a", "in", '["h"]'],
        ["f", START + 3, "a", "out", "ping"],
        ["d", START + 4, "a", "bye"],
        ["s", START + 5 * SECOND],
    ]


def test_a_sealed_journal_verifies(barbot: Run, journal: str) -> None:
    line = "five.jsonl.zst: good, 6 records in 2 zstd frames; sealed: ended on purpose\n"
    assert told(barbot("feed", journal, "--verify")) == (0, line, "")


def test_a_flipped_byte_is_named(barbot: Run, journal: str, here: Path) -> None:
    content = bytearray((here / journal).read_bytes())
    content[-1] ^= 1
    (here / journal).write_bytes(content)
    problem = "five.jsonl.zst record 1: zstd frame 2 (records 1..6) is damaged"
    shown, as_json = barbot("feed", journal, "--verify"), barbot("feed", journal, "--verify", "--json")
    assert (told(shown), as_json.returncode, json.loads(as_json.stdout)) == (
        (1, problem + "\n", ""),
        1,
        {
            "file": journal,
            "kind": "journal",
            "good": False,
            "records": 0,
            "frames": 1,
            "sealed": False,
            "torn": "",
            "first_bad": 1,
            "problem": problem,
        },
    )


def test_a_journal_cut_short_is_not_whole(barbot: Run, journal: str, here: Path) -> None:
    (here / journal).write_bytes((here / journal).read_bytes()[:-1])
    line = (
        "five.jsonl.zst: not whole, 0 records in 1 zstd frame; "
        "ends in the middle of zstd frame 2 (records 1..6), 0 whole records before it are good, no seal\n"
    )
    assert told(barbot("feed", journal, "--verify")) == (1, line, "")


def test_verify_and_cat_do_not_go_together(barbot: Run, journal: str) -> None:
    message = "Error: --cat: it does not go together with --verify. Give one of them\n"
    assert told(barbot("feed", journal, "--cat", "--verify")) == (2, "", message)


@pytest.mark.parametrize("option", [[], ["--verify"], ["--cat"], ["--json"]])
@pytest.mark.parametrize(
    ("name", "message"),
    [("missing.csv", "missing.csv: does not exist. Check the path"), ("no.jsonl.zst", "no.jsonl.zst: no such file")],
)
def test_a_missing_file(barbot: Run, name: str, message: str, option: list[str]) -> None:
    assert told(barbot("feed", name, *option)) == (2, "", f"Error: {message}\n")


def test_what_a_journal_knows_of_its_instruments(barbot: Run) -> None:
    feeds = Path(__file__).resolve().parents[2] / "examples" / "feeds"
    lines = barbot("feed", str(feeds / "btc-usdt-1m.jsonl.zst")).stdout.splitlines()
    line = "Instruments  kucoin:BTC-USDT in USDT, tick 0.1, lot 0.00000001, market 24/7"
    assert [found for found in lines if found.startswith("Instruments")] == [line]
