"""What live runs and recordings do before the first connection: adapters, the venues' clocks and symbols. Floor 4."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.util import find_spec
from threading import Event
from typing import Final, NoReturn, TypeVar

import anyio

from barbot.errors import BarbotError, ConfigError, VenueError
from barbot.model.instrument import FeedId
from barbot.providers.base import Adapter, ClockOffset, Fetch, find_provider
from barbot.run.asking import Asker
from barbot.timing.clock import PacedClock

LOOK_S: Final = 0.1
"""How often, in wall time, it is looked whether to stop: a signal handler may only set a thread's event."""

_MORE_READINGS: Final = 2

T = TypeVar("T")


def make_adapters(
    feeds: Sequence[str], *, venues: Mapping[str, Mapping[str, object]], endpoints: Mapping[str, str]
) -> list[Adapter]:
    """Return an adapter for each provider of `feeds`, in the order in which they are first named.

    Raises:
        ConfigError: no such provider, there is no live venue behind it, or a setting is wrong.
    """
    by_provider: dict[str, list[str]] = {}
    for feed in feeds:
        by_provider.setdefault(FeedId.parse(feed).provider, []).append(feed)
    return [
        make_adapter(name, own, settings=venues.get(name, {}), endpoint=endpoints.get(name, ""))
        for name, own in by_provider.items()
    ]


def make_adapter(name: str, feeds: Sequence[str], *, settings: Mapping[str, object], endpoint: str) -> Adapter:
    """Return the adapter of the provider called `name` for `feeds`.

    Raises:
        ConfigError: no such provider, there is no live venue behind it, or a setting is wrong.
    """
    provider = find_provider(name)
    if provider.make_adapter is None:
        raise ConfigError(
            f"there is no live venue behind {name!r}", where="feeds", remedy="Give a recorded one: --feed FILE"
        )
    return provider.make_adapter(settings, tuple(feeds), endpoint)


async def ask_venues(adapters: Sequence[Adapter], asker: Asker, clock: PacedClock) -> None:
    """Ask the venues for their clocks and symbols; set `clock` by the venue's, where there is but one that tells it.

    Raises:
        ConfigError: a symbol that a venue does not have.
        VenueError: a venue gave no answer that can be used.
    """
    clocks = [await _ask_venue(adapter, asker) for adapter in adapters]
    if len(clocks) == 1 and clocks[0] is not None:
        clock.shift(clocks[0].ns)


async def _ask_venue(adapter: Adapter, asker: Asker) -> ClockOffset | None:
    """Make the startup fetches; return the best of several readings of the venue's clock.

    The first answer is late by whatever opening a connection takes: 0.1 s, which at 60 times the speed are six.
    """
    readings: list[ClockOffset] = []
    timed: Fetch | None = None
    for fetch in adapter.startup():
        before = adapter.clock
        adapter.receive_startup(fetch, await asker.ask(adapter, fetch))
        if adapter.clock is not None and adapter.clock is not before:
            readings.append(adapter.clock)
            timed = fetch
    for _ in range(_MORE_READINGS if timed is not None else 0):
        assert timed is not None, "only what told the time is asked again"
        adapter.receive_startup(timed, await asker.ask(adapter, timed))
        readings += [adapter.clock] if adapter.clock is not None else []
    return min(readings, key=lambda reading: reading.uncertainty_ns, default=None)


async def unless_stopped(stop: Event, ask: Callable[[], Awaitable[T]]) -> T:
    """Return what `ask` returns.

    Raises:
        VenueError: `stop` was set before it did.
    """
    answers: list[T] = []
    try:
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                while not stop.is_set():  # noqa: ASYNC110 - a thread's event: a signal handler may set no other
                    await anyio.sleep(LOOK_S)
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            answers.append(await ask())
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise_first(group)
    if not answers:
        raise VenueError("stopped before the venue had answered; nothing was recorded")
    return answers[0]


def loop_options(backend: str) -> dict[str, bool]:
    """Return what `anyio.run` is to be told: the quicker loop where it is installed."""
    return {"use_uvloop": find_spec("uvloop") is not None} if backend == "asyncio" else {}


def raise_first(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Raise the first of barbot's own errors in `group`, or a Ctrl-C, or the group itself if there is neither."""
    for kind in (KeyboardInterrupt, BarbotError):
        found = group.subgroup(kind)
        if found is not None:
            error: BaseException = found
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None
    raise group
