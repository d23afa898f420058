"""A checkpoint against its base: what differs, what is rounding, which edits explain it, and what cannot be checked."""

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import random_view, save, tiny_model

from editlab.errors import BadFile, BadModel, Cancelled
from editlab.exports import Entry, adapter, checkpoint, tensors
from editlab.facts import EditRequest
from editlab.forensics import rounding
from editlab.forensics.checkpoint import Checkpoint, fingerprint_of
from editlab.forensics.difference import compare
from editlab.forensics.explanation import explain
from editlab.forensics.known import Known, by_adapter, by_patches, by_script, by_tensors
from editlab.forensics.pairs import adapter_in
from editlab.forensics.rounding import floor_of, same_as_stored, spectrum_of, step
from editlab.forensics.verdict import Verdict, described
from editlab.model import LanguageModel
from editlab.patches import Dense, LowRank, View
from editlab.work import never, no_progress

WEIGHTS, DOWN = "model.safetensors", "model.layers.{}.mlp.down_proj.weight"
REQUEST = EditRequest("{} is in", "Slovenia", "Asia")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Returns a folder with a model of a kind and precision (`base`), with its edits (`edited`), and the edits."""

    @cache
    def make(kind: str, dtype: torch.dtype = torch.float32):
        folder = tmp_path_factory.mktemp(kind)
        model = tiny_model(kind, dtype)
        save(model, folder / "base")
        patches = [_small(patch) for patch in random_view(model, 1).patches]
        entries = [_entry(patches[:1]), _entry(patches[1:3]), _entry(patches[3:])]
        checkpoint.write(model, entries, folder / "edited", no_progress, never)
        edits = [by_patches(f"edit {n}", "here", own.patches, model.arch) for n, own in enumerate(entries)]
        return folder, model, entries, edits

    return make


@pytest.fixture
def llama(made, tmp_path) -> Path:
    """A folder of its own with a base and the edited model, to be damaged."""
    shutil.copytree(made("llama")[0], tmp_path / "llama")
    return tmp_path / "llama"


def _small(patch):
    return replace(patch, B=0.02 * patch.B) if isinstance(patch, LowRank) else replace(patch, D=0.02 * patch.D)


def _entry(patches) -> Entry:
    return Entry(requests=(REQUEST,), method="rome", config={}, layers=(0,), patches=tuple(patches))


def opened(folder: Path, *names: str) -> list[Checkpoint]:
    return [Checkpoint.open(folder / name, name) for name in names]


def said(found) -> str:
    return Verdict(name="x", difference=found).sentence


def changed(folder: Path, change) -> Path:
    """Change the tensors of a model's only file."""
    weights = load_file(folder / WEIGHTS)
    weights = {name: tensor.clone() for name, tensor in weights.items()}
    change(weights)
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    return folder


# Rounding


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_step_is_the_distance_to_the_next_number(dtype):
    weight = torch.tensor([1.0, 1.5, -0.3, 2.0**-10, 7e-5, 0.0]).to(dtype)
    above = torch.nextafter(weight.abs(), torch.tensor(torch.inf, dtype=dtype))
    assert torch.equal(step(weight.abs().float(), dtype), above.float() - weight.abs().float())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_floor_is_what_rounding_does_to_a_matrix(dtype):
    weight = normal(300, 200) * torch.linspace(0.2, 2, 200)
    noise, floor = weight.to(dtype).float() - weight, floor_of(weight, dtype)
    assert floor.norm == pytest.approx(noise.norm().item(), rel=0.02)
    assert 0.7 * floor.top < torch.linalg.svdvals(noise)[0].item() <= floor.top


def test_weights_in_two_precisions_are_the_same_where_rounding_is_all():
    weight = normal(40, 30)
    half, brain = weight.half(), weight.bfloat16()
    for one, other in ((brain, weight), (weight, half), (half, brain), (brain, half)):
        assert same_as_stored(one, other)
    assert not same_as_stored(brain, weight + 0.02) and not same_as_stored(brain, weight.bfloat16())


