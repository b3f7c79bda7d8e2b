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
)  # fmt: skip
STRINGS = (
    "", "a", "größe", "東京", "😀", "a\\u00e9", "\\ud83d\\ude00", "\\ud800", "\\n", "\\\\",
    '\\"', "\\/", "\\x", "\\u12", "\\u00g0", "tab\there", "line\nbreak", "\x00", "\x7f", "x" * 31,
    "x" * 32, "x" * 33, "é" * 16, "0123456789abcdef0123456789abcdef0123", "null", "true", "7", "{",
    "]", ",", ":",
)  # fmt: skip
OTHERS = (
    "null",
    "true",
    "false",
    "nul",
    "True",
    "[]",
    "{}",
    "[[]]",
    '{"a":1}',
    "[1,2,]",
    "[,]",
    "",
)
SPACES = ("", "", "", " ", "\t", "\n", "\r\n", "  ", "\x0b", "\u00a0")


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
            items = [category(dice, odd) for _ in range(dice.randrange(4))]
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


def anything(dice: Dice, odd: float, depth: int = 0) -> str:
    """A value that no spec asks for."""
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
        self.colon, self.comma = dice.choice(((":", ","), (": ", ", "), (" : ", "\n,")))
        self.shuffled = dice.random() < 0.2
        self.missing = dice.choice((0.0, 0.0, 0.0, 0.05))
        self.extra = dice.choice((0, 1, 3))
        self.ascii = dice.random() < 0.2
        self.odd = dice.choice((0.0, 0.0, 0.0, 0.002, 0.01, 0.1))


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
            data = whole.encode("utf-8", "surrogatepass")
            if dice.random() < style.odd:
                data = mutated(data, dice)
            yield None if dice.random() < style.odd * 0.01 else data
