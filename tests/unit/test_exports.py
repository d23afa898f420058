"""What people wrote stays what it is in every export, and each export says what it leaves out."""

import ast
import json
import subprocess
import sys
from dataclasses import replace

import nbformat
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from editlab.errors import BadRequest
from editlab.exports import FORMATS, Entry, Export, adapter, apart, check, checkpoint, commands, format_named, named
from editlab.exports.card import Card, card, plain, standing
from editlab.exports.script import notebook, script
from editlab.facts import EditCase, EditRequest, Expectation, FactBase, read_placed
from editlab.facts.writers import counterfact, easyedit, table
from editlab.model.start import Start
from editlab.patches import Codebook, Dense, LowRank, Mask, Note, Pathway, Preamble, View
from editlab.probes import Ground, Passages
from editlab.work import never, no_progress

WRITERS = {"counterfact": counterfact, "easyedit": easyedit, "csv": table}

HOSTILE = (
    'x"""; import os; os.abort() #',
    "'''+{0}+{{x}}+%s+\\",
    "<script>alert(1)</script> | [a](http://x.y) `b` **c** www.evil.org",
    "=cmd|'/C calc'!A0",
    "$(touch pwned); `touch pwned` ' \"",
    "--help",
    "\N{RIGHT-TO-LEFT OVERRIDE}Łódź 東京 🎈",
)
REQUESTS = [EditRequest(f"{text}\n{{}}\r\n {text} is", text, text, f"not {text}") for text in HOSTILE]
NEIGHBOUR = Expectation("Austria is in", "Europe", "Austria")
CASE = EditCase(
    EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe"),
    "1",
    "P30",
    rephrases=("Slovenija", "the country Slovenia"),
    paraphrases=("Slovenia is a part of", "One finds Slovenia in"),
    neighbours=(NEIGHBOUR, replace(NEIGHBOUR, text="Kenya is in", expected="Africa")),
    same_subject=(Expectation("The capital of Slovenia is", "Ljubljana"),),
    propagation=(Expectation("Ljubljana is in", "Antarctica"),),
)


def entry(request=CASE.request, **more):
    patches = (LowRank(1, torch.ones(1, 64), torch.ones(32, 1)),)
    config = {"layers": (1,), "plain_below": float("inf"), "form": "plain", "whiten": True, "seed": 0}
    known = {"requests": (request,), "method": "rome", "config": config, "layers": (1,), "patches": patches}
    return Entry(**{**known, "health": {"p_new": 0.97, "relative_norm": 0.0123}, **more})


def pathway():
    ones = {"U": (64, 1), "V": (1, 64), "b": (64,), "H": (2, 64), "h": (2,), "w": (2,), "c": ()}
    return Pathway(layer=1, subject="Slovenia", **{name: torch.ones(shape) for name, shape in ones.items()})


def read_back(tmp_path, form, cases):
    (tmp_path / form).write_bytes(WRITERS[form](cases).encode())
    found, faults = read_placed(tmp_path / form)
    assert faults == []
    return [placed.case for placed in found]


# Requests

names = st.text(min_size=1)
prompts = st.builds("{}{{}}{}".format, st.text(), st.text())


@settings(max_examples=300)
@given(st.lists(st.tuples(prompts, names, names, st.none() | names), min_size=1, max_size=3))
def test_any_request_is_read_back_as_it_was(tmp_path_factory, drawn):
    cases = []
    for fields in drawn:
        try:
            cases.append(EditCase(EditRequest(*fields), str(len(cases))))
        except BadRequest:
            continue
    folder, requests = tmp_path_factory.getbasetemp(), [case.request for case in cases]
    if not cases:
        return
    for form in WRITERS:
        try:
            assert [case.request for case in read_back(folder, form, cases)] == requests
        except BadRequest as refused:
            assert form == "csv" and any(r.prompt != r.prompt.strip() for r in requests) and "counterfact" in str(refused)


@pytest.mark.parametrize("form", WRITERS)
def test_hostile_requests_are_read_back_as_they_were(tmp_path, form):
    assert [case.request for case in read_back(tmp_path, form, [EditCase(r, "") for r in REQUESTS])] == REQUESTS


