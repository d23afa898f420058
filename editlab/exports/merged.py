"""The weights of a model with edits written into them, one after another: never two copies of the model in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from accelerate.utils import align_module_device
from torch import Tensor

from editlab.errors import BadRequest
from editlab.exports.entry import Entry, edited, refuse_beside
from editlab.model import LanguageModel
from editlab.patches import Laid
from editlab.wording import noop


class Merged:
    """A model's weights under edits, as a checkpoint names them. Raises `BadRequest` for a quantised model.

    `stored`: what is written, by name; tensors without data where the weights are elsewhere until they are used.
    """

    def __init__(self, model: LanguageModel, entries: Sequence[Entry]) -> None:
        if model.quantization != "none":
            raise BadRequest(
                f"The model is held in {model.quantization}, into which no edit can be written. Make the edits over the "
                "model without quantisation (--quantization none) and export there, or export a PEFT adapter."
            )
        refuse_beside(entries, noop("A checkpoint"))
        tied = getattr(model.hf, "all_tied_weights_keys", None) or {}
        self.model = model
        self.stored: dict[str, Tensor] = {name: t for name, t in model.hf.state_dict().items() if name not in tied}
        laid = edited(entries).laid
        self._laid: Mapping[str, tuple[int, Laid]] = {
            f"{model.arch.name_of(layer)}.weight": (layer, own) for layer, own in laid.items()
        }

    @property
    def bytes(self) -> int:
        """The bytes of all weights as they are held."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.stored.values())

    @torch.no_grad()
    def __getitem__(self, name: str) -> Tensor:
        """Return one weight with the edits in it, on the CPU and in the model's precision."""
        return self.precise(name).to(self.stored[name].dtype).contiguous()

    @torch.no_grad()
    def precise(self, name: str) -> Tensor:
        """Return one weight with the edits in it, on the CPU; an edited one in float32, before it is rounded."""
        if name in self._laid:
            layer, laid = self._laid[name]
            W = self.model.weight(layer)
            W = (W + laid.dense().to(W.device)).cpu()
            return W.T if self.model.arch.transposed else W
        parent, _, leaf = name.rpartition(".")
        module = self.model.hf.get_submodule(parent)
        with align_module_device(module):
            return getattr(module, leaf).detach().cpu()
