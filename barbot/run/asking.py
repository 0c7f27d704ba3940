"""Ask venues over HTTP and open connections no more often than they allow, and again where that helps. Floor 4."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

import anyio

from barbot.errors import DecodeError, LinkLost
from barbot.providers.base import Adapter, Answer, Effect, Fetch, Problem, Provider, Purpose
from barbot.providers.limits import RateLimit, RateLimiter
from barbot.run.network import Network
from barbot.timing.clock import PacedClock
from barbot.timing.interval import SECOND

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0

PATIENCE_S: Final = {Purpose.STARTUP: 10.0, Purpose.CREDENTIALS: 3.0, Purpose.HISTORY: 25.0}
"""For how long a request is repeated that fails. A tracker waits 30 s and more for history; who dials tries again."""
_LONGEST_ADVICE_S: Final = 60.0
"""A venue that wants to be left alone for no longer is asked once more, however short patience is."""
_WORTH_TELLING_S: Final = 5.0


class Turns:
    """Lets its callers do something in the order in which they ask, and no more often than a limit allows."""

    def __init__(self, limit: RateLimit, clock: PacedClock) -> None:
        """Keep `limit`."""
        self._limiter = RateLimiter(limit)
        self._clock = clock
        self._lock = anyio.Lock()

    async def take(self) -> None:
        """Wait for a turn and take it; who is cancelled while waiting has taken none."""
        async with self._lock:
            while (turn := self._limiter.free_at(now := self._clock.now())) > now:
                await pause((turn - now) / SECOND, self._clock)
            self._limiter.take(now)


class Asker:
    """Makes the fetches of a run, and hands out turns to dial."""

    def __init__(
        self, network: Network, clock: PacedClock, *, tell: Callable[[Problem], object] = lambda _: None
    ) -> None:
        """Ask through `network`; `tell` hears of long waits."""
        self._network = network
        self._clock = clock
        self._tell = tell
        self._fetches: dict[str, Turns] = {}
        self._dials: dict[str, Turns] = {}

    async def turn_to_dial(self, provider: Provider) -> None:
        """Wait until one more connection may be opened."""
        await self._turn(self._dials, provider, provider.dial_limit)

    async def ask(self, adapter: Adapter, fetch: Fetch) -> Answer:
        """Fetch, again where the adapter advises it and while patience lasts; what never came has status 0."""
        began, tries = self._clock.now(), 0
        while True:
            await self._turn(self._fetches, adapter.provider, adapter.provider.fetch_limit)
            answer = await self._fetch(fetch)
            tries += 1
            began = began if tries > 1 else answer.ts_sent  # what waiting for the first turn took does not count
            after_s = adapter.retry_after(fetch, answer)
            if after_s is None:
                return answer
            wait_s = max(after_s, FIRST_PAUSE_S * 2 ** min(tries - 2, 7) if tries > 1 else 0.0)
            is_advised = tries == 1 and wait_s <= _LONGEST_ADVICE_S
            if not is_advised and (self._clock.now() - began) / SECOND + wait_s > PATIENCE_S[fetch.purpose]:
                return answer
            self._tell_of(after_s, adapter.provider, answer)
            await pause(wait_s, self._clock)

    def _tell_of(self, wait_s: float, provider: Provider, answer: Answer) -> None:
        if wait_s >= _WORTH_TELLING_S:
            code = str(answer.status)
            text = f"{provider.title} wants to be left alone (HTTP {code}); it is asked again in {wait_s:.0f} s"
            self._tell(Problem(provider.name, self._clock.now(), Effect.NOTE, code, text))

    async def _turn(self, turns: dict[str, Turns], provider: Provider, limit: RateLimit | None) -> None:
        if limit is not None:
            if provider.name not in turns:
                turns[provider.name] = Turns(limit, self._clock)
            await turns[provider.name].take()

    async def _fetch(self, fetch: Fetch) -> Answer:
        sent = self._clock.now()
        try:
            found = await self._network.fetch(fetch)
        except (LinkLost, DecodeError) as error:
            return Answer(status=0, body=str(error), ts_sent=sent, ts_recv=self._clock.now())
        return Answer(
            status=found.status, body=found.body, headers=found.headers, ts_sent=sent, ts_recv=self._clock.now()
        )


async def pause(seconds: float, clock: PacedClock) -> None:
    """Let `seconds` of the venue's time pass."""
    await anyio.sleep(max(seconds, 0.0) / clock.speed)


def pause_s(name: str, failures: int, now: int) -> float:
    """Return how long to wait before the next dial: doubling, capped, and spread so that not all dial at once.

    The spread comes from the plan's name and the time, so that two machines that lost a venue together part.
    """
    longest: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * float(2 ** min(failures - 1, 10)))
    spread = zlib.crc32(f"{name}/{failures}/{now}".encode()) / 2**32
    return longest * (0.5 + spread / 2)
