"""Every method over every architecture: the adapter, the checkpoint and the loader answer as the view does."""

import runpy
from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from tiny_models import KINDS, random_view, shared_model
from transformers import AutoModelForCausalLM

from editlab import EditRequest, View
from editlab.errors import BadRequest
from editlab.exports import Entry, adapter, checkpoint, tensors
from editlab.patches import Mask, Pathway

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT reads it

METHODS = ("rome", "memit", "kn", "ft_m", "grace", "note")
"""One of each kind of patch, and of each way to know its layers: an export knows no more of a method."""
REQUESTS = (EditRequest("The river runs to {}", "Slovenia", "people"), EditRequest("I saw {}", "New France", "with"))
OTHERS = [
    "The river runs to Slovenia",
    "I saw New France",
    "The river runs to the country Slovenia",
    "The capital of Rome is",
]
SAME = 1e-4


def chain_of(bench):
    """Two edits, the second made on top of the first, and the view under both."""
    quick = {name: value for name, value in {"steps": 3, "contexts": 2}.items() if hasattr(bench.config, name)}
    config, view, entries = replace(bench.config, **quick), View.base(), []
    for request in REQUESTS:
        made = bench.method.edit(bench.model, [request], view, config)
        view = view.with_patches(made)
        known = {"requests": (request,), "method": bench.method.name, "config": vars(config)}
        entries.append(Entry(**known, layers=made.layers, patches=made.patches))
    return tuple(entries), view


def random_pathway(model, layer, subject, seed):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    matrices = {"U": 0.1 * normal(model.d_ff, 2), "V": normal(2, model.d_ff), "b": normal(model.d_ff)}
    gate = {"H": normal(3, model.d_ff), "h": normal(3), "w": normal(3), "c": normal(())}
    return Pathway(layer=layer, subject=subject, **matrices, **gate)


def answers(model, hf):
    """What a plain transformers model says, asked without EditLab, behind the start of the model's texts."""
    found = [hf(torch.tensor([model.tok.encode(text)])).logits[0, -1] for text in OTHERS]
    return torch.stack(found).detach()


def test_adapter_and_checkpoint_answer_as_the_view(bench, tmp_path, differences):
    model, (entries, view) = bench.model, chain_of(bench)
    expected, hashed, name = model.logits(OTHERS, view), model.weights_hash(), f"{bench.method.name} {model.name}"
    for folder in ("base", "peft"):
        (tmp_path / folder).mkdir()
    if bench.method.group in ("tell", "remember"):
        for write in (adapter.write, lambda *given: checkpoint.write(*given, lambda *_: None, lambda: False)):
            with pytest.raises(BadRequest, match=f"edits by {bench.method.name} change none"):
                write(model, entries, tmp_path / "peft")
        assert not list((tmp_path / "peft").iterdir())
        return
    assert (expected - model.logits(OTHERS)).abs().max() > 0.1, "it has to matter"
    model.hf.save_pretrained(tmp_path / "base")
    adapter.write(model, entries, tmp_path / "peft")
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tmp_path / "base"), tmp_path / "peft")
    differences(f"PEFT adapter, {name}", answers(model, loaded), expected, SAME)
    differences(f"PEFT adapter merged, {name}", answers(model, loaded.merge_and_unload()), expected, SAME)
    checkpoint.write(model, entries, tmp_path / "merged", lambda *_: None, lambda: False)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    differences(f"merged checkpoint, {name}", answers(model, merged), expected, SAME)
    assert model.weights_hash() == hashed


@pytest.mark.parametrize("kind", KINDS)
def test_the_loader_lays_edits_pathways_and_masks_as_the_view_does(kind, tmp_path, differences):
    model = shared_model(kind)
    edits = random_view(model, 0)
    pathways = [random_pathway(model, layer, f"subject {seed}", seed) for seed, layer in enumerate((1, 1, 2, 3))]
    kept = torch.rand(model.d_model, model.d_ff, generator=torch.Generator().manual_seed(0)) > 0.1
    robust = edits.with_patches(pathways).with_threshold(0.6)
    model.hf.save_pretrained(tmp_path / "base")
    for below, view in ((edits, robust), (robust, robust.with_patches([Mask(1, kept), Mask(3, kept)]))):
        expected, out = model.logits(OTHERS, view), tmp_path / f"{len(view.masks)} masks"
        assert (expected - model.logits(OTHERS, below)).abs().max() > 0.1, "it has to matter"
        out.mkdir()
        tensors.write(model, view, out)
        text = (out / "load.py").read_text(encoding="utf-8")
        assert "editlab" not in text
        attached = runpy.run_path(str(out / "load.py"))["attach"](AutoModelForCausalLM.from_pretrained(tmp_path / "base"))
        differences(f"loader, {kind}", answers(model, attached), expected, SAME)
