"""Events for a spec, from a seed: mostly as a stream sends them, with every fault of the trade."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from strandline.spec import Spec

Dice = random.Random

NUMBERS = (
    "0", "-0", "0.0", "-0.0", "1", "-1", "7", "007", "+1", ".5", "1.", "-", "1e5", "1E+5", "2e-3",
    "1e999", "1e-999", "123456789012345678", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "99999999999999999999",
    "0.1", "3.4028235e38", "3.5e38", "1e300", "5e-324", "0.30000000000000004", "9007199254740993",
    "1.7976931348623157e308", "12345678901234567.5", "0.00000000000000000001", "1e", "1e+", "1.e3",
    "0x10", "NaN", "Infinity", "-Infinity", "1_000", "1 2", "00", "-00.5", "1e0005", "4.35",
    "1E400", "-1e400", "0.1e-400", "0e999", "0E-0", "0.e1", "-.5", "- 1", "--1", "1..5", "1e5.5",
    "1e1e1", "1-2", "٣", "1\udc80", "9" * 18, "9" * 19, "9" * 20, "9" * 400, "-" + "9" * 19,
    "0." + "0" * 28 + "1", "0." + "0" * 29 + "1", "-0." + "0" * 10 + "1" * 19 + "e-7",
    "1." + "0" * 40, "0." + "3" * 60, "1" + "0" * 300 + "e-300", "1e+0000000000000000000001",
    "1e99999999999999999999", "123456789.12345678901", "8.5e-20", "2.2250738585072011e-308",
    "1e22", "1e23", "9007199254740992e22", "1e-64",
    "1e64", "1e65", "1e13", "-1e13", "9999999999999", "10000000000001", "1.0000001e13",
    "9.9999999e12", "4e12", "-5e12", "1e-9", "1.85e19", "2e19", "-1e-65", "true1", "1true",
)  # fmt: skip
STRINGS = (
    "", "a", "größe", "東京", "😀", "a\\u00e9", "\\ud83d\\ude00", "\\ud800", "\\n", "\\\\",
    '\\"', "\\/", "\\x", "\\u12", "\\u00g0", "tab\there", "line\nbreak", "\x00", "\x7f", "x" * 31,
    "x" * 32, "x" * 33, "é" * 16, "0123456789abcdef0123456789abcdef0123", "null", "true", "7", "{",
    "]", ",", ":", "\\u0000", "\\uD83D\\uDE00", "\\ud83d\\u0041", "\\ud83d", "\\ude00\\ud83d",
    "\\uDBFF\\uDFFF", "\\ud83dx", "\\ud83d\\n", "\\ud83d\\ud83d\\ude00", "\\U0041", "\\u-123",
    "\\u 123", "\\b\\f\\r\\t", "\\a", "\\0", "\\'", "\\", "\x01", "\x1f", "\ufeff", "\u2028",
    "\uffff", "\U0010ffff", "x" * 63 + "é", "é" * 40, "x" * 29 + "😀", "x" * 30 + "\\u00e9",
    "\\n" * 40 + "x" * 40,
    # Bytes that are no UTF-8, as `surrogateescape` writes them: alone, overlong, halves of pairs,
    # beyond the last character, cut short.
    "\udc80", "\udcff", "\udcc0\udc80", "\udcc1\udcbf", "\udce0\udc80\udc80", "\udce0\udc9f\udcbf",
    "\udced\udca0\udc80", "\udced\udcbf\udcbf", "\udcf0\udc80\udc80\udc80",
    "\udcf4\udc90\udc80\udc80", "\udcf5\udc80\udc80\udc80", "\udcf8\udc88\udc80\udc80\udc80",
    "\udcc3", "\udce2\udc82", "\udcf0\udc9f\udc98", "x" * 31 + "\udce2\udc82",
)  # fmt: skip
OTHERS = (
    "null", "true", "false", "nul", "tru", "fals", "nulll", "truefalse", "True", "nullnull", "[]",
    "{}", "[[]]", '{"a":1}', "[1,2,]", "[,]", "", "[ ]", "{ }", "[null]", "[true,null,1]", "{,}",
    '{"a"}', '{"a":}', '{"a":1,}', '{1:1}', "{null:1}", '{"":{"":[]}}', '[1,"a",true,-7,1.5]',
    '["a",["b"]]', '[{"a":1}]', "[}", "{]", "[1 2]", '{"a" 1}', '"', "/**/1", "[1}", '{"a":1]',
    '["\\u0061","\\n",7]', "[-0]", "[1e2]", "[007]", "[9223372036854775808]",
)  # fmt: skip
SPACES = ("", "", "", " ", "\t", "\n", "\r\n", "  ", "\x0b", "\x0c", "\u00a0", "\x00", "\ufeff",
          " " * 31, " " * 32, " \t\r\n" * 20)  # fmt: skip


def text(dice: Dice, odd: float) -> str:
    """A string as it stands between quotes."""
    if dice.random() < odd:
        return dice.choice(STRINGS)
    return f"{dice.choice('abcuüt東😀')}{dice.randrange(10 ** dice.randrange(1, 12))}"


def number(dice: Dice, odd: float) -> str:
    if dice.random() < odd:
        match dice.randrange(4):
            case 0:  # halfway between two float64
                return f"{(dice.getrandbits(53) | 1 << 52) * 10 + 5}e-1"
            case 1:
                return f"{dice.getrandbits(dice.randrange(1, 70))}e{dice.randrange(-90, 90)}"
        return dice.choice(NUMBERS)
    match dice.randrange(12):
        case 0:
            return repr(dice.uniform(-1, 1) * 10 ** dice.randrange(-3, 12))
        case 1 | 2 | 3:
            return f"{dice.uniform(-50, 2000):.{dice.randrange(1, 9)}f}"
        case 4:
            return f"{dice.getrandbits(dice.randrange(1, 50))}e{dice.randrange(-20, 5)}"
    return str(dice.randrange(10 ** dice.randrange(1, 8)))


def category(dice: Dice, odd: float) -> str:
    if dice.random() < odd:
        return number(dice, 0.5)
    match dice.randrange(12):
        case 0:
            return str(dice.randrange(-1000, 10**9))
        case 1:
            return dice.choice(("true", "false"))
        case 2 | 3:
            most = 4 if dice.random() >= odd else 90
            items = [category(dice, odd) for _ in range(dice.randrange(most))]
            space = dice.choice(SPACES) if dice.random() < odd else ""
            return f"[{(',' + space).join(items)}]" if not any("[" in i for i in items) else "[]"
    return f'"{text(dice, odd)}"'


def label(dice: Dice, odd: float) -> str:
    return dice.choice(("0", "1", "true")) if dice.random() >= odd else number(dice, odd)


def weight(dice: Dice, odd: float) -> str:
    return f"{dice.uniform(0.1, 3):.3f}" if dice.random() >= odd else number(dice, odd)


ROLES: dict[str, Callable[[Dice, float], str]] = {
    "label": label,
    "weight": weight,
    "number": number,
    "category": category,
}


def nested(dice: Dice) -> str:
    """Containers in containers, around every limit of depth, not all of them closed."""
    opening, closing = dice.choice((("[", "]"), ('{"a":', "}"), ('[{"":[1,', "]}]")))
    depth = dice.choice((1, 2, 3, 4, 5, 8, 15, 16, 17, 40, 126, 127, 128, 129, 300))
    depth = max(depth // (opening.count("[") + opening.count("{")), 1)
    return (
        opening * depth
        + dice.choice(("0", "", '"[["'))
        + closing * (depth - dice.choice((0, 0, 1)))
    )


def near(key: str, dice: Dice) -> str:
    """A key that is nearly the given one."""
    others = (
        "", key[:-1], key + key[-1], key + "x" * 40, "x" * 16 + key, "x" * 16 + key[:-1],
        key.upper(), key + " ", " " + key, key + "\x00", key + "\\u0000", key + ".", "\udcff" + key,
    )  # fmt: skip
    return dice.choice(others)


def anything(dice: Dice, odd: float, depth: int = 0) -> str:
    """A value that no spec asks for."""
    if dice.random() < odd * 0.2:
        return nested(dice)
    match dice.randrange(7 if depth < 4 else 4):
        case 0:
            return dice.choice(OTHERS[:3])
        case 1 | 2:
            return number(dice, odd)
        case 3:
            return f'"{text(dice, odd)}"'
        case 4:
            return f"[{','.join(anything(dice, odd, depth + 1) for _ in range(dice.randrange(4)))}]"
    members = (
        f'"{text(dice, odd)}":{anything(dice, odd, depth + 1)}' for _ in range(dice.randrange(4))
    )
    return f"{{{','.join(members)}}}"


class Style:
    """How one producer writes: its order, its spaces, what it adds and what it leaves out."""

    def __init__(self, dice: Dice) -> None:
        marks = ((":", ","), (": ", ", "), (" : ", "\n,"), (":", "," + " " * dice.randrange(70)))
        self.colon, self.comma = dice.choice(marks)
        self.shuffled = dice.random() < 0.2
        self.missing = dice.choice((0.0, 0.0, 0.0, 0.05))
        self.extra = dice.choice((0, 1, 3))
        self.ascii = dice.random() < 0.2
        self.odd = dice.choice((0.0, 0.0, 0.0, 0.002, 0.01, 0.1))
        self.near = dice.choice((0.0, 0.0, 0.1))


def written(tree: dict[str, Any], style: Style, dice: Dice) -> str:
    """The text of an object whose leaves are texts of values."""
    members = []
    for key, below in tree.items():
        if dice.random() < style.missing:
            continue
        value = written(below, style, dice) if isinstance(below, dict) else below
        if dice.random() < style.odd:
            value = dice.choice(OTHERS) if dice.random() < 0.5 else anything(dice, 0.1)
        name = key
        if dice.random() < style.odd * 0.2:
            name = (
                json.dumps(key)[1:-1] if dice.random() < 0.5 else f"\\u{ord(key[0]):04x}{key[1:]}"
            )
        members.append(f'"{name}"{style.colon}{value}')
    for index in range(style.extra):
        members.insert(index * 2, f'"extra{index}"{style.colon}{anything(dice, style.odd, 2)}')
    if members and dice.random() < style.odd:
        members.append(dice.choice(members))
    if tree and dice.random() < style.odd:
        key = dice.choice(list(tree))
        members.append(f'"{key}"{style.colon}{dice.choice(OTHERS)}')
    if tree and dice.random() < style.near:
        key = near(dice.choice(list(tree)), dice)
        members.append(f'"{key}"{style.colon}{anything(dice, style.odd)}')
    if style.shuffled or dice.random() < style.odd:
        dice.shuffle(members)
    return "{" + style.comma.join(members) + "}"


def mutated(data: bytes, dice: Dice) -> bytes:
    """The bytes with one fault."""
    at = dice.randrange(len(data) + 1)
    match dice.randrange(7):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + bytes([dice.randrange(256)]) + data[at:]
        case 2:
            return data[:at] + data[at + 1 :]
        case 3:
            return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
        case 4:
            return data[:at] + dice.choice(SPACES).encode() + data[at:]
        case 5:
            return data + dice.choice((b" ", b"\n", b"}", b"\x00", b"{}", b"x"))
    return dice.choice((b" ", b"\xef\xbb\xbf", b"[", b"")) + data


def events(spec: Spec, seed: int) -> Iterator[bytes | None]:
    """Events of ever other producers, without end."""
    dice = Dice(seed)
    paths = list({path: role for _, path, role in spec.paths()}.items())
    while True:
        style = Style(dice)
        dice.shuffle(paths)
        for _ in range(dice.randrange(1, 120)):
            tree: dict[str, Any] = {}
            for path, role in paths:
                *parents, last = path.split(".")
                node = tree
                for key in parents:
                    node = node.setdefault(key, {})
                node[last] = ROLES[role](dice, style.odd)
            whole = written(tree, style, dice)
            if style.ascii:
                whole = "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in whole)
            data = whole.encode("utf-8", "surrogateescape")
            if dice.random() < style.odd:
                data = mutated(data, dice)
            if dice.random() < style.odd * 0.2:  # the next record goes on where this one ends
                at = dice.randrange(len(data) + 1)
                yield data[:at]
                data = data[at:]
            yield None if dice.random() < style.odd * 0.01 else data
