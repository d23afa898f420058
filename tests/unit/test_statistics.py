"""Second moments of keys: measured right, kept under a name that says all, read back or refused."""

import json
import os
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import TEXTS, hooks_of, tiny_model

from editlab.errors import BadFile, Cancelled, MissingStatistics
from editlab.model import LanguageModel, measuring, statistics
from editlab.model.measuring import collect, collecting
from editlab.model.start import Start
from editlab.model.statistics import KeyStatistics, find, measured_layers, need, read
from editlab.settings import Settings

TEXT = (TEXTS / "chapter1.txt").read_text(encoding="utf-8")


def model_in(folder, kind="llama"):
    model = tiny_model(kind)
    model.statistics = (folder,)
    return model


def plain_second_moment(model, layer, text, tokens):
    """C in float64 from the plain model: all lines' tokens in a row, in windows that begin with the BOS token."""
    bos = model.tokenizer("")["input_ids"]
    ids = [i for line in text.splitlines() for i in model.tokenizer(line, add_special_tokens=False)["input_ids"]][:tokens]
    size, keys = 256 - len(bos), []
    module = model.arch.projection_of(model.hf, layer)
    handle = module.register_forward_hook(lambda _module, inputs, _output: keys.append(inputs[0][0].double()))
    for start in range(0, len(ids), size):
        model.hf(input_ids=torch.tensor([[*bos, *ids[start : start + size]]]))
    handle.remove()
    keys = torch.cat(keys)
    return keys.T @ keys / len(keys), len(keys)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "mistral", "mistral_window", "gptj"])
def test_the_second_moment_is_the_mean_of_outer_products(kind, tmp_path, differences):
    model = model_in(tmp_path, kind)
    found = collect(model, [0, 2], TEXT, 700, tmp_path)
    for measured in found:
        C, tokens = plain_second_moment(model, measured.layer, TEXT, 700)
        assert measured.tokens == tokens
        differences("second moment", measured.second_moment, C, 1e-5)
    assert [measured.layer for measured in found] == [0, 2]
    assert hooks_of(model) == 0


def test_what_was_measured_is_read_and_not_measured_again(tmp_path):
    model = model_in(tmp_path)
    (first,) = collect(model, [1], TEXT, 300, tmp_path)
    model.hf.base_model.register_forward_pre_hook(lambda *_: pytest.fail("the model ran again"))
    before = first.path.stat().st_ino
    (again,) = collect(model, [1], TEXT, 300, tmp_path)
    assert (again.path, again.sha256, again.tokens) == (first.path, first.sha256, first.tokens)
    assert again.path.stat().st_ino == before
    assert torch.equal(again.second_moment, first.second_moment)
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]


def test_whatever_shapes_a_measurement_gives_it_another_file(tmp_path):
    model = model_in(tmp_path)
    paths = {
        collect(*arguments)[0].path
        for arguments in (
            (model, [1], TEXT, 300, tmp_path),
            (model, [2], TEXT, 300, tmp_path),
            (model, [1], TEXT[5:], 300, tmp_path),
            (model, [1], TEXT, 301, tmp_path),
            (tiny_model("llama", seed=1), [1], TEXT, 300, tmp_path),
            (tiny_model("llama", torch.bfloat16), [1], TEXT, 300, tmp_path),
        )
    }
    assert len(paths) == 6


def age(path, seconds):
    """Let a file have been written so many seconds ago."""
    os.utime(path, (then := time.time() - seconds, then))


