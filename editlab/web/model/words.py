"""The sentences about the loaded model, made from its numbers: its size, its memory, its benchmark, its key statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from editlab.lab import OFF, Measured, MeasuringCost
from editlab.web.core import wording
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.names import method_name
from editlab.web.core.wording import duration, join, number, rate

TITLES = {"model": noop("Another model"), "statistics": noop("Key statistics"), "benchmark": noop("Benchmark")}
"""The titles of what is folded."""
EXPLANATIONS = {
    "model": noop(
        "Loading another model replaces it for all users. Edits belong to their model and its precision, and are there "
        "when it is loaded again."
    ),
    "statistics": noop(
        "Which keys does a layer already use? An edit can spare those. Key statistics are measured once per model "
        "and kept; a stopped measurement resumes where it stopped."
    ),
    "benchmark": noop(
        "Each edit of a file is made by itself on the base model and probed: with rephrased prompts, other names, after "
        "long texts, and about facts that should not change. A large number is of the expected answers' tokens, "
        "teacher-forced; below it stands how often the model also writes them by itself. Your own edits are not changed. It "
        "takes seconds per edit; a stopped benchmark resumes where it stopped."
    ),
}
MEASURED = noop(
    "Each bar is a share of probes, over edits that were each made alone on this model, without REP: the upper ones should "
    "give the new object, the last two should keep their answers. Without an edit, the upper bars would be empty and the "
    "last two full."
)
PRECISIONS = {"float32": noop("32-bit"), "bfloat16": noop("16-bit"), "float16": noop("16-bit")}
QUANTIZATIONS = {"none": noop("As stored"), "8bit": noop("8-bit"), "4bit": noop("4-bit")}
VALIDATED = noop("Edits were measured on this model, and its settings were chosen by the result (editlab validate).")
NOT_VALIDATED = noop(
    "Edits were never measured on this model. They may fail, or change more than they should. To measure them and to choose "
    "the settings, run: editlab validate"
)
RATES = {
    "success": (noop("Success"), noop("the model says the new object at the edited prompt")),
    "paraphrase": (noop("Paraphrase"), noop("at a paraphrase of the prompt")),
    "rephrase_out": (noop("Rephrase"), noop("under another name of the subject")),
    "shuffle_out": (noop("Shuffle"), noop("with the tokens of the subject in another order")),
    "long_out": (noop("Long"), noop("after 300 tokens of prose")),
    "locality": (noop("Locality"), noop("facts about other subjects are unchanged")),
    "same_subject": (noop("Same subject"), noop("other facts about the subject are unchanged")),
}
"""The rates of a benchmark: title and meaning. Names and contexts are those that REP was not trained on."""


class Rate(NamedTuple):
    """A rate of a benchmark with its 95 % confidence interval, and that of written answers, where there are some."""

    title: str
    value: str
    meaning: str
    written: str = ""


def short_name(name: str) -> str:
    """Return a model's name without the folder in which it lies."""
    return Path(name).name if Path(name).is_absolute() else name


def size(about: Mapping[str, Any]) -> str:
    """Return a model's number of parameters, its precision and its device."""
    parameters = about["parameters"]
    bits = about["quantization"]
    precision = PRECISIONS.get(about["precision"], about["precision"]) if bits == "none" else QUANTIZATIONS[bits]
    text = (
        _("{n} billion parameters, {precision}, on {device}")
        if parameters >= 1e9
        else _("{n} million parameters, {precision}, on {device}")
    )
    parameters /= 1e9 if parameters >= 1e9 else 1e6
    return text.format(n=number(parameters, ".1f"), precision=_(precision), device=about["device"])


def memory(about: Mapping[str, Any]) -> str:
    """Return the memory in use. On a GPU, PyTorch reserves more than its tensors take."""
    if not about["loaded"]:
        return _("not in memory: the next question loads it")
    used = {name: wording.size(about["memory"][name]) for name in ("allocated", "reserved")}
    text = _("{allocated} in use") if about["device"] == "cpu" else _("{allocated} in use, {reserved} reserved")
    return text.format(**used)


