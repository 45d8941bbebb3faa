"""What divides people, in words: features of responses whose effect differs between them."""

from hidden_context.axes.axes import Axes, Axis, read_axes
from hidden_context.axes.find import find_axes

__all__ = ["Axes", "Axis", "find_axes", "read_axes"]
