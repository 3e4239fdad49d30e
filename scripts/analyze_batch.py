"""The `analyze-batch` command from a checkout; the same as `ivcrush analyze-batch`."""

import sys

from ivcrush.cli.main import script

sys.exit(script("analyze-batch"))
