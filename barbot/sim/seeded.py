"""Numbers that look random and are a pure function of a key: no state, no order of drawing. Floor 4.

A simulator asks for "the number of trade 7 of minute 29 000 000 of BTC-USDT" and always gets the same answer,
on every platform: integers and IEEE arithmetic only. The mixing is the finaliser of SplitMix64.
"""

from __future__ import annotations

import zlib
from math import sqrt
from typing import Final

_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
_GOLDEN: Final = 0x9E37_79B9_7F4A_7C15
_UNIT: Final = 2.0**-64
_NORMAL_SCALE: Final = sqrt(3.0) / 65_536


def key_of(seed: int, *names: str | int) -> int:
    """Return the key of a stream of numbers: equal seeds and names give equal streams."""
    key = seed & _MASK
    for name in names:
        part = name & _MASK if isinstance(name, int) else zlib.crc32(name.encode()) | len(name) << 32
        key = draw(key ^ part, 1)
    return key


def draw(key: int, number: int) -> int:
    """Return the `number`-th draw of a stream: 64 bits."""
    z = (key + number * _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return z ^ (z >> 31)


def fraction(key: int, number: int) -> float:
    """Return a draw as a number in [0, 1)."""
    return (draw(key, number) >> 11) * 2.0**-53


def normal(key: int, number: int) -> float:
    """Return a draw with mean 0 and deviation 1, never beyond 3.5: the sum of four even ones."""
    bits = draw(key, number)
    total = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48)
    return (total - 131_070) * _NORMAL_SCALE


def happens(key: int, number: int, chance: float) -> bool:
    """Whether something of that chance (0 to 1) happens at this draw."""
    return chance > 0.0 and draw(key, number) * _UNIT < chance
