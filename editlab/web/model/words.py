"""The sentences about the loaded model, made from its numbers: its size, its memory, its benchmark, its key statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from editlab import wording
from editlab.lab import OFF, Measured, MeasuringCost
from editlab.wording import duration, join, percent, rate

TITLES = {"model": "Another model", "statistics": "Key statistics", "benchmark": "Benchmark"}
"""The titles of what is folded."""
EXPLANATIONS = {
    "model": "Loading another model replaces it for all users. Edits belong to their model and its precision, and are there "
    "when it is loaded again.",
    "statistics": "Which keys does a layer already use? An edit can spare those. Key statistics are measured once per model "
    "and kept; a stopped measurement resumes where it stopped.",
    "benchmark": "Each edit of a file is made by itself on the base model and probed: with rephrased prompts, other names, "
    "after long texts, and about facts that should not change. Your own edits are not changed. It takes seconds per edit; a "
    "stopped benchmark resumes where it stopped.",
}
MEASURED = (
    "Each bar is a share of probes, over edits that were each made alone on this model, without REP: the upper ones should "
    "give the new object, the last two should keep their answers. Without an edit, the upper bars would be empty and the "
    "last two full."
)
PRECISIONS = {"float32": "32-bit", "bfloat16": "16-bit", "float16": "16-bit"}
QUANTIZATIONS = {"none": "As stored", "8bit": "8-bit", "4bit": "4-bit"}
VALIDATED = "Edits were measured on this model, and its settings were chosen by the result (editlab validate)."
NOT_VALIDATED = (
    "Edits were never measured on this model. They may fail, or change more than they should. To measure them and to choose "
    "the settings, run: editlab validate"
)
RATES = {
    "success": ("Success", "the model says the new object at the edited prompt"),
    "paraphrase": ("Paraphrase", "at a paraphrase of the prompt"),
    "rephrase_out": ("Rephrase", "under another name of the subject"),
    "shuffle_out": ("Shuffle", "with the tokens of the subject in another order"),
    "long_out": ("Long", "after 300 tokens of prose"),
    "locality": ("Locality", "facts about other subjects are unchanged"),
    "same_subject": ("Same subject", "other facts about the subject are unchanged"),
}
"""The rates of a benchmark: title and meaning. Names and contexts are those that REP was not trained on."""


class Rate(NamedTuple):
    """A rate of a benchmark with its 95 % confidence interval."""

    title: str
    value: str
    meaning: str


def short_name(name: str) -> str:
    """Return a model's name without the folder in which it lies."""
    return Path(name).name if Path(name).is_absolute() else name


def size(about: Mapping[str, Any]) -> str:
    """Return a model's number of parameters, its precision and its device."""
    parameters = about["parameters"]
    number = f"{parameters / 1e9:.1f} billion" if parameters >= 1e9 else f"{parameters / 1e6:.1f} million"
    bits = about["quantization"]
    precision = PRECISIONS.get(about["precision"], about["precision"]) if bits == "none" else QUANTIZATIONS[bits]
    return f"{number} parameters, {precision}, on {about['device']}"


def memory(about: Mapping[str, Any]) -> str:
    """Return the memory in use. On a GPU, PyTorch reserves more than its tensors take."""
    if not about["loaded"]:
        return "not in memory: the next question loads it"
    allocated, reserved = about["memory"]["allocated"], about["memory"]["reserved"]
    reserve = "" if about["device"] == "cpu" else f", {wording.size(reserved)} reserved"
    return f"{wording.size(allocated)} in use{reserve}"


def badge(about: Mapping[str, Any]) -> tuple[str, str]:
    """Return whether edits were measured on a model, and what that means."""
    if not about["validated"]:
        return "not validated for editing", NOT_VALIDATED
    rates = [
        f"{name} {about['measured'][name]:.2f}".replace("0.", ".")
        for name in ("success", "locality")
        if name in about["measured"]
    ]
    return f"validated: {', '.join(rates)}" if rates else "validated for editing", VALIDATED


def start(about: Mapping[str, Any]) -> str:
    """Return what it means that every text begins with the model's start."""
    if not about["start_chosen"]:
        return f"Every text begins with {about['start']}: the model's tokenizer puts it there."
    space = " “␣” is the space before a text's first word." if about["start"].endswith("␣") else ""
    return (
        f"Every text begins with {about['start']}, as the documents did that the model learned: without it, the model knows "
        f"less.{space} Whoever uses an exported edit elsewhere has to send it too, or the edit may not be heard. To ask "
        "without it, start EditLab with --start none."
    )


def lead(about: Mapping[str, Any]) -> tuple[str, str]:
    """Return how well edits go on a model, and a tone for it."""
    name, measured = about["model"], about["measured"]
    if not about["validated"] or "success" not in measured:
        return f"{name}: edits were never measured on this model.", "mixed"
    edits = wording.count(measured["edits"], "edit")
    others = f", and {rate(measured['locality'])} of other facts stay" if "locality" in measured else ""
    return f"{name}: {rate(measured['success'])} of {edits} take{others}.", "good"


