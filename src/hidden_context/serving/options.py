"""How a model is served."""

from dataclasses import dataclass

from hidden_context.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ServingOptions:
    """What the server accepts, how long it waits, and which reward it gives."""

    risk: str = "mean"
    """How a distribution becomes the reward, unless a request says (?risk=): mean, cvar:α, ..."""
    host: str = "127.0.0.1"
    """Address to listen on; by default this machine alone can reach it."""
    port: int = 8000
    """Port to listen on; 0: any that is free."""
    queue_size: int = 4096
    """Texts that are accepted and not yet answered; more are refused with 503."""
    max_wait_ms: float = 5.0
    """Longest wait of an idle model for further texts to score with those it has, milliseconds."""
    max_body_mb: float = 8.0
    """Largest body of a request, in MiB; a larger one is refused with 413."""

    def __post_init__(self) -> None:
        if self.queue_size < 1:
            raise UserError(f"queue_size is {self.queue_size}; give at least 1 text.")
        if not 0 <= self.max_wait_ms <= 1000:
            raise UserError(f"max_wait_ms is {self.max_wait_ms}; give 0 to 1000 milliseconds.")
        if not 0 < self.max_body_mb <= 1024:
            raise UserError(f"max_body_mb is {self.max_body_mb}; give up to 1024 MiB, above 0.")
        if not 0 <= self.port < 2**16:
            raise UserError(f"port is {self.port}; give 0 to 65535.")
