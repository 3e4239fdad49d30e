"""Power lost in the middle of the repositories' real writes: replayed from a record of their system calls."""
