"""The supervisor in virtual time: what it does about every way in which a connection can go wrong."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest
from trio.testing import MockClock

from barbot.errors import JournalError, StrategyError, VenueError
from barbot.model.market import Bar
from barbot.providers.limits import RateLimit
from barbot.run.asking import Turns, pause_s
from barbot.sim.chaos import Chances, Fault
from barbot.sim.kucoin.settings import KuCoinSettings
from barbot.timing.interval import SECOND
from barbot.wire.journal import FetchedText, Seal

if TYPE_CHECKING:
    from tests.run.live.conftest import Rehearsal, Stage

FEED = "kucoin:BTC-USDT@1m"
PAIR = ("kucoin:BTC-USDT@1m", "kucoin:ETH-USDT@1m")


def is_whole(run: Rehearsal, *feeds: str) -> bool:
    """Whether the bars are the market's, each told once, and a replay says the same."""
    assert [(feed, run.missing(feed), run.wrong(feed)) for feed in feeds] == [(feed, [], []) for feed in feeds]
    return run.replay().digest == run.outcome.digest and run.witness.gaps == []


# -- what arrives ---------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_skipped_counted_and_told_ever_more_rarely(stage: Stage) -> None:
    run = stage.rehearse(stage.simulator(), minutes=4)
    wrong = '{"type":"message","topic":"/market/candles:BTC-USDT_1min","data":{"candles":["x"],"time":"soon"}}'
    rubbish: list[str | bytes] = [
        "no JSON",
        '{"type":"message","topic":"/mar',
        wrong,
        "[1]",
        b"\xff\xfe",
        "{}" * 9,
        '{"a":' * 2_000,
    ]
    run.during = lambda run: run.network.links[0].inject(*rubbish) if len(run.statuses) == 6 else None
    outcome = run.run()
    assert run.live.supervisor is not None
    assert (run.live.supervisor.undecodable, run.live.supervisor.reconnects) == (len(rubbish), 0)
    told = [problem for problem in run.problems if problem.code == "undecodable"]
    assert len(told) == 3
    assert all(p.text.startswith("not a message of KuCoin's") and "\n" not in p.text for p in told)
    assert f"{len(rubbish)} messages could not be decoded and were skipped" in outcome.warnings
    assert is_whole(run, FEED)


def test_duplicates_late_words_and_changed_order_are_nothing_to_a_run(stage: Stage) -> None:
    chances = Chances(duplicate=0.1, late_update=0.3, reorder=0.1, garbage=0.05)
    run = stage.rehearse(stage.simulator(chances=chances), minutes=15)
    outcome = run.run()
    assert outcome.feeds[0].corrections > 0
    assert is_whole(run, FEED)


def test_two_venues_and_two_bar_lengths_are_one_run(stage: Stage) -> None:
    tapes = [stage.tape("BTC-USDT"), stage.tape("XBTUSDTM")]
    feeds = ("kucoin:BTC-USDT@1m", "kucoin:BTC-USDT@5m", "kucoin-futures:XBTUSDTM@1m")
    both = {"kucoin": stage.HOST, "kucoin-futures": stage.HOST}
    run = stage.rehearse(stage.simulator(*tapes), *feeds, minutes=12, endpoints=both)
    outcome = run.run()
    assert [feed.closed for feed in outcome.feeds] == [11, 3, 11]
    assert is_whole(run, "kucoin:BTC-USDT@1m")


# -- connections that end ---------------------------------------------------------------------------------------


def test_whatever_is_cut_is_mended(stage: Stage) -> None:
    faults = [Fault(stage.at(2.3), "drop"), Fault(stage.at(4), "token_expiry"), Fault(stage.at(6.99), "drop")]
    tapes = [stage.tape("BTC-USDT"), stage.tape("ETH-USDT", silent_fraction=0.4)]
    run = stage.rehearse(stage.simulator(*tapes, faults=faults), *PAIR, minutes=11)
    run.run()
    assert run.live.supervisor is not None
    assert run.live.supervisor.reconnects == 3
    assert is_whole(run, *PAIR)


def test_a_refusal_by_http_leads_to_a_new_token(stage: Stage) -> None:
    settings = KuCoinSettings(refuses_by_http=True)
    simulator = stage.simulator(faults=[Fault(stage.at(2), "token_expiry")], settings=settings)
    run = stage.rehearse(simulator, minutes=5)
    run.network.refusals = {2: VenueError("token is expired", code="401")}
    run.run()
    assert [(p.code, p.text) for p in run.problems] == [
        ("401", "token is expired"),
        ("401", "401: token is expired"),
    ]
    assert is_whole(run, FEED)


