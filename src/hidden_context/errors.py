"""The one exception that means: what was given cannot be used, and here is what to do."""


class UserError(ValueError):
    """A mistake in the input. Commands print its message as one line and exit with status 2."""


class DivergedError(UserError):
    """A fit has no finite numbers: what asked for it can say so, and answer the rest."""
