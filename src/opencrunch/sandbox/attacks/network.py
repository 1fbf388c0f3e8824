"""Attacks on the network guard: any way to a peer that is not the engine. All peers are our own listeners."""

from __future__ import annotations

from .attack import DENIED, HIDDEN, NO_CALL, attack
from .inside import Given, attempt, child_says, ctypes, libc, machine, mmap, os, reached, socket, struct
from .scene import Scene

# A namespace without the listener refuses (its loopback may be down); a filter denies.
NO_PEER = DENIED | {"ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT"}
NO_SOCKET = DENIED | {"EAFNOSUPPORT", "ESOCKTNOSUPPORT", "EPROTONOSUPPORT"}


def _datagram_came(scene: Scene, word: str) -> str:
    """Look whether the datagram came to our listener."""
    if word != "sent":
        return word
    return "succeeded" if scene.target.datagram_within(0.5) else "lost"


def _host_can_connect(scene: Scene, word: str) -> str:
    """Look whether a program of the host can connect to what listens inside."""
    if not word.startswith("listening:"):
        return word
    try:
        with socket.create_connection(("127.0.0.1", int(word.partition(":")[2])), timeout=1):
            return "succeeded"
    except OSError:
        return "lost"


@attack("network", NO_PEER)
def connect_by_tcp(given: Given) -> str:
    """Connect to a TCP listener on the host's loopback."""
    return attempt(lambda: socket.create_connection(("127.0.0.1", given["tcp"]), timeout=3))


@attack("network", NO_PEER)
def connect_by_tcp_version_6(given: Given) -> str:
    """Connect to a TCP listener on the host's loopback by IPv6."""
    return attempt(lambda: socket.create_connection(("::1", given["tcp6"]), timeout=3))


@attack("network", NO_PEER | {"lost"}, look=_datagram_came)
def send_by_udp(given: Given) -> str:
    """Send a datagram to a UDP listener on the host's loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(given["token"].encode(), ("127.0.0.1", given["udp"]))
    return "sent"


@attack("network", NO_PEER | {"lost", "unanswered"}, look=_datagram_came)
def ask_name_server(given: Given) -> str:
    """Send data out in the name of a DNS query, to a listener that stands for the name server."""
    libc.__res_state.restype = ctypes.c_void_p
    state = libc.__res_state()
    libc.__res_init()
    # struct __res_state of glibc: retrans, retry, options, nscount, then the addresses of name servers.
    ctypes.memmove(state, struct.pack("=ii", 1, 1), 8)
    ctypes.memmove(state + 16, struct.pack("=i", 1), 4)
    server = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", given["udp"], b"\x7f\0\0\1")
    ctypes.memmove(state + 20, server, len(server))
    query = getattr(libc, "res_query", None) or getattr(ctypes.CDLL("libresolv.so.2"), "__res_query")
    answer = ctypes.create_string_buffer(512)
    query(given["token"].encode() + b".invalid", 1, 1, answer, 512)
    return "sent"


@attack("network", NO_SOCKET | {"lost"}, look=_host_can_connect)
def listen_on_host(given: Given) -> str:
    """Listen where programs of the host can connect."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    given["kept"] = listener
    return f"listening:{listener.getsockname()[1]}"


@attack("network", NO_SOCKET, control="root")
def open_raw_socket(given: Given) -> str:
    """Open a raw IP socket."""
    return attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))


@attack("network", NO_SOCKET, control="root")
def open_packet_socket(given: Given) -> str:
    """Open a packet socket, which sees every frame of a link."""
    return attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))


@attack("network", NO_SOCKET)
def open_netlink_socket(given: Given) -> str:
    """Open a netlink socket, which configures links and routes."""
    return attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).bind((0, 0)))


@attack("network", NO_SOCKET)
def open_kernel_crypto_socket(given: Given) -> str:
    """Open a socket of the kernel's crypto interface, a part with a history of holes."""
    return attempt(lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET, 0))


@attack("network", NO_SOCKET | {"ENODEV"})
def open_virtual_machine_socket(given: Given) -> str:
    """Open a vsock, which passes network namespaces by and reaches the hypervisor."""
    return attempt(lambda: socket.socket(40, socket.SOCK_STREAM))


@attack("network", HIDDEN | {"ECONNREFUSED"})
def connect_to_socket_file(given: Given) -> str:
    """Connect to a Unix socket of the host by its path."""
    return attempt(lambda: socket.socket(socket.AF_UNIX).connect(given["socket_file"]))


@attack("network", HIDDEN)
def connect_to_socket_in_mount(given: Given) -> str:
    """Connect to a Unix socket in a mounted directory, which read-only does not prevent."""
    return attempt(lambda: socket.socket(socket.AF_UNIX).connect(given["mount"] + "/door"))


@attack("network", HIDDEN | {"EISCONN", "lost"}, look=_datagram_came)
def send_from_socket_pair(given: Given) -> str:
    """Take a datagram pair, which is allowed, and send from it to a socket file in a mounted directory."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    address = given["mount"] + "/letterbox"

    def send_connected() -> None:
        pair[1].connect(address)
        pair[1].send(given["token"].encode())

    words = [attempt(lambda: pair[0].sendto(given["token"].encode(), address)), attempt(send_connected)]
    return "sent" if "succeeded" in words else reached(words)


@attack("ipc", DENIED | {"ECONNREFUSED"})
def connect_to_abstract_socket(given: Given) -> str:
    """Connect to an abstract Unix socket of the host."""
    return attempt(lambda: socket.socket(socket.AF_UNIX).connect("\0" + given["abstract"]))


@attack("ipc", DENIED | {"ECONNREFUSED", "lost"}, look=_datagram_came)
def send_from_pair_to_abstract_socket(given: Given) -> str:
    """Take a datagram pair, which is allowed, and send from it to an abstract socket of the host."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    pair[0].sendto(given["token"].encode(), "\0" + given["abstract_datagram"])
    return "sent"


@attack("network", NO_CALL | {"SIGSEGV", "EAFNOSUPPORT"})
def open_socket_by_32_bit_call(given: Given) -> str:
    """Open an Internet socket through the 32-bit calls of a 64-bit kernel, past the filter's numbers."""
    if machine != "x86_64":
        return "ENOSYS"

    def call() -> str:
        # push rbx; mov eax, 359 (socket); mov ebx, 2; mov ecx, 1; xor edx, edx; int 0x80; pop rbx; ret
        code = bytes.fromhex("53b867010000bb02000000b90100000031d2cd805bc3")
        page = mmap.mmap(-1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        result = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return "succeeded"

    return child_says(call)


@attack("network", NO_CALL | {"SIGSEGV", "EAFNOSUPPORT"})
def open_socket_by_x32_call(given: Given) -> str:
    """Open an Internet socket through the x32 numbers of a 64-bit kernel, past the filter's numbers."""
    if machine != "x86_64":
        return "ENOSYS"

    def call() -> str:
        ctypes.set_errno(0)
        if libc.syscall(ctypes.c_long(0x40000000 + 41), 2, 1, 0) < 0:
            raise OSError(ctypes.get_errno(), "socket")
        return "succeeded"

    return child_says(call)
