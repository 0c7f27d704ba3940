"""Event loops to run on, a loopback server, and a certificate authority of our own."""

from __future__ import annotations

import importlib.util
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TypeAlias

import anyio
import pytest
import trustme
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

Handler: TypeAlias = Callable[[ByteStream], Awaitable[None]]
Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[int]]

DEADLINE_S = 8.0
"""What a whole test may take, on a busy machine."""

BACKENDS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(
        ("asyncio", {"use_uvloop": True}),
        id="uvloop",
        marks=pytest.mark.skipif(not importlib.util.find_spec("uvloop"), reason="uvloop is not installed"),
    ),
    pytest.param(("trio", {}), id="trio"),
]


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    backend: tuple[str, dict[str, bool]] = request.param
    return backend


@asynccontextmanager
async def serving(handle: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve connections on loopback with `handle`; the port is given, and the server gone at the end."""

    async def serve(stream: ByteStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):  # the client went first
                await handle(stream if tls is None else await TLSStream.wrap(stream, server_side=True, ssl_context=tls))

    with anyio.fail_after(DEADLINE_S):
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield listener.extra(SocketAttribute.local_port)
            tasks.cancel_scope.cancel()


@pytest.fixture
def serve() -> Serve:
    return serving


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Settings of a client that trusts our authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Settings of a server whose certificate is for 127.0.0.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def other_server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Settings of a server whose certificate is for another host."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    return context
