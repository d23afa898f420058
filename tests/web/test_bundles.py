"""A workspace that travels as one file answers the same elsewhere; one that was touched on its way is not let in."""

import copy
import json
import shutil
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from instant import Instant
from safetensors.torch import load as tensors_of
from safetensors.torch import save
from typer.testing import CliRunner
from visitors import CAPITAL, CONTINENT, TIMEOUT

from editlab import methods
from editlab.cli import app
from editlab.errors import BadFile, BadRequest
from editlab.lab import Lab
from editlab.lab.ledger import archive, audit
from editlab.lab.ledger.files import HEADER, address_of
from editlab.lab.ledger.ledger import Ledger, canonical
from editlab.lab.workspaces import bundles, edits, history
from editlab.probes import Passages

WORDS = "Slovenia belongs to the continent of"


@dataclass
class Place:
    """An EditLab of its own."""

    lab: Lab

    def workspace(self, info):
        return self.lab.workspace(info.id)

    def events(self):
        return audit.verify(self.lab.ledger).events

    def names(self, visitor="tom"):
        return [info.name for info in self.lab.directory.workspaces(visitor)]


@pytest.fixture
def places(tiny_llama, facts, tmp_path, monkeypatch):
    """Two of them, with the same model."""
    monkeypatch.setattr(methods, "get", lambda name: Instant())
    found = [Place(Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=tmp_path / name)) for name in ("a", "b")]
    yield found
    for place in found:
        place.lab.close()


@pytest.fixture
def packed(places, tmp_path):
    """A workspace of some events, and its bundle."""
    here, _ = places
    info = here.lab.directory.current("ana")
    workspace = here.lab.workspace(info.id, "ana")
    first = edits.apply(workspace, CONTINENT, reason="for Friday").result(TIMEOUT)
    edits.apply(workspace, CAPITAL).result(TIMEOUT)
    workspace.switch(first.id, False)
    path = tmp_path / "bundle.zip"
    bundles.pack(here.lab.context, info, path)
    return info, path


@pytest.fixture(scope="module")
def empty(tiny_llama, facts, tmp_path_factory):
    """An EditLab into which nothing gets."""
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=tmp_path_factory.mktemp("empty"))
    yield Place(lab)
    lab.close()


@pytest.fixture(scope="module")
def packed_once(tiny_llama, facts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=folder / "data")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(methods, "get", lambda name: Instant())
        for request in (CONTINENT, CAPITAL):
            edits.apply(lab.workspace(lab.directory.current("ana").id, "ana"), request).result(TIMEOUT)
        bundles.pack(lab.context, lab.directory.current("ana"), folder / "bundle.zip")
    lab.close()
    return folder / "bundle.zip"


@pytest.fixture
def bundle(packed_once, tmp_path):
    """A bundle that may be harmed."""
    return shutil.copy(packed_once, tmp_path / "bundle.zip")


def rewritten(path: Path, change) -> Path:
    """The same bundle, where `change` was at its members: {name: content}."""
    with zipfile.ZipFile(path) as archive_:
        members = {name: archive_.read(name) for name in archive_.namelist()}
    change(members)
    other = path.with_name("changed.zip")
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as archive_:
        for name, content in members.items():
            archive_.writestr(name, content)
    return other


def forged(path: Path, change) -> Path:
    """The same bundle with rows that were changed by somebody who knows how to hash them."""

    def forge(members):
        rows = [json.loads(line) for line in members[archive.EVENTS].decode().splitlines()]
        bodies = [json.loads(row["body"]) for row in rows]
        change(bodies, members)
        rows = [{**row, "body": canonical(body)} for row, body in zip(rows, bodies, strict=True)]
        rows = archive.rechain(rows, rows[0]["workspace"])
        members[archive.EVENTS] = "".join(f"{json.dumps(row)}\n" for row in rows).encode()

    return rewritten(path, forge)


def logits(place, workspace):
    return place.lab.model.logits([WORDS, CAPITAL.text], workspace.view)


