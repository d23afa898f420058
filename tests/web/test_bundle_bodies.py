"""A bundle that somebody made by hand: whatever one of its fields holds, it is refused, or its workspace works."""

import copy
import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from instant import Instant
from safetensors.torch import load as tensors_of
from safetensors.torch import save
from test_bundles import rewritten
from typer.testing import CliRunner
from visitors import CAPITAL, CONTINENT, TIMEOUT

from editlab import methods
from editlab.cli import app
from editlab.errors import BadFile
from editlab.lab import Lab
from editlab.lab.ledger import archive
from editlab.lab.ledger.files import HEADER, address_of
from editlab.lab.ledger.ledger import Ledger
from editlab.lab.workspaces import bundles, edits, history
from editlab.lab.workspaces.alarms import limits_of
from editlab.lab.workspaces.edit_files import EditFile
from editlab.probes import Passages
from editlab.web.edit import edit_list
from editlab.web.workspace import table, words

VISITORS = count()
GONE, ADDED = object(), object()
"""A field is taken out, or another one put in."""
WRONG = (
    *(GONE, ADDED, None, True, False, 0, -1, 1, 3, 10**6, 2**70, 10**400, 0.5, -0.5, 1e308),
    *(
        float("nan"),
        float("inf"),
        "",
        "rome",
        "default",
        "on",
        "nan",
        "0",
        "x" * 20_000,
        "x" * 10_000_000,
        "\ud800",
        "a\x00b",
    ),
    *("../../etc/passwd", "{} is", "<b>", "2026-01-01T00:00:00.000+00:00", "2026-01-01", "0001-01-01T00:00:00+14:00"),
    *([], [0], [True], ["x"], [[]], [None], [0.5], [10**6], {}, {"x": 1}, {"x": "inf"}, {"x": None}, {"kl": -1}),
)


@dataclass(repr=False)
class Made:
    """A bundle of every kind of event, as rows with their bodies and files by name."""

    path: Path
    rows: list[dict]
    files: dict[str, bytes]

    @property
    def fields(self) -> list[tuple]:
        """Where each value of each body stands."""
        return [(number, *path) for number, row in enumerate(self.rows) for path in ((), *_paths(row["body"]))] + [
            (number, name) for number in range(len(self.rows)) for name in ("kind", "at")
        ]

    def written(self, change, folder: Path) -> Path:
        """The same with other rows, which follow each other rightly."""
        rows, files = copy.deepcopy(self.rows), dict(self.files)
        change(rows, files)
        rows = [{**row, "body": json.dumps(row["body"])} for row in rows]

        def put(members):
            members |= {f"{address_of(content)}{archive.SUFFIX}": content for content in files.values()}
            lines = (json.dumps(row) for row in archive.rechain(rows, "a bundle"))
            members[archive.EVENTS] = "".join(f"{line}\n" for line in lines).encode()

        return rewritten(self.path, put).replace(folder / "changed.zip")


def _paths(value) -> list[tuple]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, own in items for path in ((key,), *((key, *rest) for rest in _paths(own)))]


@pytest.fixture(scope="module")
def instant():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(methods, "get", lambda name: Instant())
        yield


