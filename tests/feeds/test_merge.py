from collections.abc import Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from barbot.feeds.batch import FeedEvent
from barbot.feeds.merge import Part, Slab, merge
from barbot.model.market import Heartbeat

_SOURCES = st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 30), max_size=40).map(sorted)), max_size=6)


def source_of(key: tuple[int, int, int], stamps: list[int], size: int) -> Iterator[Slab]:
    for at in range(0, len(stamps), size):
        piece = stamps[at : at + size]
        names = [f"{key}/{at + index}" for index in range(len(piece))]

        def build(start: int, stop: int, names: list[str] = names, piece: list[int] = piece) -> list[FeedEvent]:
            return [Heartbeat(name, ts) for name, ts in zip(names[start:stop], piece[start:stop], strict=True)]

        yield Slab([Part(key, np.array(piece, np.int64), build)], piece[-1])


@given(_SOURCES, st.integers(1, 9), st.integers(1, 50))
def test_the_stream_is_the_stable_sort_by_stamp_and_key_however_it_is_cut(
    sources: list[tuple[int, list[int]]], size: int, rows: int
) -> None:
    keys = [(kind, 60, number) for number, (kind, _) in enumerate(sources)]
    batches = list(
        merge(
            (
                (min(stamps, default=0), source_of(key, stamps, size))
                for key, (_, stamps) in zip(keys, sources, strict=True)
            ),
            rows,
        )
    )
    expected = sorted(
        (stamp, key, index)
        for key, (_, stamps) in zip(keys, sources, strict=True)
        for index, stamp in enumerate(stamps)
    )
    assert [stamp for stamp, _, _ in expected] == [stamp for batch in batches for stamp in batch.stamps]
    assert [Heartbeat(f"{key}/{index}", stamp) for stamp, key, index in expected] == [
        event for batch in batches for event in batch.events
    ]
    assert all(batch.events for batch in batches)


def test_a_source_is_not_opened_before_its_time() -> None:
    opened: list[str] = []

    def watched(name: str, stamps: list[int]) -> Iterator[Slab]:
        opened.append(name)
        yield from source_of((0, 1, len(opened)), stamps, 2)

    stream = merge([(0, watched("first", [0, 1, 2])), (100, watched("later", [100, 101]))], 10)
    assert next(stream).stamps[:1] == [0]
    assert opened == ["first"]
    assert [stamp for batch in stream for stamp in batch.stamps][-2:] == [100, 101]
    assert opened == ["first", "later"]


def test_a_batch_is_about_as_long_as_asked_for() -> None:
    sources = [(0, source_of((0, 1, number), list(range(1000)), 1000)) for number in range(10)]
    lengths = [len(batch.stamps) for batch in merge(sources, 100)]
    assert sum(lengths) == 10_000
    assert max(lengths) <= 110