def told(workspace):
    return [(moment.text, moment.at, moment.author, moment.edits) for moment in history.timeline(workspace)]


def test_elsewhere_it_answers_the_same_and_has_its_whole_past(places, packed):
    (here, there), (info, path) = places, packed
    made = bundles.unpack(there.lab.workspaces, "tom", path)
    old, new = here.workspace(info), there.workspace(made)
    assert torch.equal(logits(here, old), logits(there, new))
    assert [(r.request, r.on, r.reason, r.author, r.at) for r in new.records] == [
        (r.request, r.on, r.reason, r.author, r.at) for r in old.records
    ]
    assert told(new)[: len(told(old))] == told(old)
    assert told(new)[-1][0] == "imported it from a bundle of 'My edits', with 2 edits"
    assert new.undo() == old.undo() and torch.equal(logits(here, old), logits(there, new))
    assert (made.shared, made.mine, made.name) == (False, True, "My edits")
    assert audit.verify(there.lab.ledger).ok


def test_it_comes_in_beside_what_is_there_as_often_as_one_likes(places, packed):
    here, _ = places
    _, path = packed
    before = told(here.workspace(packed[0]))
    names = [bundles.unpack(here.lab.workspaces, "ana", path).name for _ in range(2)]
    assert names == ["My edits 2", "My edits 3"] and told(here.workspace(packed[0])) == before
    assert audit.verify(here.lab.ledger).ok


def test_a_bundle_does_not_say_by_what_its_owner_is_known(packed):
    info, path = packed
    with zipfile.ZipFile(path) as archive_:
        rows = [json.loads(line) for line in archive_.read(archive.EVENTS).splitlines()]
    assert info.id == "ana" and {row["workspace"] for row in rows} == {info.handle}


def test_another_models_is_refused_by_name_and_nothing_changes(empty, bundle, tiny_llama, monkeypatch):
    there, path = empty, bundle
    own = tiny_llama.fingerprint
    monkeypatch.setattr(tiny_llama, "fingerprint", "f" * 64)
    with pytest.raises(BadFile) as refused:
        bundles.unpack(there.lab.workspaces, "tom", path)
    for word in (f"belong to {there.lab.about()['model']}", own[:12], "f" * 12, "load that model"):
        assert word in str(refused.value)
    assert there.events() == 0 and there.names() == []


def flipped(content: bytes) -> bytes:
    return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


def at_event(harm):
    return lambda members: members.update({archive.EVENTS: harm(members[archive.EVENTS])})


def first_file(members):
    return next(name for name in members if name.endswith(archive.SUFFIX))


TOUCHED = {
    "an event": at_event(lambda text: text.replace(b"Slovenia", b"Slovakia", 1)),
    "an author": at_event(
        lambda text: text.replace(b'\\"by\\": \\"ana\\"', b'\\"by\\": \\"tom\\"', 1).replace(b"ana", b"eve", 1)
    ),
    "an event missing": at_event(lambda text: b"".join(text.splitlines(True)[:2] + text.splitlines(True)[3:])),
    "events reordered": at_event(lambda text: b"".join([*text.splitlines(True)[:2], *text.splitlines(True)[:1:-1]])),
    "a file": lambda members: members.update({first_file(members): flipped(members[first_file(members)])}),
    "a file missing": lambda members: members.pop(first_file(members)),
    "a path": lambda members: members.update({"../../evil.safetensors": b"x"}),
    "an absolute path": lambda members: members.update({"/etc/passwd": b"x"}),
    "another file": lambda members: members.update({"run.py": b"print()"}),
    "no events": lambda members: members.pop(archive.EVENTS),
    "empty": at_event(lambda text: b""),
    "no text": at_event(lambda text: b"\xff\xfe" + text),
    "nested": at_event(lambda text: b"[" * 100_000),
    "a broken character": at_event(lambda text: text.replace(b"Slovenia", b"\\\\ud800", 1)),
    "about a list": lambda members: members.update({archive.ABOUT: b"[1]"}),
}


