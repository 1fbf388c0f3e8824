"""`python -m opencrunch.cli` is the `crunch` command."""

from opencrunch.cli import main

if __name__ == "__main__":
    main()
