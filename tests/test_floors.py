"""The floors of the project: who may import whom, and how long files and functions may be.

`FLOORS` is the table of CONTRIBUTING.md. Every import counts: at the top of a file, inside a function, under
`TYPE_CHECKING`, and `import_module("...")` with a literal name.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]

FLOORS: Final = {
    "errors": 0,
    "model": 1,
    "timing": 1,
    "core": 2,
    "wire": 2,
    "": 3,  # barbot/__init__.py, the public names: made of core and below; users import it, and run upwards
    "providers": 3,
    "feeds": 3,
    "run": 4,
    "report": 4,
    "sim": 4,
    "cli": 5,
    "config": 5,
    "log": 5,
    "__main__": 5,
}

FORBIDDEN: Final = {
    "core": {"wire"},
    "wire": {"core"},
    "providers": {"core", "feeds", ""},
    "feeds": {"core", "providers", ""},
    "": {"wire", "providers", "feeds"},
}
"""What the numbers alone would allow: core and wire share a floor, and those above core need not know it."""

HEAVY: Final = {
    "duckdb",
    "exchange_calendars",
    "google.protobuf",
    "httpx",
    "pandas",
    "rich",
    "typer",
    "websockets",
}
"""What `import barbot` must not load: extras, wire libraries and the command line's."""

MAX_FILE_LINES: Final = 600
MAX_FUNCTION_LINES: Final = 60

Sources = Mapping[str, str]


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def python_files(*folders: str) -> list[Path]:
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if not path.name.endswith("_pb2.py"))  # those are generated


def read_package() -> dict[str, str]:
    return {module_name(path, ROOT): path.read_text("utf-8") for path in python_files("barbot")}


def imported(source: str, modules: Sources) -> Iterator[tuple[int, str]]:
    """Yield (line, module) for each import of `barbot` in `source`; the longest known module is meant."""
    for node in ast.walk(ast.parse(source)):
        for name in _names(node, modules):
            if name == "barbot" or name.startswith("barbot."):
                yield node.lineno, name  # type: ignore[attr-defined] # statements and calls have a line


def _names(node: ast.AST, modules: Sources) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), names=names):
            longer = [f"{module}.{alias.name}" for alias in names]
            return [name if name in modules else module for name in longer]
        case ast.Call(
            func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def package_of(module: str) -> str:
    """Return the entry of the table: `core` of `barbot.core.bars`, the empty text of `barbot`."""
    return module.split(".")[1] if "." in module else ""


def floor_faults(modules: Sources) -> list[str]:
    faults = []
    for module, source in modules.items():
        here = package_of(module)
        for line, target in imported(source, modules):
            there = package_of(target)
            if FLOORS.get(there, 99) > FLOORS.get(here, -1) or there in FORBIDDEN.get(here, ()):
                faults.append(f"{module}:{line} imports {target}")
    return faults


def circle(modules: Sources) -> list[str]:
    graph = {
        module: {target for _, target in imported(source, modules)} - {module} for module, source in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def long_functions(source: str) -> list[str]:
    return [
        f"{node.name} at line {node.lineno} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]


def submodule_imports(source: str, modules: Sources) -> list[str]:
    return [target for _, target in imported(source, modules) if target != "barbot"]


def test_every_package_has_a_floor() -> None:
    assert sorted({package_of(module) for module in read_package()} - FLOORS.keys()) == []


def test_files_import_only_lower_floors() -> None:
    assert floor_faults(read_package()) == []


def test_no_circles() -> None:
    assert circle(read_package()) == []


def test_strategies_and_examples_import_the_front_door_only() -> None:
    modules = read_package()
    found = {
        str(path.relative_to(ROOT)): faults
        for path in python_files("strategies", "examples")
        if (faults := submodule_imports(path.read_text("utf-8"), modules))
    }
    assert found == {}


def test_no_file_and_no_function_is_too_long() -> None:
    files = {}
    for path in python_files("barbot", "strategies", "examples", "benchmarks", "tests"):
        source = path.read_text("utf-8")
        faults = long_functions(source)
        if (lines := len(source.splitlines())) > MAX_FILE_LINES:
            faults.append(f"{lines} lines")
        if faults:
            files[str(path.relative_to(ROOT))] = faults
    assert files == {}


def test_importing_barbot_stays_light() -> None:
    program = "import sys; import barbot; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert HEAVY & set(run.stdout.split()) == set()


@pytest.mark.parametrize(
    ("module", "line", "there"),
    [
        ("barbot.core.bars", "import barbot.wire.link", "barbot.wire.link"),
        ("barbot.core.bars", "def f():\n    from barbot.config import load", "barbot.config"),
        ("barbot.core.bars", "from barbot import run", "barbot.run"),
        ("barbot.core.bars", "from barbot import Bar", "barbot"),
        ("barbot.wire.link", "from barbot.core.bars import Tracker", "barbot.core.bars"),
        ("barbot.feeds.csv", "if TYPE_CHECKING:\n    import barbot.core", "barbot.core"),
        ("barbot.providers.kucoin", "from barbot import Bar", "barbot"),
        ("barbot.errors", "importlib.import_module('barbot.model')", "barbot.model"),
        ("barbot.run.replay", "from barbot.cli import app", "barbot.cli"),
    ],
)
def test_the_check_sees_an_import_that_climbs(module: str, line: str, there: str) -> None:
    modules = {module: line, "barbot.run": "", "barbot": ""}
    number = line.count("\n") + 1
    assert floor_faults(modules) == [f"{module}:{number} imports {there}"]


def test_the_check_lets_an_import_of_a_lower_floor_pass() -> None:
    modules = {
        "barbot.run.replay": "from barbot.core.engine import Engine\nimport json",
        "barbot.core.engine": "from barbot.core import bars",
        "barbot.core.bars": "",
    }
    assert (floor_faults(modules), circle(modules)) == ([], [])


def test_the_check_sees_a_circle() -> None:
    modules = {
        "barbot.core.a": "def f():\n    from barbot.core.b import g",
        "barbot.core.b": "from barbot.core import a",
    }
    assert sorted(set(circle(modules))) == ["barbot.core.a", "barbot.core.b"]


def test_the_check_sees_a_long_function() -> None:
    source = "class A:\n    def f(self):\n" + "        pass\n" * MAX_FUNCTION_LINES
    assert long_functions(source) == ["f at line 2 has 61 lines"]


def test_the_check_sees_a_submodule_in_a_strategy() -> None:
    source = "from barbot import Bar\nfrom barbot.core.strategy import Strategy"
    assert submodule_imports(source, {}) == ["barbot.core.strategy"]
