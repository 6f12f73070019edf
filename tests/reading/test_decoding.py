"""Text decoded piece by piece: the same as decoded at once, with the same places in every refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.errors import FileError
from gatework.reading.decoding import TextDecoder
from gatework.reading.files import decode

ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-32", "latin-1", "shift_jis", "gb18030", "utf-7", "punycode", "cp1252")


def pieces(content, size):
    return [content[begin : begin + size] for begin in range(0, len(content), size)]


def in_pieces(content, size, encoding="utf-8", **options):
    decoder = TextDecoder("a.txt", encoding, **options)
    text = "".join(map(decoder.decode, pieces(content, size)))
    return text + decoder.decode(b"", final=True), decoder.replaced


def outcome(call):
    try:
        return call()
    except FileError as error:
        return str(error)


@given(st.binary(min_size=1, max_size=40), st.integers(4, 9), st.sampled_from(ENCODINGS))
def test_pieces_are_decoded_like_the_whole(content, size, encoding):
    whole = outcome(lambda: decode(content, "a.txt", encoding))
    found = outcome(lambda: in_pieces(content, size, encoding)[0])
    if "looks binary" not in found:  # a NUL is found before a later byte that does not fit
        assert found == whole


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8")), st.integers(4, 9))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32", "utf-16-be"])
def test_text_comes_back(encoding, text, size):
    assert in_pieces(text.encode(encoding), size, encoding) == (decode(text.encode(encoding), "", encoding), 0)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_places_are_those_of_the_file(size):
    with pytest.raises(FileError, match=r"'a.txt' is not utf-8 text: byte 0xff at offset 7 does not fit\. Say so"):
        in_pieces(b"\xef\xbb\xbfabc!\xff", size, advice="Say so.")
    with pytest.raises(FileError, match=r"byte 0xe9 at offset 3 does not fit"):
        in_pieces(b"caf\xe9", size)
    with pytest.raises(FileError, match=r"looks binary: there is a NUL byte at offset 4; expected text\. No"):
        in_pieces(b"text\0text", size, binary="No.")
    with pytest.raises(FileError, match=r"the character at place 4 is half a character"):
        in_pieces(b"text+2AA-", size, "utf-7")


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_what_is_replaced_is_counted(size):
    assert in_pieces(b"caf\xe9 \xe2\x82 \xe2\x82\xac\0", size, replace=True) == ("caf\ufffd \ufffd €\ufffd", 3)
    assert in_pieces("\ufffd".encode(), size, replace=True) == ("\ufffd", 0)
    assert in_pieces(b"a\x81b", size, "cp1252", replace=True) == ("a\ufffdb", 1)
    assert in_pieces(b"+2AA-", size, "utf-7", replace=True) == ("\ufffd", 1)
