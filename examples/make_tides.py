"""Write ``tides.csv``: the height of the sea at an invented harbour, hour by hour, for ninety days.

    python examples/make_tides.py

Five tides of the moon and the sun add up (their periods are those of every harbour, in hours; heights and phases are
invented), and the weather pushes the water up and down for a day or two, from the random generator with seed 0.
"""

from datetime import datetime, timedelta
from math import cos, pi
from pathlib import Path
from random import Random

PLACE = Path(__file__).with_name("tides.csv")
HOURS = 90 * 24
# period in hours, height in metres, phase in turns: M2, S2, N2, K1, O1
TIDES = (
    (12.4206, 1.20, 0.10),
    (12.0000, 0.42, 0.35),
    (12.6583, 0.24, 0.80),
    (23.9345, 0.14, 0.55),
    (25.8193, 0.10, 0.20),
)


def main() -> None:
    rng, surge, lines = Random(0), 0.0, ["time,height_m"]
    for hour in range(HOURS):
        surge = 0.97 * surge + rng.gauss(0, 0.025)
        height = 2.5 + surge + sum(size * cos(2 * pi * (hour / period - phase)) for period, size, phase in TIDES)
        lines.append(f"{datetime(2025, 1, 1) + timedelta(hours=hour):%Y-%m-%d %H:%M},{height:.2f}")
    PLACE.write_text("\n".join([*lines, ""]), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
