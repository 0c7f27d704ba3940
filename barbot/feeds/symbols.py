"""Which instrument each row of a file belongs to. Floor 3."""

from __future__ import annotations

from itertools import repeat
from typing import Final

import numpy as np
from numpy.typing import NDArray

from barbot.feeds.cells import texts
from barbot.feeds.table import Cells

UNWANTED: Final = -1


class Symbols:
    """The instruments of one file: one for all its rows, or by its symbol column.

    `instruments` grows as symbols turn up where the file is `open_ended` (nobody said what is wanted).
    `skipped` counts the rows of symbols that nobody wants.
    """

    def __init__(self, column: str | None, known: dict[str, str], *, open_ended: bool = False) -> None:
        """Know instrument ids by the spelling in `column`; without one `known` holds a single id."""
        self.column = column
        self.instruments: list[str] = list(dict.fromkeys(known.values()))
        self.skipped: dict[str, int] = {}
        self._open_ended = open_ended
        self._index = {spelling: self.instruments.index(name) for spelling, name in known.items()}

    def rows(self, cells: Cells, *, count: bool = True) -> NDArray[np.int64]:
        """Return for each row the index of its instrument, or UNWANTED (which `count` counts)."""
        spellings = texts(cells)
        if self._open_ended:
            for spelling in dict.fromkeys(spellings):
                if spelling not in self._index:
                    self._index[spelling] = len(self.instruments)
                    self.instruments.append(unbound(spelling))
        found = np.fromiter(map(self._index.get, spellings, repeat(UNWANTED)), np.int64, len(spellings))
        if count:
            for row in np.flatnonzero(found == UNWANTED).tolist():
                self.skipped[spellings[row]] = self.skipped.get(spellings[row], 0) + 1
        return found

    def forget_counts(self) -> None:
        """Start counting anew, for another pass over the file."""
        self.skipped.clear()


def unbound(symbol: str) -> str:
    """Return the instrument id of a symbol that nobody bound: as it stands if it is one, else `file:SYMBOL`."""
    provider, colon, _ = symbol.partition(":")
    whole = colon and provider.isidentifier() and provider.islower()
    clean = "_".join(symbol.replace("@", "_").split()) or "unnamed"
    return clean if whole else f"file:{clean}"
