"""Every Python block and every command of README.md and docs/ runs as it stands and says what the page says.

What a comment right before a block means:

    <!-- file: NAME -->    the block is a file that commands of the page find under NAME
    <!-- error -->         the Python block raises a BarbotError; the next block is its text

A Python block is executed in a namespace and a working directory of its own; the strategies that it defines are
checked as the loader checks them and run over made-up bars with the contract checker on. In a console block each
line that starts with `$ barbot` is run, in a directory with the page's files, `strategies/` and `examples/`, and
what the block shows after it is compared with what it prints; `...` stands for anything, blanks for more of them.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from itertools import zip_longest
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Final, NamedTuple

import pytest

from barbot import BarbotError, FeedId, Strategy
from barbot.config import Settings
from barbot.core.strategy import validated
from barbot.feeds.options import ColumnOptions
from barbot.run.load import check_strategy
from barbot.run.outcome import RunOutcome
from barbot.run.plan import RunPlan
from barbot.run.replay import Replay
from barbot.timing.clock import VirtualClock, iso

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = (
    "README.md",
    "docs/contract.md",
    "docs/feeds.md",
    "docs/hooks.md",
    "docs/index.md",
    "docs/journal.md",
    "docs/live.md",
    "docs/paper.md",
    "docs/strategies.md",
)
START: Final = 1_772_409_600_000_000_000
BARS: Final = 300

BLOCK: Final = re.compile(r"(?:^<!-- (?P<mark>[^>]*?) -->\n+)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
LINK: Final = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


class Block(NamedTuple):
    """A fenced block: where it is, the comment before it, its language and its text."""

    page: str
    line: int
    mark: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


class Command(NamedTuple):
    """A command line and the output shown below it."""

    block: Block
    line: str
    output: str

    def __str__(self) -> str:
        return f"{self.block}: {self.line}"


def blocks_of(page: str) -> list[Block]:
    path = ROOT / page
    text = path.read_text("utf-8") if path.is_file() else ""
    return [
        Block(page, text.count("\n", 0, m.start("text")), m["mark"] or "", m["language"], m["text"])
        for m in BLOCK.finditer(text)
    ]


def python_blocks() -> Iterator[tuple[Block, str | None]]:
    """Yield each Python block, with the error text that follows it if it is to raise one."""
    for page in PAGES:
        blocks = blocks_of(page)
        for block, after in zip_longest(blocks, blocks[1:]):
            assert block is not None
            if block.language == "python":
                raises = block.mark == "error"
                assert not raises or (after is not None and after.language == "text"), f"{block}: no error text"
                yield block, after.text.strip() if raises and after is not None else None


def commands() -> Iterator[Command]:
    for page in PAGES:
        for block in blocks_of(page):
            if block.language == "console":
                for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
                    line, _, output = part.partition("\n")
                    if line.startswith("barbot"):
                        yield Command(block, line, output)
            elif block.mark == "command:run":
                yield from (Command(block, line, "") for line in block.text.splitlines() if line.startswith("barbot "))


def run_block(block: Block) -> list[type[Strategy]]:
    """Execute the block and return the strategies that it defined."""
    module = ModuleType(f"block_{block.line}_of_{Path(block.page).stem}")
    sys.modules[module.__name__] = module  # where annotations are looked up
    exec(compile(block.text, str(block), "exec"), module.__dict__)
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Strategy)]
    return [strategy for strategy in found if strategy.__module__ == module.__name__]


def write_bars(folder: Path, feed: FeedId) -> Path:
    """Write a made-up CSV of the feed's interval."""
    dice, price = Random(feed.symbol), 100.0
    lines = ["time,open,high,low,close,volume"]
    ts = feed.interval.floor(START)
    for _ in range(BARS):
        steps = [price := round(price * (1.0 + 0.004 * (dice.random() - 0.5)), 4) for _ in range(6)]
        lines.append(f"{iso(ts)},{steps[0]},{max(steps)},{min(steps)},{steps[-1]},{dice.randrange(1, 50)}")
        ts = feed.interval.next(ts)
    path = folder / f"bars-{len(list(folder.iterdir()))}.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def replay(strategy: type[Strategy], folder: Path) -> RunOutcome:
    """Run the strategy over made-up bars of the shortest interval of each of its instruments."""
    shortest: dict[str, FeedId] = {}
    for feed in sorted(check_strategy(strategy), key=lambda feed: feed.interval.ns):
        shortest.setdefault(feed.instrument, feed)
    settings = Settings()
    plan = RunPlan(
        strategy=strategy,
        strategy_file="a page",
        params=validated(strategy, {}),
        feeds=tuple(f"{feed}={write_bars(folder, feed)}" for feed in shortest.values()),
        columns=ColumnOptions(intrabar="ohlc"),
        cash=settings.run.cash,
        paper=settings.paper.settings(),
        limits=settings.risk.limits(),
        check=True,
        runs_dir=None,
    )
    return Replay(plan, clock=VirtualClock(START)).run()


def run_and_replay(block: Block, folder: Path) -> list[int]:
    """Execute the block, run its strategies, and return how many bars each of them was shown."""
    (folder / "feeds").mkdir()
    with redirect_stdout(io.StringIO()):
        return [replay(strategy, folder / "feeds").feeds[0].closed for strategy in run_block(block)]


def plain(text: str) -> str:
    """Return the text without what only lines columns up."""
    return re.sub(r" {2,}", "  ", text.strip())


def pattern_of(output: str) -> re.Pattern[str]:
    parts = [re.escape(part) for part in plain(output).split("...")]
    return re.compile(".*".join(parts), re.S)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_there(page: str) -> None:
    assert (ROOT / page).is_file()


def test_every_page_is_in_this_test() -> None:
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert pages - set(PAGES) == set()


@pytest.mark.parametrize("page", [*PAGES, "examples/README.md", "strategies/README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    targets = LINK.findall(path.read_text("utf-8")) if path.is_file() else []
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize(("block", "error"), list(python_blocks()), ids=str)
def test_a_python_block_runs(block: Block, error: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if error is None:
        assert all(closed >= BARS // 100 for closed in run_and_replay(block, tmp_path))
        return
    with pytest.raises(BarbotError) as raised:
        run_and_replay(block, tmp_path)
    assert " ".join(str(raised.value).split()) == " ".join(error.split())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make a directory for each page, with the page's files and what the project has."""
    made = {}
    for page in PAGES:
        folder = made[page] = tmp_path_factory.mktemp(Path(page).stem)
        if any(command.block.page == page for command in commands()):
            for name in ("strategies", "examples"):
                shutil.copytree(ROOT / name, folder / name)
        for block in blocks_of(page):
            if block.mark.startswith("file: "):
                (folder / block.mark.removeprefix("file: ")).write_text(block.text, "utf-8")
    return made


@pytest.mark.parametrize("command", list(commands()), ids=str)
def test_a_command_prints_what_the_page_shows(command: Command, folders: dict[str, Path]) -> None:
    own = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "COLUMNS": "500", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "barbot", *shlex.split(command.line)[1:]],
        cwd=folders[command.block.page],
        env=os.environ | own,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    printed = done.stdout if done.returncode == 0 else done.stdout + done.stderr
    expected = command.output.strip()
    assert pattern_of(expected).fullmatch(plain(printed)) or not expected, printed
    assert done.returncode == 0 or expected, printed


def test_the_check_sees_an_output_that_is_not_shown() -> None:
    shown = pattern_of("one\n...\nfour\n")
    assert (bool(shown.fullmatch("one\ntwo\nthree\nfour")), bool(shown.fullmatch("one\nfive"))) == (True, False)
