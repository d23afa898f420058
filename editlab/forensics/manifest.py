"""Manifests: what a folder or file is said to be, and a signature over all its files.

The signature is OpenSSF Model Signing's: an in-toto statement with the SHA-256 of every file, in a Sigstore bundle, signed
with an elliptic-curve key and no network (`model_signing verify key` reads it). In a folder it is `model.sig`; a file has it
beside it, as FILE.sig. Among the signed files of a model is `editlab-manifest.json`, which says what EditLab knows of it:
fingerprint, base, edits, and the hash of the ledger's last event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from editlab import storage
from editlab.errors import BadFile, BadRequest
from editlab.wording import noop

MANIFEST, SIGNATURE, SUFFIX = "editlab-manifest.json", "model.sig", ".sig"
WEIGHTS = ".safetensors"
State = Literal["valid", "unsigned", "unchecked", "forged", "foreign", "changed"]
"""Signed by the key and unchanged; without a signature; signed, but no key was given; not signed by the key; signed for
another model; signed, but changed since."""
MISMATCH, MISSING, EXTRA = (
    re.compile(r"Hash mismatch for '([^']*)'"),
    re.compile(r"Missing files in model '[^']*': ([^\"\]]*)"),
    re.compile(r"Extra files found in model '[^']*': ([^\"\]]*)"),
)
"""How model-signing says which files differ."""
SHOWN = 3


class Manifest(BaseModel):
    """What EditLab says of a model that it wrote or signed. `edits`: a few words each; `ledger`: the last event's hash."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    editlab: str = Field(max_length=100)
    name: str = Field(max_length=1000)
    fingerprint: str = Field("", pattern=r"^([0-9a-f]{16})?$")
    base: str = Field("", max_length=1000)
    base_fingerprint: str = Field("", max_length=100)
    edits: tuple[str, ...] = ()
    workspace: str = Field("", max_length=1000)
    ledger: str = Field("", max_length=64)


@dataclass(frozen=True)
class Signature:
    """What became of a signature's check. `sentence`: the same in words; `files`: those that differ from what was signed."""

    state: State
    sentence: str
    files: tuple[str, ...] = ()

    @property
    def is_bad(self) -> bool:
        """Whether there is a signature that does not hold."""
        return self.state in ("forged", "foreign", "changed")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a manifest into a folder. Raises `OSError`."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest in a folder, None where there is none. Raises `BadFile` for one that is damaged."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BadFile(f"{path} is no manifest of EditLab's. Delete it, or have it signed anew: editlab sign") from error


def signature_of(path: Path) -> Path:
    """Return where the signature of a folder or file lies."""
    return path / SIGNATURE if path.is_dir() else path.with_name(f"{path.name}{SUFFIX}")


def signer(key: Path) -> Any:
    """Return what signs with a private key. Raises `BadFile` for an unusable one, `BadRequest` without the package."""
    library = _library()
    try:
        return library.signing.Config().use_elliptic_key_signer(private_key=_key(key, "private"))
    except (ValueError, TypeError) as error:
        raise BadFile(
            f"{key} is no private key of an elliptic curve without a password. Make one: openssl ecparam -name prime256v1 "
            "-genkey -noout -out KEY.pem"
        ) from error


def sign(path: Path, key: Path) -> Path:
    """Sign a folder's files, or one file, with a private key, and return the signature's path. Raises as `signer`.

    Raises `BadFile` where the signature cannot be written as well.
    """
    signs, signature = signer(key), signature_of(path)
    if not path.exists():
        raise BadFile(f"{path} is not there. Give a folder or a file to sign.")
    hashing = _library().hashing.Config().set_allow_symlinks(True)
    hashing.set_ignored_paths(paths=[signature.name] if path.is_dir() else [])
    try:
        with storage.new_file(signature) as part:
            signs.set_hashing_config(hashing).sign(path, part)
    except OSError as error:
        raise BadFile(f"{signature} cannot be written: {error.strerror}. Sign in a folder that you may write in.") from error
    return signature


def check(path: Path, key: Path | None) -> Signature:
    """Check the signature of a folder or file by a public key. Raises `BadFile` for an unusable key, `BadRequest`."""
    signature = signature_of(path)
    if not signature.is_file():
        return Signature("unsigned", noop(f"There is no signature ({signature.name})."))
    if key is None:
        return Signature(
            "unchecked", noop(f"There is a signature ({signature.name}); editlab verify --key PUBLIC.pem checks it.")
        )
    library = _library()
    try:
        verifier = library.verifying.Config().use_elliptic_key_verifier(public_key=_key(key, "public"))
    except (ValueError, TypeError) as error:
        raise BadFile(
            f"{key} is no public key of an elliptic curve. Take it from the private one: openssl ec -in KEY.pem -pubout "
            "-out PUBLIC.pem"
        ) from error
    try:
        verifier.verify(path, signature)
    except Exception as error:  # whatever a forged bundle makes the libraries raise
        return _refused(signature, path, str(error) or type(error).__name__)
    return Signature("valid", noop(f"The signature holds: all files are as the owner of {key.name} signed them."))


def _refused(signature: Path, path: Path, why: str) -> Signature:
    """Return what a failed check means."""
    if not why.startswith("Signature mismatch"):
        reason = noop("another key signed it" if why.startswith("Key mismatch") else "it is forged or damaged")
        return Signature("forged", noop(f"{signature.name} is not a signature of this key's owner: {reason}."))
    lost = [name for found in MISSING.findall(why) for name in found.split(", ")]
    more = [name for found in EXTRA.findall(why) for name in found.split(", ")]
    changed = [path.name if name == "." else name for name in MISMATCH.findall(why)]
    files = tuple(sorted((*changed, *lost, *more)))
    if _is_foreign(path, changed):
        return Signature(
            "foreign", noop("The signature is of another model: none of these weights is what was signed."), files
        )
    named = ", ".join(files[:SHOWN])
    named = noop(f"{named} and {len(files) - SHOWN:,} more") if len(files) > SHOWN else named
    return Signature("changed", noop(f"Files are not as they were signed: {named}."), files)


def _is_foreign(path: Path, changed: Sequence[str]) -> bool:
    """Return whether a signature belongs to another model: no file of weights fits it, nor what says which model it is."""
    if not path.is_dir():
        return False
    weights = {own.name for own in path.glob(f"*{WEIGHTS}")}
    said = {MANIFEST, "config.json", "adapter_config.json"} & {*changed}
    return bool(weights) and bool(said) and not weights - {*changed}


def _key(path: Path, kind: str) -> Path:
    if not path.is_file():
        raise BadFile(f"The {kind} key {path} is not there. Give the path of a PEM file.")
    return path


def _library() -> ModuleType:
    """Import model-signing, which takes a second. Raises `BadRequest` where it is not installed."""
    try:
        import model_signing
    except ImportError as error:
        raise BadRequest("Signatures need the package model-signing: pip install 'editlab[sign]'") from error
    return model_signing
