"""What an export leaves out or changes, said before it is made: at the button, in the terminal's answer, on the card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from editlab.exports.entry import Entry, requests_of
from editlab.model import LanguageModel

WEIGHTS = ("peft", "checkpoint")
REQUESTS = ("counterfact", "easyedit", "csv")


def notes(format: str, model: LanguageModel, entries: Sequence[Entry], masked: bool) -> tuple[str, ...]:
    """A sentence for each thing that somebody who takes this export should know. `masked`: a mask is looked through."""
    return tuple(_notes(format, model, entries, masked))


def _notes(format: str, model: LanguageModel, entries: Sequence[Entry], masked: bool) -> Iterator[str]:
    pathways, what = any(entry.pathways for entry in entries), "An adapter" if format == "peft" else "A checkpoint"
    if format in WEIGHTS and pathways:
        yield f"{what} cannot hold REP's pathways, so they are not in it. Export tensors for them."
    if format in WEIGHTS and masked:
        yield f"{what} is written without the reversal mask. Export tensors for it."
    if format == "checkpoint" and model.dtype.itemsize < 4:
        yield f"The weights are stored in {_named(model.dtype)}, which rounds the edits; the workspace keeps them exact."
    if format in ("peft", "tensors") and model.quantization != "none":
        yield f"The edits were made over the model in {model.quantization}; over another one they act a little otherwise."
    if format in REQUESTS and (pathways or masked):
        yield "These are the requests alone: neither REP nor a mask is in them."
    unknown = sum(request.target_true is None for request in requests_of(entries))
    if format in ("counterfact", "easyedit") and unknown:
        yield f"{unknown:,} of {len(requests_of(entries)):,} requests have no true object, which some readers ask for."
    if format in ("script", "notebook"):
        yield (
            "An edit that was made on top of others that are switched off or removed now comes out otherwise when it is "
            "made again; the end of the run says so."
        )


def _named(dtype: object) -> str:
    return str(dtype).removeprefix("torch.")
