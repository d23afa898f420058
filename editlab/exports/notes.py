"""What an export leaves out or changes: the page, the terminal and the model card say it before it is made."""

from __future__ import annotations

from pathlib import Path

from editlab.exports.entry import base_of, requests_of
from editlab.exports.format import Export, Note
from editlab.wording import noop


def no_pathways(what: str) -> Note:
    """Return the note of a format that cannot hold pathways."""
    text = noop(f"{what} cannot hold REP's pathways, so they are not in it. Export tensors for them.")
    return lambda export: text if export.has_pathways else None


def no_mask(what: str) -> Note:
    """Return the note of a format that cannot hold a mask."""
    text = noop(f"{what} is written without the reversal mask. Export tensors for it.")
    return lambda export: text if export.masked else None


def rounded(export: Export) -> str | None:
    """Return the note of a format whose weights have too few bits to hold an edit exactly."""
    dtype = export.model.dtype
    if dtype.itemsize >= 4:
        return None
    name = str(dtype).removeprefix("torch.")
    return noop(f"The weights are stored in {name}, which rounds the edits; the workspace keeps them exact.")


def quantised(export: Export) -> str | None:
    """Return the note for edits that were made over a quantised model."""
    how = export.model.quantization
    return (
        None
        if how == "none"
        else noop(f"The edits were made over the model in {how}; over another one they act differently.")
    )


def started(export: Export) -> str | None:
    """Return the note for edits that were made behind a document's start, which transformers alone does not send."""
    start = export.model.start
    if not start:
        return None
    before = noop(f"{start.text!r} and a space") if start.space else repr(start.text)
    return noop(
        f"The edits were made with {before} before every text. Send the same wherever you use them: "
        "without it, an edit is hardly heard where its subject is the first word."
    )


def named_here(export: Export) -> str | None:
    """Return the note for edits of a model that only EditLab finds by its name: the bundled one, or that of a package."""
    base = base_of(export.model)
    if "/" in base or export.model.folder is None or Path(base).exists():
        return None
    return noop(f"Only EditLab knows the base as {base}; other programs load it from the folder that editlab info names.")


def requests_alone(export: Export) -> str | None:
    """Return the note for requests whose edits have pathways or a mask."""
    if export.has_pathways or export.masked:
        return noop("These are the requests alone: neither REP nor a mask is in them.")
    return None


def no_true_object(export: Export) -> str | None:
    """Return the note for requests without a true object, which some readers need."""
    requests = requests_of(export.entries)
    unknown = sum(request.target_true is None for request in requests)
    return (
        noop(f"{unknown:,} of {len(requests):,} requests have no true object, which some readers need.") if unknown else None
    )


def remade(export: Export) -> str:
    """Return the note of a run that makes the edits again, on top of one another and of nothing else."""
    return noop(
        "An edit that was made on top of others that are off or removed now comes out differently when it is made again; "
        "the end of the run says so."
    )
