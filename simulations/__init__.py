"""Seeded simulations of whole clusters: the very same `sync.Node` and `Graph` over virtual streams, clock and disk.

    python -m simulations --seed 7 --count 100

A world is drawn from one seed: machines, network, workload, faults. It lives for a while under faults, is mended, must
agree within a bound, and is checked all along. The same seed is the same run, to the byte, in any process.

| module | for |
| --- | --- |
| `seeds` `options` `trace` | one seed and its children; what a world is like; what happened, as a hash |
| `agenda` `wire` `stream` `network` | timed calls; a path; a TCP connection as programs see it; hosts, dials, cuts |
| `clock` `disk` | wall time that jumps; a store that forgets what it may |
| `process` `workload` `journal` | a machine that dies and returns; what its program does; what the program was told |
| `model` `reading` `checkers` | an independent opinion of what segments mean; the rules |
| `faults` `world` `runner` | the nemesis; one world; the scheduler under it, and trio's private names |
"""
