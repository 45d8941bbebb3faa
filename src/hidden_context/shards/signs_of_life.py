"""How a process that waits for others knows that they are still at work."""

import logging
import os
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Self

from hidden_context.errors import UserError
from hidden_context.shards.shard import Shard

logger = logging.getLogger(__name__)
BEAT = 5.0
"""Seconds between two signs of life."""
POLL = 0.25
"""Seconds between two looks at what is there."""
SILENT = 180.0
"""Seconds without a sign after which a process counts as dead; file systems on a network may show
a change of another machine a minute late."""
STARTING = 600.0
"""Seconds that a process may need until its first sign, such as to load a model."""


class SignsOfLife:
    """A context manager: within it, the time of a file in `folder` is set anew every few seconds.

    Only whether a time changes is looked at, so the clocks of machines may differ. Seconds are
    counted by looks, so that a job that is suspended as a whole goes on where it was.
    """

    def __init__(self, folder: Path, run: str, shard: Shard) -> None:
        """Of the process that has `shard` of the work that is called `run`."""
        self.folder, self.run, self.shard = folder, run, shard
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        if self.shard.waits:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._path(self.shard.index).touch()
            self._beating = threading.Thread(target=self._beat, daemon=True)
            self._beating.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.shard.waits:
            self._ended.set()
            self._beating.join()
            self._path(self.shard.index).unlink(missing_ok=True)

    def wait_while(self, lacking: Callable[[], Collection[int]]) -> None:
        """Wait until `lacking` names no process any more, by its index, whose work is not there.

        Raises:
            UserError: One of those gives no sign of life, or what this one did is gone.
        """
        stamps: dict[int, int | None] = {}
        silent: dict[int, float] = {}
        has_beaten: set[int] = set()
        if lacking():
            logger.info("waiting for other processes")
        while indices := lacking():
            if self.shard.index in indices:
                raise UserError(
                    f"files in {self.folder} were removed while others were waited for; start the "
                    "same again."
                )
            for index in indices:
                stamp = self._stamp(index)
                if index in stamps and stamp not in (None, stamps[index]):
                    has_beaten.add(index)
                    silent[index] = 0.0
                stamps[index] = stamp
                silent[index] = silent.get(index, 0.0) + POLL
                if silent[index] > (SILENT if index in has_beaten else STARTING):
                    raise UserError(
                        f"process {index + 1} of {self.shard.count} has given no sign of life for "
                        f"{silent[index]:.0f} seconds, and its share is not done; what is done is "
                        "kept: start the same again."
                    )
            time.sleep(POLL)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            with suppress(OSError):  # whoever put all together has removed it
                os.utime(self._path(self.shard.index))

    def _stamp(self, index: int) -> int | None:
        try:
            return self._path(index).stat().st_mtime_ns
        except OSError:
            return None

    def _path(self, index: int) -> Path:
        return self.folder / f"{self.run}.{index + 1}-of-{self.shard.count}.alive"
