"""A strategy file gives its one strategy, or a line that says what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pytest

from barbot.errors import ConfigError
from barbot.run.load import check_strategy, load_strategy

HEAD: Final = "from barbot import Strategy\n"
MEND: Final = "Mend the line; a strategy file must load without data or network"
NO_FEEDS: Final = 'Mine.feeds: it names no feeds. Write feeds = ["kucoin:BTC-USDT@1m"]'
GOOD: Final = HEAD + "class Mine(Strategy):\n    feeds = ['sim:A@1m']\n"


def written(tmp_path: Path, text: str, name: str = "mine.py") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def refusal(path: Path, name: str | None = None) -> str:
    with pytest.raises(ConfigError) as raised:
        load_strategy(path, name)
    return str(raised.value).replace(str(path), "FILE")


def test_the_one_strategy_is_loaded(tmp_path: Path) -> None:
    strategy = load_strategy(written(tmp_path, GOOD))
    assert (strategy.__name__, strategy.feeds) == ("Mine", ["sim:A@1m"])
    assert [str(feed) for feed in check_strategy(strategy)] == ["sim:A@1m"]


def test_one_of_several_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + "class Other(Mine):\n    pass\n")
    assert refusal(path) == "FILE: it defines several strategies: Mine, Other. Name one with --strategy"
    assert load_strategy(path, "Other").__name__ == "Other"
    expected = "FILE: it defines no strategy called Third. Write `class MyStrategy(Strategy):` in it"
    assert refusal(path, "Third") == expected


def test_a_second_name_of_a_strategy_is_no_second_strategy(tmp_path: Path) -> None:
    assert load_strategy(written(tmp_path, GOOD + "Default = Mine\n")).__name__ == "Mine"


def test_strategies_that_are_only_imported_do_not_count(tmp_path: Path) -> None:
    written(tmp_path, GOOD.replace("Mine", "Base"), "base_of_mine.py")
    path = written(tmp_path, "from base_of_mine import Base\nclass Mine(Base):\n    pass\n")
    try:
        assert load_strategy(path).__name__ == "Mine"
    finally:
        sys.modules.pop("base_of_mine", None)
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = 1\n", "FILE: it defines no subclass of barbot.Strategy. Write `class MyStrategy(Strategy):` in it"),
        ("x = (\n", "FILE:1: syntax error: '(' was never closed. Mend the line"),
        (
            "\n\nimport nowhere_at_all\n",
            "FILE:3: ModuleNotFoundError while it was loaded: No module named 'nowhere_at_all'. "
            "Mend the line; a strategy file must load without data or network",
        ),
        (
            "import sys\nsys.exit(3)\n",
            f"FILE:2: SystemExit while it was loaded: 3. {MEND}",
        ),
        (
            HEAD + "class Mine(Strategy):\n    pass\n",
            NO_FEEDS,
        ),
        (GOOD.replace("['sim:A@1m']", "[1]"), "Mine.feeds: 1 is not a feed. Write it as text"),
        (GOOD.replace("['sim:A@1m']", "'sim:A@1m'"), NO_FEEDS),
        (
            GOOD.replace("['sim:A@1m']", "['sim:A']"),
            "'sim:A' is not a feed. Write provider:symbol@interval, for example kucoin:BTC-USDT@1m",
        ),
        (GOOD.replace("['sim:A@1m']", "['sim:A@1m'] * 2"), "Mine.feeds: sim:A@1m stands twice. Name each feed once"),
        (GOOD + "    quiet = 'no'\n", 'Mine: quiet = \'no\'. Write "emit" or "skip"'),
        (GOOD + "    history = 0\n", "Mine: history = 0 is no window length. Write history = 200"),
        (GOOD + "    fast: int\n", "Mine.fast: a parameter needs a default. Write fast: ... = value"),
        (
            GOOD + "    def on_bar_closed(self): pass\n",
            "Mine: there is no hook called 'on_bar_closed'. Did you mean on_bar_close?",
        ),
        (
            GOOD + "    async def on_start(self): pass\n",
            "Mine.on_start: hooks are plain functions, because the market must not move under one. "
            "Write `def` instead of `async def` and hand slow work to a thread or another process",
        ),
    ],
)
def test_a_file_that_will_not_do(tmp_path: Path, text: str, problem: str) -> None:
    assert refusal(written(tmp_path, text)) == problem


def test_what_is_no_strategy_file(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "FILE: this is a directory. Name a strategy's Python file"
    assert (
        refusal(tmp_path / "none.py") == "FILE: there is no such file. Name a strategy file, or make one: barbot init"
    )
    assert refusal(written(tmp_path, GOOD, "mine.txt")) == "FILE: this is no Python file. Name a file that ends in .py"


def test_an_error_in_a_file_that_is_imported_names_that_file(tmp_path: Path) -> None:
    broken = written(tmp_path, "raise ValueError('inside')\n", "broken_part.py")
    said = refusal(written(tmp_path, "import broken_part\n"))
    assert said == f"{broken}:1: ValueError while it was loaded: inside. {MEND}"
