"""Hyperspherical energy against its formula, and as the monitor follows it."""

import math

import pytest
import torch
from tiny_models import shared_model

from editlab import View
from editlab.insight.energy import energy, growth, largest
from editlab.patches import Dense, LowRank


def test_the_energy_is_the_mean_inverse_distance_of_rows_on_the_sphere():
    weight = (
        torch.randn(7, 5, generator=torch.Generator().manual_seed(0)).double() * torch.tensor([[1.0, 9.0, 1, 2, 3, 4, 5]]).T
    )
    rows = [row / row.norm() for row in weight]
    pairs = [(i, j) for i in range(7) for j in range(i)]
    naive = sum(1 / math.dist(rows[i].tolist(), rows[j].tolist()) for i, j in pairs) / len(pairs)
    assert energy(weight.float()) == pytest.approx(naive, rel=1e-5)
    assert energy(3 * weight.float()) == pytest.approx(naive, rel=1e-5), "lengths do not count"
    assert math.isfinite(energy(torch.ones(3, 4)))


def test_a_broken_edit_does_not_hide_behind_a_whole_one():
    model = shared_model("llama")
    whole = LowRank(1, torch.ones(1, model.d_ff), torch.ones(model.d_model, 1))
    broken = LowRank(2, torch.full((1, model.d_ff), math.nan), torch.ones(model.d_model, 1))
    assert math.isnan(growth(model, View((whole, broken)))) and largest([]) == 0.0 and largest([0.1, -0.3]) == -0.3


def test_rows_that_an_edit_turns_towards_each_other_have_more_energy():
    model = shared_model("llama")
    assert growth(model, View()) == 0.0
    u = torch.randn(1, model.d_ff, generator=torch.Generator().manual_seed(1))
    alike = LowRank(1, u, 10 * torch.ones(model.d_model, 1))
    quiet = LowRank(2, u, 1e-4 * torch.ones(model.d_model, 1))
    found = growth(model, View((quiet, alike)))
    W = model.weight(1)
    assert found == pytest.approx(energy(W + alike.dense()) / energy(W) - 1, rel=1e-4) and found > 0.5
    assert growth(model, View((Dense(1, alike.dense()),))) == pytest.approx(found, rel=1e-4)
    assert abs(growth(model, View((quiet,)))) < 1e-3
