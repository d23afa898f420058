"""What people call views, kinds of probes and tokens."""

from __future__ import annotations

from editlab.wording import noop

VIEW_TITLES = {
    "base": noop("Base model"),
    "edited": noop("Edited model"),
    "rep": noop("Edited + REP"),
    "masked": noop("Edited + mask"),
    "base_masked": noop("Mask alone"),
    "guarded": noop("Edited under the guard"),
}
"""The title of each view. A view without one is shown under its own name."""
TOLD = noop("Fact in the prompt")
"""The title of the view in which the new fact is part of the prompt. It is no view of a workspace."""
RETRIEVED = noop("Fact retrieved")
"""The title of the view in which the new fact stands before questions that name its subject."""
KIND_NAMES = {
    "success": noop("Efficacy"),
    "same_subject": noop("Same subject"),
    "long": noop("Long context"),
    "propagation": noop("Ripple effects"),
}


def view_title(view: str) -> str:
    """Return a view's title."""
    return {"told": TOLD, "note": RETRIEVED, **VIEW_TITLES}.get(view, view.capitalize())


def kind_name(kind: str, domain: str = "") -> str:
    """Return the name of a kind of probe, with its domain in brackets where it has one."""
    return KIND_NAMES.get(kind, kind.capitalize()) + (f" ({domain})" if domain else "")


def token_name(token: str) -> str:
    """Return a token that can be seen even where it is white space."""
    return token.strip() or token.replace(" ", "␣").replace("\n", "↵") or "(empty)"
