"""What happens on the Keys tab: the paper's pictures for the edit on the bench, each drawn as soon as it is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr
from pandas import DataFrame

from editlab import figures
from editlab.errors import BadFile, BadRequest, Cancelled
from editlab.facts import EditRequest
from editlab.insight import Scan, Similarity
from editlab.lab import EditRecord, Job, Lab, Workspace
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.asking import keys as asking
from editlab.web.core import forms, render
from editlab.web.core.handlers import Handlers, Update, Updates, handler
from editlab.web.keys import table, words

SECTIONS = ("similarity", "discussion", "bounds", "prefixes", "values")
"""In the order in which they stand on the page."""
QUICKEST_FIRST = ("similarity", "discussion", "prefixes", "values", "bounds")
"""In the order in which they are computed."""
COMING = "Being computed …"
Seen = tuple[tuple[EditRecord, ...], float, EditRequest | None]


class KeysHandlers(Handlers):
    """The handlers of the Keys tab. What was computed for the edits as they are is drawn again without computing it."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.keys = asking
        self._found: WeakKeyDictionary[Workspace, tuple[Seen, dict[str, Any]]] = WeakKeyDictionary()

    @handler(Cost(prompts=400))
    def keys_open(self, visitor: Any, request: gr.Request) -> Updates:
        """The tab was opened: all pictures of the edit on the bench. Updates: all parts of the tab."""
        workspace = self.workspace(visitor, request)
        yield from self._without_an_edit(workspace)
        yield from self.in_turn(workspace, lambda turn: self._all(turn, workspace))

    @handler(Cost(prompts=400))
    def keys_again(self, visitor: Any, request: gr.Request) -> Updates:
        """Compute everything anew. Updates as `keys_open`."""
        workspace = self.workspace(visitor, request)
        self._found.pop(workspace, None)
        yield from self._without_an_edit(workspace)
        yield from self.in_turn(workspace, lambda turn: self._all(turn, workspace))

    @handler(Cost(prompts=20))
    def keys_discuss(self, visitor: Any, text: str | None, request: gr.Request) -> Updates:
        """Who speaks at a question of the visitor's. Input: keys-question. Updates: the discussion."""
        workspace = self.workspace(visitor, request)
        question = forms.read_question(text)
        job = self.keys.discussion(workspace, question)
        self._known(workspace)["question"] = question
        yield from self._shown(workspace, "discussion", job)

    @handler(Cost(files=1, prompts=400))
    def keys_scan(self, visitor: Any, file: Any, request: gr.Request) -> Updates:
        """Scan a text file of the visitor's. Input: keys-file. Updates: the prefixes, as they are found."""
        workspace = self.workspace(visitor, request)
        yield from self._scanned(workspace, self.keys.prefixes(workspace, read_text(file)))

    @handler(Cost(prompts=400))
    def keys_prose(self, visitor: Any, request: gr.Request) -> Updates:
        """Scan the prose that comes with EditLab. Updates as `keys_scan`."""
        workspace = self.workspace(visitor, request)
        yield from self._scanned(workspace, self.keys.prefixes(workspace))

    @handler(FREE)
    def keys_stop(self, visitor: Any, request: gr.Request) -> Updates:
        """Stop what runs for this visitor. Updates: message; the stopped handler says the rest."""
        yield self.stopping(self.workspace(visitor, request).stop(self.by(request)))

    # --- parts ------------------------------------------------------------------------------------------------------

    def _without_an_edit(self, workspace: Workspace) -> Updates:
        """Where no edit is on the bench, the pictures of an earlier one go: the error that follows says what to do."""
        try:
            self.keys.edit(workspace)
        except BadRequest:
            yield {name: value for section in SECTIONS for name, value in cleared(section).items()}
            raise

    def _all(self, turn: Any, workspace: Workspace) -> Updates:
        record = self.keys.edit(workspace)
        known = self._known(workspace)
        question = known.setdefault("question", self.keys.question(workspace))
        name = f"{record.request.subject} → {record.request.target_new}"
        rep = "" if workspace.robust is None else ", with REP"
        yield {"keys-question": question, "message": render.message(f"{name}, layer {min(record.layers)}{rep}.")}
        asks: dict[str, Callable[[], Job[Any]]] = {
            "similarity": lambda: self.keys.similarity(workspace),
            "discussion": lambda: self.keys.discussion(workspace, question),
            "bounds": lambda: self.keys.bounds(workspace),
            "prefixes": lambda: self.keys.prefixes(workspace),
            "values": lambda: self.keys.values(workspace),
        }
        for section in SECTIONS:
            yield drawn(section, record.request, known[section]) if section in known else cleared(section, COMING)
        for section in (section for section in QUICKEST_FIRST if section not in known):
            yield from self._shown(workspace, section, turn.asks(asks[section]()))
            turn.check()

    def _scanned(self, workspace: Workspace, job: Job[Scan]) -> Updates:
        """Another text is read: what was found in the one before goes."""
        yield cleared("prefixes", COMING)
        yield from self._shown(workspace, "prefixes", job)

    def _shown(self, workspace: Workspace, section: str, job: Job[Any]) -> Updates:
        """Follow a job, draw what it finds and keep that for the next time; of a job that is stopped, what it had found."""
        request = self.keys.edit(workspace).request
        known = self._known(workspace)
        yield {"stop": gr.update(interactive=True)}

        def on_the_way(partial: Any) -> Update:
            return {f"keys-{section}": render.message(sentence(section, request, partial), "finding")}

        yield from self.follow(workspace, job, on_the_way)
        try:
            known[section] = job.result()
        except Cancelled:
            if job.partial is not None:
                yield drawn(section, request, job.partial)
            raise
        yield {**drawn(section, request, known[section]), "progress": "", **self.buttons(workspace)}

    def _known(self, workspace: Workspace) -> dict[str, Any]:
        """What was found for the edits, the threshold and the question as they are now."""
        seen = workspace.records, workspace.threshold, workspace.request
        kept = self._found.get(workspace)
        if kept is None or kept[0][0] is not seen[0] or kept[0][1:] != seen[1:]:
            kept = self._found[workspace] = seen, {}
        return kept[1]


