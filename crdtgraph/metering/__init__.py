"""How long things take in a graph, as histograms: a program that wants to know opens it with a `Meter`.

    meter = Meter(time.perf_counter_ns)
    with crdtgraph.open("search.db", meter=meter) as graph:
        ...
    for summary in meter.summaries(Period.TOTAL):
        print(summary.name, summary.p99_ns)

A graph that was opened without one measures nothing and pays nothing.
"""

from crdtgraph.metering.meter import Meter, Timed, commit_series
from crdtgraph.metering.series import Buckets, Period, Series, Summary
from crdtgraph.metering.tally import Tally

__all__ = ["Buckets", "Meter", "Period", "Series", "Summary", "Tally", "Timed", "commit_series"]
