from __future__ import annotations

import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import MessageError
from graph.message import DEFAULT_SESSION, PROTOCOL, Block, BodyDecoder, Cause, Header, Mark, decode_header, encode_header
from nodes.kinds import AudioFrame, Text

texts = st.text(max_size=50)
numbers = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 2**53 - 1)


def header(**fields: object) -> Header:
    return Header(PROTOCOL, "text", "out", "src", 0, **fields)  # type: ignore[arg-type]


@given(
    text=texts,
    session=texts,
    turn=numbers,
    revision=numbers,
    origin_ns=numbers,
    life=counts,
    floor=counts,
    attempt=counts,
    cause=st.none() | st.builds(Cause, texts, counts, counts, counts),
    block=st.none() | st.builds(Block, texts, counts, counts, counts),
)
def test_what_is_encoded_is_decoded(text: str, **fields: object) -> None:
    sent = header(**fields)
    got = decode_header(encode_header(sent, Text(text)))
    assert BodyDecoder((AudioFrame, Text)).decode(got) == Text(text)
    assert got == sent


@given(
    field=st.sampled_from(["seq", "life", "floor", "attempt"]), number=st.integers(-(2**63), -1) | st.integers(2**53, 2**64 - 1)
)
def test_a_number_that_cannot_count_anything_is_no_header(field: str, number: int) -> None:
    frame = msgpack.packb({"v": 1, "kind": "text", "port": "out", "instance": "js", "seq": 7, field: number})
    with pytest.raises(MessageError):
        decode_header(frame)


@given(st.sampled_from([b"\xdd", b"\xdf", b"\xdb", b"\xc6"]), st.integers(2**24, 2**32 - 1))
def test_a_length_that_is_claimed_is_not_believed(kind: bytes, length: int) -> None:
    """An array, a map, a text or bytes of up to 4 billion items, of which nothing comes."""
    frame = msgpack.packb({"v": 1, "kind": "text", "port": "out", "instance": "js", "seq": 7})
    more = b"\x86" + frame[1:] + b"\xa5cause" + kind + length.to_bytes(4, "big")
    tracemalloc.start()
    try:
        with pytest.raises(MessageError):
            decode_header(more)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@given(texts)
def test_the_bytes_are_plain_messagepack(text: str) -> None:
    frame = msgpack.unpackb(encode_header(header(turn=3), Text(text)))
    assert frame["body"] == {"text": text}
    assert (frame["v"], frame["kind"], frame["port"], frame["instance"], frame["seq"]) == (1, "text", "out", "src", 0)
    assert frame["turn"] == 3


def test_what_another_library_wrote_is_read() -> None:
    frame = msgpack.packb(
        {"v": 1, "kind": "text", "port": "out", "instance": "js", "seq": 7, "body": {"text": "hi", "later": 1}, "later": []}
    )
    got = decode_header(frame)
    assert (got.instance, got.seq, got.session, got.turn) == ("js", 7, DEFAULT_SESSION, 0)
    assert BodyDecoder((Text,)).decode(got) == Text("hi")


def test_fields_equal_to_their_default_do_not_travel() -> None:
    frame = msgpack.unpackb(encode_header(header(), AudioFrame(sample_rate=16_000)))
    assert set(frame) == {"v", "kind", "port", "instance", "seq", "body"}
    assert frame["body"] == {"sample_rate": 16_000}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_a_message_error(frame: bytes) -> None:
    try:
        decode_header(frame)
    except MessageError:
        return


@given(st.integers(1, 400), st.data())
def test_a_truncated_or_flipped_frame_is_a_message_or_a_message_error(cut: int, data: st.DataObject) -> None:
    frame = bytearray(encode_header(header(session="s", turn=2), Text("hello")))
    frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        BodyDecoder((Text,)).decode(decode_header(bytes(frame[:cut])))
    except MessageError:
        return


def test_a_claimed_length_allocates_nothing() -> None:
    with pytest.raises(MessageError, match="not a message header"):
        decode_header(b"\xdf\xff\xff\xff\xff")  # a map of four thousand million entries


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"v": 2}, "protocol version 2, this node speaks 1"),
        ({"seq": "one"}, "not a message header: Expected `int`, got `str` - at `$.seq`"),
        ({"kind": None}, "not a message header: Expected `str`, got `None` - at `$.kind`"),
    ],
)
def test_a_wrong_header_says_what_is_wrong(change: dict[str, object], told: str) -> None:
    frame = msgpack.packb({"v": 1, "kind": "text", "port": "o", "instance": "i", "seq": 0, **change})
    with pytest.raises(MessageError) as error:
        decode_header(frame)
    assert str(error.value) == told


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ({"text": 1}, "text", "bad body of kind 'text': Expected `str`, got `int` - at `$.text`"),
        ({}, "text", "bad body of kind 'text': Object missing required field `text`"),
        ({}, "novel", "kind 'novel' does not belong here; this port takes ['text']"),
    ],
)
def test_a_wrong_body_says_what_is_wrong(body: dict[str, object], kind: str, told: str) -> None:
    frame = msgpack.packb({"v": 1, "kind": kind, "port": "o", "instance": "i", "seq": 0, "body": body})
    with pytest.raises(MessageError) as error:
        BodyDecoder((Text,)).decode(decode_header(frame))
    assert str(error.value) == told


def test_a_mark_carries_fields_of_several_types() -> None:
    mark = Mark("transcript", 12, fields={"text": "hi", "confidence": 0.9, "words": 1, "final": True})
    got = decode_header(encode_header(header(), mark))
    got.kind = Mark.kind
    assert BodyDecoder((Mark,)).decode(got) == mark


@pytest.mark.parametrize("name", ["body", "trace", "later", "cause"])
@pytest.mark.parametrize("one", [b"\x91", b"\x81\x01"])
def test_what_is_nested_too_deep_is_no_message(name: str, one: bytes) -> None:
    frame = msgpack.packb({"v": 1, "kind": "text", "port": "out", "instance": "js", "seq": 7})
    with pytest.raises(MessageError):
        BodyDecoder((Text,)).decode(decode_header(b"\x86" + frame[1:] + msgpack.packb(name) + one * 50_000 + b"\xc0"))


junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**63), 2**64 - 1) | texts | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(field=st.sampled_from(Header.__struct_fields__), value=junk, body=junk)
def test_a_field_of_any_value_is_a_message_or_a_message_error(field: str, value: object, body: object) -> None:
    frame = msgpack.packb({"v": 1, "kind": "text", "port": "out", "instance": "js", "seq": 7, "body": body, field: value})
    try:
        BodyDecoder((Text, AudioFrame)).decode(decode_header(frame))
    except MessageError:
        return
