"""What decides a model's answers beside its weights: configuration, tokenizer, chat template, defaults of generation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from editlab.errors import BadModel
from editlab.forensics.checkpoint import Checkpoint
from editlab.model.fingerprint import UNSHAPING

SILENT = {*UNSHAPING, "architectures", "use_cache", "torch_dtype", "_attn_implementation_autoset"}
"""Fields of a configuration that say nothing of what the model answers."""
COMPARED = ("tokenizer.json", "tokenizer.model", "generation_config.json")
"""Files that are held against the base's where both have them. Others name the same things, or nothing that is asked."""
UNSAID = {"transformers_version", "_from_model_config"}


def apart(checkpoint: Checkpoint, base: Checkpoint) -> tuple[str, ...]:
    """Return what differs, as names of fields and files. Raises `BadModel` for a configuration that cannot be read."""
    return (*_fields(checkpoint, base), *_files(checkpoint.folder, base.folder))


def _fields(checkpoint: Checkpoint, base: Checkpoint) -> Iterator[str]:
    own, other = _config(checkpoint), _config(base)
    for name in sorted(own.keys() | other.keys()):
        if own.get(name) != other.get(name):
            yield f"config.json: {name}"
    if checkpoint.config.get("auto_map") != base.config.get("auto_map"):
        yield "config.json: auto_map (code of its own)"


def _config(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the fields that the family's class knows, with their defaults: files name more, and leave out some."""
    given = {name: value for name, value in checkpoint.config.items() if name != "auto_map"}
    try:
        config = AutoConfig.for_model(**given)
        known = type(config)().to_dict()
    except Exception as error:  # whatever a field's check raises
        raise BadModel(f"config.json of {checkpoint.name} cannot be read: {error}. Copy it again.") from error
    return {name: value for name, value in config.to_dict().items() if name in known and name not in SILENT}


def _files(folder: Path, base: Path) -> Iterator[str]:
    for name in COMPARED:
        if (folder / name).is_file() and (base / name).is_file() and _said(folder / name) != _said(base / name):
            yield name
    templates = [_template(place) for place in (folder, base)]
    if all((place / "tokenizer_config.json").is_file() for place in (folder, base)) and templates[0] != templates[1]:
        yield "the chat template"


def _template(folder: Path) -> Any:
    """Return the chat template, wherever it stands."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8", errors="replace")
    settings = _said(folder / "tokenizer_config.json")
    return settings.get("chat_template") if isinstance(settings, dict) else None


def _said(path: Path) -> Any:
    """Return what a file says: JSON whatever its white space, other files as they are; None where there is none."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    if path.suffix != ".json":
        return content
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return content
    return {name: value for name, value in said.items() if name not in UNSAID} if isinstance(said, dict) else said
