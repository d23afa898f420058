"""The sentences of the Edit tab, but for those about masks and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from editlab.facts import EditRequest
from editlab.lab import CONTROL, EditRecord, warnings
from editlab.web.core.answers import Answers, headline
from editlab.web.core.engine import said
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext, noop
from editlab.web.core.names import method_name, view_title
from editlab.web.core.wording import join, number, percent, rate, tell

# --- answers ----------------------------------------------------------------------------------------------------------

NO_EDIT = noop("Nothing is edited yet. Press “Apply edit” to see the new answer here, next to the old one.")
SAME_ANSWER = noop("All models give the same answer.")
NOTES = {"replaced": noop("was"), "changed": noop("changed"), "unchanged": noop("unchanged")}
MASKED_NOTE = noop("as before")
"""The note at an answer under a mask that is the base model's."""


def note(view: str, state: str) -> str:
    """Return the note beside a view's title. `state`: what became of its answer."""
    if state == "control":
        return _("control: no edit, only the mask") if view == CONTROL else _("control: without the guard")
    if state == "unchanged" and view in ("masked", "guarded"):
        return _(MASKED_NOTE)
    return _(NOTES.get(state, ""))


NEXT = noop("Press “Apply edit” to change the answer.")


def announce(answers: Answers) -> str:
    """Return all answers as a sentence, which a screen reader reads aloud."""
    text = _("{view}: “{answer}”.")
    return " ".join(text.format(view=view_title(view), answer=headline(answer)) for view, answer in answers.items())


NO_REPORT = noop("A report is about an edit. Apply this one first, or choose one from the list.")
REPORTING = noop("Asking everything about this edit …")
REPORTED = noop("The report of {edit} is ready. Download it on the Workspace tab, under “Jobs”.")

# --- what the model knows ---------------------------------------------------------------------------------------------

KNOWN_HINT = noop("Open this to ask the model.")


def card(title: str, known: bool) -> str:
    """Return the title of an example's card."""
    return title if known else _("{example} · not known").format(example=title)


def unknown(says: str, true: str) -> str:
    """Return what a model says at an example that it does not know."""
    return _("This model says “{says}” here, not “{true}”: it does not know the fact.").format(says=says, true=true)


def known(facts: int, asking: bool) -> str:
    """Return how many facts are offered. `asking`: whether the model is still being asked."""
    if asking:
        if not facts:
            return _("The model is being asked …")
        text = ngettext("The model is being asked: {n} fact so far.", "The model is being asked: {n} facts so far.", facts)
    elif not facts:
        return _("This model says none of the facts that it was asked for. Write a fact of your own.")
    else:
        text = ngettext(
            "{n} fact that this model says by itself. Pick one to change it.",
            "{n} facts that this model says by itself. Pick one to change it.",
            facts,
        )
    return text.format(n=number(facts))


def typed(token: str, p: float) -> str:
    """Return how the unedited model goes on with a request that is being typed."""
    return _("The model goes on with “{token}”, {p}.").format(token=token, p=percent(p))


def picked(request: EditRequest, p: float) -> str:
    """Return what is said about a fact that was picked."""
    text = _("This model says “{true}” here, with a probability of {p}.")
    return text.format(true=request.target_true, p=percent(p))


# --- edits ------------------------------------------------------------------------------------------------------------

NO_EDITS = noop("No edit is applied.")
NO_HEALTH = noop("Apply an edit to see how it was made.")


def health_title(record: EditRecord) -> str:
    """Return which edit a list of its health is about."""
    n = len(record.layers)
    if not n:
        text = _("{method}, on “{prompt}”.")
        if record.more:
            text = _("{method}, on “{prompt}” and {n} more; the numbers are means.")
    elif record.more:
        text = ngettext(
            "{method} at layer {layers}, on “{prompt}” and {n} more; the numbers are means.",
            "{method} at layers {layers}, on “{prompt}” and {n} more; the numbers are means.",
            n,
        )
    else:
        text = ngettext("{method} at layer {layers}, on “{prompt}”.", "{method} at layers {layers}, on “{prompt}”.", n)
    given = {"method": method_name(record.method), "layers": join(record.layers), "prompt": record.request.text}
    return text.format(**given, n=number(len(record.more)))


def how_made(record: EditRecord) -> str:
    """Return an edit's method and time, whether it was made without key statistics, and whether it is off."""
    plain = [] if record.health.get("whitened", 1.0) else [_("no key statistics")]
    return ", ".join(
        [method_name(record.method), f"{number(record.seconds, '.1f')} s", *plain, *([] if record.on else [_("off")])]
    )


def batch(record: EditRecord) -> str:
    """Return how many edits of a batch took right after it, as far as that is known."""
    edits, missed, said = len(record.requests), len(record.missed), record.health.get("said")
    if rows_are_known(record):
        text = _("{n} of {all} edits did not take") if missed else _("All {all} edits took")
    else:
        text = _("{all} edits") if said is None else _("{all} edits, of which {share} took")
    return text.format(n=number(missed), all=number(edits), share="" if said is None else rate(said))


