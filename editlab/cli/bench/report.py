"""How a command of `bench` reports: Markdown tables, and the page for docs/results that names command and machine."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from editlab.model import LanguageModel


def markdown(heads: Sequence[str], rows: Iterator[list[str]]) -> str:
    """Return rows of cells under their heads."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def page(title: str, body: str) -> str:
    """Return a page for docs/results: how it was made stands on top."""
    call = shlex.join(["editlab", *sys.argv[1:]])
    return f"# {title}\n\n`{call}` at commit {_commit()}, torch {torch.__version__}, {platform.platform()}\n\n{body}\n"


def _commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def machine(model: LanguageModel) -> str:
    """Return the name of the device that the model computes on."""
    if model.device.type == "cuda":
        return torch.cuda.get_device_name(model.device)
    found = [line for line in _cpuinfo() if line.startswith("model name")]
    return found[0].split(":", 1)[1].strip() if found else platform.processor() or platform.machine()


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []
