"""`crdtgraph doctor`: facts about a replica, its machine and its cluster, and what they say of trouble to come."""
