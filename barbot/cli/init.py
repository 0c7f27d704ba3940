"""`barbot init`: a new strategy file to start from. Floor 5.

The file is `template.py` beside this one with other names, so that ruff, mypy and the tests look at what users get.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
from pathlib import Path
from typing import Annotated, Final

import typer

import barbot
from barbot.errors import ConfigError

_TEMPLATE: Final = Path(__file__).with_name("template.py")
_CLASS: Final = "NewStrategy"


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it: my_idea.")],
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where to write it.")] = Path("strategies"),
) -> None:
    """Write a new strategy file to start from."""
    path = write_strategy(name, folder)
    typer.echo(f"Wrote {path} with the strategy {class_name(name)}. Next:")
    typer.echo(f"  barbot run {path} --feed FILE")


def write_strategy(name: str, folder: Path) -> Path:
    """Write the template as `folder/name.py` and return its path.

    Raises:
        ConfigError: `name` will not do, the file exists, or it cannot be written.
    """
    check_name(name)
    path = folder / f"{name}.py"
    text = _TEMPLATE.read_text("utf-8").replace(_CLASS, class_name(name))
    text = text.replace("NAME:", f"{class_name(name)}:", 1).replace("PATH", path.as_posix(), 1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        at = path if path.exists() else folder
        raise ConfigError("exists already", where=str(at), remedy="Choose another name, or remove it first") from None
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(path), remedy="Choose another --dir") from (
            None
        )
    return path


def class_name(name: str) -> str:
    """Return the class of the strategy called `name`: `my_idea` is `MyIdea`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def check_name(name: str) -> None:
    """Pass if `name` can be that of a module and of a class beside the names of barbot.

    Raises:
        ConfigError: it cannot; the remedy is a name that can.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or not class_name(name).isidentifier():
        raise ConfigError(f"{name!r} is no name of a Python module", where="NAME", remedy=_suggest(name))
    if class_name(name) in barbot.__all__:
        raise ConfigError(f"{class_name(name)} is a name of barbot's own", where="NAME", remedy=_suggest(name))
    if importlib.util.find_spec(name) is not None:
        raise ConfigError(f"a Python module is called {name!r} already", where="NAME", remedy=_suggest(name))


def _suggest(name: str) -> str:
    words = re.findall(r"[^\W_]+", name) or ["my_strategy"]
    better = "_".join(words).lower()
    if better[0].isdigit():
        better = f"strategy_{better}"
    if better == name or keyword.iskeyword(better):
        better = f"{better}_strategy"
    return f"Call it {better}"
