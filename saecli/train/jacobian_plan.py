"""Which dictionaries make Jacobian-sparse pairs, and what their penalty weighs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from saecli.core.errors import UsageError
from saecli.core.model import HookedModel
from saecli.train.recipes import JACOBIAN
from saecli.train.settings import Pairing

if TYPE_CHECKING:
    from saecli.train.sae_config import SaeTable, TrainSaeConfig
    from saecli.train.trainer import TrainerConfig

KINDS: Final = (("mlp_in", "mlp_out"), ("resid_mid", "resid_post"))
"""Sites that pair: the MLP layer, the MLP block."""

_FLAGS: Final = {
    "jacobian_coefficient": ("1",),
    "jacobian_reduction": "mean",
    "jacobian_tokens": "1",
    "jacobian_at": "clean",
}


def check_pairs(table: SaeTable, config: TrainSaeConfig) -> None:
    """Refuse sites that do not pair, and flags of pairs for what is none.

    Raises:
        UsageError: So it is.
    """
    if table.arch != JACOBIAN:
        for name, usual in _FLAGS.items():
            if (value := getattr(table, name)) != usual:
                flag, said = name.replace("_", "-"), value if isinstance(value, str) else " ".join(value)
                raise UsageError(f"--{flag} {said} is of --arch {JACOBIAN}, not of --arch {table.arch}.")
        return
    if config.activations:
        raise UsageError(f"--arch {JACOBIAN} is for two sites of a model, and --activations are of one.")
    if tuple(sorted(set(table.kind))) not in KINDS or len(table.kind) != 2:
        raise UsageError(
            f"--arch {JACOBIAN}: {' and '.join(table.kind)} {'do' if len(table.kind) > 1 else 'does'} not pair.",
            "Choose --kind mlp_in --kind mlp_out, or --kind resid_mid --kind resid_post.",
        )
    _ = coefficients(table), _every(table)


class Coefficients(tuple[float, ...]):
    """What the penalty weighs: one number, or one for every layer. As text what the suite is called: 0.3, 0.3_1_3."""

    __slots__ = ()

    def __str__(self) -> str:
        return "_".join(f"{one:g}" for one in self)


def coefficients(table: SaeTable) -> dict[str, tuple[Coefficients, ...]]:
    """The weights of a table's penalty by the flag's name, each of which trains a suite; nothing for other tables.

    Raises:
        UsageError: They are no numbers from 0.
    """
    if table.arch != JACOBIAN:
        return {}
    return {"jacobian_coefficient": tuple(map(_parsed, table.jacobian_coefficient))}


def with_pairs(
    table: SaeTable, plans: Sequence[TrainerConfig], number: int, values: Mapping[str, Any]
) -> list[TrainerConfig]:
    """The plans of a table with their penalties.

    Args:
        table: Whose they are.
        plans: Of one suite.
        number: The table's.
        values: What the suite has of the table's sweeps.

    Raises:
        UsageError: There are not as many coefficients as layers.
    """
    if table.arch != JACOBIAN:
        return list(plans)
    layers = sorted({plan.dictionary.reads.layer for plan in plans})
    weights: Coefficients = values["jacobian_coefficient"]
    if len(weights) not in (1, len(layers)):
        raise UsageError(
            f"--jacobian-coefficient {str(weights).replace('_', ',')} has {len(weights)} numbers, and there are "
            f"{len(layers)} layers: {', '.join(map(str, layers))}.",
            "Give one number, or one for every layer.",
        )
    by_layer = dict(zip(layers, weights * (len(layers) if len(weights) == 1 else 1), strict=True))
    paired = []
    for plan in plans:
        layer = plan.dictionary.reads.layer
        pairing = Pairing(
            group=f"{number}.{layer}",
            coefficient=by_layer[layer],
            reduction=table.jacobian_reduction,
            every=_every(table),
            at=table.jacobian_at,
        )
        said = {"coefficient": pairing.coefficient, "reduction": pairing.reduction, "at": pairing.at}
        dictionary = replace(plan.dictionary, options={**plan.dictionary.options, "jacobian": said})
        paired.append(replace(plan, dictionary=dictionary, pairing=pairing))
    return paired


def check_paths(plans: Sequence[TrainerConfig], model: HookedModel) -> None:
    """Refuse pairs over what is no MLP of one hidden layer.

    Raises:
        UsageError: As :func:`saecli.train.jacobian_path.mlp_path`.
    """
    from saecli.train.jacobian_path import mlp_path

    for layer in sorted({plan.dictionary.reads.layer for plan in plans if plan.pairing is not None}):
        mlp_path(model, layer, block=False)


def _parsed(text: str) -> Coefficients:
    found = []
    for part in text.split(","):
        try:
            found.append(float(part))
        except ValueError:
            found.append(-1.0)
        if not isfinite(found[-1]) or found[-1] < 0:
            raise UsageError(
                f"--jacobian-coefficient {text}: {part.strip()!r} is no number from 0.",
                "Give one number, or one for every layer: 0.1,0.3.",
            )
    return Coefficients(found)


def _every(table: SaeTable) -> int:
    """One token in so many."""
    try:
        share = Fraction(table.jacobian_tokens.strip())
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if share.numerator != 1:
        raise UsageError(f"--jacobian-tokens {table.jacobian_tokens}: expected 1, or one in so many such as 1/8.")
    return share.denominator
