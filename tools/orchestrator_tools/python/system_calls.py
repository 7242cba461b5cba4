"""A filter of system calls for a sandbox. It refuses calls that a calculation does not need.

The filter closes gaps that namespaces and limits leave open. Sockets to the host of a virtual machine (vsock) ignore
network namespaces. Memory in memory files and System V segments counts against no limit of a process. A new user
namespace opens parts of the kernel that an ordinary user cannot reach otherwise.

The filter is a list of instructions for the kernel's packet filter, see seccomp(2). The libraries that write such
lists come with the distributions, not with pip.
"""

import struct
from typing import Final

_LOAD: Final = 0x20
_IF_EQUAL: Final = 0x15
_IF_ANY_BIT: Final = 0x45
_IF_AT_LEAST: Final = 0x35
_RETURN: Final = 0x06

_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_REFUSE: Final = 0x00050000 | 1
"""The call returns EPERM."""
_UNKNOWN: Final = 0x00050000 | 38
"""The call returns ENOSYS. The C library then uses an older call, whose arguments a filter can read."""

_NUMBER, _PROCESSOR, _FIRST_ARGUMENT = 0, 4, 16
_NEW_NAMESPACES: Final = 0x7E020080
_SOCKETS: Final = (1, 2, 10)
"""Local, IPv4 and IPv6: the families that a network namespace contains."""
_OTHER_NUMBERS: Final = 0x40000000
"""The first number of the x32 interface, a second set of numbers for the same calls on x86."""

_PROCESSORS: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CALLS: Final[dict[str, tuple[int, int]]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),  # its requests pass no filter
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),  # memory that counts against no limit
    "memfd_secret": (447, 447),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),  # memory that counts against no limit
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),  # a user namespace reaches more of the kernel
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
_CLONE: Final = (56, 220)
_CLONE3: Final = (435, 435)
_SOCKET: Final = (41, 198)


def is_known(processor: str) -> bool:
    """True if there is a filter for a processor.

    Args:
        processor: As `platform.machine()` calls it.
    """
    return processor in _PROCESSORS


def system_call_filter(processor: str) -> bytes:
    """Return the filter as the kernel reads it.

    Args:
        processor: A known processor, as `platform.machine()` calls it.
    """
    which = list(_PROCESSORS).index(processor)
    # Calls of 32 bit code on 64 bit machines have other numbers, which would pass the list below: refuse all of them.
    program = [_step(_LOAD, _PROCESSOR), _step(_IF_EQUAL, _PROCESSORS[processor], 1, 0), _step(_RETURN, _KILL)]
    program += [_step(_LOAD, _NUMBER)]
    if processor == "x86_64":
        program += [_step(_IF_AT_LEAST, _OTHER_NUMBERS, 0, 1), _step(_RETURN, _REFUSE)]
    for numbers in _CALLS.values():
        program += [_step(_IF_EQUAL, numbers[which], 0, 1), _step(_RETURN, _REFUSE)]
    # The flags of clone3 lie in memory, which a filter cannot read.
    program += [_step(_IF_EQUAL, _CLONE3[which], 0, 1), _step(_RETURN, _UNKNOWN)]
    flags = [_step(_LOAD, _FIRST_ARGUMENT), _step(_IF_ANY_BIT, _NEW_NAMESPACES, 0, 1), _step(_RETURN, _REFUSE)]
    flags += [_step(_RETURN, _ALLOW)]
    program += [_step(_IF_EQUAL, _CLONE[which], 0, len(flags)), *flags]
    # No network namespace holds a socket to the host of a virtual machine (vsock).
    kinds = [_step(_LOAD, _FIRST_ARGUMENT)]
    for kind in _SOCKETS:
        kinds += [_step(_IF_EQUAL, kind, 0, 1), _step(_RETURN, _ALLOW)]
    kinds += [_step(_RETURN, _REFUSE)]
    program += [_step(_IF_EQUAL, _SOCKET[which], 0, len(kinds)), *kinds]
    program += [_step(_RETURN, _ALLOW)]
    return b"".join(program)


def _step(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    """Return one instruction. The jumps are numbers of instructions to skip."""
    return struct.pack("=HBBI", code, when_true, when_false, value)
