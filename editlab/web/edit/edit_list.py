"""The list of edits that a visitor has made, and how the latest of them was made."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from editlab.lab import EditRecord
from editlab.web.core.render import percent

HEALTH = {
    "p_new": ("p(new)", "How likely the new object is at the edited prompt now. Near 100 %: the fact is written."),
    "said": ("New object said", "At how many of the batch's prompts the model says the new object now."),
    "loss": ("Loss", "What was left to optimise when the search for the new value ended. Near 0: the model gave in."),
    "steps": ("Steps", "How long that search took. It ends early once the loss is small enough."),
    "relative_norm": ("|ΔW| / |W|", "Size of the edit against the matrix over which it lies. Small means gentle."),
    "divisor": ("Divisor", "How strongly the edit's key answers to its own direction. Near 0, an edit would explode."),
    "share": ("Share", "How much of the edit the bare prompt hears. 1 is all of it; far from 1 it misses or overshoots."),
    "whitened": ("Spares other keys", "Whether statistics of the model's own keys kept the edit out of their way."),
    "seconds": ("Seconds", "From the start of the computation to the finished edit."),
    "rep_opens": ("REP: opens", "At how many of the subject's other names, as they were taught, the gate opens."),
    "rep_opens_falsely": ("REP: opens falsely", "At how many words that mean something else it opens as well."),
    "rep_bytes": ("REP: size", "What the pathway of a layer takes."),
    "rep_seconds": ("REP: seconds", "From the finished edit to its learnt pathways."),
}


def edits(records: Sequence[EditRecord], busy: bool = False) -> str:
    """Every edit with a switch, its question and a way to remove it; what is switched off stays in the list."""
    if not records:
        return Markup('<p class="hint">No edit lies over the model.</p>')
    rows = Markup("").join(_row(record, Markup("disabled") if busy else "") for record in records)
    return Markup('<ol class="edits">{}</ol>').format(rows)


def _row(record: EditRecord, disabled: str) -> Markup:
    name = record.name
    return Markup(
        '<li class="{}"><button type="button" role="switch" aria-checked="{}" aria-label="{}" data-press="switch" '
        'data-edit="{}" {}><i></i></button>'
        '<button type="button" class="name" data-press="look" data-edit="{}" title="{}" {}><b>{}</b><span>{}</span></button>'
        '<button type="button" class="rep" aria-pressed="{}" aria-label="REP for {}" title="{}" data-press="rep" '
        'data-edit="{}" {}>REP</button>'
        '<button type="button" class="remove" data-press="remove" data-edit="{}" aria-label="Remove {}" {}>✕</button></li>'
    ).format(
        "on" if record.on else "off",
        "true" if record.on else "false",
        name,
        record.id,
        disabled,
        record.id,
        f"Look at {'the first of them' if record.more else 'it'}: {record.request.text} …",
        disabled,
        name,
        f"{record.method.upper()}, {record.seconds:.1f} s{'' if record.on else ', off'}",
        "true" if record.rep and record.rep_on else "false",
        name,
        _offer(record),
        record.id,
        Markup("hidden") if record.more else disabled,
        record.id,
        name,
        disabled,
    )


def _offer(record: EditRecord) -> str:
    """What the REP switch of an edit does."""
    if record.more:
        return "REP is learnt for one edit at a time, not for a batch"
    if record.rep is None:
        return "Learn a pathway, so that the edit holds however the subject is said"
    return f"Learnt as {record.rep}; press to {'take it off' if record.rep_on else 'lay it on again'}"


def health(record: EditRecord | None) -> str:
    """What is known about how an edit was made, each figure with its meaning."""
    if record is None:
        return Markup('<p class="hint">Apply an edit to see how it was made.</p>')
    rows = Markup("").join(
        Markup("<div><dt>{}</dt><dd><b>{}</b><span>{}</span></dd></div>").format(
            name, figure(key, record.health[key]), meaning
        )
        for key, (name, meaning) in HEALTH.items()
        if key in record.health
    )
    layers = ", ".join(map(str, record.layers))
    others = f" and {len(record.more):,} more; the figures are means" if record.more else ""
    title = Markup('<p class="hint">{} at layer {}, on “{}”{}.</p>').format(
        record.method.upper(), layers, record.request.text, others
    )
    return Markup('{}<dl class="figures">{}</dl>').format(title, rows)


def figure(key: str, value: float) -> str:
    """A figure of an edit's health in the form that suits it."""
    if key in ("p_new", "said", "rep_opens", "rep_opens_falsely"):
        return percent(value)
    if key == "rep_bytes":
        return f"{value / 1000:.0f} kB"
    if key == "whitened":
        return "yes" if value else "no"
    return f"{value:.0f}" if key == "steps" else f"{value:.3g}"
