"""Workers: whoever evaluates for a tree that is not theirs, in threads, in processes, or on another machine."""