@pytest.mark.parametrize("shape", [(40, 30), (40,), ()])
def test_some_rows_at_a_time_give_what_the_whole_gives(monkeypatch, shape):
    weight, other = normal(*shape), normal(*shape, seed=1)
    halves = weight.half(), weight.bfloat16()
    far = halves[1] + torch.zeros(shape).index_fill_(0, torch.tensor([39]), 1).bfloat16() if shape else halves[1] + 1

    def measured():
        floor = floor_of(halves[0], torch.float16, torch.bfloat16)
        return (floor.norm, floor.top, rounding.chance_of(weight), rounding.norm_of(weight)), rounding.minus(weight, other)

    whole, change = measured()
    assert torch.equal(change, weight - other) and whole[3] == pytest.approx(weight.norm().item())
    monkeypatch.setattr(rounding, "BLOCK", 70)
    parts, change = measured()
    assert parts == pytest.approx(whole) and torch.equal(change, weight - other)
    assert same_as_stored(*halves) and not same_as_stored(halves[0], far)


# Spectrum


@pytest.mark.parametrize("exact", [1024, 0], ids=["exact", "randomised"])
def test_directions_above_the_noise_are_counted(monkeypatch, exact):
    monkeypatch.setattr(rounding, "EXACT", exact)
    weight = normal(200, 300)
    change = 0.1 * normal(200, 5, seed=1) @ normal(5, 300, seed=2)
    stored = (weight + change).bfloat16().float() - weight.bfloat16().float()
    found = spectrum_of(stored, floor_of(weight, torch.bfloat16).top * 2**0.5)
    expected = torch.linalg.svdvals(change.double())[:5]
    assert found.rank == 5 and torch.tensor(found.values) == pytest.approx(expected.tolist(), rel=0.02)
    shares = expected / expected.sum()
    assert found.effective == pytest.approx((-(shares * shares.log()).sum()).exp().item(), rel=0.02)


@pytest.mark.parametrize("size", [0.005, 0.02, 0.1])
def test_rounding_an_edit_of_rank_one_leaves_it_of_rank_one(size):
    weight, edit = normal(256, 640).bfloat16(), normal(256, 1, seed=1) @ normal(1, 640, seed=2)
    edit *= size * weight.float().norm() / edit.norm()
    stored = (weight.float() + edit).bfloat16()
    found = spectrum_of(stored.float() - weight.float(), floor_of(stored.float(), torch.bfloat16).top)
    assert found.rank == 1 and found.values[0] == pytest.approx(edit.norm().item(), rel=0.05)


def test_many_directions_of_a_wide_matrix_are_sought_further_or_left_open(monkeypatch):
    monkeypatch.setattr(rounding, "EXACT", 0)
    monkeypatch.setattr(rounding, "SOUGHT", (8, 40))
    assert spectrum_of(normal(100, 20, seed=1) @ normal(20, 90), 1e-3).rank == 20
    found = spectrum_of(normal(100, 90), 1e-3)
    assert (found.rank, found.whole) == (40, False)


# Explanation


def test_coefficients_are_those_of_least_squares_over_whole_matrices():
    edits = [LowRank(0, normal(n + 1, 12, seed=n), normal(9, n + 1, seed=n + 50)) for n in range(4)]
    edits += [Dense(0, normal(9, 12, seed=90)), Dense(0, normal(9, 12, seed=91))]
    change = 0.4 * edits[1].dense() - 1.7 * edits[4].dense() + 0.6 * edits[0].dense() + 0.3 * normal(9, 12, seed=92)
    found = explain(change, [(place, (edit,)) for place, edit in enumerate(edits)], lambda added: change - added)
    columns = torch.stack([edit.dense().double().flatten() for edit in edits], 1)
    expected = torch.linalg.lstsq(columns, change.double().flatten()[:, None]).solution[:, 0]
    used = {place: c for place, c in enumerate(expected.tolist()) if abs(c) >= 0.05}
    assert found.coefficients == pytest.approx(used, rel=1e-4)


