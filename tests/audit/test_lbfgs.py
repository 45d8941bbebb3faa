"""Many minima at once: each head gets to its own, whatever the others still do."""

import torch
from torch import Tensor

from hidden_context.audits.lbfgs import minimize

START = torch.ones(3, 2)


def test_a_head_at_its_minimum_rests_while_others_go_on():
    """It would follow rounding, whose curvature has no inverse in float32."""
    stretch = torch.tensor([[4.0, 1.0], [4.0, 100.0], [4.0, 10000.0]])

    def parabolas(at: Tensor) -> tuple[Tensor, Tensor]:
        assert bool(at.isfinite().all())
        return (stretch * at**2).sum(0) / 2, stretch * at

    start = torch.tensor([1e-21, 1.0]) * START
    found = minimize(parabolas, start, torch.tensor([0.2, 1e-3]).expand(3, 2))
    torch.testing.assert_close(found[:, 0], start[:, 0], rtol=0, atol=0)
    torch.testing.assert_close(found[:, 1], torch.zeros(3), rtol=0, atol=1e-3)


def test_points_where_a_loss_is_no_number_are_not_taken():
    """-log x + x has none below 0, where the first step leads."""

    def barrier(at: Tensor) -> tuple[Tensor, Tensor]:
        return (at - at.log()).sum(0), 1 - 1 / at

    found = minimize(barrier, torch.full((1, 2), 5.0), torch.tensor([[1.0, 1000.0]]))
    torch.testing.assert_close(found, torch.ones(1, 2), atol=1e-3, rtol=0)


def test_a_head_that_starts_at_no_number_does_not_keep_others_from_their_minimum():
    def with_a_hole(at: Tensor) -> tuple[Tensor, Tensor]:
        return (at**2).sum(0) / 2 + torch.tensor([float("nan"), 0.0]), at

    found = minimize(with_a_hole, START, torch.ones(3, 2))
    torch.testing.assert_close(found[:, 1], torch.zeros(3))
