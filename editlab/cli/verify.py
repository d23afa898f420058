"""`verify` and `sign`: was a model edited, and is it what somebody signed?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from editlab.cli.model import read_text
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadRequest
from editlab.forensics.difference import Change, Difference
from editlab.forensics.verdict import Verdict, ranked
from editlab.lab.ledger.ledger import Ledger
from editlab.lab.model import integrity
from editlab.lab.model.integrity import Evidence

app = typer.Typer()

SHOWN = 50
MOST_NAMES = 20_000
"""Every name is asked at every layer, and what they write is held: 20,000 names of SmolLM2 take 1.4 GB."""


@command(app, "verify")
def verify(
    session: Session,
    path: Annotated[Path, typer.Argument(help="The folder of a model or a LoRA, or a signed file.")],
    base: Annotated[str | None, typer.Option(help="The model that it was made from: a name or folder, as --model.")] = None,
    edits: Annotated[
        list[Path] | None,
        typer.Option(
            help="Edits that may explain a difference: an export as peft, tensors or script, a bundle, a data folder."
        ),
    ] = None,
    ledger: Annotated[
        bool, typer.Option("--ledger/--no-ledger", help="Also look among the edits of this data folder's ledger.")
    ] = True,
    workspace: Annotated[str | None, typer.Option(help="Only at this workspace's edits.")] = None,
    key: Annotated[Path | None, typer.Option(help="The public key (PEM) that the signature has to fit.")] = None,
    blind: Annotated[bool, typer.Option("--blind", help="Without a base: load the model and look for edits in it.")] = False,
    names: Annotated[
        Path | None, typer.Option(help="A text file of subjects to try with --blind beside the bundled ones, one a line.")
    ] = None,
) -> Answer:
    """Check a model: signature, manifest, ledger, and every weight against its base. Nothing is changed.

    Exit status 0: nothing differs, or known edits explain all of it; 1: a difference that no known edit explains, or a
    signature, manifest or ledger that does not hold; 2: it could not be checked.
    """
    if names is not None and not blind:
        raise BadRequest("Names are tried where there is no base. Add --blind, or leave out --names.")
    if workspace is not None and blind:
        raise BadRequest("With --blind, no known edit is looked at. Name the base (--base), or leave out --workspace.")
    data = session.settings.data if ledger else None
    if workspace is not None and not any(Ledger.exists(place) for place in (*(edits or ()), data) if place is not None):
        raise BadRequest(
            "A workspace's edits are in a ledger, and none is read. Name its data folder (EDITLAB_DATA or --edits), or "
            "leave out --workspace."
        )
    evidence = Evidence(
        base=base,
        edits=tuple(edits or ()),
        ledger=data,
        workspace=workspace,
        key=key,
        names=() if names is None else _names(names),
    )
    with session.progress() as progress:
        found = integrity.check(path, evidence, session.settings, progress, blind=blind)
    return Answer(found.as_json(), Group(*_told(found)), found.code)


@command(app, "sign")
def sign(
    session: Session,
    path: Annotated[Path, typer.Argument(help="The folder of a model, of a LoRA or of an export; or one file.")],
    key: Annotated[Path, typer.Option(help="The private key (PEM, an elliptic curve, without a password).")],
) -> Answer:
    """Sign all files of a folder, or one file, as OpenSSF Model Signing does: offline, with a key of your own.

    A key: openssl ecparam -name prime256v1 -genkey -noout -out KEY.pem, and for those who check: openssl ec -in KEY.pem
    -pubout -out PUBLIC.pem. A model's folder also gets a manifest with its fingerprint. Any later change of a file shows.
    """
    with session.errors.status(Text(f"Signing {path}")):
        signature = integrity.sign(path, key)
    table = Table(show_header=False)
    table.add_row("signature", str(signature))
    return Answer({"path": str(path), "signature": str(signature)}, table)


def _names(path: Path) -> tuple[str, ...]:
    """Read the names to try, one a line. Raises `BadFile`, or `BadRequest` for too many."""
    found = tuple(dict.fromkeys(filter(None, map(str.strip, read_text(path).splitlines()))))
    if len(found) > MOST_NAMES:
        raise BadRequest(f"{path} holds {len(found):,} names; at most {MOST_NAMES:,} are tried at once. Divide the file.")
    return found


def _told(found: Verdict) -> Iterator[RenderableType]:
    yield Text.assemble((found.word, "bold"), f": {found.sentence}")
    table = Table(show_header=False)
    if found.fingerprint:
        table.add_row("fingerprint", found.fingerprint)
    if found.signature is not None:
        table.add_row("signature", found.signature.sentence)
    if found.manifest is not None:
        table.add_row("manifest", f"{found.manifest.name}, {found.manifest.fingerprint or 'without a fingerprint'}")
    if found.ledger is not None:
        table.add_row("ledger", found.ledger[0] if found.ledger else "as it was written")
    for note in found.notes:
        table.add_row("note", note)
    if table.row_count:
        yield table
    if found.difference is not None and found.difference.changes:
        yield _changes(found.difference)
    if found.difference is not None and found.difference.edits:
        yield _edits(found.difference)


def _changes(found: Difference) -> Table:
    table = Table("weight", "|dW| / |W|", "rounding", "rank", "effective", "explained", "left", title="Weights that differ")
    for change in found.changes[:SHOWN]:
        table.add_row(change.name, *_figures(change))
    if len(found.changes) > SHOWN:
        table.caption = f"and {len(found.changes) - SHOWN:,} more; --json has them all"
    return table


def _figures(change: Change) -> tuple[str, ...]:
    relative = "-" if change.relative is None else f"{change.relative:.4%}"
    noise = "-" if not change.base_norm else f"{change.noise / change.base_norm:.4%}"
    rank = ranked(change.spectrum).removeprefix("rank ")
    left = {"exact": "nothing", "rounding": "rounding"}.get(change.fit) or ranked(change.left)
    return relative, noise, rank, f"{change.spectrum.effective:.1f}", f"{change.explained:.2%}", left


def _edits(found: Difference) -> Table:
    table = Table("edit", "from", "in weights", "coefficients", title="Known edits that are in it")
    for own in found.edits[:SHOWN]:
        values = sorted(own.coefficients.values())
        told = f"{values[0]:.3f}" if values[0] == values[-1] else f"{values[0]:.3f} to {values[-1]:.3f}"
        table.add_row(own.name, own.source, f"{len(own.coefficients)} of {own.of}", told)
    if len(found.edits) > SHOWN:
        table.caption = f"and {len(found.edits) - SHOWN:,} more; --json has them all"
    return table
