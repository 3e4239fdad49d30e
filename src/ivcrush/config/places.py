"""Where files go when no setting names a place: the one answer to "where is my database?".

Looks at directories and makes none; whoever writes there makes them, mode 0700. Four answers, the first that applies:

1. what a service manager has set aside (systemd's StateDirectory= and CacheDirectory=);
2. `data` in the working directory, where work is plainly done: it holds `.env` or `data`, or this is a checkout;
3. the user's own directories, by the XDG Base Directory Specification 0.8: `~/.local/share` and `~/.cache`;
4. `data` in the working directory, for a user without a home.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "ivcrush"
_HERE = Path("data")


@dataclass(frozen=True, slots=True)
class Places:
    """The directory of what must be kept and that of what may be thrown away; a relative one starts where we work."""

    data: Path
    cache: Path


def default_places(environ: Mapping[str, str], working_directory: Path, *, in_checkout: bool) -> Places:
    """The directories for this process."""
    state = _first_absolute(environ, "STATE_DIRECTORY")
    if state is not None:
        return Places(state, _first_absolute(environ, "CACHE_DIRECTORY") or state)
    home = _first_absolute(environ, "HOME")
    works_here = in_checkout or any((working_directory / name).exists() for name in (".env", _HERE))
    if works_here or home is None:
        return Places(_HERE, _HERE)
    data = _first_absolute(environ, "XDG_DATA_HOME") or home / ".local/share"
    cache = _first_absolute(environ, "XDG_CACHE_HOME") or home / ".cache"
    return Places(data / PROGRAM, cache / PROGRAM)


def runs_from_checkout() -> bool:
    """Whether this package lies in `src` beside its `pyproject.toml`, and not where pip puts what it installs."""
    source = Path(__file__).resolve().parents[2]
    return source.name == "src" and (source.parent / "pyproject.toml").is_file()


def _first_absolute(environ: Mapping[str, str], name: str) -> Path | None:
    """The first of a variable's paths; both specifications want it absolute, and XDG has any other ignored."""
    path = Path(environ.get(name, "").split(":")[0])
    return path if path.is_absolute() else None
