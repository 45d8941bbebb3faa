"""How a command ends: its exit status, one line for a user's mistake, signals and closed pipes."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NoReturn

from hidden_context.errors import UserError

SOON = 0.05
"""Seconds until a signal whose exception was lost is sent again."""


def with_exit_status(run: Callable[[], int | None]) -> int:
    """Run, and turn a user's mistake into one line on stderr and exit status 2.

    Ctrl-C, SIGTERM and SIGHUP end with one line and status 128 + the signal's number; a closed
    pipe with 141 and nothing said, as of a program that SIGPIPE ends. Errors that are ours keep
    their traceback.
    """
    try:
        with _printing(), _stopped_by_signals():
            return run() or 0
    except _ClosedPipeError:
        return 128 + signal.SIGPIPE
    except (UserError, OSError) as error:
        _say(f"error: {' '.join(in_words(error).split())}")
        return 2
    except KeyboardInterrupt as interrupt:
        stopped_by = interrupt.signal if isinstance(interrupt, _StopError) else signal.SIGINT
        _say("interrupted" if stopped_by is signal.SIGINT else f"stopped by {stopped_by.name}")
        return 128 + stopped_by


def in_words(error: Exception) -> str:
    """Which file it was, and why; of an error of the system without its number."""
    if isinstance(error, OSError) and isinstance(error.filename, str) and error.strerror:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}."
    return str(error)


class _ClosedPipeError(Exception):
    """Whoever read what was printed has left."""


class _StopError(KeyboardInterrupt):
    """A signal asked for the end; libraries let it pass as they do Ctrl-C."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Raise at SIGTERM and SIGHUP, so that temporary files are removed, as at Ctrl-C.

    An exception that comes within a finalizer, which lets none pass, is lost; the signal is sent
    again then.

    A signal that is ignored (as `nohup` has SIGHUP ignored) or handled by the program around stays
    so, and nothing is changed outside the main thread, which alone may.
    """

    def stop(number: int, _: object) -> NoReturn:
        raise _StopError(number)

    is_main = threading.current_thread() is threading.main_thread()
    signals = (signal.SIGTERM, signal.SIGHUP) if is_main else ()
    taken = [number for number in signals if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, stop)
    hook, again = sys.unraisablehook, dict[threading.Timer, int]()
    if is_main:
        sys.unraisablehook = partial(_send_again, hook, again)
    try:
        yield
        if again:  # the end came before the signal did
            raise _StopError(next(iter(again.values())))
    finally:
        for timer in again:
            timer.cancel()
        if is_main:
            sys.unraisablehook = hook
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _send_again(
    hook: Callable[[Any], object], again: dict[threading.Timer, int], lost: Any
) -> None:
    """Send the signal again whose exception was lost; leave other lost exceptions to the hook."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        hook(lost)
        return
    number = getattr(lost.exc_value, "signal", signal.SIGINT)
    timer = threading.Timer(SOON, os.kill, (os.getpid(), number))
    timer.daemon = True
    again[timer] = number
    timer.start()


@contextmanager
def _printing() -> Iterator[None]:
    """Write out what was printed before the status is decided.

    Left to the end of the interpreter, a closed pipe or a full disk would show as a traceback.

    Raises:
        UserError: What is printed cannot be written.
    """
    try:
        yield
    except BrokenPipeError as error:
        _print_nowhere()
        raise _ClosedPipeError from error
    except (OSError, SystemExit):  # if printing failed, that is the reason; --help has printed
        _write_out()
        raise
    except BaseException:
        with suppress(_ClosedPipeError, UserError):
            _write_out()
        raise
    _write_out()


def _write_out() -> None:
    try:
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.flush()
    except BrokenPipeError as error:
        _print_nowhere()
        raise _ClosedPipeError from error
    except OSError as error:
        _print_nowhere()
        raise UserError(f"standard output cannot be written: {error.strerror}.") from error


def _print_nowhere() -> None:
    """Give what is still to be written to nobody, or it would be tried again at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _say(line: str) -> None:
    """One line on stderr, if anybody is there: SIGHUP says that the terminal is not."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        _print_nowhere()
