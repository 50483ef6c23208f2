"""Dictionaries too large to be held together, prompts too long for one piece: the same numbers."""

from __future__ import annotations

from itertools import chain

import pytest
import torch

from saecli.attribution import paths
from saecli.attribution.clean import CleanRun, clean_run
from saecli.attribution.gradient import direct_edges
from saecli.attribution.metric import CrossEntropyMetric
from saecli.core import dictionary, streamed
from saecli.core.dictionary import Dictionary
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from tests.hand_models import random_dictionary, random_model

TOKENS = torch.tensor([3, 1, 4, 1, 2])
NAMES = "0.resid_pre 0.attn_out 0.mlp_out 1.resid_pre 1.attn_out 2.resid_pre"
SITES = [Site.parse(name) for name in NAMES.split()]
MADE = [random_dictionary(site, random_model().info.d_model, seed=n) for n, site in enumerate(SITES)]


def lazy(read: list[Site]) -> Suite:
    def load(site: Site) -> Dictionary:
        read.append(site)
        return MADE[SITES.index(site)]

    return Suite(SuiteInfo("lazy", "model"), [one.config for one in MADE], load)


def trace(suite: Suite) -> CleanRun:
    return clean_run(random_model(), suite.some(SITES), TOKENS, CrossEntropyMetric(4, 2, "token 2"))


def edges(clean: CleanRun) -> list[torch.Tensor]:
    blocks = chain.from_iterable(direct_edges(clean, clean.nodes, tokens=clean.tokens))
    return [block.weight_CP for block in blocks]


def test_large_dictionaries_are_read_when_asked_for_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Site] = []
    together = trace(suite := lazy(read))
    assert read == SITES
    whole = edges(together)
    prints = dict(suite.fingerprints)
    assert read == SITES, "what is held is not read again"

    monkeypatch.setattr(streamed, "KEPT_WEIGHTS", 1)
    read.clear()
    apart = trace(suite := lazy(read))
    assert read == SITES, "one after the other"
    assert suite.fingerprints[SITES[2]] == prints[SITES[2]]
    assert not suite._loaded, "a fingerprint keeps nothing"
    assert read == [*SITES, SITES[2]]
    for site in SITES:
        assert torch.equal(apart.nodes[site].effect_N, together.nodes[site].effect_N)
    assert all(torch.equal(a, b) for a, b in zip(edges(apart), whole, strict=True))
    view = suite.some(SITES[:2])
    assert list(view) == SITES[:2]
    assert SITES[2] not in view
    with pytest.raises(KeyError):
        view[SITES[2]]


@pytest.mark.parametrize("one", MADE[:2], ids=lambda one: str(one.config.reads))
def test_codes_are_made_in_chunks_of_rows(one: Dictionary, monkeypatch: pytest.MonkeyPatch) -> None:
    x_TD = torch.randn(7, one.config.d_in, generator=torch.Generator().manual_seed(0), dtype=one.b_dec_D.dtype)
    dense_TF = one.encode(x_TD)
    monkeypatch.setattr(dictionary, "PREACTIVATIONS", 2 * one.n_latents)
    acts = one.encode_sparse(x_TD)
    assert acts.values_TK.shape[1] == int((dense_TF != 0).sum(-1).max())
    back_TF = torch.zeros_like(dense_TF).scatter_add(1, acts.indices_TK, acts.values_TK)
    assert torch.allclose(back_TF, dense_TF, rtol=0, atol=1e-12)


def test_a_backward_stops_at_the_last_position_of_its_cotangents(monkeypatch: pytest.MonkeyPatch) -> None:
    clean = trace(lazy([]))
    whole = edges(clean)
    lengths: list[int] = []
    plain = paths.DirectPaths._forward

    def watch(self: paths.DirectPaths, route: paths.Route, rows_N: object, *args: object, **kwargs: object) -> object:
        if "length" in kwargs:
            lengths.append(kwargs["length"])  # type: ignore[arg-type]
        return plain(self, route, rows_N, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(paths.DirectPaths, "_forward", watch)
    monkeypatch.setattr(paths, "PATTERN_PER_BACKWARD", 16)
    pieces = direct_edges(clean, clean.nodes, tokens=clean.tokens)
    ends = [block.children.position_N.max() + 1 for blocks in pieces if (block := blocks[0]).children is not None]
    assert min(lengths) == 1
    assert max(lengths) == 5
    assert set(lengths) <= {int(end) for end in ends}
    monkeypatch.setattr(paths, "COTANGENTS_PER_BACKWARD", 1)
    found = iter(chain.from_iterable(direct_edges(clean, clean.nodes, tokens=clean.tokens)))
    total = sum(float(block.weight_CP.sum()) for block in found)
    assert total == pytest.approx(sum(float(one.sum()) for one in whole), rel=1e-9)
