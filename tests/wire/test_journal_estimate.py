"""A journal's length is told from its indexes, without reading its records."""

from __future__ import annotations

from pathlib import Path

import pytest

from barbot.errors import JournalError
from barbot.wire.journal import Header
from barbot.wire.journal_read import estimate_records
from barbot.wire.journal_write import JournalWriter

HEADER = Header(run_id="r", barbot="0.1.0")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Ten zstd frames of twenty records each, after the header's."""
    path = tmp_path / "x.jsonl.zst"
    with path.open("xb") as file, JournalWriter(file, HEADER, now=0, flush_bytes=1 << 20, flush_ns=1 << 40) as writer:
        for number in range(200):
            writer.frame(number, "a", "in", f"{number:05d}")
            if number % 20 == 19:
                writer.flush()
    return path


def test_the_count_is_exact_where_all_indexes_are_looked_at(journal: Path) -> None:
    assert estimate_records(journal) == 200


def test_the_count_is_about_right_where_only_some_are(journal: Path) -> None:
    estimate = estimate_records(journal, frames=5)
    assert estimate is not None
    assert 150 <= estimate <= 250


def test_what_is_torn_off_does_not_count(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes()[:-1])
    assert estimate_records(journal) == 180


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 500])
def test_what_is_no_journal_has_no_length(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert estimate_records(tmp_path / "x") is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no such file"):
        estimate_records(tmp_path / "missing.jsonl.zst")
