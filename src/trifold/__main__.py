"""The program `trifold`, also as `python -m trifold`."""

import sys

__all__ = ["main"]


def main() -> int:
    """Run the program; returns its exit code."""
    try:
        from trifold.interfaces.cli import program
    except KeyboardInterrupt:  # while modules are loaded, where nobody else could catch it yet
        sys.stderr.write("Interrupted.\n")
        return 130
    return program()


if __name__ == "__main__":
    sys.exit(main())
