"""LoRA folders as strangers may give them: matrices and settings that fit nothing are refused in a sentence."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from editlab.errors import BadModel
from editlab.model import lora
from editlab.model.source import find
from editlab.settings import Settings

MODULE = "model.layers.0.mlp.down_proj"
A, B = torch.ones(2, 8), torch.ones(6, 2)


def written(folder: Path, matrices: dict[str, tuple[torch.Tensor, torch.Tensor]], **settings: object) -> lora.Adapter:
    """Write matrices by module, and settings, and read them."""
    sides = [(f"{name}.lora_{side}.weight", pair[n]) for name, pair in matrices.items() for n, side in enumerate("AB")]
    save_file({name: own.clone() for name, own in sides}, folder / lora.WEIGHTS)
    (folder / lora.CONFIG).write_text(json.dumps({"base_model_name_or_path": "a/b", "lora_alpha": 4, **settings}))
    return lora.read("own", folder)


def test_a_product_is_scaled_as_peft_scales_it(tmp_path):
    own = written(tmp_path, {f"{lora.PREFIX}{MODULE}": (A, B)}, alpha_pattern={"mlp.down_proj": 6}, use_rslora=True)
    ((name, (_, scaled)),) = own.pairs().items()
    assert name == f"{MODULE}.weight" and torch.equal(scaled, B * (6 / 2**0.5))


def test_adapters_of_which_each_is_the_others_base_are_refused(tmp_path):
    for own, other in ("ab", "ba"):
        (tmp_path / own).mkdir()
        written(tmp_path / own, {MODULE: (A, B)}, base_model_name_or_path=str(tmp_path / other))
    with pytest.raises(BadModel, match=r"its base model .* cannot be had: .* that is the LoRA itself\."):
        find(str(tmp_path / "a"), Settings(data=tmp_path / "data"))


def test_matrices_of_one_weight_under_two_names_are_refused(tmp_path):
    own = written(tmp_path, {f"{lora.PREFIX}{MODULE}": (A, B), MODULE: (A, B)})
    with pytest.raises(BadModel, match=f"holds the matrices of {MODULE}.weight twice"):
        own.pairs()


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ((torch.zeros(0, 8), torch.zeros(6, 0)), "A is 0 × 8 and B 6 × 0"),
        ((A, torch.ones(6, 3)), "A is 2 × 8 and B 6 × 3"),
        ((torch.ones(8), B), "A is 8 and"),
        ((torch.ones(2, 8, 3), B), "A is 2 × 8 × 3 and"),
        ((torch.tensor(1.0), B), "A is a single number and"),
    ],
)
def test_matrices_that_cannot_be_multiplied_are_refused(pair, said, tmp_path):
    with pytest.raises(BadModel, match=f"The matrices of {MODULE}.weight in own cannot be multiplied: {said}"):
        written(tmp_path, {MODULE: pair}).pairs()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lora_alpha": "16"}, "lora_alpha: "),
        ({"lora_alpha": None}, "lora_alpha: "),
        ({"lora_alpha": float("nan")}, "lora_alpha: "),
        ({"alpha_pattern": {"(": 3}}, r"alpha_pattern.*'\(' is no regular expression"),
        ({"alpha_pattern": ["x"]}, "alpha_pattern: "),
        ({"base_model_name_or_path": 5000 * "x"}, "base_model_name_or_path: "),
        ({"base_model_name_or_path": ["x"]}, "base_model_name_or_path: "),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said, tmp_path):
    with pytest.raises(BadModel, match=f"^adapter_config.json of own cannot be used: {said}.*Save the adapter anew"):
        written(tmp_path, {MODULE: (A, B)}, **settings)
