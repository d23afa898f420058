"""Finds and loads a model: the bundled one, a folder, a hub id, or a real architecture filled with seeded noise."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig

from editlab.errors import BadFile, BadModel, UnsupportedArchitecture
from editlab.model.architectures import architecture_of
from editlab.model.language_model import LanguageModel
from editlab.settings import Settings

RANDOM = "config:"


def load(
    name: str = "atlas",
    *,
    quantization: str = "none",
    dtype: str = "auto",
    device: str = "auto",
    seed: int = 0,
    settings: Settings | None = None,
) -> LanguageModel:
    """Load a model and freeze it.

    `name`: `atlas`, a local folder, a hub id (the only case that uses the network), or `config:NAME` with NAME of a file
    in `presets/models/`: that architecture with random weights from `seed` and Atlas's tokenizer. Raises `BadModel` with
    what to do, or `UnsupportedArchitecture`.
    """
    settings = settings or Settings()
    torch.set_float32_matmul_precision("highest" if settings.matmul == "exact" else "medium")
    if quantization != "none":
        raise BadModel(f"Quantization {quantization!r} is not available yet. Load with --quantization none.")
    target = device_for(device)
    atlas = settings.presets / "atlas"
    if name.startswith(RANDOM):
        hf, tokenizer = _random(name.removeprefix(RANDOM), settings.presets, seed, _dtype(dtype, target)), atlas
    else:
        hf, tokenizer = (
            _pretrained(str(atlas) if name == "atlas" else name, dtype, target),
            atlas if name == "atlas" else name,
        )
    return LanguageModel(
        hf.to(target),
        _tokenizer(tokenizer),
        name=name,
        preset=preset_for(hf.config, settings.presets),
        statistics=(settings.presets / "atlas" / "statistics", settings.data / "statistics"),
        masks=(settings.presets / "atlas" / "masks", settings.data / "masks"),
        tokens_per_forward=16_384 if target.type == "cuda" else 4_096,
    )


def device_for(device: str) -> torch.device:
    """The device that a setting names; "auto" takes a GPU where there is one. Raises `BadModel` where there is none."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BadModel("There is no CUDA device here. Use --device cpu.")
    return torch.device(device)


def _dtype(dtype: str, device: torch.device, parameters: int = 0) -> torch.dtype:
    """float32 where it costs little (a small model on CPU), bfloat16 elsewhere, unless one is named."""
    if dtype != "auto":
        return getattr(torch, dtype)
    return torch.float32 if device.type == "cpu" and parameters < 1_000_000_000 else torch.bfloat16


def _pretrained(name: str, dtype: str, device: torch.device) -> torch.nn.Module:
    folder = Path(name).expanduser()
    local = folder.exists()
    if local and not (folder / "config.json").is_file():
        raise BadModel(f"{name} holds no model: there is no config.json in it. Give a folder that save_pretrained wrote.")
    if not local and name.count("/") != 1:
        raise BadModel(f"{name!r} is neither a folder here nor a hub id like 'owner/name'. Check the path.")
    try:
        config = AutoConfig.from_pretrained(name, local_files_only=local, trust_remote_code=False)
        architecture_of(config.model_type)
        return AutoModelForCausalLM.from_pretrained(
            name,
            config=config,
            dtype=_dtype(dtype, device, _parameters(folder)),
            local_files_only=local,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except UnsupportedArchitecture:
        raise
    except (OSError, ValueError, KeyError) as error:
        what = "could not be loaded from its folder" if local else "could not be fetched from the hub"
        raise BadModel(f"{name} {what}: {str(error).splitlines()[0]}") from error


def _parameters(folder: Path) -> int:
    """Roughly how many parameters a local checkpoint has; many where that is unknown."""
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors")) if folder.is_dir() else 0
    return size // 2 if size else 10_000_000_000


def _random(name: str, presets: Path, seed: int, dtype: torch.dtype) -> torch.nn.Module:
    known = presets_by_name(presets)
    if name not in known or "config" not in known[name]:
        raise BadModel(f"There is no preset {name!r}. config:NAME takes one of: {', '.join(sorted(known))}.")
    table = known[name]["config"]
    config = AutoConfig.for_model(**table)
    torch.manual_seed(seed)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return AutoModelForCausalLM.from_config(config)
    finally:
        torch.set_default_dtype(before)


def _tokenizer(source: Path | str) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=Path(source).exists(), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise BadModel(f"{source} has no tokenizer that transformers can load: {str(error).splitlines()[0]}") from error
    if not tokenizer.is_fast:
        raise BadModel(f"{source} has no fast tokenizer (tokenizer.json): EditLab needs its character offsets.")
    return tokenizer


@cache
def presets_by_name(presets: Path) -> dict[str, dict[str, Any]]:
    """All of `presets/models/*.toml`, by name."""
    tables = {}
    for path in sorted((presets / "models").glob("*.toml")):
        try:
            tables[path.stem] = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise BadFile(f"{path} is not TOML: {error}") from error
    return tables


def preset_for(config: PretrainedConfig, presets: Path) -> dict[str, Any]:
    """The preset whose `[match]` fits a configuration, or an empty one."""
    for preset in presets_by_name(presets).values():
        if all(getattr(config, key, None) == value for key, value in preset["match"].items()):
            return preset
    return {}
