"""Dictionaries whose weights are the first features of a wider one: which of a suite are, and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from saecli.core.dictionary import Dictionary
from saecli.core.site import Site


def is_staircase(group: Sequence[Dictionary]) -> bool:
    """Whether the encoder, decoder and thresholds of all are the first features of those of the widest."""
    widest = max(group, key=lambda one: one.n_latents)
    return all(_begins(one, widest) for one in group)


def staircases(suite: Mapping[Site, Dictionary]) -> list[list[Site]]:
    """Groups of two dictionaries or more that share their weights, each in order of depth."""
    groups: list[list[Site]] = []
    for site in sorted(suite, key=lambda one: (-suite[one].n_latents, one)):
        group = next((one for one in groups if _begins(suite[site], suite[one[0]])), None)
        if group is None:
            groups.append([site])
        else:
            group.append(site)
    return sorted(sorted(group) for group in groups if len(group) > 1)


def chunks(suite: Mapping[Site, Dictionary]) -> dict[Site, tuple[int, ...]]:
    """Where every step of a staircase ends, up to the width of each of its dictionaries; by site."""
    found = {}
    for group in staircases(suite):
        ends = sorted({suite[site].n_latents for site in group})
        found |= {site: tuple(end for end in ends if end <= suite[site].n_latents) for site in group}
    return found


def parameters(suite: Mapping[Site, Dictionary]) -> int:
    """Numbers that a suite has learnt: what a staircase shares, and an encoder that is the decoder, count once."""
    total = sum(_own(dictionary) for dictionary in suite.values())
    for group in staircases(suite):
        *narrower, widest = sorted((suite[site] for site in group), key=lambda one: one.n_latents)
        for one in narrower:
            total -= sum(one.get_parameter(name).numel() for name in _shared_names(one))
            total -= one.b_dec_D.numel() * torch.equal(one.b_dec_D, widest.b_dec_D)
    return total


def _own(dictionary: Dictionary) -> int:
    total = sum(value.numel() for value in dictionary.parameters())
    tied = dictionary.W_enc_DF.shape == dictionary.W_dec_FD.T.shape
    return total - dictionary.W_enc_DF.numel() * (tied and torch.equal(dictionary.W_enc_DF, dictionary.W_dec_FD.T))


def _shared_names(one: Dictionary) -> tuple[str, ...]:
    return ("W_enc_DF", "W_dec_FD", *(["threshold_F"] if hasattr(one, "threshold_F") else []))


def _begins(one: Dictionary, widest: Dictionary) -> bool:
    mine, its = one.config, widest.config
    if (mine.arch, mine.d_in, mine.d_out) != (its.arch, its.d_in, its.d_out):
        return False
    if not torch.equal(one.W_dec_FD[0], widest.W_dec_FD[0]):
        return False  # as nearly all that share nothing, without a look at the whole
    count = one.n_latents
    for name in _shared_names(one):
        whole = widest.get_parameter(name)
        part = whole[:, :count] if name == "W_enc_DF" else whole[:count]
        if not torch.equal(one.get_parameter(name), part):
            return False
    return True
