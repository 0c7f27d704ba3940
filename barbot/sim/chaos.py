"""What goes wrong at a fake venue, and when: a script of faults, seeded chances, or both. Floor 4.

Nothing here acts: a simulator asks before it acts. All answers are functions of the settings and of time, so a run
in virtual time goes wrong in the same way each time. Which faults there are:

    drop             connections are cut, without a close
    outage           connections are cut and none is accepted
    late_update      the last word on a candle is sent after the first of the next one
    reorder          two pushes change places
    duplicate        a push is sent twice
    garbage          something unreadable is sent between two pushes
    token_expiry     tokens issued so far expire, and the connections made with them end
    slow             everything is sent `amount_s` later
    clock_skew       the venue's clock is `amount_s` ahead (behind, if negative)
    history_refused  candles are not to be had over REST
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

import msgspec

from barbot.errors import ConfigError
from barbot.sim.seeded import draw, happens, key_of
from barbot.timing.interval import MINUTE, SECOND

Kind = Literal[
    "drop",
    "outage",
    "late_update",
    "reorder",
    "duplicate",
    "garbage",
    "token_expiry",
    "slow",
    "clock_skew",
    "history_refused",
]
Mishap = Literal["late_update", "reorder", "duplicate", "garbage"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
FOREVER: Final = float("inf")
_AMOUNT: Final = ("slow", "clock_skew")
_LONGEST_SEARCH: Final = 1_000_000


class Fault(msgspec.Struct, frozen=True):
    """One entry of a script: from `at` (ns) for `seconds`; a drop and a token expiry are moments.

    `amount_s` is the delay of `slow` and the offset of `clock_skew`. With `every_s` it comes again and again.
    """

    at: int
    kind: Kind
    seconds: float = FOREVER
    amount_s: float = 0.0
    every_s: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"no fault is called {self.kind!r}", remedy=f"Use one of: {', '.join(KINDS)}")
        if self.seconds <= 0 or self.every_s < 0:
            raise ConfigError(f"a fault cannot last {self.seconds:g} s", remedy="Give it some seconds")
        if self.kind in _AMOUNT and not self.amount_s:
            raise ConfigError(f"{self.kind} by nothing does nothing", remedy="Give amount_s")
        if self.kind == "slow" and self.amount_s < 0:
            raise ConfigError("a venue cannot answer before it is asked", remedy="Give slow a positive amount_s")

    def holds(self, now: int) -> bool:
        """Whether it is on at `now`."""
        if now < self.at:
            return False
        since = (now - self.at) / SECOND
        return (since % self.every_s if self.every_s else since) < self.seconds

    def next_start(self, after: int) -> int | None:
        """Return when it begins next, strictly after `after`; None if never again."""
        if self.at > after:
            return self.at
        if not self.every_s:
            return None
        period = round(self.every_s * SECOND)
        return self.at + ((after - self.at) // period + 1) * period


class Chances(msgspec.Struct, frozen=True, kw_only=True):
    """How often things go wrong by themselves, as fractions: of pushes, of candles, of connection minutes."""

    drop: float = 0.0
    """That a connection is cut, for each minute of its life."""
    late_update: float = 0.0
    reorder: float = 0.0
    duplicate: float = 0.0
    garbage: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}: {getattr(self, name)} is no chance", remedy="Give 0 to 1")


class Chaos:
    """Answers whether something goes wrong now."""

    def __init__(self, script: Sequence[Fault] = (), chances: Chances | None = None, *, seed: int = 0) -> None:
        """Keep the script; its times are the venue's, those of `clock_skew` true ones."""
        self._chances = chances or Chances()
        self._script: dict[Kind, list[Fault]] = {kind: [] for kind in KINDS}
        for fault in script:
            self._script[fault.kind].append(fault)
        self._drops = key_of(seed, "drops")
        self._mishaps = {kind: key_of(seed, kind) for kind in KINDS}

    def is_down(self, now: int) -> bool:
        """Whether no connection is accepted."""
        return self._holds("outage", now)

    def refuses_history(self, now: int) -> bool:
        """Whether candles are refused over REST."""
        return self._holds("history_refused", now)

    def delay(self, now: int) -> int:
        """Return by how many ns everything is late."""
        return sum(round(fault.amount_s * SECOND) for fault in self._script["slow"] if fault.holds(now))

    def skew(self, now: int) -> int:
        """Return how far the venue's clock is ahead at the true time `now`, in ns."""
        return sum(round(fault.amount_s * SECOND) for fault in self._script["clock_skew"] if fault.holds(now))

    def tokens_void(self, now: int) -> int:
        """Return the last scripted expiry up to `now`: tokens issued before it are void; 0 if there was none."""
        past = [_last_start(fault, now) for fault in self._script["token_expiry"] if fault.at <= now]
        return max(past, default=0)

    def next_expiry(self, after: int) -> int | None:
        """Return the next scripted expiry of all tokens, strictly after `after`."""
        return self._next("token_expiry", after)

    def next_cut(self, connection: int, after: int) -> int | None:
        """Return when the connection of that number is next cut, strictly after `after`; None if never."""
        times = [self._next("drop", after), self._next("outage", after), self._random_drop(connection, after)]
        return min((ts for ts in times if ts is not None), default=None)

    def strikes(self, kind: Mishap, what: int, now: int) -> bool:
        """Whether this goes wrong with the push or candle of key `what`."""
        if self._holds(kind, now):
            return True
        chance: float = getattr(self._chances, kind)
        return happens(self._mishaps[kind], what, chance)

    def may_strike(self, kind: Mishap) -> bool:
        """Whether this can go wrong at all: what cannot need not be prepared for."""
        return bool(self._script[kind] or getattr(self._chances, kind))

    def _holds(self, kind: Kind, now: int) -> bool:
        return any(fault.holds(now) for fault in self._script[kind])

    def _next(self, kind: Kind, after: int) -> int | None:
        times = (fault.next_start(after) for fault in self._script[kind])
        return min((ts for ts in times if ts is not None), default=None)

    def _random_drop(self, connection: int, after: int) -> int | None:
        chance = self._chances.drop
        if not chance:
            return None
        key = key_of(self._drops, connection)
        first = after // MINUTE
        for minute in range(first, first + _LONGEST_SEARCH):
            if happens(key, minute, chance):
                ts = minute * MINUTE + draw(key, -1 - minute) % MINUTE
                if ts > after:
                    return ts
        return None


def _last_start(fault: Fault, now: int) -> int:
    if not fault.every_s:
        return fault.at
    period = round(fault.every_s * SECOND)
    return fault.at + (now - fault.at) // period * period
