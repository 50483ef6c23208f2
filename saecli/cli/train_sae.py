"""`saecli train sae`."""

from saecli.cli.door import Door

DOOR = Door(
    config="saecli.train.sae_config:TrainSaeConfig",
    engine="saecli.train.sae_run:run",
    result="saecli.train.sae_run:TrainSaeResult",
    summary="Train sparse autoencoders at many sites of a model in one pass.",
    examples=[
        ("saecli train sae --k 32 --latents 1024", "every residual site of the embedded model"),
        ("saecli train sae --layers 6:9 --k 16 --k 32", "three sites, two suites"),
        ("saecli train sae ./my-model --data ./shards --kind mlp_out", "your own model, on your own text"),
        ("saecli train sae --kind 'mlp_in>mlp_out' --latents 2048", "transcoders"),
        ("saecli train sae --activations vectors.npy --site 6.resid_pre", "vectors of your own, no model"),
        ("saecli train sae othello-mini --template othello-mini", "the recipe of the embedded dictionaries"),
    ],
    parallel=True,
)
