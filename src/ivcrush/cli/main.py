"""Two doors to one implementation: the `ivcrush` program and the scripts. Turns whatever happens into an exit code.

Loads a command's own module only once its arguments are known to be right. Never lets a traceback out unless asked.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, cast

from ivcrush.cli.arguments import command_parser, program_parser

if TYPE_CHECKING:
    import argparse

    from ivcrush.cli.session import Command

_MODULES = {"analyze": "ivcrush.cli.analyze", "backfill": "ivcrush.cli.backfill"}


def main(arguments: Sequence[str] | None = None) -> int:
    """The installed program: `ivcrush COMMAND …`."""
    parser = program_parser()
    parsed = parser.parse_args(arguments)
    return _run(parsed.command, parsed)


def script(command: str) -> int:
    """A script of one command: `python scripts/analyze.py …`."""
    parser = command_parser(command, prog=f"{command.replace('-', '_')}.py")
    return _run(command, parser.parse_args())


def _run(command: str, arguments: "argparse.Namespace") -> int:
    try:
        from ivcrush.cli.session import run

        module = cast("Command", import_module(_MODULES[command]))
        return run(command, module, arguments)
    except KeyboardInterrupt:  # before the event loop takes signals over
        return 130


if __name__ == "__main__":
    sys.exit(main())
