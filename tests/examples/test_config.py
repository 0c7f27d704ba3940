"""examples/barbot.toml is valid, has every setting, and states the defaults."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from barbot.config import InstrumentSection, Settings, load

ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = ROOT / "examples" / "barbot.toml"
SECTIONS: Final = ("run", "paper", "risk", "feed")


def keys_in(section: str) -> list[str]:
    """Return the keys of a section, those behind a `#` too."""
    text = FILE.read_text("utf-8")
    found = re.search(rf"^\[{re.escape(section)}\](.*?)(?=^(?:# )?\[|\Z)", text, re.M | re.S)
    return re.findall(r"^(?:# )?(\w+) = ", found[1], re.M) if found else []


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_has_every_key_once_in_order(section: str) -> None:
    assert keys_in(section) == list(type(getattr(Settings(), section)).model_fields)


def test_the_instrument_section_names_known_keys() -> None:
    assert set(keys_in('instruments."kucoin:BTC-USDT"')) <= set(InstrumentSection.model_fields)


def test_it_states_the_defaults() -> None:
    settings, defaults = load(FILE), Settings()
    assert settings.run.cash_in("USDT") == defaults.run.cash_in("USDT") == {"USDT": Decimal(10_000)}
    same = {name: getattr(settings, name).model_dump(exclude={"cash"}) for name in SECTIONS}
    assert same == {name: getattr(defaults, name).model_dump(exclude={"cash"}) for name in SECTIONS}


def test_the_parameters_of_its_strategy_are_those_of_the_file() -> None:
    assert load(FILE).params_for("SmaCross") == {"fast": 10, "slow": 30}
