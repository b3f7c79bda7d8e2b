"""Bytes at an address, for kernels that scan text: loads, 32 bytes at a time, and XXH64.

An address is an int64. Nothing is checked: the caller owns `PADDING` readable bytes after all
that it scans. numba compiles for the processor at hand, so 32 bytes are one or two registers.

The functions of this and the other modules that `strandline.features.kernel` is made of are
compiled, and kept on disk, as parts of it.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

PADDING: Final = 96
"""Readable bytes that must follow what is scanned.

Reading on from a record's last byte takes at most 66, where that is the sign of a number.
"""

MASK_BYTES: Final = 32
"""Bytes that one mask covers."""

_BYTE: Final = ir.IntType(8)
_VECTOR: Final = ir.VectorType(_BYTE, MASK_BYTES)
_MASK: Final = ir.IntType(MASK_BYTES)
_WORD: Final = ir.IntType(64)

Codegen = Callable[[Any, Any, Any, Any], Any]

_KINDS: Final[dict[str, tuple[Any, Any]]] = {
    "b": (ir.IntType(8), types.int64),
    "u1": (ir.IntType(8), types.int64),
    "u2": (ir.IntType(16), types.int64),
    "i4": (ir.IntType(32), types.int64),
    "i8": (_WORD, types.int64),
    "u8": (_WORD, types.uint64),
    "f4": (ir.FloatType(), types.float32),
    "f8": (ir.DoubleType(), types.float64),
}
"""What a kernel makes of each type in memory: small integers are int64 there."""


def _load(builder: Any, address: Any, kind: Any) -> Any:
    pointer = builder.inttoptr(address, kind.as_pointer())
    return builder.load(pointer, align=1)


def _every(byte: int) -> Any:
    return ir.Constant(_VECTOR, [byte] * MASK_BYTES)


def _as_mask(builder: Any, chosen: Any) -> Any:
    return builder.zext(builder.bitcast(chosen, _MASK), _WORD)


def address_of(array: NDArray[Any]) -> int:
    """Return where the array's memory begins; it lives as long as the array does."""
    address: int = array.__array_interface__["data"][0]
    return address


def _kind(dtype: np.dtype[Any]) -> tuple[Any, Any, bool]:
    stored, kind = _KINDS[dtype.str[1:] if dtype.kind != "b" else "b"]
    return stored, kind, dtype.kind == "i"


def reader(dtype: Any, name: str = "") -> Any:
    """Return what reads a number of this type, or a field of a record of it, at an address.

    >>> from numba import njit
    >>> read = reader(np.int32)
    >>> array = np.array([3, -4], np.int32)
    >>> njit(lambda address: read(address + 4))(array.ctypes.data)
    -4
    """
    field, offset = _field(np.dtype(dtype), name)
    stored, kind, signed = _kind(field)

    @intrinsic
    def read(context: Any, address: Any) -> tuple[Any, Codegen]:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = builder.add(args[0], ir.Constant(_WORD, offset))
            value = _load(builder, place, stored)
            if kind is types.int64 and stored is not _WORD:
                value = (builder.sext if signed else builder.zext)(value, _WORD)
            return value

        return kind(types.int64), codegen

    return read


def writer(dtype: Any, name: str = "") -> Any:
    """Return what writes, as `reader` reads: takes the address and the number."""
    field, offset = _field(np.dtype(dtype), name)
    stored, kind, _ = _kind(field)

    @intrinsic
    def write(context: Any, address: Any, value: Any) -> tuple[Any, Codegen]:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = builder.add(args[0], ir.Constant(_WORD, offset))
            value = args[1]
            if kind is types.int64 and stored is not _WORD:
                value = builder.trunc(value, stored)
            builder.store(value, builder.inttoptr(place, stored.as_pointer()), align=1)
            return context.get_dummy_value()

        return types.void(types.int64, kind), codegen

    return write


def _field(dtype: np.dtype[Any], name: str) -> tuple[np.dtype[Any], int]:
    if not name:
        return dtype, 0
    assert dtype.fields is not None, f"{dtype} is no record"
    field, offset = dtype.fields[name][:2]
    return field, offset


@intrinsic
def byte_at(context: Any, address: Any) -> tuple[Any, Codegen]:
    """Return the byte as an int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(_load(builder, args[0], _BYTE), _WORD)

    return types.int64(types.int64), codegen


@intrinsic
def half_at(context: Any, address: Any) -> tuple[Any, Codegen]:
    """Return 4 bytes, little endian, as a uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(_load(builder, args[0], ir.IntType(32)), _WORD)

    return types.uint64(types.int64), codegen


@intrinsic
def word_at(context: Any, address: Any) -> tuple[Any, Codegen]:
    """Return 8 bytes, little endian, as a uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _load(builder, args[0], _WORD)

    return types.uint64(types.int64), codegen


@intrinsic
def lowest_bit(context: Any, mask: Any) -> tuple[Any, Codegen]:
    """Return the index of the lowest bit that is set, 64 if none is."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@intrinsic
def leading_zeros(context: Any, value: Any) -> tuple[Any, Codegen]:
    """Return how many bits above the highest one that is set are not."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@intrinsic
def float_of(context: Any, bits: Any) -> tuple[Any, Codegen]:
    """Return the float64 of these bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.uint64), codegen


