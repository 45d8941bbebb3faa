"""When the next request may be sent: so many a minute, and not before the endpoint asked."""

import threading
import time

from hidden_context.errors import UserError


class Pace:
    """Turns of several threads, evenly spaced; a pause that was asked for holds for all of them."""

    def __init__(self, requests_per_minute: float | None = None) -> None:
        """No limit if it is None.

        Raises:
            UserError: It is not above 0.
        """
        if requests_per_minute is not None and not requests_per_minute > 0:
            raise UserError(
                f"requests_per_minute is {requests_per_minute}; expected a number above 0."
            )
        self._apart = 60 / requests_per_minute if requests_per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def hold(self, seconds: float) -> None:
        """Let nobody send for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def wait(self, stop: threading.Event) -> bool:
        """Wait for one's turn; False if `stop` was set before it came."""
        while not stop.is_set():
            with self._lock:
                now = time.monotonic()
                left = self._next - now
                if left <= 0:
                    self._next = now + self._apart
                    return True
            stop.wait(left)
        return False
