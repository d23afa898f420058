"""What happens inside, on every architecture: the tables agree with the model itself, and nothing stays behind."""

from functools import cache

import pandas as pd
import pytest
import torch
from tiny_models import KINDS, hooks_of, random_view, tiny_model

from editlab import EditRequest, View
from editlab.errors import Cancelled
from editlab.insight import Question, attention, contributions, logit_lens
from editlab.model.behind import residual_multiplier
from editlab.patches import Mask, Preamble

REQUEST = EditRequest("The river runs to {} and then", "Slovenia", "people", "with")
LONG = "It was a long winter and the house stood by the river. " * 2 + REQUEST.text


@pytest.fixture(params=KINDS)
def model(request):
    return varied_model(request.param)


@cache
def varied_model(kind):
    """A random model whose norms and head have weights and biases of their own; untrained ones are ones and zeros."""
    model = tiny_model(kind)
    generator = torch.Generator().manual_seed(3)
    head, norm = model.hf.get_output_embeddings(), model.hf.get_submodule(model.arch.norm)
    for own in (norm.weight, getattr(norm, "bias", None), head.bias):
        if own is not None:
            own.data += 0.3 * torch.randn(own.shape, generator=generator)
    if model.arch.post_mlp_norm:
        for block in model.arch.block_list(model.hf):
            for name in (model.arch.post_mlp_norm, model.arch.post_attention_norm):
                weight = block.get_submodule(name).weight
                weight.data += 0.3 * torch.randn(weight.shape, generator=generator)
    return model


def views_of(model):
    edited, generator = random_view(model, 1), torch.Generator().manual_seed(0)
    mask = Mask(2, torch.rand(model.d_model, model.d_ff, generator=generator) > 0.2)
    return {"base": View.base(), "edited": edited, "masked": edited.with_patches([mask])}


def logits_of(model, view, at=1):
    """The model's own logits before soft-capping, `[vocab]`."""
    logits = model.logits([REQUEST.text], view, at="all")[0, -at].double()
    cap = getattr(model.hf.config, "final_logit_softcapping", None)
    return torch.atanh(logits / cap) * cap if cap else logits


def switched(model, kind):
    """The same under another attention, where the family has one."""
    if model.hf._supports_sdpa:
        model.hf.set_attn_implementation(kind)


@pytest.mark.parametrize("kind", ["sdpa", "eager"])
@pytest.mark.parametrize("at", [1, 4])
def test_contributions_sum_to_the_logits(model, at, kind, differences):
    question, before = Question.of(model, REQUEST, at=at), model.hf.config._attn_implementation
    switched(model, kind)
    frame = contributions(model, views_of(model), question)
    own = {view: logits_of(model, patches, at) for view, patches in views_of(model).items()}
    switched(model, before)
    sums = frame.groupby("view", sort=False)[["new", "true"]].sum()
    for view, logits in own.items():
        expected = logits[[question.new, question.true]]
        assert (torch.tensor(sums.loc[view].tolist()) - expected).abs().max() < 1e-3, view
        differences("contributions against the logit", torch.tensor(sums.loc[view].tolist()), expected, 1e-4)
    assert sums["new"].nunique() == 3, "the views differ, or the test shows nothing"


def test_contributions_name_every_part_that_the_family_has(model):
    frame = contributions(model, {"base": View.base()}, Question.of(model, REQUEST))
    parts = frame["part"].value_counts().to_dict()
    assert parts.pop("attention") == parts.pop("mlp") == model.n_layers
    expected = {"token embedding"}
    expected |= {"position embedding"} if model.arch.family == "gpt2" else set()
    expected |= {"norm bias"} if model.arch.family in ("gpt2", "gptj", "gpt_neox") else set()
    expected |= {"head bias"} if model.arch.family == "gptj" else set()
    assert set(parts) == expected
    biases = frame["part"].str.endswith("bias")
    assert frame.loc[biases, ["raw_new", "raw_true"]].isna().all(axis=None)
    assert frame.loc[~biases, ["raw_new", "raw_true"]].notna().all(axis=None)


def test_the_raw_form_is_the_product_of_an_output_with_the_unembedding(model, differences):
    question, found = Question.of(model, REQUEST), {}
    block = model.arch.block_list(model.hf)[1]
    handle = block.get_submodule(model.arch.post_mlp_norm or model.arch.mlp).register_forward_hook(
        lambda _module, _inputs, output: found.update(mlp=output[0, -1])
    )
    model.logits([REQUEST.text])
    handle.remove()
    frame = contributions(model, {"base": View.base()}, question).set_index(["part", "layer"])
    scale = residual_multiplier(model.hf) / getattr(model.hf.config, "logits_scaling", 1.0)
    expected = scale * model.hf.get_output_embeddings().weight[[question.new, question.true]] @ found["mlp"]
    own = torch.tensor(frame.loc[("mlp", 1), ["raw_new", "raw_true"]].tolist())
    differences("raw contributions", own, expected, 1e-5)


