"""Whether a private request is signed as KuCoin wants it. Floor 4."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from barbot.errors import VenueError
from barbot.sim.kucoin.settings import Account
from barbot.timing.interval import SECOND

_WINDOW: Final = 5 * SECOND
_MILLISECOND: Final = 1_000_000
_NAMES: Final = ("kc-api-key", "kc-api-sign", "kc-api-timestamp", "kc-api-passphrase")


def signature(secret: str, text: str) -> str:
    """Return the HMAC-SHA256 of `text` in base64, as header `KC-API-SIGN` carries it."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha256)).decode()


def check_signature(
    accounts: Mapping[str, Account], method: str, target: str, headers: Mapping[str, str], body: bytes, now: int
) -> None:
    """Pass if the request is signed by one of the accounts.

    Raises:
        VenueError: it is not; the code says what is wrong.
    """
    if any(not headers.get(name) for name in _NAMES):
        names = ", ".join(name.upper() for name in _NAMES)
        raise VenueError(f"Please check the header of your request for {names}.", code="400001")
    key, sign, stamp, passphrase = (headers[name] for name in _NAMES)
    if not stamp.isdecimal() or abs(int(stamp) * _MILLISECOND - now) > _WINDOW:
        raise VenueError("Invalid KC-API-TIMESTAMP", code="400002")
    account = accounts.get(key)
    if account is None:
        raise VenueError("KC-API-KEY not exists", code="400003")
    if not hmac.compare_digest(passphrase.encode(), signature(account.secret, account.passphrase).encode()):
        raise VenueError("Invalid KC-API-PASSPHRASE", code="400004")
    text = f"{stamp}{method}{target}{body.decode('utf-8', 'replace')}"
    if not hmac.compare_digest(sign.encode(), signature(account.secret, text).encode()):
        raise VenueError("Invalid KC-API-SIGN", code="400005")
