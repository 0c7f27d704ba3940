"""Run barbot as a user does, in an empty directory of the test's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from barbot.cli.app import app

HEADER = "time,open,high,low,close,volume"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no setting in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("BARBOT_"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def barbot(here: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command in this process."""

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        result = CliRunner().invoke(app, list(args), prog_name="barbot")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return subprocess.CompletedProcess(args, result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def bars(here: Path) -> Callable[..., str]:
    """Write a CSV of one-minute bars that close at the given prices, a row each, and return its name."""

    def write(*closes: float, name: str = "bars.csv") -> str:
        rows = [
            f"2026-01-05T{minute // 60:02d}:{minute % 60:02d}:00Z,{close},{close + 1},{close - 1},{close},5"
            for minute, close in enumerate(closes)
        ]
        (here / name).write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
        return name

    return write


@pytest.fixture
def strategy(here: Path) -> Callable[..., str]:
    """Write a strategy file whose class `Mine` has the given body, and return its name."""

    def write(*body: str, name: str = "mine.py") -> str:
        lines = ["from barbot import Strategy", "", "", "class Mine(Strategy):"]
        lines += [f"    {line}" for line in ('feeds = ["kucoin:BTC-USDT@1m"]', *body)]
        (here / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
        return name

    return write
