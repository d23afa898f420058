"""Edits that change no weight in a workspace: kept, taken back, shown, asked by everybody, exported where it is possible."""

import json
import math

import pytest
import torch
from openai import OpenAI
from visitors import CAPITAL, CONTINENT, TIMEOUT, Reader, Visitor

from editlab.errors import BadRequest, MissingMask
from editlab.exports import FORMATS
from editlab.insight.checkup import Reference, Watched, checkup
from editlab.lab import Lab, read_edit_file
from editlab.lab.asking import answers, inside, ways_back
from editlab.lab.ledger import audit
from editlab.lab.model.masks import MaskTraining
from editlab.lab.workspaces import bundles, edits, exports
from editlab.patches import BASE
from editlab.probes import Passages
from editlab.web.keys.handlers import SECTIONS, KeysHandlers

SETTINGS = {"told": {}, "ike": {"demonstrations": 2}, "note": {}, "grace": {"steps": 3}}
TELLING = ("told", "ike", "note")
ASKED = (CONTINENT.text, CAPITAL.text, "Peru is")
CHAT = "{% for m in messages %}<u>{{ m.content }}</u>{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"


@pytest.fixture(params=SETTINGS)
def method(request):
    return request.param


@pytest.fixture
def workspace(lab, request):
    return lab.workspace(name_of(request))


def name_of(request):
    """A short name for the workspace of a test."""
    return request.node.name[5:30] + request.node.name[-12:]


def apply(workspace, method, request=CONTINENT):
    return edits.apply(workspace, request, method, SETTINGS[method]).result(TIMEOUT)


def said(workspace, view=None):
    return workspace.context.model.logits(ASKED, workspace.view if view is None else view)


def test_one_is_kept_bit_for_bit_and_taken_back_as_if_it_had_not_been(tiny_llama, facts, tmp_path, method):
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=tmp_path / "data")
    workspace = lab.workspace("anna")
    base = said(workspace)
    record = apply(workspace, method)
    one = said(workspace)
    untouched = torch.allclose(one[2], base[2], atol=1e-5)  # a note lengthens the batch, and sums have another order
    assert not torch.equal(one, base) and untouched == (method in ("note", "grace"))
    assert record.health["p_new"] >= 0 and record.seconds >= 0 and bool(record.layers) == (method == "grace")
    apply(workspace, method, CAPITAL)
    both, digest = said(workspace), workspace.view.digest
    lab.close()
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=tmp_path / "data")
    again = lab.workspace("anna")
    assert again.notice is None and again.view.digest == digest and torch.equal(said(again), both)
    assert not audit.verify(lab.ledger).faults
    again.switch(again.records[1].id, False)
    assert torch.equal(said(again), one)
    again.switch(again.records[1].id, True)
    again.remove(again.records[0].id)
    apply(again, method)
    assert again.undo().startswith("applied") and again.undo().startswith("removed") and torch.equal(said(again), both)
    again.clear()
    assert torch.equal(said(again), base)
    lab.close()


def test_all_of_them_are_made_again_and_travel_in_a_bundle(tiny_llama, facts, tmp_path):
    places = [Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=tmp_path / name) for name in ("a", "b")]
    info = places[0].directory.current("tom")
    workspace = places[0].workspace(info.id)
    for number, name in enumerate(SETTINGS):
        apply(workspace, name, (CONTINENT, CAPITAL)[number % 2])
    before = said(workspace)
    remade = edits.remake(workspace).result(TIMEOUT)
    assert [record.method for record in remade] == list(SETTINGS) and torch.equal(said(workspace), before)
    bundles.pack(places[0].context, info, tmp_path / "bundle.zip")
    there = places[1].workspace(bundles.unpack(places[1].workspaces, "ana", tmp_path / "bundle.zip").id)
    assert torch.equal(said(there), before)
    for place in places:
        place.close()


def test_everything_about_one_is_asked_and_shown(lab, few_probes, method):
    visitor = Visitor(lab, f"shown {method}")
    visitor.changed = {f"{method}-{name}": str(value) for name, value in SETTINGS[method].items()}
    said_at_first = said(visitor.workspace)
    page = visitor.applies(method=method)
    record = visitor.workspace.records[0]
    assert record.method == method and record.on
    health = page["health"] if "health" in page else json.dumps(page)
    assert ("Tokens before" in health) == (method in TELLING)
    assert "|ΔW|" not in health and ("at layer" in health) == (method == "grace")
    found = answers.ask(visitor.workspace, CONTINENT).result(TIMEOUT)
    assert found.probes is not None and found.linked is not None
    known = ways_back.ways(lab.model, record, visitor.workspace)
    assert ("svd" in known) == (method == "grace") and torch.equal(said(visitor.workspace, known["removed"]), said_at_first)
    question = inside.question(visitor.workspace)
    for table in (inside.lens, inside.contributions, inside.attention):
        assert table(visitor.workspace, question).result(TIMEOUT)["view"].nunique() == 2
    model, view = lab.model, visitor.workspace.view
    watched = [Watched.of(record.id, CONTINENT, lab.context.facts) for record in visitor.workspace.records]
    checked = checkup(model, watched, view, Reference.of(model, lab.context.facts, ["It rains in the mountains today."]))
    assert checked.relative_norm == 0.0 and checked.value_norm is None and math.isfinite(checked.kl)


