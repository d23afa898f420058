"""The sentences of the Edit tab, but for those about masks and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from editlab.facts import EditRequest
from editlab.lab import CONTROL, EditRecord, warnings
from editlab.web.core.answers import Answers, headline
from editlab.web.core.names import view_title
from editlab.wording import capitalize, count, join, percent

# --- answers ----------------------------------------------------------------------------------------------------------

NO_EDIT = "Nothing is edited yet. Press “Apply edit” to see the new answer here, next to the old one."
SAME_ANSWER = "All models give the same answer."
NOTES = {"replaced": "was", "changed": "changed", "unchanged": "unchanged"}
MASKED_NOTE = "as before"
"""The note at an answer under a mask that is the base model's."""


def note(view: str, state: str) -> str:
    """Return the note beside a view's title. `state`: what became of its answer."""
    if state == "control":
        return f"control: {'no edit, only the mask' if view == CONTROL else 'without the guard'}"
    if state == "unchanged" and view in ("masked", "guarded"):
        return MASKED_NOTE
    return NOTES.get(state, "")


NEXT = "Press “Apply edit” to change the answer."


def announce(answers: Answers) -> str:
    """Return all answers as a sentence, which a screen reader reads aloud."""
    return " ".join(f"{view_title(view)}: “{headline(answer)}”." for view, answer in answers.items())


NO_REPORT = "A report is about an edit. Apply this one first, or choose one from the list."
REPORTING = "Asking everything about this edit …"

# --- what the model knows ---------------------------------------------------------------------------------------------

KNOWN_HINT = "Open this to ask the model."


def card(title: str, known: bool) -> str:
    """Return the title of an example's card."""
    return title if known else f"{title} · not known"


def unknown(says: str, true: str) -> str:
    """Return what a model says at an example that it does not know."""
    return f"This model says “{says}” here, not “{true}”: it does not know the fact."


def known(number: int, asking: bool) -> str:
    """Return how many facts are offered. `asking`: whether the model is still being asked."""
    if asking:
        return f"The model is being asked: {count(number, 'fact')} so far." if number else "The model is being asked …"
    if not number:
        return "This model says none of the facts that it was asked for. Write a fact of your own."
    return f"{capitalize(count(number, 'fact'))} that this model says by itself. Pick one to change it."


def typed(token: str, p: float) -> str:
    """Return how the unedited model goes on with a request that is being typed."""
    return f"The model goes on with “{token}”, {percent(p)}."


def picked(request: EditRequest, p: float) -> str:
    """Return what is said about a fact that was picked."""
    return f"This model says “{request.target_true}” here, with a probability of {percent(p)}."


# --- edits ------------------------------------------------------------------------------------------------------------

NO_EDITS = "No edit is applied."
NO_HEALTH = "Apply an edit to see how it was made."


def health_title(record: EditRecord) -> str:
    """Return which edit a list of its health is about."""
    layers = f"layer{'s' * (len(record.layers) > 1)} {join(record.layers)}"
    others = f" and {len(record.more):,} more; the numbers are means" if record.more else ""
    return f"{record.method.upper()} at {layers}, on “{record.request.text}”{others}."


def how_made(record: EditRecord) -> str:
    """Return an edit's method and time, whether it was made without key statistics, and whether it is off."""
    plain = "" if record.health.get("whitened", 1.0) else ", no key statistics"
    return f"{record.method.upper()}, {record.seconds:.1f} s{plain}{'' if record.on else ', off'}"


def batch(record: EditRecord) -> str:
    """Return how many edits of a batch took right after it, as far as that is known."""
    number, missed = len(record.requests), len(record.missed)
    if not rows_are_known(record):
        said = record.health.get("said")
        return f"{number:,} edits" + ("" if said is None else f", of which {percent(said)} took")
    return f"All {number:,} edits took" if not missed else f"{missed:,} of {number:,} edits did not take"


def rows_are_known(record: EditRecord) -> bool:
    """Return whether it is known which edits of a batch took: not of those made by a release before it was kept."""
    said = record.health.get("said", 0.0)
    return bool(record.missed) or said == 1


def rep_button(record: EditRecord) -> str:
    """Return what an edit's REP button does."""
    if record.more:
        return "REP is added to one edit at a time, not to a batch"
    if record.rep is None:
        return "Train a pathway, so that the edit holds when the subject is rephrased"
    return f"Trained by the recipe “{record.rep}”; press to switch it {'off' if record.rep_on else 'on'}"


def made(record: EditRecord) -> str:
    """Return how long an edit took. That it is made is said only of one that is well; else what is wrong with it."""
    rep = f", REP in {record.health['rep_seconds']:.1f} s" if record.rep else ""
    time, wrong = f"{record.seconds:.1f} s{rep}", warnings(record.health)
    return f"Computed in {time}. {wrong[0]}" if wrong else f"Edited in {time}."


def rep_chosen(on: bool) -> str:
    """Return what the switch of REP does before an edit is applied."""
    return "The next edit is made with REP." if on else "The next edit is made without REP."


