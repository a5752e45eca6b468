"""``python -m isotherm``."""

import sys

from isotherm.cli.main import main

sys.exit(main())