def badge(about: Mapping[str, Any]) -> tuple[str, str]:
    """Return whether edits were measured on a model, and what that means."""
    if not about["validated"]:
        return _("not validated for editing"), _(NOT_VALIDATED)
    names = {"success": _("success {rate}"), "locality": _("locality {rate}")}
    rates = [
        text.format(rate=number(about["measured"][name], ".2f")).replace("0.", ".")
        for name, text in names.items()
        if name in about["measured"]
    ]
    if not rates:
        return _("validated for editing"), _(VALIDATED)
    return _("validated: {rates}").format(rates=", ".join(rates)), _(VALIDATED)


def start(about: Mapping[str, Any]) -> str:
    """Return what it means that every text begins with the model's start."""
    named = {"start": about["start"]}
    if not about["start_chosen"]:
        return _("Every text begins with {start}: the model's tokenizer puts it there.").format(**named)
    sentences = [
        _("Every text begins with {start}, as the documents did that the model learned: without it, the model knows less.")
    ]
    if about["start"].endswith("␣"):
        sentences.append(_("“␣” is the space before a text's first word."))
    sentences.append(
        _(
            "Whoever uses an exported edit elsewhere has to send it too, or the edit may not be heard. To ask without it, "
            "start EditLab with --start none."
        )
    )
    return " ".join(sentences).format(**named)


def lead(about: Mapping[str, Any]) -> tuple[str, str]:
    """Return how well edits go on a model, and a tone for it."""
    name, measured = about["model"], about["measured"]
    if not about["validated"] or "success" not in measured:
        return _("{model}: edits were never measured on this model.").format(model=name), "mixed"
    named = {"model": name, "success": rate(measured["success"]), "n": number(measured["edits"])}
    if "locality" not in measured:
        text = ngettext("{model}: {success} of {n} edit take.", "{model}: {success} of {n} edits take.", measured["edits"])
        return text.format(**named), "good"
    text = ngettext(
        "{model}: {success} of {n} edit take, and {locality} of other facts stay.",
        "{model}: {success} of {n} edits take, and {locality} of other facts stay.",
        measured["edits"],
    )
    return text.format(**named, locality=rate(measured["locality"])), "good"


def next_step(about: Mapping[str, Any], missing: Sequence[int], masks: Sequence[str]) -> str:
    """Return what can be done with a model as it is. `masks`: the methods that have one."""
    if missing:
        return _("Next: measure the key statistics below; without them, MEMIT cannot edit and other edits preserve less.")
    if not about["validated"]:
        return _(NOT_VALIDATED)
    if not masks:
        return _("Next: switch the reversal mask on, on the Edit tab, to train one; everything else is ready.")
    return _("Everything is ready: choose a fact on the Edit tab.")


