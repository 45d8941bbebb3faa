"""The published name of `hidden-context train`, for `python -m`."""

from hidden_context.commands.train import main

if __name__ == "__main__":
    raise SystemExit(main())
