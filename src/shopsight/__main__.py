"""``python -m shopsight``: the command line."""

import sys

from shopsight.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
