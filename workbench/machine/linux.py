"""System calls of Linux that the standard library lacks. Each raises OSError if the kernel refuses it."""

import ctypes
import os
from contextlib import suppress

# linux/capability.h
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2

# linux/securebits.h
_SECBIT_NO_SETUID_FIXUP = 1 << 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Set(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def signal_on_parent_death(number: int) -> None:
    """The kernel sends this signal when the parent ends. A change of user resets it, so change the user first."""
    _prctl(_PR_SET_PDEATHSIG, number)


def keep_capabilities_on_setuid() -> None:
    """Keeps them for access(2) too, also after exec: by default it ignores those of all users but root."""
    _prctl(_PR_SET_KEEPCAPS, 1)
    with suppress(OSError):  # needs CAP_SETPCAP, which some containers lack
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)


def has_capability(capability: int) -> bool:
    sets = (_Set * 2)()
    _check(_libc().capget(ctypes.byref(_this_process()), sets))
    return bool(sets[0].permitted & 1 << capability)


def keep_only(capability: int) -> None:
    """Drops all other capabilities, and keeps this one across exec (capabilities(7), the ambient set)."""
    bit = 1 << capability
    _check(_libc().capset(ctypes.byref(_this_process()), (_Set * 2)(_Set(bit, bit, bit))))
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _this_process() -> _Header:
    return _Header(_CAPABILITY_VERSION_3, 0)


def _prctl(option: int, *arguments: int) -> None:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    _check(_libc().prctl(option, *(ctypes.c_ulong(argument) for argument in padded)))


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
