"""Every bound of the protocol, with its reason, and the times that a node may be tuned by.

A peer is trusted with nothing: each buffer, queue, frame, table and wait that its bytes can grow has a name
here. The rule is TigerBeetle's ("put a limit on everything", docs/TIGER_STYLE.md); what happens at a limit is
said with it. Sizes are bytes, times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from crdtgraph.limits import CHECKPOINT_WEIGHT_MIN, DELTA_BYTES_MAX

PROTOCOL_VERSION = 2
"""Both ends must speak the same one; it grows when an older node could misread a newer one."""

# --- frames -------------------------------------------------------------------------------------------------

FRAME_BYTES_MAX = 16 << 20
"""A frame's payload, on the wire and decompressed. The largest legitimate one is a delta with a single
segment that holds one record of 4 MiB; everything else is cut to `DELTA_BYTES` or less. A claim beyond it
ends the connection."""
COMPRESS_BYTES_MIN = 4 << 10
"""Shorter payloads fit few packets anyway, and compressing them costs more time than it saves."""
READ_BYTES = 256 << 10
"""Asked of the transport at once. Larger reads bring nothing: it is beyond the usual socket buffer."""
WRITE_BYTES = 64 << 10
"""Frames are gathered up to about this before one write, so that a burst of small ones is one packet and not
many. What is gathered cannot be overtaken: on a link of 500 bytes a second it takes two minutes."""
LINK_BYTES_PER_S_MIN = 256
"""The slowest link that is of use, and what progress means. A writer hands the transport what such a link carries
in `send_timeout_s` at a time, 7.5 KiB, and the peer has that long to take it; a frame that has begun has to come
at this rate after `frame_timeout_s`. So a slow peer is kept however much there is to carry, one that reads
nothing is dropped as soon as a dead one, and one that drips bytes is dropped a little later."""

# --- messages -----------------------------------------------------------------------------------------------

STRUCTURE_BYTES_MAX = 1 << 20
"""A message without its bulk bytes. An empty list takes one byte on the wire and 56 in memory, so this is
what bounds the memory that hostile bytes can take (to some 60 MiB, for the moment of parsing)."""
TEXT_BYTES_MAX = 1 << 10
"""A name, a reason, an address: something to read in one line of a log."""
PLANES_MAX = 1 << 10
"""Planes in one summary; more would mean that search planes are never dropped."""
PLANE_NAME_BYTES_MAX = 128
WRITERS_MAX = 1 << 16
"""Entries of a state vector: writers, that is process starts, that wrote to one plane."""
ADDRESSES_MAX = 16
"""Addresses that one node listens on."""
PEERS_MAX = 256
"""Entries in one list of peers."""
KEYS_PER_MESSAGE = 8 << 10
"""Segment keys in one message of the fall-back comparison, about 40 bytes each. A longer list goes in
several."""
SEGMENT_BYTES_MAX = 5 << 20
"""One segment; the graph has a stricter limit of its own."""
SEGMENTS_BYTES = 512 << 10
"""Segments are gathered up to about this in one message of the fall-back."""
EPHEMERAL_BYTES_MAX = 64 << 10
"""Presence and in-flight counts; anything larger wants to be stored."""

# --- queues and tables --------------------------------------------------------------------------------------

QUEUE_MESSAGES_MAX = 1 << 10
QUEUE_BYTES_MAX = 8 << 20
"""Pushed deltas that wait for one slow peer. A queue that would grow beyond either limit is dropped *whole*:
what a late half of it builds on would be missing. The peer gets a summary when it reads again, and asks for
what it lacks."""
CONNECTIONS_MAX = 256
"""Connections of one node, half of them at most still in their handshake. One more is told `busy` and
closed."""
ALARMS_MAX = 64
"""Alarms kept for `status`; all are counted and logged."""

# --- objects ------------------------------------------------------------------------------------------------

OBJECT_WINDOW = 16
"""Blocks of objects asked of one peer and not answered: 1 MiB, more than a fast link holds in a round trip."""
OBJECT_SERVE_MAX = 8 * OBJECT_WINDOW
"""Blocks that one peer asked for and has not taken: several times what an honest one asks for."""
OBJECT_OWED_MAX = 1 << 10
"""Blocks that one peer asked for and that were not here; of more the oldest are forgotten, and it asks again later."""
OBJECTS_ACTIVE_MAX = 4
"""Objects that are fetched at once: enough that small ones fill the time between question and answer."""
OBJECTS_RESTING_MAX = 64
"""Objects that nobody has now and of which it is remembered what is missing; of others it is found out anew."""
OBJECTS_HOPELESS_MAX = 1 << 10
"""Things that commits name, that are there, and that are no objects; of more the oldest are fetched again."""
OBJECT_LOOKS_MAX = 64
"""Blocks looked for on the disk in one step: 4 MiB are read and hashed."""
COLLECT_PAUSE_S = 0.01
"""Between two steps of a collection of garbage, of some milliseconds each: it is in no hurry."""
WANT_OBJECT_HASHES_MAX = 64
"""Hashes in one message."""
ROUND_MIN_S = 5.0
"""After so long what nobody had is asked for again; the wait doubles ..."""
ROUND_MAX_S = 300.0
"""... up to this, and starts anew when a peer comes or says that it has something new."""

# --- simulations in flight ----------------------------------------------------------------------------------

INFLIGHT_COMMITS_MAX = 1 << 10
"""Commits in one writer's state, 34 bytes each: a worker has some tens of simulations in flight, each on a line of some
tens of commits. Of more those with the most are told; near the root is where it matters."""
INFLIGHT_COUNT_MAX = 1 << 20
"""Simulations in flight at one commit; more is said to be as many."""
INFLIGHT_STATES_MAX = 1 << 10
"""Writers and searches whose states a node knows; of more the newest are passed by. 40 MB if all were of full size."""
INFLIGHT_HOPS_MAX = 16
"""Nodes that pass a state on, one after the other; the way through any but a very long line of nodes is shorter."""
INFLIGHT_REPEAT_S = 1.0
"""What stays in flight is said again after this."""
INFLIGHT_EXPIRY_S = 5.0
"""What was not said again within this is not in flight any more: its writer has crashed or is out of reach."""

# --- members ------------------------------------------------------------------------------------------------

MEMBERS_MAX = 256
"""Members of a cluster that a node knows, as many as it can have connections. Further ones are counted, not listed."""
MEMBER_FORGET_S = 86_400.0
"""A member that nobody has heard of for a day is forgotten."""
CARD_PLANES_MAX = 32
"""Of one card, the ledger first; a card goes to everyone, so all of it is short."""
CARD_LINKS_MAX = 64
CARD_WRITERS_MAX = 256
"""Entries of all state vectors in one card, 12 bytes each. A longer vector is left out, and then the lag behind others
is known only by the number of segments."""
CARD_BLOCKED_MAX = 32
CARD_ALARMS_MAX = 16
CARD_TIMINGS_MAX = 16
CARD_TEXT_BYTES_MAX = 256
"""Of any text in a card."""
CARDS_PER_MESSAGE = 64
CARDS_BYTES = 2 << 10
"""Cards are gathered up to about this in one message, and one such message goes at the end of a write: on a slow link
news must not have to wait for them."""
CARD_SPACING_S = 0.25
"""Between two cards of one node at least, whatever asks for them."""
CARD_IDLE_ROUNDS = 6
"""A node of which there is nothing new to say issues a card in every so many rounds of anti-entropy."""

# --- control socket -----------------------------------------------------------------------------------------

CONTROL_CLIENTS_MAX = 128
"""Concurrent clients of a control socket, workers among them; one more is told so and closed."""
CONTROL_DEPTH_MAX = 16
"""Nesting of a request's parameters."""
CONTROL_IDLE_S = 600.0
"""A client that asks nothing for so long is closed, so that forgotten ones do not use up the places."""
CONTROL_SEND_S = 30.0
"""A client that does not read one part of its answer within it is closed."""
CHUNK_ENTRIES = 1_000
"""Entries in one part of a streamed answer: some 100 kB, and about 5 ms to make."""
COMMITS_PER_CALL_MAX = 10_000
"""Drafts in one `commit_many`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The times a node works by, in seconds, how much it queues, and the seed of its jitter; made for a local network.

    Timers are jittered (plus or minus 25 per cent), so that nodes which started together do not keep step.
    """

    handshake_timeout_s: float = 10.0
    """From connecting until the peer's hello was read."""
    ping_after_s: float = 10.0
    """A peer that was silent for so long is asked whether it is there, and one that was told nothing for so long
    as well: it may be sending us so much that a question of its own would be stuck behind it."""
    pong_timeout_s: float = 20.0
    """A peer that stays silent for so long after that is dropped. The wait starts with the question, not with
    the last byte: a process that was itself suspended for an hour must not hold that hour against its
    peers."""
    frame_timeout_s: float = 60.0
    """From a frame's first byte to its last, for what `LINK_BYTES_PER_S_MIN` takes longer: each byte that came
    gives it that much more time."""
    send_timeout_s: float = 30.0
    """What a link of `LINK_BYTES_PER_S_MIN` carries in it is written at a time, and has to be taken within it."""
    anti_entropy_s: float = 10.0
    """Between two summaries to every peer. Pushes make it unnecessary while all goes well."""
    want_timeout_s: float = 10.0
    """A peer that was asked for a diff and sent no part of it for so long is passed over for another one."""
    dial_timeout_s: float = 5.0
    backoff_min_s: float = 0.05
    """The first wait after a connection failed or ended; it doubles with each failure up to the maximum."""
    backoff_max_s: float = 5.0
    backoff_reset_s: float = 10.0
    """A connection that lived for so long was a success: the next wait is the shortest again."""
    duplicate_window_s: float = 5.0
    """Two connections of one pair that opened within it were dialled at the same moment; later, the old one
    is dead."""
    flush_retry_s: float = 1.0
    """After a write to the store failed (a full disk, say)."""
    collect_every_s: float = 3_600.0
    """Between two collections of large values that no live commit names any more. They go on beside everything else."""
    checkpoint_spacing_s: float = 1.0
    """After something new, until it is looked whether a checkpoint is due."""
    checkpoint_step_s: float = 0.01
    """Between two pieces of a checkpoint, each of which takes some 2 ms to make."""
    checkpoint_weight_min: int = CHECKPOINT_WEIGHT_MIN
    """So many small commits have to be new for one, and a tenth of all."""
    search_flush_s: float = 0.01
    """How long what is said in a search may wait for more, before peers are given it."""
    search_expiry_s: float = 7 * 86_400.0
    """A search in which nothing was written for so long is closed, everywhere."""
    search_janitor_s: float = 60.0
    """Between two looks for searches that have expired."""
    search_janitor_batch: int = 16
    """So many are closed at a time at most; the others wait for the next look."""
    goodbye_timeout_s: float = 1.0
    """For the last words to a peer when a connection is closed on purpose."""
    delta_bytes_max: int = DELTA_BYTES_MAX
    """A diff travels in parts of about this size, or of one segment. Less loses less when a connection breaks."""
    queue_messages_max: int = QUEUE_MESSAGES_MAX
    """See there. Less saves memory where peers are many and slow, and they catch up by asking more often."""
    inflight_every_s: float = 0.002
    """One writer's simulations in flight in one search are told at most once within this."""
    seed: int | None = None
    """Of the generator that jitter is drawn from. None: the graph's host gives it."""


DEFAULTS = Settings()
"""Settings as they are without any tuning."""
JITTER = 0.25
"""The share by which a timer may be early or late."""