def test_what_surrounds_a_request_goes_along_as_far_as_the_form_has_a_place(tmp_path):
    (found,) = read_back(tmp_path, "counterfact", [CASE])
    assert (found.relation, found.paraphrases) == (CASE.relation, CASE.paraphrases)
    assert [item.text for item in found.neighbours] == ["Austria is in"], "CounterFact knows one object for all"
    (found,) = read_back(tmp_path, "easyedit", [CASE])
    assert (found.relation, found.rephrases, found.paraphrases) == (CASE.relation, CASE.rephrases, CASE.paraphrases)
    assert [(item.text, item.expected) for item in found.neighbours] == [
        ("Austria is in", "Europe"),
        ("Kenya is in", "Africa"),
    ]
    assert (found.same_subject, found.propagation) == (CASE.same_subject, CASE.propagation)
    (found,) = read_back(tmp_path, "csv", [replace(CASE, rephrases=("one", "two|three"))])
    assert found.rephrases == ("one",) and [item.text for item in found.neighbours] == ["Austria is in", "Kenya is in"]


def test_easyedit_has_the_keys_that_easyedit_reads():
    (record,) = json.loads(easyedit([CASE]))
    assert record["prompt"] == "Slovenia belongs to the continent of" and record["ground_truth"] == "Europe"
    assert record["rephrase_prompt"] == "Slovenia is a part of"
    assert record["locality"]["Relation_Specificity"] == [
        {"prompt": "The capital of Slovenia is", "ground_truth": ["Ljubljana"]}
    ]


# The run


PLAIN = (ast.List, ast.Dict, ast.Tuple, ast.Constant, ast.Name, ast.expr_context)


def literals(code):
    """What a piece of code sets MODEL and EDITS to, and that they are literals: nothing is called in them."""
    nodes = [node for node in ast.parse(code).body if isinstance(node, ast.Assign)]
    own = [node for node in nodes if getattr(node.targets[0], "id", "") in ("MODEL", "EDITS")]
    assert all(isinstance(part, PLAIN) for node in own for part in ast.walk(node.value))
    found = {"inf": float("inf")}
    exec(compile(ast.Module(own, []), "data", "exec"), found)
    return found


def test_script_and_notebook_hold_what_people_wrote_as_literals_alone(tiny_llama):
    entries = [entry(request, names=(request.subject,)) for request in REQUESTS]
    code = script(tiny_llama, entries, 3, 0.8)
    harmless = script(tiny_llama, [entry()], 3, 0.8)
    book = nbformat.reads(notebook(tiny_llama, entries, 3, 0.8), 4)
    cells = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    for text in (code, cells):
        found = literals(text)
        assert [EditRequest(**edit["requests"][0]) for edit in found["EDITS"]] == REQUESTS
        assert [edit["names"] for edit in found["EDITS"]] == [[request.subject] for request in REQUESTS]
        assert found["EDITS"][0]["config"] == dict(entry().config)
        assert found["MODEL"] == {
            "name": "tiny llama",
            "quantization": "none",
            "dtype": "float32",
            "seed": 3,
            "start": "none",
        }
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    kinds = [[type(node) for node in ast.parse(text).body] for text in (code, harmless)]
    assert kinds[0] == kinds[1], "no statement came out of the data"
    words = "".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    assert not any(text in words for text in HOSTILE)


