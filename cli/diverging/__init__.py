"""How replicas differ, as people and as programs read it."""
