"""
Empty classes in place of unpublished classes that a jar refers to.

Elasticsearch's security module refers to SAML classes that are not available in public repositories. SAML is not used
here, but Java must resolve the classes in the signatures of used classes.
"""

import re
import struct
import zipfile
from pathlib import Path

_UTF8, _CLASS, _WIDE = 1, 7, (5, 6)
_SIZES = {3: 4, 4: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2, 5: 8, 6: 8, _CLASS: 2}
"""Bytes of each kind of constant in a class file, by the number of the kind."""
_JAVA_8 = 52


def write_jar(referring: Path, packages: str, target: Path) -> None:
    """Write to *target* an empty class for each of *packages*, beginnings of names, that the jar *referring* knows."""
    named, extended = set(), set()
    with zipfile.ZipFile(referring) as jar:
        for entry in jar.namelist():
            if entry.endswith(".class"):
                texts, parent = _read_constants(jar.read(entry))
                named |= {name for text in texts for name in re.findall(rf"(?:{packages})[\w/$]+", text)}
                extended.add(parent)
    with zipfile.ZipFile(target, "w") as jar:
        for name in sorted(named):
            # Only a base class must be a class; for others an interface is enough.
            jar.writestr(f"{name}.class", _build_class(name) if name in extended else _build_interface(name))


def _read_constants(content: bytes) -> tuple[list[str], str | None]:
    """Return all texts in a class file, and the name of the class that it extends."""
    count, position, number = struct.unpack_from(">H", content, 8)[0], 10, 1
    texts: dict[int, str] = {}
    classes: dict[int, int] = {}
    while number < count:
        kind = content[position]
        if kind == _UTF8:
            (length,) = struct.unpack_from(">H", content, position + 1)
            texts[number] = content[position + 3 : position + 3 + length].decode("utf-8", "replace")
            position += 3 + length
        else:
            if kind == _CLASS:
                (classes[number],) = struct.unpack_from(">H", content, position + 1)
            position += 1 + _SIZES[kind]
        number += 2 if kind in _WIDE else 1
    _, _, parent = struct.unpack_from(">HHH", content, position)
    return list(texts.values()), texts[classes[parent]] if parent else None


def _build_interface(name: str) -> bytes:
    return _build_class_file(0x0601, _encode_names(name), struct.pack(">H", 0))


def _build_class(name: str) -> bytes:
    # One constructor, which calls that of Object: aload_0, invokespecial, return.
    code = b"\x2a\xb7\x00\x09\xb1"
    body = struct.pack(">HHI", 1, 1, len(code)) + code + struct.pack(">HH", 0, 0)
    constructor = struct.pack(">HHHHHHI", 1, 1, 5, 6, 1, 7, len(body)) + body
    more = [
        _encode_text("<init>"),
        _encode_text("()V"),
        _encode_text("Code"),
        b"\x0c\x00\x05\x00\x06",
        b"\x0a\x00\x04\x00\x08",
    ]
    return _build_class_file(0x0021, [*_encode_names(name), *more], constructor)


def _encode_names(name: str) -> list[bytes]:
    return [_encode_text(name), b"\x07\x00\x01", _encode_text("java/lang/Object"), b"\x07\x00\x03"]


def _encode_text(text: str) -> bytes:
    return struct.pack(">BH", _UTF8, len(text)) + text.encode("ascii")


def _build_class_file(access: int, constants: list[bytes], methods: bytes) -> bytes:
    head = b"\xca\xfe\xba\xbe" + struct.pack(">HHH", 0, _JAVA_8, len(constants) + 1) + b"".join(constants)
    return head + struct.pack(">HHHHH", access, 2, 4, 0, 0) + methods + struct.pack(">H", 0)
