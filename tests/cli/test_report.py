"""`barbot report` shows a finished run again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from barbot.cli.report import latest_run
from barbot.errors import ConfigError

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
Write: TypeAlias = Callable[..., str]


def test_json_is_that_of_the_run(barbot: Run, bars: Write, strategy: Write) -> None:
    ran = barbot("run", strategy("pass"), "--feed", bars(100, 101), "--json")
    again = barbot("report", json.loads(ran.stdout)["run_dir"], "--json")
    assert (again.returncode, again.stdout, again.stderr) == (0, ran.stdout, "")


def test_the_table_is_that_of_the_run_and_the_page_is_made_anew(
    barbot: Run, bars: Write, strategy: Write, here: Path
) -> None:
    ran = barbot("run", strategy("pass"), "--feed", bars(100, 101), "--no-report")
    [folder] = (here / "runs").iterdir()
    again = barbot("report", "latest")
    page = Path("runs") / folder.name / "report.html"
    assert (again.stdout, page.is_file()) == (ran.stdout + f"Report: {page}\n", True)


def test_latest_is_the_newest_that_came_to_its_end(here: Path) -> None:
    for name in ("20260101T000000Z-B", "20260102T000000Z-A", "20260103T000000Z-C"):
        (here / name).mkdir()
    for name in ("20260102T000000Z-A", "20260101T000000Z-B"):
        (here / name / "result.json").write_text("{}", encoding="utf-8")
    assert latest_run(here) == here / "20260102T000000Z-A"


def test_no_run_at_all(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"no finished run is in it\. Run a strategy first: barbot run"):
        latest_run(here / "runs")


def test_latest_is_looked_for_where_it_is_told(barbot: Run, bars: Write, strategy: Write) -> None:
    ran = barbot("run", strategy("pass"), "--feed", bars(100, 101), "--runs-dir", "elsewhere", "--json")
    said = barbot("report", "--runs-dir", "elsewhere", "--json")
    assert said.stdout == ran.stdout


def test_a_directory_that_is_no_run(barbot: Run, here: Path) -> None:
    (here / "empty").mkdir()
    said = barbot("report", "empty")
    message = "empty: there is no result.json. Name a directory that `barbot run` made and finished"
    assert (said.returncode, said.stdout, said.stderr) == (2, "", f"Error: {message}\n")
