"""A run has a directory of its own, named by time and strategy, that says what was run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from barbot import __version__
from barbot.core.strategy import Strategy
from barbot.errors import ConfigError
from barbot.run.plan import RunPlan
from barbot.run.rundir import open_run
from barbot.timing.clock import VirtualClock

Planned: TypeAlias = Callable[..., RunPlan]
NOW: Final = VirtualClock(1_767_571_200_999_000_000)


class Mine(Strategy):
    feeds = ["sim:A@1m"]


def test_the_directory_is_named_by_time_and_strategy_and_never_taken_twice(planned: Planned, tmp_path: Path) -> None:
    plan = planned(Mine, "a.csv", runs_dir=tmp_path / "deep" / "runs")
    folders = [open_run(plan, "id", "digest", NOW) for _ in range(3)]
    assert [folder.relative_to(tmp_path).as_posix() for folder in folders] == [
        "deep/runs/20260105T000000Z-Mine",
        "deep/runs/20260105T000000Z-Mine-1",
        "deep/runs/20260105T000000Z-Mine-2",
    ]


def test_it_says_what_was_run(planned: Planned, tmp_path: Path) -> None:
    plan = planned(
        Mine, "a.csv", runs_dir=tmp_path, params={"fast": 3}, settings={"run": {"cash": "1"}}, settings_digest="abc"
    )
    folder = open_run(plan, "id", "digest", NOW)
    assert json.loads((folder / "config.json").read_text("utf-8")) == {
        "run_id": "id",
        "barbot": __version__,
        "strategy": "Mine",
        "strategy_file": "mine.py",
        "params": {"fast": 3},
        "feeds": ["a.csv"],
        "feed_digest": "digest",
        "settings": {"run": {"cash": "1"}},
        "settings_digest": "abc",
    }


def test_a_file_in_its_place_is_named(planned: Planned, tmp_path: Path) -> None:
    file = tmp_path / "runs"
    file.write_text("", "utf-8")
    with pytest.raises(ConfigError) as raised:
        open_run(planned(Mine, "a.csv", runs_dir=file), "id", "digest", NOW)
    assert str(raised.value).startswith(str(file))
    assert str(raised.value).endswith("Set run.runs_dir")


def test_there_is_an_end_to_trying(planned: Planned, tmp_path: Path) -> None:
    plan = planned(Mine, "a.csv", runs_dir=tmp_path)
    for _ in range(100):
        open_run(plan, "id", "digest", NOW)
    with pytest.raises(ConfigError) as raised:
        open_run(plan, "id", "digest", NOW)
    assert str(raised.value) == f"{tmp_path}: no run directory can be made in it. Set run.runs_dir"
