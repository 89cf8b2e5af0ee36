"""The tree of one node, and what is done in it for the workers and for the driver.

All of it happens in the thread of the site.
"""
