"""An edit's own question with the subject rephrased: one question of each kind, asked at one click."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from editlab.facts import EditCase
from editlab.facts.request import SLOT
from editlab.facts.script import joined
from editlab.probes.battery import battery
from editlab.probes.passages import Passages
from editlab.wording import noop

if TYPE_CHECKING:
    from editlab.model import LanguageModel

STATE = re.compile(r"(Republic|Kingdom|State|City|Union|Commonwealth|Federation|Empire|Land|Nation) of ")
"""Names that stand in a sentence with an article."""
AFTER = noop("after a long, unrelated text")
LEAST = 5
"""Fewest letters of a single token that are still cut in two."""


def questions(model: LanguageModel, case: EditCase, passages: Passages, seed: int = 0) -> dict[str, str]:
    """Return questions by their name for the subject: another name, one without its own, another order, a long context.

    A subject of one token has no other order of tokens: its last two letters come first, as if there were.
    """
    request = case.request
    asked = {probe.kind: probe for probe in battery(model, case, passages, seed, most=1) if probe.domain != "out"}
    first = request.prompt.startswith(SLOT)
    names = [_in_a_sentence(name, first) for name in case.rephrases[:1]]
    names += [name for name in case.rephrases if request.subject.casefold() not in name.casefold()][:1]
    if "shuffle" in asked:
        names.append(asked["shuffle"].subject)
    elif len(request.subject) >= LEAST and request.subject.isalpha():
        names.append(joined(request.subject[-2:], request.subject[:-2]))
    found = {name: request.prompt.replace(SLOT, name) for name in names}
    return found | ({AFTER: asked["long"].text} if "long" in asked else {})


def _in_a_sentence(name: str, first: bool) -> str:
    """Return a name with the article that it needs, and with a capital where it stands first."""
    name = f"the {name}" if STATE.match(name) else name
    return name[:1].upper() + name[1:] if first else name
