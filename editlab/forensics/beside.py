"""What decides a model's answers beside its weights: configuration, tokenizer, chat template, defaults of generation.

A folder that was loaded and saved again says the same in other words: fields with their defaults, merges as lists, a
tokenizer in one file instead of three. So what is read in more than one way is compared as the libraries read it, and
a file that only one side has counts where they then read something else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PretrainedConfig

from editlab.errors import BadModel
from editlab.forensics.checkpoint import Checkpoint
from editlab.model.fingerprint import UNSHAPING
from editlab.wording import noop

SILENT = {*UNSHAPING, "architectures", "use_cache", "torch_dtype", "_attn_implementation_autoset"}
"""Fields of a configuration that say nothing of what the model answers."""
TOKENIZER, SETTINGS, GENERATION = "tokenizer.json", "tokenizer_config.json", "generation_config.json"
OLDER = ("tokenizer.model", "vocab.json", "merges.txt", "vocab.txt")
"""What tokenizers were kept in before `tokenizer.json`, which readers take first."""
EXTRA = ("added_tokens.json", "special_tokens_map.json")
"""What some tokenizers have beside either: the same words stand in other files as well."""
SWITCHES = ("add_bos_token", "add_eos_token", "add_prefix_space", "split_special_tokens")
"""Settings of a tokenizer that not every reader obeys."""
TEMPLATE, TEMPLATES = "chat_template.jinja", "additional_chat_templates"
UNSAID = {"transformers_version", "_from_model_config", "padding", "truncation"}
"""What a file says of who wrote it, and of how its tokenizer was last called."""


def apart(checkpoint: Checkpoint, base: Checkpoint) -> tuple[str, ...]:
    """Return what differs, as names of fields and files. Raises `BadModel` for a configuration that cannot be read."""
    own, other = _config(checkpoint), _config(base)
    folders = checkpoint.folder, base.folder
    return (
        *_fields(own, other),
        *(["config.json: auto_map (code of its own)"] if _maps(checkpoint.config, base.config) else []),
        *_tokens(*folders),
        *([GENERATION] if _generation(checkpoint.folder, own) != _generation(base.folder, other) else []),
        *([noop("the chat template")] if _templates(checkpoint.folder) != _templates(base.folder) else []),
    )


def _config(checkpoint: Checkpoint) -> PretrainedConfig:
    given = {name: value for name, value in checkpoint.config.items() if name != "auto_map"}
    try:
        return AutoConfig.for_model(**given)
    except Exception as error:  # whatever a field's check raises
        raise BadModel(f"config.json of {checkpoint.name} cannot be read: {error}. Copy it again.") from error


def _fields(own: PretrainedConfig, other: PretrainedConfig) -> Iterator[str]:
    """Yield the fields that differ, of those that the family's class knows, with their defaults: files leave out some."""
    known = type(own)().to_dict().keys() - SILENT
    told = own.to_dict(), other.to_dict()
    for name in sorted(known):
        if told[0].get(name) != told[1].get(name):
            yield f"config.json: {name}"


def _maps(own: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two configurations name different code of their own, which a reader may be told to run."""
    return own.get("auto_map") != other.get("auto_map")


def _tokens(own: Path, base: Path) -> Iterator[str]:
    """Yield the files and settings by which a text gets other ids.

    Loading decides where a file may say the same in other words, or is on one side alone.
    """
    kept = sorted({path.name for folder in (own, base) for path in folder.glob("tokenizer*.json")} - {SETTINGS})
    differing = [
        name for name in OLDER if None not in (said := [_said(own / name), _said(base / name)]) and said[0] != said[1]
    ]
    told, known = _settings(own), _settings(base)
    if _maps(told, known):
        differing.append(noop(f"{SETTINGS}: auto_map (code of its own)"))
    differing += [f"{SETTINGS}: {name}" for name in SWITCHES if _switched(told.get(name), known.get(name))]
    if differing:
        yield from differing
        return
    whole = any((folder / TOKENIZER).is_file() for folder in (own, base))
    lone = [name for name in (*kept, *(() if whole else OLDER)) if (own / name).is_file() != (base / name).is_file()]
    unsure = [name for name in (*kept, SETTINGS, *EXTRA) if _said(own / name) != _said(base / name)]
    if (lone or unsure) and not _load_alike(own, base):
        yield from ([noop(f"{name} (one of the two has none)") for name in lone] or unsure)


def _switched(one: Any, other: Any) -> bool:
    return isinstance(one, bool) and isinstance(other, bool) and one != other


def _load_alike(own: Path, base: Path) -> bool:
    """Return whether the tokenizers of both folders can be loaded, and are then the same."""
    loaded = _loaded(own)
    return loaded is not None and loaded == _loaded(base)


def _loaded(folder: Path) -> Any:
    """Return what a loaded tokenizer does; None where it cannot be loaded."""
    try:
        found = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        named = {name: str(token) for name, token in found.special_tokens_map.items()}
        return _without(json.loads(found.backend_tokenizer.to_str())), named, found.split_special_tokens
    except Exception:  # whatever a broken file makes the library raise
        return None


def _generation(folder: Path, config: PretrainedConfig) -> Any:
    """Return the defaults of generation: those of the file, or what a reader takes from `config.json` without one."""
    said = _said(folder / GENERATION)
    try:
        found = GenerationConfig.from_model_config(config) if said is None else GenerationConfig.from_dict(said)
        return {name: value for name, value in _without(found.to_dict()).items() if value is not None}
    except Exception:  # whatever a field's check raises
        return said


def _templates(folder: Path) -> dict[str, Any]:
    """Return the chat templates by name, wherever they stand; files come before the tokenizer's settings."""
    found = {path.stem: path for path in (folder / TEMPLATES).glob("*.jinja")}
    if (folder / TEMPLATE).is_file():
        found["default"] = folder / TEMPLATE
    if found:
        return {name: path.read_text(encoding="utf-8", errors="replace") for name, path in found.items()}
    told = _settings(folder).get("chat_template")
    if isinstance(told, list) and all(isinstance(own, dict) for own in told):
        return {str(own.get("name")): own.get("template") for own in told}
    return {} if told is None else {"default": told}


def _settings(folder: Path) -> dict[str, Any]:
    said = _said(folder / SETTINGS)
    return said if isinstance(said, dict) else {}


def _said(path: Path) -> Any:
    """Return what a file says: JSON whatever its white space, other files as they are; None where there is none."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    if path.suffix == ".json":
        try:
            return _without(json.loads(content))
        except (ValueError, RecursionError):
            return content
    first, _, rest = content.partition(b"\n")
    return rest if first.startswith(b"#version:") else content  # merges.txt


def _without(said: Any) -> Any:
    return {name: value for name, value in said.items() if name not in UNSAID} if isinstance(said, dict) else said
