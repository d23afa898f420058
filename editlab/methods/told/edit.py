"""The fact in the prompt, before every question: what every other method is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editlab.facts import EditRequest
from editlab.methods._telling import Telling
from editlab.methods.told.config import ToldConfig
from editlab.patches import Preamble, preamble_of
from editlab.wording import noop

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class Told(Telling):
    """Tells the model each fact (docs/methods.md 8.1)."""

    name = "told"
    title = noop("Told: the fact before every question")
    about = noop(
        "The new fact before every question. No weight changes and nothing is computed: what edits are to be compared with."
    )
    config = ToldConfig

    def patch(self, model: LanguageModel, request: EditRequest, config: ToldConfig) -> Preamble:
        """Return the fact in its frame."""
        return preamble_of(request.sentence, config.frame)
