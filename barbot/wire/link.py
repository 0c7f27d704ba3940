"""What a supervisor reads from and writes to, whatever is beneath: a WebSocket, a TCP stream. Floor 2.

A link has no task and no queue of its own. `receive` hands over everything that one read of the socket
completed, so that under load the event loop is entered once for hundreds of frames; what has arrived but was
not asked for stays in the socket, where it holds the sender back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

Frame: TypeAlias = str | bytes
"""One message of the venue: text as `str`, binary as `bytes`. On a TCP link: bytes as they were cut up."""


class Link(Protocol):
    """One connection to a venue, open when it is handed out. Made by `connect_websocket` and `connect_tcp`.

    One task receives; any task may send, and what several send goes out in order, unmixed. All three methods
    may be cancelled: no frame is lost to `receive`, none is cut in two by `send`.
    """

    @property
    def peer(self) -> str:
        """Host and port of the other end, for messages: never a path or a query, which may hold a secret."""

    @property
    def subprotocol(self) -> str | None:
        """What was agreed on in the WebSocket handshake, if anything."""

    @property
    def bytes_in(self) -> int:
        """How many bytes have been read since the connection was open, inside TLS and before decompression."""

    @property
    def bytes_out(self) -> int:
        """How many bytes have been written since, counted likewise."""

    async def receive(self) -> list[Frame]:
        """Wait for frames and return all that the read has completed, at least one, in order.

        Raises:
            LinkLost: the connection ended; frames that came before its end have been returned.
        """

    async def send(self, frames: Sequence[Frame]) -> None:
        """Send `frames` in one write.

        Raises:
            LinkLost: the connection has ended, or the peer takes no data.
        """

    async def close(self, timeout_s: float) -> None:
        """End the connection as its protocol wants it, in `timeout_s` at most, and free the socket.

        Never raises; may be called again, and after `LinkLost`. Completes even in a cancelled task.
        """
