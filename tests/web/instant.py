"""A method that takes no time, where what an edit changes does not matter."""

from itertools import count

import torch

from editlab.methods import Edited, Method
from editlab.methods.rome import RomeConfig
from editlab.patches import BASE, LowRank

NUMBERS = count()


class Instant(Method):
    """A method that draws its patches."""

    name, title, config = "rome", "Instant", RomeConfig

    def edit(self, model, requests, view=BASE, config=None, progress=None, cancel=None) -> Edited:
        draw = torch.Generator().manual_seed(next(NUMBERS))
        A, B = torch.randn(1, model.d_ff, generator=draw), torch.randn(model.d_model, 1, generator=draw)
        return Edited("rome", tuple(requests), (1,), ((LowRank(1, A, B),),), ({"p_new": 0.5},), ("",), 0.1)
