"""Continuations, steered and not: one token after the other, the model running anew for each."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from saecli.core.errors import UsageError
from saecli.core.model import Edit
from saecli.core.site import Site
from saecli.validate.intervention_result import Written
from saecli.validate.intervention_scene import Scene


@torch.no_grad()
def write_on(
    scene: Scene, count: int, write: Mapping[Site, Edit] | None, *, temperature: float = 0.0, seed: int = 0
) -> Written:
    """What the model writes after the input.

    Args:
        scene: The input.
        count: Tokens to write.
        write: Edits of every pass; None for the model by itself.
        temperature: 0 takes the most likely token, else one is drawn from softmax(logits / temperature), by the same
            uniform numbers whatever the edits.
        seed: Of the numbers.

    Raises:
        UsageError: The context is too short.
    """
    info, length = scene.model.info, len(scene.tokens_S)
    if length + count > info.n_ctx + 1:
        raise UsageError(
            f"--generate {count}: {info.name} reads {info.n_ctx} tokens, and the input has {length}.",
            f"At most {info.n_ctx + 1 - length} can be written.",
        )
    generator = torch.Generator().manual_seed(seed)
    tokens = scene.tokens_S.tolist()
    for _ in range(count):
        tokens_BS = torch.tensor([tokens], dtype=torch.int64, device=scene.tokens_S.device)
        logits = scene.model.run(tokens_BS, write=write).logits
        assert logits is not None  # noqa: S101 (nothing stopped the run)
        logits_V = logits[0, -1, : scene.reader.size].double().cpu()
        if temperature == 0:
            tokens.append(int(logits_V.argmax()))
            continue
        uniform = torch.rand((), generator=generator, dtype=torch.float64)
        sums_V = (logits_V / temperature).softmax(-1).cumsum(-1)
        tokens.append(int(torch.searchsorted(sums_V, uniform * sums_V[-1]).clamp_max(len(sums_V) - 1)))
    made = tokens[length:]
    said = scene.reader.continuation(tokens[:length], made)
    return Written(write is not None, made, said.text, said.fault)
