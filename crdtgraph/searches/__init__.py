"""Searches: planes for what is mostly thrown away: the handle, the plane, its fold, its compaction, its registers."""
