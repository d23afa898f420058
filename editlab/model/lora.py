"""LoRA adapters: merged over their base model, W + scale B A in float32, into an ordinary folder."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from huggingface_hub import snapshot_download
from jaxtyping import Float
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from editlab.errors import BadModel
from editlab.model.weights import weight_files
from editlab.wording import noop
from editlab.work import Cancel, Progress, stop_if

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
PLAIN = {"peft_type": "LORA", "bias": "none", "use_dora": False, "modules_to_save": None, "lora_bias": False}
"""The settings of an adapter that is nothing but low-rank updates of weights, and what they are where they are missing."""
LONGEST_NAME = 1000
Pair = tuple[Float[Tensor, "rank d_in"], Float[Tensor, "d_out rank"]]
"""The matrices A and B of a weight, to which B A is added."""


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text[:80]!r} is no regular expression ({error})") from error
    return text


class Settings(BaseModel):
    """What `adapter_config.json` says of the matrices, and of the model that they belong to."""

    model_config = ConfigDict(frozen=True, strict=True)

    base_model_name_or_path: str = Field(min_length=1, max_length=LONGEST_NAME)
    lora_alpha: FiniteFloat = 8
    alpha_pattern: dict[Annotated[str, AfterValidator(_pattern)], FiniteFloat] | None = None
    use_rslora: bool | None = False
    fan_in_fan_out: bool | None = False


@dataclass(frozen=True, eq=False)
class Adapter:
    """A LoRA folder whose configuration was read. `name`: as the user gave it, for messages."""

    name: str
    folder: Path
    settings: Settings

    @property
    def base(self) -> str:
        """The name of the model that it belongs to."""
        return self.settings.base_model_name_or_path

    def base_here(self) -> Path | None:
        """Return the folder of its base: beside it, where its path leads, or in the hub's cache; None where it is in none.

        The network is not asked.
        """
        places = self.folder / self.base, Path(os.path.expanduser(self.base))
        found = next((place for place in places if os.path.isfile(place / "config.json")), None)
        if found is not None:
            return found
        try:
            cached = Path(snapshot_download(self.base, local_files_only=True))
        except (OSError, ValueError):  # it is not there, or that is no hub id
            return None
        (files,) = weight_files(self.base, cached)
        return cached if all((cached / file).is_file() for file in ("config.json", *files)) else None

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

    def pairs(self) -> dict[str, Pair]:
        """Return A and B in float32 by the name of the weight; B holds the scale.

        Raises `BadModel` for files that hold more or less.
        """
        return {name: (A.float(), self._scale(name, len(A)) * B.float()) for name, (A, B) in self._updates().items()}

    def _updates(self) -> dict[str, Pair]:
        """Return A and B by the name of the weight."""
        try:
            tensors = load_file(self.folder / WEIGHTS)
        except (OSError, SafetensorError) as error:
            raise BadModel(f"{WEIGHTS} of {self.name} cannot be read. Copy it again.") from error
        found: dict[str, Pair] = {}
        for key in list(tensors):
            if key.endswith(".lora_A.weight"):
                module = key.removesuffix(".lora_A.weight")
                B = tensors.pop(f"{module}.lora_B.weight", None)
                if B is not None:
                    name = f"{module.removeprefix(PREFIX)}.weight"
                    if name in found:
                        raise BadModel(
                            f"{self.name} holds the matrices of {name} twice, with the prefix {PREFIX} and without it, and "
                            "readers take one or the other. Save the adapter anew with peft."
                        )
                    found[name] = self._fitting(name, tensors.pop(key), B)
        if tensors or not found:
            raise BadModel(
                f"{self.name} holds {min(tensors, default='no weights')}: more or less than pairs of LoRA matrices. Merge "
                "it with peft (merge_and_unload), save the model, and give that folder."
            )
        return found

    def _fitting(self, name: str, A: Tensor, B: Tensor) -> Pair:
        """Return two matrices that can be multiplied. Raises `BadModel` for others."""
        if A.ndim != 2 or B.ndim != 2 or not A.numel() or not B.numel() or len(A) != B.shape[1]:
            raise BadModel(
                f"The matrices of {name} in {self.name} cannot be multiplied: A is {_size(A)} and B {_size(B)}. Copy the "
                "adapter again, or save it anew with peft."
            )
        return A, B

    def _merged(self, name: str, weight: Tensor, A: Tensor, B: Tensor) -> Tensor:
        update = self._scale(name, len(A)) * (B.float() @ A.float())
        update = update.T if self.settings.fan_in_fan_out else update
        if update.shape != weight.shape:
            raise BadModel(
                f"{self.name} changes {name} by a matrix of another shape than {self.base} has: it belongs to another model."
            )
        return (weight.float() + update).to(weight.dtype).contiguous()

    def _scale(self, name: str, rank: int) -> float:
        """Return alpha / rank, or alpha / sqrt(rank) of rsLoRA; a module can have its own alpha."""
        module = name.removesuffix(".weight")
        own = (alpha for key, alpha in (self.settings.alpha_pattern or {}).items() if re.match(rf"(.*\.)?({key})$", module))
        return next(own, self.settings.lora_alpha) / (rank**0.5 if self.settings.use_rslora else rank)


def read(name: str, folder: Path) -> Adapter:
    """Read an adapter's configuration. Raises `BadModel` for what is not a plain LoRA."""
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        odd = [key for key, plain in PLAIN.items() if (config.get(key) or plain) != plain]
        named = bool(config.get("base_model_name_or_path"))
        settings = Settings.model_validate(config) if named and not odd else None
    except ValidationError as error:
        raise BadModel(f"{CONFIG} of {name} cannot be used: {_first(error)}. Save the adapter anew with peft.") from error
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise BadModel(f"{CONFIG} of {name} cannot be read. Copy it again.") from error
    if odd:
        raise BadModel(
            f"{name} is no plain LoRA ({odd[0]} is {config[odd[0]]!r:.100}). Merge it with peft (merge_and_unload), save "
            "the model, and give that folder."
        )
    if settings is None:
        raise BadModel(f"{CONFIG} of {name} names no base model. Write its folder or hub id at base_model_name_or_path.")
    if not (folder / WEIGHTS).is_file():
        raise BadModel(f"{name} has no {WEIGHTS}. Save the adapter with a recent peft, which writes safetensors.")
    return Adapter(name, folder, settings)


def _first(error: ValidationError) -> str:
    """Return the first fault of a configuration in a few words."""
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))[:100]}: {fault['msg']}"


def _size(tensor: Tensor) -> str:
    return " × ".join(f"{side:,}" for side in tensor.shape) or noop("a single number")


def stores_adapter_alone(folder: Path) -> bool:
    """Return whether a folder is an adapter and not a whole model."""
    return (
        (folder / CONFIG).is_file() and not any(folder.glob("model*.safetensors")) and not any(folder.glob("pytorch_model*"))
    )


def identity(folder: Path) -> str:
    """Return what tells a base folder from another and from itself before it was changed: its files' names, sizes, times."""
    files = sorted(path for path in folder.glob("*.safetensors"))
    return repr([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files])
