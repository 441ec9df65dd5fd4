"""Builds the image by its Containerfile and runs it read-only, without an engine: ``python -m tests.deploy.image``.

It wants root and Debian's buildah and debootstrap. Where no registry of images can be reached, the base is Debian with
its Python, made here: ``--base`` names another. The processes run in the image's own root, which is mounted read-only,
as its user, with nothing to write to but ``/data`` and ``/tmp``.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASE, IMAGE = "localhost/carillon-base", "localhost/carillon"
# Where this machine keeps what pip and npm need to reach their registries.
_MOUNTED = ("/etc/ssl/certs", "/etc/xdg/pip", "/opt/wheels", "/opt/pypi", "/opt/pypi-more")
_CERTIFICATES = "NODE_EXTRA_CA_CERTS"
_RUN = r"""
set -e
mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount -t tmpfs -o mode=0700,uid=10001,gid=10001 tmpfs "$1/data"
mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"
in_image() {
  chroot --userspec=10001:10001 "$1" /usr/bin/env -i PATH=/opt/carillon/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 CARILLON_ENV=production CARILLON_DATA_DIR=/data CARILLON_HOST=0.0.0.0 CARILLON_PORT=8978 \
    CARILLON_SECRET_KEY_FILE=/tmp/key "${@:2}"
}
head -c 32 /dev/urandom | base64 > "$1/tmp/key"; chown 10001 "$1/tmp/key"; chmod 0400 "$1/tmp/key"
if in_image "$1" sh -c 'touch /opt/carillon/x' 2>/dev/null; then echo 'The root can be written to.'; exit 1; fi
for tool in gcc cc make pip pip3 npm node; do
  if in_image "$1" sh -c "command -v $tool"; then echo "There is $tool in the image."; exit 1; fi
done
in_image "$1" carillon --version
in_image "$1" carillon migrate
in_image "$1" carillon serve & in_image "$1" carillon worker &
for _ in $(seq 30); do in_image "$1" carillon health >/dev/null 2>&1 && break; done
in_image "$1" carillon health
in_image "$1" carillon health --worker
"""


def _buildah(*words: str) -> str:
    environment = os.environ | {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
    done = subprocess.run(["buildah", *words], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def _make_base() -> None:
    with tempfile.TemporaryDirectory() as folder:
        system = Path(folder) / "system"
        packages = "python3,python3-venv,ca-certificates"
        options = ["--variant=minbase", f"--include={packages}", "bookworm", str(system)]
        subprocess.run(["debootstrap", *options], stdout=subprocess.DEVNULL, check=True)
        container = _buildah("from", "scratch")
        _buildah("copy", "--quiet", container, str(system), "/")
        _buildah("commit", "--quiet", "--rm", container, BASE)


def main() -> int:
    """Build and run; the exit status is that of the first step that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", help="an image with Python 3.11 or newer, in the place of one that is made here")
    base = parser.parse_args().base
    if base is None:
        _make_base()
    mounts = [
        word
        for installed in _MOUNTED
        if Path(installed).is_dir()
        for word in ("--volume", f"{installed}:{installed}:ro")
    ]
    told = ["--env", f"{_CERTIFICATES}={os.environ[_CERTIFICATES]}"] if _CERTIFICATES in os.environ else []
    arguments = ["--build-arg", f"BASE={base or BASE}", "--file", "backend/deploy/Containerfile", "--tag", IMAGE]
    _buildah("build", "--quiet", "--layers", *arguments, *mounts, *told, ".")
    container = _buildah("from", IMAGE)
    try:
        root = _buildah("mount", container)
        run = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", _RUN, "image", root]
        return subprocess.run(run, check=False).returncode
    finally:
        _buildah("rm", container)


if __name__ == "__main__":
    sys.exit(main())
