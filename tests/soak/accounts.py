"""Accounts for a long time: python -m tests.soak.accounts [DATABASE [FIGURE [TIMES [SEED]]]].

In: "sqlite" or "postgresql", and the name of a figure; everything where they are left out.
Out: a line for each figure, and the exit status 1 at the first that does not hold.
"""

if __name__ == "__main__":
    import sys

    # Each child process imports this module anew; only the first one needs what it imports.
    from tests.soak.figures import run

    run(sys.argv[1:])
