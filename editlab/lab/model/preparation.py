"""What the first edits and questions of a model would wait for, computed while nobody asks anything.

The model writes the methods' contexts and reads the passages of the long contexts. All of it is kept in memory and is the
same as when an edit computes it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from editlab import methods
from editlab.errors import BadRequest, Cancelled, TooLong
from editlab.lab.context import Context
from editlab.lab.job import JobProgress, Parts
from editlab.lab.kinds import Kind
from editlab.model import LanguageModel
from editlab.model.beginnings import read_ahead
from editlab.work import Cancel

LONGEST = 1.5
"""Seconds that a passage may take: where reading one holds up others for longer, no more are read ahead."""


class Preparation:
    """The preparation of one lab's model: a job in the background, which gives the model away between its parts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._prepared: LanguageModel | None = None

    def begin(self) -> None:
        """Prepare the loaded model, once."""
        loaded = self._context.loaded
        with self._lock:
            if not loaded.in_memory or loaded.holds(self._prepared):
                return
            model = self._prepared = loaded.model

            def work(progress: JobProgress, cancel: Cancel) -> Parts[None]:
                for _ in self._parts(model, progress):
                    yield
                    if not loaded.holds(model):
                        raise Cancelled("The model was unloaded.")

            with suppress(BadRequest):  # too many jobs wait: the first edit does it
                self._context.worker.submit(work, Kind.PREPARATION, background=True)

    def _parts(self, model: LanguageModel, progress: JobProgress) -> Parts[None]:
        configs = {name: methods.config_for(name, model, seed=self._context.seed) for name in methods.METHODS}
        for name, config in configs.items():
            progress(0.0, "the model writes the contexts of edits")
            yield
            methods.get(name).prepare(model, config)
        lowest = min(layer for config in configs.values() for layer in getattr(config, "layers", ()))
        with suppress(TooLong):  # then the probes say so
            for passage in self._passages(model):
                progress(0.5, "the model reads the long contexts")
                yield
                began = time.monotonic()
                read_ahead(model, passage, lowest)
                if time.monotonic() - began > LONGEST:
                    return

    def _passages(self, model: LanguageModel) -> Sequence[str]:
        """Return the passages, as many as the model keeps; first those of which every edit's probes have most."""
        passages = (*self._context.passages.outside, *self._context.passages.inside)
        return passages[: model.beginnings.most // len(model.tok.encode(passages[0]))] if passages else ()
