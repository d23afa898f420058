"""AlphaEdit: MEMIT within the null space of text.

What is added is projected away from the directions that the keys of text use, so that text hardly hears it, and the keys of
earlier edits are spared. Fang et al. 2025, arXiv 2410.02355, eq. 14, solved in n x n:

    dW = R [A (A^T A + ridge I)^-1]^T        A = P [K_p, K], the columns of K alone

The published threshold of the null space and the published ridge (10) are absolute numbers, so that they mean another thing
in each model; here both are shares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from editlab.methods._metric import Metric, White, metric_of
from editlab.methods.alphaedit.config import AlphaEditConfig
from editlab.methods.memit.edit import Memit
from editlab.wording import noop

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class AlphaEdit(Memit):
    """MEMIT within the null space of text."""

    name = "alphaedit"
    title = noop("AlphaEdit: where text has nothing")
    about = noop(
        "MEMIT that writes only in directions which the keys of text hardly use, and spares the keys of earlier edits (Fang "
        "et al. 2025). Made for long chains of edits."
    )
    config = AlphaEditConfig
    like = "memit"

    def metric(
        self, model: LanguageModel, layer: int, K: Float[Tensor, "d_ff n"], config: AlphaEditConfig
    ) -> tuple[Metric, float]:
        """Return the projection of a layer, and the ridge for these keys."""
        projection = metric_of(model, layer, True, config.energy) or White()
        return projection, config.ridge * projection.whiten(K.T).square().sum(1).mean().item()
