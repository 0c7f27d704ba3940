"""Live runs and recordings against a simulated KuCoin, each in a process of its own, as users start them.

What they recorded gives the same digest when it is replayed in another process.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from barbot.wire.journal import Connect, FetchedText, Record
from barbot.wire.journal_read import open_reader

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

ROOT: Final = Path(__file__).resolve().parents[2]
BTC: Final = "kucoin:BTC-USDT@1m"
SPEED: Final = "200"
MOST_LINES: Final = 500
CROSS: Final = ("-p", "fast=3", "-p", "slow=5")
POSIX_ONLY: Final = pytest.mark.skipif(
    sys.platform == "win32", reason="a console's Ctrl-C cannot be sent to one process there"
)


def start(*args: str, cwd: Path) -> subprocess.Popen[str]:
    """Start barbot in a process of its own."""
    own = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BARBOT_")}
    return subprocess.Popen(
        [sys.executable, "-m", "barbot", *args],
        cwd=cwd,
        env=kept | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a process to end by itself."""
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run_apart(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return finish(start(*args, cwd=cwd))


@contextmanager
def simulator(folder: Path, *faults: str, speed: str = SPEED) -> Iterator[str]:
    """Serve a KuCoin on a free port; give its address."""
    args = ("sim", "kucoin", "--random-walk", "--seed", "1", "--speed", speed, "--history", "1d", "--json", *faults)
    server = start(*args, cwd=folder)
    assert server.stdout is not None
    try:
        yield json.loads(server.stdout.readline())["endpoint"]
    finally:
        server.kill()
        server.communicate()


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a venue without faults."""
    with simulator(tmp_path_factory.mktemp("venue")) as endpoint:
        yield endpoint


def live_args(endpoint: str, *more: str) -> tuple[str, ...]:
    return ("--endpoint", f"kucoin={endpoint}", "--speed", SPEED, *more)


def copy_strategy(folder: Path) -> str:
    shutil.copy(ROOT / "strategies" / "sma_cross.py", folder)
    return "sma_cross.py"


def wait_for(process: subprocess.Popen[str], event: str = "") -> dict[str, object]:
    """Read log lines until one says `event` ("": any does); return it."""
    assert process.stderr is not None
    for _ in range(MOST_LINES):
        text = process.stderr.readline()
        assert text, f"it ended without {event!r}"
        line: dict[str, object] = json.loads(text)
        if event in ("", line["event"]):
            return line
    raise AssertionError(f"no {event!r} in {MOST_LINES} lines")


def replay_args(journal: Path) -> tuple[str, ...]:
    return ("run", "sma_cross.py", *CROSS, "--feed", str(journal), "--no-run-dir", "--check", "--json")


def replayed_apart(journal: Path, folder: Path) -> dict[str, Any]:
    """Return the result of a replay in a process of its own."""
    said = run_apart(*replay_args(journal), cwd=folder)
    assert said.returncode == 0, said.stderr
    result: dict[str, Any] = json.loads(said.stdout)
    return result


def is_good(barbot: Run, journal: Path) -> tuple[bool, bool]:
    """Return whether a journal is whole, and whether it is sealed."""
    found = json.loads(barbot("feed", str(journal), "--verify", "--json").stdout)
    return found["good"], found["sealed"]


def records(journal: Path) -> list[Record]:
    with open_reader(journal) as reader:
        return list(reader)


SAME: Final = ("digest", "bars", "corrections", "gaps", "duplicates", "orders", "fills", "final_equity")


@POSIX_ONLY
def test_ctrl_c_ends_a_live_run_with_its_report_and_a_replay_has_the_same_digest(
    barbot: Run, venue: str, tmp_path: Path
) -> None:
    live = start("run", copy_strategy(tmp_path), *CROSS, *live_args(venue), "--json", cwd=tmp_path)
    first = wait_for(live)["event"]
    for _ in range(6):
        wait_for(live, "bar closed")
    live.send_signal(signal.SIGINT)
    said = finish(live)
    result = json.loads(said.stdout)
    folder = tmp_path / result["run_dir"]
    assert (said.returncode, result["interrupted"], first) == (0, True, "connected")
    names = ["audit.jsonl.zst", "config.json", "journal.jsonl.zst", "ledger.sqlite", "report.html", "result.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert is_good(barbot, folder / "journal.jsonl.zst") == (True, True)
    again = replayed_apart(folder / "journal.jsonl.zst", tmp_path)
    assert result["bars"]["closed"] >= 6
    assert {name: again[name] for name in SAME} == {name: result[name] for name in SAME}


@POSIX_ONLY
def test_a_run_through_every_trouble_has_the_digest_of_its_replay(tmp_path: Path) -> None:
    """Outages, expired tokens, late updates, duplicates, pushes out of order and garbage."""
    outages = [flag for minute in range(6, 96, 6) for flag in ("--outage", f"70s@{minute}m")]
    noise = ("--late-update", "40%", "--duplicate", "10%", "--reorder", "5%", "--garbage", "2%")
    with simulator(tmp_path, *outages, "--token-expiry", "3m", *noise) as endpoint:
        args = (*live_args(endpoint), "--check", "--json", "--log-level", "info")
        live = start("run", copy_strategy(tmp_path), *CROSS, *args, cwd=tmp_path)
        awaited = {"token is expired", "REFILLED", "bar corrected"}
        while awaited:
            line = wait_for(live)
            awaited -= {str(line.get(key)) for key in ("reason", "quality", "event")}
        wait_for(live, "bar closed")
        live.send_signal(signal.SIGINT)
        said = finish(live)
    result = json.loads(said.stdout)
    assert (said.returncode, result["duplicates"] >= 1, result["gaps"]) == (0, True, 0)
    again = replayed_apart(tmp_path / result["run_dir"] / "journal.jsonl.zst", tmp_path)
    assert {name: again[name] for name in SAME} == {name: result[name] for name in SAME}


@POSIX_ONLY
def test_a_second_ctrl_c_stops_at_once(venue: str, tmp_path: Path) -> None:
    lines = [
        "import time",
        "from barbot import Strategy",
        "",
        "",
        "class Slow(Strategy):",
        f"    feeds = [{BTC!r}]",
        "",
    ]
    lines += ["    def on_stop(self):", "        self.log.info('stopping')", "        time.sleep(60)", ""]
    (tmp_path / "slow.py").write_text("\n".join(lines), "utf-8")
    live = start("run", "slow.py", *live_args(venue), "--no-run-dir", cwd=tmp_path)
    wait_for(live, "bar closed")
    live.send_signal(signal.SIGINT)
    assert live.stderr is not None
    while live.stderr.readline() != "Stopping; Ctrl-C again stops at once.\n":
        pass
    with pytest.raises(subprocess.TimeoutExpired):
        live.wait(timeout=0.5)  # it sleeps in the hook
    live.send_signal(signal.SIGINT)
    assert (live.wait(timeout=10), "Traceback" in live.stderr.read()) == (130, False)
    finish(live)


@POSIX_ONLY
def test_a_recording_that_was_killed_can_be_read_and_run(barbot: Run, venue: str, tmp_path: Path) -> None:
    journal = tmp_path / "killed.jsonl.zst"
    recorder = start("record", BTC, "-o", journal.name, "--warmup", "30", *live_args(venue), cwd=tmp_path)
    wait_for(recorder, "connected")
    copy_strategy(tmp_path)
    while not any(isinstance(record, FetchedText) for record in records(journal)) or len(records(journal)) < 60:
        assert recorder.poll() is None
    recorder.kill()
    recorder.communicate()
    assert is_good(barbot, journal) == (True, False)
    result = json.loads(barbot(*replay_args(journal)).stdout)
    [feed] = result["feeds"]
    assert (feed["warmed"] in (30, 31, 32), result["gaps"], result["warnings"]) == (True, 0, [])


def test_each_file_of_a_rotated_recording_can_be_run_alone(barbot: Run, venue: str, tmp_path: Path) -> None:
    copy_strategy(tmp_path)
    size = ("--max-size", "15kB", "--rotate", "--for", "4s", "--json")
    said = barbot("record", BTC, "-o", "many.jsonl.zst", "--warmup", "30", *live_args(venue, *size))
    outcome = json.loads(said.stdout)
    files = [tmp_path / name for name in outcome["files"]]
    assert (said.returncode, outcome["ended"], len(files) >= 2) == (0, "--for", True)
    assert [path.name for path in files[:2]] == ["many.jsonl.zst", "many.1.jsonl.zst"]
    results = [json.loads(barbot(*replay_args(path)).stdout) for path in files[:2]]
    assert [is_good(barbot, path) for path in files[:2]] == [(True, True)] * 2
    assert [result["gaps"] for result in results] == [0, 0]
    assert [result["feeds"][0]["warmed"] in (30, 31, 32) for result in results] == [True, True]
    first = records(files[1])[0]
    assert isinstance(first, Connect)
    assert (first.feeds, "token=***" in first.url) == ((BTC,), True)


def test_a_recording_ends_at_its_size_and_never_writes_over_another(barbot: Run, venue: str) -> None:
    args = ("record", BTC, "-o", "one.jsonl.zst", "--max-size", "10kB", "--json", *live_args(venue, "--for", "30s"))
    first, second = barbot(*args), barbot(*args)
    outcome = json.loads(first.stdout)
    assert (outcome["files"], outcome["ended"], 10_000 <= outcome["size"] < 30_000) == (
        ["one.jsonl.zst"],
        "--max-size",
        True,
    )
    message = "Error: one.jsonl.zst: exists already; choose another name or remove it\n"
    assert (second.returncode, second.stdout, second.stderr) == (2, "", message)


def test_a_symbol_that_the_venue_does_not_list_is_refused(barbot: Run, venue: str) -> None:
    said = barbot("record", "kucoin:BTC-USDC@1m", "-o", "x.jsonl.zst", *live_args(venue))
    problem = "kucoin:BTC-USDC: KuCoin spot does not list 'BTC-USDC'. Did you mean BTC-USDT"
    assert (said.returncode, said.stdout, said.stderr.startswith(f"Error: {problem}")) == (2, "", True)


def test_the_doctor_finds_a_venue_well(barbot: Run, venue: str, here: Path) -> None:
    own = f'endpoint = "{venue}"\napi_key = "hush"\n'
    (here / "barbot.toml").write_text(f'[providers.kucoin]\nendpoint = "{venue}"\n', "utf-8")
    said = barbot("doctor", "--endpoint", f"kucoin-futures={venue}", "--json")
    states = {finding["what"]: finding["state"] for finding in json.loads(said.stdout)["findings"]}
    reached = {name: states[name] for name in ("kucoin", "kucoin stream", "kucoin-futures", "kucoin-futures stream")}
    assert (said.returncode, set(reached.values()), states["disk"] != "broken") == (0, {"ok"}, True)
    (here / "barbot.toml").write_text(f"[providers.kucoin]\n{own}", "utf-8")
    sick = barbot("doctor", "--endpoint", "kucoin-futures=http://127.0.0.1:9")
    rows = [line for line in sick.stdout.splitlines() if "BROKEN" in line]
    assert (sick.returncode, [line.split()[0] for line in rows]) == (1, ["kucoin", "kucoin-futures"])
    assert ("kucoin.api_key: set" in sick.stdout, "hush" in sick.stdout) == (True, False)
