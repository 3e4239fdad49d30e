"""The `scan` command from a checkout; the same as `ivcrush scan`."""

import sys

from ivcrush.cli.main import script

sys.exit(script("scan"))
