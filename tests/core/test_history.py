"""The window shows the last bars, ends with the bar in hand, and lends read-only views that stay as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barbot.core.history import FLOAT_COLUMNS, BarStore, History
from barbot.model.market import Bar
from barbot.timing.interval import MINUTE


def bar(minute: int, close: float, *, is_closed: bool = True, corrected: int = 0) -> Bar:
    ts_open = minute * MINUTE
    return Bar(
        "t:X@1m", ts_open, ts_open + MINUTE, close, close + 1.0, close - 1.0, close, 2 * close, 3 * close, is_closed,
        corrected=corrected,
    )  # fmt: skip


def filled(count: int, *, keep: int = 100, length: int = 5) -> tuple[BarStore, History]:
    store = BarStore(keep)
    for minute in range(count):
        store.push(bar(minute, float(minute)))
    return store, History("t:X@1m", store, length)


def test_the_window_ends_with_the_bar_in_hand() -> None:
    store, history = filled(7)
    assert list(history) == [bar(minute, float(minute)) for minute in range(2, 7)]
    forming = bar(7, 70.0, is_closed=False)
    store.open(forming)
    assert (history[-1], len(history)) == (forming, 5)
    assert list(history.close) == [3.0, 4.0, 5.0, 6.0, 70.0]
    assert list(history.closed.close) == [3.0, 4.0, 5.0, 6.0]
    assert history.closed[-1] == bar(6, 6.0)
    assert history.closed.closed.close.tolist() == [3.0, 4.0, 5.0, 6.0]
    store.replace(bar(7, 71.0, is_closed=False))
    assert list(history.close) == [3.0, 4.0, 5.0, 6.0, 71.0]
    store.close(bar(7, 72.0))
    assert list(history.close) == list(history.closed.close) == [3.0, 4.0, 5.0, 6.0, 72.0]


def test_indices_and_slices_are_those_of_a_list() -> None:
    _, history = filled(8)
    bars = [bar(minute, float(minute)) for minute in range(3, 8)]
    assert [history[index] for index in range(-5, 5)] == [*bars, *bars]
    for cut in (slice(None), slice(-2, None), slice(1, 4), slice(None, None, -2), slice(9, 12)):
        assert bars[cut] == history[cut]
    for index in (5, -6):
        with pytest.raises(IndexError, match=rf"^the window of t:X@1m holds 5 bars, index {index} is outside$"):
            history[index]
    assert repr(history) == "<History of t:X@1m: 5 of 5 bars>"
    assert (history.length, history.is_full) == (5, True)


def test_an_empty_window() -> None:
    _, history = filled(0)
    assert (len(history), list(history), history.close.tolist(), history.is_full) == (0, [], [], False)
    assert history[-3:] == []
    with pytest.raises(IndexError, match=r"holds 0 bars"):
        history[-1]


def test_columns_are_contiguous_and_cannot_be_written() -> None:
    _, history = filled(9)
    columns = history.to_dict()
    assert list(columns) == ["ts_open", *FLOAT_COLUMNS]
    for name, column in columns.items():
        assert column.tolist() == [getattr(one, name) for one in history]
        assert column.flags["C_CONTIGUOUS"]
        assert column.dtype == (np.int64 if name == "ts_open" else np.float64)
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_no_copy_is_made() -> None:
    store, history = filled(9)
    first = history.close
    store.push(bar(9, 9.0))
    assert np.shares_memory(first, history.close)


def test_a_kept_view_stays_as_it_was_through_a_correction() -> None:
    store, history = filled(9)
    kept = history.close
    index = store.find(6 * MINUTE)
    assert index == 6
    store.amend(index, bar(6, 60.0, corrected=1))
    assert kept.tolist() == [4.0, 5.0, 6.0, 7.0, 8.0]
    assert history.close.tolist() == [4.0, 5.0, 60.0, 7.0, 8.0]


def test_a_correction_of_a_bar_that_left_the_window() -> None:
    store, history = filled(3, length=1)
    assert history.close.tolist() == [2.0]
    store.push(bar(3, 3.0))
    store.amend(0, bar(0, 7.0, corrected=1))
    assert history.close.tolist() == [3.0]


def test_windows_of_two_lengths_share_the_columns() -> None:
    store, short = filled(10, length=3)
    long = History("t:X@1m", store, 40)
    assert long.close.tolist() == [float(minute) for minute in range(10)]
    for minute in range(10, 60):
        store.push(bar(minute, float(minute)))
    assert short.close.tolist() == [57.0, 58.0, 59.0]
    assert long.close.tolist() == [float(minute) for minute in range(20, 60)]


def test_closed_bars_are_found_and_forming_ones_are_not() -> None:
    store, _ = filled(5)
    store.open(bar(5, 5.0, is_closed=False))
    assert [store.find(minute * MINUTE) for minute in (0, 4, 5, 9)] == [0, 4, None, None]
    assert store.find(30) is None
    assert [store.first_from(ts) for ts in (0, 1, 5 * MINUTE, 9 * MINUTE)] == [0, 1, 5, 6]


def test_the_store_keeps_what_it_promised_and_not_much_more() -> None:
    store, _ = filled(2_000, keep=70)
    assert 70 <= len(store.bars) <= 70 + 2 * 64
    assert store.dropped + len(store.bars) == 2_000
    store.reserve(300)
    for minute in range(2_000, 4_000):
        store.push(bar(minute, 1.0))
    assert 370 <= len(store.bars) <= 370 + 2 * 64


def test_a_reader_sees_what_a_lazy_builder_has_not_made_yet() -> None:
    store, history = filled(3)
    store.open(bar(3, 30.0, is_closed=False))
    store.refresh = lambda: store.replace(bar(3, 33.0, is_closed=False))
    assert history[-1].close == 33.0
    assert history.close[-1] == 33.0


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["push", "push", "open", "replace", "close", "amend", "read", "read", "keep", "leap"]),
        st.integers(0, 40),
        st.sampled_from([*FLOAT_COLUMNS, "ts_open"]),
    ),
    max_size=150,
)


@given(actions=ACTIONS, length=st.integers(1, 30))
def test_views_equal_the_bars_whatever_happened(actions: list[tuple[str, int, str]], length: int) -> None:
    """Through pushes, forming bars, corrections and cuts; a kept view shows for good what it showed of closed bars."""
    store = BarStore(length + 2)
    history = History("t:X@1m", store, length)
    everything: list[Bar] = []
    kept: list[tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64 | np.int64]], list[float]]] = []
    for number, (action, position, name) in enumerate(actions):
        value = float(number) + 0.5
        if action in ("push", "open", "leap") and not store.forming:
            for _ in range(100 if action == "leap" else 1):
                new = bar(len(everything), value, is_closed=action != "open")
                everything.append(new)
                (store.open if action == "open" else store.push)(new)
        elif action in ("replace", "close") and store.forming:
            new = bar(len(everything) - 1, value, is_closed=action == "close")
            everything[-1] = new
            (store.close if action == "close" else store.replace)(new)
        elif action == "amend" and store.closed_count:
            index = position % store.closed_count
            new = bar(store.dropped + index, value, corrected=1)
            everything[store.dropped + index] = new
            store.amend(index, new)
        elif action == "read":
            for window in (history, history.closed):
                shown = everything[-length:]
                if window is not history and store.forming:
                    shown = shown[:-1]
                assert shown == list(window) == window[:]
                assert [getattr(one, name) for one in shown] == getattr(window, name).tolist()
        elif action == "keep":
            view = getattr(history.closed, name)
            kept.append((view, view.tolist()))
    for view, shown_then in kept:
        assert shown_then == view.tolist()
