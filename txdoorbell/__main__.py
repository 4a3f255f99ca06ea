"""``python -m txdoorbell``: the same as the command ``txdoorbell``."""

import sys

from txdoorbell.cli import main

if __name__ == "__main__":
    sys.exit(main())
