"""`barbot` offers what it lists, and loads what costs time only when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import barbot
import barbot.core.indicators
import barbot.errors

ROOT: Final = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", barbot.__all__)
def test_a_listed_name_is_there(name: str) -> None:
    value = getattr(barbot, name)
    assert isinstance(value, int) or value.__module__.startswith("barbot.")


def test_all_names_are_listed_once_and_by_dir() -> None:
    assert (len(set(barbot.__all__)), set(barbot.__all__) - set(dir(barbot))) == (len(barbot.__all__), set())


def test_every_exception_is_public() -> None:
    raised = {name for name, value in vars(barbot.errors).items() if isinstance(value, type)}
    assert raised - set(barbot.__all__) == set()


def test_every_indicator_is_public() -> None:
    assert set(barbot.core.indicators.__all__) - set(barbot.__all__) == {"Source", "State"}


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'barbot' has no attribute 'Strategem'"):
        _ = barbot.Strategem  # type: ignore[attr-defined]  # that is the point


def test_numpy_and_pydantic_wait_for_a_name_that_needs_them() -> None:
    program = (
        "import sys, barbot; before = {'numpy', 'pydantic'} & sys.modules.keys(); barbot.Strategy; "
        "print(sorted(before), sorted({'numpy', 'pydantic'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[] ['numpy', 'pydantic']"
