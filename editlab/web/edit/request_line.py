"""The request in one line: the fact and its change, how it is made, and the buttons that open the form and the edits."""

from __future__ import annotations

from markupsafe import Markup

from editlab.lab import OFF
from editlab.web.core.html import render
from editlab.web.core.names import method_name

LONGEST = 90
"""Characters of each part that are shown."""


def line(subject: str = "", prompt: str = "", new: str = "", true: str = "", method: str = "", rep: str = OFF) -> Markup:
    """Return the fields of a request as they stand now, whether they are valid or not."""
    before, slot, after = prompt.partition("{}")
    return render(
        "edit/line.html",
        subject=subject.strip(),
        before=before.strip(),
        after=after.strip() if slot else "",
        new=new.strip(),
        old=true.strip(),
        how=f"{method_name(method)}{'' if rep == OFF else ' + REP'}",
        most=LONGEST,
    )
