"""Special functions that no family's tests cover."""

import numpy as np
import torch

from hidden_context.distributions.special import as_array


def test_a_number_becomes_an_array_like_another_and_a_tensor_keeps_its_gradient() -> None:
    for like in (np.zeros(3, np.float32), torch.zeros(3, dtype=torch.float32)):
        for number in (0.5, np.array([0.5, 1.0])):
            assert as_array(number, like=like).dtype == like.dtype
    learned = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    as_array(learned, like=torch.zeros(3)).backward()
    assert learned.grad == 1
