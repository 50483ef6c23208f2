"""Thresholds that ``saecli trace --calibrate`` has kept, for a trace that asks for them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from saecli.core.errors import InputError
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.formats.thresholds import Thresholds, kept_thresholds
from saecli.trace.calibrate_config import CALIBRATED
from saecli.trace.config import TraceConfig


def calibrated(config: TraceConfig, suite: Suite, sites: Collection[Site]) -> dict[Site, Thresholds]:
    """Thresholds by site; none if they are not asked for.

    Raises:
        InputError: A site was never calibrated, or not as the others.
    """
    if config.node_threshold != CALIBRATED:
        return {}
    fingerprints = {site: suite.fingerprints[site] for site in sites}
    kept = kept_thresholds(fingerprints.values())
    missing = [suite.label(site) for site in sites if fingerprints[site] not in kept]
    suite_flag = "" if config.suite is None else f" --suite {config.suite}"
    command = f"saecli trace {config.model}{suite_flag} --layers {config.layers} --calibrate DATA"
    if missing:
        raise InputError(
            f"--node-threshold calibrated: no thresholds are kept for {' '.join(missing)} of {suite.info.name}.",
            f"Find them first: {command}.",
        )
    found = {site: kept[fingerprint] for site, fingerprint in fingerprints.items()}
    if len({(one.percentile, one.data, one.tokens, one.cluster) for one in found.values()}) > 1:
        raise InputError(
            f"--node-threshold calibrated: the thresholds kept for {suite.info.name} are of several calibrations.",
            f"Calibrate these sites together: {command}.",
        )
    return found


def noted(found: dict[Site, Thresholds]) -> dict[str, Any]:
    """What a graph's settings say of its thresholds."""
    if not found:
        return {}
    one = next(iter(found.values()))
    return {
        "calibration": {
            "percentile": one.percentile,
            "data": one.data,
            "tokens": one.tokens,
            "cluster": one.cluster or None,
        }
    }
