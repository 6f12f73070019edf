"""The one argument of generated functions: a table of pointers and numbers, each in a slot with a name."""

from gatework.kernels.llvm.code import Code

FIXED = (
    "ticket",  # counts the threads as they come in
    "team",  # how many threads run, where no team function says it
    "team_function",  # gives the number of threads that run; null where `team` says it
    "jobs",  # of the library's entries: their list of jobs
    "count",  # ... and how many there are
    "tiles",  # the library's tiles, by rows
    "split",  # 0: threads share the rows; 1: threads share the units, and wait for each other
    "arrived",  # of the barrier: how many have come
    "turn",  # of the barrier: how often it has opened
    "begin",  # of a flat range of steps and rows: the first
    "end",  # ... and the one after the last
    "steps",  # of a loop over time: how many steps
    "times",  # for each step: its first flat row, and how many rows it has
    "pointers",  # room for row pointers, for each thread
    "pointers_size",  # how much room a thread has, in pointers
)


class Slots:
    """Give each name its place in the table.

    Args:
        names: Names that have a place from the start.
    """

    def __init__(self, names: tuple[str, ...] = FIXED) -> None:
        self.places = {name: index for index, name in enumerate(names)}

    def __getitem__(self, name: str) -> int:
        return self.places.setdefault(name, len(self.places))

    def address(self, code: Code, name: str) -> str:
        """Return the address of a slot."""
        return code.early(f"getelementptr inbounds i64, ptr %table, i64 {self[name]}")

    def pointer(self, code: Code, name: str) -> str:
        """Load a pointer, once for the function."""
        return code.early(f"load ptr, ptr {self.address(code, name)}")

    def integer(self, code: Code, name: str) -> str:
        """Load a whole number, once for the function."""
        return code.early(f"load i64, ptr {self.address(code, name)}")