@pytest.fixture(scope="module")
def made(tiny_llama, facts, instant, tmp_path_factory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=folder / "data")
    info = lab.directory.current("ana")
    first_ = lab.workspace(info.id, "ana")
    edits.apply(first_, CONTINENT, reason="for Friday").result(TIMEOUT)
    branched = history.branch(lab.workspaces, "ana", first_, info, "What if")
    work = lab.workspace(branched.id, "ana")
    robust = edits.apply(work, CAPITAL, recipe="default", names=("Nippon",)).result(TIMEOUT)
    edits.apply_many(work, EditFile.of([CONTINENT, CAPITAL], "two.csv"), "rome").result(TIMEOUT)
    work.switch(robust.id, False)
    work.switch_rep(robust.id, False)
    work.move(robust.id, 0)
    work.remove(robust.id)
    work.undo()
    work.undo()
    work.redo()
    work.set_threshold(0.4)
    work.set_limits({"kl": 0.25})
    work.note("renamed", name="Else")
    work.note("shared", on=True)
    work.return_to(1)
    work.clear()
    work.undo()
    work.chain.write(lambda state: ("started", {"edits": [edit.id for edit in state.chain], "session": "gone"}))
    work.chain.write(lambda state: ("failed", {"why": "Something."}))
    bundles.pack(lab.context, branched, folder / "bundle.zip")
    lab.close()
    found = archive.open_archive(folder / "bundle.zip")
    rows = [{**row, "body": json.loads(row["body"])} for row in found.rows]
    files = {f"{address}{archive.SUFFIX}": content for address, content in found.files.items()}
    return Made(folder / "bundle.zip", rows, files)


@pytest.fixture(scope="module")
def there(tiny_llama, facts, instant, tmp_path_factory):
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=tmp_path_factory.mktemp("there"))
    yield lab
    lab.close()


def change_of(where, value):
    """Put a value at a place, take what stands there out, or put something beside it."""

    def change(rows, files):
        number, *path = where
        holder, key = rows[number], "body"
        if path in (["kind"], ["at"]):
            key = path[0]
        else:
            for step in path:
                holder, key = holder[key], step
        if value is ADDED:
            holder = holder[key] if isinstance(holder[key], dict) else holder
            holder["nonsense" if isinstance(holder, dict) else slice(0, 0)] = [1]
        elif value is GONE:
            del holder[key]
            rows[number].setdefault("body", {})
            rows[number].setdefault("kind", "")
            rows[number].setdefault("at", "")
        else:
            holder[key] = value if path not in (["kind"], ["at"]) or isinstance(value, str) else str(value)

    return change


def works(lab, info) -> None:
    """Open a workspace, look at all that lies there and happened, ask the model, and take everything back."""
    lab.workspaces._open.clear()
    workspace = lab.workspace(info.id, "tom")
    limits_of(workspace.state.limits)
    assert all(words.moment(moment) for moment in history.timeline(workspace))
    while True:
        assert edit_list.edits(workspace.records) and edit_list.health((workspace.records or (None,))[-1])
        assert table.edits(workspace.records, {}) is not None
        for view in workspace.views.values():
            assert lab.model.logits([CONTINENT.text], view).isfinite().any()
        if not workspace.can_undo:
            return
        workspace.undo()


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_one_field_holds_it_is_refused_or_the_workspace_works(made, there, tmp_path, data):
    where = data.draw(st.sampled_from(made.fields))
    value = WRONG[data.draw(st.integers(0, len(WRONG) - 1))]
    refused_or_works(made, there, tmp_path, change_of(where, value))


def refused_or_works(made, there, folder, change) -> bool:
    """Whether a changed bundle got in; then its workspace works, else nothing has changed."""
    visitor, before = f"visitor {next(VISITORS)}", there.ledger.event_count
    try:
        path = made.written(change, folder)
    except UnicodeEncodeError:  # no file can hold that
        return False
    try:
        info = bundles.unpack(there.workspaces, visitor, path)
    except BadFile as error:
        assert there.ledger.event_count == before and there.directory.workspaces(visitor) == () and len(str(error)) < 2_000
        return False
    works(there, info)
    return True


def test_the_bundle_of_these_tests_holds_every_kind_of_event_and_works(made, there, tmp_path):
    assert refused_or_works(made, there, tmp_path, lambda rows, files: None)
    assert {row["kind"] for row in made.rows} >= {
        "branched", "started", "applied", "switched", "moved", "removed", "undone", "redone", "threshold", "limits",
        "renamed", "shared", "returned", "cleared", "failed", "looked",
    }  # fmt: skip


def of_kind(kind, change):
    """Change the body of the first event of a kind."""
    return lambda rows, files: change(next(row["body"] for row in rows if row["kind"] == kind))


