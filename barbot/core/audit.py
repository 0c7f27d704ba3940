"""What the engine did, as records. Floor 2.

The engine appends to a list; the rim drains it and makes the digest, the audit file, the log and the counters
of it. A closed `Bar` stands for itself (the commonest record by far gets no wrapper: it costs one append); an
`Order` is an order's new status and a `Fill` a fill. Records marked "digest" are callbacks and orders: equal
journals give equal digests. Fields are the format (array-like, tagged).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from barbot.model.market import Bar, Connected, Disconnected, Gap, Quote, Trade
from barbot.model.order import Fill, Order


class Opened(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="open"):
    """A bar opened (digest)."""

    bar: Bar


class Updated(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="update"):
    """A forming bar changed (digest)."""

    bar: Bar


class Corrected(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="correct"):
    """A closed bar was amended (digest)."""

    bar: Bar
    previous: Bar


class Gapped(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="gap"):
    """A feed has a hole (digest)."""

    gap: Gap


class Seen(msgspec.Struct, frozen=True, array_like=True, tag="seen"):
    """A trade, a quote or a connection event was shown to a hook (digest)."""

    event: Trade | Quote | Connected | Disconnected


class DataRefused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """Market data was not believed: feed, rule, time of our clock, and the data as text."""

    feed: str
    reason: str
    ts: int
    data: str


class HistoryAsked(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
    """The venue's history of `[ts_from, ts_to)` is wanted; the rim fetches it and answers `HistoryBars`."""

    feed: str
    ts_from: int
    ts_to: int
    ts: int


class OrderRefused(msgspec.Struct, frozen=True, array_like=True, tag="order_refused"):
    """The risk gate said no to an order: which rule, and why in words."""

    client_order_id: str
    rule: str
    reason: str
    ts: int


class Assumed(msgspec.Struct, frozen=True, array_like=True, tag="assumed"):
    """A paper fill rests on an assumption, because the data hide what happened."""

    client_order_id: str
    assumption: str
    ts: int


class Anomaly(msgspec.Struct, frozen=True, array_like=True, tag="anomaly"):
    """A venue said something about an order that cannot be; it was not applied."""

    client_order_id: str
    problem: str
    ts: int


class Logged(msgspec.Struct, frozen=True, array_like=True, tag="log"):
    """A strategy wrote a line."""

    level: str
    text: str
    fields: dict[str, str | int | float | bool | None]
    ts: int


class HookFailed(msgspec.Struct, frozen=True, array_like=True, tag="hook_failed"):
    """A hook raised and `on_error = "continue"` kept the run going."""

    hook: str
    problem: str
    ts: int


class HookSlow(msgspec.Struct, frozen=True, array_like=True, tag="hook_slow"):
    """A hook took longer than its budget; durations are of this machine and never in the digest."""

    hook: str
    seconds: float
    ts: int


class Equity(msgspec.Struct, frozen=True, gc=False):
    """A point of the equity curve: cash and positions at `ts`, by currency. Not in the audit list."""

    ts: int
    amounts: tuple[tuple[str, Decimal], ...]


AuditRecord: TypeAlias = (
    Bar
    | Opened
    | Updated
    | Corrected
    | Gapped
    | Seen
    | Order
    | Fill
    | DataRefused
    | HistoryAsked
    | OrderRefused
    | Assumed
    | Anomaly
    | Logged
    | HookFailed
    | HookSlow
)

IN_DIGEST: Final[frozenset[type]] = frozenset({Bar, Opened, Updated, Corrected, Gapped, Seen, Order, Fill})
"""The kinds of record that the run's digest is made of."""
