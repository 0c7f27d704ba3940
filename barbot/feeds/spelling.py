"""Which column of a file plays which role: the usual spellings, and which wins. Floor 3.

Names are compared without case, spaces and punctuation (`Open Time`, `open_time`, `openTime` are one). Where
a file has several candidates for a role, the one named earlier in the lists below is taken. A bar's time is
special: a name that says which end it means (`open_time`, `end`) is believed, and one that contradicts the
stated label is refused, because a mislabelled bar is a look into the future.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from barbot.errors import FeedError
from barbot.feeds.options import Kind, Label

_NOISE: Final = re.compile(r"[^a-z0-9]+")

_OPENING: Final = (
    "opentime",
    "tsopen",
    "timeopen",
    "start",
    "starttime",
    "barstart",
    "barstartms",
    "windowstart",
    "begin",
)
_ENDING: Final = ("closetime", "tsclose", "timeclose", "end", "endtime", "endutc", "barend", "windowend")
_MOMENT: Final = (
    "timestamp",
    "ts",
    "time",
    "datetime",
    "date",
    "timekey",
    "timestampms",
    "unix",
    "unixtime",
    "epoch",
    "tsevent",
    "eventtime",
    "t",
)

_BAR_ROLES: Final[dict[str, tuple[str, ...]]] = {
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "closeprice"),
    "volume": ("volume", "vol", "v", "basevolume", "volumebase", "quantity", "qty", "size"),
    "turnover": ("turnover", "quotevolume", "quoteassetvolume", "volumequote", "amount", "value"),
}
_TRADE_ROLES: Final[dict[str, tuple[str, ...]]] = {
    "time": (
        "tradets",
        "tradetime",
        "tradems",
        "tstrade",
        "transacttime",
        "tsevent",
        "eventts",
        "eventtime",
        "eventms",
        *_MOMENT,
    ),
    "received": (
        "recvts",
        "tsrecv",
        "receivetime",
        "receivedtime",
        "recvtime",
        "received",
        "tsreceived",
        "localtimestamp",
    ),
    "price": ("price", "p", "px", "tradeprice", "last", "lastprice"),
    "size": ("size", "quantity", "qty", "volume", "vol", "amount", "q", "sz", "lastsize"),
    "side": ("side", "aggressor", "aggressorside", "takerside", "direction"),
    "buyer_maker": ("buyermaker", "isbuyermaker", "buyerismaker"),
    "id": ("id", "tradeid", "aggtradeid", "aggid", "sequence", "seq"),
}
_QUOTE_ROLES: Final[dict[str, tuple[str, ...]]] = {
    "time": ("tsevent", "eventts", "eventtime", "eventms", "quotetime", "quotets", *_MOMENT),
    "received": _TRADE_ROLES["received"],
    "bid": ("bid", "bidprice", "bidpx", "bestbid", "bidpx00", "bestbidprice"),
    "ask": ("ask", "askprice", "askpx", "bestask", "askpx00", "bestaskprice", "offer"),
    "bid_size": ("bidsize", "bidsz", "bidqty", "bidquantity", "bidvolume", "bidsz00", "bestbidsize"),
    "ask_size": ("asksize", "asksz", "askqty", "askquantity", "askvolume", "asksz00", "bestasksize"),
}
_SYMBOL: Final = ("symbol", "ticker", "code", "instrument", "instrumentid", "pair", "market")
_NEEDED: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.BARS: ("open", "high", "low", "close"),
    Kind.TRADES: ("price", "size"),
    Kind.QUOTES: ("bid", "ask"),
}
_ROLES: Final = {Kind.BARS: _BAR_ROLES, Kind.TRADES: _TRADE_ROLES, Kind.QUOTES: _QUOTE_ROLES}


def plain(name: str) -> str:
    """Return a column's name as names are compared: lower case, letters and digits only."""
    return _NOISE.sub("", name.lower())


def recognise(columns: Sequence[str], label: Label, where: str) -> tuple[Kind, dict[str, str]]:
    """Return what the rows are, and for each role that the file fills the column that fills it.

    Raises:
        FeedError: a column that is needed is missing, or the time's name contradicts `label`.
    """
    known = {plain(name): name for name in reversed(columns)}
    kind = _kind(known)
    roles = {role: found for role, names in _ROLES[kind].items() if (found := _first(names, known))}
    for role in _NEEDED[kind]:
        if role not in roles:
            raise _missing(role, _ROLES[kind][role], columns, where)
    if kind is Kind.BARS:
        roles["time"] = _bar_time(known, columns, label, where)
    elif "time" not in roles:
        raise _missing("time", _ROLES[kind]["time"], columns, where)
    if symbol := _first(_SYMBOL, known):
        roles["symbol"] = symbol
    return kind, roles


def _kind(known: Mapping[str, str]) -> Kind:
    """Return the kind of which all that is needed is there, else the one most of which is there."""

    def share(kind: Kind) -> float:
        needed = _NEEDED[kind]
        return sum(1 for role in needed if _first(_ROLES[kind][role], known)) / len(needed)

    return max(Kind, key=share)


def _bar_time(known: Mapping[str, str], columns: Sequence[str], label: Label, where: str) -> str:
    agreeing, contrary = (_OPENING, _ENDING) if label == "open" else (_ENDING, _OPENING)
    if found := _first((*agreeing, *_MOMENT), known):
        return found
    if found := _first(contrary, known):
        other = "close" if label == "open" else "open"
        raise FeedError(
            f"column {found!r} names the {'end' if other == 'close' else 'opening'} of a bar, but the label "
            f"is {label!r}",
            where=where,
            remedy=f"Add --label {other}",
        )
    raise _missing("time", _MOMENT, columns, where)


def _first(names: Sequence[str], known: Mapping[str, str]) -> str | None:
    return next((known[name] for name in names if name in known), None)


def _missing(role: str, names: Sequence[str], columns: Sequence[str], where: str) -> FeedError:
    listed = ", ".join(columns) or "none"
    usual = ", ".join(names[:4])
    return FeedError(
        f"has no {role} column (its columns: {listed})",
        where=where,
        remedy=f"Name one of them {role} ({usual})",
    )
