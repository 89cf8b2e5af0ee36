"""The columns of a segment's payload, and a good payload with another column in a place."""

import copy

from tests.crdtgraph.test_segment import PAYLOAD, craft

COLUMNS = ("parent counts", "links", "externals", "authors", "numbers", "time steps", "messages")


COLUMNS += ("change counts", "paths", "values", "origins", "stamp steps")


def with_column(place, column):
    payload = copy.deepcopy(PAYLOAD)
    payload[0][place] = column
    return craft(payload, records=7)