def test_the_users_own_newest_statistics_are_read_before_bundled_ones(tmp_path):
    bundled, nothing, own = tmp_path / "bundled", tmp_path / "nothing", tmp_path / "own"
    model = tiny_model("llama")
    model.statistics = (bundled, nothing, own)
    (shipped,) = collect(model, [1], TEXT, 400, bundled)
    assert find(model, 1).path == shipped.path
    (samples,) = collect(model, [1], None, 200, own)
    age(samples.path, 100)
    (text,) = collect(model, [1], TEXT, 200, own)
    assert samples.tokens > text.tokens, "samples overshoot what is asked for, a text is cut there"
    age(text.path, 50)
    age(shipped.path, 0)
    assert find(model, 1).path == text.path and statistics.describe(model, 1)["source"] == statistics.source_of(TEXT, 0)
    assert find(model, 1) is find(model, 1)
    (again,) = collect(model, [1], None, 200, own)
    assert find(model, 1).path == again.path == samples.path, "measured last, though it was there"
    assert find(model, 0) is None
    assert find(tiny_model("llama", seed=1), 1) is None


def test_the_model_can_write_its_own_text(tmp_path):
    model = model_in(tmp_path)
    (own,) = collect(model, [1], None, 400, tmp_path, seed=3)
    (twin,) = collect(tiny_model("llama"), [1], None, 400, tmp_path / "twin", seed=3)
    assert own.tokens >= 400
    assert own.path.name == twin.path.name
    assert torch.equal(own.second_moment, twin.second_moment)
    assert collect(model, [1], None, 400, tmp_path, seed=4)[0].path != own.path


def test_missing_statistics_are_refused_with_the_command_that_measures_them(tmp_path):
    with pytest.raises(MissingStatistics) as refused:
        need(model_in(tmp_path), 3, "MEMIT")
    assert "MEMIT needs key statistics of layer 3" in str(refused.value)
    assert "editlab stats --model tiny llama --layers 3 --self" in str(refused.value)


