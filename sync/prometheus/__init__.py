"""What a running node shows of itself to whoever watches it: numbers, durations, and rules for alerts."""
