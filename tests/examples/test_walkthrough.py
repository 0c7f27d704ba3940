"""The plotted walk reads what a run leaves behind, draws it, and says what to install where matplotlib is not."""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def walkthrough() -> ModuleType:
    spec = importlib.util.spec_from_file_location("walkthrough", ROOT / "examples" / "walkthrough.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["walkthrough"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def result(walkthrough: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("runs")))
        found = walkthrough.run(walkthrough.STRATEGY, walkthrough.FEED)
    assert isinstance(found, dict)
    return found


def test_it_finds_the_bars_and_fills_that_the_result_counts(walkthrough: ModuleType, result: dict[str, object]) -> None:
    walk = walkthrough.read(result)
    times = [bar.ts_open for bar in walk.bars]
    assert times == sorted(set(times))
    assert {"bars": len(walk.bars), "fills": len(walk.fills), "gaps": len(walk.gaps)} == {
        "bars": result["bars"]["closed"],  # type: ignore[index]  # the result is JSON
        "fills": result["fills"],
        "gaps": result["gaps"],
    }
    assert walk.feed == "kucoin:BTC-USDT@1m"


def test_it_draws_a_picture_next_to_the_run(walkthrough: ModuleType, result: dict[str, object]) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    picture = walkthrough.draw(walkthrough.read(result), import_module("matplotlib.pyplot"))
    assert picture == Path(str(result["run_dir"])) / "walkthrough.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_says_what_to_install(walkthrough: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match="pip install matplotlib"):
        walkthrough.main()
