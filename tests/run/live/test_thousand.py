"""A thousand symbols: spread over connections, subscribed again after a drop, and closed on time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from barbot.providers.kucoin import PROVIDER
from barbot.sim.chaos import Fault
from barbot.sim.kucoin.settings import KuCoinSettings
from barbot.timing.interval import MINUTE, SECOND

if TYPE_CHECKING:
    from tests.run.live.conftest import Stage

SYMBOLS = [f"A{number:03d}-USDT" for number in range(1_000)]
FEEDS = [f"kucoin:{symbol}@1m" for symbol in SYMBOLS]
CALM = KuCoinSettings(candle_period_s=10.0)


def most_within(stamps: list[int], span_s: float) -> int:
    """Return how many of the stamps lie within some span of that length at most."""
    return max(sum(ts <= other < ts + span_s * SECOND for other in stamps) for ts in stamps)


def test_a_thousand_symbols_keep_to_the_limits_and_close_within_grace(stage: Stage) -> None:
    tapes = [stage.tape(symbol, trades_per_minute=2.0) for symbol in SYMBOLS]
    simulator = stage.simulator(*tapes, faults=[Fault(stage.at(3.4), "drop")], settings=CALM)
    run = stage.rehearse(simulator, *FEEDS, minutes=6.6, window=5)
    outcome = run.run()
    links = run.network.links
    first, second = links[:4], links[4:]
    assert [sorted(len(link.venue.topics) for link in four) for four in (first, second)] == [[100, 300, 300, 300]] * 2
    assert sorted(topic for link in second for topic in link.venue.topics) == sorted(
        f"/market/candles:{symbol}_1min" for symbol in SYMBOLS
    )
    assert max(most_within([ts for ts, _ in link.sent], 10) for link in links) <= 90
    asked = [ts for ts, path in run.network.fetched if path == "/api/v1/market/candles"]
    assert PROVIDER.fetch_limit is not None
    assert most_within(asked[::10], PROVIDER.fetch_limit.per_s - 0.01) * 10 <= PROVIDER.fetch_limit.count
    late = {(ts - stage.START) // MINUTE: seconds / SECOND for ts, seconds in run.witness.late.items()}
    assert {
        minute: seconds <= PROVIDER.grace.maximum_s for minute, seconds in late.items() if minute in (2, 3, 5, 6)
    } == (dict.fromkeys((2, 3, 5, 6), True)), late
    counted = Counter(len(run.witness.closed[feed]) for feed in FEEDS)
    assert counted == Counter({6: 1_000})
    assert [(feed, run.missing(feed), run.wrong(feed)) for feed in FEEDS[::50]] == [(f, [], []) for f in FEEDS[::50]]
    assert (run.problems, run.witness.gaps) == ([], [])
    assert run.replay().digest == outcome.digest
