"""A market that wanders by itself: a seeded random walk with trades. Floor 4.

The walk is a Brownian bridge, halved again and again down to the minute, so that the price of any minute is found
in a few steps from nothing but the seed: nothing has to be generated in order and nothing is kept. Every 91 days
(2**17 minutes) it comes home to the starting price, so a venue may run for years.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import sqrt
from typing import Final

import msgspec

from barbot.errors import ConfigError
from barbot.sim.market import Listing, Tick
from barbot.sim.seeded import draw, fraction, happens, key_of, normal
from barbot.timing.interval import MINUTE

_SPAN: Final = 1 << 17
_MILLISECOND: Final = 1_000_000
_PER_MINUTE: Final = 1_000_000_000
"""Sequence numbers a minute may use; with the minute in front they have 17 digits, as KuCoin's of today."""
_MOST_TRADES: Final = 60_000
_KEPT: Final = 4
_TRADES_PER_MINUTE: Final = 12.0

_KNOWN: Final = {
    "BTC-USDT": ("65000", 1, 8),
    "ETH-USDT": ("3200", 2, 7),
    "KCS-USDT": ("10.5", 3, 4),
    "SOL-USDT": ("150", 2, 4),
    "XRP-USDT": ("0.55", 5, 4),
    "DOGE-USDT": ("0.12", 5, 4),
    "ETH-BTC": ("0.049", 6, 7),
}
"""Starting price, decimals of the price, decimals of the size."""
_FUTURES_SUFFIX: Final = "USDTM"


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """How one symbol is traded. Times are ns; fractions are fractions."""

    price: Decimal = Decimal(100)
    volatility: float = 0.0004
    """Deviation of a minute's return."""
    trades_per_minute: float = _TRADES_PER_MINUTE
    silent_fraction: float = 0.0
    """How many of the minutes have no trade at all, chosen by the seed."""
    silences: tuple[tuple[int, int], ...] = ()
    """Spans `[ts_from, ts_to)` without a trade."""
    mean_size: Decimal = Decimal("0.05")

    def __post_init__(self) -> None:
        if not (self.price > 0 and self.mean_size > 0 and self.volatility >= 0):
            raise ConfigError("a walk needs a positive price and size", remedy="Give price and mean_size above 0")
        if not (0 <= self.trades_per_minute <= _MOST_TRADES and 0 <= self.silent_fraction <= 1):
            raise ConfigError(
                "a walk cannot trade like that",
                remedy=f"Give trades_per_minute from 0 to {_MOST_TRADES} and silent_fraction from 0 to 1",
            )


