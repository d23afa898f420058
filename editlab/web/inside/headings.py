"""The headings of the Inside tab, and what each picture shows: its axes, and what would differ without the edit."""

from __future__ import annotations

from typing import NamedTuple

from editlab.web.core.language import noop


class Heading(NamedTuple):
    """A section's title, and what its picture shows: its axes, and what would differ without the edit."""

    title: str
    about: str


HEADINGS = {
    "lens": Heading(
        noop("Logit lens"),
        noop(
            "If the model stopped after a layer and answered at once, how likely would the first token of each object be? "
            "From left to right are the layers, upwards that probability; solid lines are the new object, dotted lines the "
            "true one. The lines of the base model show how it would be without the edit."
        ),
    ),
    "tokens": Heading(
        noop("Logit lens at every token"),
        noop(
            "The same probabilities at each token of the text, from left to right, with the first layer at the bottom and "
            "the last one at the top. As it opens, a cell is the edited model minus the base model: without the edit, all "
            "would be empty."
        ),
    ),
    "contributions": Heading(
        noop("Direct logit attribution"),
        noop(
            "Each layer’s attention and MLP add to the residual stream, and an object’s logit is the sum of what they add. "
            "From left to right are the layers, upwards what each adds; the line of the base model is how it would be "
            "without the edit. The rows of the table sum to the logit. The published raw form leaves out the final norm."
        ),
    ),
    "attention": Heading(
        noop("Attention to the subject"),
        noop(
            "An edit is written at the subject’s last token, and heads carry it from there to the answer. Each cell is a "
            "head of a layer; as it opens, its colour is how much more it attends to the subject than in the base model, "
            "and without the edit all would be empty. In models with 7 billion parameters, edited subjects are reported to "
            "attract more attention than before (“overattention”)."
        ),
    ),
    "mask": Heading(
        noop("Mask structure"),
        noop(
            "A reversal mask sets entries of the edited weight to zero: a few whole dimensions, or a little of each. Each "
            "line is the share that is pruned of each dimension, the most pruned one first, beside what chance would give. "
            "It belongs to the mask and is the same for all edits."
        ),
    ),
    "tracing": Heading(
        noop("Causal tracing"),
        noop(
            "Where does the unedited model recall the fact? Noise on the subject’s tokens makes it forget; then one state "
            "is put back as it was, and the colour is what the true object’s probability regains. From left to right are "
            "the layers, downwards the tokens: hidden states one by one, MLPs and attention over a few layers around. A "
            "frame marks the edited layers. Where a fact is recalled need not be where an edit holds best (Hase et al. "
            "2023): the layer sweep tries that."
        ),
    ),
    "sweep": Heading(
        noop("Layer sweep"),
        noop(
            "The same edit, made at each layer alone on the unedited model, with the settings of the edit. The score is "
            "the probability of the new object, times the mean of the shares of paraphrases that hold, of other subjects’ "
            "answers and of other facts about the subject that stay. The best layer is where the edit takes with the "
            "highest score; of those within 0.02 of it, the one with the smallest change of the weight, which is drawn "
            "below."
        ),
    ),
    "loudness": Heading(
        noop("Loudness of many edits"),
        noop(
            "Facts that the model knows are each edited alone to another object of the same relation. Each point is an "
            "edit: how likely the new object is after it, beside how likely the true one was before. If edits were no "
            "louder than what they replace, both rows would look alike."
        ),
    ),
    "parts": Heading(
        noop("Direct logit attribution over many edits"),
        noop(
            "The same as above for one edit, as means over these edits with standard errors: which parts write the new "
            "answers."
        ),
    ),
}
"""The sections, in their order on the page."""
ELSEWHERE = noop("Another text, token or view")
"""The title of what the pictures can be drawn for."""
OBJECTS = {"new": noop("New object"), "true": noop("True object"), "lead": noop("New − true")}
"""The titles of the objects that a figure can show."""
FORMS = {"added": noop("Contributions"), "differences": noop("Differences"), "raw": noop("Published raw form")}
"""The titles of the forms of contributions."""