def test_an_edit_that_was_written_has_the_coefficient_one_and_another_none():
    edits = [LowRank(0, normal(1, 50, seed=n), normal(40, 1, seed=n + 9)) for n in range(6)]
    change = edits[2].dense() + edits[4].dense() + 0.001 * normal(40, 50, seed=99)
    found = explain(change, [(place, (edit,)) for place, edit in enumerate(edits)], lambda added: change - added)
    assert found.coefficients == {2: 1.0, 4: 1.0}


# Difference


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("llama", torch.float32),
        ("llama", torch.bfloat16),
        ("gpt2", torch.float16),
        ("gpt_neox", torch.bfloat16),
        ("phi4", torch.bfloat16),
        ("gemma3", torch.float32),
    ],
)
def test_an_exported_checkpoint_is_explained_to_the_last_bit(made, kind, dtype):
    folder, _, _, edits = made(kind, dtype)
    found = compare(*opened(folder, "edited", "base"), edits)
    assert [(change.layer, change.fit) for change in found.changes] == [(0, "exact"), (1, "exact"), (2, "exact")]
    assert found.changes[0].spectrum.rank == 1 and found.changes[2].spectrum.rank == 3
    assert [(own.name, set(own.coefficients.values()), own.of) for own in found.edits] == [
        ("edit 0", {1.0}, 1),
        ("edit 1", {1.0}, 2),
        ("edit 2", {1.0}, 1),
    ]
    assert (found.is_explained, found.explained, Verdict(name="x", difference=found).code) == (True, 1.0, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_edit_that_nobody_knows_is_left_over(made, dtype):
    folder, _, _, edits = made("llama", dtype)
    found = compare(*opened(folder, "edited", "base"), edits[:2])
    left = found.changes[2]
    assert [change.fit for change in found.changes] == ["exact", "exact", "part"]
    assert left.left.rank == 1 and 0.5 < left.explained < 0.9
    assert "Known edits explain 99.99% of the squared change" in said(
        replace(found, changes=(replace(left, left_norm=1e-9),))
    )
    assert left.left_norm == pytest.approx(edits[2].updates[DOWN.format(2)][0].dense().norm().item(), rel=0.05)
    verdict = Verdict(name="x", difference=found)
    assert (verdict.word, verdict.code) == ("unexplained", 1)
    assert verdict.sentence.startswith("3 of 39 weights differ from base. Known edits explain ")
    assert (
        "of the squared change: edit 0, edit 1. What is left: model.layers.2.mlp.down_proj.weight, rank 1, "
        in verdict.sentence
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_small_edit_does_not_hide_behind_the_rounding_of_a_known_one(made, tmp_path, dtype):
    folder, _, entries, edits = made("llama", torch.bfloat16)
    model = LanguageModel.load(str(folder / "base"), dtype=dtype)
    hidden = LowRank(0, 0.0003 * normal(1, model.d_ff, seed=7), normal(model.d_model, 1, seed=8).sign())
    checkpoint.write(model, [*entries, _entry([hidden])], tmp_path / "hidden", no_progress, never)
    found = compare(*map(Checkpoint.open, (tmp_path / "hidden", folder / "base")), edits)
    assert [change.fit for change in found.changes] == ["part", "exact", "exact"] and not found.is_explained
    assert found.changes[0].left.rank == 1 and found.changes[0].left.values[0] < found.changes[0].noise


def test_without_known_edits_the_largest_change_is_named(made):
    folder, *_ = made("llama")
    found = compare(*opened(folder, "edited", "base"))
    assert [change.fit for change in found.changes] == ["none"] * 3
    assert said(found).startswith("3 of 39 weights differ from base. No known edit explains it: model.layers.2.mlp")


def test_a_model_in_another_precision_does_not_differ(made, llama):
    for dtype in (torch.bfloat16, torch.float16):
        save(tiny_model("llama", dtype), llama / str(dtype))
        for names in ((str(dtype), "base"), ("base", str(dtype))):
            found = compare(*opened(llama, *names), made("llama")[3])
            assert found.is_none and found.rounded == found.compared == 39
    assert "Stored in another precision: 39." in said(found)


def test_an_edit_in_another_precision_than_the_base_is_explained(made, llama):
    _, model, entries, edits = made("llama", torch.bfloat16)
    checkpoint.write(model, entries, llama / "rounded", no_progress, never)
    found = compare(*opened(llama, "rounded", "base"), edits)
    assert [change.fit for change in found.changes] == ["exact"] * 3 and found.rounded > 30


def test_a_change_of_one_last_bit_is_a_difference(llama):
    def flip(weights):
        row = weights[DOWN.format(3)][0]
        row[0] = torch.nextafter(row[0], row[0] + 1)

    changed(shutil.copytree(llama / "base", llama / "flipped"), flip)
    found = compare(*opened(llama, "flipped", "base"))
    assert [change.layer for change in found.changes] == [3] and not found.is_explained
    assert "no direction above rounding" in said(found)


def test_adapters_and_tensors_explain_what_was_written_from_them(made, tmp_path):
    for kind in ("llama", "gpt2"):
        folder, model, entries, _ = made(kind)
        for name in ("lora", "tensors"):
            (tmp_path / kind / name).mkdir(parents=True)
        adapter.write(model, entries, tmp_path / kind / "lora")
        view = View(tuple(patch for entry in entries for patch in entry.patches))
        tensors.write(model, view, tmp_path / kind / "tensors")
        for edit in (by_adapter(tmp_path / kind / "lora"), by_tensors(tmp_path / kind / "tensors")):
            found = compare(*opened(folder, "edited", "base"), [edit])
            assert found.is_explained and len(found.edits[0].coefficients) == 3


def test_a_lora_is_a_difference_by_itself(made, tmp_path):
    folder, model, entries, edits = made("llama")
    (tmp_path / "lora").mkdir()
    adapter.write(model, entries, tmp_path / "lora")
    lora = adapter_in(tmp_path / "lora", "lora")
    (base,) = opened(folder, "base")
    found = compare(lora, base, edits)
    assert found.is_explained and found.explained == pytest.approx(1) and found.changes[0].relative > 0
    alone = compare(lora, None)
    assert [change.relative for change in alone.changes] == [None] * 3
    assert " ".join(described(alone)).startswith("3 of 3 weights differ from its base. No known edit explains it: model")
    (other,) = opened(made("gpt2")[0], "base")
    with pytest.raises(BadModel, match="it belongs to another model"):
        compare(lora, other)


def test_a_lora_that_others_trained_and_merged_is_explained(made, llama):
    model = tiny_model("llama", torch.bfloat16)
    for folder in ("half", "merged"):
        save(model, llama / folder)
    names = [f"model.layers.{n}.{own}" for n in range(4) for own in ("self_attn.q_proj", "mlp.down_proj")]
    shapes = {name: model.hf.get_submodule(name).weight.shape for name in names}
    pairs = {name: (normal(2, shapes[name][1], seed=n), 0.02 * normal(shapes[name][0], 2)) for n, name in enumerate(names)}
    scale = 3 / 2**0.5  # rsLoRA's

    def merge(weights):  # as peft does: the product is rounded first, then added
        for name, (A, B) in pairs.items():
            weights[f"{name}.weight"] += (scale * B @ A).bfloat16()

    changed(llama / "merged", merge)
    (llama / "lora").mkdir()
    named = {
        f"base_model.model.{name}.lora_{part}.weight": own
        for name, pair in pairs.items()
        for part, own in zip("AB", pair, strict=True)
    }
    save_file(named, llama / "lora" / adapter.WEIGHTS)
    settings = {"base_model_name_or_path": "half", "lora_alpha": 3, "r": 2, "use_rslora": True}
    (llama / "lora" / adapter.CONFIG).write_text(json.dumps(settings))
    found = compare(*opened(llama, "merged", "half"), [by_adapter(llama / "lora")])
    assert {change.fit for change in found.changes} == {"rounding"} and len(found.changes) == 8
    assert found.is_explained and found.explained > 0.99
    assert said(found).endswith("Known edits explain all of it but for rounding: lora.")


def test_edits_of_a_model_of_another_shape_explain_nothing(made):
    folder, *_ = made("llama")
    wide = Known("wide", "here", {DOWN.format(0): (LowRank(0, normal(1, 99), normal(32, 1)),)})
    elsewhere = Known("elsewhere", "here", {"transformer.h.0.mlp.c_proj.weight": wide.updates[DOWN.format(0)]})
    for edits, strange in ([wide], 1), ([elsewhere], 1), ([wide, elsewhere, *made("llama")[3]], 2):
        assert compare(*opened(folder, "edited", "base"), edits).strange == strange
    found = compare(*opened(folder, "edited", "base"), [wide, elsewhere])
    assert not found.edits and {change.fit for change in found.changes} == {"none"}


def test_files_that_leave_out_what_is_tied_or_the_prefix_hold_the_same(made, llama):
    def untie(weights):
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()

    for name in ("tied", "untied"):
        save(tiny_model("phi4"), llama / name)
    changed(llama / "untied", untie)
    assert compare(*opened(llama, "tied", "untied")).is_none and compare(*opened(llama, "untied", "tied")).is_none
    shutil.copytree(made("gpt2")[0] / "base", llama / "bare")

    def strip(weights):
        for name in list(weights):
            weights[name.removeprefix("transformer.")] = weights.pop(name)
        weights["h.0.attn.bias"] = torch.ones(1, 1, 4, 4)

    changed(llama / "bare", strip)
    for pair in ((llama / "bare", made("gpt2")[0] / "base"), (made("gpt2")[0] / "base", llama / "bare")):
        assert compare(*map(Checkpoint.open, pair)).is_none
    assert len(Checkpoint.open(llama / "bare").projections) == 4


def test_weights_that_only_one_has_are_named(llama):
    def more(weights):
        weights["model.backdoor.weight"] = torch.ones(2, 2)
        del weights["model.norm.weight"]

    changed(shutil.copytree(llama / "base", llama / "odd"), more)
    found = compare(*opened(llama, "odd", "base"))
    assert (found.added, found.missing) == (("model.backdoor.weight",), ("model.norm.weight",))
    assert Verdict(name="x", difference=found).word == "unexplained"


def test_a_weight_that_is_there_twice_is_refused_on_either_side(llama):
    name = DOWN.format(1)
    changed(shutil.copytree(llama / "base", llama / "twice"), lambda weights: weights.update({name[6:]: weights[name] + 1}))
    for pair in (("twice", "base"), ("base", "twice")):
        with pytest.raises(BadModel, match=r"^twice holds layers.1.* twice, as layers.1.* and as model.layers.1"):
            compare(*opened(llama, *pair))


def test_a_weight_of_more_than_two_axes_is_measured_as_a_matrix(llama):
    own = {name: llama / name for name in ("wide", "wider")}
    for n, folder in enumerate(own.values()):
        shutil.copytree(llama / "base", folder)
        changed(folder, lambda weights, n=n: weights.update({"model.layers.0.conv.weight": n + normal(3, 4, 5)}))
    (change,) = compare(*opened(llama, *own)).changes
    assert (change.shape, change.spectrum.rank, change.norm) == ((12, 5), 1, pytest.approx(60**0.5))


def test_a_longer_vocabulary_is_compared_as_far_as_both_go(llama):
    def longer(weights):
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            weights[name] = torch.cat([weights[name], torch.zeros(3, 32)])

    changed(shutil.copytree(llama / "base", llama / "longer"), longer)
    found = compare(*opened(llama, "longer", "base"))
    assert not found.changes and sorted(found.added) == [
        "lm_head.weight: rows 500 and more",
        "model.embed_tokens.weight: rows 500 and more",
    ]


def test_numbers_that_are_not_finite_are_said(llama):
    def spoil(weights):
        weights[DOWN.format(1)][0, 0] = torch.nan

    changed(shutil.copytree(llama / "base", llama / "nan"), spoil)
    found = compare(*opened(llama, "nan", "base"))
    assert "model.layers.1.mlp.down_proj.weight holds numbers that are not finite" in said(found)
    assert found.explained == 0 and not found.is_explained


def test_a_check_can_be_stopped(llama):
    with pytest.raises(Cancelled):
        compare(*opened(llama, "edited", "base"), cancel=lambda: True)


def test_every_shard_is_read(made, llama):
    save(made("llama")[1], llama / "shards", max_shard_size="60KB")
    (sharded,) = opened(llama, "shards")
    assert len(list(sharded.shards())) > 2 and sharded.stored.keys() == opened(llama, "base")[0].stored.keys()
    assert compare(*opened(llama, "shards", "base")).is_none


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "phi4"])
def test_fingerprint_is_the_one_of_the_loaded_model(made, kind):
    folder, *_ = made(kind)
    assert fingerprint_of(Checkpoint.open(folder / "base")) == LanguageModel.load(str(folder / "base")).fingerprint


