"""What the verbs write for other programs."""

import csv
import io

from gatework.cli.output import csv_text


def test_names_in_a_csv_file_are_those_of_the_table():
    """On the terminal such signs are escaped; a program has to find the label that the table has."""
    rows = [["a\nb", 1.0], ["\u3000天", 2.5], ['say "x", y', 1e-30], ["\x1b[1m", 3]]
    read = list(csv.reader(io.StringIO(csv_text(["label", "p"], rows), newline="")))
    assert [row[0] for row in read] == ["label", *(row[0] for row in rows)]
    assert [float(row[1]) for row in read[1:]] == [row[1] for row in rows]
