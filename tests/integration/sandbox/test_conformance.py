"""What every adapter promises, asked of each that works on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from opencrunch.errors import PlatformError
from opencrunch.sandbox.identity import acting_as_sandbox, sandbox_user
from opencrunch.sandbox.port import Guard, Limits, Mount, Program, Sandbox

from .conftest import LIMITS, MIB, Start, program, wait_until


def needs(sandbox: Sandbox, guard: Guard) -> None:
    """Leave out a test of a guard that the adapter says it does not give."""
    if guard not in sandbox.capabilities().guards:
        pytest.skip(f"'{sandbox.name}' does not claim '{guard}'")


def leftovers() -> list[str]:
    """Return the groups and directories of this engine that are still there."""
    groups = Path("/sys/fs/cgroup").glob(f"**/opencrunch-{os.getpid()}-*")
    directories = Path(tempfile.gettempdir()).glob(f"opencrunch-{os.getpid()}-*")
    return [str(path) for path in (*groups, *directories)]


def test_a_program_talks_over_the_control_socket_and_prints_to_the_pipe(start: Start) -> None:
    talk = start("say('hello ' + hear()); print('printed'); print('too', file=sys.stderr); sys.exit(3)")
    talk.say("there")
    assert talk.hear() == "hello there"
    assert talk.wait() == 3
    assert sorted(talk.printed().split()) == ["printed", "too"]


@pytest.mark.parametrize(
    ("code", "status"),
    [("pass", 0), ("sys.exit(41)", 41), ("os.kill(os.getpid(), 9)", -9), ("os.abort()", -6)],
)
def test_the_exit_status_is_told(start: Start, code: str, status: int) -> None:
    assert start(code).wait() == status


def test_the_environment_is_exactly_the_one_given(sandbox: Sandbox, start: Start) -> None:
    talk = start(
        "say(open('/proc/self/environ').read().replace(chr(0), ','))", environment={"A": "b c", "LC_ALL": "C"}
    )
    seen = {entry for entry in talk.hear().split(",") if entry and not entry.startswith("TMPDIR=")}
    assert seen == {"A=b c", "LC_ALL=C"}
    if sandbox.name == "bubblewrap":
        assert start("say(len(os.environ))", environment={}).hear() in ("0", "1")  # Python may add LC_CTYPE


def test_a_program_has_no_descriptors_but_those_given(start: Start) -> None:
    secret = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        talk = start("say(sorted(set(os.listdir('/proc/self/fd')) - {'0', '1', '2', sys.argv[1]}, key=int))")
        assert talk.hear() in ("['3']", "['4']")  # the one that lists them
    finally:
        os.close(secret)


def test_a_program_starts_in_an_empty_workspace_that_the_engine_fills(start: Start) -> None:
    talk = start(
        "say(os.listdir()); hear(); say(open('dir/a').read()); open('b', 'w').write('back'); say('x')"
    )
    assert talk.hear() == "[]"
    workspace = talk.process.outside("/work")
    with acting_as_sandbox():
        (workspace / "dir").mkdir()
        (workspace / "dir" / "a").write_text("from outside")
    talk.say("go")
    assert talk.hear() == "from outside"
    talk.hear()
    assert (workspace / "b").read_text() == "back"
    for path in ("b", "dir/a"):
        (workspace / path).unlink()
    (workspace / "dir").rmdir()
    assert os.listdir(workspace) == []


def test_a_program_never_runs_as_root(sandbox: Sandbox, start: Start) -> None:
    needs(sandbox, "identity")
    talk = start("say(os.getuid()); hear()")
    assert talk.hear() != "0"
    assert os.stat(f"/proc/{talk.process.tree()[0]}").st_uid == sandbox_user()[0] != 0


def test_a_mount_is_seen_read_only_and_growing(start: Start, shared: Path) -> None:
    (shared / "file").write_text("one")
    talk = start(
        "path = hear() + '/file'\n"
        "file = open(path); say(file.read())\n"
        "hear(); say(file.read())\n"
        "try: open(path, 'a'); say('written')\n"
        "except OSError as error: say(type(error).__name__)\n",
        mounts=(Mount(source=shared, target="/opt/given"),),
    )
    talk.say(talk.process.inside("/opt/given"))
    assert talk.hear() == "one"
    with open(shared / "file", "a") as file:
        file.write("two")
    talk.say("go on")
    assert talk.hear() == "two"
    if os.geteuid() == 0 or talk.process.inside("/opt/given") == "/opt/given":
        assert talk.hear() in ("PermissionError", "OSError")
    assert (shared / "file").read_text() == "onetwo"


def test_an_argument_below_a_mount_is_found(sandbox: Sandbox, shared: Path) -> None:
    (shared / "script").write_text("exit 5")
    mount = Mount(source=shared, target="/opt/given")
    process = sandbox.start(
        Program(argv=("/bin/sh", "/opt/given/script"), environment={}, mounts=(mount,), limits=LIMITS)
    )
    try:
        wait_until(lambda: not process.alive())
        assert process.returncode() == 5
    finally:
        process.kill()


def test_a_mount_that_is_not_there_is_the_platforms_error(sandbox: Sandbox) -> None:
    with pytest.raises(PlatformError, match="/nowhere"):
        sandbox.start(program("pass", mounts=(Mount(source=Path("/nowhere"), target="/opt/given"),)))
    assert leftovers() == []


def test_a_source_below_a_private_directory_is_mounted_or_refused(sandbox: Sandbox, shared: Path) -> None:
    inner = shared / "private" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").write_text("found")
    (shared / "private").chmod(0o700)
    asked = program("say(open(hear()).read())", mounts=(Mount(source=inner, target="/opt/given"),))
    if sandbox.name != "bubblewrap" and os.geteuid() == 0:
        with pytest.raises(PlatformError, match="private"):
            sandbox.start(asked)
        return
    process = sandbox.start(asked)
    try:
        process.control.sendall(f"{process.inside('/opt/given')}/file\n".encode())
        process.control.settimeout(20)
        assert process.control.recv(100) == b"found\n"
    finally:
        process.kill()


def test_the_disk_is_bounded(sandbox: Sandbox, start: Start) -> None:
    needs(sandbox, "disk")
    talk = start(
        "try:\n"
        "  for number in range(64): open(str(number), 'wb').write(bytes(1 << 20))\n"
        "except OSError as error: say(error.strerror)\n"
        "hear()"
    )
    if sandbox.capabilities().guards["disk"] == "enforced":
        assert talk.hear() == "No space left on device"
    evidence = None

    def look() -> bool:
        nonlocal evidence
        evidence = evidence or talk.process.exceeded()
        return evidence is not None

    wait_until(look)
    assert evidence is not None
    assert (evidence.cause, evidence.limit) == ("out-of-disk", LIMITS.disk)
    if sandbox.capabilities().guards["disk"] == "sampled":
        talk.wait()


MEMORY = {
    "heap": "data = []\nwhile True: data.append(bytearray(b'x' * (4 << 20)))",
    "children": "for number in range(8):\n"
    "  if os.fork() == 0:\n"
    "    data = bytearray(b'x' * (60 << 20)); time.sleep(60)\n"
    "time.sleep(60)",
    "shared": "import mmap\nparts = []\n"
    "while True:\n"
    "  part = mmap.mmap(-1, 4 << 20); part.write(b'x' * (4 << 20)); parts.append(part)",
}


@pytest.mark.parametrize("kind", MEMORY)
def test_memory_is_bounded_for_the_whole_tree(sandbox: Sandbox, start: Start, kind: str) -> None:
    needs(sandbox, "memory")
    talk = start(MEMORY[kind])
    evidence = None

    def look() -> bool:
        nonlocal evidence
        evidence = evidence or talk.process.exceeded()
        return evidence is not None

    wait_until(look)
    assert evidence is not None
    assert (evidence.cause, evidence.limit) == ("out-of-memory", LIMITS.memory)


def test_memory_in_the_sandboxes_own_file_systems_counts(sandbox: Sandbox, start: Start) -> None:
    if sandbox.name != "bubblewrap":
        pytest.skip("its directories lie on the host's disk")
    limits = Limits(memory=96 * MIB, tasks=24, disk=8 * MIB, temporary=200 * MIB)
    talk = start(
        "file = open('/dev/shm/file', 'wb')\nwhile True: file.write(bytes(1 << 20)); file.flush()",
        limits=limits,
    )
    evidence = None

    def look() -> bool:
        nonlocal evidence
        evidence = evidence or talk.process.exceeded()
        return evidence is not None

    wait_until(look)
    assert evidence is not None
    assert evidence.cause == "out-of-memory"


def test_memory_that_no_process_shows_is_bounded_or_denied(sandbox: Sandbox, start: Start) -> None:
    needs(sandbox, "kernel")
    talk = start(
        "try: files = [os.memfd_create('x') for _ in range(30)]\n"
        "except PermissionError: say('denied'); sys.exit()\n"
        "say('made')\n"
        "for number in range(16):\n"
        "  for file in files: os.write(file, bytes(1 << 20))"
    )
    if sandbox.capabilities().guards["memory"] == "sampled":
        assert talk.hear() == "denied"
    else:
        assert talk.hear() == "made"
        assert talk.wait() == -9


TASKS = {
    "threads": "def more(): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "forks": "def more():\n  if os.fork() == 0: time.sleep(60)",
    "detached": "def more():\n"
    "  if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0: time.sleep(60)\n"
    "    os._exit(0)\n"
    "  os.wait()",
}


@pytest.mark.parametrize("kind", TASKS)
def test_tasks_are_bounded(sandbox: Sandbox, start: Start, kind: str) -> None:
    needs(sandbox, "tasks")
    talk = start(
        f"{TASKS[kind]}\n"
        "try:\n"
        "  for number in range(60): more()\n"
        "except (RuntimeError, BlockingIOError): say('refused')\n"
        "else: say('all')\n"
        "time.sleep(60)"
    )
    if sandbox.capabilities().guards["tasks"] == "enforced":
        # A detached grandchild that cannot be made fails in its own parent.
        assert talk.hear() == "refused" or kind == "detached"
        assert talk.process.usage().tasks <= LIMITS.tasks
    else:
        wait_until(lambda: not talk.process.alive() or talk.process.usage().tasks <= LIMITS.tasks)


DETACHED = """
def detach(count):
    for number in range(count):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(600)
            os._exit(0)
        os.wait()
