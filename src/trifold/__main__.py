"""`python -m trifold` is `trifold`."""

import sys

from trifold.interfaces.cli import main

sys.exit(main())
