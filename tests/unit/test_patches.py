"""Views and their algebra, held against plain sums of matrices."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from editlab.patches import BASE, Dense, Laid, LowRank, Mask, Preamble, View

D_MODEL, D_FF, LAYERS = 4, 6, 3


def low_rank(layer, rank, seed):
    generator = torch.Generator().manual_seed(seed)
    return LowRank(layer, torch.randn(rank, D_FF, generator=generator), torch.randn(D_MODEL, rank, generator=generator))


def dense(layer, seed):
    return Dense(layer, torch.randn(D_MODEL, D_FF, generator=torch.Generator().manual_seed(seed)))


patches = st.one_of(
    st.builds(low_rank, st.integers(0, LAYERS - 1), st.integers(1, 4), st.integers(0, 999)),
    st.builds(dense, st.integers(0, LAYERS - 1), st.integers(0, 999)),
    st.builds(Preamble, st.sampled_from(["A note.", "Another one. "])),
)


def summed(stack, layer):
    """What a stack adds to W at a layer, by plain sums in float64."""
    total = torch.zeros(D_MODEL, D_FF, dtype=torch.float64)
    for patch in stack:
        if isinstance(patch, LowRank) and patch.layer == layer:
            total += patch.B.double() @ patch.A.double()
        if isinstance(patch, Dense) and patch.layer == layer:
            total += patch.D.double()
    return total


@given(stack=st.lists(patches, max_size=8), data=st.data())
def test_patches_laid_and_taken_out_in_any_order_leave_the_sum_of_the_rest(stack, data):
    view = View.base()
    for patch in data.draw(st.permutations(stack)):
        view = view.with_patches([patch])
    gone = data.draw(st.lists(st.sampled_from(stack), unique_by=id) if stack else st.just([]))
    for patch in gone:
        view = view.without([patch])
    rest = [patch for patch in stack if not any(patch is other for other in gone)]
    assert set(view.laid) == {patch.layer for patch in rest if not isinstance(patch, Preamble)}
    keys = torch.randn(5, D_FF, generator=torch.Generator().manual_seed(1))
    for layer, laid in view.laid.items():
        expected = summed(rest, layer)
        torch.testing.assert_close(laid.dense().double(), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(laid(keys).double(), keys.double() @ expected.T, rtol=1e-4, atol=1e-4)


@given(stack=st.lists(patches, max_size=6), extra=st.lists(patches, max_size=4))
def test_taking_out_what_was_laid_gives_the_view_before(stack, extra):
    view = View(tuple(stack))
    assert view.with_patches(extra).without(extra).patches == view.patches
    assert view.patches == tuple(stack)


@given(ranks=st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_a_layer_is_laid_as_one_matrix_as_soon_as_that_is_smaller(ranks):
    stack = [low_rank(0, rank, seed) for seed, rank in enumerate(ranks)]
    laid = View(tuple(stack)).laid[0]
    as_pair, as_matrix = sum(ranks) * (D_FF + D_MODEL), D_FF * D_MODEL
    assert (laid.A is None) == (as_pair > as_matrix)
    assert (laid.D is None) == (as_pair <= as_matrix)
    torch.testing.assert_close(laid.dense().double(), summed(stack, 0), rtol=1e-4, atol=1e-4)


def test_a_pair_and_a_matrix_can_lie_together():
    pair, matrix = low_rank(0, 2, 1), dense(0, 2)
    keys = torch.randn(3, D_FF)
    together = Laid(pair.A, pair.B, matrix.D)
    torch.testing.assert_close(together(keys), keys @ (pair.dense() + matrix.dense()).T)
    torch.testing.assert_close(together.dense(), pair.dense() + matrix.dense())


def test_only_the_same_patch_is_taken_out_not_an_equal_one():
    one, twin = low_rank(0, 1, 7), low_rank(0, 1, 7)
    assert View((one, twin)).without([twin]).patches == (one,)
    assert View((one,)).without([twin]).patches == (one,)


def test_the_base_view_lays_nothing():
    assert View.base().patches == ()
    assert View.base().laid == {}
    assert View.base().asks("Who?") == "Who?"


def test_preambles_stand_one_after_the_other_and_touch_no_layer():
    view = View((Preamble("First."), low_rank(1, 1, 0), Preamble(" Second. ")))
    assert view.asks("Who?") == "First. Second. Who?"
    assert set(view.laid) == {1}


def test_a_digest_tells_content_and_nothing_else():
    one, other = View((low_rank(1, 2, 3), Preamble("Hello."))), View((low_rank(1, 2, 3), Preamble("Hello.")))
    assert one.digest == other.digest and one.patches[0].digest == other.patches[0].digest
    different = [
        View((low_rank(1, 2, 4), Preamble("Hello."))),
        View((low_rank(2, 2, 3), Preamble("Hello."))),
        View((low_rank(1, 2, 3), Preamble("Hello!"))),
        View((Preamble("Hello."), low_rank(1, 2, 3))),
        View((low_rank(1, 2, 3),)),
        one.with_threshold(0.5),
        BASE,
    ]
    assert len({one.digest, *(view.digest for view in different)}) == 1 + len(different)
    kept = torch.ones(2, 3, dtype=torch.bool)
    assert Mask(0, kept).digest != Mask(0, ~kept).digest != Dense(0, kept.float()).digest
    assert Dense(0, kept.bfloat16()).digest != Dense(0, kept.float()).digest
