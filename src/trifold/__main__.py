"""`python -m trifold` is `trifold`."""

import sys

from trifold.interfaces.cli import program

sys.exit(program())
