"""Circuits by themselves: known answers, and the slow twin on random models."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.attribution.circuit import Circuits, Pool, run_circuits
from saecli.attribution.circuit_random import STRATA, random_features_like, random_like, strata
from saecli.attribution.circuit_reference import mean_reference, resampled_reference, zero_reference
from saecli.attribution.clean import ERROR, CleanRun, clean_run
from saecli.attribution.metric import LinearMetric
from saecli.core.site import Site
from tests.attribution.test_known_answers import BOS, FRAC, IS_X, ONE, X, fraction
from tests.attribution.test_known_answers import gate as make_gate
from tests.hand_models import random_dictionary, random_model
from tests.twins.circuits import run_alone

__all__ = ["fraction"]
F64 = torch.float64


def of(pool: Pool, *circuits: list[tuple[Site, int, int]]) -> Circuits:
    rows = []
    for nodes in circuits:
        keep_N = torch.zeros(len(pool), dtype=torch.bool)
        for site, position, index in nodes:
            found = (pool.site_N == pool.sites.index(site)) & (pool.position_N == position) & (pool.index_N == index)
            assert found.sum() == 1
            keep_N |= found
        rows.append(keep_N)
    return Circuits.of(torch.stack(rows))


@pytest.mark.parametrize(("gate", "alone"), [("and", [0, 0, 1, 0]), ("or", [1, 1, 1, 0])])
def test_gates(gate: str, alone: list[float]) -> None:
    clean = make_gate(gate)
    (site,) = clean.sites
    pool = Pool.of(clean)
    circuits = of(pool, [(site, 0, 0)], [(site, 0, 1)], [(site, 0, 0), (site, 0, 1)], [])
    zero = zero_reference(clean.sites)
    assert run_circuits(clean, pool, circuits, zero).tolist() == alone
    u, v, both, nothing = alone
    assert run_circuits(clean, pool, circuits.complements, zero).tolist() == [v, u, nothing, both]


def test_fraction_by_its_circuit(fraction: CleanRun) -> None:
    """First order misses what keeps attention off BOS; with it the circuit is whole, without one x it is not."""
    r0, m0, r1, a1, r2 = fraction.sites
    true = [(site, p, f) for p in (5, 6, 7) for site, f in ((r0, X), (m0, IS_X), (r1, IS_X))]
    true += [(a1, 9, FRAC), (r2, 9, FRAC)]
    exact = [*true, *((site, p, f) for site in (r0, r1) for p, f in ((0, BOS), (9, ONE)))]
    fewer = [node for node in exact if node[1] != 6]
    pool = Pool.of(fraction)
    circuits = of(pool, true, exact, fewer, [])
    zero = zero_reference(fraction.sites)
    found = run_circuits(fraction, pool, circuits, zero)
    assert (found / fraction.value).tolist() == pytest.approx([0.9, 1, 2 / 3, 0])
    assert run_circuits(fraction, pool, circuits.complements, zero)[0] == pytest.approx(0)


def random_clean(seed: int, *, normalize: str | None, parallel: bool, length: int = 5) -> CleanRun:
    model = random_model(n_layers=2, parallel=parallel, seed=seed)
    sites = [Site(0, "mlp_out"), Site(1, "resid_pre"), Site(1, "attn_out"), Site(1, "mlp_out"), Site(2, "resid_pre")]
    sites += [] if parallel else [Site(1, "resid_mid")]
    made = {site: random_dictionary(site, 8, seed=seed + n, normalize=normalize) for n, site in enumerate(sites)}
    generator = torch.Generator().manual_seed(seed)
    tokens_S = torch.randint(0, 9, (length,), generator=generator)
    weights_V = torch.randn(9, generator=generator, dtype=F64)
    return clean_run(model, made, tokens_S, LinearMetric(length - 2, weights_V, "y", "some output", "y"))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    normalize=st.sampled_from([None, "layer_norm", "constant_norm_rescale"]),
    parallel=st.booleans(),
    how=st.sampled_from(["zero", "mean", "resample"]),
    share=st.sampled_from([0.1, 0.5, 0.9]),
)
def test_many_together_are_one_by_one(seed: int, normalize: str | None, parallel: bool, how: str, share: float) -> None:
    clean = random_clean(seed, normalize=normalize, parallel=parallel)
    generator = torch.Generator().manual_seed(seed)
    prompts = torch.randint(0, 9, (6, 5), generator=generator)
    reference = {
        "zero": lambda: zero_reference(clean.sites),
        "mean": lambda: mean_reference(clean.model, clean.dictionaries, [prompts[:4], prompts[4:]]),
        "resample": lambda: resampled_reference(clean.model, clean.dictionaries, prompts[0]),
    }[how]()
    site = clean.sites[1]
    silent = [(site, 1, f) for f in range(20) if f not in clean.nodes[site].index_N.tolist()][:2]
    pool = Pool.of(clean, silent)
    keep_CN = torch.rand(3, len(pool), generator=generator) < share
    keep_CN[2, pool.is_error_N] = True
    circuits = Circuits.of(keep_CN)
    scope = clean.sites if seed % 2 else clean.sites[2:]
    alone = run_circuits(clean, pool, circuits, reference, sites=scope)
    rest = run_circuits(clean, pool, circuits.complements, reference, sites=scope)
    for row, keep_N in enumerate(keep_CN):
        nodes = [
            (pool.sites[int(pool.site_N[n])], int(pool.position_N[n]), None if i == ERROR else i)
            for n, i in enumerate(pool.index_N.tolist())
            if keep_N[n]
        ]
        expected = run_alone(clean, nodes, reference, sites=scope)
        assert float(alone[row]) == pytest.approx(expected, rel=1e-6, abs=1e-9)
        expected = run_alone(clean, nodes, reference, sites=scope, others=True)
        assert float(rest[row]) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("how", ["zero", "mean"])
def test_everything_is_the_model_and_nothing_is_the_reference(how: str) -> None:
    clean = random_clean(3, normalize=None, parallel=False)
    reference = zero_reference(clean.sites)
    if how == "mean":
        reference = resampled_reference(clean.model, clean.dictionaries, clean.tokens_S)
    pool = Pool.of(clean)
    every = Circuits.of(torch.ones(1, len(pool), dtype=torch.bool))
    assert run_circuits(clean, pool, every, reference).item() == pytest.approx(clean.value, rel=1e-12)
    nothing = run_circuits(clean, pool, every.complements, reference).item()
    if how == "mean":  # the prompt itself in the place of everything
        assert nothing == pytest.approx(clean.value, rel=1e-12)
    else:
        assert abs(nothing - clean.value) > 1e-3


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), share=st.sampled_from([0.0, 0.2, 0.7, 1.0]))
def test_random_circuits_are_matched(seed: int, share: float) -> None:
    clean = random_clean(seed, normalize=None, parallel=False)
    pool = Pool.of(clean, [(clean.sites[1], 0, f) for f in range(20)])
    generator = torch.Generator().manual_seed(seed)
    keep_CN = torch.rand(2, len(pool), generator=generator) < share
    drawn_CN = random_like(pool, keep_CN, 3, generator)
    stratum_N = strata(pool)
    assert bool(((stratum_N >= 0) == pool.is_active_N).all())
    for row in range(6):
        kept_N = keep_CN[row // 3]
        assert torch.equal(drawn_CN[row][~pool.is_active_N], kept_N[~pool.is_active_N])
        for group in range(int(stratum_N.max()) + 1):
            assert drawn_CN[row][stratum_N == group].sum() == kept_N[stratum_N == group].sum()
    for site in range(len(pool.sites)):
        for position in range(5):
            here = pool.is_active_N & (pool.site_N == site) & (pool.position_N == position)
            size, number = pool.activation_N[here], stratum_N[here]
            assert torch.equal(number[size.argsort(stable=True)].sort().values, number[size.argsort(stable=True)])
            assert len(number.unique()) == min(STRATA, int(here.sum()))


def test_random_circuits_reach_every_feature() -> None:
    clean = random_clean(1, normalize=None, parallel=False)
    pool = Pool.of(clean)
    keep_CN = strata(pool)[None] >= 0
    keep_CN[0, (pool.position_N > 0)] = False
    generator = torch.Generator().manual_seed(0)
    half = keep_CN & (torch.rand(1, len(pool), generator=generator) < 0.5)
    drawn_CN = random_like(pool, half, 200, generator)
    groups = strata(pool)[half[0]].unique()
    reached = drawn_CN.any(0)
    assert bool(reached[torch.isin(strata(pool), groups)].all())


@pytest.mark.parametrize(("count", "own"), [(4, False), (60, True)])
def test_random_features_are_as_active_as_those_they_stand_for(count: int, own: bool) -> None:
    activity_F = torch.cat([torch.linspace(0.01, 1, 100), torch.zeros(20)])
    given_N = torch.arange(99, 99 - count, -1)
    generator = torch.Generator().manual_seed(0)
    drawn_N = torch.stack([random_features_like(activity_F, given_N, generator) for _ in range(20)])
    assert all(len(set(row)) == count for row in drawn_N.tolist())
    assert bool((activity_F[drawn_N] > 0).all())
    assert bool(torch.isin(drawn_N, given_N).any()) is own
    assert activity_F[drawn_N].mean() > 0.75 * activity_F[given_N].mean()
