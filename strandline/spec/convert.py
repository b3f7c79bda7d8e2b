"""Raw tables (of TOML or JSON) to typed structs, with errors that name place, need and find."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin

import msgspec

from strandline.errors import SpecError

T = TypeVar("T", bound=msgspec.Struct)
_GOT_CHARS_MAX = 80
_WORDS_MAX = 20


def fail(where: str, expected: str, got: object, *, hint: str = "") -> NoReturn:
    """Raise a SpecError in the one grammar of this package."""
    text = repr(got)
    shown = text if len(text) <= _GOT_CHARS_MAX else text[:_GOT_CHARS_MAX] + "..."
    raise SpecError(f"{where}: expected {expected}, got {shown}{hint}")


def fail_missing(where: str, expected: str) -> NoReturn:
    """Raise a SpecError for something that must be there and is not."""
    raise SpecError(f"{where}: expected {expected}, got nothing: add it")


def check_word(where: str, word: object, known: Iterable[str], noun: str) -> None:
    """Refuse a word that is not among the known ones, and name the nearest."""
    words = sorted(known)
    if isinstance(word, str) and word in words:
        return
    nearest = difflib.get_close_matches(word, words, n=1) if isinstance(word, str) else []
    hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
    listed = words[:_WORDS_MAX] + (["..."] if len(words) > _WORDS_MAX else [])
    fail(where, f"{noun}: {', '.join(listed) or 'there is none'}", word, hint=hint)


def as_table(raw: object, where: str) -> Mapping[str, Any]:
    """Return the raw value as a table, or refuse it."""
    if not isinstance(raw, dict):
        fail(where, "a table", raw)
    return raw


def to_struct(raw: object, kind: type[T], where: str) -> T:
    """Convert one raw table to a struct; every error names its place below `where`."""
    table = as_table(raw, where)
    fields = msgspec.structs.fields(kind)
    tag_field = kind.__struct_config__.tag_field
    words = [field.encode_name for field in fields]
    if tag_field is not None:
        words.append(tag_field)
    for key in table:
        check_word(f"{where}.{key}", key, words, "a setting of this table")
    for field in fields:
        name, place = field.encode_name, f"{where}.{field.encode_name}"
        if field.required and name not in table:
            fail_missing(place, "a value")
        if get_origin(field.type) is Literal and name in table:
            check_word(place, table[name], get_args(field.type), "one of")
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        _fail_conversion(table, where, str(error))


def to_tagged(
    raw: object, tag_field: str, kinds: Iterable[type[msgspec.Struct]], where: str
) -> Any:
    """Convert one raw table to an instance of the one of `kinds` that its tag names."""
    table = as_table(raw, where)
    by_tag = {str(kind.__struct_config__.tag): kind for kind in kinds}
    if tag_field not in table:
        fail_missing(f"{where}.{tag_field}", f"one of: {', '.join(sorted(by_tag))}")
    check_word(f"{where}.{tag_field}", table[tag_field], by_tag, "one of")
    return to_struct(table, by_tag[table[tag_field]], where)


def _fail_conversion(table: Mapping[str, Any], where: str, message: str) -> NoReturn:
    text, _, path = message.partition(" - at `$")
    path = path.removesuffix("`")
    got: Any = table
    for part in re.findall(r"\w+", path):
        got = got[int(part)] if isinstance(got, list | tuple) else got[part]
    fail(f"{where}{path}", text.removeprefix("Expected ").split(", got ")[0], got)
