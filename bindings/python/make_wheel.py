"""Packs generated Python and the library into a wheel: `make_wheel.py GENERATED OUT VERSION`; says the file's name.

A wheel is a zip with a list of what is in it (PyPA, "Binary distribution format"). It is for the C library of this machine
and newer ones (PEP 600).
"""

import base64
import hashlib
import os
import platform
import sys
import zipfile
from pathlib import Path

FILES = ["medipeps.py", "libmedipeps_ffi.so"]
README = Path(__file__).with_name("README.md")


def main(generated, out, version):
    libc = os.confstr("CS_GNU_LIBC_VERSION").split()[1].replace(".", "_")
    tag = f"py3-none-manylinux_{libc}_{platform.machine()}"
    about = f"medipeps-{version}.dist-info"
    files = {name: (generated / name).read_bytes() for name in FILES}
    files[f"{about}/METADATA"] = (
        f"Metadata-Version: 2.4\nName: medipeps\nVersion: {version}\n"
        "Summary: Secure messaging for health care: the client\nLicense-Expression: Apache-2.0 OR MIT\n"
        f"Requires-Python: >=3.10\nDescription-Content-Type: text/markdown\n\n{README.read_text()}"
    ).encode()
    files[f"{about}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: medipeps\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    record = [f"{name},sha256={digest(content)},{len(content)}\n" for name, content in files.items()]
    files[f"{about}/RECORD"] = ("".join(record) + f"{about}/RECORD,,\n").encode()
    name = f"medipeps-{version}-{tag}.whl"
    out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            # The same input makes the same file.
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            wheel.writestr(entry, content, zipfile.ZIP_DEFLATED)
    print(name)


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
