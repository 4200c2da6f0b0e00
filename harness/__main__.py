"""`python -m harness` is `goodenough`."""

from harness.cli import main

if __name__ == "__main__":
    main()