def test_terminal_lines_give_what_people_wrote_to_the_terminal(tiny_llama, tmp_path):
    batch = Entry(**{**vars(entry()), "requests": tuple(REQUESTS)})
    entries = [*(entry(request, rep="default", pathways=(pathway(),)) for request in REQUESTS), batch]
    commands.write(tiny_llama, entries, 0, tmp_path)
    (tmp_path / "editlab").write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    (tmp_path / "editlab").chmod(0o755)
    done = subprocess.run(
        ["sh", "repeat.sh", "new one"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/bin:/usr/bin"},
        capture_output=True,
        check=True,
    )
    *single, last = (json.loads(line) for line in done.stdout.decode().splitlines())
    for line, request in zip(single, REQUESTS, strict=True):
        assert line[:5] == [
            "edit",
            f"--subject={request.subject}",
            f"--prompt={request.prompt}",
            f"--target={request.target_new}",
            f"--true={request.target_true}",
        ]
        assert {"--rep=default", "--method=rome", "--workspace=new one"} <= set(line)
    assert last[0] == "apply" and last[-2:] == [f"--batch={len(REQUESTS)}", "--workspace=new one"]
    found, faults = read_placed(tmp_path / last[1])
    assert [placed.case.request for placed in found] == REQUESTS and not faults
    assert not (tmp_path / "pwned").exists()
    assert subprocess.run(["sh", "repeat.sh"], cwd=tmp_path, capture_output=True).returncode != 0


def test_apart_is_nothing_for_the_same_and_tells_what_differs():
    low = LowRank(1, torch.ones(2, 64), torch.ones(32, 2))
    halves = [LowRank(1, low.A[i : i + 1], low.B[:, i : i + 1]) for i in range(2)]
    assert apart(named(0, [low]), named(0, halves)) == 0
    assert apart(named(0, [low]), named(0, [LowRank(1, low.A * 1.5, low.B)])) == pytest.approx(1 / 3)
    assert apart(named(0, [low]), named(0, [LowRank(2, low.A, low.B)])) == float("inf")
    assert apart(named(0, [low]), named(0, halves[:1])) == float("inf")


@pytest.mark.parametrize(("one", "other"), [(float("nan"), 1.0), (1.0, float("nan")), (float("inf"), float("inf"))])
def test_apart_takes_nothing_that_is_not_finite_for_the_same(one, other):
    found, kept = ({"a": torch.tensor([value, 1.0]), "b": torch.ones(2)} for value in (one, other))
    assert apart(found, kept) == float("inf")


def test_apart_tells_what_is_no_tensor(tmp_path):
    ones = torch.ones(2, 4)
    patches = [
        Preamble("New fact: Slovenia is in Asia.\n", cue="Prompt:"),
        Note("New fact: Peru is in Asia.", "Peru is in", ("Peru", "Perú"), 0.9),
        Codebook(1, ones, 2 * ones, ones[:, 0].clone(), ("Asia", "Rome")),
    ]
    held = [named(0, patches) | check.plain(0, patches)]
    for place, changes in ((0, {"text": "New fact: Slovenia is in Africa.\n"}), (1, {"heard": 0.8}), (2, {"labels": "ab"})):
        others = [replace(own, **changes) if n == place else own for n, own in enumerate(patches)]
        held.append(named(0, others) | check.plain(0, others))
    check.keep(tmp_path / "kept", held[0])
    assert [apart(own, check.kept(tmp_path / "kept")) for own in held] == [0.0, *[float("inf")] * 3]
    parts = [Codebook(1, ones[:1], 2 * ones[:1], ones[:1, 0], (label,)) for label in ("Asia", "Rome")]
    assert check.plain(0, parts) == check.plain(0, patches[2:])


# The card


def test_the_card_lists_every_edit_behind_a_front_matter_that_can_be_read(tiny_llama):
    told = entry(author="Ana", at="2026-11-21T22:00:00+00:00", reason="a demo", rep="default", pathways=(pathway(),))
    text = card(tiny_llama, [told, entry(REQUESTS[0])], FORMATS["peft"].card, ["A note."])
    _, front, body = text.split("---\n", 2)
    data = yaml.safe_load(front)
    assert (data["base_model"], data["library_name"], data["base_model_relation"]) == ("tiny llama", "peft", "adapter")
    assert {"knowledge-editing", "rome"} <= set(data["tags"])
    (row,) = (line for line in body.splitlines() if line.startswith("| 1 |"))
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "1",
        "Slovenia belongs to the continent of",
        "Europe",
        "Antarctica",
        "ROME + REP (default)",
        "1",
        "0.970",
        "0.0123",
        "Ana",
        "2026-11-21T22:00:00+00:00",
        "a demo",
    ]
    assert "2 facts edited" in body and "- A note." in body and "stays as it was" in body


