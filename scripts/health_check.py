"""The `health-check` command from a checkout; the same as `ivcrush health-check`."""

import sys

from ivcrush.cli.main import script

sys.exit(script("health-check"))
