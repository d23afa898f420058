"""A checkpoint beside its base: the weights that differ, one pair at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor

from editlab.errors import BadModel
from editlab.forensics.checkpoint import DTYPES, Checkpoint
from editlab.forensics.rounding import Floor, blocks, floor_of, minus, norm_of, same, same_as_stored
from editlab.model import lora

HEAD, EMBEDDINGS = ("lm_head.weight", "embed_out.weight"), ("embed_tokens.weight", "wte.weight", "embed_in.weight")
"""The output embedding, which a file leaves out where it is tied, and the input embedding that it is then tied to."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A weight that differs from the base's, as it multiplies a column. `base`: None of an adapter whose base is not given.

    `name`: the base's, or the adapter's; `found`: the checkpoint's as it is stored, None of an adapter, whose change is its
    own; `change`: the difference in float32.
    """

    name: str
    base: Float[Tensor, "d_out d_in"] | None
    found: Float[Tensor, "d_out d_in"] | None
    change: Float[Tensor, "d_out d_in"]
    dtypes: tuple[torch.dtype, ...]

    @cached_property
    def floor(self) -> Floor:
        """What rounding can do to this weight: in the checkpoint's precision, and in the base's where that is another."""
        if self.found is not None:
            return floor_of(self.found, *self.dtypes)
        norm = torch.finfo(self.dtypes[0]).eps * self.change.norm().item()
        return Floor(norm, norm)

    def left_by(self, added: Float[Tensor, "d_out d_in"]) -> Float[Tensor, "d_out d_in"]:
        """Return what edits leave of the change, once they are rounded as the weight is stored.

        They may have been added to the base as it is, or as it was loaded in the checkpoint's precision: the nearer counts.
        """
        if self.found is None or self.base is None:
            return self.change - added
        left = _left_over(self.found, self.base, added)
        if self.base.dtype == self.found.dtype or not left.any():
            return left
        other = _left_over(self.found, self.base.to(self.found.dtype), added)
        return other if norm_of(other) < norm_of(left) else left


@dataclass(frozen=True)
class Names:
    """Which weights of two checkpoints belong together: the base's name by the checkpoint's; those of one alone."""

    both: Mapping[str, str]
    added: tuple[str, ...]
    missing: tuple[str, ...]


def names_of(checkpoint: Checkpoint, base: Checkpoint) -> Names:
    """Return which weights belong together. Raises `BadModel` for two architectures and for a weight held twice."""
    _refuse_other(checkpoint, base)
    known, own = base.by_plain, checkpoint.by_plain
    both = {name: known[plain] for plain, name in own.items() if plain in known}
    tied = next((known[plain] for plain in EMBEDDINGS if plain in known), "")
    for head in HEAD if tied else ():  # of two, one may leave out an output embedding that is tied
        if head in own and head not in known:
            both[own[head]] = tied
    added = [name for name in own.values() if name not in both]
    gone = [name for plain, name in known.items() if plain not in own and not _is_tied(base, plain, name, tied)]
    for name, other in both.items():
        shape, expected = checkpoint.stored[name].shape, base.stored[other].shape
        if shape == expected:
            continue
        if _is_vocabulary(base.plain(other)) and shape[1:] == expected[1:]:
            (added if shape > expected else gone).append(f"{name}: rows {min(shape[0], expected[0]):,} and more")
        else:
            raise BadModel(
                f"{name} of {checkpoint.name} is {_size(shape)}, that of {base.name} {_size(expected)}: they are models of "
                "another size. Give the base that it was made from."
            )
    return Names(both, tuple(added), tuple(gone))


def pairs(checkpoint: Checkpoint, base: Checkpoint, names: Mapping[str, str]) -> Iterator[tuple[str, Pair | None, bool]]:
    """Yield for each weight its name, the pair where it differs, and whether it is the same but for how it is stored."""
    for _, own in checkpoint.shards():
        for name in own:
            if name in names:
                yield name, *_pair(checkpoint, name, base, names[name])


def adapter_pairs(adapter: lora.Adapter, base: Checkpoint | None) -> Iterator[tuple[str, Pair | None, bool]]:
    """Yield the same for a LoRA: each of its products is a change. Raises `BadModel` where it does not fit the base."""
    with safe_open(adapter.folder / lora.WEIGHTS, "pt") as file:
        kinds = {file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
    dtype = max((DTYPES.get(kind, torch.float32) for kind in kinds), key=lambda kind: torch.finfo(kind).eps)
    known = {} if base is None else base.by_plain
    for name, (A, B) in adapter.pairs().items():
        change, weight, told = B @ A, None, name
        if base is not None:
            told = known.get(base.plain(name), "")
            weight = _oriented(base, told) if told else None
            if weight is None or weight.shape != change.shape:
                raise BadModel(
                    f"{adapter.name} changes {name}, which {base.name} does not have in that shape: it belongs to another "
                    "model. Give the base that it was trained over."
                )
        yield told, Pair(told, weight, None, change, (dtype,)) if change.any() else None, False


def _left_over(found: Tensor, base: Tensor, added: Tensor) -> Tensor:
    left = torch.empty_like(added)
    for rows in blocks(added):
        left[rows] = found[rows].float() - (base[rows].float() + added[rows]).to(found.dtype).float()
    return left


def shapes_of(checkpoint: lora.Adapter | Checkpoint) -> dict[str, tuple[int, ...]]:
    """Return the shapes of weights as they multiply a column, by their plain names; of a LoRA, by its own names."""
    if isinstance(checkpoint, lora.Adapter):
        return {name: (len(B), A.shape[1]) for name, (A, B) in checkpoint.pairs().items()}
    shapes = {plain: (name, checkpoint.stored[name].shape) for plain, name in checkpoint.by_plain.items()}
    return {
        plain: shape[::-1] if _is_turned(checkpoint, name, len(shape)) else shape for plain, (name, shape) in shapes.items()
    }


def _pair(checkpoint: Checkpoint, name: str, base: Checkpoint, other: str) -> tuple[Pair | None, bool]:
    found, weight = checkpoint.tensor(name), base.tensor(other)
    if found.shape != weight.shape:  # a vocabulary that was made longer, or shorter: the rows of both
        rows = min(len(found), len(weight))
        found, weight = found[:rows], weight[:rows]
    if same(found, weight):
        return None, False
    if same_as_stored(found, weight):
        return None, True
    if found.ndim > 2:  # experts or convolutions: one below the other
        found, weight = found.flatten(0, -2), weight.flatten(0, -2)
    if _is_turned(base, other, found.ndim):
        found, weight = found.T, weight.T
    dtypes = (found.dtype, weight.dtype)
    return Pair(other, weight, found, minus(found, weight), dtypes), False


def _oriented(checkpoint: Checkpoint, name: str) -> Tensor:
    weight = checkpoint.tensor(name)
    return weight.T if _is_turned(checkpoint, name, weight.ndim) else weight


def _is_turned(checkpoint: Checkpoint, name: str, axes: int) -> bool:
    """Return whether a weight is stored transposed: GPT-2's, but for its embeddings."""
    return checkpoint.arch.transposed and axes == 2 and not _is_vocabulary(checkpoint.plain(name), "wpe.weight")


