"""The `backfill` command from a checkout; the same as `ivcrush backfill`."""

import sys

from ivcrush.cli.main import script

sys.exit(script("backfill"))
