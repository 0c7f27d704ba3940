"""Whether venues can be reached from here, and how far our clock is from theirs. Floor 4. Nothing is subscribed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import anyio
import msgspec

from barbot.errors import BarbotError, ConfigError
from barbot.providers.base import Adapter, Answer, ConnectionPlan, Fetch
from barbot.run.network import Network
from barbot.run.startup import make_adapter
from barbot.timing.clock import Clock
from barbot.timing.interval import SECOND

State: TypeAlias = Literal["ok", "note", "broken"]

TIMEOUT_S: Final = 10.0
_CLOSE_S: Final = 1.0
_CLOCK_OFF_NS: Final = SECOND
"""A clock that is further off is worth a line: bars are closed by the venue's, but files are stamped by ours."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    what: str
    state: State
    text: str
    """One line, with the remedy where there is something to mend."""


async def check_venue(
    name: str, settings: Mapping[str, object], endpoint: str, network: Network, clock: Clock
) -> list[Finding]:
    """Return what is found of the venue: its HTTP interface, its clock, its stream. Whatever fails ends it."""
    needed = bool(endpoint or settings.get("endpoint"))
    found: list[Finding] = []
    try:
        with anyio.fail_after(TIMEOUT_S):
            adapter = make_adapter(name, (), settings=settings, endpoint=endpoint)
            await _ask(name, adapter, network, clock, found)
            await _dial(name, adapter, network, clock, found)
    except ConfigError as error:
        found.append(Finding(name, "broken", str(error)))
    except (BarbotError, TimeoutError) as error:
        text = str(error) or f"no answer within {TIMEOUT_S:g} s. Check the network"
        found.append(Finding(name, "broken" if needed else "note", text))
    return found


async def _ask(name: str, adapter: Adapter, network: Network, clock: Clock, found: list[Finding]) -> None:
    slowest_ns, host = 0, ""
    for fetch in adapter.startup():
        answer = await _fetched(fetch, network, clock)
        adapter.receive_startup(fetch, answer)
        slowest_ns, host = max(slowest_ns, answer.ts_recv - answer.ts_sent), _host(fetch.url)
    if host:
        found.append(Finding(name, "ok", f"{host} answers in {slowest_ns / 1e6:,.0f} ms"))
    if adapter.clock is not None:
        found.append(_clock(name, adapter.clock.ns, adapter.clock.uncertainty_ns))


def _clock(name: str, ns: int, uncertainty_ns: int) -> Finding:
    text = f"our clock is {abs(ns) / SECOND:,.3f} s {'behind' if ns > 0 else 'ahead of'} the venue's"
    text += f", give or take {uncertainty_ns / 1e6:,.0f} ms"
    if abs(ns) - uncertainty_ns <= _CLOCK_OFF_NS:
        return Finding(f"{name} clock", "ok", text)
    return Finding(f"{name} clock", "note", f"{text}. A live run goes by the venue's; let the system set ours (NTP)")


async def _dial(name: str, adapter: Adapter, network: Network, clock: Clock, found: list[Finding]) -> None:
    plan = ConnectionPlan(name=f"{name}-1", feeds=())
    fetch = adapter.credentials(plan)
    answer = await _fetched(fetch, network, clock) if fetch is not None else None
    dial = adapter.dial(plan, f"{plan.name}#1", answer, clock.now())
    began = clock.now()
    link = await network.dial(dial)
    took_ns = clock.now() - began
    await link.close(_CLOSE_S)
    found.append(Finding(f"{name} stream", "ok", f"{_host(dial.url)} connects in {took_ns / 1e6:,.0f} ms"))


async def _fetched(fetch: Fetch, network: Network, clock: Clock) -> Answer:
    sent = clock.now()
    found = await network.fetch(fetch)
    return Answer(status=found.status, body=found.body, headers=found.headers, ts_sent=sent, ts_recv=clock.now())


def _host(url: str) -> str:
    """Return scheme and host: the rest may hold a secret."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
