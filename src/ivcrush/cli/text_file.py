"""An input file as text: UTF-8 with or without a byte order mark, of bounded size, from a regular file.

What is none of that is refused whole with its path and the reason. Knows nothing of what the text means.
"""

import stat
from pathlib import Path

from ivcrush.cli.command import InputError


def read_text(path: Path, largest: int) -> str:
    """The whole text of at most `largest` bytes, line ends as they are. Raises InputError.

    The kind of file is asked before it is opened: a pipe would keep us waiting and a device would never end.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path}: no regular file")
        with path.open("rb") as file:
            content = file.read(largest + 1)  # not what the size says: a file may grow, those of /proc have none
        if len(content) > largest:
            size = max(found.st_size, len(content))
            raise InputError(f"{path}: {size} bytes, at most {largest} are taken")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; a UTF-8 text file is needed") from None
    if "\x00" in text:
        raise InputError(f"{path}: holds NUL bytes; a UTF-8 text file is needed")
    return text
