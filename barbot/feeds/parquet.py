"""Parquet as a table, read through duckdb (extra `data`) in bounded memory. Floor 3.

A chunk is a range of row numbers, which duckdb finds by the row groups' statistics: 5 million rows a second
with flat memory. Nothing is fetched over a network: extensions are neither installed nor loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from barbot.errors import ConfigError, FeedError
from barbot.feeds.table import Array, Cells, Chunk

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SETTINGS: Final = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "threads": "1",
    "memory_limit": "1GB",  # a ceiling, not what it takes: a file of one huge row group needs some of it
}
_BLOCK_ROWS: Final = 262_144
_ROW: Final = "file_row_number"
_FILE: Final = "read_parquet($path, file_row_number=true, hive_partitioning=false)"


class ParquetTable:
    """One Parquet file."""

    def __init__(self, path: str) -> None:
        """Read the schema of the file at `path`.

        Raises:
            ConfigError: duckdb is not installed.
            FeedError: the file cannot be read as Parquet.
        """
        self.path = path
        self._database = _connect(path)  # a connection of its own to the one database of the process
        schema = self._ask(f"DESCRIBE SELECT * EXCLUDE ({_ROW}) FROM {_FILE}").fetchall()
        types = {str(row[0]): str(row[1]) for row in schema}
        self.columns = tuple(types)
        self.aware = frozenset(name for name, kind in types.items() if _is_aware(kind))
        self._shaped = {name: _select(name, kind) for name, kind in types.items()}
        self._rows = int(self._ask("SELECT num_rows FROM parquet_file_metadata($path)").fetchall()[0][0])
        self.rows_hint: int | None = self._rows
        if not self._rows:
            raise FeedError("has no rows", where=path, remedy="Give a file with at least one row")

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """Yield the rows in order, at most `rows` at a time.

        It is read in larger blocks than that: each query starts at the beginning of a row group again (at 64 k
        rows a query costs 150 ns a row, at 256 k 85).
        """
        block = max(rows, _BLOCK_ROWS)
        names = ", ".join(self._shaped[name] for name in columns)
        query = f"SELECT {names} FROM {_FILE} WHERE {_ROW} >= $a AND {_ROW} < $b"
        for start in range(0, self._rows, block):
            count = min(block, self._rows - start)
            cells: dict[str, Array] = self._ask(query, a=start, b=start + count).fetchnumpy()
            for at in range(0, count, rows):
                end = min(at + rows, count)
                part: dict[str, Cells] = {name: cells[name][at:end] for name in columns}
                yield Chunk(start + at + 1, end - at, part)

    def _ask(self, query: str, **numbers: int) -> DuckDBPyConnection:
        import duckdb

        try:
            return self._database.execute(query, {"path": _literal(self.path), **numbers})
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise FeedError(
                f"cannot be read as Parquet ({first})", where=self.path, remedy="Write the file again"
            ) from None


def _connect(path: str) -> DuckDBPyConnection:
    try:
        import duckdb
    except ImportError:
        raise ConfigError(
            "Parquet needs duckdb, which is not installed",
            where=path,
            remedy='Install it: pip install "barbot[data]"',
        ) from None
    return _database(duckdb.connect).cursor()


@lru_cache(maxsize=1)
def _database(connect: Callable[..., DuckDBPyConnection]) -> DuckDBPyConnection:
    return connect(":memory:", config=_SETTINGS)


def _is_aware(kind: str) -> bool:
    return kind.startswith(("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"))


def _select(name: str, kind: str) -> str:
    """Return the column as numpy can take it: decimals as doubles, what numpy has no type for as text."""
    quoted = '"' + name.replace('"', '""') + '"'
    if kind.startswith("DECIMAL") or kind in ("HUGEINT", "UHUGEINT"):
        return f"CAST({quoted} AS DOUBLE) AS {quoted}"
    if kind.startswith(("ENUM", "UUID", "TIME ", "BLOB")) or kind == "TIME":
        return f"CAST({quoted} AS VARCHAR) AS {quoted}"
    return quoted


def _literal(path: str) -> str:
    """Return the path so that duckdb does not take its brackets and stars for a glob."""
    return re.sub(r"([\[*?])", r"[\1]", path)
