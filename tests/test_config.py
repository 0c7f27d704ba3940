"""Settings: which source wins, what is refused and how the refusal reads, and what the digest depends on."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from barbot.config import Settings, credentials, load, proxies
from barbot.core.costs import PaperSettings
from barbot.core.risk import RiskLimits
from barbot.errors import ConfigError
from barbot.model.instrument import Instrument
from barbot.model.market import Quality

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        Path("barbot.toml").write_text(text, encoding="utf-8")
        return Path("barbot.toml")

    return write


def complaint(file: Path | None = None, flags: dict[str, object] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(file, flags)
    return str(caught.value)


def test_without_any_source_the_defaults_hold() -> None:
    assert load() == Settings()
    assert load().as_dict() == {
        "run": {
            "cash": {"": "10000"},
            "history": None,
            "check": False,
            "on_error": "stop",
            "hook_budget_ms": 50.0,
            "runs_dir": "runs",
            "audit": "events",
            "speed": None,
        },
        "paper": {
            "maker_fee_bps": "10",
            "taker_fee_bps": "10",
            "slippage": "none",
            "slippage_bps": "0",
            "latency_ms": 0.0,
            "volume_limit": None,
            "limit_fill": "touch",
        },
        "risk": {
            "max_order_quantity": None,
            "max_order_notional": None,
            "max_position_quantity": None,
            "max_position_notional": None,
            "max_orders_per_minute": None,
            "max_daily_loss": None,
            "allowed_quality": ["OK", "QUIET"],
            "allow_short": False,
            "leverage": "1",
        },
        "feed": {"label": "open", "zone": None, "unit": "auto", "intrabar": "none", "missing": "gap"},
        "instruments": {},
        "strategy": {"params": {}},
        "strategies": {},
        "providers": {},
    }


def test_flags_beat_the_environment_which_beats_the_file_which_beats_defaults(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[paper]\nmaker_fee_bps = 1\ntaker_fee_bps = 1\nlatency_ms = 1\nlimit_fill = "through"\n[run]\naudit = "off"')
    monkeypatch.setenv("BARBOT_PAPER_MAKER_FEE_BPS", "2")
    monkeypatch.setenv("BARBOT_PAPER_TAKER_FEE_BPS", "2")
    settings = load(flags={"paper.taker_fee_bps": "3", "paper.latency_ms": None, "run.check": True})
    paper = settings.paper
    assert (paper.maker_fee_bps, paper.taker_fee_bps, paper.latency_ms, paper.limit_fill) == (
        Decimal(2),
        Decimal(3),
        1.0,
        "through",
    )
    assert (settings.run.audit, settings.run.check, settings.run.on_error) == ("off", True, "stop")


@pytest.mark.parametrize(
    ("toml", "cash"),
    [
        ('cash = "10000 USDT"', {"USDT": Decimal(10000)}),
        ('cash = "10_000.50 USDT, 2 BTC"', {"USDT": Decimal("10000.50"), "BTC": Decimal(2)}),
        ("cash = 2500.1", {"": Decimal("2500.1")}),
        ('cash = { HKD = 1000, USD = "0.10" }', {"HKD": Decimal(1000), "USD": Decimal("0.10")}),
        ('[run.cash]\n"1INCH" = 5', {"1INCH": Decimal(5)}),
    ],
)
def test_cash_is_an_amount_or_a_table(write: Write, toml: str, cash: dict[str, Decimal]) -> None:
    assert load(write(f"[run]\n{toml}")).run.cash == cash


def test_cash_of_a_flag_replaces_a_table_of_the_file(write: Write) -> None:
    file = write("[run.cash]\nUSDT = 1\nBTC = 2")
    assert load(file, {"run.cash": "5 HKD"}).run.cash == {"HKD": Decimal(5)}


def test_cash_without_a_currency_is_in_that_of_the_run() -> None:
    assert load(flags={"run.cash": "7"}).run.cash_in("HKD") == {"HKD": Decimal(7)}
    assert load(flags={"run.cash": "7, 1 HKD, 2 USD"}).run.cash_in("HKD") == {
        "HKD": Decimal(8),
        "USD": Decimal(2),
    }


def test_lists_and_tables_of_the_environment_are_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARBOT_RISK_ALLOWED_QUALITY", "ok, refilled")
    monkeypatch.setenv("BARBOT_RUN_CASH", "3 USDT")
    settings = load()
    assert settings.risk.allowed_quality == (Quality.OK, Quality.REFILLED)
    assert settings.run.cash == {"USDT": Decimal(3)}


def test_an_instrument_takes_from_the_settings_what_they_know(write: Write) -> None:
    settings = load(write('[instruments."kucoin:BTC-USDT"]\nprice_increment = 0.1\nquantity_increment = "1e-8"'))
    assert settings.instrument("kucoin:BTC-USDT") == Instrument(
        provider="kucoin",
        symbol="BTC-USDT",
        currency="USDT",
        base="BTC",
        price_increment=Decimal("0.1"),
        quantity_increment=Decimal("1e-8"),
    )
    assert settings.instrument("futu:HK.00700") == Instrument.bare("futu:HK.00700")


def test_sections_turn_into_what_the_core_takes(write: Write) -> None:
    settings = load(
        write(
            '[paper]\nmaker_fee_bps = -0.5\ntaker_fee_bps = 7.5\nslippage = "bps"\nslippage_bps = 2\n'
            'latency_ms = 1.5\nvolume_limit = 0.1\nlimit_fill = "through"\n'
            '[risk]\nmax_order_quantity = 1\nmax_orders_per_minute = 9\nallowed_quality = ["OK"]\n'
            "allow_short = true\nleverage = 2.5"
        )
    )
    assert settings.paper.settings() == PaperSettings(
        maker_bps=Decimal("-0.5"),
        taker_bps=Decimal("7.5"),
        slippage="bps",
        slippage_bps=Decimal(2),
        latency_ns=1_500_000,
        limit_fill="through",
        volume_limit=Decimal("0.1"),
    )
    assert settings.risk.limits() == RiskLimits(
        max_order_quantity=Decimal(1),
        max_orders_per_minute=9,
        allowed_quality=(Quality.OK,),
        allow_short=True,
        leverage=Decimal("2.5"),
    )


def test_the_risk_section_has_every_limit_of_the_gate_with_its_default() -> None:
    assert Settings().risk.limits() == RiskLimits()
    assert set(type(Settings().risk).model_fields) == set(RiskLimits.__struct_fields__)


def test_parameters_of_a_flag_beat_its_section_which_beats_those_of_any_strategy(write: Write) -> None:
    settings = load(write("[strategy.params]\nfast = 1\nslow = 1\nunit = 1\n[strategies.SmaCross]\nfast = 2\nslow = 2"))
    assert settings.params_for("SmaCross", {"fast": "3"}) == {"fast": "3", "slow": 2, "unit": 1}
    assert settings.params_for("Other") == {"fast": 1, "slow": 1, "unit": 1}


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        (
            "[paper]\ntaker_fees_bps = 1",
            "barbot.toml: [paper] taker_fees_bps: no such setting. Did you mean 'taker_fee_bps'? Known are: "
            "maker_fee_bps, taker_fee_bps, slippage, slippage_bps, latency_ms, volume_limit, limit_fill",
        ),
        (
            "[papr]\ntaker_fee_bps = 1",
            "barbot.toml: papr: no such setting. Did you mean 'paper'? Known are: "
            "run, paper, risk, feed, instruments, strategy, strategies, providers",
        ),
        (
            '[instruments."kucoin:BTC-USDT"]\ntick = 1',
            'barbot.toml: [instruments."kucoin:BTC-USDT"] tick: no such setting. Known are: currency, base, '
            "price_increment, quantity_increment, min_quantity, max_quantity, min_notional, "
            "multiplier, calendar",
        ),
        (
            '[instruments."BTC"]\ncurrency = "USDT"',
            "barbot.toml: [instruments] BTC: 'BTC' will not do: 'BTC' is not an instrument. "
            "Write provider:symbol, for example kucoin:BTC-USDT. Correct it or leave it out",
        ),
        (
            '[run]\nspeed = "fast"',
            "barbot.toml: [run] speed: 'fast' will not do: input should be a valid number, "
            "unable to parse string as a number. Correct it or leave it out",
        ),
        (
            '[run]\non_error = "ignore"',
            "barbot.toml: [run] on_error: 'ignore' will not do: input should be 'stop' or 'continue'. "
            "Correct it or leave it out",
        ),
        (
            '[run]\ncash = "lots"',
            "barbot.toml: [run] cash: 'lots' will not do: write an amount and its currency, "
            'such as "10000 USDT". Correct it or leave it out',
        ),
        (
            "[run]\ncash = { USDT = -1 }",
            "barbot.toml: [run.cash] USDT: -1 will not do: input should be greater than or equal to 0. "
            "Correct it or leave it out",
        ),
        (
            '[risk]\nallowed_quality = ["OK", "FINE"]',
            "barbot.toml: [risk] allowed_quality: 'FINE' will not do: a quality is one of OK, QUIET, "
            "PARTIAL, REFILLED, GAP. Correct it or leave it out",
        ),
        (
            '[feed]\nzone = "Asia/Hongkong"',
            "barbot.toml: [feed] zone: 'Asia/Hongkong' will not do: no such time zone. Did you mean "
            "'Asia/Hong_Kong'? Write a name such as Asia/Tokyo or UTC. Correct it or leave it out",
        ),
        (
            "[paper]\nslippage_bps = 5",
            'barbot.toml: paper: slippage_bps has an effect only with slippage = "bps"',
        ),
        (
            '[paper]\nslippage = "bps"',
            'barbot.toml: paper: slippage = "bps" needs slippage_bps above 0',
        ),
        (
            "run = 3",
            "barbot.toml: run: 3 will not do: input should be a valid dictionary or instance of RunSection. "
            "Correct it or leave it out",
        ),
        (
            "[run\ncheck = true",
            "barbot.toml: is not TOML: Expected ']' at the end of a table declaration (at line 1, column 5). "
            "Correct that line",
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_named_in_one_line(write: Write, toml: str, line: str) -> None:
    assert complaint(write(toml)) == line


def test_each_wrong_key_has_its_line(write: Write) -> None:
    file = write('[run]\nspeed = -1\ncsah = "1 USDT"\n[risk]\nleverage = 0.5')
    assert [line.partition(" will")[0].partition(". ")[0] for line in complaint(file).splitlines()] == [
        "barbot.toml: [run] speed: -1",
        "barbot.toml: [run] csah: no such setting",
        "barbot.toml: [risk] leverage: 0.5",
    ]


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARBOT_PAPER_LATENCY_MS", "slow")
    assert complaint() == (
        "BARBOT_PAPER_LATENCY_MS: 'slow' will not do: input should be a valid number, unable to parse string "
        "as a number. Correct it or leave it out"
    )


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "BARBOT_RUN_CSAH",
            "BARBOT_RUN_CSAH: no such setting. Did you mean 'cash'? Known are: cash, history, check, "
            "on_error, hook_budget_ms, runs_dir, audit, speed",
        ),
        (
            "BARBOT_RSIK_LEVERAGE",
            "BARBOT_RSIK_LEVERAGE: no such setting. Did you mean BARBOT_RISK_LEVERAGE?",
        ),
    ],
)
def test_a_misspelt_variable_is_not_ignored(monkeypatch: pytest.MonkeyPatch, name: str, line: str) -> None:
    monkeypatch.setenv(name, "1")
    assert complaint() == line


def test_a_variable_of_a_provider_goes_before_its_key_in_the_file(
    monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    monkeypatch.setenv("BARBOT_KUCOIN_ENDPOINT", "http://here")
    monkeypatch.setenv("BARBOT_KUCOIN_FUTURES_SILENT_BARS", "9")
    settings = load(write('[providers.kucoin]\nendpoint = "http://there"\nsilent_bars = 3'))
    assert settings.providers == {
        "kucoin": {"endpoint": "http://here", "silent_bars": 3},
        "kucoin-futures": {"silent_bars": "9"},
    }


def test_settings_of_providers_decide_nothing(write: Write) -> None:
    assert load(write("[providers.kucoin]\nsilent_bars = 3")).digest() == load(write("")).digest()


def test_secrets_of_providers_are_named_and_never_shown(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    monkeypatch.setenv("BARBOT_KUCOIN_API_KEY", "hush")
    settings = load(write('[providers.kucoin]\nendpoint = "https://ann:hush@host/?token=hush"\nsilent_bars = 3'))
    assert settings.as_dict()["providers"] == {
        "kucoin": {"api_key": "***", "endpoint": "https://host/?token=***", "silent_bars": 3}
    }
    assert credentials(settings) == {"kucoin": ["api_key"]}


def test_only_variables_that_name_proxies_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in proxies():
        monkeypatch.delenv(name)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv("MY_PROXY", "http://other:3128")
    assert proxies() == {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "localhost"}


def test_a_wrong_flag_is_named_as_it_is_typed(write: Write) -> None:
    file = write("[paper]\ntaker_fee_bps = 1\n[run]\nhistory = 5")
    text = complaint(file, {"paper.taker_fee_bps": "x", "run.history": 0})
    assert [line.partition(":")[0] for line in text.splitlines()] == ["--history", "--fee-bps"]


def test_a_file_that_is_not_there_is_refused_when_it_was_asked_for(tmp_path: Path) -> None:
    assert complaint(Path("my.toml")) == ("my.toml: no such file. Name an existing barbot.toml, or leave --config out")
    Path("folder").mkdir()
    assert complaint(Path("folder")) == ("folder: is not a file. Name an existing barbot.toml, or leave --config out")


def test_the_digest_does_not_depend_on_how_a_value_is_spelt_or_where_it_comes_from(write: Write) -> None:
    one = load(write('[run]\ncash = "10000.0 USDT"\n[paper]\nlatency_ms = 5'))
    other = load(write("[paper]\nlatency_ms = 5.0"), {"run.cash": "1_0000 USDT"})
    assert one.digest() == other.digest()


def test_the_digest_depends_on_what_decides_and_on_nothing_else() -> None:
    base = load().digest()
    changes: dict[str, dict[str, object]] = {
        "same": {"run.runs_dir": "x", "run.speed": 2, "run.audit": "off", "run.check": True},
        "other": {"risk.leverage": 2},
    }
    assert {name: load(flags=flags).digest() == base for name, flags in changes.items()} == {
        "same": True,
        "other": False,
    }


def test_settings_print_as_json(write: Write) -> None:
    settings = load(write('[strategies.A]\nday = 2026-01-31\nlimits = [1, 2.5]\n[run]\nruns_dir = "a/b"'))
    again = json.loads(json.dumps(settings.as_dict()))
    assert again["strategies"] == {"A": {"day": "2026-01-31", "limits": [1, 2.5]}}
    assert again["run"]["runs_dir"] == "a/b"
