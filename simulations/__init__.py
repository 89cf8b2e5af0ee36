"""Seeded simulations of whole clusters: the very same `sync.Node` and `Graph` over virtual streams, clock and disk.

    crdtgraph simulate run clean-split
    crdtgraph simulate fuzz --count 100

A world is a scenario and a seed: machines, network, workload and faults are in the scenario, which people write or the
seed draws; the seed is all the dice. It lives for a while under faults, is mended, must agree within a bound, and is
checked all along. The same scenario and seed are the same run, to the byte, in any process.

| module | for |
| --- | --- |
| `scenario` `timeline` `files` `swarm` | what a world is like; what happens in it; as TOML; drawn from a seed |
| `seeds` `trace` | one seed and its children; what happened, as a hash |
| `agenda` `wire` `stream` `network` | timed calls; a path; a TCP connection as programs see it; hosts, dials, cuts |
| `clock` `disk` | wall time that jumps; a store that forgets what it may |
| `process` `workload` `importing` `journal` | a machine that dies and returns; its program; what that was told |
| `model` `reading` `checkers` | an independent opinion of what segments mean; the rules |
| `nemesis` `world` `promptness` | who does what the timeline says; one world; that news travels at once |
| `fuzzing` `shrinking` | many seeds in many processes; the smallest world that fails in the same way |
| `determinism` `mutants/` | one seed in several processes; bugs that are planted, to see that they are caught |
| `observer` `runner` | who only watches; the scheduler below, and trio's private names |
| `page/` | a run as a page for a browser |
"""
