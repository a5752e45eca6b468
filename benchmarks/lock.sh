#!/bin/sh
# Write constraints.txt anew: the newest versions that pyproject.toml allows, with the build tools.
set -eu
cd "$(dirname "$0")/.."
unset PIP_CONSTRAINT PIP_BUILD_CONSTRAINT
folder=$(mktemp -d)
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --editable '.[all,dev]' hatchling editables
{
    echo "# The versions that \`make\` installs and that the tests ran with. To renew: make lock."
    echo "# torch is pinned exactly: another version may bring gigabytes of CUDA packages."
    "$folder/bin/python" -m pip freeze --exclude-editable | sed 's/+cpu$//' | sort -f
} > constraints.txt
rm -rf "$folder"
