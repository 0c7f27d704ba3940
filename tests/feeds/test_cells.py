import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barbot.errors import FeedError
from barbot.feeds.cells import integers, is_integral, makers, numbers, sides, texts
from barbot.feeds.table import Place
from barbot.model.market import Side

_PLACE = Place("f.csv", "price", range(11, 1_000))


@given(st.lists(st.floats(), max_size=20), st.sampled_from([repr, "{:.6f}".format, "{:+.3e}".format]))
def test_numbers_are_read_as_python_reads_them(values: list[float], write: object) -> None:
    assert callable(write)
    cells = [write(value) for value in values]
    np.testing.assert_array_equal([float(cell) for cell in cells], numbers(cells, _PLACE))


def test_an_empty_cell_or_null_is_nan() -> None:
    values = numbers(["1", "", " 2.5 ", "nan", "inf"], _PLACE).tolist()
    assert values[0::2] == [1.0, 2.5, math.inf]
    assert math.isnan(values[1])
    assert math.isnan(values[3])
    masked = numbers(np.ma.masked_array([1, 2], mask=[False, True]), _PLACE).tolist()
    assert masked[0] == 1.0
    assert math.isnan(masked[1])


@pytest.mark.parametrize("cell", ["abc", "1,5", "1.2.3", "[1]", "null", "--1"])
def test_what_is_no_number_is_named(cell: str) -> None:
    with pytest.raises(FeedError) as error:
        numbers(["1.5", cell], _PLACE)
    expected = f"f.csv row 12 column 'price': {cell!r} is not a number. Correct the cell or leave out the row"
    assert expected == str(error.value)


def test_integers_are_64_bits() -> None:
    assert integers([str(-(2**63)), str(2**63 - 1)], _PLACE).tolist() == [-(2**63), 2**63 - 1]
    assert integers(np.array([7], np.uint16), _PLACE).tolist() == [7]
    assert not is_integral(["1", str(2**63)])
    assert not is_integral(["1", "6085c09769bc506996295e36"])
    assert not is_integral(["1", ""])
    with pytest.raises(FeedError, match=r"row 12 column 'price': '1\.5' is not an integer"):
        integers(["1", "1.5"], _PLACE)


def test_texts_have_no_blanks_around() -> None:
    assert texts([" a", "b "]) == ["a", "b"]
    assert texts(np.ma.masked_array(np.array(["a", "x"], object), mask=[False, True])) == ["a", ""]


def test_sides_are_the_aggressors() -> None:
    assert sides(["Buy", "SELL", "", "A"], _PLACE) == [Side.BUY, Side.SELL, None, Side.SELL]
    assert makers(np.array([True, False]), _PLACE) == [Side.SELL, Side.BUY]
    with pytest.raises(FeedError, match=r"row 12 column 'price': 'up' is not a side \(buy or sell\)"):
        sides(["buy", "Up"], _PLACE)
