"""The programs of other people that the documents use: their Debian packages, and the flags that were looked up.

A flag is added here after a look into the tool's own manual, so that a document cannot invent one.
"""

PACKAGES = {
    "curl": "curl",
    "git": "git",
    "journalctl": "systemd",
    "jq": "jq",
    "make": "make",
    "pipx": "pipx",
    "python3": "python3",
    "sqlite3": "sqlite3",
    "systemctl": "systemd",
    "systemd-analyze": "systemd",
    "timedatectl": "systemd",
}
# On every Debian, and for whoever reads: Essential packages.
EVERYWHERE = frozenset({
    "apt-get", "cat", "cd", "chmod", "chown", "cp", "df", "du", "env", "grep", "id", "install", "ls", "mkdir", "mv",
    "rm", "stat", "sudoedit", "tail", "tar", "tee",
})  # fmt: skip
LONG_FLAGS = {
    "curl": {"--head"},
    "journalctl": {"--since"},
    "pipx": {"--strict", "--require-hashes", "--disable-pip"},  # of pip-audit, which it runs
    "python3": {"--version"},
    "chown": {"--reference"},
    "uninstall.sh": {"--purge"},  # deploy/uninstall.sh
    "systemctl": {"--failed", "--now", "--property"},
}
