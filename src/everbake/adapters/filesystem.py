"""Which file systems a project may lie on."""

from pathlib import Path

from everbake.errors import ConflictError

_NETWORK = frozenset(("nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "9p", "afs", "afpfs"))
_CLUSTER = frozenset(("ceph", "glusterfs", "lustre", "gpfs", "beegfs", "davfs"))
_LOCAL_FUSE = frozenset(("fuse.ntfs", "fuse.ntfs-3g", "fuse.exfat", "fuse.fuseblk", "fuse.lxcfs"))
_MOUNTS = Path("/proc/mounts")


def refuse_network_filesystem(path: Path, mounts: str | None = None) -> None:
    """Refuse to keep a ledger where locks and `fsync` do not hold what they promise.

    Args:
        path: the project's folder.
        mounts: what is mounted, in the form of `/proc/mounts`; by default that of this machine.

    Raises:
        ConflictError: the folder lies on a network file system.
    """
    if mounts is None:
        mounts = _MOUNTS.read_text("utf-8", "replace") if _MOUNTS.exists() else ""
    kind, point = _mount_of(path.resolve(), mounts)
    if _is_remote(kind):
        raise ConflictError(
            "EB407",
            "a project cannot lie on a network file system",
            where=str(path),
            why=f"{point} is {kind}: locks and commits are not safe there",
            mend="put the project on a local disk, or the ledger into PostgreSQL",
        )


def _is_remote(kind: str) -> bool:
    remote_fuse = kind.startswith("fuse.") and kind not in _LOCAL_FUSE
    return kind in _NETWORK or kind in _CLUSTER or remote_fuse


def _mount_of(path: Path, mounts: str) -> tuple[str, Path]:
    """Type and place of the innermost mount above a path; the later one hides the earlier."""
    found = ("", Path("/"))
    for line in mounts.splitlines():
        fields = line.split(" ")
        point = Path(_unescaped(fields[1])) if len(fields) > 2 else None  # noqa: PLR2004 - source, place, type
        if point and path.is_relative_to(point) and len(point.parts) >= len(found[1].parts):
            found = (fields[2], point)
    return found


def _unescaped(text: str) -> str:
    r"""Blanks in a mount's place are written as `\040`, and so on."""
    for code in ("040", "011", "012", "134"):
        text = text.replace(f"\\{code}", chr(int(code, 8)))
    return text
