"""Every architecture in 8 and 4 bit, loaded as a person would load it: edited, masked, taken back, and its answers exact."""

from functools import cache

import pytest
import torch
from tiny_models import KINDS, TEXTS, hooks_of, random_view, save, tiny_model
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from editlab import EditRequest, LanguageModel, View, methods
from editlab.model import measuring
from editlab.model.weights import matrix_of
from editlab.patches import Mask

REQUEST = EditRequest("The river runs to {}", "Slovenia", "people")
OTHERS = ("The capital of Rome is", "The river runs to Slovenia", "Ana lives in the house and", "I")
LAYERS = (1, 2)
SETTINGS = {"clamp": 20.0, "kl": 0.0, "steps": 15}
CASES = [(kind, quantization) for kind in KINDS for quantization in ("4bit", "8bit")]


@pytest.fixture(scope="session")
def loaded(tmp_path_factory):
    """A quantised model of a kind and a float32 twin whose weights are what the quantised layers hold."""

    @cache
    def load(kind, quantization):
        folder = tmp_path_factory.mktemp(f"{kind}-{quantization}")
        whole = tiny_model(kind)
        save(whole, folder)
        options = {"quantization": quantization, "start": str(whole.start) or "none"}
        model = LanguageModel.load(str(folder), dtype="float32", device="cpu", **options)
        model.statistics = (folder / "statistics",)
        twin = LanguageModel(
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), whole.tokenizer, start=whole.start
        )
        for name, module in twin.hf.named_modules():
            if isinstance(module, nn.Linear | Conv1D) and module is not twin.hf.get_output_embeddings():
                W = matrix_of(model.hf.get_submodule(name))
                module.weight.data = (W.T if isinstance(module, Conv1D) else W).contiguous()
        return whole, model, twin

    return load


TUNED = {"learning_rate": 0.02, "norm_constraint": 1.0, "epochs": 20}
OWN = {
    "ultraedit": {"learning_rate": 0.05},
    "kn": {"steps": 10, "add": 20.0},
    **dict.fromkeys(("ft_l", "ft_m", "locft_bf"), TUNED),
}
"""What a method needs beyond `SETTINGS`."""


@pytest.mark.parametrize(("kind", "quantization"), CASES)
def test_an_edit_over_quantised_weights_holds_and_leaves_nothing(loaded, kind, quantization):
    whole, model, _ = loaded(kind, quantization)
    assert model.checkpoint == whole.checkpoint and model.fingerprint.startswith(f"{whole.checkpoint}-{quantization}")
    before, hashed = model.logits(OTHERS), model.weights_hash()
    text = (TEXTS / "chapter1.txt").read_text(encoding="utf-8")
    measuring.collect(model, LAYERS, text, 1000, model.statistics[0])
    for name, method in methods.METHODS.items():
        if method.group == "tell":
            continue
        layers = LAYERS if hasattr(method.config, "spread") else LAYERS[:1]
        given = {"layers": layers, **SETTINGS, "preserved": 1.0, "energy": 0.3, **OWN.get(name, {})}
        given = {setting: value for setting, value in given.items() if setting in method.config.__pydantic_fields__}
        config = methods.config_for(name, model, **given)
        edited = method.edit(model, [REQUEST], config=config)
        view = View.base().with_patches(edited)
        old, new = model.score([REQUEST.text] * 2, [REQUEST.target_new] * 2, [View.base(), view])
        assert new.p > 5 * old.p, name
    assert torch.equal(model.logits(OTHERS), before)
    assert model.weights_hash() == hashed and hooks_of(model) == 0


@pytest.mark.parametrize(("kind", "quantization"), CASES)
def test_views_over_quantised_weights_answer_as_over_the_same_weights_in_float32(loaded, kind, quantization, differences):
    _, model, twin = loaded(kind, quantization)
    kept = torch.rand(model.d_model, model.d_ff, generator=torch.Generator().manual_seed(3)) > 0.3
    edits = random_view(model, 1)
    tolerance = 1e-4 if quantization == "4bit" else 0.1  # in 8 bit, activations are rounded too
    for name, view in (("base", View.base()), ("edits", edits), ("mask", edits.with_patches([Mask(1, kept)]))):
        differences(f"{quantization}, {name}, against its weights in float32", *_both(model, twin, view), tolerance)


def _both(model, twin, view):
    return model.logits(OTHERS, view), twin.logits(OTHERS, view)
