"""The grid that lines run on, and all sizes in a picture. No other file has such numbers.

The grid is symbolic: a column has three lines (its middle and its two sides), a row has one, and free tracks lie
between two of them. The sizes are in pixels of a screen.
"""

Point = tuple[int, int]
RIGHT, LEFT, DOWN, UPWARD = (1, 0), (-1, 0), (0, 1), (0, -1)
DIRECTIONS = (RIGHT, LEFT, DOWN, UPWARD)
TRACKS = 2
COLUMN = 3 + TRACKS
ROW = 1 + TRACKS

# Signs: the height of a layer, the diameter of an operation and of the disc of an input or an output.
LAYER_HEIGHT, CIRCLE, DISC = 30.0, 26.0, 46.0
SLOTS, SLOT_WIDTH, SLOT_HEIGHT, SLOT_GAP = 5, 26.0, 8.0, 2.0  # the stack that a memory is
SLOT_LEFT = 8.0  # from the left edge to the stack
PORT = 13.0  # how far beside the middle of a layer a second line enters

# The frame: its inner margin, and the length of a line outside it, at its sides and above and below it.
FRAME_MARGIN, OUTSIDE, UPRIGHT = 24.0, 52.0, 34.0
MARGIN = 6.0  # around a whole picture
STATE_ABOVE = 17.0  # how far the name of a state stands above its line
BANK_ABOVE = 14.0  # and that of a memory above its stack
# The least distance between two neighbours along a row and along a column, by how many of them are signs.
ROOM_ACROSS = {0: 17.0, 1: 17.0, 2: 26.0}
ROOM_DOWN = {0: 17.0, 1: 22.0, 2: 32.0}
ROOM_FOR_NAME = 28.0

# Heights of letters: on signs, alone on a sign, beside lines, on discs, beside an arrow, and in explanations.
TEXT, SIGN, NAME, DISC_TEXT, MARK, NOTE = 14.0, 18.0, 16.0, 19.0, 12.0, 12.5
EQUATION, HEADING = 19.0, 17.0
LEADING = 1.6  # from line to line, in heights of letters

# Lines: the radius of a corner, the part of an arrowhead that its line leaves free, and half of the gap in a line
# that passes under another.
RADIUS, ARROW, BRIDGE = 11.0, 11.0, 6.5
STRAIGHT_ARROW = 9.0  # the same part for an arrow that stands alone
HEAD_LENGTH, HEAD_HALF = 13.0, 6.6
# The distance from a line to a label beside it, and the distance if an arrowhead is in the way.
LABEL_GAP, LABEL_FAR = 4.5, 9.5
CROWDED = 0.12  # a label of which a larger share lies over something else needs more room
AIR = 1.0  # around an arrowhead
HALF_LINE = 2.0  # half of the width of a line, with a small margin


def middle(column: int, row: int) -> Point:
    """Return the grid point at the middle of a column and a row.

    Args:
        column: The number of the column, counted from 0.
        row: The number of the row, counted from 0.

    Returns:
        The point.

    Example:
        >>> middle(0, 0), middle(2, 1)
        ((1, 0), (11, 3))
    """
    return (column * COLUMN + 1, row * ROW)


def column_at(x: int) -> tuple[int, int]:
    """Return the column of a grid line, and its index there: 0, 1, 2 are the column's own lines, then come tracks."""
    return divmod(x, COLUMN)


def row_at(y: int) -> tuple[int, int]:
    """Return the row of a grid line, and its index there: 0 is the row's own line, then come tracks."""
    return divmod(y, ROW)
