"""From measured edges to the rows of the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from saecli.core.fidelity import SuiteFidelity
from saecli.core.intervals import Interval
from saecli.core.staircase import chunks, parameters
from saecli.core.suite import Suite
from saecli.validate.edge_measure import OWN, EdgeQuality
from saecli.validate.edges_ratio import edges_ratio
from saecli.validate.edges_read import Edges, scored_on
from saecli.validate.edges_result import ComparedSite, ComparedSuite, EdgeCurveRow, EdgeDifference, EdgePoint
from saecli.validate.result import Estimate
from saecli.validate.rows import differences, estimate


def compared_suites(
    suites: Mapping[str, Suite], measured: Mapping[str, SuiteFidelity], short: Mapping[str, str]
) -> list[ComparedSuite]:
    """All sites replaced together: of a suite of one site, that one."""
    changes = {one.suite: one.metrics for one in differences(suites, measured) if one.site in ("all", _only(suites))}
    rows = []
    for name, suite in suites.items():
        change = changes.get(name, {})
        rows.append(
            ComparedSuite(
                suite=short[name],
                dictionaries=len(suite),
                parameters=parameters(suite),
                ce_increase=estimate(measured[name].together),
                single_increases=estimate(measured[name].single_increases),
                minus_first=change.get("compound_ce_increase") or change.get("ce_increase"),
            )
        )
    return rows


def compared_sites(name: str, suite: Suite, measured: SuiteFidelity) -> list[ComparedSite]:
    """The dictionaries of a suite, with what a staircase has active step by step."""
    ends, rows = chunks(suite), []
    for (site, config), one in zip(suite.configs.items(), measured.sites, strict=True):
        steps = (0, *ends.get(site, ()))
        parts = [float(one.active_F[low:high].sum()) for low, high in pairwise(steps)]
        rows.append(
            ComparedSite(
                suite=name,
                site=str(one.site),
                arch=config.arch,
                latents=config.n_latents,
                l0=estimate(one.l0),
                l0_per_chunk=parts or None,
                variance_explained=estimate(one.dictionary.variance_explained),
                ce_increase=estimate(one.dictionary.ce_increase),
                jacobian=suite.info.measured.get(site, {}).get("jacobian"),
            )
        )
    return rows


def curve_row(one: Edges, name: str, found: EdgeQuality) -> EdgeCurveRow:
    """A suite's curve between two sites."""
    own = found.curves[OWN]
    random_area = _mean([curve.area for order, curve in found.curves.items() if order != OWN])
    return EdgeCurveRow(
        suite=name,
        pair=one.pair,
        score=one.connections.score,
        scored_on=scored_on(one.connections),
        possible=one.counts[-1],
        ce_none=estimate(own.ce[0]),
        ce_dictionary=estimate(found.ce_dictionary),
        kl_dictionary=estimate(found.kl_dictionary),
        points=[_point(found, count) for count in one.counts],
        area=estimate(own.area),
        random_area=estimate(random_area),
        better_than_random=estimate(random_area - own.area),
    )


def edge_differences(
    every: Sequence[Edges], found: Sequence[EdgeQuality], short: Mapping[str, str]
) -> list[EdgeDifference]:
    """Every further suite against the first, where both have edges."""
    first = next(iter(short))
    base = {one.sites: quality for one, quality in zip(every, found, strict=True) if one.suite == first}
    rows = []
    for one, quality in zip(every, found, strict=True):
        if one.suite != first and one.sites in base:
            own, other = quality.curves[OWN], base[one.sites].curves[OWN]
            rows.append(
                EdgeDifference(
                    suite=short[one.suite],
                    against=short[first],
                    pair=one.pair,
                    area=estimate(own.area - other.area),
                    edges_ratio=estimate(edges_ratio(own.kl, other.kl)),
                )
            )
    return rows


# ----------------------------------------------------------------------------------------------------------------------


def _only(suites: Mapping[str, Suite]) -> str | None:
    """The label of the site that every suite has, if it is the only one."""
    labels = {tuple(map(suite.label, suite.sites)) for suite in suites.values()}
    only = labels.pop()
    return only[0] if not labels and len(only) == 1 else None


def _point(found: EdgeQuality, count: int) -> EdgePoint:
    own = found.curves[OWN]
    random = [curve for name, curve in found.curves.items() if name != OWN]

    def spread(values: Sequence[float]) -> Estimate:
        return Estimate(float(np.mean(values)), min(values), max(values))

    return EdgePoint(
        edges=count,
        ce=estimate(own.ce[count]),
        ce_recovered=estimate(own.ce_recovered[count]),
        kl=estimate(own.kl[count]),
        kl_circuit=estimate(own.kl_circuit[count]),
        random_kl=spread([one.kl[count].value for one in random]),
        random_kl_circuit=spread([one.kl_circuit[count].value for one in random]),
    )


def _mean(areas: Sequence[Interval]) -> Interval:
    return Interval.of(sum(one.value for one in areas) / len(areas), np.mean([one.draws_R for one in areas], axis=0))
