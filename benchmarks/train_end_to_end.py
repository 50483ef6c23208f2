"""Training a dictionary on a model's activations, forward passes included: ``saecli train sae`` beside sae-lens.

GPT-2-small's shape with random weights, random tokens in contexts of 128, the residual stream before block 6, TopK with
24,576 latents and k 32. Ours is what the command does (:func:`saecli.train.sae.train_sae`); sae-lens runs its
ActivationsStore on TransformerLens' model, stopped at the layer, and its SAETrainer. Each side is a fresh process per
turn, CPU seconds from its model to its last step, buffers and optimisers included.

Run: ``python benchmarks/train_end_to_end.py [--pairs 3] [--tokens 16384]``. Exits with 1 below a ratio of 2.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

ROOT = Path(__file__).resolve().parent.parent
LAYER, CONTEXT, VOCABULARY, WIDTH, LATENTS, K = 6, 128, 50257, 768, 24576, 32
BATCH, BUFFER, SEQUENCES = 4096, 8192, 16
LEAST_RATIO = 2.0


def ours(tokens: int) -> float:
    """CPU seconds of train_sae."""
    import torch

    from saecli.core.gpt import GPT, GPTConfig
    from saecli.core.hooks import thin_gpt
    from saecli.data.source import Batch
    from saecli.train.sae import train_sae
    from saecli.train.sae_config import TrainSaeConfig

    class Tokens:
        vocabulary, n_ctx = "none", CONTEXT

        def batch(self, step: int) -> Batch:
            tokens_BS = random_tokens(step)
            return Batch(tokens_BS, tokens_BS)

        def evaluate(self, model: object) -> dict[str, float]:
            raise NotImplementedError

    torch.set_num_threads(1)
    model = thin_gpt(GPT(GPTConfig(VOCABULARY, 1024, 12, 12, WIDTH)), "random", vocabulary="none")
    config = TrainSaeConfig(
        layers=str(LAYER),
        latents=(LATENTS,),
        k=(K,),
        tokens=tokens,
        batch=BATCH,
        buffer=BUFFER,
        sequences=SEQUENCES,
    )
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = train_sae(config, model, Path(folder), source=Tokens(), threads=1)
    assert result.tokens >= tokens
    return time.process_time() - began


def theirs(tokens: int) -> float:
    """CPU seconds of sae-lens' store and trainer."""
    import torch
    from datasets import Dataset
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.saes.sae import TrainingSAE
    from sae_lens.training.activations_store import ActivationsStore
    from sae_lens.training.sae_trainer import SAETrainer
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    torch.set_num_threads(1)
    shape = {"n_layers": 12, "d_model": WIDTH, "n_ctx": 1024, "d_head": 64, "n_heads": 12, "d_vocab": VOCABULARY}
    model = HookedTransformer(
        HookedTransformerConfig(**shape, act_fn="gelu_new", normalization_type="LN", device="cpu")
    )
    rows = [row for step in range(2 + (tokens + 2 * BUFFER) // (SEQUENCES * CONTEXT)) for row in random_tokens(step)]
    data = Dataset.from_dict({"tokens": [row.tolist() for row in rows]})
    began = time.process_time()
    store = ActivationsStore(
        model=model,
        dataset=data,
        streaming=False,
        hook_name=f"blocks.{LAYER}.hook_resid_pre",
        hook_head_index=None,
        context_size=CONTEXT,
        d_in=WIDTH,
        n_batches_in_buffer=BUFFER // CONTEXT,
        total_training_tokens=tokens,
        store_batch_size_prompts=SEQUENCES,
        train_batch_size_tokens=BATCH,
        prepend_bos=False,
        normalize_activations="none",
        device=torch.device("cpu"),
        dtype="float32",
    )
    config = TrainingSAE.get_sae_config_class_for_architecture("topk")(d_in=WIDTH, d_sae=LATENTS, k=K)
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=tokens,
            train_batch_size_samples=BATCH,
            lr_end=3e-4,
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae=TrainingSAE.get_sae_class_for_architecture("topk")(config),
        data_provider=store,
    )
    trainer.fit()
    assert trainer.n_training_samples >= tokens
    return time.process_time() - began


def random_tokens(step: int):
    """The sequences of one forward pass; the same on both sides."""
    import torch

    generator = torch.Generator().manual_seed(step)
    return torch.randint(VOCABULARY, (SEQUENCES, CONTEXT), generator=generator)


def turn(side: str, tokens: int) -> float:
    """CPU seconds of a side in a process of its own."""
    python = sys.executable if side == "ours" else str(ROOT / ".venv-interop/bin/python")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [python, __file__, "--side", side, "--tokens", str(tokens)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=16384)
    parser.add_argument("--side", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.side:
        print(json.dumps((ours if told.side == "ours" else theirs)(told.tokens)))
        return 0
    ratios = []
    for _ in range(told.pairs):
        mine, other = turn("ours", told.tokens), turn("theirs", told.tokens)
        ratios.append(other / mine)
        print(
            f"ours {mine:.1f} s ({told.tokens / mine:.0f} tokens/s), sae-lens {other:.1f} s "
            f"({told.tokens / other:.0f} tokens/s), ratio {ratios[-1]:.2f}, load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    middle = statistics.median(ratios)
    print(f"median ratio {middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return int(middle < LEAST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
