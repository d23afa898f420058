"""Writes what was measured into a model's preset, `NAME.toml`, the figures beside the values they belong to.

What a person wrote in a preset stays, comments included; a preset of other weights is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from editlab import storage
from editlab.bench.robustness import COLUMNS
from editlab.bench.validate import JUDGED_BY, Validation
from editlab.errors import BadFile, BadRequest
from editlab.model.source import presets_by_name

if TYPE_CHECKING:
    from editlab.model import LanguageModel

MATCHED = ("model_type", "hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size")
NO_VALUES = ("seed", "form")
"""Settings of an edit that are no hyperparameters of a model."""


def path_for(model: LanguageModel, folder: Path, name: str | None = None, bundled: Path | None = None) -> Path:
    """Return where a model's preset is written: under its own name if it has one, else under `name` or that of its files.

    `bundled`: a folder of presets, whose file of that name is continued where `folder` has none. Raises `BadRequest` where
    that is no name or the file belongs to other weights, `BadFile` where it cannot be read or the folder cannot be written.
    """
    if name is None and model.preset.get("checkpoint") == model.checkpoint:
        name = model.preset["name"]
    elif name is None:
        name = re.sub(r"[^\w.-]+", "-", Path(model.name.partition("@")[0]).name.lower())
    if not re.fullmatch(r"[\w][\w.-]*", name):
        raise BadRequest(f"A preset cannot be called {name!r}. Use letters, digits, '.', '-' and '_': --name NAME")
    path = folder / f"{name}.toml"
    if (earlier := _earlier(path, bundled)).exists():
        found = _parsed(earlier)
        fits = all(getattr(model.hf.config, key, None) == value for key, value in found.get("match", {}).items())
        if found.get("checkpoint", model.checkpoint) != model.checkpoint or not fits:
            raise BadRequest(f"{earlier} belongs to another model. Choose another name: --name NAME")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".tmp").touch()
        path.with_suffix(".tmp").unlink()
    except OSError as error:
        raise BadFile(f"{folder} cannot be written: {error.strerror}. Choose another folder: --to FOLDER") from error
    return path


def write(path: Path, model: LanguageModel, found: Validation, today: date, bundled: Path | None = None) -> None:
    """Write a validation into a preset. The model has it from now on, and again when it is loaded."""
    document = _begun(_earlier(path, bundled), model)
    measured = document.setdefault("measured", tomlkit.table(is_super_table=True))
    for method, line in found.measured.items():
        if method not in document:
            values = {name: value for name, value in line["config"].items() if name not in NO_VALUES}
            document[method] = tomlkit.table()
            document[method].update({n: list(v) if isinstance(v, tuple) else v for n, v in values.items()})
        if method in found.chosen:
            table = document[method]
            table["layers"] = line["layers"]
            table["layers"].comment(_why(line, found))
        measured[method] = _figures(model, line, found, today)
    with storage.new_file(path) as part:
        part.write_text(tomlkit.dumps(document), encoding="utf-8")
    presets_by_name.cache_clear()
    model.preset = document.unwrap()


def _earlier(path: Path, bundled: Path | None) -> Path:
    """Return the file that a preset continues: its own, or the bundled one of its name."""
    return path if path.exists() or bundled is None else bundled / path.name


def _begun(path: Path, model: LanguageModel) -> TOMLDocument:
    """Return the preset as it is so far, with the weights that it belongs to."""
    if path.exists():
        text = path.read_text(encoding="utf-8")
        if "checkpoint" not in tomlkit.parse(text):  # a key that is added to a parsed one would stand behind its comments
            text, found = re.subn(r"^validated\b.*\n", _weights(model), text, count=1, flags=re.MULTILINE)
            text = text if found else _weights(model) + text
        return tomlkit.parse(text)
    config = model.hf.config
    fields = {(config.attribute_map or {}).get(name, name): getattr(config, name, None) for name in MATCHED}
    document = tomlkit.parse(f'# {model.name}, as editlab validate measured it\nname = "{path.stem}"\n{_weights(model)}')
    table = tomlkit.table()
    table.update({name: value for name, value in fields.items() if value is not None})
    document.add(tomlkit.nl())
    document.add(tomlkit.comment("The config.json fields that identify the model."))
    document["match"] = table
    return document


def _weights(model: LanguageModel) -> str:
    return f'validated = true\ncheckpoint = "{model.checkpoint}" # the weights that the figures belong to\n'


def _why(line: Mapping[str, Any], found: Validation) -> str:
    rates = ", ".join(f"{name} {line[name]:.2f}" for name in JUDGED_BY if line[name] is not None)
    text = f"{rates} of {line['n']} edits"
    if found.layer is None:
        return f"{text}; as --layers named them"
    tried = ", ".join(f"{own['layers'][0]}: {own['score']:.2f}" for own in found.sweep)
    which = "the best" if line["layers"] == [found.layer] else f"up to {found.layer}, the best for ROME"
    return f"{text}; {which} by their mean in a sweep of {found.sweep[0]['n']}: {tried}"


def _figures(model: LanguageModel, line: Mapping[str, Any], found: Validation, today: date) -> Table:
    """Return what was measured of one method: rates, each with its 95 % interval and what it was counted over."""
    table = tomlkit.table()
    table["date"] = today.isoformat()
    table["dtype"] = str(model.dtype).removeprefix("torch.")
    table["quantization"] = model.quantization
    table["facts_known"] = tomlkit.item(found.facts.said).comment(f"of {found.facts.asked:,} that were asked")
    table["layers"] = line["layers"]
    table["edits"] = line["n"]
    table["skipped"] = line["skipped"]
    for name in COLUMNS:
        if line[name] is not None:
            low, high = line[f"{name}_ci"]
            rate = tomlkit.item(round(line[name], 3))
            written = line["generated"][name]
            text = f"{low:.2f} to {high:.2f}, {line[f'{name}_items']:,} prompts"
            table[name] = rate.comment(text if written is None else f"{text}; written {written:.3f}")
    table["seconds_per_edit"] = round(line["seconds_per_edit"], 3)
    return table


def _parsed(path: Path) -> TOMLDocument:
    try:
        return tomlkit.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise BadFile(f"{path} cannot be read as TOML: {error}") from error
