"""A method that takes no time, where what an edit changes does not matter."""

from itertools import count

import torch

from editlab.methods import Edited
from editlab.methods.rome import RomeConfig
from editlab.patches import BASE, LowRank

NUMBERS = count()


class Instant:
    """A method that draws its patches."""

    name, config, joint = "rome", RomeConfig, False

    def edit(self, model, requests, view=BASE, config=None, progress=None, cancel=None) -> Edited:
        draw = torch.Generator().manual_seed(next(NUMBERS))
        A, B = torch.randn(1, model.d_ff, generator=draw), torch.randn(model.d_model, 1, generator=draw)
        return Edited("rome", tuple(requests), (1,), ((LowRank(1, A, B),),), ({"p_new": 0.5},), ("",), 0.1)
