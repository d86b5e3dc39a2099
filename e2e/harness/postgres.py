"""A private PostgreSQL server: in a temporary folder, on a socket of its own, gone with the tests.

On demand it also takes connections over TCP, and there none that is not encrypted.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from harness.processes import TLS, free_port

USER = "weighbridge"
# Whoever comes over TCP has to be encrypted, and to know the password.
RULES = "local all all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n"


def programs() -> pathlib.Path | None:
    """Where Debian's package has put the newest version's programs."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Postgres:
    """A server. It refuses to run as root, so there it runs as the user that its package made."""

    def __init__(self, tls: bool = False) -> None:
        found = programs()
        if not found:
            if os.environ.get("WEIGHBRIDGE_REQUIRE_POSTGRES") == "1":
                pytest.fail("PostgreSQL is required and not installed: `apt-get install postgresql`")
            pytest.skip("PostgreSQL is not installed (Debian: `apt-get install postgresql`)")
        self.programs = found
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weighbridge-postgres-"))
        self.folder.chmod(0o777)
        self.databases = 0
        made = self._program("initdb", "--no-sync", "--auth=trust", f"--username={USER}", "-D", self.data)
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)
        # The socket's name has the port in it.
        self.port = free_port() if tls else 5432
        listened = ["listen_addresses=127.0.0.1,127.0.0.2", "-c", "ssl=on"] if tls else ["listen_addresses="]
        if tls:
            self._keep("server.crt", (TLS / "server.pem").read_text())
            self._keep("server.key", (TLS / "server.key").read_text())
            self._keep("pg_hba.conf", RULES)
        served = self._program("postgres", "-D", self.data, "-k", self.folder, "-p", str(self.port), "-c", *listened)
        self.process = subprocess.Popen(
            [*served, "-c", "fsync=off"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder
        )
        deadline = time.monotonic() + 30
        while self._sql("postgres", "SELECT 1").returncode != 0:
            assert time.monotonic() < deadline and self.process.poll() is None, "the server does not answer"
            time.sleep(0.05)

    @property
    def data(self) -> pathlib.Path:
        """The server's own folder."""
        return self.folder / "data"

    def _keep(self, name: str, text: str) -> None:
        """Writes a file that the server reads, and nobody else."""
        path, owner = self.data / name, self.data.stat()
        path.write_text(text)
        path.chmod(0o600)
        os.chown(path, owner.st_uid, owner.st_gid)

    def _program(self, name: str, *arguments: str | pathlib.Path) -> list[str | pathlib.Path]:
        other = ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.getuid() == 0 else []
        # However the tests end, the server must not outlive them.
        return ["setpriv", "--pdeathsig", "QUIT", *other, self.programs / name, *arguments]

    def _sql(self, database: str, sql: str) -> subprocess.CompletedProcess[str]:
        place = ["-h", self.folder, "-p", str(self.port), "-d", database]
        command = [self.programs / "psql", "-XAtq", "-U", USER, *place, "-c", sql]
        return subprocess.run(command, capture_output=True, text=True)

    def sql(self, database: str, sql: str) -> str:
        """Carries SQL out as an onlooker; the rows as text."""
        done = self._sql(database, sql)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def database(self) -> str:
        """The address of a fresh database."""
        return f"postgres://{USER}@{str(self.folder).replace('/', '%2F')}:{self.port}/{self._database()}"

    def encrypted_database(self, password: str, host: str = "127.0.0.1", **parameters: object) -> str:
        """The address of a fresh database over TCP, with parameters of libpq's."""
        self.sql("postgres", f"ALTER USER {USER} PASSWORD '{password}'")
        said = "&".join(f"{name}={str(value).replace(' ', '%20')}" for name, value in parameters.items())
        return f"postgres://{USER}:{password}@{host}:{self.port}/{self._database()}?{said}"

    def _database(self) -> str:
        self.databases += 1
        name = f"e2e_{self.databases}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        return name

    def close(self) -> None:
        """Stops it and deletes what it kept."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)
