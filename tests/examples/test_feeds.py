"""The bundled feeds are what their script makes, byte for byte, and hold what examples/README.md says."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from barbot.model.market import BarUpdate, Connected, Disconnected, Heartbeat, HistoryBars
from barbot.providers.decode import Undecodable, decode_journal
from barbot.wire.journal_read import Verification, open_reader, verify
from barbot.wire.zstd import zstd_version_info

ROOT: Final = Path(__file__).resolve().parents[2]
FEEDS: Final = ROOT / "examples" / "feeds"
JOURNAL: Final = FEEDS / "btc-usdt-1m.jsonl.zst"
MADE_WITH: Final = (1, 5, 7)
"""The libzstd whose output is committed; another one may pack the same lines into other bytes."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_feeds", ROOT / "examples" / "make_feeds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_feeds"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feeds")
    script.main(folder)
    return folder


def lines(path: Path) -> list[object]:
    with open_reader(path) as reader:
        return [reader.header, *reader]


def test_the_script_makes_the_feeds_that_there_are(made: Path) -> None:
    assert sorted(path.name for path in made.iterdir()) == sorted(path.name for path in FEEDS.iterdir())


@pytest.mark.parametrize("name", ["btc-usdt-trades.csv", "eth-btc-pair-1m.csv", "eth-usdt-1h.csv"])
def test_a_column_file_is_made_again_byte_for_byte(made: Path, name: str) -> None:
    assert (made / name).read_bytes() == (FEEDS / name).read_bytes()


def test_the_journal_is_made_again_record_for_record(made: Path) -> None:
    assert lines(made / JOURNAL.name) == lines(JOURNAL)


@pytest.mark.skipif(zstd_version_info != MADE_WITH, reason=f"the bytes are those of libzstd {MADE_WITH}")
def test_the_journal_is_made_again_byte_for_byte(made: Path) -> None:
    assert (made / JOURNAL.name).read_bytes() == JOURNAL.read_bytes()


def test_the_journal_is_whole_and_sealed() -> None:
    expected = Verification(records=37_582, frames=11, sealed=True, torn="", first_bad=None, problem="")
    assert verify(JOURNAL) == expected


def test_the_journal_holds_what_the_readme_says() -> None:
    counts: Counter[type] = Counter()
    answers: list[tuple[int, str]] = []
    with open_reader(JOURNAL) as reader:
        for step in decode_journal(reader):
            assert not isinstance(step, Undecodable)
            counts.update(type(event) for event in step[1])
            answers += [(len(event.bars), event.error) for event in step[1] if isinstance(event, HistoryBars)]
    assert counts == {Connected: 3, Disconnected: 2, HistoryBars: 3, Heartbeat: 14_371, BarUpdate: 23_202}
    assert answers == [(301, ""), (7, ""), (0, "503: history is being maintained")]


def test_no_feed_is_large() -> None:
    large = {path.name: size for path in FEEDS.iterdir() if (size := path.stat().st_size) > 1_200_000}
    assert large == {}
