"""Checkpoints of a projection: what they hold, when they are written, and how a plane comes back from one."""