def test_the_keys_tab_says_why_it_shows_nothing(lab, method, request):
    name = name_of(request)
    apply(lab.workspace(name), method)
    reader = Reader(KeysHandlers(lab), name, "keys")
    page = reader.does("keys_open")
    assert "adds nothing to a weight" in page["message"]
    assert not any(reader.draws(section) for section in SECTIONS)


def test_rep_and_the_mask_are_refused_in_a_sentence(workspace, method):
    with pytest.raises(BadRequest, match=f"{method} writes none at the subject"):
        edits.apply(workspace, CONTINENT, method, recipe="default")
    record = apply(workspace, method)
    with pytest.raises(BadRequest, match="Apply the edit without REP"):
        edits.refine(workspace, record.id)
    for switch in (workspace.set_masked, workspace.set_guarded):
        with pytest.raises(MissingMask, match=f"and {method} writes none there"):
            switch(True, method)
    assert method in workspace.mask_problem and workspace.without_mask(method) is None
    with pytest.raises(MissingMask, match="writes none there"):
        inside.mask_structure(workspace)
    for job in (workspace_masks(workspace).train, workspace_masks(workspace).cost):
        with pytest.raises(BadRequest, match="Train one for another method"):
            job(workspace, method)


def test_a_file_of_many_is_made_in_batches_and_goes_on_where_it_was(workspace, method, tmp_path):
    lines = ["subject,prompt,target_new,target_true"]
    lines += [f"{place},{{}} belongs to the continent of,Antarctica,Europe" for place in ("Slovenia", "Japan", "France")]
    path = tmp_path / "edits.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    file = read_edit_file(workspace.context.model, path)
    done = edits.apply_many(workspace, file, method, SETTINGS[method], batch=2).result(TIMEOUT)
    assert (done.rows, done.done) == (3, 3) and [len(record.requests) for record in workspace.records] == [2, 1]
    again = edits.apply_many(workspace, file, method, SETTINGS[method], batch=2).result(TIMEOUT)
    assert again.resumed == 3 and len(workspace.records) == 2
    whole = workspace.view.digest
    assert workspace.undo().startswith("applied") and workspace.view.digest != whole
    workspace.redo()
    assert workspace.view.digest == whole


def workspace_masks(workspace):
    return MaskTraining(workspace.context, ())


@pytest.mark.parametrize("name", ["peft", "checkpoint", "gguf-lora", "tensors"])
def test_an_export_of_weights_refuses_them_and_writes_nothing(workspace, method, tmp_path, name):
    record = apply(workspace, method)
    with pytest.raises(BadRequest, match=f"edits by {method} change none"):
        exports.export(workspace, name, tmp_path / "out", only=record.id)
    assert not (tmp_path / "out").exists()


def test_an_export_of_requests_a_card_and_a_script_holds_them(workspace, method, tmp_path):
    apply(workspace, method)
    for name in ("csv", "card", "script"):
        assert exports.export(workspace, name, tmp_path / name)
    card = (tmp_path / "card" / "README.md").read_text(encoding="utf-8")
    assert method.upper() in card and "Antarctica" in card
    assert f"--method={method}" in (tmp_path / "script" / "repeat.sh").read_text(encoding="utf-8")
    assert {"script", "notebook", "report"} <= set(FORMATS)


def test_other_programs_hear_what_is_told(lab, address, monkeypatch, method):
    info = lab.directory.adopt(f"heard {method}")
    workspace = lab.workspace(info.id)
    apply(workspace, method)
    with OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=TIMEOUT) as client:
        names = [own.id for own in client.models.list()]
        model = next(name for name in names if "heard" in name and name.endswith(method))
        given = {"model": model, "prompt": CONTINENT.text, "max_tokens": 4, "temperature": 0}
        *_, (expected,) = lab.model.generate([CONTINENT.text], workspace.view, 4)
        assert client.completions.create(**given).choices[0].text == expected
        told = client.completions.create(**given, echo=True, logprobs=0).choices[0]
        assert told.text == CONTINENT.text + expected
        assert "".join(told.logprobs.tokens).strip() == (CONTINENT.text + expected).strip()
        monkeypatch.setattr(lab.model.tokenizer, "chat_template", CHAT)
        messages = [{"role": "user", "content": "Hello."}, {"role": "user", "content": CONTINENT.text}]
        text, form = lab.model.chat_question(messages)
        assert text == CONTINENT.text and form.before == "<u>Hello.</u><u>" and form.after == "</u><a>"
        *_, (expected,) = lab.model.generate([CONTINENT.text], workspace.view.in_form(form), 4)
        chat = client.chat.completions.create(model=model, messages=messages, max_tokens=4, temperature=0)
        assert chat.choices[0].message.content == expected
    assert workspace.view.in_form(form).asks(text).startswith("<u>Hello.</u><u>")


def test_a_live_question_hears_it(workspace, method):
    apply(workspace, method)
    model, tokens = workspace.context.model, workspace.context.answer_tokens
    *_, texts = model.generate([CONTINENT.text] * 2, [BASE, workspace.view], tokens)
    live = answers.live(workspace, CONTINENT.text).result(TIMEOUT)
    assert [live[name]["text"].strip() for name in ("base", "edited")] == [text.strip() for text in texts]