def rows_are_known(record: EditRecord) -> bool:
    """Return whether it is known which edits of a batch took: not of those made by a release before it was kept."""
    said = record.health.get("said", 0.0)
    return bool(record.missed) or said == 1


def rep_button(record: EditRecord) -> str:
    """Return what an edit's REP button does."""
    if record.more:
        return _("REP is added to one edit at a time, not to a batch")
    if record.rep is None:
        return _("Train a pathway, so that the edit holds when the subject is rephrased")
    if record.rep_on:
        text = _("Trained by the recipe “{recipe}”; press to switch it off")
    else:
        text = _("Trained by the recipe “{recipe}”; press to switch it on")
    return text.format(recipe=record.rep)


def made(record: EditRecord) -> str:
    """Return how long an edit took. That it is made is said only of one that is well; else what is wrong with it."""
    wrong = warnings(record.health)
    if record.rep:
        text = _("Computed in {time} s, REP in {rep} s.") if wrong else _("Edited in {time} s, REP in {rep} s.")
    else:
        text = _("Computed in {time} s.") if wrong else _("Edited in {time} s.")
    text = text.format(time=number(record.seconds, ".1f"), rep=number(record.health.get("rep_seconds", 0.0), ".1f"))
    note = record.request.note
    return " ".join([text, *map(said, wrong[:1]), *([_(note)] if note else [])])


def rep_chosen(on: bool) -> str:
    """Return what the switch of REP does before an edit is applied."""
    return _("The next edit is made with REP.") if on else _("The next edit is made without REP.")


def rep_added(record: EditRecord) -> str:
    """Return that REP was added to an edit, and how long it took."""
    text = _("Added REP in {time} s: {edit}.").format(
        time=number(record.health["rep_seconds"], ".1f"), edit=tell(record.name)
    )
    return " ".join([text, *map(said, warnings(record.health)[:1])])


CHANGED_ELSEWHERE = noop("The edits were changed in another window or by somebody else. This is how they are now.")
HURRIED = noop("The edit is made without key statistics. The measuring goes on, and the next edit has them.")


# --- gate -------------------------------------------------------------------------------------------------------------

GATE_CLOSED = noop("The gate opens at none of them: at its own prompt the edit needs no help.")
GATE_TO_COME = noop("The figure is drawn as soon as the probes have been asked.")


def threshold(value: float, largest: Sequence[float]) -> str:
    """Return what a threshold does. `largest`: the largest gate at each probe."""
    opened = sum(value < largest_gate for largest_gate in largest)
    if opened:
        text = _("Above {threshold} the gate opens in {n} of {all} questions; elsewhere only the edit acts.")
        return text.format(threshold=gate(value), n=opened, all=len(largest))
    text = _("At {threshold} no gate opens: this is the edit without REP. Move the slider to the left.")
    most = [_("The largest gate is {gate}.").format(gate=gate(max(largest)))] if largest else []
    return " ".join([text.format(threshold=gate(value)), *most])


def gate_of(subject: str) -> str:
    """Return what the gate at a token means."""
    if subject:
        return _("How similar this token is to {subject}").format(subject=subject)
    return _("No pathway applies here")


def gate(value: float) -> str:
    """Return a gate or a threshold, 0 to 1, in two digits that never round up to 1 or down to 0."""
    if 0 < value < 0.005:
        return f"< {number(0.01, '.2f')}"
    return number(value, ".2f") if value < 0.995 or value == 1 else f"> {number(0.99, '.2f')}"


# --- probes -----------------------------------------------------------------------------------------------------------

ASKING = noop("being asked")


def of(held: int, asked: int) -> str:
    """Return a count of probes that hold: "9 of 10"."""
    return _("{n} of {all}").format(n=held, all=asked) if asked else _("not known")


HOLDS = {
    "rephrase": noop("the subject has another name ({n} of {all})"),
    "shuffle": noop("the subject's tokens stand in another order ({n} of {all})"),
    "long": noop("a long text stands before it ({n} of {all})"),
    "paraphrase": noop("the fact is asked in other words ({n} of {all})"),
}
HARMS = {
    "locality": noop("{n} of {all} other subjects"),
    "same_subject": noop("{n} of {all} other facts about the subject"),
}
"""What is said of kinds of probes at which an edit fails."""