@pytest.mark.parametrize("harm", TOUCHED.values(), ids=TOUCHED)
def test_one_that_was_touched_is_refused_and_nothing_changes(empty, bundle, harm):
    there, path = empty, bundle
    with pytest.raises(BadFile, match=r"changed.zip|bundle"):
        bundles.unpack(there.lab.workspaces, "tom", rewritten(path, harm))
    assert there.events() == 0 and there.names() == [] and not list(there.lab.ledger.tensors.folder.glob("*"))


def other_tensors(change):
    """Replace the first file by one that is named rightly and whose event names it."""

    def harm(bodies, members):
        old = first_file(members)
        with_header = members.pop(old)
        header = json.loads(with_header[8 : 8 + int.from_bytes(with_header[:8], "little")])["__metadata__"]
        new = save(change(tensors_of(with_header)), {HEADER: header[HEADER]})
        address = address_of(new)
        members[f"{address}{archive.SUFFIX}"] = new
        text = canonical(bodies).replace(old.removesuffix(archive.SUFFIX), address)
        bodies[:] = json.loads(text)

    return harm


def in_edit(**changes):
    def harm(bodies, members):
        next(body["edit"] for body in bodies if "edit" in body).update(copy.deepcopy(changes))

    return harm


FORGED = {
    "another shape": other_tensors(lambda own: {name: value[..., :-1].contiguous() for name, value in own.items()}),
    "no number": other_tensors(lambda own: {name: value * torch.nan for name, value in own.items()}),
    "integers": other_tensors(lambda own: {name: value.int() for name, value in own.items()}),
    "an address that is none": in_edit(solves=["../../../etc/passwd"]),
    "health that is a list": in_edit(health=[1]),
    "an unknown field": in_edit(nonsense=1),
    "a prompt without its place": in_edit(request={"prompt": "x", "subject": "y", "target_new": "z"}),
    "a body that is a list": lambda bodies, members: bodies.__setitem__(0, [1]),
}


@pytest.mark.parametrize("harm", FORGED.values(), ids=FORGED)
def test_one_that_was_forged_with_its_hashes_does_not_get_in(empty, bundle, harm):
    there, path = empty, bundle
    with pytest.raises(BadFile):
        bundles.unpack(there.lab.workspaces, "tom", forged(path, harm))
    assert there.events() == 0 and there.names() == []


def test_the_forger_of_these_tests_gets_in_where_he_changes_nothing(places, packed):
    (_, there), (_, path) = places, packed
    assert bundles.unpack(there.lab.workspaces, "tom", forged(path, lambda bodies, members: None)).name == "My edits"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_half_a_bundle_is_refused(empty, bundle, share):
    there, path = empty, bundle
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(BadFile, match="not an archive"):
        bundles.unpack(there.lab.workspaces, "tom", path)
    assert there.events() == 0 and there.names() == []


def test_one_that_would_unpack_to_more_than_is_taken_is_refused_before_it_is_unpacked(empty, bundle, monkeypatch):
    there, path = empty, bundle
    bomb = rewritten(path, lambda members: members.update({f"{'0' * 64}{archive.SUFFIX}": bytes(40 * 2**20)}))
    assert bomb.stat().st_size < 200_000
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(BadFile, match=r"would unpack to 41\.9 MB; at most 33\.6 MB are accepted here"):
        bundles.unpack(there.lab.workspaces, "tom", bomb, limits=replace(bundles.LIMITS, bytes=32 * 2**20))


def test_two_members_of_one_name_are_refused(empty, bundle):
    there, path = empty, bundle
    with zipfile.ZipFile(path, "a") as archive_, pytest.warns(UserWarning, match="Duplicate"):
        archive_.writestr(archive.EVENTS, b"")
    with pytest.raises(BadFile, match=r"events\.jsonl"):
        bundles.unpack(there.lab.workspaces, "tom", path)


