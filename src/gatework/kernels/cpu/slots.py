"""The only argument of generated functions: a table of pointers and numbers, each in a named slot."""

from gatework.kernels.llvm.code import Code

FIXED = (
    "ticket",  # counts the threads as they arrive
    "team",  # the number of threads, if there is no team function
    "team_function",  # returns the number of threads; null if `team` has it
    "jobs",  # of the library's entries: the list of jobs
    "count",  # ... and its length
    "tiles",  # the library's tiles, by rows
    "split",  # 0: threads share the rows; 1: threads share the units, and wait for each other
    "arrived",  # of the barrier: the number of threads that have arrived
    "turn",  # of the barrier: how often it has opened
    "begin",  # of a flat range of steps and rows: the first
    "end",  # ... and the one after the last
    "steps",  # of a loop over time: the number of steps
    "times",  # for each step: its first flat row, and its number of rows
    "pointers",  # each thread's memory for row pointers
    "pointers_size",  # the size of a thread's part of it, in pointers
)


class Slots:
    """The slots of a table, each with a name.

    Args:
        names: The names of the first slots.
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
