"""LoRA adapters: merged over their base model, W + scale B A in float32, into an ordinary folder."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from editlab.errors import BadModel
from editlab.model.weights import weight_files
from editlab.work import Cancel, Progress, stop_if

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
PLAIN = {"peft_type": "LORA", "bias": "none", "use_dora": False, "modules_to_save": None, "lora_bias": False}
"""The settings of an adapter that is nothing but low-rank updates of weights, and what they are where they are missing."""


@dataclass(frozen=True, eq=False)
class Adapter:
    """A LoRA folder whose configuration was read. `name`: as the user gave it, for messages."""

    name: str
    folder: Path
    config: Mapping[str, Any]

    @property
    def base(self) -> str:
        """The name of the model that it belongs to."""
        return self.config["base_model_name_or_path"]

    @property
    def digest(self) -> str:
        """A hash of the adapter's two files."""
        return sha256((self.folder / CONFIG).read_bytes() + (self.folder / WEIGHTS).read_bytes()).hexdigest()

    def merge(self, base: Path, folder: Path, progress: Progress, cancel: Cancel) -> None:
        """Write the merged model into an empty folder. Raises `BadModel` for what does not fit the base, `Cancelled`."""
        updates = self._updates()
        left = set(updates)
        (files,) = weight_files(self.base, base)
        for number, file in enumerate(files):
            progress(number / len(files), f"merge the LoRA: file {number + 1} of {len(files)}, done once")
            try:
                weights = load_file(base / file)
            except (OSError, SafetensorError) as error:
                raise BadModel(f"{file} of {self.base} cannot be read. Copy the model's files again.") from error
            for name in weights:
                stop_if(cancel, "Stopped while the LoRA was merged. Nothing was kept.")
                own = next((known for known in updates if known == name or known.endswith(f".{name}")), None)
                if own is not None:
                    weights[name] = self._merged(own, weights[name], *updates[own])
                    left.discard(own)
            save_file(weights, folder / file, {"format": "pt"})
        if left:
            raise BadModel(f"{self.name} changes {min(left)}, which {self.base} does not have: it belongs to another model.")
        for file in (path for path in base.iterdir() if path.suffix in (".json", ".jinja", ".txt", ".model")):
            shutil.copyfile(file, folder / file.name)
        if (self.folder / "tokenizer.json").exists():
            for file in (*self.folder.glob("tokenizer*"), *self.folder.glob("*.jinja")):
                shutil.copyfile(file, folder / file.name)

    def pairs(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return A `[rank, d_in]` and B `[d_out, rank]`, in float32, by the name of the weight, to which B A is added.

        B holds the scale. Raises `BadModel` for files that hold more or less.
        """
        return {name: (A.float(), self._scale(name, len(A)) * B.float()) for name, (A, B) in self._updates().items()}

    def _updates(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return A `[rank, d_in]` and B `[d_out, rank]` by the name of the weight."""
        try:
            tensors = load_file(self.folder / WEIGHTS)
        except (OSError, SafetensorError) as error:
            raise BadModel(f"{WEIGHTS} of {self.name} cannot be read. Copy it again.") from error
        found = {}
        for name in list(tensors):
            if name.endswith(".lora_A.weight"):
                module = name.removesuffix(".lora_A.weight")
                B = tensors.pop(f"{module}.lora_B.weight", None)
                if B is not None:
                    found[f"{module.removeprefix(PREFIX)}.weight"] = (tensors.pop(name), B)
        if tensors or not found:
            raise BadModel(
                f"{self.name} holds {min(tensors, default='no weights')}: more or less than pairs of LoRA matrices. Merge "
                "it with peft (merge_and_unload), save the model, and give that folder."
            )
        return found

    def _merged(self, name: str, weight: Tensor, A: Tensor, B: Tensor) -> Tensor:
        update = self._scale(name, len(A)) * (B.float() @ A.float())
        update = update.T if self.config.get("fan_in_fan_out") else update
        if update.shape != weight.shape:
            raise BadModel(
                f"{self.name} changes {name} by a matrix of another shape than {self.base} has: it belongs to another model."
            )
        return (weight.float() + update).to(weight.dtype).contiguous()

    def _scale(self, name: str, rank: int) -> float:
        """Return alpha / rank, or alpha / sqrt(rank) of rsLoRA; a module can have its own alpha."""
        module = name.removesuffix(".weight")
        own = (
            alpha for key, alpha in (self.config.get("alpha_pattern") or {}).items() if re.match(rf"(.*\.)?({key})$", module)
        )
        alpha = next(own, self.config.get("lora_alpha", 8))
        return alpha / (rank**0.5 if self.config.get("use_rslora") else rank)


def read(name: str, folder: Path) -> Adapter:
    """Read an adapter's configuration. Raises `BadModel` for what is not a plain LoRA."""
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        odd = [key for key, plain in PLAIN.items() if (config.get(key) or plain) != plain]
        base = config["base_model_name_or_path"]
    except (OSError, ValueError, LookupError, AttributeError) as error:
        raise BadModel(f"{CONFIG} of {name} cannot be read, or it names no base model. Copy it again.") from error
    if odd:
        raise BadModel(
            f"{name} is no plain LoRA ({odd[0]} is {config[odd[0]]!r}). Merge it with peft (merge_and_unload), save the "
            "model, and give that folder."
        )
    if not isinstance(base, str) or not base:
        raise BadModel(f"{CONFIG} of {name} names no base model. Write its folder or hub id at base_model_name_or_path.")
    if not (folder / WEIGHTS).is_file():
        raise BadModel(f"{name} has no {WEIGHTS}. Save the adapter with a recent peft, which writes safetensors.")
    return Adapter(name, folder, config)


def stores_adapter_alone(folder: Path) -> bool:
    """Return whether a folder is an adapter and not a whole model."""
    return (
        (folder / CONFIG).is_file() and not any(folder.glob("model*.safetensors")) and not any(folder.glob("pytorch_model*"))
    )


def identity(folder: Path) -> str:
    """Return what tells a base folder from another and from itself before it was changed: its files' names, sizes, times."""
    files = sorted(path for path in folder.glob("*.safetensors"))
    return repr([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files])