def read_text(path: Any) -> str:
    """The text of a file that a visitor gave, which is not kept. Raises `BadFile` where it is none."""
    if not path:
        raise BadFile("No file came. Choose a text file (.txt).")
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadFile("The file could not be read. Choose it again.") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"The file is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    finally:
        Path(path).unlink(missing_ok=True)


def sentence(section: str, request: EditRequest, found: Any) -> str:
    """What a section's numbers say."""
    if isinstance(found, Similarity):
        return words.similarity(request, found)
    if isinstance(found, Scan):
        return words.prefixes(request, found)
    return {
        "values": lambda: words.values(request, found),
        "discussion": lambda: words.discussion(found),
        "bounds": lambda: words.bounds(found),
    }[section]()


def drawn(section: str, request: EditRequest, found: Any) -> Update:
    """A section with its sentence, its figure and its table."""
    frame: DataFrame = found.frame if isinstance(found, Similarity | Scan) else found
    figure = getattr(figures, section)(frame)
    update = {
        f"keys-{section}": render.message(sentence(section, request, found), "finding"),
        f"keys-{section}-plot": figure,
        f"keys-{section}-table": table.table(section, frame),
    }
    if isinstance(found, Similarity):
        update["keys-components"] = render.message(words.components(found), "finding")
        update["keys-components-plot"] = figures.components(frame, found.variance)
    if section == "bounds":
        update["keys-lemma"] = render.message(words.lemma(frame), "finding small")
    return update


def cleared(section: str, hint: str = "") -> Update:
    """A section with nothing in it but a hint: no picture of another edit stays."""
    names = {"similarity": ("similarity", "components"), "bounds": ("bounds", "lemma")}.get(section, (section,))
    update: Update = {f"keys-{name}": "" for name in names} | {f"keys-{section}-table": ""}
    update[f"keys-{section}"] = render.message(hint, "hint") if hint else ""
    return update | {f"keys-{name}-plot": None for name in names if name != "lemma"}
