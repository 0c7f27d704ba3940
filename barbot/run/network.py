"""The way to the venues: links and HTTP answers, each through the proxy that its address asks for. Floor 4."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Protocol
from urllib.parse import urlsplit

from barbot.errors import ConfigError
from barbot.providers.base import Dial, Fetch
from barbot.wire.http import HttpAnswer, HttpClient
from barbot.wire.link import Link
from barbot.wire.proxy import proxy_for
from barbot.wire.tcp import connect_tcp, default_tls
from barbot.wire.websocket import connect_websocket


class Network(Protocol):
    """What a live run needs of the world."""

    async def fetch(self, fetch: Fetch) -> HttpAnswer:
        """Make the request and return the answer, whatever its status.

        Raises:
            LinkLost: there was no answer.
            DecodeError: there was one that cannot be taken.
        """

    async def dial(self, dial: Dial) -> Link:
        """Return a link to where `dial` points, its handshakes done.

        Raises:
            LinkLost: there is no way to it.
            VenueError: it refuses.
        """


class Internet:
    """The network as it is. Used as `async with Internet(environment) as network`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Nothing is opened yet; `environment` may name proxies."""
        self._environment = environment
        self._clients: dict[str | None, HttpClient] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Internet:
        """Be ready."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the HTTP connections."""
        await self._stack.aclose()

    async def fetch(self, fetch: Fetch) -> HttpAnswer:
        """Make the request; see `Network`."""
        proxy = proxy_for(fetch.url, self._environment)
        client = self._clients.get(proxy)
        if client is None:  # entering a client does not wait for anything, so no two tasks make the same one
            client = self._clients[proxy] = await self._stack.enter_async_context(HttpClient(proxy=proxy))
        return await client.fetch(fetch)

    async def dial(self, dial: Dial) -> Link:
        """Return a link; see `Network`."""
        parts = urlsplit(dial.url)
        if parts.scheme not in ("tcp", "tls"):
            proxy = proxy_for(dial.url, self._environment)
            return await connect_websocket(dial.url, headers=dial.headers, proxy=proxy)
        if not parts.hostname or not parts.port:
            raise ConfigError(f"{dial.url!r} is no address", remedy=f"Write {parts.scheme}://HOST:PORT")
        tls = default_tls() if parts.scheme == "tls" else None
        return await connect_tcp(parts.hostname, parts.port, ssl_context=tls)
