"""Objects between peers, without input and output, message by message."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph import CorruptError, Reference, StoreError
from crdtgraph.ids import ReplicaId
from crdtgraph.objects import CHUNK_BYTES, Builder, Root, chunks_of, hash_of
from crdtgraph.store import Batch, Keyspace
from sync.protocol.alarms import AlarmKind
from sync.protocol.limits import OBJECT_SERVE_MAX, OBJECT_WINDOW, ROUND_MIN_S
from sync.protocol.messages import Ephemeral, HaveObject, Object, ObjectMessage, WantObject
from sync.protocol.objectfetch import ANSWER, QUESTION, TOPIC
from sync.protocol.outbox import RemoteOverrunError
from tests.sync.object_web import LARGE, OTHER, SETTINGS, Web, want


def test_who_misses_nothing_says_nothing() -> None:
    web = Web("ab")
    web["a"].objects.put(LARGE)
    web.run(1_000)
    assert web.said == []


def test_an_object_is_fetched_whole_and_each_block_once() -> None:
    web = Web("ab")
    web["a"].objects.put(LARGE)
    reference = want(web["b"], LARGE)
    web.run()
    assert web["b"].objects.get(reference) == LARGE
    assert web["b"].objects.missing == 0
    assert web["b"].exchange.fetched == 1
    assert web.count(Object) == 42
    assert web.said[:2] == [("b", Ephemeral(TOPIC, QUESTION)), ("a", Ephemeral(TOPIC, ANSWER))]


def test_a_tree_of_two_levels_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtgraph.objects.format.CHUNK_BYTES", 64)
    monkeypatch.setattr("crdtgraph.objects.format.FANOUT", 3)
    web = Web("ab")
    data = random.Random(1).randbytes(64 * 8 + 1)
    web["a"].objects.put(data)
    reference = want(web["b"], data)
    web.run()
    assert web["b"].objects.get(reference) == data


def test_questions_to_one_peer_are_bounded() -> None:
    web = Web("ab")
    web["a"].objects.put(LARGE)
    want(web["b"], LARGE)
    most = 0
    while web.step():
        most = max(most, *(len(peer.asked) for peer in web["b"].exchange.peers.values()))
    assert most == OBJECT_WINDOW


def test_what_came_before_a_break_is_not_asked_for_again() -> None:
    web = Web("ab")
    web["a"].objects.put(LARGE)
    reference = want(web["b"], LARGE)
    while web.count(Object) < 20:
        web.step()
    web.cut(0)
    web.run()
    assert not web["b"].objects.has(reference)
    web.connect("ab", 1)
    web.run()
    assert web["b"].objects.get(reference) == LARGE
    assert web.count(Object) <= 42 + 1


def test_when_the_only_holder_dies_in_the_middle_another_one_gives_the_rest() -> None:
    web = Web("ab", "bc")
    web["a"].objects.put(LARGE)
    # The third has half of it.
    reference = want(web["b"], LARGE)
    builder = Builder()
    blocks = [block for chunk in chunks_of(LARGE) for block in builder.add(chunk)]
    for name, block in [*blocks[20:], *builder.finish()[1]]:
        web["c"].objects.put_block(name, block)
    while web.count(Object, "a") < 8:
        web.step()
    web.cut(0)
    web.run(20)
    assert not web["b"].objects.has(reference)
    for name, block in blocks[:20]:
        web["c"].objects.put_block(name, block)
    web.run(ROUND_MIN_S * 8)
    assert web["b"].objects.get(reference) == LARGE


def test_several_peers_share_the_work() -> None:
    web = Web("ab", "bc")
    for name in "ac":
        web[name].objects.put(LARGE)
    reference = want(web["b"], LARGE)
    web.run()
    assert web["b"].objects.get(reference) == LARGE
    assert min(web.count(Object, "a"), web.count(Object, "c")) > 10
    assert web.count(Object) == 42


def test_an_object_travels_along_a_line() -> None:
    web = Web("ab", "bc", "cd")
    web["a"].objects.put(LARGE)
    for name in "dcb":
        want(web[name], LARGE)
    web.run(1.0)
    for name in "bcd":
        assert web[name].objects.missing == 0
    assert web.count(HaveObject) > 0


def test_a_peer_that_has_nothing_is_asked_once_a_round_and_rounds_become_rare() -> None:
    web = Web("ab")
    want(web["b"], LARGE)
    web.run(1_000)
    assert 3 < web.count(WantObject) < 12
    web["a"].objects.put(LARGE)
    web.run(400)
    assert web["b"].objects.missing == 0


def test_a_peer_that_does_not_answer_is_passed_over_and_not_asked_twice() -> None:
    web = Web("ab", "bc")
    for name in "ac":
        web[name].objects.put(LARGE)
    web.mangle = lambda name, message: None if name == "a" and isinstance(message, Object) else message
    want(web["b"], LARGE)
    web.run(2 * SETTINGS.want_timeout_s)
    assert web["b"].objects.missing == 0
    assert web.count(Object, "a") <= OBJECT_WINDOW


def test_a_late_answer_is_taken() -> None:
    web = Web("ab")
    web["a"].objects.put(OTHER)
    want(web["b"], OTHER)
    held: deque[ObjectMessage | Ephemeral] = deque()

    def hold(name: str, message: ObjectMessage | Ephemeral) -> ObjectMessage | Ephemeral | None:
        if isinstance(message, Object):
            held.append(message)
            return None
        return message

    web.mangle = hold
    web.run(100)
    assert len(held) == 1
    while held:
        web["b"].exchange.receive(0, held.popleft(), web.now)
        web.run()
    assert web["b"].objects.missing == 0
    assert web.count(Object) == 4


@pytest.mark.parametrize("place", [0, 1, 7], ids=["root", "chunk", "another chunk"])
def test_wrong_bytes_raise_an_alarm_and_are_asked_of_another(place: int) -> None:
    web = Web("ab", "bc")
    for name in "ac":
        web[name].objects.put(LARGE)
    given: list[bytes] = []

    def lie(name: str, message: ObjectMessage | Ephemeral) -> ObjectMessage | Ephemeral:
        if name == "a" and isinstance(message, Object) and message.data is not None:
            given.append(message.hash)
            if len(given) == place + 1:
                return Object(message.hash, b"lie" + message.data[3:])
        return message

    web.mangle = lie
    reference = want(web["b"], LARGE)
    web.run()
    assert web["b"].objects.get(reference) == LARGE
    [alarm] = web["b"].alarms.standing
    assert (alarm.kind, alarm.replica) == (AlarmKind.OBJECT, ReplicaId(b"a" * 16))
    assert "wrong bytes" in alarm.text


def test_a_peer_that_only_lies_costs_little_and_gets_nowhere() -> None:
    web = Web("ab")
    web["a"].objects.put(LARGE)
    web.mangle = lambda name, message: Object(message.hash, b"lie") if isinstance(message, Object) else message
    want(web["b"], LARGE)
    web.run(1_000)
    assert web["b"].objects.missing == 1
    assert web.count(Object) < 12


def test_what_nobody_asked_for_is_not_kept() -> None:
    web = Web("ab")
    web["b"].exchange.receive(0, Object(hash_of(b"gift"), b"gift"), 0.0)
    web.run()
    assert list(web["b"].store.scan(Keyspace.OBJECTS)) == []


def test_a_damaged_block_is_not_given_and_said_to_be_missing() -> None:
    web = Web("ab")
    reference = web["a"].objects.put(OTHER)
    batch = Batch()
    batch.put(Keyspace.OBJECTS, b"b" + reference.digest, b"rot")
    web["a"].store.write(batch, sync=False)
    want(web["b"], OTHER)
    web.run()
    assert ("a", Object(reference.digest, None)) in web.said
    assert web["b"].alarms.standing == ()


def test_what_is_damaged_here_is_fetched_again() -> None:
    web = Web("ab")
    for name in "ab":
        reference = web[name].objects.put(LARGE)
    web["b"].objects.on_wanted = lambda: web["b"].exchange.look_again(web.now)
    damaged = hash_of(LARGE[:CHUNK_BYTES])
    batch = Batch()
    batch.put(Keyspace.OBJECTS, b"b" + damaged, b"rot")
    web["b"].store.write(batch, sync=False)
    with pytest.raises(CorruptError):
        web["b"].objects.get(reference)
    web.run()
    assert web["b"].objects.get(reference) == LARGE
    assert [message for _, message in web.said if isinstance(message, Object)] == [Object(damaged, LARGE[:CHUNK_BYTES])]


def test_an_object_that_is_none_is_given_up() -> None:
    web = Web("ab")
    root = Root(CHUNK_BYTES, (hash_of(b"short"),)).encode()
    for block in (root, b"short", b"no root"):
        web["a"].objects.put_block(hash_of(block), block)
    web["b"].objects.want([Reference("object", hash_of(root), 5), Reference("object", hash_of(b"no root"), 5)])
    reference = want(web["b"], OTHER)
    web["a"].objects.put(OTHER)
    web.run(1_000)
    assert web["b"].objects.has(reference)
    assert web["b"].objects.missing == 2
    assert web.count(Object) < 10


def test_a_peer_that_asks_for_too_much_is_refused() -> None:
    web = Web("ab")
    with pytest.raises(RemoteOverrunError):
        web["a"].exchange.receive(0, WantObject(tuple(bytes([n]) * 32 for n in range(OBJECT_SERVE_MAX + 1))), 0.0)


def test_a_full_disk_is_reported_and_what_came_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    web = Web("ab")
    web["a"].objects.put(LARGE)
    reference = want(web["b"], LARGE)
    put_block = web["b"].objects.put_block
    full = True

    def refuse(name: bytes, data: bytes) -> None:
        if full:
            raise StoreError("no space left on device")
        put_block(name, data)

    monkeypatch.setattr(web["b"].objects, "put_block", refuse)
    web.run(5 * SETTINGS.flush_retry_s)
    assert 2 < len(web["b"].failures) < 10
    full = False
    web.run(2 * SETTINGS.flush_retry_s)
    assert web["b"].objects.get(reference) == LARGE


def test_an_older_peer_is_asked_nothing_but_whether_it_speaks_of_objects() -> None:
    web = Web("ab")
    web["a"].objects.put(LARGE)
    # It passes by what it does not know, and an unknown message would end the connection.
    web["a"].exchange.is_stopped = True
    want(web["b"], LARGE)
    web.run(1_000)
    assert web.said == [("b", Ephemeral(TOPIC, QUESTION))]


@given(st.randoms(use_true_random=False))
def test_objects_arrive_whatever_is_lost_on_the_way(rng: random.Random) -> None:
    """Any holders, any breaks: once links stand, everybody has all that anybody has."""
    values = [random.Random(each).randbytes(each * 30_000 + 20_000) for each in range(5)]
    web = Web("ab", "bc", "cd", "da")
    for value in values:
        web[rng.choice("abcd")].objects.put(value)
        for name in "abcd":
            want(web[name], value)
    number = 10
    for _ in range(rng.randrange(6)):
        for _ in range(rng.randrange(30)):
            web.step()
        link = rng.choice([*{each[1] for each in web.links}])
        a, b = next((each[0].name, each[2].name) for each in web.links if each[1] == link)
        web.cut(link)
        web.run(rng.choice((0, 0, 3)))
        web.connect(a + b, number)
        number += 1
    web.run(60)
    for side in web.sides.values():
        assert side.objects.missing == 0
        assert sorted(
            side.objects.get(Reference("object", each, size)) for each, size in side.objects.whole()
        ) == sorted(values)
        assert side.alarms.standing == ()
