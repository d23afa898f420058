"""The editor's memory: which file each session of the page has open, so that saving loses nobody's change."""

from __future__ import annotations

from collections import OrderedDict

from editlab.lab.scenarios import LONGEST_NAME, Library, Scenario
from editlab.web.core.html import pieces
from editlab.web.core.language import gettext as _
from editlab.web.core.updates import Update
from editlab.web.workshop import words

MOST_SESSIONS = 10_000


class Editor:
    """The own scenarios that are open in the editors of all sessions."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._opened: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def open(self, session: str, name: str) -> Update:
        """Return the editor with the file of a scenario; a bundled one under a name of one's own."""
        text, own = self.library.text(name), self.library.is_own(name)
        self._note(session, name, text if own else None)
        said = _(words.OPENED if own else words.OPENED_BUNDLED).format(name=name)
        free = name if own else f"my-{name}"[:LONGEST_NAME].rstrip("-")
        return {
            "editor-text": text,
            "editor-name": free,
            "editor-said": pieces.message(said),
        }

    def save(self, session: str, name: str, text: str) -> Scenario:
        """Check and keep a scenario. Raises as `Library.save` does."""
        scenario = self.library.save(name, text, self._seen(session, name))
        self._note(session, name, text)
        return scenario

    def delete(self, session: str, name: str) -> None:
        """Delete an own scenario. Raises as `Library.delete` does."""
        self.library.delete(name, self._seen(session, name))
        self._note(session, name, None)

    def _seen(self, session: str, name: str) -> str | None:
        """Return the text of a scenario as a session has opened or saved it last; None where it has another one open."""
        opened, text = self._opened.get(session, ("", ""))
        return text if opened == name else None

    def _note(self, session: str, name: str, text: str | None) -> None:
        self._opened.pop(session, None)
        if text is not None:
            self._opened[session] = name, text
        while len(self._opened) > MOST_SESSIONS:
            self._opened.popitem(last=False)