class WalkTape:
    """The trades of one symbol, made up when they are asked for."""

    def __init__(self, listing: Listing, walk: Walk, *, seed: int, ts_first: int = 0) -> None:
        """Trade `listing` from `ts_first` on."""
        self.listing = listing
        self.ts_first = ts_first
        self.ts_last: int | None = None
        self._walk = walk
        key = key_of(seed, "walk", listing.symbol)
        self._steps, self._counts, self._quiet, self._trades = (key_of(key, part) for part in range(4))
        self._price = float(walk.price.scaleb(listing.price_decimals)) / listing.price_step
        self._sizes = max(int(walk.mean_size.scaleb(listing.size_decimals)) * 2, 1)
        self._path: list[tuple[int, int, float, float]] = []
        self._kept: list[tuple[int, Sequence[Tick]]] = [(-1, ())] * _KEPT

    def minute(self, index: int) -> Sequence[Tick]:
        """Return the trades of `[index, index + 1)` minutes since the epoch, in order."""
        slot = index % _KEPT
        kept, ticks = self._kept[slot]
        if kept != index:
            ticks = self._make(index)
            self._kept[slot] = (index, ticks)
        return ticks

    def _make(self, index: int) -> Sequence[Tick]:
        count = self._count(index)
        if not count:
            return ()
        draws = [draw(self._trades, index * _MOST_TRADES + number) for number in range(count)]
        draws.sort(key=_offset)
        start, end = self._level(index), self._level(index + 1)
        base, step, sizes, noise = self._price, self.listing.price_step, self._sizes, self._walk.volatility
        ticks = []
        for number, bits in enumerate(draws, 1):
            offset = _offset(bits)
            level = start + (end - start) * (offset / 60_000) + noise * ((bits >> 32 & 0xFFFF) / 65_536 - 0.5)
            ticks.append(
                Tick(
                    index * MINUTE + offset * _MILLISECOND,
                    max(round(base * (1.0 + level)), 1) * step,
                    1 + ((bits >> 48 & 0x7FFF) * sizes >> 15),
                    bits >> 63 == 1,
                    index * _PER_MINUTE + number,
                )
            )
        ticks = [tick for tick in ticks if tick.ts >= self.ts_first]
        if self._walk.silences:
            ticks = [tick for tick in ticks if not self._is_silent(tick.ts)]
        return ticks

    def _count(self, index: int) -> int:
        if (index + 1) * MINUTE <= self.ts_first or happens(self._quiet, index, self._walk.silent_fraction):
            return 0
        wanted = self._walk.trades_per_minute * (0.5 + fraction(self._counts, index))
        whole = int(wanted)
        return min(whole + happens(self._counts, -1 - index, wanted - whole), _MOST_TRADES)

    def _is_silent(self, ts: int) -> bool:
        return any(start <= ts < end for start, end in self._walk.silences)

    def _level(self, index: int) -> float:
        """Return the walk at the start of a minute: 0.1 is a tenth above the starting price."""
        path = self._path
        while path and not path[-1][0] <= index <= path[-1][1]:
            path.pop()
        if not path:
            home = index - index % _SPAN
            path.append((home, home + _SPAN, 0.0, 0.0))
        low, high, at_low, at_high = path[-1]
        while index not in (low, high):
            middle = (low + high) >> 1
            spread = self._walk.volatility * sqrt((high - low) / 4)
            at_middle = (at_low + at_high) / 2 + spread * normal(self._steps, middle)
            if index < middle:
                high, at_high = middle, at_middle
            else:
                low, at_low = middle, at_middle
            path.append((low, high, at_low, at_high))
        return max(at_low if index == low else at_high, -0.95)


def _offset(bits: int) -> int:
    """Return the millisecond within the minute that a trade's draw stands for."""
    return (bits & 0xFFFF_FFFF) * 60_000 >> 32


def walking(
    symbol: str,
    *,
    seed: int,
    ts_first: int = 0,
    trades_per_minute: float | None = None,
    silent_fraction: float = 0.0,
    silences: tuple[tuple[int, int], ...] = (),
) -> WalkTape:
    """Return a tape for a symbol of which nothing but the name is given.

    Well-known symbols start near their price and round as KuCoin's do; the others start between 1 and 100 by the
    seed. `XBTUSDTM` and its like are futures in lots.

    Raises:
        ConfigError: it is no symbol that KuCoin could have, or it cannot trade like that.
    """
    listing, price = _list(symbol, seed)
    whole = Decimal(2000) / price if listing.multiplier is None else Decimal(20)
    least = Decimal(1).scaleb(-listing.size_decimals)
    walk = Walk(
        price=price,
        trades_per_minute=_TRADES_PER_MINUTE if trades_per_minute is None else trades_per_minute,
        silent_fraction=silent_fraction,
        silences=silences,
        mean_size=max(whole.quantize(least), least),
    )
    return WalkTape(listing, walk, seed=seed, ts_first=ts_first)


def _list(symbol: str, seed: int) -> tuple[Listing, Decimal]:
    base, dash, quote = symbol.partition("-")
    if symbol.endswith(_FUTURES_SUFFIX) and len(symbol) > len(_FUTURES_SUFFIX):
        base = symbol.removesuffix(_FUTURES_SUFFIX)
        price = Decimal(65_000) if base == "XBT" else Decimal(3200)
        multiplier = Decimal("0.001") if base == "XBT" else Decimal("0.01")
        listing = Listing(
            symbol=symbol, base=base, quote="USDT", price_decimals=1, size_decimals=0, multiplier=multiplier
        )
        return listing, price
    if not (dash and base and quote and symbol == symbol.upper()):
        raise ConfigError(f"{symbol!r} is no KuCoin symbol", remedy="Write BTC-USDT, or XBTUSDTM for a future")
    if symbol in _KNOWN:
        text, prices, sizes = _KNOWN[symbol]
        price = Decimal(text)
    else:
        price, prices, sizes = 1 + Decimal(draw(key_of(seed, "price", symbol), 0) % 9900) / 100, 4, 4
    return Listing(symbol=symbol, base=base, quote=quote, price_decimals=prices, size_decimals=sizes), price
