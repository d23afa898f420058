"""Many edits from a file, on the page: where it is given, what is wrong with it, and how far it is."""

from __future__ import annotations

import gradio as gr
from markupsafe import Markup

from editlab.lab import BATCH, EditFile, FileProgress
from editlab.web.core.components import Parts
from editlab.web.core.inputs import FileButton
from editlab.web.edit import file_words

FORMS = (".csv", ".json")
HINT = Markup(
    '<p class="hint">CSV with the columns <code>subject,prompt,target_new</code>, or JSON of CounterFact, zsRE, REP or '
    "EasyEdit. Every row is checked before the first edit is made.</p>"
)
READING = Markup('<p class="hint">Every row is looked over …</p>')
SHOWN_FAULTS = 50


def create_many(parts: Parts) -> None:
    """The file, its batch size, and the button that begins."""
    with gr.Accordion("Many edits from a file", open=False, elem_id="many"):
        parts.add(FileButton, "many-file", "Choose a file …", file_types=list(FORMS), size="sm")
        parts.add_html("many-said", HINT)
        parts.add(gr.Checkbox, "many-skip", label="Leave the bad rows out", value=False, visible=False)
        about = "Edits made together: the last batch is what Undo takes back."
        parts.add(gr.Number, "many-batch", label="Edits a batch", info=about, value=BATCH, precision=0)
        parts.add(gr.Button, "many-apply", "Apply", interactive=False)


def looked_over(file: EditFile, skip: bool, there: int = 0) -> str:
    """What can be made of a file, and why the rest cannot."""
    faults = _faults(file) if file.faults else ""
    return Markup("{}{}").format(sentence(file_words.looked_over(file, skip, there)), faults)


def so_far(done: FileProgress) -> str:
    """How far a file is."""
    return sentence(file_words.so_far(done))


def sentence(text: str, tone: str = "finding small") -> str:
    """A sentence about the file."""
    return Markup('<p class="{}">{}</p>').format(tone, text.replace(" %", "\N{NO-BREAK SPACE}%"))


def _faults(file: EditFile) -> str:
    """A row of the file each, with its place, its column and the reason."""
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr>').format(
            fault.place, fault.column or "", fault.reason
        )
        for fault in file.faults[:SHOWN_FAULTS]
    )
    more = len(file.faults) - SHOWN_FAULTS
    rest = Markup('<p class="hint">and {} more</p>').format(f"{more:,}") if more > 0 else ""
    return Markup(
        '<div class="faults" tabindex="0" role="region" aria-label="Rows that cannot be edited"><table><thead><tr>'
        '<th scope="col">Row</th><th scope="col">Column</th><th scope="col">Reason</th></tr></thead><tbody>{}</tbody>'
        "</table></div>{}"
    ).format(rows, rest)
