"""Orders, their life and their fills. Floor 1.

Names are FIX's. Money and quantities are `Decimal`; times are ns since the epoch, UTC. An `Order` is a frozen
picture of an order at one moment: every change makes a new one, by the table `TRANSITIONS`. Orders and fills are
array-like when encoded (for the digest): the order of the fields is the format.

Write the fields' names when you make one. Only the order path itself goes by position, for it makes six of these
records an order and names double the cost of each.
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Final

import msgspec

from barbot.model.instrument import EXACT
from barbot.model.market import Side


class OrderType(enum.Enum):
    """How an order finds its price."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"


class TimeInForce(enum.Enum):
    """How long an order stands."""

    GTC = "GTC"
    """Until it is cancelled."""
    DAY = "DAY"
    """Until the trading day ends."""
    IOC = "IOC"
    """What can be filled at once is; the rest is cancelled."""
    FOK = "FOK"
    """All at once or nothing."""


class OrderStatus(enum.Enum):
    """Where an order stands in its life."""

    REFUSED = "REFUSED"
    """The risk gate said no; it never left the house."""
    PENDING_NEW = "PENDING_NEW"
    """It left; no answer yet."""
    NEW = "NEW"
    """The venue holds it."""
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    """A cancel left; no answer yet."""
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    """The venue said no."""
    EXPIRED = "EXPIRED"
    """Its time in force ended."""

    @property
    def is_open(self) -> bool:
        """Whether the order can still be filled."""
        return bool(TRANSITIONS[self])


_S = OrderStatus

TRANSITIONS: Final[dict[OrderStatus, frozenset[OrderStatus]]] = {
    _S.REFUSED: frozenset(),
    _S.PENDING_NEW: frozenset(
        {_S.NEW, _S.REJECTED, _S.PARTIALLY_FILLED, _S.FILLED, _S.PENDING_CANCEL, _S.CANCELED, _S.EXPIRED}
    ),
    _S.NEW: frozenset({_S.PARTIALLY_FILLED, _S.FILLED, _S.PENDING_CANCEL, _S.CANCELED, _S.EXPIRED, _S.REJECTED}),
    _S.PARTIALLY_FILLED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED, _S.PENDING_CANCEL, _S.CANCELED, _S.EXPIRED}),
    _S.PENDING_CANCEL: frozenset({_S.NEW, _S.PENDING_CANCEL, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED}),
    _S.FILLED: frozenset(),
    _S.CANCELED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.EXPIRED: frozenset(),
}
"""From each status, the statuses an order may go to. A status without a way out is final."""


class Liquidity(enum.Enum):
    """Whether a fill took a resting price or was the resting price."""

    MAKER = "MAKER"
    TAKER = "TAKER"


class OrderIntent(msgspec.Struct, frozen=True, gc=False):
    """What a strategy asked for, rounded to the instrument; the risk gate has not seen it yet."""

    client_order_id: str
    instrument: str
    side: Side
    quantity: Decimal
    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    ts_created: int = 0
    tag: str = ""


class Order(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An order at one moment. `average_price` is None until something was filled."""

    client_order_id: str
    instrument: str
    side: Side
    quantity: Decimal
    type: OrderType
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: TimeInForce
    status: OrderStatus
    filled_quantity: Decimal
    average_price: Decimal | None
    ts_created: int
    ts_updated: int
    reason: str = ""
    tag: str = ""

    @property
    def leaves_quantity(self) -> Decimal:
        """What can still be filled; 0 once the order is final."""
        return EXACT.subtract(self.quantity, self.filled_quantity) if self.is_open else Decimal(0)

    @property
    def is_open(self) -> bool:
        """Whether the order can still be filled."""
        return self.status.is_open


class Fill(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A part of an order that was traded. `fee` is positive when paid, in `fee_currency`."""

    client_order_id: str
    fill_id: str
    instrument: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    liquidity: Liquidity
    ts_event: int
    ts_recv: int


class ExecutionReport(msgspec.Struct, frozen=True, gc=False):
    """A venue's word on an order: its new status, and the fill that caused it if there was one.

    `assumption` says what a paper venue had to assume to answer ("" where nothing); it is audited.
    """

    client_order_id: str
    status: OrderStatus
    ts_event: int
    ts_recv: int
    fill: Fill | None = None
    reason: str = ""
    assumption: str = ""