def rep_added(record: EditRecord) -> str:
    """Return that REP was added to an edit, and how long it took."""
    return " ".join([f"Added REP in {record.health['rep_seconds']:.1f} s: {record.name}.", *warnings(record.health)[:1]])


CHANGED_ELSEWHERE = "The edits were changed in another window or by somebody else. This is how they are now."
HURRIED = "The edit is made without key statistics. The measuring goes on, and the next edit has them."


# --- gate -------------------------------------------------------------------------------------------------------------

GATE_CLOSED = "The gate opens at none of them: at its own prompt the edit needs no help."
GATE_TO_COME = "The figure is drawn as soon as the probes have been asked."


def threshold(value: float, largest: Sequence[float]) -> str:
    """Return what a threshold does. `largest`: the largest gate at each probe."""
    opened = sum(value < largest_gate for largest_gate in largest)
    if opened:
        return f"Above {gate(value)} the gate opens in {opened} of {len(largest)} questions; elsewhere only the edit acts."
    most = f" The largest gate is {gate(max(largest))}." if largest else ""
    return f"At {gate(value)} no gate opens: this is the edit without REP. Move the slider to the left.{most}"


def gate_of(subject: str) -> str:
    """Return what the gate at a token means."""
    return f"How similar this token is to {subject}" if subject else "No pathway applies here"


def gate(value: float) -> str:
    """Return a gate or a threshold, 0 to 1, in two digits that never round up to 1 or down to 0."""
    if 0 < value < 0.005:
        return "< 0.01"
    return f"{value:.2f}" if value < 0.995 or value == 1 else "> 0.99"


# --- probes -----------------------------------------------------------------------------------------------------------

ASKING = "being asked"


def of(held: int, asked: int) -> str:
    """Return a count of probes that hold: "9 of 10"."""
    return f"{held} of {asked}" if asked else "not known"


HOLDS = {
    "rephrase": "the subject has another name",
    "shuffle": "the subject's tokens stand in another order",
    "long": "a long text stands before it",
    "paraphrase": "the fact is asked in other words",
}
HARMS = {"locality": "other subjects", "same_subject": "other facts about the subject"}
"""What is said of kinds of probes at which an edit fails."""


def outcome(counts: Mapping[str, tuple[int, int]], asking: bool, views: Sequence[str] = ()) -> tuple[str, str]:
    """Return how an edit stands, as a tone and one sentence. `counts`: for each kind the probes that hold, and all."""
    held, asked = counts["success"]
    if not asked:
        return ("open", "The probes around the edit are being asked …" if asking else ALREADY_SO)
    edit = THE_EDIT.get(views[-1] if len(views) > 1 else "", "The edit")
    if not held:
        return "bad", f"{edit} did not take: the model does not give the new answer. {TRY}"
    fails = {kind: numbers for kind, numbers in counts.items() if numbers[0] < numbers[1]}
    missed = [f"{text} ({of(*fails[kind])})" for kind, text in HOLDS.items() if kind in fails]
    harmed = [
        f"{fails[kind][1] - fails[kind][0]} of {fails[kind][1]} {text}" for kind, text in HARMS.items() if kind in fails
    ]
    more = " More probes are being asked …" if asking else ""
    if "propagation" in fails:
        more = f" Of what follows from it, {of(*fails['propagation'])} changed.{more}"
    if not missed and not harmed:
        so_far = " so far" if asking else " however it is asked"
        return "good", f"{edit} took and holds{so_far}.{more}"
    parts = [f"does not always hold when {join(missed)}" if missed else "", f"changed {join(harmed)}" if harmed else ""]
    return "mixed", f"{edit} took, but {join([part for part in parts if part])}.{more}"


THE_EDIT = {"rep": "With REP, the edit", "guarded": "Under the guard, the edit"}
ALREADY_SO = "The model gave this answer already: there is nothing to see of the edit."
TRY = "Try more steps, another layer, or a fact that the model knows."
NO_SCORES = "After an edit, every probe around it is asked, before and after. The scores are shown here."
NO_PROBES = "The probes are asked as soon as this edit is applied."
EXPECTED_BASE = "the answer of the base model"
DOMAINS = {"own": "your own probes", "in": "REP may train on similar texts", "out": "REP never trains on similar texts"}
NOT_ASKED = {
    "rephrase": "No other name of the subject is known. Write the prompt with one under “Own probes”.",
    "shuffle": "The subject is a single token, which has no other order.",
    "long": "There is no text to put before it. Put prose into presets/texts.",
}
"""Why a kind of probe may be missing, and what to do."""


def score_tip(kind: str, asked: int | None, domains: Sequence[str], views: Sequence[str]) -> str:
    """Return what a kind's score counts. `asked`: the number of its probes, None where none was asked yet."""
    meaning = "; ".join(f"{domain or 'own'}: {DOMAINS[domain or 'own']}" for domain in domains)
    if asked:
        number = f"{count(asked, 'probe')}{f'; {meaning}' if meaning else ''}."
    else:
        number = f"None asked. {NOT_ASKED[kind]}" if kind in NOT_ASKED and asked is not None else "None asked."
    order = f" {' → '.join(map(view_title, views))}." if len(views) > 1 else ""
    return f"{number}{order}"
