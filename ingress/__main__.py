"""`python -m ingress`: the same as the command `evergrant`."""

from ingress.cli import main

main()
