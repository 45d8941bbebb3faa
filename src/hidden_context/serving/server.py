"""A model on a socket, until a signal says stop; what was accepted by then is answered."""

import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from hidden_context.distributions import UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.llm.scoring_options import ScoringOptions
from hidden_context.serving.options import ServingOptions

if TYPE_CHECKING:
    from hidden_context.llm.reward_model import RewardModel

KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than clients keep theirs, so that none sends a
request into a connection that is being closed."""
SWITCH_INTERVAL = 1e-4
"""Seconds after which one Python thread makes way for another. The model's needs the interpreter
for microseconds between two operations; by the default it would wait 5 ms for it each time, while
HTTP is read and written."""


def serve(
    model: "RewardModel",
    options: ServingOptions | None = None,
    *,
    reading: ScoringOptions | None = None,
    token: str | None = None,
    bound: socket.socket | None = None,
    on_start: Callable[[Any], object] = lambda server: None,
) -> None:
    """Answer requests until SIGINT, SIGTERM or SIGHUP, then those that were accepted, and return.

    Then the signal acts as it would have without a server. A second SIGINT ends at once. The model
    is the server's as long as it runs. For the routes see docs/serve.md.

    Args:
        model: Whose rewards are asked for.
        options: Where to listen, and what to accept.
        reading: How texts are read and batched.
        token: What requests must show (`Authorization: Bearer ...`); None: nothing.
        bound: Socket of `bound_socket`, if it was bound before the model was loaded.
        on_start: Called with uvicorn's server when it answers; its `should_exit = True` is a
            signal's equal, for programs that serve in a thread.

    Raises:
        UserError: The extra is not installed, the address cannot be had, or the model lacks the
            risk or cannot be batched.
    """
    require_extra()
    from hidden_context.serving.app import make_app
    from hidden_context.serving.service import Service

    options = options or ServingOptions()
    service = Service(model, options, reading or ScoringOptions())
    _warn_of_contexts(model)
    with closing(bound or bound_socket(options)) as listening:
        if token is None and not _is_loopback(listening):
            warnings.warn(
                f"listening on {options.host} without a token: whoever reaches this address may "
                "ask; give a token, or listen on 127.0.0.1",
                stacklevel=2,
            )
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        service.start()
        try:
            _server(make_app(service, token=token), on_start).run(sockets=[listening])
        finally:
            service.stop()
            sys.setswitchinterval(before)


def require_extra() -> None:
    """Find out whether the web framework is there.

    Raises:
        UserError: It is not.
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"serving needs {error.name}, which is not installed; install it: "
            'pip install "hidden-context[serve]"'
        ) from error


def bound_socket(options: ServingOptions) -> socket.socket:
    """A socket with the address of the options; nobody can connect until it is served.

    Raises:
        UserError: The address is not this machine's, or is taken.
    """
    try:
        found = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _refusal(options, error) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _refusal(options, error) from error
    return bound


def address_of(bound: socket.socket) -> str:
    """As a URL."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _refusal(options: ServingOptions, error: OSError) -> UserError:
    return UserError(
        f"cannot listen on {options.host} port {options.port}: {error.strerror}; give another "
        "host or port (0: any that is free)."
    )


def _is_loopback(bound: socket.socket) -> bool:
    return ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback


def _warn_of_contexts(model: "RewardModel") -> None:
    if type(_some_utility(model)).centered is not UtilityDistribution.centered:
        warnings.warn(
            f"utilities of family {model.family.name} are comparable between responses to a prompt "
            "after centring alone, which needs all of them in one request (/v1/distribution); "
            "rewards of single texts are not centred",
            stacklevel=3,
        )


def _some_utility(model: "RewardModel") -> UtilityDistribution:
    import numpy as np

    return model.family.decode(np.zeros((1, model.family.num_outputs)))


@contextmanager
def _handled(number: signal.Signals, handler: Any) -> Iterator[None]:
    """Handle a signal, unless it is ignored, as nohup has SIGHUP ignored."""
    before = signal.getsignal(number)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or before is signal.SIG_IGN:
        yield
        return
    signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _server(app: Any, on_start: Callable[[Any], object]) -> Any:
    """uvicorn's server, which also stops at SIGHUP and says when it answers."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_start(self)

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            with super().capture_signals(), _handled(signal.SIGHUP, self.handle_exit):
                yield

    config = uvicorn.Config(
        app,
        access_log=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        ws="none",
    )
    return Server(config)
