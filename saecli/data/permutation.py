"""A seeded permutation of 0..n - 1 that is never in memory: any place of it can be asked for.

A Feistel network of four rounds permutes the next power of four, and what falls beyond n is sent through again until it
is inside (https://doi.org/10.1007/3-540-45760-7_9). Rounds mix with the finaliser of SplitMix64.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

_ROUNDS = 4


def shuffled(places: npt.NDArray[np.int64], n: int, *seed: int) -> npt.NDArray[np.int64]:
    """What stands at some places of a permutation of 0..n - 1.

    Args:
        places: int64 [...], each 0..n - 1.
        n: length of the permutation, from 1.
        seed: whole numbers; others give another permutation.

    Returns:
        int64 [...], each 0..n - 1; different places give different values.
    """
    half = max(1, ((n - 1).bit_length() + 1) // 2)
    keys = np.frombuffer(hashlib.sha256(repr(seed).encode()).digest(), "<u8")[:_ROUNDS]
    mask, shift = np.uint64((1 << half) - 1), np.uint64(half)
    values = places.astype(np.uint64)
    beyond = np.ones(values.shape, bool)
    while beyond.any():
        left, right = values[beyond] >> shift, values[beyond] & mask
        for key in keys:
            left, right = right, left ^ (_mixed(right ^ key) & mask)
        values[beyond] = left << shift | right
        beyond = values >= n
    return values.astype(np.int64)


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
