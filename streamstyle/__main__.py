"""`python -m streamstyle`."""

import sys

from streamstyle.cli.main import main

sys.exit(main())