"""


def test_the_tree_lists_the_program_first_and_no_zombies(start: Start) -> None:
    talk = start("if os.fork() == 0: time.sleep(600)\nif os.fork() == 0: os._exit(0)\nsay('forked')\nhear()")
    talk.hear()
    wait_until(lambda: len(talk.process.tree()) == 2)
    first, second = talk.process.tree()
    status = Path(f"/proc/{second}/status").read_text()
    assert f"PPid:\t{first}\n" in status


def test_a_sweep_finds_detached_processes_and_keeps_what_it_should(start: Start) -> None:
    talk = start(f"{DETACHED}\ndetach(5)\nsay('done')\nsay(hear())")
    talk.hear()
    first = talk.process.tree()[0]
    assert len(talk.process.tree()) == 6
    assert talk.process.sweep(keep=(first,))
    assert talk.process.tree() == (first,)
    talk.say("still here")
    assert talk.hear() == "still here"


def test_a_sweep_is_quick_where_there_is_nothing_to_do(start: Start) -> None:
    talk = start("say('up'); hear()")
    talk.hear()
    tree = talk.process.tree()
    started = time.perf_counter()
    for _ in range(100):
        assert talk.process.sweep(keep=tree)
    assert (time.perf_counter() - started) / 100 < 0.02


def test_a_sweep_or_a_kill_ends_a_fork_bomb(sandbox: Sandbox, start: Start) -> None:
    needs(sandbox, "tasks")
    talk = start(
        "say('up')\nif os.fork() == 0:\n  while True:\n    try: os.fork()\n    except OSError: pass\nhear()"
    )
    talk.hear()
    time.sleep(0.2)
    tree = talk.process.tree()
    if tree and not talk.process.sweep(keep=tree[:1]):
        started = time.monotonic()
        talk.process.kill()
        assert time.monotonic() - started < 2
    else:
        assert talk.process.tree() in (tree[:1], ())


def test_a_kill_leaves_nothing(start: Start) -> None:
    talk = start(f"{DETACHED}\ndetach(3)\nsay('done')\nhear()")
    talk.hear()
    tree = talk.process.tree()
    assert len(tree) == 4
    started = time.monotonic()
    talk.process.kill()
    assert time.monotonic() - started < 1
    assert [pid for pid in tree if os.path.exists(f"/proc/{pid}")] == []
    assert leftovers() == []
    talk.process.kill()
    assert talk.process.tree() == ()
    assert not talk.process.alive()


def test_a_paused_program_can_be_killed(start: Start) -> None:
    talk = start("say('up'); hear()")
    talk.hear()
    tree = talk.process.tree()
    talk.process.pause()
    started = time.monotonic()
    talk.process.kill()
    assert time.monotonic() - started < 1
    assert [pid for pid in tree if os.path.exists(f"/proc/{pid}")] == []
    assert leftovers() == []


def test_a_paused_program_does_nothing_until_it_is_resumed(start: Start) -> None:
    talk = start("say('up')\nwhile True: say(hear())")
    talk.hear()
    talk.process.pause()
    talk.say("one")
    with pytest.raises(TimeoutError):
        talk.hear(seconds=0.3)
    talk.process.resume()
    assert talk.hear() == "one"


def test_when_the_engine_is_killed_nothing_of_it_is_left(sandbox: Sandbox) -> None:
    engine = subprocess.Popen(
        [sys.executable, "-c", ENGINE, sandbox.name, os.path.dirname(__file__)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert engine.stdout is not None
    with engine, engine.stdout:
        pids = [int(word) for word in engine.stdout.readline().split()]
        assert len(pids) == 3
        engine.kill()
    wait_until(lambda: not any(_runs(pid) for pid in pids), seconds=5)
    again = "from opencrunch.sandbox.select import select; import sys; from conftest import program\n"
    again += "sandbox = select(sys.argv[1]); sandbox.capabilities(); sandbox.start(program('pass')).kill()"
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    subprocess.run([sys.executable, "-c", again, sandbox.name], check=True, env={"PYTHONPATH": path})
    groups = Path("/sys/fs/cgroup").glob(f"**/opencrunch-{engine.pid}-*")
    directories = Path(tempfile.gettempdir()).glob(f"opencrunch-{engine.pid}-*")
    assert [*groups, *directories] == []


ENGINE = f"""
import sys, time
sys.path.insert(0, sys.argv[2])
from conftest import Talk, program
from opencrunch.sandbox.select import select
code = {DETACHED!r} + "detach(2)\\nsay('done')\\nhear()\\ntime.sleep(600)"
talk = Talk(select(sys.argv[1]).start(program(code)))
talk.hear()
print(*talk.process.tree(), flush=True)
time.sleep(600)
"""


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in b"ZX"
    except OSError:
        return False


def test_there_is_no_network(sandbox: Sandbox, start: Start) -> None:
    needs(sandbox, "network")
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        talk = start(
            "try: socket.create_connection(('127.0.0.1', int(hear())), timeout=2); say('connected')\n"
            "except OSError as error: say('refused')\n"
        )
        talk.say(str(listener.getsockname()[1]))
        assert talk.hear() == "refused"
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_pair_of_sockets_and_ordinary_tools_work(start: Start) -> None:
    talk = start(
        "one, two = socket.socketpair(); one.send(b'x'); two.recv(1)\n"
        "import tempfile\n"
        "with tempfile.TemporaryDirectory() as place: open(place + '/a', 'w').write('b')\n"
        "thread = threading.Thread(target=lambda: None); thread.start(); thread.join()\n"
        "say(subprocess.run(['/bin/echo', 'run'], capture_output=True, text=True).stdout.strip())"
    )
    assert talk.hear() == "run"


def test_files_of_the_host_are_hidden(sandbox: Sandbox, start: Start, shared: Path) -> None:
    needs(sandbox, "files")
    (shared / "secret").write_text("secret")
    talk = start(
        "path = hear()\n"
        "try: say(open(path).read())\n"
        "except OSError: say('hidden')\n"
        "try: open(path + '2', 'w'); say('made')\n"
        "except OSError: say('refused')\n"
    )
    talk.say(str(shared / "secret"))
    assert [talk.hear(), talk.hear()] == ["hidden", "refused"]


def test_dangerous_system_calls_are_refused(sandbox: Sandbox, start: Start) -> None:
    needs(sandbox, "kernel")
    talk = start(
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "calls = {'unshare': (0x10000000,), 'ptrace': (0, 0, 0, 0), 'mount': (0, 0, 0, 0, 0)}\n"
        "calls['chroot'] = (b'/',)\n"
        "for name, arguments in calls.items():\n"
        "  getattr(libc, name)(*arguments); say(ctypes.get_errno())\n"
        "try: socket.socket(socket.AF_INET); say('made')\n"
        "except PermissionError as error: say(error.errno)\n"
        "libc.personality(0xffffffff) >= 0 and say('asked')\n"
    )
    assert [talk.hear() for _ in range(6)] == ["1", "1", "1", "1", "1", "asked"]


def test_usage_tells_memory_time_tasks_and_disk(start: Start) -> None:
    talk = start(
        "data = bytearray(b'x' * (40 << 20))\n"
        "open('file', 'wb').write(bytes(3 << 20))\n"
        "end = time.process_time() + 0.2\n"
        "while time.process_time() < end: pass\n"
        "os.sync(); say('done'); hear()"
    )
    talk.hear()
    used = talk.process.usage()
    assert 40 * MIB < used.memory < 120 * MIB
    assert used.peak_memory >= used.memory
    assert 0.15 < used.cpu < 10
    assert used.tasks == 1
    assert 3 * MIB <= used.disk < 4 * MIB


def test_a_sandbox_outlives_the_thread_that_started_it(start: Start) -> None:
    import threading

    talks = []
    thread = threading.Thread(target=lambda: talks.append(start("say('up'); say(hear())")))
    thread.start()
    thread.join()
    talks[0].hear()
    time.sleep(0.2)
    talks[0].say("still")
    assert talks[0].hear() == "still"


def test_core_dumps_are_off_and_descriptors_bounded(start: Start) -> None:
    talk = start(
        "import resource\n"
        "for kind in ('CORE', 'NOFILE', 'FSIZE'):\n"
        "  say(resource.getrlimit(getattr(resource, 'RLIMIT_' + kind))[1])"
    )
    assert talk.hear() == "0"
    assert 0 < int(talk.hear()) <= LIMITS.descriptors
    assert int(talk.hear()) == LIMITS.temporary


def test_directories_deeper_than_a_path_can_say_are_removed(start: Start) -> None:
    talk = start(
        "for number in range(1200):\n  os.mkdir('d' * 10); os.chdir('d' * 10)\n"
        "open('file', 'w').close(); os.chmod('.', 0); say('done'); hear()"
    )
    talk.hear()
    talk.process.kill()
    assert leftovers() == []


def test_a_socket_file_in_a_mount_cannot_be_reached(sandbox: Sandbox, start: Start, shared: Path) -> None:
    needs(sandbox, "network")
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(shared / "socket"))
        (shared / "socket").chmod(0o777)
        listener.listen()
        talk = start(
            "path = hear()\n"
            "try: socket.socket(socket.AF_UNIX).connect(path); say('connected')\n"
            "except OSError: say('refused')\n"
            "try: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); say('made')\n"
            "except OSError: say('refused')\n",
            mounts=(Mount(source=shared, target="/opt/given"),),
        )
        talk.say(f"{talk.process.inside('/opt/given')}/socket")
        assert [talk.hear(), talk.hear()] == ["refused", "refused"]


def test_only_what_a_dead_engine_left_counts_as_orphaned() -> None:
    from opencrunch.sandbox.hierarchy import group_name, is_orphan

    own = group_name(1)
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    prefix, pid, start, namespace, count = own.split("-")
    assert not is_orphan(own)
    assert is_orphan("-".join([prefix, str(ended.pid), start, namespace, count]))
    assert is_orphan("-".join([prefix, pid, str(int(start) + 1), namespace, count]))
    assert not is_orphan("-".join([prefix, str(ended.pid), start, str(int(namespace) + 1), count]))
    assert not is_orphan("somebody-1-2-3-4")
