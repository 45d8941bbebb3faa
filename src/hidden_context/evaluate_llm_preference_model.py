"""The published name of `hidden-context evaluate`, for `python -m`."""

from hidden_context.commands.evaluate import main

if __name__ == "__main__":
    raise SystemExit(main())
