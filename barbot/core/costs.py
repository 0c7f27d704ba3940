"""What trading costs on paper: fees, slippage, latency. Floor 2; pure functions, each easily replaced.

A `Costs` holds one function for each; write your own with the same signature to model another venue.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, Literal, TypeAlias

import msgspec

from barbot.core.ledger import EXACT, ZERO
from barbot.errors import ConfigError
from barbot.model.instrument import Instrument, to_decimal
from barbot.model.market import Quote, Side
from barbot.model.order import Liquidity

Fees: TypeAlias = Callable[[Instrument, Decimal, Liquidity], Decimal]
"""(instrument, notional, liquidity) -> fee in the instrument's currency, positive when paid."""

Slippage: TypeAlias = Callable[[Decimal, Side, Quote | None], Decimal | None]
"""(price, side of the order, last quote) -> the price taken instead; None when it cannot tell."""

Latency: TypeAlias = Callable[[int], int]
"""Time at which an order or cancel leaves -> time at which it is at the venue."""

_BPS: Final = Decimal(10_000)
_HALF: Final = Decimal("0.5")
_BUY: Final = Side.BUY
_MAKER: Final = Liquidity.MAKER
_multiply: Final = EXACT.multiply


def bps_fees(maker_bps: Decimal, taker_bps: Decimal) -> Fees:
    """Charge basis points of the notional; negative basis points are a rebate."""
    maker, taker = EXACT.divide(maker_bps, _BPS), EXACT.divide(taker_bps, _BPS)

    def fees(_instrument: Instrument, notional: Decimal, liquidity: Liquidity) -> Decimal:
        rate = maker if liquidity is _MAKER else taker
        return _multiply(notional, rate) if rate else ZERO

    return fees


def no_slippage(price: Decimal, _side: Side, _quote: Quote | None) -> Decimal:
    """Take the market's price as it is."""
    return price


def bps_slippage(bps: Decimal) -> Slippage:
    """Make every price worse by basis points."""
    up = EXACT.add(Decimal(1), EXACT.divide(bps, _BPS))
    down = EXACT.subtract(Decimal(1), EXACT.divide(bps, _BPS))

    def slip(price: Decimal, side: Side, _quote: Quote | None) -> Decimal:
        return _multiply(price, up if side is _BUY else down)

    return slip


def half_spread_slippage(price: Decimal, side: Side, quote: Quote | None) -> Decimal | None:
    """Make every price worse by half the last quoted spread; None without a sound quote."""
    if quote is None or not quote.bid <= quote.ask:
        return None
    half = _multiply(EXACT.subtract(to_decimal(quote.ask), to_decimal(quote.bid)), _HALF)
    return EXACT.add(price, half) if side is _BUY else EXACT.subtract(price, half)


def no_latency(now: int) -> int:
    """Be at the venue at once."""
    return now


def constant_latency(latency_ns: int) -> Latency:
    """Be at the venue `latency_ns` later, always."""

    def arrive(now: int) -> int:
        return now + latency_ns

    return arrive


def against(price: Decimal, side: Side, instrument: Instrument) -> Decimal:
    """Return `price` on the tick that is worse for the account: up for a buy, down for a sell."""
    tick = instrument.price_increment
    if tick is None:
        return price
    rounding = ROUND_CEILING if side is _BUY else ROUND_FLOOR
    return _multiply(EXACT.divide(price, tick).to_integral_value(rounding, EXACT), tick)


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """The three functions a paper venue charges by."""

    fees: Fees = bps_fees(ZERO, ZERO)
    slippage: Slippage = no_slippage
    latency: Latency = no_latency


class PaperSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may set of the paper venue; fees and slippage in basis points (1 bps is 0.0001).

    `limit_fill` says whether a resting limit fills when the price touches it or only when it trades through.
    `volume_limit` is the fraction of an event's volume that can be filled; None fills everything.
    """

    maker_bps: Decimal = ZERO
    taker_bps: Decimal = ZERO
    slippage: Literal["none", "bps", "half_spread"] = "none"
    slippage_bps: Decimal = ZERO
    latency_ns: int = 0
    limit_fill: Literal["touch", "through"] = "touch"
    volume_limit: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ConfigError: a value is out of its range.
        """
        if not ZERO <= self.slippage_bps < 10_000:
            raise ConfigError(f"{self.slippage_bps} is out of range", where="slippage_bps", remedy="Give 0 to 9999")
        if self.latency_ns < 0:
            raise ConfigError(f"{self.latency_ns} is negative", where="latency_ns", remedy="Give 0 or more")
        if self.volume_limit is not None and not ZERO < self.volume_limit <= 1:
            raise ConfigError(
                f"{self.volume_limit} is not a fraction",
                where="volume_limit",
                remedy="Give more than 0 and at most 1, 0.1 for a tenth of the volume",
            )

    def costs(self) -> Costs:
        """Return the functions that these settings mean."""
        slippage: dict[str, Slippage] = {
            "none": no_slippage,
            "bps": bps_slippage(self.slippage_bps),
            "half_spread": half_spread_slippage,
        }
        return Costs(
            fees=bps_fees(self.maker_bps, self.taker_bps),
            slippage=slippage[self.slippage],
            latency=constant_latency(self.latency_ns) if self.latency_ns else no_latency,
        )
