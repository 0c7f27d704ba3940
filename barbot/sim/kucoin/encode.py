"""Texts as KuCoin writes them: JSON whose keys come in any order. Floor 4."""

from __future__ import annotations

from typing import Final

import msgspec

from barbot.sim.kucoin.settings import Json
from barbot.sim.seeded import draw, key_of

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_encode = msgspec.json.Encoder().encode


class Encoder:
    """Writes JSON objects, their keys turned around by the seed; makes ids."""

    def __init__(self, seed: int, *, shuffles: bool) -> None:
        """Turn keys around if `shuffles`."""
        self._key = key_of(seed, "encoder")
        self._shuffles = shuffles
        self._count = 0

    def encode(self, value: dict[str, Json]) -> bytes:
        """Return the object as JSON, the keys of it and of the objects right below in some order."""
        if not self._shuffles:
            return _encode(value)
        self._count += 1
        bits = draw(self._key, self._count)
        turned = {
            name: _turn(inner, bits >> 16) if inner.__class__ is dict else inner
            for name, inner in _turn(value, bits).items()
        }
        return _encode(turned)

    def text(self, value: dict[str, Json]) -> str:
        """Return the object as JSON text."""
        return self.encode(value).decode()

    def word(self, length: int) -> str:
        """Return letters and digits, others each time."""
        self._count += 1
        key = key_of(self._key, self._count)
        return "".join(_ALPHABET[draw(key, place) % len(_ALPHABET)] for place in range(length))

    def hex_id(self) -> str:
        """Return 24 hexadecimal digits, others each time."""
        self._count += 1
        return f"{draw(self._key, self._count):016x}{draw(self._key, -self._count) >> 32:08x}"


def _turn(value: Json, bits: int) -> dict[str, Json]:
    """Return an object with its keys rotated, and reversed half the time."""
    assert isinstance(value, dict)
    items = list(value.items())
    if len(items) > 1:
        cut = (bits >> 1) % len(items)
        items = items[cut:] + items[:cut]
        if bits & 1:
            items.reverse()
    return dict(items)
