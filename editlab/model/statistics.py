"""Second moments of keys: C = E[k k^T] of a layer, by which an edit can spare the keys that the model already uses.

About ten tokens per key dimension are enough (docs/methods.md 5.1); a small ridge makes C invertible. Files are named by a
hash of all that shaped them, so that no setting is ever confused with another. Those that a model brings in its presets are
small: correlations in 16 bits beside the diagonal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from editlab import storage
from editlab.errors import BadFile, MissingStatistics

if TYPE_CHECKING:
    from editlab.model.language_model import LanguageModel

WINDOW = 256
RIDGE = 1e-3
KEYS_PER_DIMENSION = 10
"""Tokens that are measured for each dimension of a key, where nobody says otherwise (docs/methods.md 5.1)."""


@dataclass(frozen=True, eq=False)
class KeyStatistics:
    """C of one layer from `tokens` keys, as the lower Cholesky `factor` of C with its ridge.

    `ridge` is added to the diagonal as a share of its mean. `quality`, at least 1: how much farther (k^T C^-1 k) keys of a
    text lie that C was not measured on than those it was; 1 means that more text would change nothing. None in old files.
    """

    layer: int
    factor: Float[Tensor, "d_ff d_ff"]
    tokens: int
    path: Path | None = None
    sha256: str = ""
    seconds: float = 0.0
    quality: float | None = None
    ridge: float = RIDGE

    @classmethod
    def of(cls, layer: int, second_moment: Float[Tensor, "d_ff d_ff"], tokens: int, **known: Any) -> KeyStatistics:
        """Factorise C, which is used up: at 7B it is as large as the factor."""
        second_moment.diagonal().add_(RIDGE * second_moment.diagonal().mean())
        return cls(layer, torch.linalg.cholesky(second_moment), tokens, **known)

    @property
    def regular(self) -> Float[Tensor, "d_ff d_ff"]:
        """C with its ridge."""
        return self.factor @ self.factor.T

    @property
    def second_moment(self) -> Float[Tensor, "d_ff d_ff"]:
        """C, up to rounding."""
        C = self.regular
        C.diagonal().sub_(self.ridge / (1 + self.ridge) * C.diagonal().mean())
        return C

    def whiten(self, keys: Float[Tensor, "n d_ff"]) -> Float[Tensor, "n d_ff"]:
        """Return C^-1 k for each row."""
        return torch.cholesky_solve(keys.float().T, self.factor).T


def find(model: LanguageModel, layer: int) -> KeyStatistics | None:
    """Return the statistics that edits of this model's layer use, or None where nobody measured them.

    Read, moved and factorised once a model: a 7B model's take seconds.
    """
    path = used(model, layer)
    if path is None:
        return None
    key = f"statistics {path}"
    if key not in model.memo:
        model.memo[key] = read(path, model.device)
    return model.memo[key]


def digests(model: LanguageModel, layers: Iterable[int]) -> list[str]:
    """Return the hash of each layer's statistics, empty where there are none: they shape the edits that read them."""
    return [found.sha256 if (found := find(model, layer)) else "" for layer in layers]


def describe(model: LanguageModel, layer: int) -> dict[str, Any] | None:
    """Return what is written beside those statistics: `tokens`, `source`, `seconds`, and `quality` where it was judged."""
    path = used(model, layer)
    if path is None:
        return None
    with _reading(path) as file:
        return _header(file)


def used(model: LanguageModel, layer: int) -> Path | None:
    """Return the file that edits of a layer read: the user's own that was measured last, else what came with the model."""
    for folder in reversed(model.statistics):
        files = _files(model, layer, folder)
        if files:
            return max(files, key=lambda path: (path.stat().st_mtime_ns, path.name))
    return None


def measured_layers(model: LanguageModel) -> list[int]:
    """Return the layers of this model whose statistics somebody measured, behind the start that its texts have now."""
    return [layer for layer in range(model.n_layers) if any(_files(model, layer, own) for own in model.statistics)]


