"""Two doors to one implementation: the `ivcrush` program and the scripts. Turns whatever happens into an exit code.

Loads a command's own module only once its arguments are known to be right. Never lets a traceback out unless asked.
"""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, cast

from ivcrush.cli.arguments import command_parser, program_parser
from ivcrush.cli.streams import say, stdout_failure, write_stdout

if TYPE_CHECKING:
    import argparse

    from ivcrush.cli.command import Command, Examination, Operation
    from ivcrush.utils.timezone import Clock

_MODULES = {
    "analyze": "ivcrush.cli.analyze",
    "analyze-batch": "ivcrush.cli.analyze_batch",
    "backfill": "ivcrush.cli.backfill",
    "scan": "ivcrush.cli.scan",
    "health-check": "ivcrush.cli.health_check",
    "database": "ivcrush.cli.database",
    "cache": "ivcrush.cli.cache",
    "quota": "ivcrush.cli.quota",
    "runs": "ivcrush.cli.runs",
    "score": "ivcrush.cli.score",
}


def main(arguments: Sequence[str] | None = None, clock: "Clock | None" = None) -> int:
    """The installed program: `ivcrush COMMAND …`, by the machine's clock where no other is given."""
    parser = program_parser()
    parsed = _parsed(parser, arguments)
    if parsed.command == "completion":
        return _complete(parsed.shell, parser)
    return _run(parsed.command, parsed, clock)


def script(command: str, arguments: Sequence[str] | None = None) -> int:
    """A script of one command: `python scripts/analyze.py …`."""
    parser = command_parser(command, prog=f"{command.replace('-', '_')}.py")
    return _run(command, _parsed(parser, arguments))


def _parsed(parser: "argparse.ArgumentParser", arguments: Sequence[str] | None) -> "argparse.Namespace":
    """What was typed; leaves the program after --help, --version and usage errors, as argparse does."""
    try:
        return parser.parse_args(arguments)
    except SystemExit as leaving:
        if leaving.code != 0:
            raise
        reason = write_stdout(())
    except OSError as error:  # the help itself could not be printed
        reason = stdout_failure(error)
    if reason is not None:
        say(f"stdout: cannot be written: {reason}")
    raise SystemExit(0 if reason is None else 74)


def _complete(shell: str, parser: "argparse.ArgumentParser") -> int:
    from ivcrush.cli.completion import completion

    reason = write_stdout((completion(shell, parser),))
    if reason is not None:
        say(f"stdout: cannot be written: {reason}")
    return 0 if reason is None else 74


def _run(command: str, arguments: "argparse.Namespace", clock: "Clock | None" = None) -> int:
    from zoneinfo import ZoneInfoNotFoundError  # part of what every command loads

    try:
        gc.disable()  # thousands of definitions and no garbage: collecting while importing is a quarter of the start
        from ivcrush.cli.session import run

        module = cast("Command | Examination | Operation", import_module(_MODULES[command]))
        gc.freeze()
        gc.enable()
        return run(command, module, arguments, clock)
    except ZoneInfoNotFoundError:  # met while loading: without New York's time nothing can be dated
        say("time zone America/New_York: not known to this machine; the tzdata package is needed: pip install tzdata")
        return 78
    except KeyboardInterrupt:  # outside of the event loop, which has its own handler
        return 130


if __name__ == "__main__":
    sys.exit(main())
