"""`barbot init` writes a strategy file that runs as it stands, and never over another file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from barbot.run.load import load_strategy

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
Write: TypeAlias = Callable[..., str]

ROOT = Path(__file__).resolve().parents[2]


def test_it_says_what_to_do_next(barbot: Run, here: Path) -> None:
    said = barbot("init", "my_idea")
    path = Path("strategies", "my_idea.py")
    expected = f"Wrote {path} with the strategy MyIdea. Next:\n  barbot run {path} --feed FILE\n"
    assert (said.returncode, said.stdout, said.stderr, load_strategy(path).__name__) == (0, expected, "", "MyIdea")


def test_the_file_says_how_to_run_it(barbot: Run, here: Path) -> None:
    barbot("init", "my_idea", "--dir", "mine")
    text = (here / "mine" / "my_idea.py").read_text("utf-8")
    assert text.splitlines()[:3] == [
        '"""MyIdea: say in one line what the strategy does.',
        "",
        "barbot run mine/my_idea.py --feed FILE",
    ]


def test_the_new_strategy_runs(barbot: Run, bars: Write) -> None:
    barbot("init", "my_idea")
    prices = [100 + minute % 30 for minute in range(90)]
    said = barbot("run", "strategies/my_idea.py", "--feed", bars(*prices), "--no-run-dir", "--json")
    result = json.loads(said.stdout)
    assert (said.returncode, result["strategy"], result["fills"] > 0) == (0, "MyIdea", True)


@pytest.mark.skipif(shutil.which("ruff", path=str(Path(sys.executable).parent)) is None, reason="ruff is not installed")
def test_the_file_is_clean(barbot: Run, here: Path) -> None:
    barbot("init", "my_idea")
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", "strategies"]
    checks = [
        subprocess.run([*ruff, *what, *config], cwd=here, capture_output=True, text=True)
        for what in (["check"], ["format", "--check"])
    ]
    assert [(check.returncode, check.stderr) for check in checks] == [(0, ""), (0, "")]


def test_a_file_that_exists_is_left_alone(barbot: Run, here: Path) -> None:
    (here / "strategies").mkdir()
    (here / "strategies" / "my_idea.py").write_text("mine", encoding="utf-8")
    said = barbot("init", "my_idea")
    path = Path("strategies", "my_idea.py")
    message = f"Error: {path}: exists already. Choose another name, or remove it first\n"
    assert (said.returncode, said.stderr, (here / path).read_text("utf-8")) == (2, message, "mine")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my-idea", "NAME: 'my-idea' is no name of a Python module. Call it my_idea"),
        ("my idea.py", "NAME: 'my idea.py' is no name of a Python module. Call it my_idea_py"),
        ("2fast", "NAME: '2fast' is no name of a Python module. Call it strategy_2fast"),
        ("class", "NAME: 'class' is no name of a Python module. Call it class_strategy"),
        ("___", "NAME: '___' is no name of a Python module. Call it my_strategy"),
        ("bar", "NAME: Bar is a name of barbot's own. Call it bar_strategy"),
        ("random", "NAME: a Python module is called 'random' already. Call it random_strategy"),
    ],
)
def test_a_name_that_will_not_do(barbot: Run, here: Path, name: str, message: str) -> None:
    said = barbot("init", name)
    assert (said.returncode, said.stdout, said.stderr) == (2, "", f"Error: {message}\n")
    assert list(here.iterdir()) == []