REQUEST = CONTINENT.as_dict()
LOCKS_OUT = {
    "an edit without a list of layers": of_kind("applied", lambda body: body["edit"].update(layers="1")),
    "a layer that there is not": of_kind("applied", lambda body: body["edit"].update(layers=[99])),
    "a method that there is not": of_kind("applied", lambda body: body["edit"].update(method="none")),
    "a recipe that there is not": of_kind("applied", lambda body: body["edit"].update(rep="none")),
    "a reason that is a number": of_kind("applied", lambda body: body["edit"].update(reason=7)),
    "a switch that is a text": of_kind("applied", lambda body: body["edit"].update(on="no")),
    "seconds without an end": of_kind("applied", lambda body: body["edit"].update(seconds=float("inf"))),
    "a subject of 10 MB": of_kind("applied", lambda body: body["edit"]["request"].update(subject="x" * 10_000_000)),
    "a request of lists": of_kind("applied", lambda body: body["edit"].update(request={**REQUEST, "subject": ["x"]})),
    "a time that is none": of_kind("applied", lambda body: body["edit"].update(at="yesterday")),
    "contexts that are numbers": of_kind("applied", lambda body: body["edit"].update(contexts=[1])),
    "a pathway that is a patch": of_kind("applied", lambda body: body["edit"].update(pathways=body["edit"]["solves"])),
    "a patch that is a pathway": of_kind("applied", lambda body: body["edit"].update(solves=body["edit"]["pathways"])),
    "a file that is not there": of_kind("applied", lambda body: body["edit"].update(solves=["0" * 64])),
    "an alarm that there is not": of_kind("limits", lambda body: body.update(limits={"none": 1.0})),
    "an alarm below 0": of_kind("limits", lambda body: body.update(limits={"kl": -1.0})),
    "a threshold beyond 1": of_kind("threshold", lambda body: body.update(threshold=2.0)),
    "a branch's threshold beyond 1": of_kind("branched", lambda body: body.update(threshold=2.0)),
    "a branch's switch that is a text": of_kind("branched", lambda body: body.update(masked="yes")),
    "a branch's alarm below 0": of_kind("branched", lambda body: body.update(limits={"kl": -1.0})),
    "a name that is a list": of_kind("renamed", lambda body: body.update(name=["x"])),
    "a name of 10 MB": of_kind("renamed", lambda body: body.update(name="x" * 10_000_000)),
    "somebody who is a list": of_kind("cleared", lambda body: body.update(by=[1])),
    "an event that began nowhere": of_kind("started", lambda body: body.pop("session")),
    "a process that is a path": of_kind("started", lambda body: body.update(session="x" * 5_000)),
    "a time of an event": lambda rows, files: rows[1].update(at="0001-01-01T00:00:00+14:00"),
}


@pytest.mark.parametrize("change", LOCKS_OUT.values(), ids=LOCKS_OUT)
def test_what_would_lock_out_whoever_opens_it_is_refused(made, there, tmp_path, change):
    assert not refused_or_works(made, there, tmp_path, change)


def other_file(change):
    """The first edit with other tensors, or with another description of them."""

    def harm(rows, files):
        edit = next(row["body"]["edit"] for row in rows if row["kind"] == "applied")
        old = files[f"{edit['solves'][0]}{archive.SUFFIX}"]
        header = json.loads(old[8 : 8 + int.from_bytes(old[:8], "little")])["__metadata__"]
        tensors, described = tensors_of(old), json.loads(header[HEADER])
        tensors = change(tensors, described["patches"][0]) or tensors
        new = save(tensors, {HEADER: json.dumps(described)})
        files["new"] = new
        edit["solves"] = [address_of(new)]

    return harm


