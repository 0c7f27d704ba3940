"""HTTP requests with every failure in one line: `httpx` in, values and `LinkLost` out. Floor 2.

An answer is a value whatever its status: 429 and 403 are for the adapter to judge, and so is a redirect, which
is never followed: a request may be signed for its host. Messages name method, host and path; queries, headers
and bodies, where secrets are, appear in none.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Protocol
from urllib.parse import urlsplit

import anyio
import httpx
import msgspec

from barbot.errors import ConfigError, DecodeError, LinkLost
from barbot.wire.proxy import Proxy, join_host, parse_proxy
from barbot.wire.tcp import default_tls, explain, one_line

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
"""How long an answer may be unless said otherwise, decompressed."""

_KEPT: Final = ("content-type", "date", "location", "retry-after")
_KEPT_PART: Final = "ratelimit"
_PORTS: Final = {"http": 80, "https": 443}
_EXAMPLE: Final = "Write https://host/path"
_BAD_HEADER: Final = "a header has letters that HTTP does not allow"
_CHECK_CREDENTIALS: Final = "Check the credentials for stray letters"


class Request(Protocol):
    """What is to be fetched. A fragment of the URL is not sent."""

    @property
    def method(self) -> str:
        """`GET`, `POST` ..."""

    @property
    def url(self) -> str:
        """The address with its query."""

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """What to send besides Host, Content-Length and the like."""

    @property
    def body(self) -> str:
        """The body, empty for none."""


class HttpAnswer(msgspec.Struct, frozen=True):
    """What came back. The body is text if it can be read as such, else as it came."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; of those sent only type, date, location, retry-after and rate limits."""
    body: str | bytes


class HttpClient:
    """Fetches over connections that it keeps. Used as `async with HttpClient() as client`."""

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        timeout_s: float = 10.0,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        """Set it up; `timeout_s` is for the whole of a request. Certificates are verified unless a context differs.

        Raises:
            ConfigError: `proxy` is none.
        """
        self._ssl_context = ssl_context
        self._proxy = parse_proxy(proxy) if proxy is not None else None
        self._timeout_s = timeout_s
        self._max_body_bytes = max_body_bytes
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> HttpClient:
        """Be ready to fetch."""
        self._client = httpx.AsyncClient(
            verify=self._ssl_context or default_tls(),
            proxy=_for_httpx(self._proxy) if self._proxy is not None else None,
            trust_env=False,  # config reads the environment, and hands in the proxy
            follow_redirects=False,
            timeout=None,  # one deadline for the whole request, below
            headers={"User-Agent": "barbot"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            with anyio.CancelScope(shield=True):
                await client.aclose()

    async def fetch(self, request: Request) -> HttpAnswer:
        """Make `request` and return the answer, whatever its status.

        Raises:
            LinkLost: there was no answer, or not all of it; ask again later.
            DecodeError: the answer is longer than it may be, or cannot be decompressed.
            ConfigError: the URL is none.
        """
        peer, what = _name(request)
        try:
            with anyio.fail_after(self._timeout_s):
                return await self._fetch(request, what)
        except TimeoutError:
            text = f"{what}: no answer within {self._timeout_s:g} s. Check the network, or allow more time"
            raise LinkLost(text) from None
        except (httpx.InvalidURL, UnicodeError):
            raise ConfigError(f"{what} is no HTTP address", remedy=_EXAMPLE) from None
        except httpx.LocalProtocolError:
            raise ConfigError(_BAD_HEADER, where=what, remedy=_CHECK_CREDENTIALS) from None
        except httpx.DecodingError:
            raise DecodeError(f"{what}: the answer cannot be decompressed", where="body") from None
        except httpx.ProxyError as error:
            remedy = "Check the proxy's user, password and rules"
            raise LinkLost(f"{self._hop(peer)} refuses {what}: {one_line(str(error))}. {remedy}") from None
        except httpx.ConnectError as error:
            raise LinkLost(explain(self._hop(peer), error)) from None
        except httpx.TransportError as error:
            raise LinkLost(f"{what}: the connection broke ({one_line(str(error)) or type(error).__name__})") from None

    def _hop(self, peer: str) -> str:
        """Return who is connected to on the way to `peer`."""
        return peer if self._proxy is None else f"proxy {self._proxy.peer}"

    async def _fetch(self, request: Request, what: str) -> HttpAnswer:
        if self._client is None:
            raise RuntimeError("use the client as `async with HttpClient() as client`")
        content = request.body.encode() or None
        headers = _encode(request.headers, what)
        async with self._client.stream(request.method, request.url, headers=headers, content=content) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self._max_body_bytes:
                    raise DecodeError(f"{what}: the answer is longer than {self._max_body_bytes} bytes", where="body")
        return HttpAnswer(response.status_code, _kept(response.headers), _text(bytes(body), response.charset_encoding))


def _for_httpx(proxy: Proxy) -> httpx.Proxy:
    headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else None
    scheme = "https" if proxy.secure else "http"
    return httpx.Proxy(f"{scheme}://{proxy.peer}", headers=headers, ssl_context=default_tls() if proxy.secure else None)


def _name(request: Request) -> tuple[str, str]:
    """Return how messages call the other end and the request: without query, fragment, user and password."""
    try:
        parts = urlsplit(request.url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in _PORTS:
        shown = request.url.partition("?")[0].rpartition("@")[2]
        raise ConfigError(f"{shown!r} is no HTTP address", remedy=_EXAMPLE)
    peer = join_host(host, port or _PORTS[parts.scheme])
    authority = parts.netloc.rpartition("@")[2]
    return peer, f"{request.method} {parts.scheme}://{authority}{parts.path}"


def _encode(headers: Sequence[tuple[str, str]], what: str) -> list[tuple[bytes, bytes]]:
    try:
        return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers]
    except UnicodeEncodeError:
        raise ConfigError(_BAD_HEADER, where=what, remedy=_CHECK_CREDENTIALS) from None


def _kept(headers: httpx.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in _KEPT or _KEPT_PART in name}


def _text(body: bytes, charset: str | None) -> str | bytes:
    try:
        return body.decode(charset or "utf-8")
    except (UnicodeDecodeError, LookupError):
        return body