def rows(about: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Return the measured rates of a model: title, meaning and share."""
    measured = about["measured"]
    return [(_(title), _(meaning), measured[name]) for name, (title, meaning) in RATES.items() if name in measured]


def abilities(
    about: Mapping[str, Any], known: Sequence[Measured], missing: Sequence[int], masks: Sequence[str]
) -> list[tuple[str, str, str]]:
    """Return what a model can do here: each ability, how it stands, and what that means."""
    waits = (
        _("{layers} without").format(layers=_layers(missing))
        if known and missing
        else _("which keys a layer already uses, so that edits spare them")
    )
    named = join(map(method_name, masks))
    seconds = about["measured"].get("seconds_per_edit")
    return [
        (_("Key statistics"), _layers([one.layer for one in known]) if known else _("missing"), waits),
        ("REP", _("ready"), _("trained for each edit, with its switch on the Edit tab")),
        (_("Reversal mask"), named if masks else _("none yet"), _("shows whether an old answer returns")),
        (
            _("Speed"),
            _("not measured") if seconds is None else f"{number(seconds, '.1f')} s",
            _("an edit by ROME, where it was measured"),
        ),
    ]


def statistics_title(known: Sequence[Measured], missing: Sequence[int]) -> str:
    """Return in a few words which edited layers have key statistics."""
    if missing:
        return ngettext("layer {layers} has none", "layers {layers} have none", len(missing)).format(layers=join(missing))
    layers = [one.layer for one in known]
    return ngettext("layer {layers} has them", "layers {layers} have them", len(layers)).format(layers=join(layers))


def choice_title(others: int) -> str:
    """Return in a few words how many other models are offered."""
    if not others:
        return _("none other is offered here")
    return ngettext("{n} other to load", "{n} others to load", others).format(n=number(others))


def statistics(known: Sequence[Measured], missing: Sequence[int]) -> str:
    """Return which layers have key statistics, how good they are, and what a layer without them means."""
    sentences = []
    if known:
        text = ngettext(
            "Layer {layers} has key statistics from {tokens} tokens.",
            "Layers {layers} have key statistics from {tokens} tokens.",
            len(known),
        )
        layers = join(one.layer for one in known)
        sentences.append(text.format(layers=layers, tokens=number(min(one.tokens for one in known))))
        qualities = [one.quality for one in known if one.quality is not None]
        if qualities:
            text = _("Whitened norm of held-out keys: {norm} times that of measured keys; more text brings it closer to 1.")
            sentences.append(text.format(norm=number(max(qualities), ".2f")))
    if missing:
        text = ngettext(
            "Layer {layers} has no key statistics: MEMIT cannot edit there, and edits of other methods preserve less of "
            "what the model knows.",
            "Layers {layers} have no key statistics: MEMIT cannot edit there, and edits of other methods preserve less of "
            "what the model knows.",
            len(missing),
        )
        sentences.append(text.format(layers=join(missing)))
    return " ".join(sentences)


def cost(cost: MeasuringCost) -> str:
    """Return how long a measurement of key statistics will take."""
    text = ngettext(
        "Layer {layers} needs {tokens} tokens: about {reading} from a text file of that length, about {writing} from text "
        "that the model generates.",
        "Layers {layers} need {tokens} tokens: about {reading} from a text file of that length, about {writing} from text "
        "that the model generates.",
        len(cost.layers),
    )
    times = {"reading": duration(cost.reading), "writing": duration(cost.writing + cost.reading)}
    return text.format(layers=join(cost.layers), tokens=number(cost.tokens), **times)


def _layers(layers: Sequence[int]) -> str:
    return ngettext("Layer {layers}", "Layers {layers}", len(layers)).format(layers=join(layers))


def benchmark(line: Mapping[str, Any]) -> str:
    """Return what a benchmark has measured. `line`: of `robustness.summary`."""
    method = method_name(line["method"])
    method = method if line["rep"] == OFF else _("{method} with REP").format(method=method)
    named = {"n": number(line["n"]), "method": method, "seconds": number(line["seconds_per_edit"], ".1f")}
    if not line["skipped"]:
        text = ngettext(
            "{n} edit by {method}, {seconds} s per edit.",
            "{n} edits by {method}, {seconds} s per edit.",
            line["n"],
        )
        return text.format(**named)
    text = ngettext(
        "{n} edit by {method}, {seconds} s per edit; {skipped} could not be edited.",
        "{n} edits by {method}, {seconds} s per edit; {skipped} could not be edited.",
        line["n"],
    )
    return text.format(**named, skipped=number(line["skipped"]))


def benchmark_title(line: Mapping[str, Any]) -> str:
    """Return in a few words what a benchmark has measured."""
    text = ngettext("{rate} of {n} edit by {method} take", "{rate} of {n} edits by {method} take", line["n"])
    return text.format(rate=rate(line["success"]), n=number(line["n"]), method=method_name(line["method"]))


def rates(line: Mapping[str, Any]) -> list[Rate]:
    """Return the rates of a benchmark that have items. `line`: of `robustness.summary`."""
    rows = []
    for name, (title, meaning) in RATES.items():
        if line.get(name) is None:
            continue
        items = line[f"{name}_items"]
        text = ngettext("{meaning}; {n} probe, {interval}", "{meaning}; {n} probes, {interval}", items)
        text = text.format(meaning=_(meaning), n=number(items), interval=_interval(line, name))
        rows.append(Rate(_(title), rate(line[name]), text, _written(line, name)))
    return rows


def _written(line: Mapping[str, Any], name: str) -> str:
    """Return a rate of written answers; nothing where none were written."""
    written = line.get("generated", {})
    if written.get(name) is None:
        return ""
    if all(written[key] == line[key] for key in (name, f"{name}_ci")):
        return _("the same in the answer that the model writes")
    text = _("{rate} in the answer that the model writes, {interval}")
    return text.format(rate=rate(written[name]), interval=_interval(written, name))


def _interval(rates: Mapping[str, Any], name: str) -> str:
    low, high = map(rate, rates[f"{name}_ci"])
    return _("95 % CI {low} to {high}").format(low=low, high=high)
