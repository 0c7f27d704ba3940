"""CSV as a table: any of `, ; tab |`, quoted or not, plain or gzip, read in bounded memory. Floor 3.

Lines without quotes, nearly all there are, are cut a block at a time by two calls into C (measured 3-4 times
as fast as the csv module); from the first quote on, the csv module reads the rest.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Final, TextIO

from barbot.errors import FeedError
from barbot.feeds.table import Cells, Chunk
from barbot.feeds.times import is_number

_GZIP: Final = b"\x1f\x8b"
_DELIMITERS: Final = ",;\t|"
_MARK: Final = "\ufeff"
"""A byte order mark, taken off the header here: the codec `utf-8-sig` is written in Python."""
_BLOCK_ROWS: Final = 4_096
"""Cells are Python strings: a block stays small enough for the processor's cache."""


class CsvTable:
    """One CSV file with a header line."""

    def __init__(self, path: str) -> None:
        """Read the header of the file at `path`.

        Raises:
            FeedError: it is empty, is no text, or has no header.
        """
        self.path = path
        self.aware: frozenset[str] = frozenset()
        with _open(path) as lines:
            header = next(filter(str.strip, lines), "").removeprefix(_MARK)
            sample = list(islice(lines, 1000))
        if not header:
            raise FeedError("is empty", where=path, remedy="Give a file with a header line and at least one row")
        self._delimiter = max(_DELIMITERS, key=header.count)
        self.columns = tuple(cell.strip() for cell in next(csv.reader([header], delimiter=self._delimiter)))
        self._check_header(header)
        self.rows_hint = _estimate(path, sample)

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """Yield the rows in order, at most `rows` at a time.

        Raises:
            FeedError: a row with more or fewer cells than the header, or bytes that are no text.
        """
        wanted = {name: self.columns.index(name) for name in columns}
        width, row = len(self.columns), 1
        with _open(self.path) as lines:
            next(filter(str.strip, lines), "")
            for cells, count in self._blocks(lines, min(rows, _BLOCK_ROWS), width):
                picked: dict[str, Cells] = {name: cells[at::width] for name, at in wanted.items()}
                yield Chunk(row, count, picked)
                row += count

    def _blocks(self, lines: TextIO, rows: int, width: int) -> Iterator[tuple[list[str], int]]:
        """Yield all cells of some rows, row after row, and how many rows they are."""
        row = 1
        while block := list(islice(lines, rows)):
            text = "".join(block)
            if '"' in text:
                yield from self._quoted(chain(block, lines), rows, width, row)
                return
            if set(map(str.count, block, repeat(self._delimiter))) != {width - 1}:
                block = [line for line in block if line.strip()]
                text = "".join(block)
                self._check_widths(block, width, row)
            if block:
                yield (
                    text.removesuffix("\n").replace("\n", self._delimiter).split(self._delimiter),
                    len(block),
                )
            row += len(block)

    def _quoted(self, lines: Iterable[str], rows: int, width: int, row: int) -> Iterator[tuple[list[str], int]]:
        reader = csv.reader(lines, delimiter=self._delimiter)
        while block := list(islice(self._records(reader, row), rows)):
            for index, record in enumerate(block):
                if len(record) != width:
                    raise self._ragged(row + index, len(record), width)
            yield list(chain.from_iterable(block)), len(block)
            row += len(block)

    def _records(self, reader: Iterator[list[str]], row: int) -> Iterator[list[str]]:
        try:
            for record in reader:
                if record:
                    yield record
                    row += 1
        except csv.Error as error:
            raise FeedError(
                f"cannot be read after row {row - 1}: {error}",
                where=self.path,
                remedy="Look for a stray quote",
            ) from None

    def _check_widths(self, block: list[str], width: int, row: int) -> None:
        for index, line in enumerate(block):
            if (count := line.count(self._delimiter) + 1) != width:
                raise self._ragged(row + index, count, width)

    def _ragged(self, row: int, count: int, width: int) -> FeedError:
        return FeedError(
            f"row {row} has {count} cells where the header has {width}",
            where=self.path,
            remedy="Correct the row",
        )

    def _check_header(self, header: str) -> None:
        if any(is_number(cell) for cell in self.columns):
            raise FeedError(
                f"has no header line (it begins with {header.strip()[:60]!r})",
                where=self.path,
                remedy="Put one first, such as timestamp,open,high,low,close,volume",
            )


@contextmanager
def _open(path: str) -> Iterator[TextIO]:
    """Open the file as text, unpacked if it is gzip.

    Raises:
        FeedError: it cannot be opened, or while it is read: its bytes are no UTF-8 text.
    """
    try:
        with Path(path).open("rb") as raw:
            head = raw.read(1024)
        if b"\0" in head.removeprefix(_GZIP) and not head.startswith(_GZIP):
            raise _not_text(path)
        if head.startswith(_GZIP):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                yield lines
        else:
            with Path(path).open(encoding="utf-8") as lines:
                yield lines
    except UnicodeDecodeError:
        raise _not_text(path) from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise FeedError(f"is a damaged gzip file ({error})", where=path, remedy="Fetch it again") from None
    except OSError as error:
        raise FeedError(
            f"cannot be opened ({error.strerror})", where=path, remedy="Check the path and its permissions"
        ) from None


def _not_text(path: str) -> FeedError:
    return FeedError(
        "is neither CSV in UTF-8 nor Parquet",
        where=path,
        remedy="Give a CSV or Parquet file of bars, trades or quotes, or a journal (*.jsonl.zst)",
    )


def _estimate(path: str, sample: list[str]) -> int | None:
    """Guess the number of rows from the length of the first ones; None where the file is packed."""
    with Path(path).open("rb") as raw:
        if raw.read(2) == _GZIP:
            return None
    size = sum(len(line.encode()) for line in sample)
    return round(Path(path).stat().st_size * len(sample) / size) if size and len(sample) == 1000 else len(sample)
