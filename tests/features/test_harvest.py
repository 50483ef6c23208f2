"""Codes for counting: the model runs once, the same codes whatever the batches and processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from saecli.cooc.firing import FiringRule
from saecli.cooc.spoken import tokens_of_latents
from saecli.core.codes import Codes, SiteCodes, encode_documents
from saecli.core.errors import InputError
from saecli.core.fingerprint import fingerprint_module
from saecli.core.site import Site
from saecli.data.sequences import open_sequences
from saecli.features.harvest import Reader, codes_of, harvested
from saecli.formats.code_cache import CodeCache
from tests.f1.suites import save_model, save_suite
from zoo.load import load_model

SITES = (Site(1, "resid_pre"), Site(2, "resid_pre"))


@pytest.fixture
def made(tmp_path: Path):
    save_model(tmp_path / "lm", "othello")
    suite = save_suite(tmp_path / "sae", tmp_path / "lm")
    model = load_model(str(tmp_path / "lm"))
    return Reader(model, fingerprint_module(model.module), 7), suite, open_sequences("othello", 20)


def same(one: Codes, other: Codes) -> bool:
    parts = [(one.tokens_T, other.tokens_T), (one.starts_D, other.starts_D)]
    for site in SITES:
        a, b = one.sites[site], other.sites[site]
        parts += [(a.starts_T, b.starts_T), (a.features_N, b.features_N)]
        assert torch.allclose(a.values_N, b.values_N, rtol=1e-5)
    return all(torch.equal(a, b) for a, b in parts)


def test_codes_are_those_of_the_plain_way(made):
    reader, suite, sequences = made
    found = Codes.join(list(codes_of(reader, suite, SITES, sequences)))
    batches = [(sequences.tokens_BS.long(), sequences.lengths_B)]
    plain = Codes.join(list(encode_documents(reader.model, suite, SITES, batches)))
    assert same(found, plain)
    assert int(found.starts_D[-1]) == sequences.tokens


@pytest.mark.parametrize("budget", [1 << 30, 0, 100])
def test_the_cache_gives_what_the_model_gave(made, tmp_path, budget):
    reader, suite, sequences = made
    cache = CodeCache(tmp_path / "cache", budget)
    for call in range(2):
        with harvested(reader, suite, SITES, sequences, cache=cache, work=tmp_path / f"{call}") as store:
            assert store is not None
            kept = Codes.join(list(store))
            (alone,) = {tuple(part.sites) for part in store.only([SITES[1]])}
        assert alone == (SITES[1],)
        assert same(kept, Codes.join(list(codes_of(reader, suite, SITES, sequences))))
        assert (tmp_path / f"{call}").exists() == (call == 0 or budget <= 100)


def test_activations_that_are_not_finite_are_refused(made):
    reader, suite, sequences = made
    suite[SITES[0]].b_enc_F.fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        list(codes_of(reader, suite, SITES, sequences))


def test_tokens_speak_for_a_latent_by_their_part_of_the_likelihood():
    acts = torch.tensor([[1.0, 0, 2], [1, 0, 2], [0, 0, 2], [0, 0, 2], [3, 0, 2]])
    codes = SiteCodes.of(torch.arange(3).expand(5, 3), acts)
    tokens = torch.tensor([4, 4, 4, 5, 6], dtype=torch.int32)
    parts = [Codes(tokens, torch.tensor([0, 5]), {SITES[0]: codes})] * 2
    found = tokens_of_latents(parts, SITES[0], FiringRule.plain(3), 0.0, (), 7, str)
    strength = {4: 2 * np.log((2 / 3) / (3 / 5)), 6: np.log((1 / 3) / (1 / 5))}
    assert found == [[str(one) for one in sorted(strength, key=lambda one: -strength[one])], [], []]
    assert tokens_of_latents(parts, SITES[0], FiringRule.plain(3), 0.0, (6,), 7, str)[0] == ["4"]
    assert tokens_of_latents(parts, SITES[0], FiringRule.plain(3), 2.5, (), 7, str) == [["6"], [], []]
