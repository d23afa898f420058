"""Brings a model into memory: as it is, in 8 or in 4 bit, on one device or spread over what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import init_empty_weights
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase
from transformers.utils import logging

from editlab.errors import BadModel, Cancelled
from editlab.model import memory
from editlab.model.devices import device_for
from editlab.model.fingerprint import Samples, checkpoint_hash, sample_of, samples_in, samples_of
from editlab.model.plan import Plan, dtype_for, plan_for
from editlab.model.source import Source, bring, find, loading_error, make
from editlab.model.weights import Quantization, exact, misshapen, quantisable, quantise, quantization_config
from editlab.settings import Settings
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress, part_of, stop_if

MAKING = 0.8
"""Share of the progress for what is done once: dequantising, merging."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """Weights in memory and their tokenizer, their source, the plan they were loaded by, and the checkpoint's hash."""

    source: Source
    plan: Plan
    hf: nn.Module
    tokenizer: PreTrainedTokenizerBase
    checkpoint: str


def load_weights(
    name: str,
    quantization: Quantization,
    dtype: str,
    device: str,
    seed: int,
    settings: Settings,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Loaded:
    """Bring a model's weights into memory; the arguments and errors are those of `LanguageModel.load`."""
    torch.set_float32_matmul_precision("highest" if settings.matmul == "exact" else "medium")
    target = device_for(device)
    source = find(name, settings)
    quantization = source.held(quantization)
    planned = plan_for(source, quantization, dtype, target)
    planned.check_weights()
    if not source.made:
        make(source, settings, part_of(progress, 0.0, MAKING), cancel)
        progress = part_of(progress, MAKING, 1.0)
    tokenizer = source.tokenizer()
    precision = dtype_for(source, dtype, target)
    progress(0.0, f"loading {name}: {memory.gigabytes(planned.weights)}")
    if source.place is None:
        hf, samples = _random(source, quantization, precision, target, seed, progress, cancel)
    else:
        hf = _pretrained(source, quantization, precision, target, planned, settings, progress, cancel)
        samples = samples_of(hf) if quantization == "none" and not offloaded(hf) else _samples_before(source, hf)
    return Loaded(source, planned, hf, tokenizer, checkpoint_hash(source.config, type(hf).__name__, samples))


def offloaded(hf: nn.Module) -> bool:
    """Return whether some weights are elsewhere until they are used."""
    return any(parameter.is_meta for parameter in hf.parameters())


def _pretrained(
    source: Source,
    quantization: Quantization,
    dtype: torch.dtype,
    target: torch.device,
    planned: Plan,
    settings: Settings,
    progress: Progress,
    cancel: Cancel,
) -> nn.Module:
    """Return a checkpoint from a folder or the hub, whole: a weight that is missing or of another shape is refused."""
    bring(source, settings, progress, cancel)
    try:
        with _watched(progress, cancel):
            hf, info = AutoModelForCausalLM.from_pretrained(
                str(source.folder),
                config=source.config,
                dtype=dtype,
                quantization_config=quantization_config(quantization, dtype) if source.stored == "none" else None,
                device_map={"": 0 if target.type == "cuda" else "cpu"} if planned.fits_one_device else "auto",
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=None if settings.unsafe_weights else True,
                ignore_mismatched_sizes=True,  # they are reported below, with their names
                output_loading_info=True,
            )
    except (Cancelled, KeyboardInterrupt):
        memory.give_back()
        raise
    except Exception as error:  # whatever a broken or missing file makes the library raise
        if memory.out_of_memory(error):
            raise memory.too_little(error, target) from error
        raise loading_error(source.name, source.local, error) from error
    lost = sorted(info["missing_keys"]) + sorted(str(key[0]) for key in info["mismatched_keys"]) + misshapen(hf)
    if lost:
        raise BadModel(
            f"{source.name} is not whole: {len(lost)} weights are missing or of another shape, the first is {lost[0]}. "
            "Copy its files again."
        )
    return exact(hf)


@contextmanager
def _watched(progress: Progress, cancel: Cancel) -> Iterator[None]:
    """Report every weight that transformers loads, and stop there if asked; nothing is drawn on the terminal."""

    def bar(_factory: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _Bar(args[0] if args else kwargs.get("iterable"), kwargs.get("total"), progress, cancel)

    before = logging.set_tqdm_hook(bar)
    try:
        yield
    finally:
        logging.set_tqdm_hook(before)


class _Bar:
    """What transformers takes for a progress bar."""

    def __init__(self, items: Any, total: int | None, progress: Progress, cancel: Cancel) -> None:
        self._items, self._progress, self._cancel = items, progress, cancel
        self._total, self._done = total or (len(items) if hasattr(items, "__len__") else 0), 0

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            yield item
            self.update()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def update(self, count: int = 1) -> None:
        """Count more weights as loaded. Raises `Cancelled`."""
        stop_if(self._cancel, "Stopped while loading. Nothing was changed.")
        self._done += count
        if self._total:
            self._progress(min(1.0, self._done / self._total), noop(f"loading: {self._done} of {self._total} weights"))

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_kwargs: None


@torch.no_grad()
def _random(
    source: Source,
    quantization: Quantization,
    dtype: torch.dtype,
    target: torch.device,
    seed: int,
    progress: Progress,
    cancel: Cancel,
) -> tuple[nn.Module, Samples]:
    """Return the architecture filled with noise, module by module, so that no memory is needed beyond the model's own.

    And samples of the noise, which is the same whether it is then quantised or not.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with init_empty_weights(include_buffers=False):
            hf = AutoModelForCausalLM.from_config(source.config)
    finally:
        torch.set_default_dtype(before)
    hf.requires_grad_(False).to(dtype)
    hf.tie_weights()
    names = list(hf.state_dict())
    head, tied = hf.get_output_embeddings(), getattr(hf, "all_tied_weights_keys", None) or {}
    modules = [(name, module) for name, module in hf.named_modules() if any(True for _ in module.parameters(recurse=False))]
    samples: dict[str, Any] = {}
    with torch.random.fork_rng(devices=[target] if target.type == "cuda" else []):
        torch.manual_seed(seed)
        for number, (name, module) in enumerate(modules):
            stop_if(cancel, "Stopped while loading. Nothing was changed.")
            progress(number / len(modules), f"loading: {number} of {len(modules)} modules")
            if f"{name}.weight" in tied:
                continue
            for key, parameter in module.named_parameters(recurse=False):
                setattr(module, key, nn.Parameter(torch.zeros_like(parameter, device=target), requires_grad=False))
            hf._init_weights(module)
            samples |= {f"{name}.{key}": sample_of(p) for key, p in module.named_parameters(recurse=False)}
            if quantization != "none" and quantisable(module) and module is not head:
                hf.set_submodule(name, quantise(module, quantization, dtype))
    hf.tie_weights()
    hf.to(target)
    return hf, {name: samples[tied.get(name, name)] for name in names}


def _samples_before(source: Source, hf: nn.Module) -> Samples:
    """Return the weights as they were before they were quantised or spread over devices."""
    return samples_in(source.folder, source.skeleton, hf)
