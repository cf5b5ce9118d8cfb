"""Lets `python -m builder` do what the `builder` command does."""

from builder.cli.main import main

if __name__ == "__main__":
    main()
