"""`barbot providers` shows what each adapter declares."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import TypeAlias

from barbot.providers.base import provider_names

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


def test_each_provider_has_a_line_that_fits(barbot: Run) -> None:
    lines = barbot("providers").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["Provider", *provider_names()]
    assert max(map(len, lines)) <= 80
    kucoin = next(line for line in lines if line.startswith("kucoin "))
    assert kucoin.split() == ["kucoin", "yes", "both", "1m", "to", "1M", "flat,", "late", "2", "to", "15", "s"]


def test_one_provider_with_all_that_it_declares(barbot: Run) -> None:
    said = barbot("providers", "kucoin-futures").stdout
    rows = {line[:16].strip(): line[16:].strip() for line in said.splitlines()}
    assert (rows["Live"], rows["Bars"], rows["Grace"], rows["Messages"]) == (
        "yes",
        "1m 3m 5m 15m 30m 1h 2h 4h 8h 12h 1d 1w 1M",
        "5 s at first, then 2 to 15 s as learned",
        "90 in 10 s a connection",
    )


def test_as_json(barbot: Run) -> None:
    every = json.loads(barbot("providers", "--json").stdout)
    one = json.loads(barbot("providers", "kucoin", "--json").stdout)
    assert ([each["name"] for each in every], one in every) == (provider_names(), True)
    assert one == {
        "name": "kucoin",
        "title": "KuCoin spot",
        "live": True,
        "intervals": ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w", "1M"],
        "sends": "trades and candles",
        "label": "open",
        "declares_close": False,
        "has_history": True,
        "silence": "flat candles, with the next trade",
        "heartbeat_s": 9.0,
        "grace_s": {"minimum": 2.0, "initial": 5.0, "maximum": 15.0},
        "settle_s": 0.0,
        "zone": "UTC",
        "max_subscriptions": 300,
        "message_limit": {"count": 90, "seconds": 10.0},
        "dial_limit": {"count": 30, "seconds": 60.0},
        "fetch_limit": {"count": 190, "seconds": 10.0},
    }


def test_a_name_that_is_none_is_refused(barbot: Run) -> None:
    said = barbot("providers", "kucion")
    assert (said.returncode, said.stdout, "Did you mean 'kucoin'?" in said.stderr) == (2, "", True)