def damaged(path, how):
    """One file of statistics, damaged in one way."""
    whole = path.read_bytes()
    header = json.dumps({"layer": 1, "d_ff": 64, "tokens": 9, "seconds": 1.0})
    match how:
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case "empty":
            path.write_bytes(b"")
        case "other bytes":
            path.write_bytes(b"no tensors here" * 50)
        case "no header":
            save_file({"lower_triangle": torch.zeros(64 * 65 // 2)}, path)
        case "header is no JSON":
            save_file({"lower_triangle": torch.zeros(64 * 65 // 2)}, path, {"editlab": "{"})
        case "header lacks a field":
            save_file({"lower_triangle": torch.zeros(64 * 65 // 2)}, path, {"editlab": "{}"})
        case "other tensor":
            save_file({"other": torch.zeros(3)}, path, {"editlab": header})
        case "other size":
            save_file({"lower_triangle": torch.zeros(3)}, path, {"editlab": header})


DAMAGES = [
    "cut",
    "empty",
    "other bytes",
    "no header",
    "header is no JSON",
    "header lacks a field",
    "other tensor",
    "other size",
]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_refused_by_name(how, tmp_path):
    model = model_in(tmp_path)
    (measured,) = collect(model, [1], TEXT, 200, tmp_path)
    damaged(measured.path, how)
    for ask in (lambda: read(measured.path), lambda: find(model, 1), lambda: collect(model, [1], TEXT, 200, tmp_path)):
        with pytest.raises(BadFile, match=measured.path.name):
            ask()


def test_cancelling_at_once_leaves_no_file(tmp_path):
    for text in (TEXT, None):
        with pytest.raises(Cancelled, match="Measure again"):
            collect(model_in(tmp_path), [1], text, 200, tmp_path, cancel=lambda: True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [TEXT, None])
@pytest.mark.parametrize("looks", [1, 2, 3])
def test_a_stopped_measurement_goes_on_and_ends_as_if_it_had_never_stopped(text, looks, tmp_path, monkeypatch):
    """It is stopped at every `looks`-th look: while the model writes, while it reads, and once in each of its windows."""
    model = model_in(tmp_path)
    model.tokens_per_forward = 4 * 256  # a window a forward
    (whole,) = collect(model, [1], text, 2300, tmp_path / "whole")
    written, samples = [], measuring._samples
    monkeypatch.setattr(measuring, "_samples", lambda *given: written.append(1) or samples(*given))
    stops = 0
    while stops < 60:
        left = iter([False] * looks)
        try:
            (parts,) = collect(model, [1], text, 2300, tmp_path / "parts", cancel=lambda left=left: next(left, True))
            break
        except Cancelled:
            stops += 1
    assert stops >= 1
    assert (parts.tokens, parts.path.name) == (whole.tokens, whole.path.name)
    assert torch.equal(parts.factor, whole.factor) and parts.quality == whole.quality
    assert len(written) * 32 * 96 < 2300 * 3  # nothing was written twice
    assert [path.name for path in (tmp_path / "parts").iterdir()] == [whole.path.name]


def test_a_damaged_file_of_unfinished_work_counts_as_nothing(tmp_path):
    model = model_in(tmp_path)
    looks = iter([False, False])
    with pytest.raises(Cancelled):
        model.tokens_per_forward = 4 * 256
        collect(model, [1], TEXT, 1500, tmp_path, cancel=lambda: next(looks, True))
    (unfinished,) = tmp_path.iterdir()
    unfinished.write_bytes(unfinished.read_bytes()[:50])
    (measured,) = collect(model, [1], TEXT, 1500, tmp_path)
    assert torch.equal(measured.factor, collect(model, [1], TEXT, 1500, tmp_path / "whole")[0].factor)


def test_the_quality_is_how_much_farther_keys_of_an_unseen_text_lie(tmp_path):
    """The judged windows by hand: each left out of C, in float64."""
    model = model_in(tmp_path)
    (measured,) = collect(model, [1], TEXT, 1000, tmp_path)
    bos = model.tokenizer("")["input_ids"]
    ids = [i for line in TEXT.splitlines() for i in model.tokenizer(line, add_special_tokens=False)["input_ids"]][:1000]
    size = 256 - len(bos)
    windows = [[*bos, *ids[start : start + size]] for start in range(0, len(ids), size)]
    keys = [k.double() for _, k in (pair for w in windows for pair in model.keys_everywhere([w], 1))]
    every, n = torch.cat(keys), sum(map(len, keys))
    ridge = statistics.RIDGE * (every.T @ every).diagonal().mean() * torch.eye(64, dtype=torch.float64)
    chosen = keys[:: max(1, len(keys) // measuring.JUDGED)]

    def distance(K, rest):
        return (K @ torch.linalg.inv(rest.T @ rest + ridge) * K).sum() * n

    with_it = sum(distance(K, every) for K in chosen)
    without = sum(distance(K, torch.cat([other for other in keys if other is not K])) for K in chosen)
    assert measured.quality == pytest.approx(float(without / with_it), rel=1e-3)
    (more,) = collect(model, [1], TEXT, 6000, tmp_path)
    assert 1 < more.quality < measured.quality


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_text_is_refused(text, tmp_path):
    with pytest.raises(BadFile, match="empty"):
        collect(model_in(tmp_path), [1], text, 200, tmp_path)


def test_progress_runs_up_to_one(tmp_path):
    seen = []
    collect(model_in(tmp_path), [1], None, 300, tmp_path, progress=lambda fraction, _text: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_whitening_solves_with_the_ridge(tmp_path, differences):
    (measured,) = collect(model_in(tmp_path), [1], TEXT, 500, tmp_path)
    C = measured.second_moment.double()
    regular = C + statistics.RIDGE * C.diagonal().mean() * torch.eye(len(C), dtype=torch.float64)
    keys = torch.randn(3, len(C), generator=torch.Generator().manual_seed(1))
    differences("C^-1 k", measured.whiten(keys), torch.linalg.solve(regular, keys.double().T).T, 1e-4)


def test_a_ridge_makes_the_second_moment_of_few_keys_invertible():
    few = torch.randn(3, 8)
    measured = KeyStatistics.of(0, few.T @ few / 3, 3)
    assert torch.isfinite(measured.whiten(torch.randn(2, 8))).all()


def test_a_small_file_has_half_the_bytes_and_whitens_alike(tmp_path, differences):
    """Against float64: what 16 bits leave of C moves an edit's direction by less than its own rounding would show."""
    model = model_in(tmp_path)
    (whole,) = collect(model, [1], TEXT, 1000, tmp_path / "whole")
    (small,) = collect(model, [1], TEXT, 1000, tmp_path / "small", small=True)
    C, tokens = plain_second_moment(model, 1, TEXT, 1000)
    differences("second moment in 16 bits", small.second_moment, C, 1e-3)
    regular = C + statistics.RIDGE * C.diagonal().mean() * torch.eye(len(C), dtype=torch.float64)
    keys = torch.randn(16, len(C), generator=torch.Generator().manual_seed(1))
    found, expected = small.whiten(keys).double(), torch.linalg.solve(regular, keys.double().T).T
    assert torch.cosine_similarity(found, expected).min() > 0.9999
    assert (small.tokens, small.path.name, small.quality) == (tokens, whole.path.name, whole.quality)
    assert small.path.stat().st_size < 0.65 * whole.path.stat().st_size


def test_a_key_that_is_never_used_has_no_correlation(tmp_path):
    C = torch.diag(torch.tensor([4.0, 0.0, 1.0]))
    path = tmp_path / "one.safetensors"
    statistics.write(path, 0, C, {"tokens": 9, "seconds": 1.0}, small=True)
    assert torch.allclose(read(path).second_moment, C, atol=1e-6)


def test_statistics_behind_one_start_are_not_taken_for_those_behind_another(tmp_path):
    model = model_in(tmp_path, "qwen2")
    behind = replace(model, start=Start("</s>", space=True), memo={})
    (plain,) = collect(model, [1], TEXT, 300, tmp_path)
    assert find(behind, 1) is None and measured_layers(behind) == []
    (own,) = collect(behind, [1], TEXT, 300, tmp_path)
    assert find(behind, 1).path == own.path != plain.path and measured_layers(behind) == [1]
    assert find(model, 1).path == plain.path
    assert not torch.allclose(own.second_moment, plain.second_moment)


def test_a_measurement_gives_the_model_away_after_each_window(tmp_path):
    model = model_in(tmp_path)
    calls = []
    model.hf.base_model.register_forward_pre_hook(lambda *_: calls.append(1))
    steps = [len(calls) for _ in collecting(model, [1], TEXT, 1000, tmp_path)]
    assert steps == [1, 2, 3, 4, 4]  # four windows, then the file


def test_a_measurement_that_is_closed_goes_on_from_there(tmp_path):
    model = model_in(tmp_path)
    (whole,) = collect(model, [1], TEXT, 1000, tmp_path / "whole")
    parts = collecting(model, [1], TEXT, 1000, tmp_path / "parts")
    next(parts), next(parts)
    parts.close()
    model.hf.base_model.register_forward_pre_hook(lambda *_: calls.append(1))
    calls = []
    (again,) = collect(model, [1], TEXT, 1000, tmp_path / "parts")
    assert len(calls) == 2 and torch.equal(again.factor, whole.factor)


def test_a_model_finds_what_any_folder_of_the_presets_brings(tmp_path, saved_model):
    presets, data = tmp_path / "presets", tmp_path / "data"
    settings = Settings(model=str(saved_model), presets=presets, data=data)
    collect(
        LanguageModel.load(str(saved_model), settings=settings), [2], TEXT, 300, presets / "some" / "statistics", small=True
    )
    model = LanguageModel.load(str(saved_model), settings=settings)
    assert measured_layers(model) == [2] and find(model, 2).path.parent == presets / "some" / "statistics"
    assert model.statistics[-1] == data / "statistics"
