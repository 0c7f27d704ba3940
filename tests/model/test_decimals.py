"""A float becomes the decimal that a person reads, whatever kind of float it is and whatever context is set."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.model.instrument import to_decimal


class Price(float):
    """A float with a print of its own, as numpy's have."""

    def __repr__(self) -> str:
        return f"Price({float.__repr__(self)})"


@settings(max_examples=300, deadline=None)
@given(st.floats())
def test_every_float_is_the_shortest_decimal_that_is_the_same_float(value: float) -> None:
    expected = str(Decimal(float.__repr__(value)))
    with localcontext(Context(prec=3)):
        found = [str(to_decimal(value)), str(to_decimal(Price(value))), str(to_decimal(np.float64(value)))]
    assert [expected, expected, expected] == found
