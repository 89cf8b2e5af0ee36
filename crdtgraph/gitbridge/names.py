"""Paths and refs of the graph as names that git takes, and back.

A path of the graph is any text; a name in a git tree is not empty, not `.` or `..`, has no slash or NUL, and is nothing
that a file system somewhere would take for `.git`. A component that git refuses is written as `%%` and its bytes, each
but letters, digits, `_` and `-` as `%XX`; so is one that begins with `%%` itself, which makes it possible to go back.

| in the tree | stands for |
| --- | --- |
| `%%NAME` | the component NAME, escaped |
| `%%=NAME` | a path that ends in NAME and is also the folder of others: git cannot hold both under one name |
| `%%/...` | an empty component, as the first of `/etc/hosts` is |
| `%%#SHA256` | a component that would be longer than 4,000 bytes |

A path of more than 256 components has all the others in its last. Paths below `.git/`, which the import of a git
repository makes (`texts.py`), become what they came from: names that are not UTF-8, and the modes of files.

A ref may not have what `git check-ref-format` refuses. There every such byte is `%XX`, `%` among them, and two refs
that git cannot hold at once, as `a` and `a/b`, are told apart by a slash written as `%2F`. A name that is too long for
a file is `%=SHA256`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

from crdtgraph.gitbridge.texts import BYTES_PREFIX, escape_name, unescape_name

MARK = b"%%"
CLASH_MARK = b"%%="
HASH_MARK = b"%%#"
DEPTH_MAX = 256
"""Components of a path in a tree; git gives up at 2,048."""
NAME_BYTES_MAX = 4_000
"""`git fsck --strict` refuses names from 4,096 bytes on."""
REF_COMPONENT_BYTES_MAX = 240
"""A ref is a file, and so is its lock."""
REF_HASH_MARK = "%="

HEADS = "refs/heads/"
TAGS = "refs/tags/"
_TAG_PREFIX = "tags/"

_DOT_GIT = re.compile(rb"(?:^|\\)(?:\.git|git~1)[ .]*(?:$|[\\:])", re.IGNORECASE)
"""What Windows takes for `.git`; see `is_ntfs_dotgit` in git's path.c."""
_IGNORED_BY_HFS = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""What a Mac leaves out of a name; see `next_hfs_char` in git's utf8.c."""
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")

_REFUSED_IN_REF = re.compile(
    r"""[\x00-\x20\x7f~^:?*\[\\%]     # characters with a meaning, and the one that marks escapes
      | (?<=\.)\. | (?<=@)\{           # two dots, @{
      | (?:^|(?<=/))\. | \.(?=/|$) | \.(?=lock(?:/|$))
      | ^/ | (?<=/)/ | /$               # empty components
      | ^- | ^H(?=EAD$) | ^@$           # an option, and the names of HEAD
    """,
    re.VERBOSE,
)
_ESCAPED_BYTE = re.compile(rb"%([0-9A-F]{2})")


def tree_names(path: str) -> tuple[bytes, ...]:
    """The names in git's trees, folder by folder, that a path of the graph has; no two paths have the same."""
    raw = path.encode()
    if path.startswith(BYTES_PREFIX) and not _is_text(found := unescape_name(path)) and escape_name(found) == path:
        raw = found
    components = raw.split(b"/", DEPTH_MAX - 1)
    return tuple(map(_component, components))


def clash_name(name: bytes) -> bytes:
    """What the last name of a path becomes that is a folder, too."""
    return _within_limit(CLASH_MARK + _escaped(_unescaped(name)))


def git_refs(names: Collection[str]) -> dict[str, str]:
    """For each ref of the graph its full name in git: a branch, or for `tags/NAME` a tag."""
    tags = {name[len(_TAG_PREFIX) :] for name in names if _is_tag(name)}
    branches = {name for name in names if not _is_tag(name)}
    found = {name: HEADS + escaped for name, escaped in ref_names(branches).items()}
    return found | {_TAG_PREFIX + name: TAGS + escaped for name, escaped in ref_names(tags).items()}


def ref_names(names: Collection[str]) -> dict[str, str]:
    """For each of some names one that git takes, all of which can stand in one folder together."""
    escaped = {name: _REFUSED_IN_REF.sub(_percent, name) for name in sorted(names)}
    taken = set(escaped.values())
    return {name: _short(name, _apart(each, taken)) for name, each in escaped.items()}


def graph_ref(name: str) -> str:
    """The name in the graph that `ref_names` made this of; of one that it would not have made, the name itself."""
    try:
        found = _ESCAPED_BYTE.sub(lambda byte: bytes.fromhex(byte[1].decode()), name.encode()).decode()
    except UnicodeDecodeError:
        return name
    escaped = _REFUSED_IN_REF.sub(_percent, found)
    return found if name in (escaped, escaped.replace("/", "%2F")) else name


def _is_tag(name: str) -> bool:
    return name.startswith(_TAG_PREFIX) and name != _TAG_PREFIX


def _component(name: bytes) -> bytes:
    is_fine = name and name not in (b".", b"..") and not name.startswith(MARK) and not _is_dot_git(name)
    if is_fine and b"\0" not in name and b"/" not in name and len(name) <= NAME_BYTES_MAX:
        return name
    return _within_limit(MARK + _escaped(name))


def _is_dot_git(name: bytes) -> bool:
    if _DOT_GIT.search(name):
        return True
    text = name.decode(errors="replace")
    return not text.isascii() and _IGNORED_BY_HFS.sub("", text).lower() == ".git"


def _escaped(name: bytes) -> bytes:
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in name).encode()


def _unescaped(name: bytes) -> bytes:
    if not name.startswith(MARK):
        return name
    return _ESCAPED_BYTE.sub(lambda byte: bytes.fromhex(byte[1].decode()), name[len(MARK) :])


def _within_limit(name: bytes) -> bytes:
    return name if len(name) <= NAME_BYTES_MAX else HASH_MARK + hashlib.sha256(name).hexdigest().encode()


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def _apart(name: str, taken: Collection[str]) -> str:
    """The name, without slashes if one of its folders is a ref itself."""
    folders = [name[:at] for at, character in enumerate(name) if character == "/"]
    return name.replace("/", "%2F") if any(folder in taken for folder in folders) else name


def _short(name: str, escaped: str) -> str:
    if all(len(component.encode()) <= REF_COMPONENT_BYTES_MAX for component in escaped.split("/")):
        return escaped
    return REF_HASH_MARK + hashlib.sha256(name.encode()).hexdigest()
