"""What an export leaves out or changes: the page, the terminal and the model card say it before it is made."""

from __future__ import annotations

from editlab.exports.entry import requests_of
from editlab.exports.format import Export, Note


def no_pathways(what: str) -> Note:
    """Return the note of a format that cannot hold pathways."""
    text = f"{what} cannot hold REP's pathways, so they are not in it. Export tensors for them."
    return lambda export: text if export.has_pathways else None


def no_mask(what: str) -> Note:
    """Return the note of a format that cannot hold a mask."""
    text = f"{what} is written without the reversal mask. Export tensors for it."
    return lambda export: text if export.masked else None


def rounded(export: Export) -> str | None:
    """Weights of few bits do not hold an edit exactly."""
    dtype = export.model.dtype
    if dtype.itemsize >= 4:
        return None
    name = str(dtype).removeprefix("torch.")
    return f"The weights are stored in {name}, which rounds the edits; the workspace keeps them exact."


def quantised(export: Export) -> str | None:
    """Edits belong to the model as it was held when they were made."""
    how = export.model.quantization
    return None if how == "none" else f"The edits were made over the model in {how}; over another one they act differently."


def requests_alone(export: Export) -> str | None:
    """Requests say nothing about how edits are applied."""
    if export.has_pathways or export.masked:
        return "These are the requests alone: neither REP nor a mask is in them."
    return None


def no_true_object(export: Export) -> str | None:
    """Some readers need the true object of every request."""
    requests = requests_of(export.entries)
    unknown = sum(request.target_true is None for request in requests)
    return f"{unknown:,} of {len(requests):,} requests have no true object, which some readers need." if unknown else None


def remade(export: Export) -> str:
    """A run applies its edits on top of one another, and on nothing else."""
    return (
        "An edit that was made on top of others that are off or removed now comes out differently when it is made again; "
        "the end of the run says so."
    )