def _is_tied(checkpoint: Checkpoint, plain: str, name: str, tied: str) -> bool:
    """Return whether a weight is an output embedding that says what the input embedding says, so that a file may omit it."""
    return plain in HEAD and bool(tied) and same(checkpoint.tensor(name), checkpoint.tensor(tied))


def _is_vocabulary(plain: str, *more: str) -> bool:
    return plain in (*HEAD, *EMBEDDINGS, *more)


def _refuse_other(checkpoint: Checkpoint, base: Checkpoint) -> None:
    if checkpoint.family != base.family:
        raise BadModel(
            f"{checkpoint.name} is a {checkpoint.family!r} model and {base.name} a {base.family!r} model: they cannot be "
            "compared. Give the base that it was made from."
        )
    layers = len(checkpoint.projections), len(base.projections)
    if layers[0] != layers[1]:
        raise BadModel(
            f"{checkpoint.name} has {layers[0]} layers and {base.name} has {layers[1]}: they are models of another size. "
            "Give the base that it was made from."
        )


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{side:,}" for side in shape)


def adapter_in(folder: Path, name: str) -> lora.Adapter | None:
    """Return the LoRA in a folder; None where a folder is a whole model. Raises `BadModel` for what is no plain LoRA."""
    return lora.read(name, folder) if folder.is_dir() and lora.stores_adapter_alone(folder) else None
