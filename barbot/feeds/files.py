"""From what the user wrote to opened tables: globs, formats, missing files. Floor 3."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from barbot.errors import FeedError
from barbot.feeds.csvfile import CsvTable
from barbot.feeds.options import SourceSpec
from barbot.feeds.parquet import ParquetTable
from barbot.feeds.table import Table

_PARQUET: Final = b"PAR1"
_BLOCK: Final = 1 << 20


def expand(specs: Iterable[SourceSpec]) -> Iterator[SourceSpec]:
    """Yield one spec a file, globs in the order of their names.

    Raises:
        FeedError: there is no such file, or a glob matches none.
    """
    for spec in specs:
        if Path(spec.path).exists():
            yield spec
            continue
        paths = sorted(path for path in glob.glob(spec.path, recursive=True) if Path(path).is_file())  # noqa: PTH207 - pathlib globs from a base only
        if not paths:
            what = "matches no file" if glob.has_magic(spec.path) else "does not exist"
            raise FeedError(what, where=spec.path, remedy="Check the path")
        for path in paths:
            yield SourceSpec(path, spec.instrument, spec.interval)


def open_table(path: str) -> Table:
    """Open the file as what its first bytes say it is.

    Raises:
        FeedError: it is a directory, or is no CSV and no Parquet file.
        ConfigError: it is Parquet and duckdb is not installed.
    """
    if Path(path).is_dir():
        raise FeedError("is a directory", where=path, remedy=f"Name its files: {path}/*.csv")
    try:
        with Path(path).open("rb") as raw:
            is_parquet = raw.read(4) == _PARQUET
    except OSError as error:
        raise FeedError(f"cannot be opened ({error.strerror})", where=path, remedy="Check the path") from None
    return ParquetTable(path) if is_parquet else CsvTable(path)


def digest_of(paths: Iterable[str]) -> str:
    """Return the sha256 of the file's bytes; of several files, the sha256 over their digests in order."""
    digests = [_digest(path) for path in paths]
    if len(digests) == 1:
        return digests[0].hex()
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _digest(path: str) -> bytes:
    state = hashlib.sha256()
    with Path(path).open("rb") as raw:
        while block := raw.read(_BLOCK):
            state.update(block)
    return state.digest()
