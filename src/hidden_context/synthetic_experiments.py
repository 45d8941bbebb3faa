"""The published name of `hidden-context synthetic`, for `python -m`."""

from hidden_context.commands.synthetic import main

if __name__ == "__main__":
    raise SystemExit(main())
