"""Numbers as the page writes them."""

from typing import Any

from hidden_context.report.measured import Estimate

NO_VALUE = "–"


def decimal(value: float | None, digits: int = 3) -> str:
    """A number, with a true minus sign."""
    return NO_VALUE if value is None else f"{value:z.{digits}f}".replace("-", "−")


def estimate(found: Estimate | None, digits: int = 3) -> str:
    """A number and its interval."""
    if found is None or found.low is None or found.high is None:
        return decimal(None if found is None else found.value, digits)
    ends = f"{decimal(found.low, digits)} to {decimal(found.high, digits)}"
    return f"{decimal(found.value, digits)} ({ends})"


def setting(value: Any) -> str:
    """A value of a configuration or a count."""
    if value is None:
        return NO_VALUE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ", ".join(f"{name}: {setting(each)}" for name, each in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting, value)) or "none"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10000 else str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
