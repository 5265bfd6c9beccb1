"""Secrets that are made once and kept in a file of the data folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from data.setting_errors import PREFIX, SettingsInvalid

SECRET_BYTES: Final = 32


def load_secret(file: Path) -> bytes:
    """Return the secret in `file`, created (mode 0600) if missing; safe for concurrent callers."""
    for _ in range(2):
        try:
            secret = file.read_bytes()
        except FileNotFoundError:
            _make_secret(file)
        except OSError as error:
            raise SettingsInvalid(
                f"{PREFIX}DATA_DIR: {file} cannot be read ({error.strerror}); "
                "run tekkie as the user that owns it"
            ) from None
        else:
            return _check_secret(file, secret)
    return _check_secret(file, file.read_bytes())


def _check_secret(file: Path, secret: bytes) -> bytes:
    if len(secret) != SECRET_BYTES:
        raise SettingsInvalid(
            f"{PREFIX}DATA_DIR: {file} is damaged; delete it (all users must sign in again) "
            "or restore it from a backup"
        )
    return secret


def _make_secret(file: Path) -> None:
    # The file appears complete under its name: os.link fails if another process was first.
    temporary = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(
            os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb"
        ) as out:
            out.write(secrets.token_bytes(SECRET_BYTES))
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(temporary, file)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    except OSError as error:
        raise SettingsInvalid(
            f"{PREFIX}DATA_DIR: {file.parent} cannot be written ({error.strerror}); "
            f"name a writable folder in {PREFIX}DATA_DIR, or set {PREFIX}SECRET_KEY"
        ) from None
