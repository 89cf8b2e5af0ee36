"""Methods about how long things take in a running node, and how much of everything there is."""

from __future__ import annotations

from collections.abc import Mapping

from sync.methods.target import Handler, Target
from sync.params import Params
from sync.plain import table
from sync.protocol.calls import Plain


def _metrics(target: Target, params: Params) -> Plain:
    params.done()
    node = target.running()
    # Only where a node runs: other users of this table have no event loop, and should not pay for one.
    from crdtgraph.metering import Period
    from sync.prometheus.measures import measures
    from sync.prometheus.timings import summaries

    return {
        "metered": node.graph.meter is not None,
        "timings": [table(each) for period in Period for each in summaries(node, period)],
        "measures": [
            {"name": each.name, "labels": dict(each.labels), "value": float(each.value)} for each in measures(node)
        ],
    }


def _exposition(target: Target, params: Params) -> Plain:
    params.done()
    node = target.running()
    from sync.prometheus.exposition import exposition

    return exposition(node).decode()


TABLE: Mapping[str, Handler] = {"exposition": _exposition, "metrics": _metrics}
