"""What an edit's health says to a person: whether it took, whether it is heard, and what may have suffered."""

from __future__ import annotations

from collections.abc import Mapping

TAKEN = 0.5
"""Under this probability of the new object at its own prompt, an edit has not taken."""
HEARD = 0.5
"""Under this share of the edit, the bare prompt hardly hears it."""


def warnings(health: Mapping[str, float]) -> list[str]:
    """Return sentences on what is wrong with an edit, and what to do; none for one that is well."""
    found = []
    if (p := health.get("p_new", 1.0)) < TAKEN:
        found.append(
            f"The edit did not take: the model says the new object with only {p:.0%}. Try another wording, more steps, or "
            "another layer."
        )
    if (share := health.get("share", 1.0)) < HEARD:
        found.append(
            f"The bare prompt hears only {max(0.0, share):.0%} of the edit; behind other text it is stronger. Choose the "
            'keys "both", or put the subject later in the prompt.'
        )
    if health.get("whitened", 1.0) < 1:
        found.append("It was made without key statistics, so other facts may have moved. Measure them and edit again.")
    return found