def outcome(counts: Mapping[str, tuple[int, int]], asking: bool, views: Sequence[str] = ()) -> tuple[str, str]:
    """Return how an edit stands, as a tone and one sentence. `counts`: for each kind the probes that hold, and all."""
    held, asked = counts["success"]
    if not asked:
        return "open", _("The probes around the edit are being asked …") if asking else _(ALREADY_SO)
    edit = _(THE_EDIT.get(views[-1] if len(views) > 1 else "", THE_EDIT[""]))
    if not held:
        text = _("{edit} did not take: the model does not give the new answer.").format(edit=edit)
        return "bad", f"{text} {_(TRY)}"
    fails = {kind: numbers for kind, numbers in counts.items() if numbers[0] < numbers[1]}
    missed = [_(text).format(n=fails[kind][0], all=fails[kind][1]) for kind, text in HOLDS.items() if kind in fails]
    harmed = [
        _(text).format(n=fails[kind][1] - fails[kind][0], all=fails[kind][1])
        for kind, text in HARMS.items()
        if kind in fails
    ]
    more = [_("More probes are being asked …")] if asking else []
    if "propagation" in fails:
        ripple = _("Of what follows from it, {n} of {all} changed.")
        more.insert(0, ripple.format(n=fails["propagation"][0], all=fails["propagation"][1]))
    if not missed and not harmed:
        text = _("{edit} took and holds so far.") if asking else _("{edit} took and holds however it is asked.")
    elif not harmed:
        text = _("{edit} took, but does not always hold when {missed}.")
    elif not missed:
        text = _("{edit} took, but changed {harmed}.")
    else:
        text = _("{edit} took, but does not always hold when {missed} and changed {harmed}.")
    text = text.format(edit=edit, missed=join(missed), harmed=join(harmed))
    return "mixed" if missed or harmed else "good", " ".join([text, *more])


THE_EDIT = {"": noop("The edit"), "rep": noop("With REP, the edit"), "guarded": noop("Under the guard, the edit")}
ALREADY_SO = noop("The model gave this answer already: there is nothing to see of the edit.")
TRY = noop("Try more steps, another layer, or a fact that the model knows.")
NO_SCORES = noop("After an edit, every probe around it is asked, before and after. The scores are shown here.")
NO_PROBES = noop("The probes are asked as soon as this edit is applied.")
EXPECTED_BASE = noop("the answer of the base model")
JUDGED = (
    noop("kept"),
    noop("harmed"),
    noop("follows"),
    noop("does not follow"),
    noop("missed"),
    noop("already so"),
    noop("changed"),
    noop("not known"),
)
"""The verdicts on a probe."""
DOMAINS = {
    "own": noop("own: your own probes"),
    "in": noop("in: REP may train on similar texts"),
    "out": noop("out: REP never trains on similar texts"),
}
NOT_ASKED = {
    "rephrase": noop("No other name of the subject is known. Write the prompt with one under “Own probes”."),
    "shuffle": noop("The subject is a single token, which has no other order."),
    "long": noop("There is no text to put before it. Put prose into presets/texts."),
}
"""Why a kind of probe may be missing, and what to do."""


def score_tip(
    kind: str, asked: int | None, domains: Sequence[str], views: Sequence[str], forced: tuple[int, int] | None = None
) -> str:
    """Return what a kind's score counts. `asked`: the number of its probes, None where none was asked yet.

    The score is of written answers; `forced`: how many hold by their tokens, teacher-forced, of how many.
    """
    if asked:
        number_of = ngettext("{n} probe", "{n} probes", asked).format(n=number(asked))
        said = [f"{'; '.join([number_of, *(_(DOMAINS[domain or 'own']) for domain in domains)])}."]
    else:
        said = [_("None asked."), *([_(NOT_ASKED[kind])] if kind in NOT_ASKED and asked is not None else [])]
    order = [f"{' → '.join(map(view_title, views))}."] if len(views) > 1 else []
    beside = [] if forced is None else [_("Written answers count; teacher-forced: {score}.").format(score=of(*forced))]
    return " ".join([*said, *order, *beside])


VERDICTS = {
    "new": noop("new fact"),
    "old": noop("old answer"),
    "both": noop("contradicts itself"),
    "neither": noop("neither"),
}
"""What a view's answer to a question about belief is."""
NOT_ASKED_WORD = noop("not asked")
NO_BELIEF = noop("No fact is shown that could be asked about. Choose an example, or apply an edit.")
BELIEF_HINT = noop(
    "One prompt says little. The same fact is asked for in ten ways, also of the unedited model with the fact in its prompt."
)
BELIEF_ASKING = noop("The questions are being asked, one kind after the other.")
BELIEF_OPEN = noop(
    "None of these questions tells anything about this fact: the unedited model does not give the old answer to it, or not "
    "every answer can be judged."
)
BELIEF_UNEDITED = noop("No edit of this fact is on. “{how}”: {told} of {all} answers follow the new fact.")
BELIEF_TOLD = noop(
    "The fact in the prompt wins by {by}: “{how}” follows the new fact in {told} of {all} answers, “{view}” in {edited}."
)
BELIEF_EDITED = noop("The edit wins by {by}: “{view}” follows the new fact in {edited} of {all} answers, “{how}” in {told}.")
BELIEF_EVEN = noop("Neither wins: “{view}” and “{how}” follow the new fact in {told} of {all} answers each.")
BELIEF_UNKNOWN = noop(
    "The unedited model does not give the old answer to such a question, so that the answers tell nothing about the edit."
)
BELIEF_UNASKED = noop(
    "There is no such question about this fact, this model has no chat template to ask it in, or its context is too short."
)
BELIEF_STOPPED = noop("Stopped after {n} of {all} kinds of questions: who wins is said when all of them are asked.")
