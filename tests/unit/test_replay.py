"""A replay runs a part of the model; these tests hold it against all of the model, without padding, cache or replay."""

from contextlib import contextmanager

import pytest
import torch
from tiny_models import KINDS, precise_model, random_view

from editlab.model import Located
from editlab.model.overlay import first_of, laid_over
from editlab.model.replay import replay
from editlab.patches import BASE

TEXTS = ("I", "Slovenia belongs to the continent of Europe and", "The river runs to the sea. Paris is the capital of")
LAYER = 1


@contextmanager
def added(module, index, delta):
    """A plain hook: `delta` on top of the module's output at one token of every row."""

    def hook(_module, _inputs, output):
        hidden = first_of(output)
        there = torch.zeros(hidden.shape[1], 1, dtype=hidden.dtype)
        there[index] = 1
        hidden = hidden + there * delta.to(hidden.dtype)
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def rows_of(model):
    """Rows of different lengths whose located tokens stand at the start, in the middle and at the end."""
    ids = [tuple(model.tok.encode(text)) for text in TEXTS]
    return [Located(ids[0], 0), Located(ids[1], 4), Located(ids[2], 0), Located(ids[2], 9), Located(ids[1], len(ids[1]) - 1)]


def whole(model, row, hook, delta):
    """Logits `[tokens, vocab]` from the located token on: the full model on the bare row."""
    part = model.arch.mlp_of(model.hf, LAYER) if hook == "mlp" else model.arch.block_list(model.hf)[LAYER]
    with added(part, row.index, delta):
        return model.hf(input_ids=torch.tensor([row.ids]), use_cache=False).logits[0, row.index :]


def replayed(model, rows, hook, deltas, view=BASE):
    """The same by a replay of all rows in one batch."""
    played = replay(model, rows, LAYER, view)
    start = played.with_value(deltas) if hook == "mlp" else played.with_residual(deltas)
    places = [(row, column) for row, located in enumerate(rows) for column in range(len(located.ids) - located.index)]
    return played.finish(start, *torch.tensor(places).T)


def random_deltas(model, rows):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(rows), model.d_model, generator=generator, dtype=torch.float32)


@pytest.mark.parametrize("hook", ["mlp", "block"])
@pytest.mark.parametrize("kind", KINDS)
def test_replay_equals_the_full_model(kind, hook, differences):
    model = precise_model(kind)
    rows = rows_of(model)
    deltas = random_deltas(model, rows)
    full = torch.cat([whole(model, row, hook, delta) for row, delta in zip(rows, deltas, strict=True)])
    unchanged = torch.cat([whole(model, row, hook, 0 * delta) for row, delta in zip(rows, deltas, strict=True)])
    assert (full - unchanged).abs().max() > 0.5
    differences("replay", replayed(model, rows, hook, deltas), full, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_reading_a_few_positions_gives_what_reading_all_of_them_gives(kind, differences):
    model = precise_model(kind)
    rows = rows_of(model)
    played = replay(model, rows, LAYER, BASE)
    start = played.with_value(random_deltas(model, rows))
    read, columns = torch.tensor([3, 1, 4]), torch.tensor([len(rows[3].ids) - 10, 0, 0])
    everywhere = torch.tensor([(row, column) for row in range(len(rows)) for column in range(start.shape[1])])
    full = played.finish(start, *everywhere.T).view(len(rows), start.shape[1], -1)
    differences("replay: few reads against all", played.finish(start, read, columns), full[read, columns], 1e-5)


@pytest.mark.parametrize("width", [1, 4, 5, 6, 7, 12])
@pytest.mark.parametrize("kind", ["mistral_window", "gemma2"])
def test_a_window_of_six_is_right_for_prefixes_of_any_width(kind, width, differences):
    model = precise_model(kind)
    ids = tuple(model.tok.encode(TEXTS[2]))
    rows = [Located(ids, width), Located(ids[:9], 1), Located(ids[:14], width - 1)]
    deltas = random_deltas(model, rows)
    full = torch.cat([whole(model, row, "block", delta) for row, delta in zip(rows, deltas, strict=True)])
    differences("replay: sliding window", replayed(model, rows, "block", deltas), full, 1e-5)


@pytest.mark.parametrize("hook", ["mlp", "block"])
@pytest.mark.parametrize("kind", KINDS)
def test_replay_has_the_gradient_of_the_full_model(kind, hook, differences):
    model = precise_model(kind)
    rows = rows_of(model)
    deltas = random_deltas(model, rows).requires_grad_()
    with torch.enable_grad():
        full = torch.cat([whole(model, row, hook, delta) for row, delta in zip(rows, deltas, strict=True)])
        weights = torch.randn(full.shape, generator=torch.Generator().manual_seed(2))
        (expected,) = torch.autograd.grad((full * weights).sum(), deltas)
        (found,) = torch.autograd.grad((replayed(model, rows, hook, deltas) * weights).sum(), deltas)
    differences("replay: gradient", found, expected, 1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neox"])
def test_replay_runs_under_the_view_it_was_made_for(kind, differences):
    model = precise_model(kind)
    rows = rows_of(model)
    deltas = random_deltas(model, rows)
    view = random_view(model, 1)
    under_view = replayed(model, rows, "mlp", deltas, view)
    with torch.no_grad(), laid_over(model.hf, model.arch, view):
        full = torch.cat([whole(model, row, "mlp", delta) for row, delta in zip(rows, deltas, strict=True)])
    assert (full - replayed(model, rows, "mlp", deltas)).abs().max() > 0.5
    differences("replay: under a view", under_view, full, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_replay_keeps_key_value_and_output_at_the_located_token(kind, differences):
    model = precise_model(kind)
    rows = rows_of(model)
    played = replay(model, rows, LAYER, BASE)
    seen: dict[str, list[torch.Tensor]] = {"key": [], "value": [], "mlp": [], "residual": []}
    for row in rows:
        projection, mlp = model.arch.projection_of(model.hf, LAYER), model.arch.mlp_of(model.hf, LAYER)
        block = model.arch.block_list(model.hf)[LAYER]

        def take(_module, inputs, output, index=row.index):
            seen["key"].append(inputs[0][0, index])
            seen["value"].append(output[0, index])

        handles = [
            projection.register_forward_hook(take),
            mlp.register_forward_hook(lambda *a, i=row.index: seen["mlp"].append(first_of(a[2])[0, i])),
            block.register_forward_hook(lambda *a, i=row.index: seen["residual"].append(first_of(a[2])[0, i])),
        ]
        model.hf(input_ids=torch.tensor([row.ids]), use_cache=False)
        for handle in handles:
            handle.remove()
    differences("replay: keys", played.key, torch.stack(seen["key"]), 1e-5)
    differences("replay: values", played.value, torch.stack(seen["value"]), 1e-5)
    differences("replay: MLP outputs", played.mlp, torch.stack(seen["mlp"]), 1e-5)
    differences("replay: residuals", played.residual[:, 0], torch.stack(seen["residual"]), 1e-5)
