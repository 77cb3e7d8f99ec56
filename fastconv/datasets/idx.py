"""The IDX file format of MNIST and its relatives: a typed array behind a small big-endian header.

    byte 0-1   zero
    byte 2     type of the elements (0x08: unsigned byte, ...)
    byte 3     number of dimensions, d
    then       d sizes of four bytes each, then the elements, last dimension fastest

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".
"""

from __future__ import annotations

import math

import numpy as np

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def parse_idx(data: bytes, source: str = "data") -> np.ndarray:
    """The array in an (unpacked) IDX file. ValueError, naming the ``source``, if it is damaged."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES:
        raise ValueError(f"{source} is not an IDX file: it starts with {data[:4].hex(' ') or 'nothing'}")
    dtype, dimensions = np.dtype(TYPES[data[2]]), data[3]
    header = 4 + 4 * dimensions
    if len(data) < header:
        raise ValueError(f"{source} is truncated: {len(data)} bytes, its header alone has {header}")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, offset=4))
    expected = header + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        fault = "truncated" if len(data) < expected else "too long"
        raise ValueError(f"{source} is {fault}: {len(data)} bytes, its header {shape} asks for {expected}")
    array = np.frombuffer(data, dtype, offset=header).reshape(shape)
    return array.astype(dtype.newbyteorder("="))  # a writable copy, in this machine's byte order
