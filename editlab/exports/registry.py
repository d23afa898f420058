"""The formats of exports: a new one is its module and one row here."""

from __future__ import annotations

from editlab.errors import BadRequest
from editlab.exports import adapter, card, checkpoint, gguf, pdf, report, requests, script, tensors
from editlab.exports.format import Format
from editlab.wording import noop

FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        adapter.FORMAT,
        checkpoint.FORMAT,
        gguf.F16,
        gguf.Q8_0,
        gguf.LORA,
        requests.COUNTERFACT,
        requests.EASYEDIT,
        requests.CSV,
        script.SCRIPT,
        script.NOTEBOOK,
        tensors.FORMAT,
        Format("card", noop("a model card that lists the edits"), card.HOLDS, card=card.Card()),
        report.FORMAT,
        pdf.FORMAT,
    )
}
"""All formats by their names, in the order in which people are offered them."""


def format_named(name: str) -> Format:
    """Return the format of this name. Raises `BadRequest` with the names that exist."""
    if name not in FORMATS:
        raise BadRequest(f"There is no export {name!r:.80}. Choose one of: {', '.join(FORMATS)}.")
    return FORMATS[name]
