"""Files with bytes changed or missing."""

import random


def damaged(data, seed, count):
    """``count`` of them; every fourth is cut off as well."""
    rng = random.Random(seed)
    for number in range(count):
        broken = bytearray(data)
        if number % 4 == 0:
            del broken[rng.randrange(len(broken)) :]
        for _ in range(rng.choice([1, 1, 4, 16]) if broken else 0):
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        yield broken