def test_a_bundle_of_several_goes_by_the_terminal(places, packed, tmp_path):
    here, there = places
    edits.apply(here.lab.workspace("tom"), CAPITAL).result(TIMEOUT)
    archive.export(here.lab.ledger, tmp_path / "all.zip")
    with pytest.raises(BadFile, match="editlab ledger import"):
        bundles.unpack(there.lab.workspaces, "tom", tmp_path / "all.zip")
    assert archive.import_archive(there.lab.ledger, tmp_path / "all.zip").ok


def test_where_nothing_happened_there_is_nothing_to_pack(places, tmp_path):
    here, _ = places
    with pytest.raises(BadFile, match="Apply an edit first"):
        bundles.pack(here.lab.context, here.lab.directory.current("eve"), tmp_path / "none.zip")


def test_whoever_has_too_many_workspaces_gets_no_half_of_one(empty, bundle, monkeypatch):
    there, path = empty, bundle
    monkeypatch.setattr("editlab.lab.ledger.directory.MOST_OWN", 0)
    with pytest.raises(BadRequest, match="Delete one first"):
        bundles.unpack(there.lab.workspaces, "tom", path)
    assert there.events() == 0


# Verify


def change(place, statement, *values):
    with place.lab.ledger.transaction() as connection:
        connection.exec_driver_sql(statement, values)


def test_events_that_were_reordered_are_named(places, packed):
    here, _ = places
    change(here, "UPDATE events SET number = -1 WHERE number = 2")
    change(here, "UPDATE events SET number = 2 WHERE number = 3")
    change(here, "UPDATE events SET number = 3 WHERE number = -1")
    faults = audit.verify(here.lab.ledger).faults
    for real, place in ((3, 2), (2, 3)):
        assert f"Workspace 'ana': event {real} is at place {place}: they were reordered." in faults


def test_events_that_were_written_again_in_another_order_are_named(places, packed):
    here, _ = places
    last = here.lab.ledger.event_count
    change(here, "UPDATE events SET id = -1 WHERE id = 2")
    change(here, "UPDATE events SET id = 2 WHERE id = 3")
    change(here, "UPDATE events SET id = 3 WHERE id = -1")
    (fault,) = audit.verify(here.lab.ledger).faults
    assert fault == "Workspace 'ana': event 2 comes after event 3: they were reordered." and last >= 3


def test_one_workspace_is_checked_by_itself(places, packed):
    here, _ = places
    edits.apply(here.lab.workspace("tom"), CAPITAL).result(TIMEOUT)
    change(here, "UPDATE events SET at = 'then' WHERE workspace = 'tom' AND number = 1")
    assert audit.verify(here.lab.ledger, "ana").ok and not audit.verify(here.lab.ledger, "tom").ok
    change(here, "DELETE FROM events WHERE workspace = 'ana' AND number = 2")
    told = audit.verify(here.lab.ledger, "ana").faults
    assert told[0] == "1 event is missing in the ledger." and "event 2 is missing" in told[1]


# By the terminal


def test_the_terminal_refuses_another_models_bundle_when_it_is_asked(packed, tmp_path, monkeypatch, folder_of_model):
    _, path = packed
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "data"))

    def bring_in(*options: str) -> tuple[int, dict]:
        result = CliRunner().invoke(app, ["ledger", "import", "--from", str(path), "--json", *options])
        return result.exit_code, json.loads(result.stdout)

    code, found = bring_in("--model", str(folder_of_model))
    assert (code, found["error"]) == (2, "BadFile") and "belong to" in found["message"] and "fingerprint" in found["message"]
    assert archive_events(tmp_path / "data") == 0
    assert bring_in()[0] == 0 and archive_events(tmp_path / "data") == 7


def archive_events(folder: Path) -> int:
    with Ledger(folder) as ledger:
        return audit.verify(ledger).events


@pytest.fixture
def folder_of_model(tiny_llama, tmp_path):
    """A folder with another model."""
    folder = tmp_path / "another"
    other = copy.deepcopy(tiny_llama.hf)
    with torch.no_grad():
        next(other.parameters()).mul_(2)
    other.save_pretrained(folder)
    tiny_llama.tokenizer.save_pretrained(folder)
    return folder
