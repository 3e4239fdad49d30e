"""How loudly a disappointment is logged. Decides that alone; what follows from it is decided where it is met."""

import logging

from ivcrush.domain.errors import AppError, ErrorCode


def severity(error: AppError) -> int:
    """INFO where the world is simply so (a company without options or reports), WARNING where a service failed us."""
    return logging.INFO if error.code is ErrorCode.NODATA else logging.WARNING
