"""What stands between an MLP and the residual stream: nothing, a factor (Granite), or a norm (Gemma, OLMo 2)."""

from __future__ import annotations

from dataclasses import dataclass

from accelerate.utils import align_module_device
from jaxtyping import Float
from torch import Tensor, nn

HARDLY_PASSED = 0.1
"""Directions whose gain is below this share of the norm's median gain are hardly used to reach a wanted output."""


def residual_multiplier(model: nn.Module) -> float:
    """Return the factor with which a block's parts are added to the residual stream."""
    return getattr(model.config, "residual_multiplier", 1.0)


@dataclass(frozen=True, eq=False)
class Behind:
    """The norm behind an MLP, if any, and the factor on what it passes. `offset` is added to the norm's weight."""

    norm: nn.Module | None
    offset: float
    factor: float

    @property
    def is_linear(self) -> bool:
        """Whether what is added to the MLP's output reaches the residual stream in proportion."""
        return self.norm is None

    def __call__(self, value: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """Return what an MLP's output adds to the residual stream."""
        passed = value if self.norm is None else self.norm(value)
        return passed if self.factor == 1.0 else passed * self.factor

    def reaching(
        self,
        value: Float[Tensor, "rows d_model"],
        change: Float[Tensor, "rows d_model"],
        like: Float[Tensor, "rows d_model"],
    ) -> Float[Tensor, "rows d_model"]:
        """Return the MLP's output at which the norm adds `change` more to the residual stream than at `value`, in float32.

        A norm passes only the direction of its input, so that the length is free: it is that of `like`. Of the inputs that
        come near the wanted output, the one nearest to `like` is returned (ridge regression, with a weight that matters
        where the norm hardly passes anything): `like` itself where it reaches what is wanted.
        """
        with align_module_device(self.norm):
            gain = self.norm.weight.float() + self.offset
        length = like.square().mean(-1, keepdim=True).sqrt()
        wanted = self.norm(value.to(self.norm.weight.dtype)).float() + change / self.factor
        ridge = HARDLY_PASSED**2 * gain.square().median()
        return length * (gain * wanted + ridge * like / length) / (gain.square() + ridge)