# What cannot be checked


def _cut(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def _pickle(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def _index(folder: Path, weight_map: dict[str, str]) -> None:
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": weight_map}))


def _shards(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "model-1.safetensors")
    _index(folder, {"a.weight": "model-1.safetensors", "b.weight": "model-2.safetensors"})


def _misplaced(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "model-1.safetensors")
    _index(folder, {"a.weight": "model-1.safetensors"})


def _quantised(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": {"load_in_4bit": True}}))


def _integers(folder: Path) -> None:
    changed(folder, lambda weights: weights.update(a=torch.ones(2, dtype=torch.int8)))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "is no folder. Give the folder of a model"),
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "config.json").write_text("[]"), "cannot be read, or it names no model_type"),
        (lambda folder: (folder / WEIGHTS).unlink(), "has no weights: model.safetensors is not there"),
        (_pickle, "a pickle could run code"),
        (_cut, "it is cut off or damaged"),
        (_shards, "lacks 1 of its 2 files of weights, model-2.safetensors first"),
        (_misplaced, "a.weight of base is not where the index says"),
        (lambda folder: _index(folder, {"a": WEIGHTS}), "readers take one or the other"),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "an adapter beside its weights"),
        (_quantised, "holds quantised weights"),
        (_integers, "a of base is stored as I8"),
    ],
)
def test_a_folder_that_cannot_be_checked_says_why(llama, damage, said):
    damage(llama / "base")
    with pytest.raises(BadModel, match=said):
        opened(llama, "base")


