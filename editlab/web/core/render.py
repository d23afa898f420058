"""Names that tabs still import from here."""  # until all tabs are converted

from __future__ import annotations

from markupsafe import Markup

from editlab.web.core.answers import bars as bars
from editlab.web.core.answers import first_clause as headline  # noqa: F401
from editlab.web.core.html import pieces
from editlab.web.core.names import token_name as visible  # noqa: F401
from editlab.web.core.names import view_title as view_title
from editlab.wording import percent as percent


def message(text: str, tone: str = "note") -> Markup:
    """Return a sentence as a paragraph."""
    return pieces.message(text, tone)


def progress(text: str, fraction: float) -> Markup:
    """Return a progress bar."""
    return pieces.progress(text, fraction, "")
