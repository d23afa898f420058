"""The fact in the prompt, before every question: what every other method is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editlab.facts import EditRequest
from editlab.methods._telling import Telling
from editlab.methods.told.config import ToldConfig
from editlab.patches import Preamble
from editlab.wording import noop

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class Told(Telling):
    """Tells the model each fact in a sentence (docs/methods.md 8.1)."""

    name = "told"
    title = noop("Told: the fact before every question")
    about = noop(
        "The new fact as a sentence before every question. No weight changes and nothing is computed: what edits are to be "
        "compared with."
    )
    config = ToldConfig

    def patch(self, model: LanguageModel, request: EditRequest, config: ToldConfig) -> Preamble:
        """Return the fact as a sentence."""
        return Preamble(request.sentence)
