"""What the numbers of a model say, for laymen: how large it is, whether it fits, and what is known of its keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from editlab.lab import Measured, MeasuringCost

PRECISIONS = {"float32": "32 bit", "bfloat16": "16 bit", "float16": "16 bit"}
QUANTIZATIONS = {"none": "As stored", "8bit": "8 bit", "4bit": "4 bit"}
NOT_VALIDATED = (
    "Nobody has measured how well edits of this model hold. They may fail, or change more than they should. "
    "To measure it and to choose its settings, run: editlab validate"
)
SECONDS, MINUTES = 90, 90
"""Up to so many seconds, and then so many minutes, a time is told in them."""


def gigabytes(count: int) -> str:
    """A number of bytes: 13.5 GB, or 21 MB."""
    return f"{count / 1e9:.1f} GB" if count >= 5e8 else f"{count / 1e6:.0f} MB"


def time(seconds: float) -> str:
    """About how long something takes: 40 seconds, 5 minutes, 2.5 hours."""
    if seconds < SECONDS:
        count = max(1, round(seconds))
        return f"{count} second{'' if count == 1 else 's'}"
    if seconds < 60 * MINUTES:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def listed(items: Sequence[Any]) -> str:
    """1; 1 and 2; 1, 2 and 3."""
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last


def size(about: Mapping[str, Any]) -> str:
    """How large a model is, in which precision, and where it runs."""
    count = about["parameters"]
    parameters = f"{count / 1e9:.1f} billion" if count >= 1e9 else f"{count / 1e6:.1f} million"
    bits = about["quantization"]
    precision = PRECISIONS.get(about["precision"], about["precision"]) if bits == "none" else QUANTIZATIONS[bits]
    return f"{parameters} parameters, {precision}, on {about['device']}"


def memory(about: Mapping[str, Any]) -> str:
    """What memory is in use; PyTorch reserves on a GPU more than its tensors take."""
    if not about["loaded"]:
        return "not in memory: the next question loads it"
    allocated, reserved = about["memory"]["allocated"], about["memory"]["reserved"]
    if about["device"] == "cpu":
        return f"{gigabytes(allocated)} in use"
    return f"{gigabytes(allocated)} in use, {gigabytes(reserved)} reserved"


def badge(about: Mapping[str, Any]) -> tuple[str, str]:
    """Whether anybody measured how edits of this model hold; and what that means."""
    if not about["validated"]:
        return "not validated for editing", NOT_VALIDATED
    figures = [
        f"{name} {about['measured'][name]:.2f}".replace("0.", ".")
        for name in ("success", "locality")
        if name in about["measured"]
    ]
    told = f"validated: {', '.join(figures)}" if figures else "validated for editing"
    return told, "Edits of this model were measured, and its settings chosen by that: editlab validate."


def head(about: Mapping[str, Any]) -> str:
    """The strip at the top: what this is, and which model is asked. The script keeps its memory up to date."""
    told, meaning = badge(about)
    return Markup(
        '<header data-model="{}" data-session="{}"><h1>EditLab</h1>'
        "<p>Change what a language model believes, and see what else moves.</p>"
        '<p class="model"><span title="{}, {} layers"><b>{}</b> {}</span> · <span id="memory">{}</span> '
        '<button type="button" class="badge{}" aria-describedby="badge-tip">{}</button>'
        '<span class="tip" role="tooltip" id="badge-tip">{}</span></p></header>'
        '<p id="model-news" role="status"></p>'
    ).format(
        about["fingerprint"],
        about["session"],
        about["family"],
        about["layers"],
        about["model"],
        size(about),
        memory(about),
        " good" if about["validated"] else "",
        told,
        meaning,
    )


def statistics(known: Sequence[Measured], missing: Sequence[int]) -> str:
    """Which layers have key statistics, how good they are, and what their absence means."""
    said = []
    if known:
        tokens, judged = min(one.tokens for one in known), [one.quality for one in known if one.quality is not None]
        layers = f"Layer{'' if len(known) == 1 else 's'} {listed([one.layer for one in known])}"
        said.append(f"{layers} {'has' if len(known) == 1 else 'have'} key statistics from {tokens:,} tokens.")
        if judged:
            said.append(
                f"Keys that they never saw lie {max(judged):.2f} times as far out as those they were measured on; "
                "1.00 would be endless text."
            )
    if missing:
        layers = f"Layer{'' if len(missing) == 1 else 's'} {listed(missing)}"
        said.append(
            f"{layers} {'has' if len(missing) == 1 else 'have'} none: MEMIT cannot run there, and other edits spare less of "
            "what the model knows."
        )
    return " ".join(said)


def cost(found: MeasuringCost) -> str:
    """How long a measurement will take, beforehand."""
    layers = f"layer{'' if len(found.layers) == 1 else 's'} {listed(found.layers)}"
    return (
        f"To measure {layers} takes {found.tokens:,} tokens: about {time(found.reading)} from a text file of that length, "
        f"about {time(found.writing + found.reading)} where the model writes the text itself."
    )
