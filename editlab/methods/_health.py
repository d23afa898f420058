"""What an edit's health says to a person: whether it took, whether it is heard, and what may have suffered."""

from __future__ import annotations

from collections.abc import Mapping

from editlab.wording import noop, percent

HEALTH = {
    "p_new": (noop("p(new)"), noop("Probability of the new object at the edited prompt. Near 100 %: the fact is written.")),
    "said": (noop("Prompts edited"), noop("Share of the batch’s prompts at which the model gives the new object.")),
    "loss": (noop("Loss"), noop("Loss at the end of the search for the new value. Near 0: the model gives the new object.")),
    "steps": (noop("Steps"), noop("Steps of that search. It ends early once the loss is small enough.")),
    "relative_norm": (
        noop("|ΔW| / |W|"),
        noop("Norm of the edit relative to that of the weights it changes. A small edit is gentle."),
    ),
    "neurons": (noop("Neurons"), noop("Number of knowledge neurons that the edit changes.")),
    "tokens": (noop("Tokens before"), noop("Tokens that stand before the edit’s own question because of it.")),
    "divisor": (noop("Divisor"), noop("Response of the edit’s key to its own direction. Near 0, the edit would explode.")),
    "share": (
        noop("Share"),
        noop("Share of the edit that the bare prompt receives. 1 is all of it; other values miss or overshoot."),
    ),
    "whitened": (noop("Key statistics"), noop("Whether statistics of the model’s own keys kept the edit away from them.")),
    "seconds": (noop("Time, s"), noop("Time from the start of the computation to the finished edit.")),
    "rep_opens": (
        noop("REP: gate opens"),
        noop("Share of the subject’s other names, among those trained on, at which the gate opens."),
    ),
    "rep_opens_falsely": (
        noop("REP: false alarms"),
        noop("Share of words with another meaning at which the gate opens as well."),
    ),
    "rep_bytes": (noop("REP: size"), noop("Size of the pathway of one layer.")),
    "rep_seconds": (noop("REP: time, s"), noop("Time from the finished edit to its trained pathways.")),
}
"""The numbers of an edit's health: their titles, and what they mean."""
SHARES = ("p_new", "said", "rep_opens", "rep_opens_falsely")

TAKEN = 0.5
"""Under this probability of the new object at its own prompt, an edit has not taken."""
HEARD = 0.5
"""Under this share of the edit, the bare prompt hardly hears it."""


def warnings(health: Mapping[str, float]) -> list[str]:
    """Return sentences on what is wrong with an edit, and what to do; none for one that is well."""
    found = []
    if (p := health.get("p_new", 1.0)) < TAKEN:
        found.append(
            noop(
                f"The edit did not take: the model says the new object with only {p:.0%}. Try another wording, more "
                "steps, or another layer."
            )
        )
    if (share := health.get("share", 1.0)) < HEARD:
        found.append(
            noop(
                f"The bare prompt hears only {max(0.0, share):.0%} of the edit; behind other text it is stronger. Choose "
                'the keys "both", or put the subject later in the prompt.'
            )
        )
    if health.get("whitened", 1.0) < 1:
        found.append(noop("It was made without key statistics, so other facts may have moved. Measure them and edit again."))
    return found


def health_value(key: str, value: float) -> str:
    """Return a number of an edit's health as text."""
    if key in SHARES:
        return percent(value)
    if key == "rep_bytes":
        return f"{value / 1000:.0f} kB"
    if key == "whitened":
        return noop("yes") if value else noop("no")
    return f"{value:.0f}" if key in ("steps", "neurons", "tokens") else f"{value:.3g}"