@intrinsic
def bits_of(context: Any, value: Any) -> tuple[Any, Codegen]:
    """Return the bits of a float64 as an int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _WORD)

    return types.int64(types.float64), codegen


@intrinsic
def string_stops(context: Any, address: Any) -> tuple[Any, Codegen]:
    """Mark, in 32 bytes, quotes, backslashes, control characters and all that is not ASCII."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = _load(builder, args[0], _VECTOR)
        quotes = builder.icmp_unsigned("==", found, _every(0x22))
        backslashes = builder.icmp_unsigned("==", found, _every(0x5C))
        others = builder.icmp_signed("<", found, _every(0x20))  # as signed, 0x80 and up is < 0
        return _as_mask(builder, builder.or_(builder.or_(quotes, backslashes), others))

    return types.uint64(types.int64), codegen


@intrinsic
def no_digits(context: Any, address: Any) -> tuple[Any, Codegen]:
    """Mark, in 32 bytes, all that is no digit; above bit 31 every bit is set."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = builder.sub(_load(builder, args[0], _VECTOR), _every(0x30))
        digits = _as_mask(builder, builder.icmp_unsigned("<", found, _every(10)))
        return builder.not_(digits)

    return types.uint64(types.int64), codegen


@intrinsic
def differences(context: Any, one: Any, other: Any) -> tuple[Any, Codegen]:
    """Mark where 32 bytes differ from 32 others."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, b = (_load(builder, address, _VECTOR) for address in args)
        return _as_mask(builder, builder.icmp_unsigned("!=", a, b))

    return types.uint64(types.int64, types.int64), codegen


@intrinsic
def high_product(context: Any, one: Any, other: Any) -> tuple[Any, Codegen]:
    """Return the upper 64 bits of the product of two uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        a, b = (builder.zext(value, wide) for value in args)
        high = builder.lshr(builder.mul(a, b), ir.Constant(wide, 64))
        return builder.trunc(high, _WORD)

    return types.uint64(types.uint64, types.uint64), codegen


@intrinsic
def prefetch(context: Any, address: Any) -> tuple[Any, Codegen]:
    """Ask for the cache line of an address, which need not be readable."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], _BYTE.as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        call = builder.module.declare_intrinsic("llvm.prefetch", (pointer.type,), kind)
        builder.call(call, [pointer, number(1), number(3), number(1)])  # to write, keep, data
        return context.get_dummy_value()

    return types.void(types.int64), codegen


_PRIME_1: Final = np.uint64(0x9E3779B185EBCA87)
_PRIME_2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_PRIME_3: Final = np.uint64(0x165667B19E3779F9)
_PRIME_4: Final = np.uint64(0x85EBCA77C2B2AE63)
_PRIME_5: Final = np.uint64(0x27D4EB2F165667C5)


@njit(nogil=True, forceinline=True)
def _rotated(value: np.uint64, bits: int) -> np.uint64:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@njit(nogil=True, forceinline=True)
def _round(lane: np.uint64, word: np.uint64) -> np.uint64:
    return _rotated(lane + word * _PRIME_2, 31) * _PRIME_1


@njit(nogil=True)
def _long_state(address: int, stop: int, seed: np.uint64) -> np.uint64:
    """Return the state after all whole 32 bytes of a text that has some."""
    one = seed + _PRIME_1 + _PRIME_2
    two = seed + _PRIME_2
    three = seed
    four = seed - _PRIME_1
    while address + 32 <= stop:
        one = _round(one, word_at(address))
        two = _round(two, word_at(address + 8))
        three = _round(three, word_at(address + 16))
        four = _round(four, word_at(address + 24))
        address += 32
    state = _rotated(one, 1) + _rotated(two, 7) + _rotated(three, 12) + _rotated(four, 18)
    for lane in (one, two, three, four):
        state = (state ^ _round(np.uint64(0), lane)) * _PRIME_1 + _PRIME_4
    return state


@njit(nogil=True, forceinline=True)
def _with_tail(state: np.uint64, word: np.uint64, count: int) -> np.uint64:
    """Return the state after the last 1 to 7 bytes, without a branch on how many they are."""
    half = state ^ (word & np.uint64(0xFFFFFFFF)) * _PRIME_1
    half = _rotated(half, 23) * _PRIME_2 + _PRIME_3
    state = half if count & 4 else state
    word >>= np.uint64(count & 4) * np.uint64(8)
    for place in range(3):
        more = state ^ (word & np.uint64(0xFF)) * _PRIME_5
        more = _rotated(more, 11) * _PRIME_1
        state = more if place < count & 3 else state
        word >>= np.uint64(8)
    return state


@njit(nogil=True, forceinline=True)
def xxh64_inline(address: int, length: int, seed: np.uint64) -> np.uint64:
    """Return XXH64 of the bytes. For the one place where a call would cost as much as the work.

    Up to 7 bytes behind the text are read.
    """
    stop = address + length
    if length >= 32:
        state = _long_state(address, stop, seed)
        address = stop - (length & 31)
    else:
        state = seed + _PRIME_5
    state += np.uint64(length)
    while address + 8 <= stop:
        state ^= _round(np.uint64(0), word_at(address))
        state = _rotated(state, 27) * _PRIME_1 + _PRIME_4
        address += 8
    if length & 7:
        state = _with_tail(state, word_at(address), length & 7)
    state = (state ^ (state >> np.uint64(33))) * _PRIME_2
    state = (state ^ (state >> np.uint64(29))) * _PRIME_3
    return state ^ (state >> np.uint64(32))


@njit(nogil=True)
def xxh64(address: int, length: int, seed: np.uint64) -> np.uint64:
    """Return XXH64 of the bytes."""
    return xxh64_inline(address, length, seed)
