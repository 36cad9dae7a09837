"""`python -m monitor` is the command `squall`."""

from monitor.cli import main

main()