def _files(model: LanguageModel, layer: int, folder: Path) -> list[Path]:
    return list(folder.glob(f"{_prefix(model, layer)}-*.safetensors"))


def _prefix(model: LanguageModel, layer: int) -> str:
    """Return how the names of a layer's files begin: also by the ids of the model's start, if it has one."""
    start = f"-start{'.'.join(map(str, model.tok.encode('')))}" if model.start.text else ""
    return f"{model.checkpoint}{start}-layer{layer}"


def need(model: LanguageModel, layer: int, why: str) -> KeyStatistics:
    """Return them as `find`; raises `MissingStatistics` with how to get them."""
    statistics = find(model, layer)
    if statistics is None:
        raise MissingStatistics(
            f"{why} needs key statistics of layer {layer}, and nobody measured them for {model.name}. "
            f"Run: editlab stats --model {model.name} --layers {layer} --self"
        )
    return statistics


def read(path: Path, device: torch.device | str = "cpu") -> KeyStatistics:
    """Read one file and factorise it on a device. Raises `BadFile` where it is damaged."""
    with _reading(path) as file:
        header = _header(file)
        C = _second_moment(file, header).to(device)
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        known = {"path": path, "sha256": sha, "seconds": header["seconds"], "quality": header.get("quality")}
        return KeyStatistics.of(header["layer"], C, header["tokens"], **known)


def _second_moment(file: safe_open, header: Mapping[str, Any]) -> Float[Tensor, "d_ff d_ff"]:
    size = int(header["d_ff"])
    if not header.get("small"):
        return _square(file.get_tensor("lower_triangle"), size)
    norms = file.get_tensor("diagonal").sqrt()
    return _square(file.get_tensor("correlations"), size) * norms[:, None] * norms


def _square(triangle: Float[Tensor, "half"], size: int) -> Float[Tensor, "d_ff d_ff"]:
    """Return a symmetric matrix from its lower triangle, row by row: an index of all places would need more memory."""
    if len(triangle) != size * (size + 1) // 2:
        raise ValueError("the triangle is of another size")
    C = torch.zeros(size, size)
    start = 0
    for row in range(size):
        C[row, : row + 1] = triangle[start : start + row + 1]
        start += row + 1
    return C + C.tril(-1).T


def _triangle(C: Float[Tensor, "d_ff d_ff"]) -> Float[Tensor, "half"]:
    return torch.cat([row[: number + 1] for number, row in enumerate(C.float().cpu())])


@contextmanager
def _reading(path: Path) -> Iterator[safe_open]:
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadFile(f"{path} is not a file of key statistics. Delete it and run: editlab stats") from error


def _header(file: safe_open) -> dict:
    return json.loads(file.metadata()["editlab"])


def name_of(model: LanguageModel, layer: int, source: str, tokens: int) -> str:
    """Return the name of the file that statistics of a layer get, from so many tokens of that source."""
    shaped_by = json.dumps([model.checkpoint, layer, source, tokens, WINDOW, str(model.dtype)])
    return f"{_prefix(model, layer)}-{hashlib.sha256(shaped_by.encode()).hexdigest()[:12]}.safetensors"


def source_of(text: str | None, seed: int) -> str:
    """Return the hash of a text, or of the model's own samples with that seed."""
    return hashlib.sha256((text if text is not None else f"samples of the model, seed {seed}").encode()).hexdigest()


def write(path: Path, layer: int, C: Tensor, header: dict[str, Any], small: bool) -> None:
    """Write the second moment of a layer's keys; `small` in half the bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = json.dumps({"layer": layer, "d_ff": len(C), **header} | ({"small": True} if small else {}))
    if small:
        diagonal = C.diagonal().float().cpu()
        norms = diagonal.sqrt().to(C.device)
        correlations = (C / norms[:, None] / norms).nan_to_num_()  # a key that is never used has no correlation
        tensors = {"correlations": _triangle(correlations).half(), "diagonal": diagonal.contiguous()}
    else:
        tensors = {"lower_triangle": _triangle(C)}
    with storage.new_file(path) as part:
        save_file(tensors, part, {"editlab": metadata})
