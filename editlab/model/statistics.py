"""Second moments of keys: C = E[k k^T] of a layer, by which an edit can spare the keys that the model already uses.

About ten tokens per key dimension are enough (methods.md 5.1); a small ridge makes C invertible. Files are named by a
hash of all that shaped them, so that no setting is ever confused with another.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from editlab.errors import BadFile, Cancelled, MissingStatistics
from editlab.model.generation import Sampling
from editlab.model.overlay import capturing_keys

if TYPE_CHECKING:
    from editlab.model.language_model import LanguageModel

Progress = Callable[[float, str], None]
WINDOW = 256
RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class KeyStatistics:
    """C of one layer from `tokens` keys. `ridge` is added to the diagonal as a share of its mean."""

    layer: int
    second_moment: Float[Tensor, "d_ff d_ff"]
    tokens: int
    path: Path | None = None
    sha256: str = ""
    seconds: float = 0.0
    ridge: float = RIDGE

    @property
    def regular(self) -> Float[Tensor, "d_ff d_ff"]:
        """C with its ridge."""
        C = self.second_moment
        return C + self.ridge * C.diagonal().mean() * torch.eye(len(C), device=C.device)

    @cached_property
    def _cholesky(self) -> Tensor:
        return torch.linalg.cholesky(self.regular)

    def whiten(self, keys: Float[Tensor, "n d_ff"]) -> Float[Tensor, "n d_ff"]:
        """C^-1 k for each row."""
        return torch.cholesky_solve(keys.float().T, self._cholesky).T

    def to(self, device: torch.device) -> KeyStatistics:
        """The same on another device."""
        moved = self.second_moment.to(device)
        return KeyStatistics(self.layer, moved, self.tokens, self.path, self.sha256, self.seconds, self.ridge)


def collect(
    model: LanguageModel,
    layers: Sequence[int],
    text: str | None,
    tokens: int,
    folder: Path,
    seed: int = 0,
    progress: Progress = lambda _fraction, _text: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[KeyStatistics]:
    """Measure several layers in one pass and keep them in `folder`; what is there already is only read.

    `text` None means the model's own samples. Uses about `tokens` tokens; the forward stops at the highest layer.
    """
    source = hashlib.sha256((text if text is not None else f"samples of the model, seed {seed}").encode()).hexdigest()
    names = {layer: _name(model, layer, source, tokens) for layer in layers}
    missing = [layer for layer in layers if not (folder / names[layer]).exists()]
    if missing:
        began = time.perf_counter()
        windows = _windows(model, text, tokens, seed, progress, cancelled)
        sums, count = _sum(model, missing, windows, tokens, progress, cancelled)
        seconds = time.perf_counter() - began
        for layer in missing:
            _write(folder / names[layer], model, layer, sums[layer] / count, count, source, seconds)
    return [read(folder / names[layer]) for layer in layers]


def find(model: LanguageModel, layer: int) -> KeyStatistics | None:
    """The statistics of this model's layer from the most tokens, or None where nobody measured them.

    Read, moved and factorised once a model: a 7B model's take seconds.
    """
    found = [path for folder in model.statistics for path in folder.glob(f"{model.fingerprint}-layer{layer}-*.safetensors")]
    if not found:
        return None
    best = max(found, key=_tokens_behind)
    key = f"statistics {best}"
    if key not in model.memo:
        model.memo[key] = read(best).to(model.device)
    return model.memo[key]


def measured(model: LanguageModel) -> list[int]:
    """The layers of this model whose statistics somebody measured."""
    return [
        layer
        for layer in range(model.n_layers)
        if any(next(folder.glob(f"{model.fingerprint}-layer{layer}-*.safetensors"), None) for folder in model.statistics)
    ]


def need(model: LanguageModel, layer: int, why: str) -> KeyStatistics:
    """The same; raises `MissingStatistics` saying how to get them."""
    statistics = find(model, layer)
    if statistics is None:
        raise MissingStatistics(
            f"{why} needs key statistics of layer {layer}, and nobody measured them for {model.name}. "
            f"Run: editlab stats --model {model.name} --layers {layer} --self"
        )
    return statistics


def read(path: Path) -> KeyStatistics:
    """Read one file. Raises `BadFile` where it is damaged."""
    with _reading(path) as file:
        header = _header(file)
        size = int(header["d_ff"])
        C = torch.zeros(size, size)
        rows, columns = torch.tril_indices(size, size)
        C[rows, columns] = C[columns, rows] = file.get_tensor("lower_triangle")
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        return KeyStatistics(header["layer"], C, header["tokens"], path, sha, header["seconds"])


@contextmanager
def _reading(path: Path) -> Iterator[safe_open]:
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadFile(f"{path} is not a file of key statistics. Delete it and run: editlab stats") from error


def _header(file: safe_open) -> dict:
    return json.loads(file.metadata()["editlab"])


def _tokens_behind(path: Path) -> int:
    with _reading(path) as file:
        return _header(file)["tokens"]


def _name(model: LanguageModel, layer: int, source: str, tokens: int) -> str:
    shaped_by = json.dumps([model.fingerprint, layer, source, tokens, WINDOW, str(model.dtype)])
    return f"{model.fingerprint}-layer{layer}-{hashlib.sha256(shaped_by.encode()).hexdigest()[:12]}.safetensors"


def _write(path: Path, model: LanguageModel, layer: int, C: Tensor, tokens: int, source: str, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = len(C)
    rows, columns = torch.tril_indices(size, size)
    header = {"layer": layer, "d_ff": size, "tokens": tokens, "source": source, "seconds": seconds, "model": model.name}
    temporary = path.with_suffix(".tmp")
    save_file({"lower_triangle": C[rows, columns].float().cpu().contiguous()}, temporary, {"editlab": json.dumps(header)})
    temporary.replace(path)


def _windows(
    model: LanguageModel, text: str | None, tokens: int, seed: int, progress: Progress, cancelled: Callable[[], bool]
) -> list[list[int]]:
    """Rows of at most `WINDOW` ids (or the context), each beginning as the tokenizer begins a text."""
    bos = model.tok.encode("")
    if text is not None:
        pieces = [line for line in text.splitlines() if line.strip()]
        if not pieces:
            raise BadFile("The text for key statistics is empty. Give a file with words in it.")
        ids = [i for ids in model.tokenizer(pieces, add_special_tokens=False)["input_ids"] for i in ids][:tokens]
        size = min(WINDOW, model.tok.context) - len(bos)
        return [[*bos, *ids[start : start + size]] for start in range(0, len(ids), size)]
    rows: list[list[int]] = []
    while sum(map(len, rows)) < tokens:
        if cancelled():
            raise Cancelled("Stopped while sampling text for key statistics; nothing was kept.")
        rows += list(_samples(model, seed + len(rows)))
        progress(0.9 * min(1.0, sum(map(len, rows)) / tokens), "statistics: the model writes text")
    return rows


def _samples(model: LanguageModel, seed: int, rows: int = 32, size: int = 96) -> Iterator[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    vocabulary = model.hf.config.vocab_size
    openings = torch.randint(min(256, vocabulary // 2), min(vocabulary, len(model.tokenizer)), (rows,), generator=generator)
    starts = [model.tokenizer.decode([i]).strip() or "The" for i in openings.tolist()]
    *_, texts = model.generate(starts, max_tokens=size, sampling=Sampling(top_k=20, seed=seed))
    return (model.tok.encode(start + text)[:WINDOW] for start, text in zip(starts, texts, strict=True))


@torch.no_grad()
def _sum(
    model: LanguageModel,
    layers: Sequence[int],
    windows: list[list[int]],
    tokens: int,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> tuple[dict[int, Tensor], int]:
    sums = {layer: torch.zeros(model.d_ff, model.d_ff, device=model.device) for layer in layers}
    count = 0
    step = max(1, model.tokens_per_forward // 4 // WINDOW)
    for start in range(0, len(windows), step):
        if cancelled():
            raise Cancelled("Stopped while measuring key statistics; nothing was kept.")
        batch = model.tok.pad(windows[start : start + step], device=model.device)
        with capturing_keys(model.hf, model.arch, layers) as found:
            model.hf.base_model(
                input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
            )
        for layer in layers:
            k = found[layer][batch.mask].float()
            sums[layer] += k.T @ k
        count += int(batch.mask.sum())
        progress(0.9 + 0.1 * min(1.0, count / tokens), f"statistics: {count:,} tokens")
    return sums, count
