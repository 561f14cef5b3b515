"""``python -m imgcls_cli``."""

import sys

from imgcls_cli.app import main

sys.exit(main())
