"""The native codec: frames of our own, decoded to events or refused with a `DecodeError`, nothing else."""

from __future__ import annotations

import json
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barbot.errors import DecodeError
from barbot.model.market import BarUpdate, Heartbeat, HistoryBars, MarketEvent, Quote, Side, Trade
from barbot.providers.base import Decoder
from barbot.providers.native import PROVIDER, NativeDecoder, NativeEvent, encode_frame
from barbot.wire.journal import FetchedBinary, FetchedText

NOW: Final = 1_769_851_800_000_000_000
FEED: Final = "native:A@1m"


def decoder() -> Decoder:
    return PROVIDER.make_decoder("link-1", (FEED,))


@pytest.mark.parametrize(
    ("frame", "events"),
    [
        ('["b","native:A@1m",60,1,2.5,0.5,2,10]', [BarUpdate(FEED, 60, 1.0, 2.5, 0.5, 2.0, 10.0, ts_recv=NOW)]),
        (
            '["b","native:A@1m",60,1,2,1,2,10,15.5,true,99]',
            [BarUpdate(FEED, 60, 1.0, 2.0, 1.0, 2.0, 10.0, 15.5, True, 99, NOW)],
        ),
        ('["t","native:A",1.5,0,60]', [Trade("native:A", 1.5, 0.0, 60, ts_recv=NOW)]),
        ('["t","native:A",1.5,2,60,7,"id-7",2]', [Trade("native:A", 1.5, 2.0, 60, 7, "id-7", Side.SELL, NOW)]),
        ('["q","native:A",1,2]', [Quote("native:A", 1.0, 2.0, ts_recv=NOW)]),
        (
            '["q","native:A",1,2,3,4,60,[[1,3],[0.5,9]],[[2,4]]]',
            [Quote("native:A", 1.0, 2.0, 3.0, 4.0, 60, NOW, ((1.0, 3.0), (0.5, 9.0)), ((2.0, 4.0),))],
        ),
        ('["h"]', [Heartbeat("link-1", NOW)]),
        (
            '["y","native:A@1m",0,120,[[0,1,1,1,1,5,5.5,true],[60,1,2,1,2,6]]]',
            [
                HistoryBars(
                    FEED,
                    0,
                    120,
                    (
                        BarUpdate(FEED, 0, 1.0, 1.0, 1.0, 1.0, 5.0, 5.5, True, ts_recv=NOW),
                        BarUpdate(FEED, 60, 1.0, 2.0, 1.0, 2.0, 6.0, ts_recv=NOW),
                    ),
                )
            ],
        ),
        ('["y","native:A@1m",0,120,[],"no such symbol"]', [HistoryBars(FEED, 0, 120, (), "no such symbol")]),
        ('[["h"],["t","native:A",1,1,1]]', [Heartbeat("link-1", NOW), Trade("native:A", 1.0, 1.0, 1, ts_recv=NOW)]),
        (' [ ["h"] ] ', [Heartbeat("link-1", NOW)]),
        (' [ "h" ] ', [Heartbeat("link-1", NOW)]),
        ("[]", []),
    ],
)
def test_a_frame_decodes_to_its_events(frame: str, events: list[MarketEvent]) -> None:
    assert decoder().receive_frame(frame, NOW) == events
    assert decoder().receive_fetched(FetchedText(NOW, "link-1", "GET", "u", 200, frame), NOW) == events


