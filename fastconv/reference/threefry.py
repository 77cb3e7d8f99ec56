"""Random numbers without a memory: number i of an image is a function of the image and i.

    w0, w1 = threefry2x32(key = (k0, k1), counter = (c0, c1))

Twenty rounds stir two words of 32 bits, w0 ← w0 + w1, w1 ← rotate(w1) xor w0; after every fourth the key is
added. Salmon, Moraes, Dror & Shaw 2011, *Parallel random numbers: as easy as 1, 2, 3*, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator

BLOCK = 32
"""Numbers come in blocks: the first words of 16 counters, then their second words."""

_WORD = 0xFFFFFFFF
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry2x32(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Two random words of 32 bits for a key and a counter of two words each."""
    keys = (*key, key[0] ^ key[1] ^ 0x1BD11BDA)
    w0, w1 = counter[0] + keys[0] & _WORD, counter[1] + keys[1] & _WORD
    for group in range(5):
        for bits in _ROTATIONS[group % 2]:
            w0 = w0 + w1 & _WORD
            w1 = (w1 << bits | w1 >> (32 - bits)) & _WORD ^ w0
        w0 = w0 + keys[(group + 1) % 3] & _WORD
        w1 = w1 + keys[(group + 2) % 3] + group + 1 & _WORD
    return w0, w1


def random_words(seed: int, call: int, image: int = 0) -> Iterator[int]:
    """The words of one image, for a seed (64 bits) and its call number ``call`` (32 bits), without an end.

    Seed and call are stirred into the key, and image and place are the counter.
    """
    key = threefry2x32((seed & _WORD, seed >> 32), (call, 0))
    first = 0
    while True:
        pairs = [threefry2x32(key, (first + i & _WORD, image & _WORD)) for i in range(BLOCK // 2)]
        yield from (w0 for w0, _ in pairs)
        yield from (w1 for _, w1 in pairs)
        first += BLOCK // 2
