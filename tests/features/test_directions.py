"""What features write by themselves: against plain formulas."""

from __future__ import annotations

import pytest
import torch

from saecli.core.site import Site
from saecli.features.directions import logit_effects, neighbours, residual_directions
from tests.hand_models import random_dictionary, random_model

SITES = tuple(Site(layer, "resid_pre") for layer in range(3))


def test_the_tokens_a_direction_speaks_for_are_those_of_the_unembedding():
    model = random_model(d_model=8, d_vocab=9)
    direction_ND = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    allowed = [0, 2, 3, 5, 6, 8]
    found = logit_effects(model, direction_ND * 7, str, allowed, 2)
    for direction_D, (raises, lowers) in zip(direction_ND, found, strict=True):
        with torch.no_grad():
            logits = model.unembed(direction_D / direction_D.norm() * 8**0.5) - model.unembed(
                torch.zeros_like(direction_D)
            )
        some = {token: float(logits[token]) for token in allowed}
        mean = sum(some.values()) / len(some)
        order = sorted(allowed, key=lambda token: -some[token])
        assert [name for name, _ in raises] == [str(t) for t in order[:2]]
        assert [name for name, _ in lowers] == [str(t) for t in order[::-1][:2]]
        assert [v for _, v in raises] == pytest.approx([some[t] - mean for t in order[:2]], rel=5e-3)
        assert [v for _, v in lowers] == pytest.approx([some[t] - mean for t in order[::-1][:2]], rel=5e-3)


def test_no_more_tokens_are_named_than_there_are():
    model = random_model(d_vocab=9)
    (found,) = logit_effects(model, torch.ones(1, 8, dtype=torch.float64), str, range(3), 5)
    assert [len(side) for side in found] == [1, 1]


def test_neighbours_are_the_highest_cosines_of_earlier_and_of_later_sites():
    generator = torch.Generator().manual_seed(3)
    directions = {site: torch.randn(6 + site.layer, 8, generator=generator) for site in SITES}
    found = neighbours(directions, {SITES[1]: torch.tensor([2, 4]), SITES[0]: torch.tensor([5])}, 3)
    assert set(found) == {(SITES[1], 2), (SITES[1], 4), (SITES[0], 5)}
    for (site, feature), rows in found.items():
        expected = []
        for others in ([s for s in SITES if s < site], [s for s in SITES if s > site]):
            cosines = [
                (-float(torch.cosine_similarity(directions[site][feature], directions[other][f], dim=0)), other, f)
                for other in others
                for f in range(len(directions[other]))
            ]
            expected += [(other, f, pytest.approx(-value, abs=2e-3)) for value, other, f in sorted(cosines)[:3]]
        assert rows == expected


def test_the_direction_is_a_row_of_the_decoder():
    dictionary = random_dictionary(SITES[1], 8)
    found = residual_directions(random_model(), dictionary, torch.tensor([3, 1]))
    assert found is not None
    assert torch.equal(found, dictionary.W_dec_FD[[3, 1]])
    assert residual_directions(random_model(), random_dictionary(Site(0, "mlp_in"), 8), torch.tensor([3])) is None
