"""Collect the messages of the page into its catalogues: python -m tools.languages

Each catalogue of `editlab/web/languages/` gets the messages that are new and loses those that are gone; translations of the
others stay. With `--add LANG` a language gets its first catalogue. What is then translated in it needs no command.

Below the page, an f-string is a message as well where the page shows it: the text of an `EditLabError`, of a job's progress
and of whatever else is marked by `noop`. f"The {name} is empty." is collected as "The {name} is empty."
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import re
import tempfile
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from babel.messages.frontend import CommandLineInterface

from editlab import errors
from editlab.web.core.language import FOLDER

ROOT = Path(__file__).resolve().parents[1]
Found = Iterator[tuple[int, str | None, str | tuple[str, ...], list[str]]]
"""Messages as Babel takes them: the line, the function that says it, the forms, and comments."""
ERRORS = {name for name, error in vars(errors).items() if isinstance(error, type) and issubclass(error, errors.EditLabError)}
MARKS = ("_", "noop")
TEXTS = dict.fromkeys((*ERRORS, *MARKS), 0) | dict.fromkeys(("progress", "report", "stop_if"), 1)
"""Functions of the engine that take an English sentence, and which of their arguments it is."""
SAID = ("title", "say", "shows", "note", "text", "notice", "question", "options")
"""The fields of a scenario and of an example that people read."""


def extract(to: Path) -> Path:
    """Write all messages of the page as a template of catalogues, and return its path."""
    _babel("extract", "-F", ROOT / "pyproject.toml", "-k", "noop", "--add-location=file", "--sort-by-file",
           "--project=EditLab", "-o", to, "editlab", "presets")  # fmt: skip
    return to


def read_engine(file: BinaryIO, keywords: Collection[str], tags: Collection[str], options: dict[str, Any]) -> Found:
    """Yield the messages of a file of Python below the page."""
    for call in ast.walk(ast.parse(file.read())):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if name == "ngettext":
            yield call.lineno, name, (ast.literal_eval(call.args[0]), ast.literal_eval(call.args[1])), []
        elif name == "count" and len(call.args) > 1:
            noun, plural = (*map(ast.literal_eval, call.args[1:]), None)[:2]
            yield call.lineno, "ngettext", (f"{{n}} {noun}", f"{{n}} {plural or f'{noun}s'}"), []
        elif name in TEXTS and len(call.args) > TEXTS[name]:
            yield from ((call.lineno, None, form, []) for form in forms(call.args[TEXTS[name]], plain=name not in MARKS))


def read_preset(
    file: BinaryIO, keywords: Collection[str], tags: Collection[str], options: dict[str, Any]
) -> Iterator[Found]:
    """Yield what people read of a scenario or an example."""
    preset = tomllib.load(file)
    for part in (preset, *preset.get("steps", ())):
        for text in (part[name] for name in SAID if name in part):
            yield from ((1, None, one, []) for one in ([text] if isinstance(text, str) else text))


def forms(text: ast.expr, plain: bool = True) -> Iterator[str]:
    """Yield the messages of an expression: of a text, of an f-string, and of either of two. `plain`: braces are braces."""
    match text:
        case ast.Constant(value=str(said)) if said.strip():
            yield _escaped(said) if plain else said
        case ast.IfExp(body=first, orelse=second):
            yield from (*forms(first, plain), *forms(second, plain))
        case ast.JoinedStr(values=parts):
            names: dict[str, str] = {}
            said = "".join(_part(part, names) for part in parts)
            if re.sub(r"{\w+}", "", said).strip():
                yield said.strip()


def _part(part: ast.expr, names: dict[str, str]) -> str:
    """Return a part of an f-string as a part of its message. `names`: those that stand in it already, for which values."""
    if isinstance(part, ast.Constant):
        return _escaped(str(part.value))
    value = ast.unparse(part)
    name = base = _name(part.value)
    while names.setdefault(name, value) != value:
        name = f"{base}{int(name.removeprefix(base) or 1) + 1}"
    return f"{{{name}}}"


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _name(value: ast.expr) -> str:
    """Return how a value is called in a message: {path}, {strerror}, {options} of len(options)."""
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_").lower()
        case ast.Subscript(slice=ast.Constant(value=str(name))) if name.isidentifier():
            return name
        case ast.Subscript(value=inner) | ast.BinOp(left=inner) | ast.IfExp(body=inner) | ast.GeneratorExp(elt=inner):
            return _name(inner)
        case ast.Call(func=ast.Name() | ast.Attribute(attr="join" | "get"), args=[inner, *_]):
            return _name(inner)
        case ast.Call(func=ast.Attribute(value=inner, attr="replace" | "rstrip" | "splitlines")):
            return _name(inner)
        case ast.Call(func=inner) | ast.BoolOp(values=[inner, *_]) | ast.Starred(value=inner):
            return _name(inner)
    return "value"


def _babel(*words: object) -> None:
    with contextlib.chdir(ROOT):
        CommandLineInterface().run(["pybabel", "--quiet", *map(str, words)])


def main() -> None:
    """Write the catalogues."""
    parser = argparse.ArgumentParser(description="Collect the messages of the page into its catalogues.")
    parser.add_argument("--add", metavar="LANG", help="a language that gets its first catalogue")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        template = extract(Path(folder) / "messages.pot")
        if given.add:
            _babel("init", "-i", template, "-o", FOLDER / f"{given.add}.po", "-l", given.add, "-w", 120)
        for catalogue in sorted(FOLDER.glob("*.po")):
            _babel("update", "-i", template, "-o", catalogue, "-l", catalogue.stem, "-w", 120, "--no-fuzzy-matching",
                   "--ignore-obsolete", "--ignore-pot-creation-date")  # fmt: skip


if __name__ == "__main__":
    main()
