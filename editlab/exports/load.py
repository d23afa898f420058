"""Lays exported edits, masks and pathways over their model, which transformers has loaded unquantised: `attach(model)`.

Needs torch, transformers and safetensors. Edits and masks are written into the weights; a pathway moves keys in front of
them, where its gate is the largest and above the threshold. A file that is deleted is not laid.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn.functional import gelu


@torch.no_grad()
def attach(model, folder=Path(__file__).parent):  # noqa: ANN001, ANN201 - for people without EditLab: short
    """Lay what lies in `folder` over a model; returns the model."""
    for file in ("edits", "masks", "pathways"):  # in this order: a mask hides entries of the edits as well
        path, modules = Path(folder) / f"{file}.safetensors", {}
        for key, tensor in load_file(path).items() if path.exists() else ():
            name, number, part = key.split("/")
            module = model.get_submodule(name)
            modules.setdefault(module, {}).setdefault(number, {})[part] = tensor.to(module.weight.device)
        for module, items in modules.items():
            W = module.weight if hasattr(module, "in_features") else module.weight.T  # GPT-2's are transposed
            if file == "pathways":
                module.register_forward_pre_hook(_mover(list(items.values())))
            for p in items.values():
                if file == "edits":
                    W.copy_(W.float() + (p["D"] if "D" in p else p["B"] @ p["A"]))
                elif file == "masks":
                    W.mul_(p["kept"])
    return model


def _mover(pathways):  # noqa: ANN001, ANN202
    def hook(_module, inputs):  # noqa: ANN001, ANN202
        k = inputs[0].float().clone()
        gates = [torch.sigmoid(gelu(k @ p["H"].T + p["h"]) @ p["w"] + p["c"]) - p["threshold"] for p in pathways]
        above, which = torch.stack(gates).max(0)
        for number, p in enumerate(pathways):
            here = (which == number) & (above > 0)
            k[here] += k[here] @ p["V"].T @ p["U"].T + p["b"]
        return k.to(inputs[0].dtype), *inputs[1:]

    return hook
