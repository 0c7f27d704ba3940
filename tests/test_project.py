"""The project says the same everywhere: version, README and command line; and nothing of any one machine."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest

import barbot

ROOT: Final = Path(__file__).resolve().parents[1]
README: Final = ROOT / "README.md"

# Written so that no pattern matches its own text.
MACHINE_PATH: Final = re.compile(r"(?<![\w.~-])/(?:w[o]rk|f[a]rm|r[o]ot|t[m]p|h[o]me/\w+|U[s]ers/\w+)/[\w.-]")
REGISTRY: Final = re.compile(r"p[y]pi\.org|p[y]thonhosted|registry\.n[p]mjs|d[e]b\.debian|index-u[r]l|find-l[i]nks")
TABLE_ROW: Final = re.compile(r"^\|\s*`barbot (\w+)", re.MULTILINE)


def tracked_files() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git work tree")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def tracked_lines(pattern: re.Pattern[str]) -> list[str]:
    """Return `file:line: text` for each line of a tracked text file that `pattern` is found in."""
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" in content[:8192]:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    return found


def readme_command(name: str) -> str:
    """Return the fenced block after the marker `<!-- command:NAME -->`, as `.ci/run` reads it."""
    text = README.read_text("utf-8")
    block = re.search(rf"<!-- command:{name} -->.*?^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return block[1].strip() if block else ""


def project_version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert isinstance(project["version"], str)
    return project["version"]


def test_the_package_has_the_version_of_the_project() -> None:
    assert barbot.__version__ == project_version()


def test_the_installed_package_has_the_version_of_the_project() -> None:
    try:
        installed = importlib.metadata.version("barbot")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("barbot is not installed here; run from the source tree")
    assert installed == project_version()


def test_the_changelog_has_an_unreleased_section() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_readme_has_the_two_commands() -> None:
    run, test = readme_command("run"), readme_command("test")
    assert ("barbot run" in run, "pytest" in test) == (True, True)


def test_the_files_that_the_readme_runs_exist() -> None:
    command = readme_command("run")
    paths = re.findall(r"(?:strategies|examples)/[\w./-]+", command)
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert (len(paths) >= 2, missing) == (True, [])


def test_the_readme_names_the_commands_that_there_are() -> None:
    typer_main = pytest.importorskip("typer.main")
    app = pytest.importorskip("barbot.cli.app", reason="no command line yet")
    commands = set(typer_main.get_command(app.app).commands)
    assert set(TABLE_ROW.findall(README.read_text("utf-8"))) == commands


def test_tracked_files_name_no_path_of_a_machine() -> None:
    assert tracked_lines(MACHINE_PATH) == []


def test_tracked_files_name_no_package_registry() -> None:
    assert tracked_lines(REGISTRY) == []


@pytest.mark.parametrize("text", ["open('/ho" + "me/ann/x')", "cd /wo" + "rk/main", "/t" + "mp/v/bin/python"])
def test_the_check_sees_a_path_of_a_machine(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize("text", ["runs/work/x", "https://example.org/work/x", "a /tmpfile", "./home/ann/x"])
def test_the_check_lets_other_paths_pass(text: str) -> None:
    assert MACHINE_PATH.search(text) is None
