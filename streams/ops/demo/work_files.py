"""The files of a demo: secrets made at run time, simulators' configurations, integrations.toml."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from streams.ops.demo.companies import CLIENT_ID, COMPANIES, SALES_PERSON, Books, Company, Kind

KEY_BITS: Final = 2048  # the least that RS256 should be used with
TOKEN_BYTES: Final = 16
OWNER_ONLY: Final = 0o600


class WorkFiles:
    """Files in one directory that is there. Secrets are readable by their owner alone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = directory / "sparebank1.pem"
        self.integrations = directory / "integrations.toml"
        self.ledger = directory / "moment-sync.db"

    def simulator_config(self, kind: Kind) -> Path:
        """Where the configuration of a simulator is."""
        return self.directory / f"{kind.value}-simulator.json"

    def write_simulators(self) -> None:
        """Make the secrets, and each simulator's configuration with its half of them."""
        sparebank1 = {
            "companies": [
                {"key": books.key, "name": company.name}
                for company, books in _every(Kind.SPAREBANK1)
            ],
            "clients": [{"client_id": CLIENT_ID, "public_key": self._new_key()}],
        }
        dkplus = {
            "companies": [
                {
                    "key": books.key,
                    "name": company.name,
                    "token": self._new_token(books),
                    "currency": books.currency,
                    "sales_persons": [SALES_PERSON],
                    "first_invoice_number": books.first_invoice_number,
                }
                for company, books in _every(Kind.DKPLUS)
            ]
        }
        configs: Mapping[Kind, Any] = {Kind.SPAREBANK1: sparebank1, Kind.DKPLUS: dkplus}
        for kind, config in configs.items():
            _write_secret(self.simulator_config(kind), msgspec.json.encode(config))

    def write_integrations(self, base_urls: Mapping[Kind, str]) -> None:
        """Write the integrations file for simulators that listen at these base URLs."""
        hosts = sorted(urlsplit(url).netloc for url in base_urls.values())
        parts = [
            f"allow_hosts = {_toml(hosts)}\n",
            f"[clients.sparebank1]\nclient_id = {_toml(CLIENT_ID)}\nkey_file = {_toml(self.key)}\n",
        ]
        parts += [
            self._integration(books, base_urls[books.kind])
            for kind in Kind
            for _, books in _every(kind)
        ]
        self.integrations.write_text("\n".join(parts), encoding="utf-8")

    def _integration(self, books: Books, base_url: str) -> str:
        members: dict[str, Any] = {
            "id": books.id,
            "company": books.company,
            "system": books.kind.value,
            "base_url": base_url,
            "data": ["customers", "projects", "invoices"],
            "notify": f"books@{books.company}.example",
            "language": books.language,
        }
        if books.kind is Kind.SPAREBANK1:
            members |= {"bank": books.bank, "identity_url": base_url, "company_key": books.key}
        else:
            members |= {"token_file": self._token(books), "sales_person": SALES_PERSON}
        lines = (f"{name} = {_toml(value)}\n" for name, value in members.items())
        return "[[integrations]]\n" + "".join(lines)

    def _token(self, books: Books) -> Path:
        return self.directory / f"{books.key}.token"

    def _new_token(self, books: Books) -> str:
        token = secrets.token_hex(TOKEN_BYTES)
        _write_secret(self._token(books), token.encode())
        return token

    def _new_key(self) -> str:
        """Make the client's key pair; returns the public half (PEM)."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        _write_secret(self.key, private)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return public.decode()


def _every(kind: Kind) -> list[tuple[Company, Books]]:
    return [
        (company, books) for company in COMPANIES for books in company.books if books.kind is kind
    ]


def _write_secret(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def _toml(value: object) -> str:
    """A value of TOML; JSON's strings and lists are among them."""
    return msgspec.json.encode(str(value) if isinstance(value, Path) else value).decode()
