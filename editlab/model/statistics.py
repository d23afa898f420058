"""Second moments of keys: C = E[k k^T] of a layer, by which an edit can spare the keys that the model already uses.

About ten tokens per key dimension are enough (docs/methods.md 5.1); a small ridge makes C invertible. Files are named by a
hash of all that shaped them, so that no setting is ever confused with another. Those that a model brings in its presets are
small: correlations in 16 bits beside the diagonal.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from editlab import storage
from editlab.errors import BadFile, Cancelled, MissingStatistics
from editlab.model import memory
from editlab.model.overlay import capturing_keys
from editlab.model.reading import read as read_texts
from editlab.model.sampling import Sampling
from editlab.patches import BASE
from editlab.work import Cancel, Progress, never, no_progress, part_of, stop_if

if TYPE_CHECKING:
    from editlab.model.language_model import LanguageModel

WINDOW = 256
RIDGE = 1e-3
KEYS_PER_DIMENSION = 10
"""Tokens that are measured for each dimension of a key, where nobody says otherwise (docs/methods.md 5.1)."""
JUDGED = 4
"""Windows, evenly spread, that the statistics are judged by."""
KEPT_SECONDS = 120.0
"""At most so much is lost when a measurement is killed; at 7B, what is kept is half a gigabyte a layer."""


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


def collect(
    model: LanguageModel,
    layers: Sequence[int],
    text: str | None,
    tokens: int,
    folder: Path,
    seed: int = 0,
    progress: Progress = no_progress,
    cancel: Cancel = never,
    small: bool = False,
) -> list[KeyStatistics]:
    """Measure several layers in one pass and keep them in `folder`, as `collecting` does; return what is there then."""
    for _ in collecting(model, layers, text, tokens, folder, seed, progress, cancel, small):
        pass
    source = _source(text, seed)
    return [read(folder / _name(model, layer, source, tokens)) for layer in layers]


def collecting(
    model: LanguageModel,
    layers: Sequence[int],
    text: str | None,
    tokens: int,
    folder: Path,
    seed: int = 0,
    progress: Progress = no_progress,
    cancel: Cancel = never,
    small: bool = False,
) -> Iterator[None]:
    """Measure the layers that `folder` lacks in one pass, and yield after each step, so that others can use the model.

    `text` None means the model's own samples. Uses about `tokens` tokens; the forward stops at the highest layer. Stopped,
    closed or killed, it goes on from what it had kept the next time. `small`: write files of half the size.
    """
    source = _source(text, seed)
    names = {layer: _name(model, layer, source, tokens) for layer in layers}
    missing = [layer for layer in layers if not (folder / names[layer]).exists()]
    if not missing:
        return
    work = Unfinished.at(folder, [names[layer] for layer in missing])
    read_from = 0.0 if text is not None else 0.9
    windows = yield from _windows(model, text, tokens, seed, work, part_of(progress, 0.0, read_from), cancel)
    sums = _Sums(model, missing, len(windows), work)
    yield from _sum(model, sums, windows, work, part_of(progress, read_from, 1.0), cancel)
    try:
        for layer in missing:
            C, quality = sums.moment(layer)
            header = {"tokens": sums.count, "source": source, "seconds": work.spent, "model": model.name, "quality": quality}
            _write(folder / names[layer], layer, C, header, small)
            yield
    finally:
        work.remove()  # its sums are used up


def find(model: LanguageModel, layer: int) -> KeyStatistics | None:
    """Return the statistics of this model's layer from the most tokens, or None where nobody measured them.

    Read, moved and factorised once a model: a 7B model's take seconds.
    """
    best = _best(model, layer)
    if best is None:
        return None
    key = f"statistics {best}"
    if key not in model.memo:
        model.memo[key] = read(best, model.device)
    return model.memo[key]


def describe(model: LanguageModel, layer: int) -> dict[str, Any] | None:
    """Return what is written beside those statistics: `tokens`, `source`, `seconds`, and `quality` where it was judged."""
    best = _best(model, layer)
    if best is None:
        return None
    with _reading(best) as file:
        return _header(file)


def _best(model: LanguageModel, layer: int) -> Path | None:
    return max(_files(model, layer), key=_tokens_behind, default=None)


def measured_layers(model: LanguageModel) -> list[int]:
    """Return the layers of this model whose statistics somebody measured, behind the start that its texts have now."""
    return [layer for layer in range(model.n_layers) if any(_files(model, layer))]


def _files(model: LanguageModel, layer: int) -> Iterator[Path]:
    for folder in model.statistics:
        yield from folder.glob(f"{_prefix(model, layer)}-*.safetensors")


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


def _tokens_behind(path: Path) -> int:
    with _reading(path) as file:
        return _header(file)["tokens"]


def _name(model: LanguageModel, layer: int, source: str, tokens: int) -> str:
    shaped_by = json.dumps([model.checkpoint, layer, source, tokens, WINDOW, str(model.dtype)])
    return f"{_prefix(model, layer)}-{hashlib.sha256(shaped_by.encode()).hexdigest()[:12]}.safetensors"


def _source(text: str | None, seed: int) -> str:
    return hashlib.sha256((text if text is not None else f"samples of the model, seed {seed}").encode()).hexdigest()


def _write(path: Path, layer: int, C: Tensor, header: dict[str, Any], small: bool) -> None:
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


@dataclass
class Unfinished:
    """What a measurement has done so far, in a file beside those it will write: a stopped or killed one goes on from it.

    `rows`: the texts that the model has written, as ids; `sums`: those of the keys of the first `done` windows.
    """

    path: Path
    rows: list[list[int]] = field(default_factory=list)
    sums: dict[str, Tensor] = field(default_factory=dict)
    done: int = 0
    seconds: float = 0.0
    began: float = field(default_factory=time.perf_counter)

    @classmethod
    def at(cls, folder: Path, names: Sequence[str]) -> Unfinished:
        """Return what is kept of the measurement that will write files of these names; a damaged file counts as nothing."""
        path = folder / f"unfinished-{hashlib.sha256(' '.join(names).encode()).hexdigest()[:12]}.safetensors"
        try:
            with safe_open(path, "pt") as file:
                header = json.loads(file.metadata()["editlab"])
                tensors = {name: file.get_tensor(name) for name in header["tensors"]}
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return cls(path)
        ids, lengths = tensors.pop("ids").tolist(), tensors.pop("lengths").tolist()
        ends = list(accumulate(lengths))
        rows = [ids[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        return cls(path, rows, tensors, header["done"], header["seconds"])

    @property
    def spent(self) -> float:
        """The seconds since the measurement began, without those between a stop and its resumption."""
        return self.seconds + time.perf_counter() - self.began

    def keep(self) -> None:
        """Write it all down."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flat = torch.tensor([i for row in self.rows for i in row], dtype=torch.long)
        tensors = {"ids": flat, "lengths": torch.tensor([len(row) for row in self.rows], dtype=torch.long)}
        tensors |= {name: tensor.cpu().contiguous() for name, tensor in self.sums.items()}
        header = json.dumps({"done": self.done, "seconds": self.spent, "tensors": list(tensors)})
        with storage.new_file(self.path) as part:
            save_file(tensors, part, {"editlab": header})

    def remove(self) -> None:
        """Remove the files of a measurement that is finished."""
        self.path.unlink(missing_ok=True)


