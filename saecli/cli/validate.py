"""`saecli validate`."""

from saecli.cli.door import Door

DOOR = Door(
    config="saecli.validate.config:ValidateConfig",
    engine="saecli.validate.engine:run",
    result="saecli.validate.result:ValidateResult",
    also=(
        "saecli.validate.circuit_result:CircuitResult",
        "saecli.validate.connected_result:ConnectedResult",
        "saecli.validate.edges_result:EdgesResult",
        "saecli.validate.joint_result:JointResult",
        "saecli.validate.intervention_result:InterventionResult",
        "saecli.validate.dose_result:DoseResult",
    ),
    summary="Measure whether suites keep what a model does, and circuits carry it, beside controls.",
    examples=[
        ("saecli validate", "every dictionary of the embedded model"),
        ("saecli validate --layers 6:9 --require 'ce_recovered>=0.95'", "exit code 4 if a site is worse"),
        ("saecli validate suite-k16 suite-k32 --kind resid_pre", "side by side on the same tokens"),
        ("saecli validate my-suite --model my-model --data my-shards", "text, from token shards"),
        ("saecli validate saecli-runs/latest-trace --min-faithfulness 0.8", "does the circuit traced last carry it?"),
        ("saecli validate SUITE --connections FILE --c 10,30,100", "what a suite keeps through few connections"),
        ("saecli validate SUITE --edges FILE", "what few edges between two sites carry, by their number"),
        ("saecli validate othello-mini --features 6:839,104 7:331", "remove features together"),
        ("saecli validate --set 7:331=2x --generate 5", "steer the embedded model on one game"),
        ("saecli validate --set 7:953@19=0..2x", "dose and response of one feature"),
        ("saecli validate saecli-runs/latest-trace --set 7:331=0", "what a graph predicts, beside what happens"),
    ],
)
