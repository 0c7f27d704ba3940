"""What is traded, and how its prices and quantities round. Floor 1.

An instrument id is `provider:SYMBOL` with the symbol exactly as the venue spells it (`kucoin:BTC-USDT`,
`futu:HK.00700`, `alltick:700.HK`); a feed id adds the bar length (`kucoin:BTC-USDT@1m`). Rounding of anything
that leaves the house is done here and nowhere else.
"""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from functools import cached_property, lru_cache
from typing import Final

import msgspec

from barbot.errors import ConfigError
from barbot.timing.interval import Interval

EXACT: Final = Context(prec=64, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
"""The context of all money: enough digits that sums and products of prices, quantities and rates are exact.

The caller's own decimal context is neither used nor touched.
"""

_FEED: Final = re.compile(r"(?P<provider>[a-z][a-z0-9_-]*):(?P<symbol>[^@\s]+)@(?P<interval>[^@\s]+)")
_INSTRUMENT: Final = re.compile(r"(?P<provider>[a-z][a-z0-9_-]*):(?P<symbol>[^@\s]+)")
_ABSURD: Final = Decimal(10) ** 40
_DEFAULT_QUANTITY_INCREMENT: Final = Decimal("0.00000001")
_ONE: Final = Decimal(1)
_read: Final = EXACT.create_decimal


class FeedId(msgspec.Struct, frozen=True):
    """An instrument and a bar length; prints as `kucoin:BTC-USDT@1m`."""

    provider: str
    symbol: str
    interval: Interval

    @classmethod
    def parse(cls, text: str) -> FeedId:
        """Read `"kucoin:BTC-USDT@1m"`.

        Raises:
            ConfigError: not `provider:symbol@interval`, or no such interval.
        """
        return _parse_feed(text)

    def __str__(self) -> str:
        return f"{self.provider}:{self.symbol}@{self.interval}"

    @property
    def instrument(self) -> str:
        """The instrument id, `kucoin:BTC-USDT`."""
        return f"{self.provider}:{self.symbol}"


@lru_cache(maxsize=4096)
def _parse_feed(text: str) -> FeedId:
    match = _FEED.fullmatch(text)
    if not match:
        raise ConfigError(
            f"{text!r} is not a feed",
            remedy="Write provider:symbol@interval, for example kucoin:BTC-USDT@1m",
        )
    return FeedId(match["provider"], match["symbol"], Interval.parse(match["interval"]))


def check_instrument_id(text: str) -> str:
    """Return `text` if it reads `provider:SYMBOL`.

    Raises:
        ConfigError: it does not.
    """
    if not _INSTRUMENT.fullmatch(text):
        raise ConfigError(f"{text!r} is not an instrument", remedy="Write provider:symbol, for example kucoin:BTC-USDT")
    return text


class Instrument(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One tradable thing of one venue.

    Increments of `None` mean "not known": prices then pass unrounded, quantities round to eight decimals.
    `currency` is what prices and fees are in; `base` is what a quantity counts ("" where it is the thing
    itself, such as a share). `multiplier` turns quantity times price into money (futures lots).
    `calendar` names the market's sessions: `24/7`, `24/5` or an exchange code such as `XHKG`.
    """

    provider: str
    symbol: str
    currency: str
    base: str = ""
    price_increment: Decimal | None = None
    quantity_increment: Decimal | None = None
    min_quantity: Decimal | None = None
    max_quantity: Decimal | None = None
    min_notional: Decimal | None = None
    multiplier: Decimal = Decimal(1)
    calendar: str = "24/7"

    @classmethod
    def bare(cls, instrument_id: str, *, currency: str = "", calendar: str = "24/7") -> Instrument:
        """Make an instrument of which nothing but the name is known.

        Without a `currency` the part after the last dash is taken (`BTC-USDT` is priced in USDT), else USD.
        """
        provider, _, symbol = check_instrument_id(instrument_id).partition(":")
        base, dash, quote = symbol.rpartition("-")
        if not dash:
            base, quote = "", "USD"
        return cls(provider=provider, symbol=symbol, currency=currency or quote, base=base, calendar=calendar)

    @cached_property
    def id(self) -> str:
        """`provider:SYMBOL`."""
        return f"{self.provider}:{self.symbol}"

    @cached_property
    def has_bounds(self) -> bool:
        """Whether an order can be too small or too large for the venue."""
        return not (self.min_quantity is None and self.max_quantity is None and self.min_notional is None)

    def round_price(self, price: Decimal | float | int | str) -> Decimal:
        """Return `price` on the nearest tick (ties to even), or unrounded where the tick is unknown."""
        exact = to_decimal(price)
        if self.price_increment is None or not exact.is_finite() or abs(exact) > _ABSURD:
            return exact  # what no tick can mend is for the risk gate to refuse
        return _snap(exact, self.price_increment, ROUND_HALF_EVEN)

    def round_quantity(self, quantity: Decimal | float | int | str) -> Decimal:
        """Return `quantity` on the lot grid, towards zero: never more than was asked for."""
        return _snap(to_decimal(quantity), self.quantity_increment or _DEFAULT_QUANTITY_INCREMENT, ROUND_DOWN)


def to_decimal(value: Decimal | float | int | str) -> Decimal:
    """Return what a person reads: the shortest decimal that is the same float, never its binary expansion."""
    if value.__class__ is float:
        return _read(repr(value))  # every order comes here with the market's price: a sixth less than what follows
    if isinstance(value, float):
        return Decimal(float.__repr__(value))  # numpy's float64 is a float that prints itself as np.float64(...)
    return value if isinstance(value, Decimal) else Decimal(str(value))  # str: numpy's other numbers


def _snap(value: Decimal, increment: Decimal, rounding: str) -> Decimal:
    lots = EXACT.divide(value, increment).quantize(_ONE, rounding, EXACT)
    return EXACT.multiply(lots, increment)
