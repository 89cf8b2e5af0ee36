"""Planted bugs: whether the simulator catches what people really get wrong.

    for catch in hunt(MUTANTS, jobs=2, observe=show):
        print(catch.mutant.name, catch.worlds, catch.verdict and catch.verdict.rule)

A `Mutant` is a bug with a name, a sentence on what it does and one on why people make it, and the functions that have
it instead of the right ones. `planted(mutant)` is a context manager that puts it into the code of this process; nothing
in `crdtgraph/` or `sync/` knows of it. `hunt` runs one fuzzed world after another with each of the bugs and gives a
`Catch` when a world gives one away, or when all have passed (`catch.verdict is None`: the simulator is too weak). It
prints nothing: `observe` is given every `Verdict`, one a world, for a live line.

| module | for |
| --- | --- |
| `planting` | what a mutant is; how it comes into the code and out of it |
| `folding` `storing` `exchanging` `searching` | the bugs, by what they break |
| `registry` | all of them by name |
| `hunting` | worlds until one gives a bug away |
"""

from simulations.mutants.hunting import SEEDS, Catch, Verdict, hunt, judge, judge_scenario
from simulations.mutants.planting import UNPATCHED, Change, Evidence, Mutant, SeamError, planted
from simulations.mutants.registry import MUTANTS, find

__all__ = [
    "MUTANTS",
    "SEEDS",
    "UNPATCHED",
    "Catch",
    "Change",
    "Evidence",
    "Mutant",
    "SeamError",
    "Verdict",
    "find",
    "hunt",
    "judge",
    "judge_scenario",
    "planted",
]
