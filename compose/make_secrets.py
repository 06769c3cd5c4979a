# ruff: noqa: INP001 - a script that is run by itself, in no package
"""Make the secrets of the compose file: a client key, a DK+ token, the ledger's password.

Run once by the service `secrets`. What is already made is kept, so that it can run again at
every start. The simulators' configurations are written beside: they name the public key and the
token, which are not known before.
"""

import argparse
import os
import secrets
from pathlib import Path
from string import Template
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_BITS = 2048  # the least that RS256 should be used with
PASSWORD_BYTES = 32
OWNER_ONLY = 0o600  # libpq ignores a password file that others may read


def main() -> None:
    """Make what is missing in the directories that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("templates", "client", "ledger", "simulators"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    places = parser.parse_args()

    key = kept(places.client / "sparebank1.pem", new_key())
    token = kept(places.client / "vik.token", str(UUID(bytes=secrets.token_bytes(16))))
    password = kept(places.ledger / "password", secrets.token_urlsafe(PASSWORD_BYTES))
    kept(places.ledger / "pgpass", f"*:*:*:*:{password}\n")
    values = {"public_key": public_half(key), "token": token.strip()}
    for name in ("sparebank1", "dkplus"):
        template = Template((places.templates / f"{name}.toml").read_text(encoding="utf-8"))
        write(places.simulators / f"{name}.toml", template.substitute(values))


def kept(path: Path, fresh: str) -> str:
    """What the file holds; `fresh` is written where there is none."""
    if not path.exists():
        write(path, fresh)
    return path.read_text(encoding="utf-8")


def write(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w") as file:
        file.write(text)
    part.replace(path)


def new_key() -> str:
    """A private key as the client of the platform has one, PEM."""
    return (
        rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def public_half(key: str) -> str:
    """The public key of a private one, PEM."""
    return (
        serialization.load_pem_private_key(key.encode(), password=None)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


if __name__ == "__main__":
    main()
