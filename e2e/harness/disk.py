"""Disks that fail: each kind makes writing impossible, and possible again, under a gateway that runs."""

from __future__ import annotations

import errno
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from harness.processes import Gateway


class FileSizeLimit:
    """No file of the process may grow: `EFBIG`. Needs no rights, and works everywhere."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    # Else the signal would be the end of the process: ignoring it outlives `exec`.
    options = {"preexec_fn": lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN)}

    def fail(self, gateway: Gateway) -> None:
        log = (self.folder / "weighbridge.db-wal").stat().st_size
        self._limit(gateway, log)

    def heal(self, gateway: Gateway) -> None:
        self._limit(gateway, resource.RLIM_INFINITY)

    def _limit(self, gateway: Gateway, size: int) -> None:
        assert gateway.process
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def close(self) -> None:
        pass


class SmallDisk:
    """A file system of a few megabytes that is filled: `ENOSPC`. Only root may mount one."""

    options: dict[str, Callable[[], None]] = {}

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True)
        if mounted.returncode:
            pytest.skip(f"no file system can be mounted: {mounted.stderr.decode().strip()}")
        self.filler = folder / "filler"

    def fail(self, gateway: Gateway) -> None:
        with self.filler.open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC

    def heal(self, gateway: Gateway) -> None:
        self.filler.unlink()

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=True)


class BrokenCalls:
    """Every write to a file is answered with an error, by `strace`: a file system that went read-only, a disk that
    broke."""

    options: dict[str, Callable[[], None]] = {}

    def __init__(self, error: str) -> None:
        self.error = error
        self.tracer: subprocess.Popen[bytes] | None = None
        if not shutil.which("strace"):
            pytest.skip("strace is not installed")

    def fail(self, gateway: Gateway) -> None:
        assert gateway.process
        calls = "pwrite64,pwritev,fdatasync,fsync,ftruncate"
        inject = ["-e", f"trace={calls}", "-e", f"inject={calls}:error={self.error}"]
        self.tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-p", str(gateway.process.pid), *inject, "-o", os.devnull],
            stderr=subprocess.PIPE,
        )
        status = pathlib.Path(f"/proc/{gateway.process.pid}/status")
        deadline = time.monotonic() + 5
        while "TracerPid:\t0" in status.read_text():
            if self.tracer.poll() is not None:
                assert self.tracer.stderr
                pytest.skip(f"strace may not: {self.tracer.stderr.read().decode().strip()}")
            assert time.monotonic() < deadline, "strace does not attach"
            time.sleep(0.01)

    def heal(self, gateway: Gateway) -> None:
        assert self.tracer
        self.tracer.terminate()
        self.tracer.wait(timeout=10)

    def close(self) -> None:
        if self.tracer and self.tracer.poll() is None:
            self.tracer.kill()
            self.tracer.wait()
