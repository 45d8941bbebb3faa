"""Special functions for torch tensors (differentiable) and NumPy arrays alike.

Elementary arithmetic is written once in the Python array API standard; summaries then decode with
NumPy and need not wait for torch to import (2 s). What only torch.special has, NumPy arrays borrow.
"""

import functools
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace, is_torch_array

Array: TypeAlias = Any
"""A floating-point `torch.Tensor` or `numpy.ndarray`; what goes in as one comes out as the same."""
SMALLEST_STD = 1e-6
"""Keeps z = Δmean/std, and its gradient, finite in float32 for raw outputs up to 1000."""


def as_float(values: Array) -> Array:
    """`values` in float32, or in float64 where they are that already."""
    xp = array_namespace(values)
    return values if values.dtype == xp.float64 else xp.astype(values, xp.float32)


def as_array(number: float | Array, *, like: Array) -> Array:
    """`number` with the type, precision and device of `like`; a tensor keeps its gradient."""
    if is_torch_array(like) and is_torch_array(number):  # asarray would detach it
        return number.to(device=like.device, dtype=like.dtype)
    xp = array_namespace(like)
    return xp.asarray(number, dtype=like.dtype, device=like.device)


def softplus(values: Array) -> Array:
    """log(1 + exp(values)), finite in value and gradient at any input."""
    if is_torch_array(values):
        from torch.nn.functional import softplus as of_torch

        return of_torch(values, threshold=40.0)  # from there on it is the value, even in float64
    xp = array_namespace(values)
    return xp.logaddexp(values, xp.zeros_like(values))


def as_std(values: Array) -> Array:
    """Any numbers as standard deviations: their softplus, at least `SMALLEST_STD`."""
    std = softplus(values)
    return array_namespace(std).clip(std, SMALLEST_STD, None)


def log_softmax(values: Array) -> Array:
    """Logarithm of the softmax over the last axis.

    Along ten outputs it takes a quarter of the time of PyTorch's own.
    """
    xp = array_namespace(values)
    of_largest = values.detach() if is_torch_array(values) else values  # any shift does
    shifted = values - xp.max(of_largest, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def through_torch(function: Callable[..., Any]) -> Callable[..., Array]:
    """Let a function of a torch tensor, and whatever else, take a NumPy array too."""

    @functools.wraps(function)
    def either(values: Array, *others: Any) -> Array:
        if is_torch_array(values):
            return function(values, *others)
        import torch

        return function(torch.from_numpy(np.array(values)), *others).numpy()

    return either


@through_torch
def logcumsumexp(values: Array) -> Array:
    """Logarithm of the running sum of exp(values) over the last axis."""
    return values.logcumsumexp(-1)


@through_torch
def logsumexp(values: Array) -> Array:
    """Logarithm of the sum of exp(values) over the last axis."""
    return values.logsumexp(-1)


def log_difference(larger: Array, smaller: Array) -> Array:
    """log(exp(larger) - exp(smaller)); what rounding cannot tell from 0 is ε · exp(larger)."""
    xp = array_namespace(larger)
    possible = larger > -math.inf
    resolution = xp.finfo(larger.dtype).eps
    zero = xp.zeros_like(larger)
    difference = xp.where(possible, smaller, zero) - xp.where(possible, larger, zero)
    difference = xp.clip(difference, None, -resolution)
    return xp.where(possible, larger + xp.log(-xp.expm1(difference)), larger)


def log_cdf_between(log_cdf: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """log(F(high) - F(low)) of an F symmetric around 0, from the tail that does not cancel."""
    xp = array_namespace(low)
    is_upper = low + high > 0
    larger, smaller = xp.where(is_upper, -low, high), xp.where(is_upper, -high, low)
    return log_difference(log_cdf(larger), log_cdf(smaller))


def log_sigmoid(values: Array) -> Array:
    """Logarithm of the logistic function."""
    if not is_torch_array(values):
        return -np.logaddexp(0.0, -values)
    import torch

    return torch.nn.functional.logsigmoid(values)


@through_torch
def normal_cdf(values: Array) -> Array:
    """Φ, the standard normal distribution function."""
    import torch

    return torch.special.erfc(values * -math.sqrt(0.5)) / 2  # ndtr cancels in the lower tail


@through_torch
def log_normal_cdf(values: Array) -> Array:
    """log Φ, with a gradient that stays right in the far tail.

    The value is that of `torch.special.log_ndtr`, by the same formulas; their slow part, erfcx,
    serves the gradient too. The built-in gradient is
    exp(-z²/2 - log Φ(z)) / sqrt(2π), which cancels: in float32 at z = -10,000 it gives 64,930 and
    at -1,000,000 it gives 0. φ/Φ = sqrt(2/π) / erfcx(-z/√2) does not cancel.
    """
    return _log_normal_cdf_function().apply(values)


def normal_quantile(level: float | Array) -> float | Array:
    """Φ⁻¹, to double precision for a number."""
    if isinstance(level, (int, float)):
        return NormalDist().inv_cdf(level)
    return _normal_quantile_of_array(level)


@through_torch
def _normal_quantile_of_array(level: Array) -> Array:
    import torch

    return torch.special.ndtri(level)


@functools.cache
def _log_normal_cdf_function() -> Any:
    import torch

    class LogNormalCdf(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: torch.Tensor) -> torch.Tensor:  # pyrefly: ignore
            t = z / math.sqrt(2)
            scaled = torch.special.erfcx(-t.clamp(max=8.5))  # 2e72; beyond, it soon overflows
            ctx.save_for_backward(z, scaled)
            lower = (scaled / 2).log() - t * t
            return torch.where(z < -1, lower, torch.log1p(-torch.special.erfc(t) / 2))

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:  # pyrefly: ignore
            z, scaled = ctx.saved_tensors
            if torch.is_grad_enabled():  # a second derivative is asked for
                scaled = torch.special.erfcx(-z.clamp(max=12) / math.sqrt(2))
            return grad * (math.sqrt(2 / math.pi) / scaled)

    return LogNormalCdf
