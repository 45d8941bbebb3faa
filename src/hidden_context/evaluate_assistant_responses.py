"""The published name of `hidden-context score`, for `python -m`."""

from hidden_context.commands.score import main

if __name__ == "__main__":
    raise SystemExit(main())