def next_step(about: Mapping[str, Any], missing: Sequence[int], masks: Sequence[str]) -> str:
    """Return what can be done with a model as it is. `masks`: the methods that have one."""
    if missing:
        return "Next: measure the key statistics below; without them, MEMIT cannot edit and other edits preserve less."
    if not about["validated"]:
        return NOT_VALIDATED
    if not masks:
        return "Next: switch the reversal mask on, on the Edit tab, to train one; everything else is ready."
    return "Everything is ready: choose a fact on the Edit tab."


def rows(about: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Return the measured rates of a model: title, meaning and share."""
    measured = about["measured"]
    return [(title, meaning, measured[name]) for name, (title, meaning) in RATES.items() if name in measured]


def abilities(
    about: Mapping[str, Any], known: Sequence[Measured], missing: Sequence[int], masks: Sequence[str]
) -> list[tuple[str, str, str]]:
    """Return what a model can do here: each ability, how it stands, and what that means."""
    layers = _layers([one.layer for one in known]) if known else "missing"
    waits = (
        f"{_layers(missing)} without" if known and missing else "which keys a layer already uses, so that edits spare them"
    )
    upper = join(method.upper() for method in masks)
    seconds = about["measured"].get("seconds_per_edit")
    return [
        ("Key statistics", layers, waits),
        ("REP", "ready", "trained for each edit, with its switch on the Edit tab"),
        ("Reversal mask", upper if masks else "none yet", "shows whether an old answer returns"),
        ("Speed", "not measured" if seconds is None else f"{seconds:.1f} s", "an edit by ROME, where it was measured"),
    ]


def statistics_title(known: Sequence[Measured], missing: Sequence[int]) -> str:
    """Return in a few words which edited layers have key statistics."""
    if missing:
        return f"{_layers(missing).lower()} {'has' if len(missing) == 1 else 'have'} none"
    return f"{_layers([one.layer for one in known]).lower()} {'has' if len(known) == 1 else 'have'} them"


def choice_title(others: int) -> str:
    """Return in a few words how many other models are offered."""
    return f"{wording.count(others, 'other')} to load" if others else "none other is offered here"


def statistics(known: Sequence[Measured], missing: Sequence[int]) -> str:
    """Return which layers have key statistics, how good they are, and what a layer without them means."""
    sentences = []
    if known:
        tokens = min(one.tokens for one in known)
        has = "has" if len(known) == 1 else "have"
        sentences.append(f"{_layers([one.layer for one in known])} {has} key statistics from {tokens:,} tokens.")
        qualities = [one.quality for one in known if one.quality is not None]
        if qualities:
            sentences.append(
                f"Whitened norm of held-out keys: {max(qualities):.2f} times that of measured keys; more text brings it "
                "closer to 1."
            )
    if missing:
        has = "has" if len(missing) == 1 else "have"
        sentences.append(
            f"{_layers(missing)} {has} no key statistics: MEMIT cannot edit there, and edits of other methods preserve less "
            "of what the model knows."
        )
    return " ".join(sentences)


def cost(cost: MeasuringCost) -> str:
    """Return how long a measurement of key statistics will take."""
    return (
        f"{_layers(cost.layers)} {'needs' if len(cost.layers) == 1 else 'need'} {cost.tokens:,} tokens: about "
        f"{duration(cost.reading)} from a text file of that length, about {duration(cost.writing + cost.reading)} from text "
        "that the model generates."
    )


def _layers(layers: Sequence[int]) -> str:
    return f"Layer{'' if len(layers) == 1 else 's'} {join(layers)}"


def benchmark(line: Mapping[str, Any]) -> str:
    """Return what a benchmark has measured. `line`: of `robustness.summary`."""
    rep = "" if line["rep"] == OFF else " with REP"
    skipped = f"; {line['skipped']:,} could not be edited" if line["skipped"] else ""
    edits = wording.count(line["n"], "edit")
    return f"{edits} by {line['method'].upper()}{rep}, {line['seconds_per_edit']:.1f} s per edit{skipped}."


def benchmark_title(line: Mapping[str, Any]) -> str:
    """Return in a few words what a benchmark has measured."""
    return f"{rate(line['success'])} of {wording.count(line['n'], 'edit')} by {line['method'].upper()} take"


def rates(line: Mapping[str, Any]) -> list[Rate]:
    """Return the rates of a benchmark that have items. `line`: of `robustness.summary`."""
    rows = []
    for name, (title, meaning) in RATES.items():
        if line.get(name) is None:
            continue
        low, high = map(percent, line[f"{name}_ci"])
        items = wording.count(line[f"{name}_items"], "probe")
        rows.append(Rate(title, percent(line[name]), f"{meaning}; {items}, 95 % CI {low} to {high}"))
    return rows
