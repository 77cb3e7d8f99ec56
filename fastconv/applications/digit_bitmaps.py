"""The ten digits as pictures of 7 × 12 pixels: the codes that LeNet-5 of 1998 learns to give.

Digits that look alike have codes that are alike, so that a mistake between them is a small one: what the
codes of classes drawn at random would not have.
"""

from __future__ import annotations

import numpy as np

HEIGHT, WIDTH = 12, 7

_DRAWN = """
..###..  ...##..  ..####.  .#####.  ....##.
.##.##.  ..###..  .######  #######  ...###.
##...##  .####..  ##...##  .....##  ..####.
##...##  ##.##..  .....##  .....##  .##.##.
##...##  ...##..  .....##  .....##  .##.##.
##...##  ...##..  ....##.  ..####.  ##..##.
##...##  ...##..  ...##..  ..####.  ##..##.
##...##  ...##..  ..##...  .....##  #######
##...##  ...##..  .##....  .....##  #######
##...##  ...##..  ##.....  .....##  ....##.
.##.##.  .######  #######  #######  ....##.
..###..  .######  #######  .#####.  ....##.

#######  ..####.  #######  .#####.  .#####.
#######  .#####.  #######  #######  #######
##.....  ##.....  .....##  ##...##  ##...##
##.....  ##.....  .....##  ##...##  ##...##
##.....  ##.....  ....##.  ##...##  ##...##
######.  ######.  ....##.  .#####.  #######
#######  #######  ...##..  .#####.  .######
.....##  ##...##  ...##..  ##...##  .....##
.....##  ##...##  ..##...  ##...##  .....##
##...##  ##...##  ..##...  ##...##  .....##
#######  #######  .##....  #######  .#####.
.#####.  .#####.  .##....  .#####.  .####..
"""


def _read(drawn: str) -> list[list[list[int]]]:
    bands = [[line.split() for line in band.splitlines()] for band in drawn.strip().split("\n\n")]
    digits = [digit for band in bands for digit in zip(*band, strict=True)]
    return [[[1 if pixel == "#" else -1 for pixel in row] for row in digit] for digit in digits]


DIGIT_BITMAPS = np.array(_read(_DRAWN), np.int8)
"""(10, 12, 7): 1 where there is ink, -1 elsewhere."""
