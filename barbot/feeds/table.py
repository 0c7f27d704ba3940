"""What an opened column file is to its readers, whichever format it has. Floor 3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.generic]
Cells: TypeAlias = "list[str] | Array"
"""One column of a chunk: the text of a CSV, or an array (masked where there are nulls) of Parquet's type."""


class Chunk(NamedTuple):
    """Neighbouring rows of a file: the number of the first (from 1), how many, and the columns asked for."""

    first_row: int
    rows: int
    cells: dict[str, Cells]


class Table(Protocol):
    """A column file; open only while `chunks` runs.

    `aware` names the columns of a time type that is UTC by declaration. `rows_hint` is the number of rows,
    an estimate, or None.
    """

    path: str
    columns: tuple[str, ...]
    aware: frozenset[str]
    rows_hint: int | None

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """Yield the file in order, at most `rows` at a time, with the `columns` named."""


class Place(NamedTuple):
    """Where cells come from, to name the row of an unreadable one; `rows` are its numbers, from 1."""

    file: str
    column: str
    rows: range | NDArray[np.int64]

    def at(self, index: int) -> str:
        """Name cell `index`."""
        return f"{self.file} row {int(self.rows[index])} column {self.column!r}"