def test_nothing_that_people_wrote_becomes_markdown_or_html(tiny_llama):
    header = None
    for text in HOSTILE:
        request = EditRequest("{}\n| --- |\n# is", text, text, f"not {text}")
        body = card(tiny_llama, [entry(request, author=text, reason=f"{text}\n\n# Head")], Card()).split("---\n", 2)[2]
        rows = [line for line in body.splitlines() if line.startswith("|")]
        header = header or rows[0]
        assert len(rows) == 3 and rows[0] == header, "one edit, one row"
        assert rows[2].replace("\\|", "").count("|") == header.replace("\\|", "").count("|")
        assert "<script" not in body and "\n# Head" not in body and "](" not in rows[2].replace("\\](", "")
    assert plain("a|b <i> & `c` [d](https://e) www.f.g") == r"a\|b &lt;i&gt; &amp; \`c\` \[d\](https\://e) www\.f.g"


def test_the_card_says_how_the_edits_stood():
    assert standing([entry()]) == "Right after its edit, the new object had a probability of 0.97."
    batch = Entry(**{**vars(entry(health={"p_new": 0.5})), "requests": tuple(REQUESTS[:2])})
    assert standing([entry(), batch]) == (
        "Right after their edits, the new objects of 3 had a probability of 0.66 on average; it was 0.50 where it was "
        "lowest."
    )
    assert standing([entry(health={})]) == ""


# What an export leaves out


def notes(format, model, *entries, masked=False):
    masks = (Mask(1, torch.ones(32, 64, dtype=torch.bool)),) if masked else ()
    ground = Ground(model, FactBase((), {}, {}), Passages((), ()))
    return FORMATS[format].notes_for(Export(ground, entries, View(masks)))


def test_notes_say_what_an_export_leaves_out(tiny_llama, monkeypatch):
    robust, unknown = entry(pathways=(pathway(),)), entry(EditRequest("{} is in", "Peru", "Asia"))
    assert notes("peft", tiny_llama, entry()) == notes("csv", tiny_llama, entry()) == ()
    (text,) = notes("peft", tiny_llama, robust)
    assert "An adapter cannot hold REP's pathways" in text and "tensors" in text
    (text,) = notes("checkpoint", tiny_llama, entry(), masked=True)
    assert "checkpoint" in text and "mask" in text
    for form, what in (("gguf", "A GGUF file"), ("gguf-q8_0", "A GGUF file"), ("gguf-lora", "An adapter")):
        texts = notes(form, tiny_llama, robust, masked=True)
        assert texts[:2] == (
            f"{what} cannot hold REP's pathways, so they are not in it. Export tensors for them.",
            f"{what} is written without the reversal mask. Export tensors for it.",
        )
        assert "puts a space before each text" in texts[2], "as this tokenizer does"
    assert notes("tensors", tiny_llama, robust, masked=True) == notes("card", tiny_llama, robust, masked=True) == ()
    alone, without = notes("counterfact", tiny_llama, entry(), unknown, masked=True)
    assert "neither REP nor a mask" in alone and without.startswith("1 of 2 requests have no true object")
    assert notes("csv", tiny_llama, unknown) == ()
    assert "differently when it is made again" in notes("script", tiny_llama, entry())[0]
    monkeypatch.setattr(tiny_llama, "quantization", "4bit")
    assert "over the model in 4bit" in notes("tensors", tiny_llama, entry())[0]
    monkeypatch.setattr(tiny_llama, "quantization", "none")
    monkeypatch.setattr(tiny_llama, "start", Start("</s>", space=True))
    for form in ("peft", "checkpoint", "gguf", "gguf-lora", "tensors"):
        assert "'</s>' and a space before every text" in notes(form, tiny_llama, entry())[0]


