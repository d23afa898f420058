"""What the words on the page mean, for somebody who sees it for the first time. `docs/glossary.md` repeats them.

A meaning is shown on hover, focus, Enter and tap at the labels of the components that `at` names, and where a template calls
the macro `term`. `scripts/terms.js` does it.
"""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup

from editlab.web.core.html import pieces, render
from editlab.web.core.language import noop

LONGEST = 200
"""Characters of a meaning."""


class Term(NamedTuple):
    """A word as a label says it in English, and its meaning, which is translated where it is shown.

    `at`: the components with this label; "method.name" is a choice of one.
    """

    word: str
    meaning: str
    at: tuple[str, ...] = ()


TERMS = {
    # the request
    "subject": Term(
        "Subject",
        noop("What the fact is about. The edit is written where the model reads this name, so the prompt must contain it."),
        at=("subject",),
    ),
    "prompt": Term(
        "Prompt",
        noop("A sentence up to the answer, which the model continues. {} stands for the subject."),
        at=("prompt",),
    ),
    "original": Term(
        "Original answer",
        noop(
            "What the model says before the edit. With it, the page can tell whether the old answer is gone, or only less "
            "likely than the new one."
        ),
        at=("target-true",),
    ),
    "new": Term(
        "New answer",
        noop("What the model should say instead. The edit is computed so that this answer becomes the likeliest."),
        at=("target-new",),
    ),
    # the settings of methods, see `SETTINGS`
    "layers": Term(
        "Layers",
        noop(
            "A language model is a stack of layers, each of which reads what those below it wrote. An edit changes the "
            "weights of one or a few of them."
        ),
    ),
    "keys": Term(
        "Keys",
        noop(
            "A key is what the edited weight reads at the subject’s last token. The edit answers to it; other text before "
            "the subject gives a slightly different key."
        ),
    ),
    "whiten": Term(
        "Whiten",
        noop(
            "Key statistics say which directions ordinary text uses. A whitened edit avoids them, so that other answers "
            "stay."
        ),
    ),
    "clamp": Term(
        "Clamp",
        noop(
            "How far the search for the new answer may move what the layer writes. A higher limit makes a stronger edit "
            "that spares other answers less."
        ),
    ),
    "kl": Term(
        "KL weight",
        noop(
            "The KL divergence is how far what the model says about the subject in general has moved. More weight keeps an "
            "edit from changing what the subject is."
        ),
    ),
    "contexts": Term(
        "Contexts",
        noop(
            "Texts that stand before the prompt while the edit is computed, so that it holds after other text as well. The "
            "model writes them itself."
        ),
    ),
    "preserved": Term(
        "Preserved keys",
        noop(
            "How much MEMIT spares the keys of ordinary text, counted in tokens of it. More means a weaker edit and fewer "
            "changes elsewhere."
        ),
    ),
    # the switches and the scores
    "rep": Term(
        "REP",
        noop(
            "Robust edit pathway (Yan et al. 2025). A small learned addition that recognises other names of the subject "
            "and leads them to the edit, so that it holds when rephrased."
        ),
        at=("rep",),
    ),
    "mask": Term(
        "Reversal mask",
        noop(
            "Sets some entries of the edited weight to zero, the same ones for every edit (Holmov et al. 2026). If the old "
            "answer returns, it was covered and not erased."
        ),
        at=("mask",),
    ),
    "guard": Term(
        "Guard",
        noop(
            "The model always answers under the reversal mask. Edits are computed as usual, and one sees whether they "
            "still take effect."
        ),
        at=("guard",),
    ),
    "success": Term("Efficacy", noop("Does the model give the new answer at the prompt of the edit itself?")),
    "rephrase": Term("Rephrase", noop("Does the new answer come when the same prompt calls the subject by another name?")),
    "shuffle": Term(
        "Shuffle",
        noop("Does the new answer come when the subject’s tokens, the pieces in which a model reads, are in another order?"),
    ),
    "long": Term("Long context", noop("Does the new answer come when a long, unrelated text stands before the prompt?")),
    "paraphrase": Term("Paraphrase", noop("Does the new answer come when the whole question is asked in other words?")),
    "locality": Term(
        "Locality",
        noop(
            "Does the same question about other subjects keep its answers? Where it does not, the edit changed what it "
            "should not."
        ),
    ),
    "same_subject": Term(
        "Same subject",
        noop("Do other facts about the subject, which the edit is not about, keep their answers?"),
    ),
    "propagation": Term(
        "Ripple effects",
        noop(
            "Do facts that follow from the new one change as well? Edits often fail here: they write an answer, not its "
            "consequences."
        ),
    ),
    # what is below them
    "gate": Term(
        "REP gate threshold",
        noop(
            "REP acts only where its gate is surer than this that the text means the edited subject. A lower threshold "
            "catches more rephrasings, and more texts that it should not."
        ),
    ),
    "ways": Term(
        "Reverting the edit",
        noop(
            "Ways to get the old answer back, from undoing the edit to masking the weight, each with what it restores and "
            "what it breaks."
        ),
    ),
    "probes": Term(
        "Probes",
        noop(
            "Questions around the edit that all models are asked. Some should now get the new answer, the others should "
            "keep theirs."
        ),
    ),
    "neighbours": Term(
        "Neighbours",
        noop("The same question about other subjects. An edit should leave their answers as they were."),
        at=("own-neighbours",),
    ),
    # Keys
    "similarity": Term(
        "Key similarity",
        noop(
            "How alike two keys are to the edited layer: 1 is the edit’s own key, 0 has nothing in common with it. The "
            "more similar, the more of the edit arrives."
        ),
        at=("keys-similarity-fold",),
    ),
    "stored": Term(
        "Contributing stored facts",
        noop(
            "A layer’s output mixes everything that is stored in it, weighted by how well each key fits the question. "
            "These facts fit best."
        ),
        at=("keys-discussion-fold",),
    ),
    "bounds": Term(
        "Predicted and observed answers",
        noop(
            "From the share of the edit that its own prompt needs follows where else the new answer should come. Here that "
            "is compared with what the model says."
        ),
        at=("keys-bounds-fold",),
    ),
    "values": Term(
        "Value norm",
        noop(
            "The value is what the layer’s MLP writes at the subject; its norm is its length. A longer value outweighs "
            "more of what else the model knows."
        ),
        at=("keys-values-fold",),
    ),
    "share": Term("Share", noop("How much of the edit arrives at a text: 1 is as much as at its own key, 0 is nothing.")),
    "required": Term(
        "Required share",
        noop("The share of the edit at which the new answer takes the lead at the edit’s own prompt."),
    ),
    # Inside
    "lens": Term(
        "Logit lens",
        noop(
            "What the model would answer if it stopped after a layer: the state there is read as if that layer were the "
            "last."
        ),
        at=("inside-lens-fold",),
    ),
    "contributions": Term(
        "Direct logit attribution",
        noop(
            "Divides the score of an answer, its logit, into what each layer’s attention and MLP add to it. It shows which "
            "parts of the model speak for the new answer."
        ),
        at=("inside-contributions-fold",),
    ),
    "attention": Term(
        "Attention to the subject",
        noop(
            "How much the model looks back at the subject when it answers. On this way the edit, written at the subject, "
            "reaches the answer."
        ),
        at=("inside-attention-fold",),
    ),
    "structure": Term(
        "Mask structure",
        noop("Which entries of the weight the reversal mask sets to zero: a few whole dimensions, or a little of each."),
        at=("inside-mask-fold",),
    ),
    "loudness": Term(
        "Loudness of many edits",
        noop(
            "How sure the model is of its answers after edits, compared with how sure it was of the answers that they "
            "replaced."
        ),
        at=("inside-loudness-fold",),
    ),
    "tracing": Term(
        "Causal tracing",
        noop(
            "Which states recall the fact: noise makes the model forget it, one state at a time is put back, and the colour "
            "is what the true answer regains."
        ),
        at=("inside-tracing-fold",),
    ),
    "sweep": Term(
        "Layer sweep",
        noop("The same edit made at each layer alone: where it takes, what it reaches and what it spares."),
        at=("inside-sweep-fold",),
    ),
    "token": Term(
        "Token",
        noop("A piece of text as the model reads it: a word, a part of a word or a sign."),
        at=("inside-token",),
    ),
    "object": Term(
        "Object",
        noop(
            "The answer that the pictures follow: the new one, the true one from before the edit, or the difference of both."
        ),
        at=("inside-which",),
    ),
    # Workspace, Monitor and Model
    "history": Term(
        "History",
        noop("All changes in their order. None is overwritten, so each earlier state can be looked at and restored."),
        at=("workspace-history-fold",),
    ),
    "branch": Term(
        "Name of the branch",
        noop("A branch is a new workspace that begins with the edits of this moment; the one that is open stays as it is."),
        at=("workspace-branch-name",),
    ),
    "retention": Term(
        "Retention of each edit",
        noop("What is left of an edit after later changes: the share of its prompts that still get the new answer."),
        at=("monitor-retention-fold",),
    ),
    "precision": Term(
        "Precision",
        noop(
            "In how many bits each weight is held. Fewer bits take less memory and round more. An edit belongs to one "
            "precision."
        ),
        at=("model-quantization",),
    ),
    "statistics": Term(
        "Key statistics",
        noop(
            "A sample of the keys that ordinary text gives in a layer. It tells an edit which directions are in use and to "
            "be spared."
        ),
        at=("model-statistics-fold",),
    ),
    "benchmark": Term(
        "Benchmark",
        noop("Many edits, each made alone and probed: what to expect of an edit on this model."),
        at=("bench-fold",),
    ),
}
"""The words that the page explains, in the order of its tabs, by the names that templates use."""


SETTINGS = {TERMS[name].word: name for name in ("layers", "keys", "whiten", "clamp", "kl", "contexts", "preserved")}
"""The terms that titles of methods' settings are, by these titles."""


def meanings() -> Markup:
    """Return all meanings, each as a popover that is closed at first."""
    return render("core/terms.html", terms=TERMS)


def explained(name: str, text: str) -> Markup:
    """Return a text that shows the meaning of a term."""
    return pieces.term(name, text)
