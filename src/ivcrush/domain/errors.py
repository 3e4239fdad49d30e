"""The world's disappointments as values: `Ok` or `Err`, never an exception.

An `Err` says that the world gave no usable answer (no data, a refusal, a full disk). A defect of ours is an
exception and is never turned into an `Err` here. No message or context may hold a key or a token.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, TypeAlias, TypeVar

T_co = TypeVar("T_co", covariant=True)


class ErrorCode(StrEnum):
    """Why there is no answer; the words are those of the JSON output."""

    NODATA = "NODATA"  # asked, and there is none
    INVALID = "INVALID"  # an answer or an input that cannot be used
    TIMEOUT = "TIMEOUT"  # the total deadline of a call passed
    EXTERNAL = "EXTERNAL"  # the provider or the way to it failed
    RATELIMIT = "RATELIMIT"  # refused for going too fast
    QUOTA = "QUOTA"  # the day's calls are spent
    AUTH = "AUTH"  # the token or key was refused
    DBERROR = "DBERROR"  # storage: full, read-only, corrupt, locked
    CONFIG = "CONFIG"  # settings that cannot work
    SKIPPED = "SKIPPED"  # never reached after a stop


# The provider or the way to it failed: nothing is wrong with the question, and asking later may help.
PROVIDER_FAILURES: Final = (ErrorCode.EXTERNAL, ErrorCode.TIMEOUT, ErrorCode.RATELIMIT)


@dataclass(frozen=True, slots=True)
class AppError:
    """One disappointment: a code for programs, a line that names thing, value and need for people."""

    code: ErrorCode
    message: str
    context: tuple[tuple[str, str], ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def about(self, name: str) -> str | None:
        """The context value of that name, or None."""
        return next((value for key, value in self.context if key == name), None)


@dataclass(frozen=True, slots=True)
class Ok(Generic[T_co]):
    """A usable answer."""

    value: T_co


@dataclass(frozen=True, slots=True)
class Err:
    """No usable answer, with the reason."""

    error: AppError


Result: TypeAlias = Ok[T_co] | Err


def err(code: ErrorCode, message: str, **context: str) -> Err:
    """An `Err` in one breath: `return err(ErrorCode.NODATA, "AAPL: 3 past moves, 4 needed", ticker="AAPL")`."""
    return Err(AppError(code, message, tuple(context.items())))
