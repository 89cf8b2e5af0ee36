"""Git's bytes as text: messages, authors, path and ref names.

Git stores bytes and hopes for the best; a commit here holds Unicode. What a text becomes is part of the
commit's id, so every replica must come to the same one: only encodings whose tables are settled are honoured,
everything else is read as UTF-8, and what cannot be read becomes U+FFFD, the replacement character.

Names must not fall together as messages may: two files stay two paths. A git path never has a component
`.git`, so everything that is not simply a path lives under that name:

| recorded path | stands for |
| --- | --- |
| `.git/bytes/NAME` | a path that is not UTF-8; in NAME every byte but `!` to `~` without `%` is `%XX` |
| `.git/long/SHA256` | a path of more than 4,000 bytes, by its hash |
| `.git/modes/PATH` | what PATH is if not a plain file: `100755` executable, `120000` symbolic link |
| `.git/tree` | the commit changed too many paths to list; the value refers to its whole tree |
"""

from __future__ import annotations

import codecs
import hashlib
import re

PATH_BYTES_MAX = 4_000
"""Leaves room for a prefix below the 4,096 bytes of a path in a commit. Changing it changes ids."""
MESSAGE_BYTES_MAX = 1 << 20
"""Of the text, as UTF-8; no known message comes near. Changing it changes ids."""

BYTES_PREFIX = ".git/bytes/"
LONG_PREFIX = ".git/long/"
MODES_PREFIX = ".git/modes/"
WHOLE_TREE_PATH = ".git/tree"

_CUT_MARK = "\n[cut: the message was longer]\n"
_SETTLED_ENCODINGS = re.compile(
    r"ascii|utf-8|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|gb2312|gbk|gb18030|big5|euc_\w+|shift_jis\w*|iso2022_\w+"
)
"""Names as `codecs.lookup` gives them. Left out are codecs that are no character sets (rot13,
unicode_escape) and those that can produce halves of surrogate pairs (utf-7, utf-16)."""


def decode_text(data: bytes, encoding: str | None) -> str:
    """The text in `data`, read as the commit's `encoding` header says (without one as UTF-8)."""
    return data.decode(_codec(encoding), errors="replace")


def decode_message(data: bytes, encoding: str | None) -> str:
    """`decode_text`, cut to MESSAGE_BYTES_MAX with a mark at the end."""
    text = decode_text(data, encoding)
    if len(text) * 4 > MESSAGE_BYTES_MAX and len(text.encode()) > MESSAGE_BYTES_MAX:
        kept = text.encode()[: MESSAGE_BYTES_MAX - len(_CUT_MARK)]
        return kept.decode("utf-8", errors="ignore") + _CUT_MARK
    return text


def escape_name(raw: bytes) -> str:
    """A path or ref name as text: itself if it can be, else one that no other name in a repository has.

    The tables are in this module's docstring; for all names of up to PATH_BYTES_MAX bytes `unescape_name`
    gives the bytes back.
    """
    if len(raw) > PATH_BYTES_MAX:
        return LONG_PREFIX + hashlib.sha256(raw).hexdigest()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        # A hand-made tree can hold a path below .git; git itself refuses to check it out.
        if not text.startswith(".git/") and text != ".git":
            return text
    escaped = "".join(chr(byte) if 0x21 <= byte <= 0x7E and byte != ord("%") else f"%{byte:02X}" for byte in raw)
    if len(BYTES_PREFIX) + len(escaped) > PATH_BYTES_MAX:
        return LONG_PREFIX + hashlib.sha256(raw).hexdigest()
    return BYTES_PREFIX + escaped


def unescape_name(name: str) -> bytes:
    """The bytes that `escape_name` was given, unless they were too long to be kept."""
    if not name.startswith(BYTES_PREFIX):
        return name.encode()
    escaped = name[len(BYTES_PREFIX) :].encode()
    return re.sub(rb"%([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), escaped)


def _codec(encoding: str | None) -> str:
    if not encoding:
        return "utf-8"
    try:
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError):
        return "utf-8"
    return name if _SETTLED_ENCODINGS.fullmatch(name) else "utf-8"
