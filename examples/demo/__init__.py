"""`make demo`: three real nodes import a history, split, go on writing, heal and agree."""