def test_who_loses_every_connection_at_once_dials_ever_more_rarely(stage: Stage) -> None:
    simulator = stage.simulator(faults=[Fault(stage.at(1), "drop", every_s=2)])
    run = stage.rehearse(simulator, minutes=16)
    run.run()
    waits = [(later - earlier) / SECOND for earlier, later in pairwise(run.network.dialled)][1:]
    assert 12 <= len(waits) <= 40, "an hour would hold 1,500 of them"
    assert max(waits) > 30


def test_pauses_double_up_to_a_minute_and_are_spread() -> None:
    for failures, longest in ((1, 0.5), (2, 1.0), (5, 8.0), (8, 60.0), (99, 60.0)):
        spread = [pause_s("kucoin-1", failures, now) for now in range(500)]
        assert longest / 2 <= min(spread) < 0.55 * longest
        assert 0.95 * longest < max(spread) <= longest


def test_a_connection_that_takes_no_data_holds_up_no_other(stage: Stage) -> None:
    names = [f"A{number:02d}-USDT" for number in range(16)]
    feeds = [f"kucoin:{name}@1m" for name in names]
    few = {"kucoin": {"topics_per_connection": 15}}
    run = stage.rehearse(stage.simulator(*map(stage.tape, names)), *feeds, minutes=6, venues=few)

    def stick(run: Rehearsal) -> None:
        if len(run.statuses) == 12:
            run.network.links[0].is_stuck = True

    run.during = stick
    run.run()
    lost = [what for _, what in run.witness.told if what.startswith("Disconnected")]
    assert len(lost) == 1
    assert is_whole(run, *feeds)


def test_what_is_fetched_for_a_lost_connection_is_thrown_away(stage: Stage) -> None:
    run = stage.rehearse(stage.simulator(), minutes=3)
    run.network.cuts_on_history = 1
    run.run()
    asked = [path for _, path in run.network.fetched if path.endswith("candles")]
    recorded = [record for record in run.check_journal() if isinstance(record, FetchedText)]
    assert (len(asked), len(recorded)) == (2, 1)
    assert is_whole(run, FEED)


def test_a_machine_that_slept_finds_its_hole_and_fills_it(stage: Stage) -> None:
    run = stage.rehearse(stage.simulator(), minutes=25)
    run.during = lambda run: run.sleep(600) if len(run.statuses) == 20 else None
    run.run()
    told = [what for _, what in run.witness.told]
    lost = next(what for what in told if what.startswith("Disconnected"))
    assert told[told.index(lost) + 2 :][:10] == [f"REFILLED {minute}" for minute in range(3, 13)]
    drops = [what for _, what in run.witness.told if what.startswith("Disconnected")]
    assert len(drops) == 1
    assert is_whole(run, FEED)


# -- limits -----------------------------------------------------------------------------------------------------


def test_turns_keep_their_limit_in_order_and_who_leaves_takes_none(stage: Stage) -> None:
    clock = stage.Time()
    taken: list[tuple[str, float]] = []

    async def take(turns: Turns, name: str) -> None:
        await turns.take()
        taken.append((name, anyio.current_time()))

    async def main() -> None:
        turns = Turns(RateLimit(2, 10.0), clock)
        for name in "ab":
            await take(turns, name)
        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(3):
                await take(turns, "left")
            for name in "cd":
                tasks.start_soon(take, turns, name)
                await anyio.sleep(1)
        await take(turns, "e")

    anyio.run(main, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})
    assert taken == [("a", 0), ("b", 0), ("c", 10), ("d", 10), ("e", 20)]


def test_no_more_is_dialled_than_the_venue_allows(stage: Stage) -> None:
    names = [f"A{number:03d}-USDT" for number in range(15 * 33)]
    few = {"kucoin": {"topics_per_connection": 15}}
    simulator = stage.simulator(*[stage.tape(name, trades_per_minute=1.0) for name in names])
    run = stage.rehearse(simulator, *[f"kucoin:{name}@1m" for name in names], minutes=1.5, window=2, venues=few)
    run.run()
    dialled = run.network.dialled
    assert len(dialled) == 33
    assert dialled[29] - dialled[0] < SECOND
    assert dialled[30] - dialled[0] >= 59.9 * SECOND


