"""`python -m puna` is `puna`."""

from puna.cli import main

if __name__ == "__main__":
    main()
