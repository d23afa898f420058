"""Times as ratios taken in one run, and the floors that a machine's copies and products allow."""

from __future__ import annotations

import re
import statistics as middle
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from editlab.model import memory

if TYPE_CHECKING:
    from editlab.model import LanguageModel

Work = Callable[[], Any]
T = TypeVar("T")
COPIED_BYTES = 2**28
"""Size of the block that is copied to find how fast memory is read."""


@dataclass(frozen=True)
class Timing:
    """Seconds of every round, the rounds of compared works being neighbours in time; `peak` in bytes, None if unknown."""

    rounds: tuple[float, ...]
    peak: int | None

    @property
    def seconds(self) -> float:
        """Median."""
        return middle.median(self.rounds)

    def gains(self, other: Timing) -> list[float]:
        """Return the other's seconds divided by this one's, for each round."""
        return [b / a for a, b in zip(self.rounds, other.rounds, strict=True)]

    def ratio_to(self, other: Timing) -> float:
        """Return the median over rounds of this one's seconds divided by the other's."""
        return middle.median(1 / gain for gain in self.gains(other))


@dataclass(frozen=True, eq=False)
class Machine:
    """What a model's device can do at best, measured on products and copies of the model's own kind."""

    model: LanguageModel

    def products(self, tokens: int) -> float:
        """Return the floating-point operations a second of a large product of the model's own shapes with so many rows."""
        model, rows = self.model, max(1, min(tokens, 4_096))
        x = torch.randn(rows, model.d_model, device=model.device).to(model.dtype)
        w = torch.randn(model.d_model, model.d_ff, device=model.device).to(model.dtype)
        times = in_turn({"matmul": lambda: [x @ w for _ in range(10)]}, 9, model.device)
        return 20 * rows * model.d_model * model.d_ff / min(times["matmul"].rounds)

    @cached_property
    def reads(self) -> float:
        """Bytes a second: a copy reads and writes each byte."""
        block = torch.zeros(COPIED_BYTES, dtype=torch.uint8, device=self.model.device)
        other = torch.empty_like(block)
        times = in_turn({"copy": lambda: other.copy_(block)}, 9, self.model.device)
        return 2 * COPIED_BYTES / min(times["copy"].rounds)

    def seconds(self, operations: float, read: float, tokens: int) -> float:
        """Return the least time for so many operations on so many rows and so many bytes: whatever takes longer."""
        return max(operations / self.products(tokens), read / self.reads)


def in_turn(works: Mapping[str, Work], rounds: int, device: torch.device) -> dict[str, Timing]:
    """Run each work once to warm up, then all of them in turn, `rounds` times."""
    peaks = {name: peak(work, device) for name, work in works.items()}
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            seconds[name].append(_seconds(work, device))
    return {name: Timing(tuple(seconds[name]), peaks[name]) for name in works}


def joined(timings: Sequence[Timing]) -> Timing:
    """Return the rounds of several timings as those of one."""
    peaks = [timing.peak for timing in timings if timing.peak is not None]
    return Timing(tuple(r for timing in timings for r in timing.rounds), max(peaks, default=None))


def row(
    what: str, timing: Timing, other: Timing | None = None, plain: str | None = None, floor: float | None = None
) -> dict[str, Any]:
    """Return a line of a table of times; `plain` says what `other` is."""
    ratio = None if other is None else timing.ratio_to(other)
    return {
        "what": what,
        "seconds": timing.seconds,
        "floor_seconds": floor,
        "ratio_to_floor": None if floor is None else timing.seconds / floor,
        "ratio_to_plain": ratio,
        "peak_bytes": timing.peak,
        "plain": plain,
        "plain_seconds": None if other is None else other.seconds,
        "speedup": None if ratio is None else 1 / ratio,
        "speedup_range": None if other is None else [min(gains := timing.gains(other)), max(gains)],
    }


def peak(work: Work, device: torch.device) -> int | None:
    """Return the most memory in use while `work` ran: the device's, or on a CPU the process's where Linux reports it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device)
    known = _reset_process_peak()
    work()
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text()) if known else None
    return int(found[1]) * 1024 if found else None


def held(device: torch.device) -> int:
    """Return the bytes in use on a device, or by the process, once what is kept for later was given back."""
    memory.give_back()
    return memory.used(device)["allocated"]


def with_peak(work: Callable[[], T], device: torch.device) -> tuple[T, int | None]:
    """Return what `work` returns, and the most bytes in use meanwhile above those before; None where that is unknown."""
    before, made = held(device), []
    reached = peak(lambda: made.append(work()), device)
    return made[0], None if reached is None else max(0, reached - before)


def _seconds(work: Work, device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_process_peak() -> bool:
    """Have Linux count the process's largest memory from now on; False where it does not."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
