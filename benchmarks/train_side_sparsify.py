"""sparsify's side of the paired benchmark: SparseCoder and Adam, stepped as its Trainer does. See train_side.py."""

from __future__ import annotations

import torch
from sparsify import SparseCoder, SparseCoderConfig
from torch import Tensor
from train_side import DEAD_BIAS, LEARNING_RATE, Case, Step, serve

_DEAD_AFTER = 10_000_000


def make(case: Case, sample: Tensor) -> Step:
    coder = SparseCoder(case.d, SparseCoderConfig(num_latents=case.latents, k=case.k))
    adam = torch.optim.Adam(coder.parameters(), lr=LEARNING_RATE)
    since_fired = torch.zeros(case.latents, dtype=torch.long)
    since_fired[: case.n_dead] = _DEAD_AFTER + 1
    with torch.no_grad():
        coder.b_dec.copy_(sample.mean(0))
        coder.encoder.bias[: case.n_dead] = DEAD_BIAS

    def step(x: Tensor) -> None:
        coder.set_decoder_norm_to_unit_norm()
        fired = torch.zeros(case.latents, dtype=torch.bool)
        out = coder(x, dead_mask=since_fired > _DEAD_AFTER if case.dead else None)
        fired[out.latent_indices.flatten()] = True
        (out.fvu + out.auxk_loss / 32).backward()
        torch.nn.utils.clip_grad_norm_(coder.parameters(), 1.0)
        coder.remove_gradient_parallel_to_decoder_directions()
        adam.step()
        adam.zero_grad()
        since_fired.add_(len(x))
        since_fired[fired] = 0

    return step


serve(make)