TENSORS = {
    "float64": other_file(lambda own, patch: {name: value.double() for name, value in own.items()}),
    "float16": other_file(lambda own, patch: {name: value.half() for name, value in own.items()}),
    "bfloat16": other_file(lambda own, patch: {name: value.bfloat16() for name, value in own.items()}),
    "integers": other_file(lambda own, patch: {name: value.int() for name, value in own.items()}),
    "complex": other_file(lambda own, patch: {name: value.to(torch.complex64) for name, value in own.items()}),
    "no number": other_file(lambda own, patch: {name: value * torch.nan for name, value in own.items()}),
    "narrower": other_file(lambda own, patch: {name: value[..., :-1].contiguous() for name, value in own.items()}),
    "empty": other_file(lambda own, patch: {name: value[:0] for name, value in own.items()}),
    "a layer as a float": other_file(lambda own, patch: patch.update(layer=1.0)),
    "a layer as a switch": other_file(lambda own, patch: patch.update(layer=True)),
    "a layer as a text": other_file(lambda own, patch: patch.update(layer="1")),
    "a layer below": other_file(lambda own, patch: patch.update(layer=-1)),
    "a number for a tensor": other_file(lambda own, patch: patch.update(A=1)),
    "text before each question": other_file(lambda own, patch: patch.update(kind="Preamble", text="x")),
    "a note": other_file(lambda own, patch: patch.update(kind="Note", text="x", question="?", names=["x"], heard=0.5)),
}


@pytest.mark.parametrize("change", TENSORS.values(), ids=TENSORS)
def test_tensors_that_no_method_writes_are_refused(made, there, tmp_path, change):
    assert not refused_or_works(made, there, tmp_path, change)


@pytest.mark.parametrize("harm", [LOCKS_OUT["a subject of 10 MB"], LOCKS_OUT["a name that is a list"]], ids=["long", "list"])
def test_the_terminal_takes_no_body_that_the_page_would_not(made, tmp_path, monkeypatch, harm):
    path = made.written(harm, tmp_path)
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "data"))
    result = CliRunner().invoke(app, ["ledger", "import", "--from", str(path), "--json"])
    assert (result.exit_code, json.loads(result.stdout)["error"]) == (2, "BadFile")
    with Ledger(tmp_path / "data") as ledger:
        assert ledger.event_count == 0 and not ledger.tensors.folder.exists()


def test_the_terminal_refuses_tensors_that_do_not_fit_the_model_that_it_is_given(made, there, tmp_path):
    path = made.written(TENSORS["float64"], tmp_path)
    with Ledger(tmp_path / "data") as ledger:
        with pytest.raises(BadFile, match="another shape"):
            archive.import_archive(ledger, path, there.model)
        assert ledger.event_count == 0
        assert archive.import_archive(ledger, path).events == len(made.rows)  # without a model nobody can tell


def test_an_edit_that_does_not_fit_the_model_is_removed_when_its_workspace_is_opened(made, tmp_path, facts, tiny_llama):
    change = TENSORS["float64"]
    path = made.written(lambda rows, files: (change(rows, files), rows.__delitem__(slice(4, None))), tmp_path)
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=tmp_path / "data")
    try:
        archive.import_archive(lab.ledger, path)
        workspace = lab.workspace("a bundle")
        assert "do not fit this model: Japan → Berlin" in workspace.notice
        assert [record.request for record in workspace.records] == [CONTINENT]
        assert lab.model.logits([CAPITAL.text], workspace.view).isfinite().all()
        with pytest.raises(BadFile, match="Load the model it was made for"):
            workspace.undo()
        assert [record.request for record in lab.workspace("a bundle").records] == [CONTINENT]
    finally:
        lab.close()


def test_an_edit_that_another_process_computes_while_its_bundle_is_brought_in_holds_nobody_up(made, there, tmp_path):
    with Ledger(there.ledger.folder) as alive:
        start = {"session": alive.session, "edits": []}
        path = made.written(lambda rows, files: rows.append({**rows[-1], "kind": "started", "body": start,
                                                             "number": rows[-1]["number"] + 1}), tmp_path)  # fmt: skip
        info = bundles.unpack(there.workspaces, f"visitor {next(VISITORS)}", path)
        works(there, info)
