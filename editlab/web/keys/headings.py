"""The headings of the Keys tab, what each picture shows, and what the predictions assume."""

from __future__ import annotations

from typing import NamedTuple

from editlab.web.core.language import noop


class Heading(NamedTuple):
    """A section's title, and what its picture shows: its axes, and what would differ without the edit."""

    title: str
    about: str


HEADINGS = {
    "similarity": Heading(
        noop("Key similarity"),
        noop(
            "A key is the input of the edited layer at the subject’s last token, and an edit is written for the key at "
            "its own prompt, often also for the mean key behind other texts. Each point is a key: a row a kind, from left "
            "to right its similarity to the edit’s own, which is at 1. The share of the edit that a key receives depends "
            "on both. Without the edit, all would be where they are: only REP moves keys, and where it is on, each is "
            "drawn with and without it."
        ),
    ),
    "discussion": Heading(
        noop("Contributing stored facts"),
        noop(
            "A layer’s output is a mixture of what it has stored, weighted by how well the question’s key matches. Each "
            "bar is a fact, the edit first; its length is the share of the edit that the question receives, or the fact’s "
            "part in the question’s key. Without the edit, the first bar alone would be missing: the old facts stay. "
            "Compared are facts of EditLab’s tables, whether the model knows them or not."
        ),
    ),
    "bounds": Heading(
        noop("Predicted and observed answers"),
        noop(
            "Each point is a probe, from left to right the share of the edit that it receives. The dashed line is one "
            "number, measured at the edit’s own prompt: the share that is needed there. Right of it a probe should give "
            "the new answer; another subject left of it should keep its own. Green is as predicted, a red cross is not. "
            "Without the edit, no probe would receive anything."
        ),
    ),
    "prefixes": Heading(
        noop("The edit in unrelated text"),
        noop(
            "A text can produce a key that receives a part of the edit, whatever it is about. Each bar is the place of a "
            "text, by the words before it, where most of the edit arrives by mistake; 0 is none, as it would be "
            "everywhere without the edit."
        ),
    ),
    "values": Heading(
        noop("Value norm"),
        noop(
            "The value is the output of the layer’s MLP at the subject’s last token. Each point is the length of one "
            "value, in units of that at a random word, before the edit and with it. To overrule what is stored, an edit "
            "may need a larger one; where both points lie together, the edit changes nothing."
        ),
    ),
}
"""The sections, in their order on the page."""
COMPONENTS = noop(
    "A map of the keys: near to one another are keys that the layer takes for one another. The star is the edit’s own key. "
    "The edit moves none of them."
)
ASSUMPTIONS = noop(
    "Assumptions: the edit reaches the answer through the subject’s last token alone, and as strongly at every probe as at "
    "its own prompt. The lemmas assume more: one attention layer carries the edit, with all its attention on the subject, "
    "and the norms do not change. Where a prediction fails, one of these assumptions does not hold."
)
