"""Every script in benchmarks/ runs as it stands, in a hurry, and prints one JSON object."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SCRIPTS: Final = sorted(path.name for path in (ROOT / "benchmarks").glob("[!_]*.py"))


def test_there_are_scripts() -> None:
    assert {"replay.py", "truth.py"} <= set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_prints_one_json_object(script: str) -> None:
    pytest.importorskip("duckdb", reason="the extra `data` is not installed")
    command = [sys.executable, f"benchmarks/{script}", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert isinstance(json.loads(done.stdout), dict)