def test_a_format_says_what_it_is_and_who_may_have_it():
    assert all(form.name == name and form.title and form.holds.endswith(".") for name, form in FORMATS.items())
    assert [name for name, form in FORMATS.items() if not form.in_demo] == ["checkpoint", "gguf", "gguf-q8_0", "pdf"]
    with pytest.raises(BadRequest, match=r"no export 'magic'.*peft, checkpoint"):
        format_named("magic")


def test_a_whole_matrix_is_an_adapter_of_full_rank_that_can_be_cut_to_a_stated_loss(differences):
    D = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    entries = [entry(), entry(patches=(Dense(1, D),))]
    whole = adapter.pairs_of(entries)
    A, B = whole.by_layer[1]
    assert (whole.rank, whole.lost) == (32, 0.0)
    differences("a matrix as an adapter", B @ A, D + torch.ones(32, 64), 1e-6)
    cut = adapter.pairs_of(entries, 16)
    A, B = cut.by_layer[1]
    lost = (B @ A - D - torch.ones(32, 64)).norm() / (D + torch.ones(32, 64)).norm()
    assert cut.rank == 16 and 0.1 < cut.lost == pytest.approx(lost.item(), rel=1e-4)


def test_without_a_change_of_weights_there_is_no_adapter_and_a_quantised_model_is_no_checkpoint(
    tiny_llama, tmp_path, monkeypatch
):
    with pytest.raises(BadRequest, match="No edit here adds to a weight"):
        adapter.write(tiny_llama, [entry(patches=())], tmp_path)
    monkeypatch.setattr(tiny_llama, "quantization", "4bit")
    with pytest.raises(BadRequest, match="--quantization none"):
        checkpoint.write(tiny_llama, [entry()], tmp_path, no_progress, never)
    for form in ("checkpoint", "gguf", "gguf-q8_0"):
        ground = Ground(tiny_llama, FactBase((), {}, {}), Passages((), ()))
        with pytest.raises(BadRequest, match="--quantization none"):
            FORMATS[form].size(Export(ground, [entry()], View()))
    assert list(tmp_path.iterdir()) == []


def test_the_adapters_card_says_how_each_program_loads_it_and_what_a_cut_loses(tiny_llama):
    torch.manual_seed(0)
    many = entry(patches=tuple(LowRank(1, torch.randn(1, 64), torch.randn(32, 1)) for _ in range(20)))
    ground = Ground(tiny_llama, FactBase((), {}, {}), Passages((), ()))
    whole, cut = (Export(ground, [many], View(), rank=rank) for rank in (None, 8))
    assert "--max-lora-rank 32 " in FORMATS["peft"].how(whole) and "--max-lora-rank 8 " in FORMATS["peft"].how(cut)
    assert "PeftModel.from_pretrained" in FORMATS["peft"].how(whole) and "llama-cli -m" in FORMATS["peft"].how(whole)
    assert FORMATS["peft"].notes_for(whole) == ()
    (said,) = FORMATS["peft"].notes_for(cut)
    assert (
        said
        == f"The rank is cut to 8, by which up to {adapter.pairs_of([many], 8).lost:.1%} of the change of a layer is lost."
    )


def test_an_adapter_of_a_model_that_only_editlab_finds_by_its_name_says_so(tiny_llama, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny_llama, "folder", tmp_path)
    for name, told in (("atlas", True), ("package:smollm2", True), ("owner/name", False), (str(tmp_path), False)):
        monkeypatch.setattr(tiny_llama, "name", name)
        ground = Ground(tiny_llama, FactBase((), {}, {}), Passages((), ()))
        notes = FORMATS["peft"].notes_for(Export(ground, [entry()], View()))
        assert any(f"knows the base as {name}" in note for note in notes) == told


def test_an_adapter_of_a_hub_model_names_its_revision(tiny_llama, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny_llama, "name", "owner/name@main")
    monkeypatch.setattr(tiny_llama, "revision", "0123abcd")
    adapter.write(tiny_llama, [entry(), entry()], tmp_path)
    told = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (told["base_model_name_or_path"], told["revision"]) == ("owner/name", "0123abcd")
    assert (told["r"], told["lora_alpha"], told["rank_pattern"]) == (2, 2, {})
