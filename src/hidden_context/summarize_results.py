"""The published name of `hidden-context summarize`, for `python -m`."""

from hidden_context.commands.summarize import main

if __name__ == "__main__":
    raise SystemExit(main())
