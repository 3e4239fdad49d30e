"""Every exit code of the contract, and which error leads to which. The one mapping of errors to exit codes."""

from collections.abc import Collection
from enum import IntEnum

from ivcrush.domain.errors import PROVIDER_FAILURES, AppError, ErrorCode


class Exit(IntEnum):
    """What the shell, a timer or a script is told."""

    DONE = 0
    NO_RESULT = 1
    USAGE = 2
    PARTIAL = 3
    BAD_INPUT = 65
    UNAVAILABLE = 69
    DEFECT = 70
    STORAGE = 74
    TRY_LATER = 75
    REFUSED = 77
    CONFIGURATION = 78
    INTERRUPTED = 130
    TERMINATED = 143


_BY_CODE = {
    ErrorCode.NODATA: Exit.NO_RESULT,
    ErrorCode.INVALID: Exit.NO_RESULT,
    ErrorCode.TIMEOUT: Exit.UNAVAILABLE,
    ErrorCode.EXTERNAL: Exit.UNAVAILABLE,
    ErrorCode.RATELIMIT: Exit.UNAVAILABLE,
    ErrorCode.QUOTA: Exit.TRY_LATER,
    ErrorCode.AUTH: Exit.REFUSED,
    ErrorCode.DBERROR: Exit.STORAGE,
    ErrorCode.CONFIG: Exit.CONFIGURATION,
    ErrorCode.SKIPPED: Exit.NO_RESULT,
}

# What a row may also have failed for where a refused token or the settings keep every row from succeeding.
_BESIDE_A_REFUSAL = frozenset({ErrorCode.INVALID, ErrorCode.SKIPPED, *PROVIDER_FAILURES})


def exit_of(error: AppError) -> Exit:
    """The code of a run that ended with this error alone."""
    if error.about("reason") == "locked":
        return Exit.TRY_LATER
    return _BY_CODE[error.code]


def exit_of_run(done: int, incomplete: int, errors: Collection[AppError], *, empty: Exit = Exit.NO_RESULT) -> Exit:
    """The code of a run: `done` rows, `incomplete` of them lacking a part, and the errors of the rest.

    In this order: a storage failure, whatever was done before it. Partial or done, where anything was done. `empty`,
    where there was no row at all. A refused token, then a wrong configuration, where no row got past them: a bad row of
    the input and an outage hide neither. The reason that all rows share; what was never reached has none of its own.
    Else there is no usable result.
    """
    reasons = {exit_of(error) for error in errors if error.code is not ErrorCode.SKIPPED}
    storage = [error for error in errors if error.code is ErrorCode.DBERROR]
    if storage:
        return exit_of(storage[0])
    if done:
        return Exit.PARTIAL if errors or incomplete else Exit.DONE
    if not errors:
        return empty
    refusals = {error.code for error in errors} - _BESIDE_A_REFUSAL
    if refusals and refusals <= {ErrorCode.AUTH, ErrorCode.CONFIG}:
        return Exit.REFUSED if ErrorCode.AUTH in refusals else Exit.CONFIGURATION
    return reasons.pop() if len(reasons) == 1 else Exit.NO_RESULT
