"""A model on the disk judged without its base: loaded beside the one that answers, looked through, and dropped again."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from editlab.facts import FactBase
from editlab.forensics.blind import Judgement, judge
from editlab.model import LanguageModel, memory
from editlab.settings import Settings
from editlab.work import Cancel, Progress, never, no_progress, part_of

LOADING = 0.1
"""Share of the progress for loading the model."""


def judged(
    path: Path,
    settings: Settings,
    names: Collection[str] = (),
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Judgement:
    """Load a model and say whether it looks edited.

    Subjects are looked for among those of the bundled facts and `names`. Raises `BadModel`, `UnsupportedArchitecture`,
    `Cancelled`, or `TooLarge` where it does not fit into memory beside what is there.
    """
    texts = [text.read_text(encoding="utf-8") for text in sorted((settings.presets / "texts").glob("*.txt"))]
    try:
        model = LanguageModel.load(
            str(path.expanduser()),
            dtype=settings.dtype,
            device=settings.device,
            settings=settings,
            progress=part_of(progress, 0.0, LOADING),
            cancel=cancel,
        )
        facts = FactBase.load(settings.presets / "facts")
        return judge(model, texts, facts, names, progress=part_of(progress, LOADING, 1.0), cancel=cancel)
    finally:
        model = None
        memory.give_back()
