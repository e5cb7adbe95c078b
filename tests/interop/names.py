"""Names that resolve to what a test says, by the system's own resolver, and only for the processes that the test starts so.

They run with a view of their own of `/etc/hosts` and `/etc/nsswitch.conf` (a mount namespace), so that no query leaves the machine.
"""

import os
import subprocess

from processes import Missing

LINES_BYTES = 4096  # the file keeps its length, so that no reader meets half of it


class Names:
    """A file of names: `set` says what they resolve to from now on; `within` stands before the command of a process."""

    def __init__(self, lab):
        self.path = lab.path("hosts")
        self.path.write_bytes(b"\n" * LINES_BYTES)
        self.set({})
        switch = lab.path("nsswitch.conf")
        switch.write_text("hosts: files\n")
        script = f"mount --bind '{self.path}' /etc/hosts && mount --bind '{switch}' /etc/nsswitch.conf && exec \"$@\""
        # The second is for users who are not root, where the system lets them.
        for options in ("--mount", "--map-root-user --mount"):
            self.within = [lab.tools["unshare"], *options.split(), "sh", "-c", script, "sh"]
            if subprocess.run([*self.within, "true"], capture_output=True, check=False).returncode == 0:
                return
        raise Missing("mount namespaces")

    def set(self, names):
        """`names`: addresses by name."""
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, addresses in names.items() for address in addresses)]
        text = "".join(f"{line}\n" for line in lines).encode()
        assert len(text) <= LINES_BYTES
        with open(self.path, "r+b") as file:
            os.pwrite(file.fileno(), text.ljust(LINES_BYTES, b"\n"), 0)
