"""The way through an HTTP proxy: which one (a pure function of the environment), and the CONNECT to it. Floor 2.

Who reads the environment is `barbot.config`. SOCKS is not spoken. Messages name a proxy by host and port:
its user and password never appear in one.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from anyio import EndOfStream
from anyio.abc import ByteStream

from barbot.errors import ConfigError, LinkLost

STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ?([^\r\n]*)\r\n")
"""The first line of an answer: status and phrase."""

_MAX_HEAD: Final = 16_384
_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_EXAMPLE: Final = "Write it as http://user:password@host:port"


class Proxy:
    """Where a proxy listens and what it wants to hear; prints without its password."""

    __slots__ = ("authorization", "host", "port", "secure")

    def __init__(self, host: str, port: int, *, secure: bool = False, authorization: str = "") -> None:
        """`secure`: talk TLS to the proxy itself; `authorization`: the value of Proxy-Authorization."""
        self.host = host
        self.port = port
        self.secure = secure
        self.authorization = authorization

    def __repr__(self) -> str:
        """Return host and port."""
        return f"Proxy({self.peer})"

    @property
    def peer(self) -> str:
        """Host and port, for messages."""
        return join_host(self.host, self.port)


def join_host(host: str, port: int) -> str:
    """Return `host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_proxy(text: str, *, where: str = "proxy") -> Proxy:
    """Read `http://[user:password@]host:port`; without a scheme http is meant.

    Raises:
        ConfigError: it is no URL of an HTTP proxy; the message does not repeat it, it may hold a password.
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise ConfigError("is not the URL of a proxy", where=where, remedy=_EXAMPLE) from None
    if parts.scheme not in ("http", "https"):
        raise ConfigError(f"a {parts.scheme} proxy is not supported", where=where, remedy="Name an HTTP proxy")
    if not host:
        raise ConfigError("is not the URL of a proxy", where=where, remedy=_EXAMPLE)
    return Proxy(host, port, secure=parts.scheme == "https", authorization=_basic(parts))


def _basic(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    user, password = unquote(parts.username), unquote(parts.password or "")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the proxy that `environment` names for `url`, None for a direct connection.

    HTTPS_PROXY serves https and wss, HTTP_PROXY http and ws, ALL_PROXY what is left; a name in small letters
    goes before the same in capitals. NO_PROXY lists hosts (with their subdomains), `host:port`, addresses,
    networks (`10.0.0.0/8`), or `*`. This machine itself is never asked for through a proxy.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None  # no address at all: whoever dials it says so
    if _is_loopback(host) or _is_excepted(host, port, _setting(environment, "no_proxy")):
        return None
    name = "https_proxy" if parts.scheme in ("https", "wss") else "http_proxy"
    return _setting(environment, name) or _setting(environment, "all_proxy") or None


def _setting(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name) or environment.get(name.upper()) or "").strip()


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or host.endswith(".localhost") or (address is not None and address.is_loopback)


def _is_excepted(host: str, port: int, exceptions: str) -> bool:
    return any(_matches(host, port, entry.strip().lower()) for entry in exceptions.split(",") if entry.strip())


def _matches(host: str, port: int, entry: str) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if address is not None and (network := _network(entry)) is not None:
        return address in network
    name, colon, its_port = entry.rpartition(":")
    if colon and its_port.isdigit() and not _network(entry):
        if int(its_port) != port:
            return False
        entry = name
    domain = entry.strip("[]").removeprefix("*").strip(".")
    return host == domain or (address is None and host.endswith(f".{domain}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


async def tunnel(stream: ByteStream, proxy: Proxy, host: str, port: int) -> None:
    """Make `stream`, open to `proxy`, a stream to `host`.

    Raises:
        LinkLost: the proxy refuses, and how; or answers with something that is no HTTP.
    """
    target = join_host(host, port)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    await stream.send("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
    head, rest = await _read_head(stream, proxy, target)
    match = STATUS_LINE.match(head)
    if match is None:
        raise LinkLost(f"proxy {proxy.peer} does not speak HTTP. Check the proxy's address and port")
    if match[1][:1] != b"2":
        raise LinkLost(_refusal(proxy, target, match[1].decode(), match[2].decode("latin-1")))
    if rest:
        raise LinkLost(f"proxy {proxy.peer} sent {len(rest)} bytes before {target} was spoken to. Check the proxy")


async def _read_head(stream: ByteStream, proxy: Proxy, target: str) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > _MAX_HEAD:
            raise LinkLost(f"proxy {proxy.peer} does not speak HTTP. Check the proxy's address and port")
        try:
            data += await stream.receive()
        except EndOfStream:
            problem = f"proxy {proxy.peer} hung up on a connection to {target}"
            raise LinkLost(f"{problem}. Check the proxy's address and rules") from None
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n", rest


def _refusal(proxy: Proxy, target: str, status: str, phrase: str) -> str:
    remedy = (
        "Check the proxy's user and password" if status == "407" else "Ask who runs it, or list the host in NO_PROXY"
    )
    return f"proxy {proxy.peer} refuses a connection to {target}: {status} {phrase.strip()}. {remedy}"
