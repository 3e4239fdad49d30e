"""The `analyze` command from a checkout; the same as `ivcrush analyze`."""

import sys

from ivcrush.cli.main import script

sys.exit(script("analyze"))
