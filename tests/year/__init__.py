"""A year of trading days in one process: what a day alone does not show."""