def _windows(
    model: LanguageModel,
    text: str | None,
    tokens: int,
    seed: int,
    work: Unfinished,
    progress: Progress,
    cancel: Cancel,
) -> Generator[None, None, list[list[int]]]:
    """Return rows of at most `WINDOW` ids (or the context), each with the model's start; yield while it writes them."""
    bos = model.tok.encode("")
    if text is not None:
        pieces = [line for line in text.splitlines() if line.strip()]
        if not pieces:
            raise BadFile("The text for key statistics is empty. Give a file with words in it.")
        ids = [i for ids in model.tokenizer(pieces, add_special_tokens=False)["input_ids"] for i in ids][:tokens]
        size = min(WINDOW, model.tok.context) - len(bos)
        return [[*bos, *ids[start : start + size]] for start in range(0, len(ids), size)]
    while (written := sum(map(len, work.rows))) < tokens:
        stop_if(cancel, f"Stopped with {written:,} of {tokens:,} tokens written. Measure again to go on from there.")
        work.rows += yield from _samples(model, seed + len(work.rows))
        work.keep()
        progress(min(1.0, sum(map(len, work.rows)) / tokens), f"statistics: the model has written {written:,} tokens")
    return work.rows


def _samples(model: LanguageModel, seed: int, size: int = 96) -> Generator[None, None, list[list[int]]]:
    rows = 64 if model.tokens_per_forward > 8_192 else 32
    generator = torch.Generator().manual_seed(seed)
    vocabulary = model.hf.config.vocab_size
    openings = torch.randint(min(256, vocabulary // 2), min(vocabulary, len(model.tokenizer)), (rows,), generator=generator)
    starts = [model.tokenizer.decode([i]).strip() or "The" for i in openings.tolist()]
    reading = read_texts(model, starts, [BASE] * len(starts), size)
    texts: list[str] = []
    for written in reading.write(size, Sampling(top_k=20, seed=seed)):
        texts = list(map(model.tok.decode, written))
        yield
    return [model.tok.encode(start + text)[:WINDOW] for start, text in zip(starts, texts, strict=True)]


class _Sums:
    """Sums of k k^T by layer, on the model's device where half of what is free holds them, and a few windows' keys."""

    def __init__(self, model: LanguageModel, layers: Sequence[int], windows: int, work: Unfinished) -> None:
        self.layers, self._model, self._work, self._every = layers, model, work, max(1, windows // JUDGED)
        if not work.sums:
            work.sums = {f"layer{layer}": torch.zeros(model.d_ff, model.d_ff) for layer in layers}
            work.sums["count"] = torch.zeros((), dtype=torch.long)
        room = memory.free(model.device)
        here = room is None or 4 * len(layers) * model.d_ff**2 <= room / 2
        self._place = model.device if here else torch.device("cpu")
        work.sums = {name: tensor.to(self._place) for name, tensor in work.sums.items()}

    @property
    def count(self) -> int:
        """Keys so far."""
        return int(self._work.sums["count"])

    def add(self, number: int, found: Mapping[int, Tensor], mask: Tensor) -> None:
        """Add the keys `[rows, tokens, d_ff]` of the windows from `number` on."""
        sums = self._work.sums
        for layer in self.layers:
            k = found[layer][mask].float()
            if sums[f"layer{layer}"].device == k.device:
                sums[f"layer{layer}"].addmm_(k.T, k)
            else:
                sums[f"layer{layer}"] += (k.T @ k).to(self._place)
            for row in range(len(mask)):
                if (number + row) % self._every == 0:
                    sums[f"keys{layer}.{number + row}"] = found[layer][row][mask[row]].float().to(self._place)
        sums["count"] += mask.sum().to(self._place)
        self._work.done = number + len(mask)

    def moment(self, layer: int) -> tuple[Float[Tensor, "d_ff d_ff"], float]:
        """Return C of a layer, and its quality: each judged window against C without it (Woodbury), beside C with it."""
        sums = self._work.sums
        C = sums.pop(f"layer{layer}") / self.count
        L = KeyStatistics.of(layer, C.clone(), self.count).factor
        judged = [sums.pop(name) for name in list(sums) if name.startswith(f"keys{layer}.")]
        inside = outside = 0.0
        for K in judged:
            H = K @ torch.cholesky_solve(K.T, L) / self.count
            eye = torch.eye(len(H), device=H.device)
            inside += float(H.trace())
            outside += float(torch.linalg.solve(eye - H, H).trace())
        return C, outside / inside


def _sum(
    model: LanguageModel,
    sums: _Sums,
    windows: list[list[int]],
    work: Unfinished,
    progress: Progress,
    cancel: Cancel,
) -> Iterator[None]:
    """Add the keys of all windows, and yield after each forward. What is done is kept now and then, and when it ends."""
    kept = time.perf_counter()
    step = 1 if model.device.type == "cpu" else max(1, model.tokens_per_forward // 4 // WINDOW)
    try:
        for start in range(work.done, len(windows), step):
            stop_if(cancel, f"Stopped after {sums.count:,} tokens. Measure again to go on from there.")
            _read(model, sums, start, windows[start : start + step])
            progress(work.done / len(windows), f"statistics: {work.done} of {len(windows)} texts measured")
            if time.perf_counter() - kept > KEPT_SECONDS:
                work.keep()
                kept = time.perf_counter()
            yield
    except (Cancelled, GeneratorExit):
        if work.done:
            work.keep()
        raise


@torch.no_grad()
def _read(model: LanguageModel, sums: _Sums, start: int, windows: list[list[int]]) -> None:
    """Add the keys of some windows, the first of which is number `start`."""
    batch = model.tok.pad(windows, device=model.device)
    with capturing_keys(model.hf, model.arch, sums.layers) as found:
        model.hf.base_model(input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False)
    sums.add(start, found, batch.mask)
