"""The command line as a whole: help, version, exit codes, what it loads, and a reader that goes away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

import barbot as package
from barbot.cli.app import exit_code
from barbot.errors import BarbotError, ConfigError, ContractError, FeedError, JournalError, StrategyError

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
Write: TypeAlias = Callable[..., str]

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"barbot.config", "barbot.core.engine", "duckdb", "numpy", "rich", "structlog", "zstandard"}
COMMANDS = ("run", "record", "feed", "report", "providers", "doctor", "init", "sim")


def start(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run barbot in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "barbot", *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (FeedError("x"), 2),
        (JournalError("x"), 2),
        (StrategyError("S", "on_start", ValueError()), 1),
        (ContractError("x"), 1),
        (BarbotError("x"), 1),
    ],
)
def test_exit_codes(error: BarbotError, code: int) -> None:
    assert exit_code(error) == code


def test_the_version(barbot: Run) -> None:
    assert barbot("--version").stdout == f"barbot {package.__version__}\n"


def test_help_names_the_commands(barbot: Run) -> None:
    lines = barbot("--help").stdout.splitlines()
    begin = lines.index("Commands:") + 1
    assert [line.split()[0] for line in lines[begin : begin + len(COMMANDS)]] == list(COMMANDS)


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_is_readable_at_80_columns(barbot: Run, command: list[str]) -> None:
    said = barbot(*command, "--help")
    too_long = [line for line in said.stdout.splitlines() if len(line) > 80]
    assert (said.returncode, too_long, said.stdout.isascii()) == (0, [], True)


@pytest.mark.parametrize(
    "args", [["--nonsense"], ["trade"], ["run"], ["run", "x.py", "--fed", "y"], ["feed"], ["feed", "x", "--limit", "0"]]
)
def test_wrong_usage_is_2_and_says_nothing_on_standard_output(barbot: Run, args: list[str]) -> None:
    said = barbot(*args)
    assert (said.returncode, said.stdout, "Error: " in said.stderr) == (2, "", True)


def test_a_misspelt_option_is_answered_with_one_that_exists(barbot: Run) -> None:
    assert "--feed" in barbot("run", "x.py", "--fed", "y").stderr


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom barbot.cli.app import app\n"
        "try:\n    app(['run', '--help'])\nexcept SystemExit:\n    pass\n"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.splitlines()[-1] == "[]"


def test_python_m_barbot_runs_to_the_end(bars: Write, strategy: Write, here: Path) -> None:
    said = start("run", strategy("pass"), "--feed", bars(100, 101), "--no-run-dir", cwd=here)
    assert (said.returncode, said.stdout.splitlines()[0], said.stderr) == (0, "Strategy      Mine", "")


def test_an_error_is_one_line_and_no_traceback(bars: Write, here: Path) -> None:
    said = start("run", "missing.py", "--feed", bars(100, 101), "--json", cwd=here)
    message = "Error: missing.py: there is no such file. Name a strategy file, or make one: barbot init\n"
    assert (said.returncode, said.stdout, said.stderr) == (2, "", message)


def test_a_reader_that_goes_away_is_no_error_of_ours(bars: Write, here: Path) -> None:
    name = bars(*range(2, 1400), name="many.csv")
    process = subprocess.Popen(
        [sys.executable, "-m", "barbot", "feed", name, "--cat"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), said) == (1, b"")
