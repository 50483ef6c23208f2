"""Which dictionaries ``saecli train sae`` trains, at which sites and how: the configuration against the model."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any, Final

from saecli.core.address import EmptySelection, parse_layers
from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import UsageError
from saecli.core.model import ModelInfo
from saecli.core.site import Site
from saecli.learning.rate import peak_rate
from saecli.train.end_to_end_plan import check_end_to_end
from saecli.train.jacobian_plan import check_pairs, coefficients, with_pairs
from saecli.train.recipes import COMPILED, RECIPES, TIED, TRAINED, TRAINED_AS, sparsity_of
from saecli.train.sae_config import VECTORS_SITE, SaeTable, TrainSaeConfig
from saecli.train.settings import Settings
from saecli.train.staircase_plan import check_staircase, step_widths, with_sharing
from saecli.train.trainer import TrainerConfig

_ROUNDED: Final = Fraction(1, 1000)  # that shares written as decimals may miss 1 by
_SUITE_NAMES: Final = {
    "latents": "f{}",
    "k": "k{}",
    "sparsity_weight": "w{:g}",
    "target_l0": "l0-{:g}",
    "jacobian_coefficient": "j{}",
}


_ONLY_WITH: Final = {
    "sparsity_warmup": ("sparsity_weight", "target_l0"),
    "k_anneal": ("k",),
    "resample_every": ("sparsity_weight",),
}
"""Flags that mean something for some architectures alone, by what sets their sparsity."""


def plan_dictionaries(config: TrainSaeConfig, info: ModelInfo) -> list[TrainerConfig]:
    """Every dictionary that a configuration asks for, in the order of depth.

    Raises:
        UsageError: A site that the model does not have, two dictionaries at one site of one suite, k above latents,
            a flag that no architecture uses, several values of a setting where one dictionary can have but one.
    """
    check_end_to_end(config)
    for table in config.tables:
        check_staircase(table, config)
        check_pairs(table, config)
        _check_values(table)
    swept = {name for table in config.tables for name, values in _sweeps(table).items() if len(values) > 1}
    plans: dict[tuple[str, Site], TrainerConfig] = {}
    for number, table in enumerate(config.tables):
        for chosen in itertools.product(*_sweeps(table).values()):
            values = dict(zip(_sweeps(table), chosen, strict=True))
            names = [_SUITE_NAMES[name].format(value) for name, value in values.items() if name in swept]
            variant = "-".join([table.name, *names] if table.name else names)
            planned = []
            for sites, own in step_widths(table, _table_sites(table, info), values, info):
                planned.append(_plan(config, table, sites, own, info, variant))
            planned = with_pairs(table, planned, number, values)
            for plan in with_sharing(table, planned, number, own_lr=_told(config, table, "lr") is None):
                sites = plan.dictionary.reads, plan.dictionary.writes
                if (variant, sites[0]) in plans:
                    raise UsageError(
                        f"Two [[sae]] tables train a dictionary at {sites[0]}.", "Give one a name: name = ..."
                    )
                plans[variant, sites[0]] = plan
    for name, sparsities in _ONLY_WITH.items():
        fitting = [arch for arch in TRAINED if RECIPES[arch].sparsity in sparsities]
        if getattr(config, name) and not any(_recipe(table) in fitting for table in config.tables):
            raise UsageError(f"--{name.replace('_', '-')} is for these architectures: {', '.join(fitting)}.")
    written = [(plan.variant, plan.dictionary.writes) for plan in plans.values()]
    if twice := [site for number, (variant, site) in enumerate(written) if (variant, site) in written[:number]]:
        raise UsageError(f"Two dictionaries of one suite write {twice[0]}.")
    return sorted(plans.values(), key=lambda plan: (plan.dictionary.reads, plan.variant))


def _recipe(table: SaeTable) -> str:
    return TRAINED_AS.get(table.arch, table.arch)


def _sweeps(table: SaeTable) -> dict[str, tuple[Any, ...]]:
    """The settings of which every value makes a suite: the width, what sets the sparsity, the weight of a Jacobian."""
    sparsity = sparsity_of(_recipe(table), table.l0_loss)
    if not sparsity:
        return {}
    widths = {} if table.widths else {"latents": table.latents}
    return widths | {sparsity: getattr(table, sparsity)} | coefficients(table)


def _check_values(table: SaeTable) -> None:
    """Several values of a setting are several suites, and need an architecture that the setting makes differ.

    Raises:
        UsageError: It does not, or a value is there twice.
    """
    for name, values in _sweeps(table).items():
        suites = [_SUITE_NAMES[name].format(value) for value in values]
        if twice := next((value for at, value in enumerate(values) if suites[at] in suites[:at]), None):
            flag, said = name.replace("_", "-"), str(twice).replace("_", ",")
            raise UsageError(f"--{flag} {said} is there twice.", "Say every value once.")
    for name in _SUITE_NAMES:
        if len(values := getattr(table, name)) > 1 and name not in (sweeps := _sweeps(table)):
            also = f" with --l0-loss {table.l0_loss}" if table.arch.endswith("jumprelu") else ""
            also += " with --widths" if table.widths else ""
            can = "--" + " and --".join(sweeps).replace("_", "-") if sweeps else "nothing"
            raise UsageError(
                f"--{name.replace('_', '-')} has {len(values)} values, and --arch {table.arch}{also} does not "
                f"depend on it.",
                f"Give several values of {can}." if sweeps else "Leave it out.",
            )


def _table_sites(table: SaeTable, info: ModelInfo) -> list[tuple[Site, Site]]:
    """Sites read and written; a kind ``mlp_in>mlp_out`` means a transcoder."""
    sites = []
    for text in table.kind:
        kind, _, target = text.partition(">")
        writes = Site(0, target or kind)
        if writes < Site(0, kind):
            raise UsageError(f"--kind {text}: {target} comes before {kind}.", f"Write --kind '{target}>{kind}'.")
        count = info.n_layers + (Site(0, kind).canonical.kind == "resid_pre" and kind == "resid_pre")
        try:
            layers = parse_layers(table.layers, count)
        except EmptySelection as error:
            raise UsageError(
                f"--layers {table.layers} selects no {text} site: {info.name} has 0..{count - 1};",
                f"try --layers {max(0, count - 3)}:{count}",
            ) from error
        sites += [(info.check(Site(layer, kind)), info.check(Site(layer, writes.kind))) for layer in layers]
    return sites


def _plan(
    config: TrainSaeConfig,
    table: SaeTable,
    sites: tuple[Site, Site],
    values: Mapping[str, Any],
    info: ModelInfo,
    variant: str,
) -> TrainerConfig:
    reads, writes = sites
    asked, table = table.arch, replace(table, arch=_recipe(table))
    width, d_out = info.width(reads), info.width(writes)
    recipe, latents = RECIPES[table.arch], int(values.get("latents", width))
    if table.skip and (reads == writes or not recipe.trained):
        raise UsageError(
            f"--skip is a path from the input of a transcoder to its output; {asked} at {reads} is none.",
            "Choose sites as in --kind 'mlp_in>mlp_out'.",
        )
    if table.tied and (reads != writes or table.arch not in TIED):
        what = f"{reads}>{writes}" if table.arch in TIED else f"--arch {asked}"
        raise UsageError(f"--tied is for autoencoders of --arch {' or '.join(TIED)}, not for {what}.")
    if not recipe.trained and reads != writes:
        raise UsageError(f"--arch {table.arch} is a control for autoencoders, not for {reads}>{writes}.")
    name = sparsity_of(table.arch, table.l0_loss)
    sparsity = values.get(name, 0)
    if name not in ("", "sparsity_weight") and not 0 < sparsity <= latents:
        problem = "is more than" if sparsity else "leaves nothing of"
        flag = "--" + name.replace("_", "-")
        raise UsageError(f"{flag} {sparsity:g} {problem} the {latents} latents.")
    if config.compile and table.arch not in COMPILED:
        raise UsageError(f"--compile is for --arch {' or '.join(COMPILED)}, not {asked}.")
    if config.compile and table.skip:
        raise UsageError("--compile has no formula with a skip path.", "Leave out --compile or --skip.")
    if config.precision == "bf16-screen" and recipe.arch != "topk":
        raise UsageError(f"--precision bf16-screen is for --arch topk, not {asked}.", "Try --precision bf16.")
    if table.sparsity_p < 1 and not recipe.anneals:
        raise UsageError(f"--sparsity-p {table.sparsity_p:g}: --arch {asked} has no penalty to anneal.")
    named = {field.name: values.get(field.name, _told(config, table, field.name)) for field in fields(Settings)}
    if named["lr"] is None:
        named["lr"] = peak_rate(latents)
    if named["aux_k"] is None:
        named["aux_k"] = max(1, width // 2)
    if named["decoder_norm"] is None:
        named["decoder_norm"] = recipe.decoder_norm
    for flag, sparsities in _ONLY_WITH.items():
        if recipe.sparsity not in sparsities or not recipe.trained:
            named[flag] = 0
    if named["k_anneal"] and sparsity >= min(width, latents):
        raise UsageError(f"--k-anneal falls from {min(width, latents)} to --k, and {sparsity} is not less.")
    options: dict[str, Any] = {"k": sparsity} if recipe.arch == "topk" else {}
    if table.arch == "matryoshka":
        options = {"k": sparsity, "group_sizes": group_sizes(table.groups, latents)}
    if table.skip:
        options["skip"] = True
    return TrainerConfig(
        variant=variant,
        dictionary=DictionaryConfig(recipe.arch, width, latents, reads, writes, d_out, options),
        recipe=table.arch,
        seed=config.seed,
        settings=Settings(**named),
    )


def _told(config: TrainSaeConfig, table: SaeTable, name: str) -> Any:
    """The value of a setting: the table's own, or the command's; of a sweep the first."""
    own = getattr(table, name, None)
    value = own if own is not None else getattr(config, name)
    return value[0] if isinstance(value, tuple) else value


def group_sizes(fractions: str, latents: int) -> list[int]:
    """Features of every group of a Matryoshka dictionary; the last group takes what rounding leaves.

    Raises:
        UsageError: No such fractions, or more groups than the latents can fill.
    """
    try:
        shares = [Fraction(part.strip()) for part in fractions.split(",")]
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(f"--groups {fractions}: expected shares of the latents such as 1/4,1/4,1/2.") from error
    if min(shares) <= 0 or abs(sum(shares) - 1) > _ROUNDED:
        raise UsageError(f"--groups {fractions}: shares are positive and sum to 1, not {float(sum(shares)):g}.")
    sizes = [int(share * latents) for share in shares[:-1]]
    sizes.append(latents - sum(sizes))
    if min(sizes) < 1:
        raise UsageError(f"--groups {fractions} of {latents} latents leaves a group empty.", "Take fewer groups.")
    return sizes


def plan_on_vectors(config: TrainSaeConfig, width: int) -> list[TrainerConfig]:
    """Every dictionary that a configuration asks for on vectors of one width at ``--site``.

    Raises:
        UsageError: As :func:`plan_dictionaries`.
    """
    site = Site.parse(config.site or VECTORS_SITE)
    tables = tuple(replace(table, kind=(site.kind,), layers=str(site.layer)) for table in config.tables)
    place = ModelInfo("the site", "", site.layer + 1, width, 1, width, width, 0, 0)
    return plan_dictionaries(replace(config, sae=tables), place)