@pytest.mark.parametrize(
    ("frame", "problem", "where"),
    [
        ("", "Input data was truncated", ""),
        ("hello", "JSON is malformed", ""),
        ("{}", "Expected `array`, got `object`", ""),
        ('["x"]', "Invalid value 'x'", "`$[0]`"),
        ('["t","native:A","1",1,1]', "Expected `float`, got `str`", "`$[2]`"),
        ('["t","native:A",1,1,-1]', "Expected `int` >= 0", "`$[4]`"),
        ('["t","native:A",1,1,1,1,"",3]', "Invalid enum value 3", "`$[7]`"),
        ('["h",1]', "Expected `array` of at most length", ""),
        ('[["h"],["b","f"]]', "Expected `array` of at least length", "`$[1]`"),
        ('["q","native:A",1,1e999]', "Number out of range", "`$[3]`"),
    ],
)
def test_what_is_no_native_frame_is_refused_with_the_place(frame: str, problem: str, where: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decoder().receive_frame(frame, NOW)
    assert str(caught.value).startswith(f"not a native frame: {problem}")  # the rest is msgspec's wording
    assert (caught.value.where, caught.value.frame) == (where, frame)


def test_binary_frames_and_bodies_are_refused() -> None:
    with pytest.raises(DecodeError, match=r"^native frames are text, this one is binary$"):
        decoder().receive_frame(b'["h"]', NOW)
    with pytest.raises(DecodeError, match="this one is binary"):
        decoder().receive_fetched(FetchedBinary(NOW, "link-1", "GET", "u", 200, b'["h"]'), NOW)


def test_an_http_error_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"^GET http://venue/k answered 503$") as caught:
        decoder().receive_fetched(FetchedText(NOW, "link-1", "GET", "http://venue/k", 503, "busy"), NOW)
    assert caught.value.frame == "busy"


floats = st.floats(allow_nan=False, allow_infinity=False)
times = st.integers(0, 2**63 - 1)
names = st.text(st.characters(codec="utf-8"), max_size=20)
bars = st.builds(BarUpdate, st.just(FEED), times, *[floats] * 6, st.booleans(), ts_event=times, ts_recv=st.just(NOW))
levels = st.lists(st.tuples(floats, floats), max_size=3).map(tuple)
native_events: st.SearchStrategy[NativeEvent] = st.one_of(
    bars,
    st.builds(
        Trade,
        names,
        floats,
        floats,
        times,
        st.integers(-(2**63), 2**63 - 1),
        names,
        st.sampled_from([None, Side.BUY, Side.SELL]),
        st.just(NOW),
    ),
    st.builds(Quote, names, *[floats] * 4, times, st.just(NOW), levels, levels),
    st.just(Heartbeat("link-1", NOW)),
    st.builds(HistoryBars, st.just(FEED), times, times, st.lists(bars, max_size=3).map(tuple), names),
)


@given(st.lists(native_events, max_size=5))
@settings(max_examples=150, deadline=None)
def test_what_is_encoded_decodes_to_the_same_events(events: list[NativeEvent]) -> None:
    assert decoder().receive_frame(encode_frame(events), NOW) == events


def refuses_or_decodes(frame: str | bytes) -> None:
    try:
        events = decoder().receive_frame(frame, NOW)
    except DecodeError as error:
        carried = error.frame
    else:
        carried = frame
        assert decoder().receive_frame(encode_frame(events), NOW) == events  # type: ignore[arg-type]
    assert carried == frame


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | names | st.sampled_from(list("btqhy")),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(names, inner, max_size=3),
    max_leaves=20,
)


@given(st.one_of(st.binary(), st.text(), json_values.map(json.dumps)))
@settings(max_examples=300, deadline=None)
def test_garbage_gives_a_decode_error_and_nothing_else(frame: str | bytes) -> None:
    refuses_or_decodes(frame)


@given(native_events, st.data())
@settings(max_examples=200, deadline=None)
def test_a_frame_with_a_changed_letter_decodes_or_is_refused(event: NativeEvent, data: st.DataObject) -> None:
    frame = encode_frame([event])
    at = data.draw(st.integers(0, len(frame) - 1))
    refuses_or_decodes(frame[:at] + data.draw(st.text(max_size=2)) + frame[at + 1 :])


@pytest.mark.parametrize(
    "frame",
    ["[" * 100_000, '["t",' + "[" * 100_000, '["h","\ud800"]', "\ud800", '[["h"],' * 50_000, "[[[]]]"],
    ids=["nested", "nested field", "half a pair in it", "half a pair", "nested items", "list in list"],
)
def test_hostile_frames_give_a_decode_error_and_nothing_else(frame: str) -> None:
    with pytest.raises(DecodeError):
        decoder().receive_frame(frame, NOW)


def test_the_provider_makes_a_decoder_per_connection() -> None:
    first, second = (PROVIDER.make_decoder(name, ()) for name in ("a", "b"))
    assert isinstance(first, NativeDecoder)
    assert first.receive_frame('["h"]', 1) == [Heartbeat("a", 1)]
    assert second.receive_frame('["h"]', 2) == [Heartbeat("b", 2)]
