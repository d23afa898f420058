"""Manifests and signatures: whole, changed, forged, of another model, or absent; a sentence for each."""

import base64
import json
import sys

import pytest
from signing_keys import make_keys

from editlab.errors import BadFile, BadRequest
from editlab.forensics import manifest
from editlab.forensics.manifest import Manifest, check, read_manifest, sign, write_manifest
from editlab.forensics.verdict import Verdict

TOLD = Manifest(editlab="0.8.0", name="ours", fingerprint="0" * 16, edits=("Slovenia → Asia",), ledger="f" * 64)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A folder with two pairs of keys, `a` and `b`: a.pem and a.pub."""
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def signed(tmp_path, keys):
    """A model's folder that the owner of `a` has signed."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    write_manifest(folder, TOLD)
    sign(folder, keys / "a.pem")
    return folder


def test_what_was_signed_and_not_changed_holds(signed, keys):
    assert check(signed, keys / "a.pub").state == "valid"
    assert check(signed, None).state == "unchecked"
    assert {path.name for path in signed.iterdir()} == {
        "config.json",
        "model.safetensors",
        "editlab-manifest.json",
        "model.sig",
    }
    assert read_manifest(signed) == TOLD


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "config.json").write_text("{ }"), "not as they were signed: config.json."),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"others"), "as they were signed: model.safetensors."),
        (lambda folder: (folder / "extra.py").write_text(""), "not as they were signed: extra.py."),
        (lambda folder: (folder / "editlab-manifest.json").unlink(), "as they were signed: editlab-manifest.json."),
    ],
)
def test_every_later_change_of_a_file_shows(signed, keys, change, said):
    change(signed)
    found = check(signed, keys / "a.pub")
    assert found.state == "changed" and said in found.sentence and found.is_bad


def test_a_signature_of_another_model_says_so(signed, keys):
    (signed / "model.safetensors").write_bytes(b"others")
    write_manifest(signed, TOLD.model_copy(update={"name": "another"}))
    found = check(signed, keys / "a.pub")
    assert (found.state, found.is_bad) == ("foreign", True) and "is of another model" in found.sentence


def _of_another_statement(bundle):
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    payload["predicate"]["resources"][0]["digest"] = "0" * 64
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    return json.dumps(bundle)


@pytest.mark.parametrize("forge", [_of_another_statement, lambda _: "{}", lambda _: "[[", lambda _: "\0"])
def test_a_forged_signature_is_no_signature(signed, keys, forge):
    path = signed / "model.sig"
    path.write_text(forge(json.loads(path.read_bytes())))
    found = check(signed, keys / "a.pub")
    assert found.state == "forged" and "it is forged or damaged" in found.sentence


def test_a_signature_by_another_key_is_not_of_this_one(signed, keys):
    assert "another key signed it" in check(signed, keys / "b.pub").sentence


def test_a_file_has_its_signature_beside_it(tmp_path, keys):
    file = tmp_path / "ledger.zip"
    file.write_bytes(b"events")
    assert sign(file, keys / "a.pem") == tmp_path / "ledger.zip.sig"
    assert check(file, keys / "a.pub").state == "valid"
    file.write_bytes(b"others")
    assert check(file, keys / "a.pub").files == ("ledger.zip",)


def test_keys_that_cannot_be_used_say_how_to_make_one(signed, keys, tmp_path):
    for name, said in (("a.pub", "is no private key of an elliptic curve"), ("none", "The private key .* is not there")):
        with pytest.raises(BadFile, match=said):
            sign(signed, keys / name)
    with pytest.raises(BadFile, match="is no public key of an elliptic curve"):
        check(signed, keys / "a.pem")
    with pytest.raises(BadFile, match="is not there"):
        sign(tmp_path / "nowhere", keys / "a.pem")


def test_without_the_package_a_sentence_says_what_to_install(signed, keys, monkeypatch):
    monkeypatch.setitem(sys.modules, "model_signing", None)
    for work in (lambda: sign(signed, keys / "a.pem"), lambda: check(signed, keys / "a.pub")):
        with pytest.raises(BadRequest, match=r"pip install 'editlab\[sign\]'"):
            work()
    assert check(signed, None).state == "unchecked"


def test_a_damaged_manifest_says_so(tmp_path):
    (tmp_path / manifest.MANIFEST).write_text('{"name": 3}')
    with pytest.raises(BadFile, match="is no manifest of EditLab's"):
        read_manifest(tmp_path)
    assert read_manifest(tmp_path / "nowhere") is None


def test_papers_that_do_not_hold_are_the_verdict(signed, keys):
    unsigned = check(signed.parent, keys / "a.pub")
    assert Verdict(name="x", signature=unsigned).code == 2
    assert Verdict(name="x", signature=unsigned, must_be_signed=True).code == 1
    assert Verdict(name="x", signature=check(signed, keys / "a.pub")).word == "clean"
    other = Verdict(name="x", manifest=TOLD, fingerprint="1" * 16)
    assert other.word == "untrusted" and "The manifest is of another model: it names ours" in other.sentence
    assert Verdict(name="x", ledger=("event 3 was changed.",)).sentence.endswith("as it was written: event 3 was changed.")
    json.dumps(other.as_json())