def test_the_lens_is_norm_and_head_on_what_the_model_calls_its_hidden_states(model, differences):
    views, question = views_of(model), Question.of(model, REQUEST)
    frame = logit_lens(model, views, question)
    ids = torch.tensor([model.tok.encode(REQUEST.text)])
    states = model.hf(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
    norm = model.hf.get_submodule(model.arch.norm)
    base = frame[frame["view"] == "base"]
    for layer in range(-1, model.n_layers - 1):
        p = model.head(norm(states[layer + 1])).softmax(-1)[0]
        own = base[base["layer"] == layer].sort_values("back", ascending=False)
        differences("lens, p of the new object", torch.tensor(own["p_new"].tolist()), p[:, question.new], 1e-4)
        differences("lens, p of the likeliest", torch.tensor(own["p_top"].tolist()), p.max(-1).values, 1e-4)
    for view, patches in views.items():
        last = frame[(frame["view"] == view) & (frame["layer"] == model.n_layers - 1) & (frame["back"] == 1)].iloc[0]
        logits = model.logits([REQUEST.text], patches)[0]
        own = torch.tensor([last["logit_new"], last["logit_true"]])
        differences("lens behind the last layer", own, logits[[question.new, question.true]], 1e-4)
        assert last["top"] == model.top(REQUEST.text, patches)[0][0]


def test_attention_is_what_the_model_itself_tells(model, differences):
    question, before = Question.of(model, REQUEST), model.hf.config._attn_implementation
    frame = attention(model, views_of(model), question)
    assert model.hf.config._attn_implementation == before
    ids = torch.tensor([model.tok.encode(REQUEST.text)])
    switched(model, "eager")
    weights = model.hf(input_ids=ids, output_attentions=True, use_cache=False).attentions
    again = attention(model, views_of(model), question)
    switched(model, before)
    place = ids.shape[1] - question.subject
    expected = torch.stack([own[0, :, -1, place] for own in weights])
    own = torch.tensor(frame.loc[frame["view"] == "base", "weight"].tolist()).view_as(expected)
    differences("attention to the subject", own, expected, 1e-5)
    pd.testing.assert_frame_equal(frame, again)
    assert frame.loc[frame["view"] == "edited", "weight"].tolist() != frame.loc[frame["view"] == "base", "weight"].tolist()


def test_a_view_in_company_is_as_alone_also_behind_a_preamble_and_a_long_text(model):
    question = Question.of(model, REQUEST, LONG)
    views = views_of(model) | {"told": View((Preamble("Slovenia is where all rivers end."),))}
    for table, values in ((logit_lens, ["p_new", "p_true"]), (contributions, ["new", "true"]), (attention, ["weight"])):
        together = table(model, views, question)
        for view, patches in views.items():
            alone = table(model, {view: patches}, question)
            own = together.loc[together["view"] == view, values].reset_index(drop=True)
            pd.testing.assert_frame_equal(own, alone[values], rtol=1e-3, atol=1e-4)


def test_nothing_stays_behind_also_where_it_is_cancelled_or_fails(model, monkeypatch):
    views, question, hashed = views_of(model), Question.of(model, REQUEST), model.weights_hash()
    before, hooks = model.hf.config._attn_implementation, hooks_of(model)  # transformers leaves some where it was asked
    for table in (logit_lens, contributions, attention):
        table(model, views, question)
        with pytest.raises(Cancelled):
            table(model, views, question, lambda: True)
    monkeypatch.setattr(model.hf.get_submodule(model.arch.norm), "forward", lambda _hidden: 1 / 0)
    for table in (logit_lens, contributions, attention):
        with pytest.raises(ZeroDivisionError):
            table(model, views, question)
    assert hooks_of(model) == hooks and model.weights_hash() == hashed
    assert model.hf.config._attn_implementation == before


def test_in_bfloat16_what_the_stream_rounds_off_is_a_row_of_its_own(model):
    rough = tiny_model(next(kind for kind in KINDS if varied_model(kind) is model), torch.bfloat16)
    question = Question.of(rough, REQUEST)
    frame = contributions(rough, {"base": View.base()}, question)
    lost = frame[frame["part"] == "rounding"]
    assert len(lost) == 1 and 0 < abs(lost["new"].iloc[0]) < 0.2
    expected = logits_of(rough, View.base())[question.new].item()
    assert abs(frame["new"].sum() - expected) < 0.02 * max(1.0, abs(expected))