# -- how a run ends ---------------------------------------------------------------------------------------------


def test_what_dialling_again_would_not_help_ends_the_run_in_one_line(stage: Stage) -> None:
    tapes = [stage.tape("BTC-USDT"), stage.tape("ETH-USDT")]
    run = stage.rehearse(stage.simulator(*tapes, settings=KuCoinSettings(topics_per_connection=1)), *PAIR, minutes=5)
    with pytest.raises(VenueError) as caught:
        run.run()
    assert str(caught.value) == "509: exceed max subscription count limitation of 1 per session"
    assert run.problems == [], "what is raised is not told as well"
    assert len(run.network.dialled) == 1


def test_a_venue_that_is_down_at_the_start_is_named_in_one_line(stage: Stage) -> None:
    run = stage.rehearse(stage.simulator(faults=[Fault(stage.at(-1), "outage")]), minutes=5)
    with pytest.raises(VenueError) as caught:
        run.run()
    assert str(caught.value) == "the venue is down"
    assert list(stage.folder.iterdir()) == [], "nothing was started"


def test_stopped_before_anything_arrived_a_run_ends_cleanly(stage: Stage) -> None:
    run = stage.rehearse(stage.simulator(), minutes=5)
    run.network.refusals = dict.fromkeys(range(1, 99), VenueError("not now", code="503", retryable=True))
    outcome = run.run()
    assert (outcome.events, outcome.feeds[0].closed, outcome.fills) == (0, 0, 0)
    assert "no hook was called: the warm-up was not complete when the run ended" in outcome.warnings
    assert {problem.text for problem in run.problems} == {"503: not now"}
    assert [type(record) for record in run.check_journal()] == [Seal]


def test_stopped_while_the_venue_is_asked_nothing_is_made(stage: Stage) -> None:
    run = stage.rehearse(stage.simulator(), minutes=5)
    run.stop.set()
    with pytest.raises(VenueError) as caught:
        run.run()
    assert str(caught.value).startswith("stopped before the venue had answered")
    assert list(stage.folder.iterdir()) == []


def test_a_status_can_be_had_before_the_first_frame(stage: Stage) -> None:
    run = stage.rehearse(stage.simulator(settings=KuCoinSettings(ack_delay_s=(9.0, 9.5))), minutes=2)
    run.run(look_s=2.0)
    first, last = run.statuses[0], run.statuses[-1]
    assert (first.feeds[0].connection, first.feeds[0].ts_open, first.bars) == ("", 0, 0)
    assert (last.feeds[0].connection, last.feeds[0].ts_open, last.bars) == ("kucoin-1#1", stage.at(1), 1)


def test_a_hook_that_raises_ends_the_run_with_all_it_had_on_the_disk(stage: Stage) -> None:
    run = stage.rehearse(stage.simulator(), minutes=9)
    calm = run.plan.strategy

    def on_bar_close(self: object, bar: Bar, history: object) -> None:
        if bar.ts_open == stage.at(4):
            raise RuntimeError("I had enough")

    def on_stop(self: object) -> None:
        raise AssertionError("a run that failed is over")

    namespace = {"on_bar_close": on_bar_close, "on_stop": on_stop, "feeds": calm.feeds}
    run.plan = msgspec.structs.replace(run.plan, strategy=type("Nervous", (calm,), namespace))
    with pytest.raises(StrategyError) as caught:
        run.run()
    assert "Nervous.on_bar_close" in str(caught.value)
    assert len(run.check_journal()) > 100
    with pytest.raises(StrategyError) as again:
        run.replay()
    assert str(again.value) == str(caught.value)


def test_a_journal_that_cannot_be_written_to_ends_the_run_in_one_line(stage: Stage) -> None:
    resource = pytest.importorskip("resource", reason="a limit to the size of files is there on Unix alone")
    run = stage.rehearse(stage.simulator(), minutes=60)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_the_disk(run: Rehearsal) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (run.journal.stat().st_size + 2_000, limits[1]))

    try:
        run.during = lambda run: fill_the_disk(run) if len(run.statuses) == 10 else None
        with pytest.raises(JournalError) as caught:
            run.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == f"{run.journal}: cannot be written to: [Errno 27] File too large"