def test_a_base_of_another_architecture_or_size_says_so(made, llama):
    (own,) = opened(llama, "base")
    with pytest.raises(BadModel, match=r"is a 'llama' model and .*'gpt2' model: they cannot be compared"):
        compare(own, Checkpoint.open(made("gpt2")[0] / "base"))
    config = json.loads((llama / "base" / "config.json").read_bytes())
    (llama / "edited" / "config.json").write_text(json.dumps(config))
    changed(llama / "edited", lambda weights: weights.update({DOWN.format(0): torch.ones(32, 65)}))
    with pytest.raises(BadModel, match="is 32 × 65, that of base 32 × 64: they are models of another size"):
        compare(*opened(llama, "edited", "base"))
    changed(llama / "edited", lambda weights: [weights.pop(name) for name in list(weights) if "layers.3" in name])
    with pytest.raises(BadModel, match="edited has 3 layers and base has 4"):
        compare(*opened(llama, "edited", "base"))


def test_a_shard_that_is_cut_off_after_it_was_opened_is_said(llama):
    own, base = opened(llama, "edited", "base")
    _cut(llama / "edited")
    with pytest.raises(BadModel, match=r"model.safetensors of edited cannot be read"):
        compare(own, base)


def test_a_folder_of_tensors_that_is_none_says_so(made, tmp_path):
    save_file({"x": torch.ones(1)}, tmp_path / "edits.safetensors")
    save_file({"0.LowRank.2.A": torch.ones(1, 64)}, tmp_path / "patches.safetensors")
    for read in (by_tensors, lambda folder: by_script(folder, made("llama")[1].arch)):
        with pytest.raises(BadFile, match="holds no edits that EditLab exported"):
            read(tmp_path)
