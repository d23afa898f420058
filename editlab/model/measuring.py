"""Measures key statistics: the keys of a text, or of the model's own samples, summed in steps that give the model away.

A measurement that is stopped, closed or killed goes on the next time from what it had kept.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from editlab import storage
from editlab.errors import BadFile, Cancelled
from editlab.model import memory
from editlab.model.overlay import capturing_keys
from editlab.model.reading import read as read_texts
from editlab.model.sampling import Sampling
from editlab.model.statistics import WINDOW, KeyStatistics, name_of, read, source_of, write
from editlab.patches import BASE
from editlab.work import Cancel, Progress, never, no_progress, part_of, stop_if

if TYPE_CHECKING:
    from editlab.model.language_model import LanguageModel

JUDGED = 4
"""Windows, evenly spread, that the statistics are judged by."""
KEPT_SECONDS = 120.0
"""At most so much is lost when a measurement is killed; at 7B, what is kept is half a gigabyte a layer."""


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
    source = source_of(text, seed)
    return [read(folder / name_of(model, layer, source, tokens)) for layer in layers]


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
    closed or killed, it goes on from what it had kept the next time. `small`: write files of half the size. What is there
    already counts as measured last: edits use it.
    """
    source = source_of(text, seed)
    names = {layer: name_of(model, layer, source, tokens) for layer in layers}
    missing = [layer for layer in layers if not (folder / names[layer]).exists()]
    for layer in set(layers) - set(missing):
        with suppress(OSError):  # a folder of somebody else
            (folder / names[layer]).touch()
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
            write(folder / names[layer], layer, C, header, small)
            yield
    finally:
        work.remove()  # its sums are used up


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
