"""Finding providers: built-in, plugged in, missing and broken ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from barbot.errors import ConfigError
from barbot.providers.base import ENTRY_POINTS, Sends, find_provider, provider_names
from barbot.providers.native import PROVIDER

PLUGIN = """
from barbot.providers.base import Grace, LabelSide, Provider, Sends, Silence

PROVIDER = Provider(
    name="myvenue", title="My venue", intervals=(), label=LabelSide.CLOSE, declares_close=False,
    sends=Sends.TRADES, has_history=False, silence=Silence.NOTHING, heartbeat_s=10.0, max_subscriptions=5,
    zone="Asia/Hong_Kong", grace=Grace(), make_decoder=lambda connection, feeds: None,
)
NOT_ONE = 5
"""


@pytest.fixture
def plugged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that offers one good provider, three broken ones and one with a built-in name."""
    (tmp_path / "test_plugin_of_barbot.py").write_text(PLUGIN, encoding="utf-8")
    info = tmp_path / "test_plugin_of_barbot-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: test-plugin-of-barbot\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        f"[{ENTRY_POINTS}]\n"
        "myvenue = test_plugin_of_barbot:PROVIDER\n"
        "absent = test_plugin_of_barbot_that_is_absent:PROVIDER\n"
        "nameless = test_plugin_of_barbot:NONE\n"
        "number = test_plugin_of_barbot:NOT_ONE\n"
        "native = test_plugin_of_barbot:NOT_ONE\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)


def test_a_built_in_provider_is_found() -> None:
    assert find_provider("native") is PROVIDER


@pytest.mark.usefixtures("plugged_in")
def test_a_plugged_in_provider_is_found_and_never_hides_a_built_in_one() -> None:
    assert find_provider("myvenue").title == "My venue"
    assert find_provider("native") is PROVIDER
    names = provider_names()
    assert names[0] == "native"
    assert names.count("native") == 1
    assert {"absent", "myvenue", "nameless", "number"} <= set(names)


def test_an_unknown_provider_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(ConfigError) as caught:
        find_provider("nativ")
    installed = ", ".join(provider_names())
    assert str(caught.value) == (f"no provider is called 'nativ'. Did you mean 'native'? Installed are: {installed}")
    with pytest.raises(ConfigError) as caught:
        find_provider("zzz")
    assert str(caught.value) == f"no provider is called 'zzz'. Installed are: {installed}"


@pytest.mark.usefixtures("plugged_in")
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("absent", "cannot be loaded: No module named 'test_plugin_of_barbot_that_is_absent'"),
        ("nameless", "cannot be loaded: module 'test_plugin_of_barbot' has no attribute 'NONE'"),
        ("number", "is a int, not a Provider record"),
    ],
)
def test_a_broken_plug_in_is_named(name: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_provider(name)
    assert caught.value.problem == problem
    assert caught.value.where.startswith(f"provider {name!r} (test_plugin_of_barbot")


def test_looking_up_names_loads_no_provider() -> None:
    code = (
        "import sys, barbot.providers.base as base; base.provider_names(); "
        "print('barbot.providers.native' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_native_frames_have_variants_for_other_venues() -> None:
    assert provider_names()[:3] == ["native", "native-history", "native-trades"]
    history, trades = find_provider("native-history"), find_provider("native-trades")
    assert (history.name, history.has_history, history.declares_close, history.sends) == (
        "native-history", True, False, Sends.BOTH,
    )  # fmt: skip
    assert (trades.name, trades.has_history, trades.declares_close, trades.sends) == (
        "native-trades", False, False, Sends.TRADES,
    )  # fmt: skip
