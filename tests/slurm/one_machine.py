"""A real Slurm of four nodes on this machine, thrown away afterwards: munge, MariaDB, slurmdbd, slurmctld, slurmd.

Everything lives in one folder in /tmp and on free ports, so that it disturbs no Slurm, munge or MariaDB of the machine.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.debian import CannotInstallError, install

PACKAGES = ("slurm-wlm", "slurmdbd", "mariadb-server", "munge")
COMMANDS = ("slurmctld", "slurmd", "slurmdbd", "mariadbd", "mariadb-install-db", "munged", "sbatch", "sacctmgr")
NODES = ("n1", "n2", "n3", "n4")


class OneMachineSlurm:
    """Four nodes `n1`..`n4` of two CPUs and one `gpu:a5000` each in a partition `gpu`, with accounting.

    Use as a context manager: it starts every daemon and stops it again, also when a later one does not start.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # short: sockets have paths of 108 bytes
        self.folder.chmod(0o711)  # munge wants its socket to be within everyone's reach
        self.env = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "OneMachineSlurm":
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def command(self, *command: str, check: bool = True) -> str:
        """Run a command of this Slurm and return what it printed."""
        done = self._run(command)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def _run(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, env={**os.environ, **self.env}, capture_output=True, text=True, timeout=60)

    def sinfo(self) -> dict[str, str]:
        """Return the state of each node, e.g. {'n1': 'idle'}."""
        return dict(line.split() for line in self.command("sinfo", "-h", "-N", "-o", "%N %T").splitlines())

    def squeue(self) -> dict[str, str]:
        """Return the state of each job in the queue, e.g. {'12_0': 'RUNNING'}."""
        return dict(line.split() for line in self.command("squeue", "-h", "-r", "-o", "%i %T").splitlines())

    def job(self, job: str) -> dict[str, str]:
        """Return what the controller says of a job, e.g. {'ReqTRES': 'cpu=1,…', 'Dependency': 'afterok:11…'}."""
        words = self.command("scontrol", "show", "job", "-o", job).split()
        return dict(word.partition("=")[::2] for word in words if "=" in word)

    def wait(self, holds: Callable[[], object], what: str, seconds: float = 60.0) -> None:
        """Wait until `holds()`; a TimeoutError says `what` did not come, and what the queue looked like."""
        until = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > until:
                raise TimeoutError(f"after {seconds:.0f} s still not {what}; squeue says {self.squeue()}")
            time.sleep(0.1)

    def wait_until_empty(self, seconds: float = 120.0) -> None:
        """Wait until no job is in the queue."""
        self.wait(lambda: not self.squeue(), "an empty queue", seconds)

    def clear(self) -> None:
        """Cancel every job and wait until all are gone."""
        self.command("scancel", "--user=root", check=False)
        self.wait_until_empty()

    # ------------------------------------------------------------------ daemons

    def _start(self) -> None:
        dbd, ctld, db, *slurmd = free_ports(3 + len(NODES))
        for name in ("state", "spool", "log", "db"):
            (self.folder / name).mkdir()
        self._write_config(dbd=dbd, ctld=ctld, db=db, slurmd=slurmd)
        self._start_munge()
        self._start_database(db)
        self._daemon("slurmdbd", ["slurmdbd", "-D"])
        self._wait_for("slurmdbd", ["sacctmgr", "-n", "list", "cluster"])
        self.command("sacctmgr", "-i", "add", "cluster", "mini")
        self._daemon("slurmctld", ["slurmctld", "-D", "-c"])
        for node in NODES:
            self._daemon(node, ["slurmd", "-D", "-N", node])
        self._wait_for("slurmctld", ["sinfo"])
        with self._explained():
            self.wait(lambda: set(self.sinfo().values()) == {"idle"}, "idle nodes")

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        options = {name: self.folder / f"munge.{name}" for name in ("socket", "pid", "seed")}
        self._daemon(
            "munged",
            ["munged", "--foreground", f"--key-file={key}", f"--socket={options['socket']}",
             f"--pid-file={options['pid']}", f"--seed-file={options['seed']}",
             "--num-threads=2"],
        )  # fmt: skip
        self._wait_for("munged", ["munge", f"--socket={options['socket']}", "--no-input"])

    def _start_database(self, port: int) -> None:
        data, socket_file = self.folder / "db", self.folder / "db.sock"
        with self._explained():
            self.command("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db")
        self._daemon(
            "mariadbd",
            ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={socket_file}",
             f"--port={port}", "--bind-address=127.0.0.1", f"--pid-file={self.folder / 'db.pid'}",
             "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0"],
        )  # fmt: skip
        client = ["mariadb", "--no-defaults", f"--socket={socket_file}"]
        self._wait_for("mariadbd", [*client, "-e", "select 1"])
        grants = " ".join(
            f"create user slurm@'{host}' identified by 'x'; grant all on slurm_acct_db.* to slurm@'{host}';"
            for host in ("localhost", "127.0.0.1")
        )
        self.command(*client, "-e", f"create database slurm_acct_db; {grants}")

    def limit_time(self, job: str) -> None:
        """Let a running job's time end in half a minute or more, so that its warning is due at once."""
        *_, hours, minutes, seconds = f"0:{self.job(job)['RunTime'].replace('-', ':')}".split(":")
        left = int(hours) * 60 + int(minutes) + (1 if int(seconds) < 30 else 2)
        self.command("scontrol", "update", f"JobId={job}", f"TimeLimit={left}")

    def restart_controller(self) -> None:
        """Stop slurmctld and start it again; it reads what it had saved."""
        stopped = self._daemons.pop("slurmctld")
        stopped.terminate()
        stopped.wait()
        self._daemon("slurmctld", ["slurmctld", "-D"])
        self._wait_for("slurmctld", ["sinfo"])

    @contextmanager
    def without_accounting(self) -> Iterator[None]:
        """Let slurmdbd be dead while the block runs: sacct does not answer, and everything else does."""
        dead = self._daemons.pop("slurmdbd")
        dead.kill()
        dead.wait()
        try:
            yield
        finally:
            self._daemon("slurmdbd", ["slurmdbd", "-D"])
            self._wait_for("slurmdbd", ["sacctmgr", "-n", "list", "cluster"])

    def _daemon(self, name: str, command: Sequence[str]) -> None:
        """Start a daemon that dies with this process, whatever becomes of it; in a session of its own: no Ctrl-C."""
        with (self.folder / "log" / f"{name}.out").open("wb") as output:
            self._daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                start_new_session=True,
            )

    def _wait_for(self, name: str, command: Sequence[str], seconds: float = 60.0) -> None:
        """Wait until a command that needs the daemon works."""
        until = time.monotonic() + seconds
        with self._explained():
            while (told := self._run(command)).returncode != 0:
                if self._daemons[name].poll() is not None:
                    raise RuntimeError(f"{name} ended with status {self._daemons[name].returncode}")
                if time.monotonic() > until:
                    raise TimeoutError(f"{name} does not answer after {seconds:.0f} s: {told.stderr.strip()}")
                time.sleep(0.1)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Add the ends of the daemons' logs to what goes wrong in the block."""
        try:
            yield
        except Exception as error:
            tails = [
                f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
                for path in sorted((self.folder / "log").iterdir())
            ]
            raise RuntimeError("\n".join([f"Slurm did not start: {error}", *tails])) from error

    def _stop(self) -> None:
        if "slurmctld" in self._daemons:
            with contextlib.suppress(Exception):  # what is left is killed with its daemons
                self.clear()
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            for daemon in reversed(self._daemons.values()):
                if daemon.poll() is None:
                    daemon.send_signal(signal_number)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        daemon.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_config(self, *, dbd: int, ctld: int, db: int, slurmd: Sequence[int]) -> None:
        host = socket.gethostname().partition(".")[0]
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=4000 "
            "Gres=gpu:a5000:1 State=UNKNOWN"
            for name, port in zip(NODES, slurmd)
        )
        at, all_nodes = self.folder, f"n[1-{len(NODES)}]"
        (at / "slurmdbd.conf").touch(0o600)
        (at / "slurmdbd.conf").write_text(f"""\
AuthType=auth/munge
AuthInfo=socket={at}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={dbd}
SlurmUser=root
PidFile={at}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={db}
StorageUser=slurm
StoragePass=x
StorageLoc=slurm_acct_db
CommitDelay=1
""")
        (at / "gres.conf").write_text(f"NodeName={all_nodes} Name=gpu Type=a5000 Count=1 File=/dev/null\n")
        # config_overrides: the nodes have the CPUs and the memory written here, whatever the machine has.
        (at / "slurm.conf").write_text(f"""\
ClusterName=mini
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld}
AuthType=auth/munge
AuthInfo=socket={at}/munge.socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={at}/state
SlurmdSpoolDir={at}/spool/%n
SlurmctldPidFile={at}/slurmctld.pid
SlurmdPidFile={at}/slurmd.%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
ReturnToService=2
JobRequeue=1
KillWait=15
MaxArraySize=5
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd}
AccountingStoragePass={at}/munge.socket
AccountingStorageTRES=gres/gpu
{nodes}
PartitionName=gpu Nodes={all_nodes} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes={all_nodes} MaxTime=INFINITE State=UP OverSubscribe=NO PriorityTier=10
""")


def install_packages() -> None:
    """Install what is missing of Slurm, MariaDB and munge.

    Raises
    ------
    CannotInstallError : not root, not Debian, or apt-get failed.
    """
    if os.geteuid() != 0:
        raise CannotInstallError("Slurm's daemons need root; run the tests as root, in a container for example")
    install(PACKAGES, there=lambda: all(map(shutil.which, COMMANDS)))


def free_ports(count: int) -> list[int]:
    """Return TCP ports of the loopback interface that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
