"""``saecli graph export``."""

from saecli.cli.door import Door

DOOR = Door(
    config="saecli.graph.config:ExportConfig",
    engine="saecli.graph.export:run",
    result="saecli.graph.export:ExportResult",
    summary="A stored circuit graph for other programs, or to look at and print.",
    examples=[
        ("saecli graph export --to pdf", "the latest trace on sheets of A4 that overlap, with marks"),
        ("saecli graph export graph.json --to neuronpedia", "JSON to upload: labels, supernodes, pinned nodes"),
        ("saecli graph export graph.json --to circuit-tracer --out graphs", "a folder for circuit-tracer start-server"),
        ("saecli graph export graph.json --to saecli --supernodes supernodes.json", "groups made in the page, kept"),
        ("saecli graph export austin.json --to graphml --out austin.graphml", "for Gephi, Cytoscape, networkx"),
    ],
    keeps_run=False,
)
